#include "train/evaluate.h"

#include "train/eval_folds.h"

#include <stdlib.h>
#include <string.h>

#include "train/eval_task.h"
#include "train/judge_fused.h"

kin_status kin_embed_dataset(kin_ctx *cx, kin_embedder *e, kin_dataset *d, float **image, float **text)
{
    const int64_t width = e->model->cfg.embed_dim;
    *image = kin_alloc(cx, d->items * width, sizeof **image);
    *text = kin_alloc(cx, kin_max64(1, d->captions * width), sizeof **text);
    if (cx->status == KIN_OK) kin_embed_readable(cx, e, d, *image, NULL);
    if (cx->status == KIN_OK) kin_embed_texts(cx, e, d->caption, d->captions, *text);
    if (cx->status == KIN_OK) return KIN_OK;
    free(*image);
    free(*text);
    *image = *text = NULL;
    return cx->status;
}

/* The swaps of one kind: texts [2n], true then false, and their pictures. */
typedef struct swaps {
    const char **text;
    int64_t *image_of;
    float *embedding;
    int64_t n;
} swaps;

static void gather(const kin_dataset *d, const char *kind, swaps *s)
{
    for (int64_t i = 0; i < d->items; i++) {
        for (int64_t k = d->item[i].swap; k < d->item[i].swap + d->item[i].swaps; k++) {
            if (strcmp(d->swap[k].kind, kind) != 0) continue;
            s->image_of[s->n] = i;
            s->text[s->n++] = d->swap[k].caption;
        }
    }
    int64_t at = s->n;
    for (int64_t k = 0; k < d->swaps; k++)
        if (strcmp(d->swap[k].kind, kind) == 0) s->text[at++] = d->swap[k].swapped;
}

static kin_status swap_accuracy(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, const float *image,
                                const char *kind, json_t *out)
{
    const int64_t width = e->model->cfg.embed_dim;
    swaps s = {.text = kin_alloc(cx, 2 * d->swaps, sizeof *s.text),
               .image_of = kin_alloc(cx, d->swaps, sizeof *s.image_of)};
    double accuracy = 0.0;
    if (s.text && s.image_of) {
        gather(d, kind, &s);
        s.embedding = kin_alloc(cx, 2 * s.n * width, sizeof *s.embedding);
    }
    if (s.embedding && kin_embed_texts(cx, e, s.text, 2 * s.n, s.embedding) == KIN_OK)
        kin_swap_accuracy(cx, image, d->items, s.embedding, s.embedding + s.n * width, s.image_of, s.n, width,
                          &accuracy);
    if (cx->status == KIN_OK) {
        char key[96];
        snprintf(key, sizeof key, "swap_%.60s_accuracy", kind);
        json_object_set_new(out, key, json_real(accuracy));
        snprintf(key, sizeof key, "swap_%.60s_count", kind);
        json_object_set_new(out, key, json_integer(s.n));
    }
    free(s.text);
    free(s.image_of);
    free(s.embedding);
    return cx->status;
}

/* Is this swap the first of its kind? */
static bool first_of_kind(const kin_dataset *d, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        if (strcmp(d->swap[i].kind, d->swap[k].kind) == 0) return false;
    return true;
}

kin_status kin_evaluate_prepare(kin_ctx *cx, kin_embedder *e, const kin_dataset *d)
{
    if (d->classes > 0) return KIN_OK; /* its programs hang on the rows of its pairs */
    kin_embedder_prepare(cx, e, d->caption, d->captions);
    for (int64_t k = 0; k < d->swaps && cx->status == KIN_OK; k++) {
        if (!first_of_kind(d, k)) continue;
        swaps s = {.text = kin_alloc(cx, 2 * d->swaps, sizeof *s.text),
                   .image_of = kin_alloc(cx, d->swaps, sizeof *s.image_of)};
        if (cx->status == KIN_OK) gather(d, d->swap[k].kind, &s);
        if (cx->status == KIN_OK) kin_embedder_prepare(cx, e, s.text, 2 * s.n);
        free(s.text);
        free(s.image_of);
    }
    return cx->status;
}

json_t *kin_evaluate_rows(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, const float *image,
                          const float *text, const kin_eval_opts *opts)
{
    const kin_eval_opts none = {0}, *o = opts ? opts : &none;
    kin_retrieval r;
    const kin_retrieval_in in = {.image = image,
                                 .text = text,
                                 .image_of = d->item_of,
                                 .images = d->items,
                                 .texts = d->captions,
                                 .E = e->model->cfg.embed_dim,
                                 .per_image = o->per_image,
                                 .bootstrap = o->bootstrap};
    json_t *out = kin_eval_folds(cx, &in, o->folds, &r) == KIN_OK ? kin_retrieval_json(cx, &r) : NULL;
    for (int64_t k = 0; out && k < d->swaps && cx->status == KIN_OK; k++) {
        char key[96];
        snprintf(key, sizeof key, "swap_%.60s_accuracy", d->swap[k].kind);
        if (!json_object_get(out, key)) swap_accuracy(cx, e, d, image, d->swap[k].kind, out);
    }
    if (cx->status == KIN_OK) return out;
    json_decref(out);
    return NULL;
}

static json_t *evaluate_labels(kin_ctx *cx, kin_embedder *e, kin_dataset *d)
{
    kin_fused_judge fused;
    kin_judge judge;
    json_t *out = NULL;
    if (kin_judge_of(cx, e, KIN_CLS, &fused, &judge) == KIN_OK)
        out = kin_eval_task(cx, &judge, d, &(kin_task_opts){0});
    kin_fused_judge_close(&fused);
    return out;
}

json_t *kin_evaluate(kin_ctx *cx, kin_embedder *e, kin_dataset *d, const kin_eval_opts *opts)
{
    if (d->classes > 0) return evaluate_labels(cx, e, d);
    float *image, *text;
    if (kin_embed_dataset(cx, e, d, &image, &text) != KIN_OK) return NULL;
    json_t *out = kin_evaluate_rows(cx, e, d, image, text, opts);
    free(image);
    free(text);
    return out;
}
