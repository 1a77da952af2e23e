/* Measures of the demo: what a trained model answers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/demo.h"
#include "train/eval_noise.h"
#include "train/eval_pairs.h"
#include "train/evaluate.h"
#include "train/judge_fused.h"
#include "train/session.h"

enum { BATCH = 64, TIMES = 9 };

typedef struct subject {
    const demo *d;
    kin_session session;
    kin_fused_judge fused;
    kin_judge judge;
    json_t *out, *metrics;
} subject;

static double member(const json_t *m, const char *key, const char *ending, size_t i)
{
    char name[80];
    snprintf(name, sizeof name, "%s%s", key, ending);
    return json_number_value(json_array_get(json_object_get(m, name), i));
}

/* metrics[name] from a result's key, with the interval that stands beside it. */
static void keep(subject *s, const char *name, const json_t *result, const char *key, const char *interval)
{
    json_object_set_new(s->metrics, name,
                        json_pack("{s:f, s:f, s:f}", "value", json_number_value(json_object_get(result, key)),
                                  "low", member(result, key, interval, 0), "high",
                                  member(result, key, interval, 1)));
}

static kin_dataset *open_gallery(kin_ctx *cx, const demo *d)
{
    char *path = kin_sprintf(cx, "%s/data/gallery", d->out);
    kin_dataset *set = path ? kin_dataset_open(cx, path, "test", false) : NULL;
    free(path);
    return set;
}

static kin_dataset *open_task(kin_ctx *cx, const demo *d, const demo_measure *m, const char *split)
{
    char *data = kin_sprintf(cx, "%s,count=%lld", m->data, (long long)d->scale->ask);
    const kin_dataset_cfg cfg = {.split = split, .labels = KIN_LABELS_MUST};
    kin_dataset *set = data ? kin_dataset_open_as(cx, data, &cfg) : NULL;
    free(data);
    return set;
}

static kin_status in_gallery(kin_ctx *cx, subject *s, const demo_measure *m, kin_dataset *set)
{
    const int64_t resamples = s->d->bootstrap;
    json_t *r = NULL;
    if (m->kind == DEMO_SEARCH) {
        if (!kin_fusions[s->session.programs.cfg.fusion.kind].towers) return KIN_OK;
        r = kin_evaluate(cx, &s->session.embedder, set,
                         &(kin_eval_opts){.bootstrap = resamples, .per_image = 1});
    } else
        r = kin_eval_pairs(cx, &s->judge, set, resamples);
    if (r) {
        keep(s, m->name, r, "image_retrieval_recall@1", "_ci95");
        json_object_set_new(json_object_get(s->metrics, m->name), "back",
                            json_real(json_number_value(json_object_get(r, "text_retrieval_recall@1"))));
        json_object_set_new(json_object_get(s->metrics, m->name), "chance",
                            json_real(json_number_value(json_object_get(r, "image_retrieval_chance@1"))));
    }
    json_decref(r);
    return cx->status;
}

/* Matching, and how it bears noise. The threshold comes from other data, of heads too: what learned with hard
 * false pairs, two for each true one, says no too often. */
static kin_status matching(kin_ctx *cx, subject *s, const demo_measure *m, kin_dataset *set)
{
    double threshold;
    kin_noise_task task = {.judge = &s->judge, .data = set, .bootstrap = s->d->bootstrap};
    if (s->judge.width <= 2) {
        kin_dataset *other = open_task(cx, s->d, m, "val");
        if (other) kin_tune_threshold(cx, &s->judge, other, &threshold);
        kin_dataset_close(other);
        task.threshold = &threshold;
    }
    kin_estimate e;
    if (cx->status != KIN_OK || kin_noise_measure_task(cx, &task, NULL, &e) != KIN_OK) return cx->status;
    json_object_set_new(s->metrics, m->name,
                        json_pack("{s:f, s:f, s:f}", "value", e.value, "low", e.low, "high", e.high));
    kin_noise_cfg cfg = {.steps = s->d->scale->noise, .metric = "balanced accuracy of matching"};
    for (int k = 0; k < KIN_NOISES; k++) cfg.kinds[k] = true;
    const kin_noise_subject one = {"", &task, kin_noise_measure_task};
    json_t *curves = kin_eval_noise(cx, &one, 1, &cfg);
    if (curves) json_object_set_new(s->out, "noise", curves);
    return cx->status;
}

static kin_status on_labels(kin_ctx *cx, subject *s, const demo_measure *m, kin_dataset *set)
{
    const kin_corruption half = {KIN_NOISE_NO_IMAGE, 0.5, 0};
    const kin_task_opts o = {.bootstrap = s->d->bootstrap, .noise = m->kind == DEMO_NO_IMAGE ? &half : NULL};
    json_t *r = kin_eval_task(cx, &s->judge, set, &o);
    if (r && m->kind == DEMO_TWINS) keep(s, m->name, r, "pairwise", "_wilson95");
    if (r && m->kind == DEMO_LABELS) keep(s, m->name, r, "accuracy", "_ci95");
    if (r && m->kind == DEMO_NO_IMAGE) keep(s, m->name, r, "balanced_accuracy", "_ci95");
    json_decref(r);
    return cx->status;
}

static kin_status measure(kin_ctx *cx, subject *s, const demo_measure *m)
{
    kin_dataset *set = m->data ? open_task(cx, s->d, m, m->split) : open_gallery(cx, s->d);
    if (set && !m->data) in_gallery(cx, s, m, set);
    if (set && m->kind == DEMO_MATCH) matching(cx, s, m, set);
    if (set && m->data && m->kind != DEMO_MATCH) on_labels(cx, s, m, set);
    kin_dataset_close(set);
    return cx->status;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Pictures that a text is put to, and what towers made of them before it came: two towers search in
 * embeddings, a fusion begins with rows (late: embeddings). What has no towers begins with pixels. */
typedef struct shelf {
    int64_t n;
    uint8_t *pixels;
    float *embedding, *states;
} shelf;

static kin_status fill_shelf(kin_ctx *cx, subject *s, shelf *k)
{
    kin_embedder *e = &s->session.embedder;
    const kin_model_cfg *m = &s->session.model->cfg;
    const bool towers = kin_fusions[m->fusion.kind].towers;
    int64_t item[BATCH];
    kin_dataset *set = open_gallery(cx, s->d);
    k->n = set ? kin_min64(set->items, BATCH) : 0;
    for (int64_t i = 0; i < k->n; i++) item[i] = i;
    if (!towers) k->pixels = kin_alloc(cx, kin_image_bytes(&m->vision) * BATCH, 1);
    if (towers) k->embedding = kin_alloc(cx, BATCH * m->embed_dim, sizeof *k->embedding);
    if (kin_has_states(m)) k->states = kin_alloc(cx, BATCH * kin_states_of(m), sizeof *k->states);
    if (set && k->pixels) kin_read_pictures(cx, e, set, item, k->n, k->pixels);
    if (set && k->embedding) kin_embed_picture_states(cx, e, set, 0, k->n, k->embedding, k->states, NULL);
    kin_dataset_close(set);
    return cx->status;
}

/* One text put to them. */
static kin_status ask(kin_ctx *cx, subject *s, const shelf *k, const char *text, float *out, double *flops)
{
    static const int32_t none[BATCH];
    kin_embedder *e = &s->session.embedder;
    kin_fused_judge *j = &s->fused;
    const kin_program *p;
    if (j->embedder) {
        int32_t image[BATCH];
        for (int32_t i = 0; i < k->n; i++) image[i] = i;
        const int64_t ids =
            kin_tokenizer_encode(cx, e->model->tokenizer, text, j->model.text.context, j->ids);
        if (ids < 0) return cx->status;
        j->off[0] = 0;
        j->off[1] = (int32_t)ids;
        const kin_pairs pairs = {.n = k->n,
                                 .texts = 1,
                                 .images = k->pixels,
                                 .ids = j->ids,
                                 .off = j->off,
                                 .image_features = k->embedding,
                                 .image_states = k->states};
        KIN_TRY(kin_fused_judge_run(cx, j, &pairs, image, none, k->n, out));
        p = j->program;
        *flops = 0;
    } else {
        const int64_t width = e->model->cfg.embed_dim;
        KIN_TRY(kin_embed_texts(cx, e, &text, 1, out));
        p = kin_programs_get(cx, e->programs, KIN_TASK_TEXTS, false, 0, e->batch, e->off[1]);
        *flops = 2.0 * (double)(width * k->n);
    }
    if (p) *flops += kin_program_cost(p, 0).flops;
    return cx->status;
}

static kin_status cost(kin_ctx *cx, subject *s)
{
    const int64_t room = kin_max64(s->judge.width * BATCH, s->session.model->cfg.embed_dim);
    float *out = kin_alloc(cx, room, sizeof *out);
    double seconds[TIMES], flops = 0;
    shelf k = {0};
    if (out && fill_shelf(cx, s, &k) == KIN_OK)
        for (int i = -1; i < TIMES && cx->status == KIN_OK; i++) { /* the first one compiles */
            const double before = kin_now();
            ask(cx, s, &k, "a red circle left of a blue square", out, &flops);
            if (i >= 0) seconds[i] = kin_now() - before;
        }
    if (cx->status == KIN_OK) {
        qsort(seconds, TIMES, sizeof *seconds, ascending);
        json_object_set_new(s->out, "ms", json_real(1e3 * seconds[TIMES / 2]));
        json_object_set_new(s->out, "flops", json_real(flops));
    }
    free(k.pixels);
    free(k.embedding);
    free(k.states);
    free(out);
    return cx->status;
}

static bool asked(const demo_stage *stage)
{
    for (const demo_measure *m = demo_measures; m->name; m++)
        if (strcmp(m->stage, stage->name) == 0) return true;
    return false;
}

json_t *demo_measure_all(kin_ctx *cx, const demo *d, const demo_stage *stage, const char *folder)
{
    if (!asked(stage)) return json_pack("{s:{}}", "metrics");
    subject s = {.d = d, .out = json_object(), .metrics = json_object()};
    json_object_set(s.out, "metrics", s.metrics);
    if (kin_session_open(cx, &s.session, folder, (int)d->threads, BATCH) == KIN_OK &&
        kin_judge_of(cx, &s.session.embedder, stage->labels ? KIN_CLS : KIN_ITM, &s.fused, &s.judge) ==
            KIN_OK &&
        cost(cx, &s) == KIN_OK)
        for (const demo_measure *m = demo_measures; m->name && cx->status == KIN_OK; m++)
            if (strcmp(m->stage, stage->name) == 0) measure(cx, &s, m);
    kin_fused_judge_close(&s.fused);
    kin_session_close(&s.session);
    json_decref(s.metrics);
    if (cx->status == KIN_OK) return s.out;
    json_decref(s.out);
    return NULL;
}
