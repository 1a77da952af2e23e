#include "train/eval_labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double z = 1.959963984540054;

void kin_wilson(int64_t hits, int64_t n, double *low, double *high)
{
    const double m = (double)n, p = (double)hits / m, z2 = z * z;
    const double centre = p + z2 / (2 * m), width = z * sqrt(p * (1 - p) / m + z2 / (4 * m * m));
    *low = (centre - width) / (1 + z2 / m);
    *high = (centre + width) / (1 + z2 / m);
}

/* An example's place among the scores. */
typedef struct ranked {
    double score;
    int64_t at;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Ascending; a NaN where it costs most. */
static ranked *rank(kin_ctx *cx, const double *score, const int32_t *label, int64_t n)
{
    ranked *r = kin_alloc(cx, n, sizeof *r);
    if (!r) return NULL;
    for (int64_t i = 0; i < n; i++) {
        const double worst = label[i] == 1 ? -(double)INFINITY : (double)INFINITY;
        r[i] = (ranked){isnan(score[i]) ? worst : score[i], i};
    }
    qsort(r, (size_t)n, sizeof *r, by_score);
    return r;
}

typedef struct work {
    const kin_scored *in;
    int64_t *group, groups;
    ranked *order;         /* NULL: no auroc */
    uint32_t *times;       /* [groups] how often each counts */
    int64_t *right, *seen; /* [classes] */
} work;

typedef struct values {
    double accuracy, balanced, auroc;
} values;

static double auroc(const work *w)
{
    const kin_scored *in = w->in;
    int64_t wins2 = 0, positives = 0, below = 0; /* twice the wins: a tie is one of them */
    for (int64_t a = 0, b; a < in->n; a = b) {
        int64_t tied[2] = {0};
        for (b = a; b < in->n && w->order[b].score == w->order[a].score; b++) {
            const int64_t i = w->order[b].at;
            tied[in->label[i] == 1] += w->times[w->group[i]];
        }
        wins2 += tied[1] * (2 * below + tied[0]);
        below += tied[0];
        positives += tied[1];
    }
    return positives && below ? (double)wins2 / (2 * (double)positives * (double)below) : 0.5;
}

static values measure(work *w)
{
    const kin_scored *in = w->in;
    int64_t hits = 0, n = 0, occur = 0;
    double recalls = 0;
    memset(w->right, 0, (size_t)in->classes * sizeof *w->right);
    memset(w->seen, 0, (size_t)in->classes * sizeof *w->seen);
    for (int64_t i = 0; i < in->n; i++) {
        const int64_t times = w->times[w->group[i]];
        w->seen[in->label[i]] += times;
        if (in->guess[i] == in->label[i]) w->right[in->label[i]] += times;
    }
    for (int64_t k = 0; k < in->classes; k++) {
        if (w->seen[k] == 0) continue;
        hits += w->right[k];
        n += w->seen[k];
        recalls += (double)w->right[k] / (double)w->seen[k];
        occur++;
    }
    return (values){(double)hits / (double)n, recalls / (double)occur, w->order ? auroc(w) : (double)NAN};
}

static kin_status intervals(kin_ctx *cx, work *w, kin_label_eval *out)
{
    const int64_t n = w->in->bootstrap;
    double *v = kin_alloc(cx, 3 * n, sizeof *v);
    if (!v) return cx->status;
    for (int64_t r = 0; r < n; r++) {
        kin_resample(r, w->groups, w->times);
        const values m = measure(w);
        v[r] = m.accuracy;
        v[n + r] = m.balanced;
        v[2 * n + r] = m.auroc;
    }
    kin_percentiles(v, n, &out->accuracy.low, &out->accuracy.high);
    kin_percentiles(v + n, n, &out->balanced.low, &out->balanced.high);
    if (w->order) kin_percentiles(v + 2 * n, n, &out->auroc.low, &out->auroc.high);
    free(v);
    return KIN_OK;
}

static kin_status evaluate(kin_ctx *cx, work *w, kin_label_eval *out)
{
    const kin_scored *in = w->in;
    w->group = kin_alloc(cx, in->n, sizeof *w->group);
    w->right = kin_alloc(cx, in->classes, sizeof *w->right);
    w->seen = kin_alloc(cx, in->classes, sizeof *w->seen);
    w->groups = cx->status == KIN_OK ? kin_groups(cx, in->group, in->n, w->group) : -1;
    if (w->groups > 0) w->times = kin_alloc(cx, w->groups, sizeof *w->times);
    if (w->times && in->score && in->classes == 2) w->order = rank(cx, in->score, in->label, in->n);
    KIN_TRY(cx->status);
    for (int64_t g = 0; g < w->groups; g++) w->times[g] = 1;
    const values m = measure(w);
    *out =
        (kin_label_eval){.n = in->n, .groups = w->groups, .classes = in->classes, .bootstrap = in->bootstrap};
    out->accuracy = (kin_estimate){m.accuracy, m.accuracy, m.accuracy};
    out->balanced = (kin_estimate){m.balanced, m.balanced, m.balanced};
    out->auroc = (kin_estimate){m.auroc, m.auroc, m.auroc};
    for (int64_t k = 0; k < in->classes; k++) {
        out->hits += w->right[k];
        out->majority = fmax(out->majority, (double)w->seen[k] / (double)in->n);
    }
    kin_wilson(out->hits, in->n, &out->wilson_low, &out->wilson_high);
    return in->bootstrap ? intervals(cx, w, out) : KIN_OK;
}

kin_status kin_eval_labels(kin_ctx *cx, const kin_scored *in, kin_label_eval *out)
{
    if (in->n < 1 || in->classes < 1 || in->n > INT32_MAX)
        return kin_fail(cx, KIN_SHAPE, "labels: %lld examples of %lld classes", (long long)in->n,
                        (long long)in->classes);
    KIN_TRY(kin_check_resamples(cx, "labels", in->bootstrap));
    for (int64_t i = 0; i < in->n; i++)
        if (in->label[i] < 0 || in->label[i] >= in->classes || in->guess[i] < -1 ||
            in->guess[i] >= in->classes)
            return kin_fail(cx, KIN_ARG, "labels: example %lld has label %d and guess %d of %lld classes",
                            (long long)i, in->label[i], in->guess[i], (long long)in->classes);
    work w = {.in = in};
    const kin_status rc = evaluate(cx, &w, out);
    free(w.group);
    free(w.order);
    free(w.times);
    free(w.right);
    free(w.seen);
    return rc;
}

static bool set_interval(json_t *o, const char *key, double low, double high)
{
    return json_object_set_new(o, key, json_pack("[f, f]", low, high)) == 0;
}

json_t *kin_label_eval_json(kin_ctx *cx, const kin_label_eval *e)
{
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:f, s:f}", "examples", (json_int_t)e->n, "groups", (json_int_t)e->groups,
                  "classes", (json_int_t)e->classes, "majority", e->majority, "accuracy", e->accuracy.value);
    bool ok = o && set_interval(o, "accuracy_wilson95", e->wilson_low, e->wilson_high);
    if (ok && e->bootstrap) ok = set_interval(o, "accuracy_ci95", e->accuracy.low, e->accuracy.high);
    ok = ok && json_object_set_new(o, "balanced_accuracy", json_real(e->balanced.value)) == 0;
    if (ok && e->bootstrap) ok = set_interval(o, "balanced_accuracy_ci95", e->balanced.low, e->balanced.high);
    if (ok && !isnan(e->auroc.value)) {
        ok = json_object_set_new(o, "auroc", json_real(e->auroc.value)) == 0;
        if (ok && e->bootstrap) ok = set_interval(o, "auroc_ci95", e->auroc.low, e->auroc.high);
    }
    if (ok) return o;
    json_decref(o);
    kin_fail(cx, KIN_NOMEM, "labels: out of memory for the results");
    return NULL;
}

kin_status kin_threshold(kin_ctx *cx, const double *score, const int32_t *label, int64_t n, double *threshold,
                         double *balanced)
{
    if (n < 1) return kin_fail(cx, KIN_SHAPE, "threshold: no examples");
    ranked *r = rank(cx, score, label, n);
    if (!r) return cx->status;
    int64_t of[2] = {0}, below[2] = {0};
    for (int64_t i = 0; i < n; i++) of[label[i] == 1]++;
    *threshold = -INFINITY; /* all are class 1 */
    *balanced = 0.5;
    for (int64_t a = 0, b; a < n && of[0] && of[1]; a = b) {
        for (b = a; b < n && r[b].score == r[a].score; b++) below[label[r[b].at] == 1]++;
        const double reached =
            ((double)below[0] / (double)of[0] + (double)(of[1] - below[1]) / (double)of[1]) / 2;
        if (reached <= *balanced) continue;
        *balanced = reached;
        *threshold = b == n ? (double)INFINITY : r[a].score + (r[b].score - r[a].score) / 2;
    }
    free(r);
    return KIN_OK;
}
