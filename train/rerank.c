#include "train/rerank.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 1 << 20 }; /* pairs that are put in order together */

/* One direction while it runs. */
typedef struct way {
    const kin_rerank_in *in;
    bool by_text; /* queries are texts */
    int64_t queries, gallery, depth;
    const int64_t *rank; /* [queries] before; -1: not a query */
    float *score;        /* [gallery] of one query */
    int64_t *best;       /* [some queries, depth] their candidates */
    int64_t *image, *text,
        *place;            /* [some queries * depth] the same pairs, picture by picture; where in best */
    float *asked, *judged; /* what the judge says of them; of best, where similarities lie before */
} way;

static void score_gallery(const way *w, int64_t q)
{
    const kin_retrieval_in *f = &w->in->first;
    const float *a = (w->by_text ? f->text : f->image) + q * f->E, *rows = w->by_text ? f->image : f->text;
#pragma omp parallel for schedule(static)
    for (int64_t g = 0; g < w->gallery; g++) {
        double sum = 0;
        for (int64_t e = 0; e < f->E; e++) sum += (double)a[e] * (double)rows[g * f->E + e];
        w->score[g] = (float)sum;
    }
}

static bool is_right(const way *w, int64_t q, int64_t answer)
{
    const int64_t *of = w->in->first.image_of;
    return w->by_text ? of[q] == answer : of[answer] == q;
}

/* The rank of query q when its n candidates are in the judge's order; *found: is a right one among them? */
static int64_t rerank(const way *w, int64_t q, const int64_t *best, const float *judged, bool *found)
{
    float top = NAN;
    *found = false;
    for (int64_t k = 0; k < w->depth; k++) {
        if (!is_right(w, q, best[k])) continue;
        *found = true;
        if (isnan(top) || judged[k] > top) top = judged[k];
    }
    if (!*found) return w->rank[q];
    if (isnan(top)) return w->gallery;
    int64_t rank = 0;
    for (int64_t k = 0; k < w->depth; k++) rank += !is_right(w, q, best[k]) && !(judged[k] < top);
    return rank;
}

/* Asks about the candidates of query [n], picture by picture, so that what a judge knows of a picture is made
 * once for all its questions. */
static kin_status judge(kin_ctx *cx, way *w, const int64_t *query, int64_t n)
{
    const int64_t pairs = n * w->depth, images = w->in->first.images;
    int64_t *from = kin_alloc0(cx, images + 1, sizeof *from);
    if (!from) return cx->status;
    for (int64_t k = 0; k < pairs; k++) from[1 + (w->by_text ? w->best[k] : query[k / w->depth])]++;
    for (int64_t i = 0; i < images; i++) from[i + 1] += from[i];
    for (int64_t k = 0; k < pairs; k++) {
        const int64_t q = query[k / w->depth], image = w->by_text ? w->best[k] : q, at = from[image]++;
        w->image[at] = image;
        w->text[at] = w->by_text ? q : w->best[k];
        w->place[at] = k;
    }
    if (w->in->score(cx, w->in->self, w->image, w->text, pairs, w->asked) == KIN_OK)
        for (int64_t k = 0; k < pairs; k++) {
            float *of = &w->judged[w->place[k]];
            *of = w->asked[k] + (w->in->similarity != 0.0 ? (float)w->in->similarity * *of : 0.0f);
        }
    free(from);
    return cx->status;
}

static kin_status compare(kin_ctx *cx, const way *w, const int64_t *after, const int64_t *query, int64_t n,
                          kin_rerank_way *out)
{
    double *hit = kin_alloc(cx, 2 * n, sizeof *hit);
    int64_t *group = kin_alloc(cx, n, sizeof *group);
    for (int64_t i = 0; hit && group && i < n; i++)
        group[i] = w->by_text ? w->in->first.image_of[query[i]] : query[i];
    for (int k = 0; k < KIN_RECALLS && cx->status == KIN_OK; k++) {
        const int64_t depth = kin_min64(kin_recall_at[k], w->gallery);
        for (int64_t i = 0; i < n; i++) {
            hit[i] = w->rank[query[i]] < depth;
            hit[n + i] = after[i] < depth;
        }
        kin_paired_bootstrap(cx, hit, hit + n, group, n, w->in->resamples, &out->recall[k]);
    }
    free(hit);
    free(group);
    return cx->status;
}

static kin_status run_queries(kin_ctx *cx, way *w, const int64_t *query, int64_t n, int64_t *after,
                              int64_t *found)
{
    for (int64_t i = 0; i < n; i++) {
        score_gallery(w, query[i]);
        kin_topk(w->score, w->gallery, w->depth, w->best + i * w->depth, w->judged + i * w->depth);
    }
    KIN_TRY(judge(cx, w, query, n));
    for (int64_t i = 0; i < n; i++) {
        bool has;
        after[i] = rerank(w, query[i], w->best + i * w->depth, w->judged + i * w->depth, &has);
        *found += has;
    }
    return KIN_OK;
}

static kin_status run_way(kin_ctx *cx, way *w, kin_rerank_way *out)
{
    const int64_t some = kin_max64(1, kin_min64(w->queries, AT_ONCE / w->depth)), pairs = some * w->depth;
    int64_t *after = kin_alloc(cx, w->queries, sizeof *after),
            *query = kin_alloc(cx, w->queries, sizeof *query);
    int64_t **const of_pairs[] = {&w->best, &w->image, &w->text, &w->place};
    int64_t n = 0, found = 0;
    w->score = kin_alloc(cx, w->gallery, sizeof *w->score);
    for (int k = 0; k < 4; k++) *of_pairs[k] = kin_alloc(cx, pairs, sizeof **of_pairs[k]);
    w->asked = kin_alloc(cx, pairs, sizeof *w->asked);
    w->judged = kin_alloc(cx, pairs, sizeof *w->judged);
    for (int64_t q = 0; cx->status == KIN_OK && q < w->queries; q++)
        if (w->rank[q] >= 0) query[n++] = q;
    for (int64_t from = 0; cx->status == KIN_OK && from < n; from += some)
        run_queries(cx, w, query + from, kin_min64(some, n - from), after + from, &found);
    *out = (kin_rerank_way){.queries = n, .candidates = w->depth};
    out->ceiling = (double)found / (double)kin_max64(1, n);
    if (cx->status == KIN_OK) compare(cx, w, after, query, n, out);
    free(after);
    free(query);
    free(w->score);
    for (int k = 0; k < 4; k++) free(*of_pairs[k]);
    free(w->asked);
    free(w->judged);
    return cx->status;
}

int64_t kin_rerank_pairs(const kin_rerank_in *in)
{
    const kin_retrieval_in *f = &in->first;
    return f->texts * kin_min64(in->depth, f->images) + f->images * kin_min64(in->depth, f->texts);
}

kin_status kin_rerank_run(kin_ctx *cx, const kin_rerank_in *in, kin_rerank *out)
{
    if (in->depth < 1) return kin_fail(cx, KIN_ARG, "rerank: a depth of %lld", (long long)in->depth);
    KIN_TRY(kin_check_resamples(cx, "rerank", in->resamples));
    kin_retrieval_in first = in->first;
    kin_retrieval before;
    first.bootstrap = 0;
    first.text_rank = kin_alloc(cx, kin_max64(1, first.texts), sizeof *first.text_rank);
    first.image_rank = kin_alloc(cx, kin_max64(1, first.images), sizeof *first.image_rank);
    if (cx->status == KIN_OK && kin_eval_retrieval(cx, &first, &before) == KIN_OK) {
        way text = {.in = in, .by_text = true, .queries = first.texts, .gallery = first.images};
        way image = {.in = in, .queries = first.images, .gallery = first.texts};
        text.rank = first.text_rank;
        image.rank = first.image_rank;
        text.depth = kin_min64(in->depth, first.images);
        image.depth = kin_min64(in->depth, first.texts);
        if (run_way(cx, &text, &out->image) == KIN_OK) run_way(cx, &image, &out->text);
        out->similarity = in->similarity;
        out->pairs = out->image.queries * text.depth + out->text.queries * image.depth;
    }
    free(first.text_rank);
    free(first.image_rank);
    return cx->status;
}

static bool set(json_t *o, const char *name, const char *what, int k, const char *end, json_t *v)
{
    char key[80], at[16] = "";
    if (k) snprintf(at, sizeof at, "@%d", k);
    snprintf(key, sizeof key, "%s_retrieval_%s%s%s", name, what, at, end);
    return json_object_set_new(o, key, v) == 0;
}

static bool set_way(json_t *o, const char *name, const kin_rerank_way *w)
{
    bool ok = set(o, name, "ceiling", 0, "", json_real(w->ceiling));
    for (int i = 0; i < KIN_RECALLS; i++) {
        const kin_difference *d = &w->recall[i];
        const int k = kin_recall_at[i];
        ok &= set(o, name, "recall", k, "", json_real(d->b));
        ok &= set(o, name, "recall", k, "_before", json_real(d->a));
        ok &= set(o, name, "recall", k, "_gain", json_real(d->difference));
        if (d->resamples) ok &= set(o, name, "recall", k, "_gain_ci95", json_pack("[f, f]", d->low, d->high));
    }
    return ok;
}

json_t *kin_rerank_json(kin_ctx *cx, const kin_rerank *r)
{
    json_t *o =
        json_pack("{s:I, s:I, s:f}", "depth", (json_int_t)kin_max64(r->image.candidates, r->text.candidates),
                  "pairs", (json_int_t)r->pairs, "similarity", r->similarity);
    if (o && set_way(o, "image", &r->image) && set_way(o, "text", &r->text)) return o;
    json_decref(o);
    kin_fail(cx, KIN_NOMEM, "rerank: out of memory for the results");
    return NULL;
}

kin_status kin_rerank_ask(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text, int64_t n,
                          float *out)
{
    const kin_rerank_judge *r = self;
    const int64_t width = r->judge->width;
    if (width > 2)
        return kin_fail(cx, KIN_ARG,
                        "rerank: the model answers with %lld classes, not whether text and picture match",
                        (long long)width);
    if (width == 1) return kin_judge_pairs(cx, r->judge, r->data, text, image, n, NULL, out);
    float *all = kin_alloc(cx, n * width, sizeof *all);
    if (all && kin_judge_pairs(cx, r->judge, r->data, text, image, n, NULL, all) == KIN_OK)
        for (int64_t i = 0; i < n; i++) out[i] = all[2 * i + 1] - all[2 * i];
    free(all);
    return cx->status;
}
