#include "train/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/rng.h"
#include "train/evaluate.h"

enum {
    LOOKED_AT = 1000000, /* captions drawn and counted, at most */
    FIRST = 2,           /* steps that are not timed: memory is touched for the first time */
    LEAST = 5,
    MOST = 64,  /* timed steps */
    SECONDS = 8 /* enough of them, once LEAST are made */
};

int64_t kin_resident(void)
{
    long long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lld %lld", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

typedef struct foresight {
    kin_ctx *cx;
    kin_stepper *stepper;
} foresight;

static void prepare(void *user, const int32_t *lengths, int64_t texts)
{
    foresight *f = user;
    if (f->cx->status == KIN_OK) kin_stepper_prepare(f->cx, f->stepper, lengths, texts);
}

/* Compiles every program of the run. */
static kin_status foresee(kin_ctx *cx, kin_trainer *t, kin_plan *out)
{
    const kin_loader_cfg cfg = kin_trainer_loader(t);
    const int64_t texts = cfg.batch * (cfg.captions + cfg.negatives), left = t->lr.steps - t->state.step;
    foresight f = {cx, &t->stepper};
    out->foreseen = kin_min64(kin_max64(1, left), kin_max64(1, LOOKED_AT / texts));
    KIN_TRY(kin_loader_foresee(cx, &cfg, t->state.loader, out->foreseen, prepare, &f));
    if (t->val) KIN_TRY(kin_evaluate_prepare(cx, &t->embedder, t->val));
    out->programs = t->programs.count;
    return KIN_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static kin_status one_step(kin_ctx *cx, kin_trainer *t, int64_t i, kin_plan *sum)
{
    kin_batch b;
    double loss, norm;
    KIN_TRY(kin_loader_next(cx, t->loader, &b));
    const kin_pairs pairs = {b.n, b.texts, b.images, b.ids, b.off};
    KIN_TRY(kin_stepper_run(cx, &t->stepper, &pairs, kin_key((uint64_t)t->cfg->seed, 0, (uint64_t)i), &loss));
    KIN_TRY(kin_optim_update(cx, &t->optim, 0.0, &norm));
    sum->pairs += (double)b.n;
    sum->texts += (double)b.texts;
    sum->tokens += (double)b.off[b.texts];
    sum->flops += t->stepper.flops;
    return KIN_OK;
}

static kin_status take_steps(kin_ctx *cx, kin_trainer *t, kin_plan *out)
{
    double took[MOST], spent = 0.0;
    int64_t n = 0, made = 0;
    for (; n < MOST && (n < LEAST || spent < SECONDS); made++) {
        const double began = kin_now();
        KIN_TRY(one_step(cx, t, made, out));
        const double now = kin_now() - began;
        if (made < FIRST) continue;
        took[n++] = now;
        spent += now;
    }
    qsort(took, (size_t)n, sizeof *took, by_value);
    out->seconds = 0.5 * (took[(n - 1) / 2] + took[n / 2]);
    out->lower_quarter = took[n / 4];
    out->upper_quarter = took[n - 1 - n / 4];
    out->timed = n;
    out->pairs /= (double)made;
    out->texts /= (double)made;
    out->tokens /= (double)made;
    out->flops /= (double)made;
    return KIN_OK;
}

/* Embeddings of the whole gallery, and the buffers that only embedding touches. */
static int64_t evaluation(const kin_trainer *t)
{
    const kin_model_cfg *m = &t->model->cfg;
    const int64_t image = m->vision.image_size * m->vision.image_size * 3, row = m->embed_dim * 4;
    return (t->val->items + t->val->captions) * row + t->embedder.batch * (image + row);
}

kin_status kin_plan_make(kin_ctx *cx, kin_trainer *t, kin_plan *out)
{
    const kin_params *p = t->model->params;
    const kin_programs *g = &t->programs;
    *out = (kin_plan){.steps = t->lr.steps};
    KIN_TRY(foresee(cx, t, out));
    KIN_TRY(take_steps(cx, t, out));
    out->param = kin_pages_mapped(p->bytes);
    out->act = g->act ? kin_pages_mapped(g->act_bytes) : 0;
    out->scratch = g->scratch ? kin_pages_mapped(g->scratch_bytes) : 0;
    out->host = t->stepper.io_bytes + kin_loader_bytes(t->loader);
    if (t->val) out->evaluation = evaluation(t);
    const int64_t touched = kin_pages_resident(p->arena, p->bytes) +
                            kin_pages_resident(g->act, g->act_bytes) +
                            kin_pages_resident(g->scratch, g->scratch_bytes);
    out->libraries = kin_max64(0, kin_resident() - touched - out->host);
    return KIN_OK;
}
