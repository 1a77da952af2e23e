#include "train/budget.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "train/evaluate.h"

enum { LOOKED_AT = 20000, FEWEST = 16 }; /* captions drawn for each choice; smallest chunk that is offered */

/* Options that the memory of a run depends on, and the bytes that they need. */
typedef struct choice {
    int64_t chunk, eval_batch;
    bool recompute;
    int64_t bytes;
} choice;

typedef struct trial {
    kin_ctx *cx;
    kin_stepper *stepper;
} trial;

static void prepare(void *user, const int32_t *lengths, int64_t texts)
{
    trial *r = user;
    if (r->cx->status == KIN_OK) kin_stepper_prepare(r->cx, r->stepper, lengths, texts);
}

/* Compiles the programs of the run with other options, over the same parameters; nothing is touched. */
static kin_status try_out(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, choice *c)
{
    const kin_loader_cfg cfg = kin_trainer_loader(t);
    kin_programs g = {.cfg = t->programs.cfg,
                      .recompute = c->recompute,
                      .loss = t->loss,
                      .loss_cfg = t->programs.loss_cfg,
                      .params = t->model->params,
                      .backend = t->backend};
    kin_stepper s = {.programs = &g};
    kin_embedder e = {.programs = &g};
    trial r = {cx, &s};
    const int64_t texts = t->stepper.texts;
    const int64_t batches = kin_min64(p->foreseen, kin_max64(1, LOOKED_AT / texts));
    if (kin_stepper_open(cx, &s, &g, t->stepper.batch, texts, c->chunk) == KIN_OK && t->stepper.fused)
        kin_stepper_fuse(cx, &s, &t->stepper.fused->cfg);
    s.image_made = t->stepper.image_made;
    if (cx->status == KIN_OK) kin_loader_foresee(cx, &cfg, t->state.loader, batches, prepare, &r);
    if (cx->status == KIN_OK && t->val && kin_embedder_open(cx, &e, t->model, &g, c->eval_batch) == KIN_OK)
        kin_evaluate_prepare(cx, &e, t->val);
    c->bytes = p->needs.of[KIN_BYTES] > 0.0 ? (int64_t)p->needs.of[KIN_BYTES] : 0;
    c->bytes += (g.act ? kin_pages_mapped(g.act_bytes) : 0) - p->act;
    c->bytes += (g.scratch ? kin_pages_mapped(g.scratch_bytes) : 0) - p->scratch;
    c->bytes += s.io_bytes - t->stepper.io_bytes;
    kin_embedder_close(&e);
    kin_stepper_close(&s);
    kin_programs_close(&g);
    return cx->status;
}

/* The mildest change that fits: first recompute, then chunks of half, a quarter, ... without and with it.
 * Steps over pairs have no chunks. */
static bool find_smaller(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, double bytes, choice *out)
{
    const bool recompute = t->cfg->recompute;
    const int64_t chunk = kin_min64(t->stepper.chunk, t->stepper.batch);
    for (int64_t n = chunk; n >= FEWEST || n == chunk; n = (n + 1) / 2) {
        for (int k = recompute; k < 2; k++) {
            choice c = {n, kin_min64(t->cfg->eval_batch, kin_max64(n, FEWEST)), k == 1, 0};
            const bool as_it_is = n == chunk && c.recompute == recompute;
            if (as_it_is) continue;
            if (try_out(cx, t, p, &c) != KIN_OK) return false;
            *out = c;
            if ((double)c.bytes <= bytes) return true;
        }
        if (n == 1 || t->stepper.fused) break;
    }
    return false;
}

char *kin_budget_smaller(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, double bytes)
{
    choice c = {0};
    kin_ctx mine = {0};
    char need[32], chunk[40] = "", eval[48] = "";
    const bool found = find_smaller(&mine, t, p, bytes, &c);
    const bool fused = t->stepper.fused;
    if (mine.status != KIN_OK)
        return kin_sprintf(cx, "; a smaller --%s or --recompute needs less", fused ? "batch" : "chunk");
    if (!found) {
        const double weights = (double)p->param;
        return kin_sprintf(cx,
                           "; %s (weights, gradients and moments alone are %s): a smaller --model, or a "
                           "smaller --batch",
                           fused ? "--recompute is not enough, and steps over pairs have no --chunk"
                                 : "no --chunk is small enough",
                           kin_amount_text(KIN_BYTES, weights, need));
    }
    if (c.chunk < kin_min64(t->stepper.chunk, t->stepper.batch))
        snprintf(chunk, sizeof chunk, " --chunk %lld", (long long)c.chunk);
    if (t->val && c.eval_batch < t->cfg->eval_batch)
        snprintf(eval, sizeof eval, " --eval-batch %lld", (long long)c.eval_batch);
    return kin_sprintf(cx, ":%s%s%s needs about %s and changes no result", chunk,
                       c.recompute && !t->cfg->recompute ? " --recompute" : "", eval,
                       kin_amount_text(KIN_BYTES, (double)c.bytes, need));
}

/* Steps that fit when `fixed` is taken in any case and each step takes `each`. */
static char *fewer_steps(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, double limit, double fixed,
                         double each)
{
    const double fit = floor((limit - fixed) / fmax(1e-12, each));
    const int64_t done = t->state.step;
    if (fit < 1.0) return kin_sprintf(cx, ": not one step fits; a smaller --model or --batch");
    return kin_sprintf(cx, ": --steps %lld fits, or a smaller --batch or --model",
                       (long long)(done + (int64_t)fmin(fit, (double)p->left)));
}

static char *advice(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, kin_amount kind, double limit)
{
    const double steps = fmax(1.0, (double)p->left);
    const double evaluating =
        p->features_seconds + p->evaluation_seconds * (double)p->evaluations; /* whatever the steps are */
    switch (kind) {
    case KIN_BYTES: return kin_budget_smaller(cx, t, p, limit);
    case KIN_SECONDS: return fewer_steps(cx, t, p, limit, evaluating, p->seconds);
    case KIN_WATT_HOURS:
        return fewer_steps(cx, t, p, limit, evaluating * p->watts / 3600.0, p->seconds * p->watts / 3600.0);
    default: return fewer_steps(cx, t, p, limit, 0.0, p->needs.of[kind] / steps);
    }
}

kin_status kin_budget_check(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, const kin_amounts *budget,
                            int kinds)
{
    static const char *const names[] = {"memory", "data", "time", "energy", "work"};
    char *said = NULL;
    for (int i = 0; i < kinds && cx->status == KIN_OK; i++) {
        const double limit = budget->of[i], need = p->needs.of[i];
        if (limit <= 0.0 || need <= limit) continue;
        char have[32], more[32], most[32];
        char *what = advice(cx, t, p, (kin_amount)i, limit);
        if (!what) break;
        char *all = kin_sprintf(
            cx, "%s%s%s %s is %s (%.0f %%) more than %s%s", said ? said : "", said ? "; " : "", names[i],
            kin_amount_text((kin_amount)i, need, have), kin_amount_text((kin_amount)i, need - limit, more),
            100.0 * (need - limit) / limit, kin_amount_text((kin_amount)i, limit, most), what);
        free(what);
        free(said);
        said = all;
    }
    if (said) kin_fail(cx, KIN_ARG, "over budget: %s", said);
    free(said);
    return cx->status;
}
