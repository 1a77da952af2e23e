#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tools/cli.h"
#include "train/trainer.h"

enum { LOOKED_AT = 20, TIMED = 2 };

/* Resident bytes of this process now. */
static double resident(void)
{
    long long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lld %lld", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return (double)pages * 4096.0;
}

static void line(const char *name, double bytes, const char *what)
{
    char text[32];
    printf("  %-12s %12s   %s\n", name, cli_bytes(bytes, text), what);
}

typedef struct measured {
    double flops, seconds, tokens, texts, pairs; /* of a step, on average */
    int64_t steps;
} measured;

/* Takes steps on real batches without changing a weight: the gradients are made and left. The first ones
 * compile and map; the fastest of the rest is the step's time. */
static kin_status try_steps(kin_ctx *cx, kin_trainer *t, int64_t steps, measured *m)
{
    *m = (measured){.seconds = 1e30};
    for (int64_t i = 0; i < steps; i++) {
        kin_batch b;
        double loss;
        KIN_TRY(kin_loader_next(cx, t->loader, &b));
        const kin_pairs pairs = {b.n, b.texts, b.images, b.ids, b.off};
        const double began = kin_now();
        KIN_TRY(
            kin_stepper_run(cx, &t->stepper, &pairs, kin_key((uint64_t)t->cfg->seed, 0, (uint64_t)i), &loss));
        const double spent = kin_now() - began;
        m->flops += kin_stepper_flops(cx, &t->stepper, &pairs);
        m->tokens += b.off[b.texts];
        m->texts += (double)b.texts;
        m->pairs += (double)b.n;
        if (i > 0 && spent < m->seconds) m->seconds = spent;
    }
    m->steps = steps;
    return KIN_OK;
}

static void print(const kin_trainer *t, const measured *m)
{
    const kin_params *p = t->model->params;
    const kin_programs *g = &t->programs;
    const double n = (double)m->steps, arenas = (double)(p->bytes + g->act_bytes + g->scratch_bytes);
    printf("memory\n");
    line("PARAM", (double)p->bytes, "weights, gradients, moments, average");
    line("ACT", (double)g->act_bytes, t->cfg->recompute ? "activations, blocks recomputed" : "activations");
    line("SCRATCH", (double)g->scratch_bytes, "largest need of one op");
    line("HOST", (double)(t->stepper.io_bytes + kin_loader_bytes(t->loader)), "batches ahead, embeddings");
    line("arenas", arenas, "PARAM + ACT + SCRATCH");
    line("resident", resident(), "of this process now: arenas, batches, libraries");
    printf("a step\n  %.0f pairs, %.0f captions, %.0f tokens (%.1f a caption)\n", m->pairs / n, m->texts / n,
           m->tokens / n, m->tokens / m->texts);
    printf("  %.3f GFLOP, %.3f s measured over %lld batches (%.1f GFLOP/s), %.1f pairs/s\n",
           m->flops / n / 1e9, m->seconds, (long long)m->steps, m->flops / n / 1e9 / m->seconds,
           m->pairs / n / m->seconds);
    printf("the run\n  %lld steps, about %.1f minutes on %s\n", (long long)t->lr.steps,
           (double)t->lr.steps * m->seconds / 60.0, t->backend->name);
}

int cmd_plan(kin_ctx *cx, int argc, char **argv)
{
    kin_config c;
    bool helped;
    int code = CLI_USAGE;
    if (cli_config(cx, argc, argv, "plan --config FILE [flags of kin train]", &c, &helped)) {
        kin_trainer t;
        measured m;
        if (kin_trainer_open(cx, &t, &c) == KIN_OK && try_steps(cx, &t, TIMED + 1, &m) == KIN_OK)
            print(&t, &m);
        kin_trainer_close(&t);
        code = cli_exit(cx);
    }
    kin_config_free(&c);
    return helped ? CLI_DONE : code;
}
