#include "train/eval_task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Examples that are evaluated, end to end; of each its caption. */
typedef struct rows {
    int64_t n;
    int32_t *label, *guess;
    double *score;
    int64_t *group, *caption;
} rows;

static kin_status fits(kin_ctx *cx, const kin_judge *j, kin_dataset *d)
{
    if (d->classes == 0)
        return kin_fail(cx, KIN_ARG,
                        "the data has no labels; a table needs a column 'label', or take scenes:TASK");
    if (j->class_name && kin_dataset_classes(cx, d, j->class_name, j->width) < 0) return cx->status;
    if (d->classes == (j->width == 1 ? 2 : j->width)) return KIN_OK;
    if (j->width == 1)
        return kin_fail(
            cx, KIN_ARG,
            "this model says how well a text fits a picture: true or false; the data has %lld classes",
            (long long)d->classes);
    return kin_fail(cx, KIN_ARG, "the model has %lld classes, the data %lld", (long long)j->width,
                    (long long)d->classes);
}

static kin_status make_rows(kin_ctx *cx, int64_t n, rows *r)
{
    *r = (rows){.label = kin_alloc(cx, n, sizeof *r->label),
                .guess = kin_alloc(cx, n, sizeof *r->guess),
                .score = kin_alloc(cx, n, sizeof *r->score),
                .group = kin_alloc(cx, n, sizeof *r->group),
                .caption = kin_alloc(cx, n, sizeof *r->caption)};
    return cx->status;
}

static void free_rows(rows *r)
{
    free(r->label);
    free(r->guess);
    free(r->score);
    free(r->group);
    free(r->caption);
}

/* Asks about all examples. Two numbers and more: score is the margin of class 1, guess the largest (the first
 * of equal ones; a NaN is never it). */
static kin_status ask_all(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, const kin_corruption *noise,
                          rows *r)
{
    float *out = kin_alloc(cx, d->captions * j->width, sizeof *out);
    if (!out) return cx->status;
    if (kin_judge_pairs(cx, j, d, NULL, NULL, d->captions, noise, out) == KIN_OK &&
        kin_dataset_texts(cx, d, r->group) >= 0) {
        for (int64_t c = 0; c < d->captions; c++) {
            const float *v = out + c * j->width;
            int32_t best = -1;
            for (int32_t k = 0; k < j->width; k++)
                if (!isnan(v[k]) && (best < 0 || v[k] > v[best])) best = k;
            if (d->label[c].label < 0) continue;
            r->label[r->n] = d->label[c].label;
            r->guess[r->n] = best;
            r->score[r->n] = j->width == 1 ? (double)v[0] : (double)v[1] - (double)v[0];
            r->group[r->n] = r->group[c];
            r->caption[r->n++] = c;
        }
    }
    free(out);
    if (cx->status == KIN_OK && r->n == 0)
        return kin_fail(cx, KIN_ARG, "not one label of the data is a class of the model");
    return cx->status;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static kin_status median(kin_ctx *cx, const double *score, int64_t n, double *out)
{
    double *v = kin_alloc(cx, n, sizeof *v);
    int64_t numbers = 0;
    if (!v) return cx->status;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(score[i])) v[numbers++] = score[i];
    if (numbers) qsort(v, (size_t)numbers, sizeof *v, ascending);
    *out = numbers ? v[numbers / 2] : 0;
    free(v);
    return KIN_OK;
}

static json_t *measure(kin_ctx *cx, const rows *r, const kin_dataset *d, int64_t bootstrap)
{
    const kin_scored in = {.label = r->label,
                           .guess = r->guess,
                           .score = d->classes == 2 ? r->score : NULL,
                           .group = r->group,
                           .n = r->n,
                           .classes = d->classes,
                           .bootstrap = bootstrap};
    kin_label_eval e;
    return kin_eval_labels(cx, &in, &e) == KIN_OK ? kin_label_eval_json(cx, &e) : NULL;
}

/* How often a picture's true text scores above its false one, of all such two texts. Rows of a picture may
 * lie anywhere, so they are strung together by picture. */
static kin_status pairwise(kin_ctx *cx, const rows *r, const kin_dataset *d, json_t *out)
{
    int64_t *first = kin_alloc(cx, d->items, sizeof *first), *next = kin_alloc(cx, r->n, sizeof *next);
    int64_t pairs = 0, halves = 0;
    for (int64_t i = 0; first && i < d->items; i++) first[i] = -1;
    for (int64_t i = r->n - 1; first && next && i >= 0; i--) {
        int64_t *head = &first[d->item_of[r->caption[i]]];
        next[i] = *head;
        *head = i;
        for (int64_t k = next[i]; k >= 0; k = next[k]) {
            if (r->label[k] == r->label[i]) continue;
            const double yes = r->score[r->label[i] ? i : k], no = r->score[r->label[i] ? k : i];
            pairs++;
            halves += yes > no || (isnan(no) && !isnan(yes)) ? 2 : yes == no;
        }
    }
    free(first);
    free(next);
    if (cx->status != KIN_OK || pairs == 0) return cx->status;
    double low, high;
    kin_wilson(halves / 2, pairs, &low, &high);
    json_object_set_new(out, "pairwise", json_real((double)halves / (2.0 * (double)pairs)));
    json_object_set_new(out, "pairwise_wilson95", json_pack("[f, f]", low, high));
    json_object_set_new(out, "pairwise_pairs", json_integer(pairs));
    return KIN_OK;
}

/* Leaves the rows of unseen texts. */
static void leave_unseen(rows *r, const bool *seen)
{
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (seen[r->caption[i]]) continue;
        r->label[n] = r->label[i];
        r->guess[n] = r->guess[i];
        r->score[n] = r->score[i];
        r->group[n] = r->group[i];
        r->caption[n++] = r->caption[i];
    }
    r->n = n;
}

static json_t *report(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, const kin_task_opts *o, rows *r)
{
    double threshold = 0;
    const bool by_threshold = j->width == 1 || (o->threshold && j->width == 2);
    if (by_threshold) {
        if (o->threshold) threshold = *o->threshold;
        if (!o->threshold && median(cx, r->score, r->n, &threshold) != KIN_OK) return NULL;
        for (int64_t i = 0; i < r->n; i++) r->guess[i] = isnan(r->score[i]) ? -1 : r->score[i] >= threshold;
    }
    json_t *out = measure(cx, r, d, o->bootstrap);
    if (!out) return NULL;
    if (by_threshold && isfinite(threshold)) json_object_set_new(out, "threshold", json_real(threshold));
    if (by_threshold)
        json_object_set_new(out, "threshold_from", json_string(o->threshold ? "tuned" : "median"));
    if (d->classes == 2) pairwise(cx, r, d, out);
    if (r->n < d->captions) json_object_set_new(out, "other_class", json_integer(d->captions - r->n));
    if (o->seen) {
        leave_unseen(r, o->seen);
        json_t *unseen = r->n ? measure(cx, r, d, o->bootstrap) : json_null();
        json_object_set_new(out, "unseen_texts", unseen);
    }
    return out;
}

json_t *kin_eval_task(kin_ctx *cx, const kin_judge *j, kin_dataset *d, const kin_task_opts *opts)
{
    const kin_task_opts none = {0}, *o = opts ? opts : &none;
    rows r = {0};
    json_t *out = NULL;
    if (fits(cx, j, d) == KIN_OK && make_rows(cx, d->captions, &r) == KIN_OK &&
        ask_all(cx, j, d, o->noise, &r) == KIN_OK)
        out = report(cx, j, d, o, &r);
    free_rows(&r);
    if (cx->status == KIN_OK) return out;
    json_decref(out);
    return NULL;
}

kin_status kin_tune_threshold(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, double *threshold)
{
    rows r = {0};
    double balanced;
    if (j->width > 2 || d->classes != 2)
        return kin_fail(cx, KIN_ARG, "a threshold is tuned on true and false, and the model has %lld classes",
                        (long long)(j->width > 2 ? j->width : d->classes));
    if (make_rows(cx, d->captions, &r) == KIN_OK && ask_all(cx, j, d, NULL, &r) == KIN_OK)
        kin_threshold(cx, r.score, r.label, r.n, threshold, &balanced);
    free_rows(&r);
    return cx->status;
}
