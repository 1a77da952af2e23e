#include <stdio.h>

#include "tools/cli.h"
#include "train/plan.h"

static void line(const char *name, int64_t bytes, const char *what)
{
    char text[32];
    printf("  %-12s %12s   %s\n", name, kin_amount_text(KIN_BYTES, (double)bytes, text), what);
}

/* Pages of a file can be taken back by the system at any time: they are not of the resident bill. */
static void print_cache(const kin_cache_cost *c)
{
    char bytes[32];
    if (c->bytes == 0) return;
    printf("  cache of pictures: %s in %s%s\n", kin_amount_text(KIN_BYTES, (double)c->bytes, bytes),
           c->memory ? "memory, counted in resident" : c->path,
           c->ready ? "" : "; not made yet: the step was timed without it");
}

static void print(const kin_trainer *t, const kin_plan *p)
{
    const int64_t arenas = p->param + p->act + p->scratch;
    const int64_t kept = (p->cache.memory ? p->cache.bytes : 0) + p->features;
    printf("memory\n");
    line("PARAM", p->param, "weights, gradients, moments, average");
    line("ACT", p->act, t->cfg->recompute ? "activations, blocks recomputed" : "activations");
    line("SCRATCH", p->scratch, "largest need of one op");
    line("HOST", p->host, "batches on their way, embeddings");
    if (p->features > 0) line("features", p->features, "what towers that do not learn make of the data");
    line("libraries", p->libraries, "and data, captions, tokenizer: measured in this process");
    line("resident", arenas + p->host + p->libraries + kept, "all of these, while it trains");
    if (t->val) line("evaluation", p->evaluation, "more while it evaluates");
    printf("  %lld bytes of arenas (PARAM, ACT, SCRATCH) are mapped, for %d programs", (long long)arenas,
           p->programs);
    if (p->foreseen < p->steps) printf("; looked at the captions of %lld batches", (long long)p->foreseen);
    printf("\n");
    print_cache(&p->cache);
    printf("a step\n  %.0f pairs, %.0f captions, %.0f tokens (%.1f a caption)\n", p->pairs, p->texts,
           p->tokens, p->tokens / p->texts);
    printf("  %.3f GFLOP, %.3f s (half of %lld steps between %.3f and %.3f), %.1f GFLOP/s, %.1f pairs/s\n",
           p->flops / 1e9, p->seconds, (long long)p->timed, p->lower_quarter, p->upper_quarter,
           p->flops / 1e9 / p->seconds, p->pairs / p->seconds);
    const double *need = p->needs.of;
    char time[32], evaluating[32], energy[32], work[32];
    printf("the run\n  %lld steps, about %s on %s", (long long)p->left,
           kin_amount_text(KIN_SECONDS, need[KIN_SECONDS], time), t->backend->name);
    if (p->evaluations > 0)
        printf(", %s of that for %lld evaluations",
               kin_amount_text(KIN_SECONDS, p->evaluation_seconds * (double)p->evaluations, evaluating),
               (long long)p->evaluations);
    if (p->features_seconds > 0.0)
        printf(", %s of that to run what does not learn over the data once",
               kin_amount_text(KIN_SECONDS, p->features_seconds, evaluating));
    printf("; %.0f pairs, %s\n", need[KIN_PAIRS], kin_amount_text(KIN_FLOP, need[KIN_FLOP], work));
    printf("  energy class %c, about %s: %.0f W %s times that time; not measured\n",
           kin_energy_class(need[KIN_WATT_HOURS]),
           kin_amount_text(KIN_WATT_HOURS, need[KIN_WATT_HOURS], energy), p->watts,
           p->assumed ? "assumed (--watts says better)" : "as --watts says");
}

static void print_budget(const kin_plan *p, const kin_amounts *budget)
{
    char need[32], limit[32];
    for (int i = 0; i < KIN_AMOUNTS; i++)
        if (budget->of[i] > 0.0)
            printf("  budget: %s of %s, %.0f %%\n", kin_amount_text((kin_amount)i, p->needs.of[i], need),
                   kin_amount_text((kin_amount)i, budget->of[i], limit),
                   100.0 * p->needs.of[i] / budget->of[i]);
}

int cmd_plan(kin_ctx *cx, int argc, char **argv)
{
    kin_config c;
    bool helped;
    int code = CLI_USAGE;
    kin_amounts budget;
    if (cli_config(cx, argc, argv, "plan --config FILE [flags of kin train]", &c, &helped) &&
        kin_amounts_read(cx, "budget", c.budget, &budget) == KIN_OK) {
        kin_trainer t;
        kin_plan p = {0};
        c.dry_run = true; /* makes nothing: no cache of pictures */
        if (kin_trainer_open(cx, &t, &c) == KIN_OK) kin_plan_make(cx, &t, &budget, &p);
        if (p.timed > 0) print(&t, &p);
        if (cx->status == KIN_OK) print_budget(&p, &budget);
        kin_trainer_close(&t);
        code = cli_exit(cx);
    }
    kin_config_free(&c);
    return helped ? CLI_DONE : code;
}
