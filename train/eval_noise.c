#include "train/eval_noise.h"

#include <stdlib.h>
#include <string.h>

#include "train/eval_retrieval.h"

static bool append(json_t *curve, const char *key, double v)
{
    return json_array_append_new(json_object_get(curve, key), json_real(v)) == 0;
}

/* The points of one curve; the first is that of clean data. */
static kin_status sweep(kin_ctx *cx, const kin_noise_subject *s, kin_noise kind, const kin_noise_cfg *cfg,
                        const kin_estimate *clean, json_t *curve)
{
    for (int64_t k = 0; k <= cfg->steps; k++) {
        const kin_corruption c = {kind, (double)k / (double)cfg->steps, cfg->seed};
        kin_estimate e = *clean;
        if (k > 0) KIN_TRY(s->measure(cx, s->self, &c, &e));
        if (!append(curve, "value", e.value) || !append(curve, "low", e.low) ||
            !append(curve, "high", e.high))
            return kin_fail(cx, KIN_NOMEM, "noise: out of memory for the results");
        kin_log(cx, KIN_DEBUG, "%s: %s %.2f: %.4f", s->name, kin_noise_names[kind], c.strength, e.value);
    }
    return KIN_OK;
}

static kin_status sweep_all(kin_ctx *cx, const kin_noise_subject *s, const kin_noise_cfg *cfg, json_t *models)
{
    kin_estimate clean;
    json_t *curves = json_object();
    json_array_append_new(models, json_pack("{s:s, s:o}", "name", s->name, "curves", curves));
    KIN_TRY(s->measure(cx, s->self, NULL, &clean));
    for (int kind = 0; kind < KIN_NOISES; kind++) {
        if (!cfg->kinds[kind]) continue;
        json_t *curve = json_pack("{s:[], s:[], s:[]}", "value", "low", "high");
        json_object_set_new(curves, kin_noise_names[kind], curve);
        KIN_TRY(sweep(cx, s, (kin_noise)kind, cfg, &clean, curve));
    }
    return KIN_OK;
}

json_t *kin_eval_noise(kin_ctx *cx, const kin_noise_subject *subject, int64_t n, const kin_noise_cfg *cfg)
{
    if (cfg->steps < 1 || cfg->steps > 100) {
        kin_fail(cx, KIN_ARG, "noise: %lld steps, it must be 1 to 100", (long long)cfg->steps);
        return NULL;
    }
    json_t *models = json_array(), *strengths = json_array();
    json_t *out =
        json_pack("{s:s, s:o, s:o}", "metric", cfg->metric, "strengths", strengths, "models", models);
    if (!out) kin_fail(cx, KIN_NOMEM, "noise: out of memory for the results");
    for (int64_t k = 0; out && k <= cfg->steps; k++)
        json_array_append_new(strengths, json_real((double)k / (double)cfg->steps));
    for (int64_t i = 0; i < n && cx->status == KIN_OK; i++) sweep_all(cx, &subject[i], cfg, models);
    if (cx->status == KIN_OK) return out;
    json_decref(out);
    return NULL;
}

/* ---- retrieval ---- */

static kin_status embed_pictures(kin_ctx *cx, const kin_noise_retrieval *r, const kin_corruption *c,
                                 float *out)
{
    kin_embedder *e = r->embedder;
    const int64_t batch = e->batch, width = e->model->cfg.embed_dim;
    uint8_t *pixels = kin_alloc(cx, batch * kin_preprocess_bytes(&e->model->preprocess), 1);
    int64_t *item = kin_alloc(cx, batch, sizeof *item);
    for (int64_t from = 0; pixels && item && cx->status == KIN_OK && from < r->data->items; from += batch) {
        const int64_t n = kin_min64(batch, r->data->items - from);
        for (int64_t i = 0; i < n; i++) item[i] = from + i;
        if (kin_corrupted_pictures(cx, e, r->data, c, item, n, pixels, NULL) == KIN_OK)
            kin_embed_images(cx, e, pixels, n, out + from * width);
    }
    free(pixels);
    free(item);
    return cx->status;
}

static kin_status embed_captions(kin_ctx *cx, const kin_noise_retrieval *r, const kin_corruption *c,
                                 float *out)
{
    const int64_t n = r->data->captions;
    char **text = kin_alloc0(cx, kin_max64(1, n), sizeof *text);
    if (text && kin_corrupted_texts(cx, r->data, c, 0, n, text, NULL) == KIN_OK) {
        kin_embed_texts(cx, r->embedder, (const char *const *)text, n, out);
        for (int64_t i = 0; i < n; i++) free(text[i]);
    }
    free(text);
    return cx->status;
}

/* Hits at 1 of both directions; the mean of their shares, resampled with pictures. */
static kin_status mean_recall(kin_ctx *cx, const kin_noise_retrieval *r, const float *image,
                              const float *text, kin_estimate *out)
{
    const kin_dataset *d = r->data;
    int64_t *rank = kin_alloc(cx, d->captions + d->items, sizeof *rank);
    double *value = kin_alloc(cx, kin_max64(1, r->bootstrap), sizeof *value);
    uint32_t *times = kin_alloc(cx, d->items, sizeof *times);
    kin_retrieval_in in = {.image = image,
                           .text = text,
                           .image_of = d->item_of,
                           .images = d->items,
                           .texts = d->captions,
                           .E = r->embedder->model->cfg.embed_dim,
                           .text_rank = rank,
                           .image_rank = rank ? rank + d->captions : NULL};
    kin_retrieval all;
    if (cx->status == KIN_OK && kin_eval_retrieval(cx, &in, &all) == KIN_OK) {
        out->value = out->low = out->high = (all.image.recall[0] + all.text.recall[0]) / 2;
        for (int64_t b = 0; b < r->bootstrap; b++) {
            double hits[2] = {0}, of[2] = {0};
            kin_resample(b, d->items, times);
            for (int64_t t = 0; t < d->captions; t++) {
                hits[0] += times[d->item_of[t]] * (double)(in.text_rank[t] == 0);
                of[0] += times[d->item_of[t]];
            }
            for (int64_t i = 0; i < d->items; i++) {
                hits[1] += times[i] * (double)(in.image_rank[i] == 0);
                of[1] += times[i] * (double)(in.image_rank[i] >= 0);
            }
            value[b] = (hits[0] / of[0] + hits[1] / of[1]) / 2;
        }
        if (r->bootstrap) kin_percentiles(value, r->bootstrap, &out->low, &out->high);
    }
    free(rank);
    free(value);
    free(times);
    return cx->status;
}

kin_status kin_noise_measure_retrieval(kin_ctx *cx, void *self, const kin_corruption *c, kin_estimate *out)
{
    kin_noise_retrieval *r = self;
    const int64_t width = r->embedder->model->cfg.embed_dim;
    KIN_TRY(kin_check_resamples(cx, "noise", r->bootstrap));
    if (!r->image) {
        r->image = kin_alloc(cx, r->data->items * width, sizeof *r->image);
        r->text = kin_alloc(cx, r->data->captions * width, sizeof *r->text);
        KIN_TRY(cx->status);
        KIN_TRY(embed_pictures(cx, r, NULL, r->image));
        KIN_TRY(embed_captions(cx, r, NULL, r->text));
    }
    if (!c) return mean_recall(cx, r, r->image, r->text, out);
    const bool of_image = kin_noise_of_image(c->kind);
    float *worse = kin_alloc(cx, (of_image ? r->data->items : r->data->captions) * width, sizeof *worse);
    if (worse && (of_image ? embed_pictures(cx, r, c, worse) : embed_captions(cx, r, c, worse)) == KIN_OK)
        mean_recall(cx, r, of_image ? worse : r->image, of_image ? r->text : worse, out);
    free(worse);
    return cx->status;
}

/* ---- tasks ---- */

kin_status kin_noise_measure_task(kin_ctx *cx, void *self, const kin_corruption *c, kin_estimate *out)
{
    const kin_noise_task *t = self;
    KIN_TRY(kin_check_resamples(cx, "noise", t->bootstrap));
    const kin_task_opts o = {.bootstrap = t->bootstrap, .threshold = t->threshold, .noise = c};
    json_t *m = kin_eval_task(cx, t->judge, t->data, &o);
    if (!m) return cx->status;
    const json_t *ci = json_object_get(m, "balanced_accuracy_ci95");
    out->value = json_number_value(json_object_get(m, "balanced_accuracy"));
    out->low = ci ? json_number_value(json_array_get(ci, 0)) : out->value;
    out->high = ci ? json_number_value(json_array_get(ci, 1)) : out->value;
    json_decref(m);
    return KIN_OK;
}
