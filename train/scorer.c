#include "train/scorer.h"

#include <stdlib.h>
#include <string.h>

kin_status kin_scorer_open(kin_ctx *cx, kin_scorer *s, const kin_embedder *embedder, kin_objective head)
{
    kin_backend *b = embedder->programs->backend;
    const int64_t batch = embedder->batch;
    *s = (kin_scorer){.embedder = embedder, .head = head, .model = embedder->programs->cfg};
    if (!kin_objectives[head].has(&s->model))
        return kin_fail(cx, KIN_ARG, "the model has no head %s (fusion %s): train it with loss.%s",
                        kin_objectives[head].name, kin_fusions[s->model.fusion.kind].name,
                        kin_objectives[head].name);
    s->model.vision.trunk.training = s->model.text.trunk.training = s->model.fusion.trunk.training = false;
    s->want.head[head] = true;
    s->width = head == KIN_ITM ? 2 : s->model.heads.classes;
    const kin_wiring_cfg cfg = {.want = s->want};
    KIN_TRY(kin_wiring_open(cx, &s->wiring, &s->model, &cfg, batch, batch));
    s->pixels = kin_alloc(cx, batch * s->model.vision.image_size * s->model.vision.image_size, 3);
    s->ids = kin_alloc(cx, batch * s->model.text.context, sizeof *s->ids);
    s->off = kin_alloc(cx, batch + 1, sizeof *s->off);
    s->pair = kin_alloc(cx, 2 * batch, sizeof *s->pair);
    s->item = kin_alloc(cx, batch, sizeof *s->item);
    s->io_bytes = batch * s->width * (int64_t)kin_dtype_size(b->real);
    s->io = b->alloc(b, s->io_bytes);
    if (!s->io) kin_fail(cx, KIN_NOMEM, "out of memory: %lld bytes for logits", (long long)s->io_bytes);
    return cx->status;
}

void kin_scorer_close(kin_scorer *s)
{
    if (s->io) s->embedder->programs->backend->release(s->embedder->programs->backend, s->io, s->io_bytes);
    kin_wiring_close(&s->wiring);
    free(s->pixels);
    free(s->ids);
    free(s->off);
    free(s->pair);
    free(s->item);
    *s = (kin_scorer){0};
}

static kin_status encode(kin_ctx *cx, kin_scorer *s, const char *const *text, int64_t texts)
{
    s->off[0] = 0;
    for (int64_t i = 0; i < texts; i++) {
        const int64_t n = kin_tokenizer_encode(cx, s->embedder->model->tokenizer, text[i],
                                               s->model.text.context, s->ids + s->off[i]);
        if (n < 0) return cx->status;
        s->off[i + 1] = s->off[i] + (int32_t)n;
    }
    return KIN_OK;
}

kin_status kin_score(kin_ctx *cx, kin_scorer *s, const uint8_t *images, int64_t n, const char *const *text,
                     int64_t texts, const int32_t *image, const int32_t *pair_text, int64_t pairs, float *out)
{
    static const char *const names[] = {[KIN_ITM] = "itm logits", [KIN_CLS] = "cls logits"};
    kin_programs *programs = s->embedder->programs;
    kin_backend *b = programs->backend;
    KIN_TRY(encode(cx, s, text, texts));
    const kin_pairs p = {.n = n, .texts = texts, .images = images, .ids = s->ids, .off = s->off};
    KIN_TRY(kin_wiring_score(cx, &s->wiring, &p, image, pair_text, pairs));
    const kin_fused_sizes *now = &s->wiring.now;
    kin_fused_sizes z = {.images = s->embedder->batch,
                         .texts = s->embedder->batch,
                         .pairs = s->embedder->batch,
                         .tokens = now->tokens,
                         .rows = now->rows,
                         .vision_rows = now->vision_rows,
                         .text_rows = now->text_rows};
    kin_program *program = kin_programs_fused(cx, programs, false, &s->want, &z);
    if (!program) return cx->status;
    kin_run run = {0};
    KIN_TRY(kin_wiring_bind(cx, programs, program, &s->wiring, &run));
    KIN_TRY(kin_program_bind(cx, program, names[s->head], s->io));
    KIN_TRY(kin_program_run(cx, program, &run));
    s->flops = kin_program_cost(program, -1).flops;
    if (b->real == KIN_F32) {
        b->download(b, out, s->io, pairs * s->width * (int64_t)sizeof *out);
        return kin_backend_check(cx, b);
    }
    for (int64_t i = 0; i < pairs * s->width; i++) {
        double wide;
        b->download(b, &wide, (char *)s->io + i * (int64_t)sizeof wide, sizeof wide);
        out[i] = (float)wide;
    }
    return KIN_OK;
}

kin_status kin_score_pairs(kin_ctx *cx, kin_scorer *s, const uint8_t *images, const char *const *text,
                           int64_t n, const kin_without *absent, float *out)
{
    static const kin_without nothing;
    static const char *const empty[] = {""};
    const kin_without *a = absent ? absent : &nothing;
    const int64_t batch = s->embedder->batch,
                  bytes = s->model.vision.image_size * s->model.vision.image_size * 3;
    for (int64_t i = 0; i < n; i += batch) {
        const int64_t now = kin_min64(batch, n - i);
        for (int64_t k = 0; k < now; k++) {
            s->pair[k] = (int32_t)(a->image ? now : k);
            s->pair[batch + k] = (int32_t)(a->text ? 0 : k);
        }
        KIN_TRY(kin_score(cx, s, images + i * bytes, now, a->text ? empty : text + i, a->text ? 1 : now,
                          s->pair, s->pair + batch, now, out + i * s->width));
    }
    return KIN_OK;
}

kin_status kin_score_examples(kin_ctx *cx, kin_scorer *s, const kin_dataset *d, int64_t from, int64_t n,
                              const kin_without *absent, float *out)
{
    const int64_t batch = s->embedder->batch;
    for (int64_t i = 0; i < n; i += batch) {
        const int64_t now = kin_min64(batch, n - i);
        for (int64_t k = 0; k < now; k++) s->item[k] = d->item_of[from + i + k];
        KIN_TRY(kin_read_pictures(cx, s->embedder, d, s->item, now, s->pixels));
        KIN_TRY(kin_score_pairs(cx, s, s->pixels, d->caption + from + i, now, absent, out + i * s->width));
    }
    return KIN_OK;
}

static int64_t largest(const float *v, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        if (v[k] > v[best]) best = k;
    return best;
}

kin_status kin_score_accuracy(kin_ctx *cx, kin_scorer *s, const kin_dataset *d, double *accuracy)
{
    const int64_t batch = s->embedder->batch;
    float *logits = kin_alloc(cx, batch * s->width, sizeof *logits);
    int64_t hits = 0;
    for (int64_t i = 0; logits && i < d->captions && cx->status == KIN_OK; i += batch) {
        const int64_t now = kin_min64(batch, d->captions - i);
        if (kin_score_examples(cx, s, d, i, now, NULL, logits) != KIN_OK) break;
        for (int64_t k = 0; k < now; k++)
            hits += largest(logits + k * s->width, s->width) == d->label[i + k].label;
    }
    free(logits);
    *accuracy = (double)hits / (double)kin_max64(1, d->captions);
    return cx->status;
}
