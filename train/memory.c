#include "train/memory.h"

#include <stdlib.h>
#include <string.h>

#include "train/evaluate.h"

enum { LOOKED_AT = 1000000 }; /* captions drawn and counted, at most */

typedef struct watcher {
    kin_ctx *cx;
    kin_stepper *stepper;
    kin_foreseen *seen;
    int64_t room;
} watcher;

static void look(void *user, const int32_t *lengths, int64_t texts)
{
    watcher *w = user;
    kin_foreseen *f = w->seen;
    int64_t tokens = 0;
    if (w->cx->status != KIN_OK || kin_stepper_prepare(w->cx, w->stepper, lengths, texts) != KIN_OK) return;
    for (int64_t i = 0; i < texts; i++) tokens += lengths[i];
    if (tokens <= f->tokens || texts > w->room) return;
    f->tokens = tokens;
    f->texts = texts;
    memcpy(f->lengths, lengths, (size_t)texts * sizeof *lengths);
}

kin_status kin_foresee(kin_ctx *cx, kin_trainer *t, kin_foreseen *out)
{
    const kin_loader_cfg cfg = kin_trainer_loader(t);
    const int64_t texts = cfg.batch * (cfg.captions + cfg.negatives), left = t->lr.steps - t->state.step;
    *out = (kin_foreseen){.batches = kin_min64(kin_max64(1, left), kin_max64(1, LOOKED_AT / texts)),
                          .lengths = kin_alloc(cx, texts, sizeof *out->lengths)};
    watcher w = {cx, &t->stepper, out, texts};
    if (out->lengths) kin_loader_foresee(cx, &cfg, t->state.loader, out->batches, look, &w);
    if (t->val && cx->status == KIN_OK) kin_evaluate_prepare(cx, &t->embedder, t->val);
    return cx->status;
}

static double mib(int64_t bytes)
{
    return (double)bytes / 1048576.0;
}

/* What the largest batch needs in chunks of so many; -1 after a failure. */
static int64_t need_in_chunks(kin_ctx *cx, const kin_trainer *t, const kin_foreseen *f, int64_t chunk)
{
    kin_programs p = {.cfg = t->programs.cfg,
                      .recompute = t->programs.recompute,
                      .loss = t->loss,
                      .loss_cfg = t->programs.loss_cfg,
                      .params = t->programs.params,
                      .backend = t->backend,
                      .planning = true,
                      .augments = t->programs.augments};
    kin_stepper s = {.programs = &p,
                     .batch = t->stepper.batch,
                     .texts = t->stepper.texts,
                     .chunk = chunk,
                     .image_made = t->stepper.image_made};
    const kin_status rc = kin_stepper_prepare(cx, &s, f->lengths, f->texts);
    const int64_t need = rc == KIN_OK ? kin_programs_need(&p) : -1;
    kin_programs_close(&p);
    return need;
}

static kin_status too_little(kin_ctx *cx, const kin_trainer *t, const kin_foreseen *f, int64_t need,
                             int64_t have)
{
    /* Steps over pairs have no chunks. */
    int64_t chunk = t->stepper.fused ? 0 : kin_min64(t->stepper.chunk, t->stepper.batch) / 2, least = need;
    for (; chunk > 0; chunk /= 2) {
        least = need_in_chunks(cx, t, f, chunk);
        KIN_TRY(cx->status);
        if (least <= have) break;
    }
    if (chunk > 0)
        return kin_fail(
            cx, KIN_NOMEM,
            "out of memory: a batch of %lld needs %.1f MiB for activations and inputs, %.1f MiB are free "
            "on %s; --chunk %lld fits, with the same gradient (%.1f MiB)",
            (long long)t->stepper.batch, mib(need), mib(have), t->backend->name, (long long)chunk,
            mib(least));
    if (t->stepper.fused)
        return kin_fail(cx, KIN_NOMEM,
                        "out of memory: activations and inputs need %.1f MiB, %.1f MiB are free on %s; "
                        "--recompute true, a "
                        "smaller --batch, a smaller --eval-batch or a smaller model needs less",
                        mib(need), mib(have), t->backend->name);
    return kin_fail(
        cx, KIN_NOMEM,
        "out of memory: activations and inputs need %.1f MiB (in chunks of one pair %.1f MiB), %.1f MiB "
        "are free on %s; --recompute true, a smaller --eval-batch or a smaller model needs less",
        mib(need), mib(least), mib(have), t->backend->name);
}

kin_status kin_memory_settle(kin_ctx *cx, kin_trainer *t)
{
    kin_programs *p = &t->programs;
    kin_backend *b = t->backend;
    kin_foreseen f;
    if (!b->room) return KIN_OK;
    p->planning = true;
    kin_status rc = kin_foresee(cx, t, &f);
    p->planning = false;
    const int64_t need = kin_programs_need(p), have = b->room(b);
    if (rc == KIN_OK) {
        kin_log(cx, KIN_INFO,
                "memory of %s: %.1f MiB weights, gradients and moments, %.1f activations, %.1f scratch, %.1f "
                "inputs and "
                "embeddings; %.1f are left",
                b->name, mib(t->model->params->bytes), mib(p->act_need), mib(p->scratch_need),
                mib(need - p->act_need - p->scratch_need + t->stepper.io_bytes), mib(have - need));
        rc = need <= have ? kin_programs_reserve(cx, p) : too_little(cx, t, &f, need, have);
    }
    free(f.lengths);
    return rc;
}
