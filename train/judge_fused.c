#include "train/judge_fused.h"

#include <stdlib.h>
#include <string.h>

static void read_names(kin_ctx *cx, kin_fused_judge *j)
{
    const json_t *heads = json_object_get(json_object_get(j->embedder->model->json, "kin_cfg"), "heads");
    const json_t *names = json_object_get(heads, "names");
    if (j->head != KIN_CLS || !names) return;
    j->class_name = kin_alloc(cx, j->width, sizeof *j->class_name);
    for (int64_t k = 0; j->class_name && k < j->width; k++) {
        const char *name = json_string_value(json_array_get(names, (size_t)k));
        j->class_name[k] = name ? name : "";
    }
}

kin_status kin_fused_judge_open(kin_ctx *cx, kin_fused_judge *j, kin_embedder *embedder, kin_objective head)
{
    kin_backend *b = embedder->programs->backend;
    const int64_t batch = embedder->batch;
    *j = (kin_fused_judge){.embedder = embedder, .head = head, .model = embedder->programs->cfg};
    if (!kin_objectives[head].has(&j->model))
        return kin_fail(cx, KIN_ARG, "the model has no head %s (its fusion is %s); train it with loss.%s = 1",
                        kin_objectives[head].name, kin_fusions[j->model.fusion.kind].name,
                        kin_objectives[head].name);
    j->model.vision.trunk.training = j->model.text.trunk.training = j->model.fusion.trunk.training = false;
    j->want.head[head] = true;
    j->width = head == KIN_ITM ? 2 : j->model.heads.classes;
    const kin_wiring_cfg cfg = {.want = j->want};
    KIN_TRY(kin_wiring_open(cx, &j->wiring, &j->model, &cfg, batch, batch));
    j->ids = kin_alloc(cx, batch * j->model.text.context, sizeof *j->ids);
    j->off = kin_alloc(cx, batch + 1, sizeof *j->off);
    j->pair = kin_alloc(cx, 2 * batch, sizeof *j->pair);
    j->io_bytes = batch * j->width * (int64_t)kin_dtype_size(b->real);
    j->io = b->alloc(b, j->io_bytes);
    if (!j->io) kin_fail(cx, KIN_NOMEM, "out of memory: %lld bytes for logits", (long long)j->io_bytes);
    read_names(cx, j);
    return cx->status;
}

void kin_fused_judge_close(kin_fused_judge *j)
{
    if (j->io) j->embedder->programs->backend->release(j->embedder->programs->backend, j->io, j->io_bytes);
    kin_wiring_close(&j->wiring);
    free(j->class_name);
    free(j->ids);
    free(j->off);
    free(j->pair);
    *j = (kin_fused_judge){0};
}

static kin_status encode(kin_ctx *cx, kin_fused_judge *j, const char *const *text, int64_t texts)
{
    j->off[0] = 0;
    for (int64_t i = 0; i < texts; i++) {
        const int64_t n = kin_tokenizer_encode(cx, j->embedder->model->tokenizer, text[i],
                                               j->model.text.context, j->ids + j->off[i]);
        if (n < 0) return cx->status;
        j->off[i + 1] = j->off[i] + (int32_t)n;
    }
    return KIN_OK;
}

kin_status kin_fused_judge_run(kin_ctx *cx, kin_fused_judge *j, const kin_pairs *p, const int32_t *image,
                               const int32_t *pair_text, int64_t pairs, float *out)
{
    kin_programs *programs = j->embedder->programs;
    kin_fused_want want = j->want;
    want.image_made = p->image_states || p->image_features;
    want.text_made = p->text_states || p->text_features;
    KIN_TRY(kin_wiring_score(cx, &j->wiring, p, image, pair_text, pairs));
    kin_fused_sizes z = j->wiring.now;
    z.images = z.texts = z.pairs = j->embedder->batch; /* one program for the last batch too */
    kin_program *program = j->program = kin_programs_fused(cx, programs, false, &want, &z);
    if (!program) return cx->status;
    kin_run run = {0};
    KIN_TRY(kin_wiring_bind(cx, programs, program, &j->wiring, &run));
    KIN_TRY(kin_program_bind(cx, program, j->head == KIN_ITM ? "itm logits" : "cls logits", j->io));
    KIN_TRY(kin_programs_run(cx, programs, program, &run));
    return kin_download_floats(cx, programs->backend, j->io, pairs * j->width, out);
}

kin_status kin_fused_judge_pairs(kin_ctx *cx, kin_fused_judge *j, const uint8_t *images, int64_t n,
                                 const char *const *text, int64_t texts, const int32_t *image,
                                 const int32_t *pair_text, int64_t pairs, float *out)
{
    const int64_t batch = j->embedder->batch;
    if (n > batch || texts > batch || pairs > batch)
        return kin_fail(cx, KIN_SHAPE, "%lld pairs of %lld pictures and %lld texts at once; room is for %lld",
                        (long long)pairs, (long long)n, (long long)texts, (long long)batch);
    KIN_TRY(encode(cx, j, text, texts));
    const kin_pairs p = {.n = n, .texts = texts, .images = images, .ids = j->ids, .off = j->off};
    return kin_fused_judge_run(cx, j, &p, image, pair_text, pairs, out);
}

static kin_status ask(kin_ctx *cx, void *self, const kin_judged *p, float *out)
{
    kin_fused_judge *j = self;
    const int64_t batch = j->embedder->batch;
    for (int64_t i = 0; i < p->n; i++) {
        j->pair[i] = (int32_t)(p->no_image && p->no_image[i] ? p->n : i);
        j->pair[batch + i] = (int32_t)i; /* a text that is not there is empty already */
    }
    return kin_fused_judge_pairs(cx, j, p->images, p->n, p->text, p->n, j->pair, j->pair + batch, p->n, out);
}

kin_judge kin_judge_fused(kin_fused_judge *j)
{
    return (kin_judge){.self = j,
                       .embedder = j->embedder,
                       .width = j->width,
                       .class_name = (const char *const *)j->class_name,
                       .ask = ask};
}

kin_status kin_judge_of(kin_ctx *cx, kin_embedder *e, kin_objective preferred, kin_fused_judge *j,
                        kin_judge *out)
{
    const kin_heads_cfg *heads = &e->programs->cfg.heads;
    const bool itm = heads->itm && (preferred == KIN_ITM || heads->classes == 0);
    *j = (kin_fused_judge){0};
    *out = kin_judge_dual(e);
    if (heads->classes == 0 && !heads->itm) return KIN_OK;
    KIN_TRY(kin_fused_judge_open(cx, j, e, itm ? KIN_ITM : KIN_CLS));
    *out = kin_judge_fused(j);
    return KIN_OK;
}
