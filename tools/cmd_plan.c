#include <stdio.h>

#include "tools/cli.h"
#include "train/plan.h"

static void line(const char *name, int64_t bytes, const char *what)
{
    char text[32];
    printf("  %-12s %12s   %s\n", name, cli_bytes((double)bytes, text), what);
}

static void print(const kin_trainer *t, const kin_plan *p)
{
    const int64_t arenas = p->param + p->act + p->scratch;
    printf("memory\n");
    line("PARAM", p->param, "weights, gradients, moments, average");
    line("ACT", p->act, t->cfg->recompute ? "activations, blocks recomputed" : "activations");
    line("SCRATCH", p->scratch, "largest need of one op");
    line("HOST", p->host, "batches on their way, embeddings");
    line("libraries", p->libraries, "and data, captions, tokenizer: measured in this process");
    line("resident", arenas + p->host + p->libraries, "all of these, while it trains");
    if (t->val) line("evaluation", p->evaluation, "more while it evaluates");
    printf("  %lld bytes of arenas (PARAM, ACT, SCRATCH) are mapped, for %d programs", (long long)arenas,
           p->programs);
    if (p->foreseen < p->steps) printf("; looked at the captions of %lld batches", (long long)p->foreseen);
    printf("\na step\n  %.0f pairs, %.0f captions, %.0f tokens (%.1f a caption)\n", p->pairs, p->texts,
           p->tokens, p->tokens / p->texts);
    printf("  %.3f GFLOP, %.3f s (half of %lld steps between %.3f and %.3f), %.1f GFLOP/s, %.1f pairs/s\n",
           p->flops / 1e9, p->seconds, (long long)p->timed, p->lower_quarter, p->upper_quarter,
           p->flops / 1e9 / p->seconds, p->pairs / p->seconds);
    printf("the run\n  %lld steps, about %.1f minutes on %s%s\n", (long long)p->steps,
           (double)p->steps * p->seconds / 60.0, t->backend->name, t->val ? ", evaluation not counted" : "");
}

int cmd_plan(kin_ctx *cx, int argc, char **argv)
{
    kin_config c;
    bool helped;
    int code = CLI_USAGE;
    if (cli_config(cx, argc, argv, "plan --config FILE [flags of kin train]", &c, &helped)) {
        kin_trainer t;
        kin_plan p;
        if (kin_trainer_open(cx, &t, &c) == KIN_OK && kin_plan_make(cx, &t, &p) == KIN_OK) print(&t, &p);
        kin_trainer_close(&t);
        code = cli_exit(cx);
    }
    kin_config_free(&c);
    return helped ? CLI_DONE : code;
}
