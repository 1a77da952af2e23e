#include "train/eval_retrieval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/bootstrap.h"

const int kin_recall_at[KIN_RECALLS] = {1, 5, 10};

enum {
    GROUP = 8,   /* images scored together: their elements stand side by side, which vectorises */
    TILE = 64,   /* texts that meet a group while it is in the cache */
    STRIPES = 64 /* units of parallel work; a fixed number, so that nothing depends on threads */
};

/* One query: wrong answers that do not score below the best right one, and those that score above. */
typedef struct tally {
    int64_t above, strictly;
} tally;

typedef struct work {
    const kin_retrieval_in *in;
    double *of_text;   /* [texts] score of a caption's own image */
    double *of_image;  /* [images] best score of an image's own captions; NaN: none that is a number */
    int64_t *captions; /* [images] */
    tally *text;       /* [texts] */
    tally *image;      /* [images] */
    tally *stripe;     /* [STRIPES, images] what each stripe counts for the images */
    double *packed;    /* [STRIPES, E, GROUP] */
} work;

static double dot(const float *a, const float *b, int64_t E)
{
    double sum = 0;
    for (int64_t e = 0; e < E; e++) sum += (double)a[e] * (double)b[e];
    return sum;
}

/* out[e][k] = element e of image first + k; zeros past the last image. */
static void pack(const kin_retrieval_in *in, int64_t first, double *restrict out)
{
    const int64_t n = kin_min64(GROUP, in->images - first);
    for (int64_t k = 0; k < GROUP; k++)
        for (int64_t e = 0; e < in->E; e++)
            out[e * GROUP + k] = k < n ? (double)in->image[(first + k) * in->E + e] : 0;
}

/* Two texts against a packed group. Each sum runs over e in order, like dot: the same bits. */
static void score(const float *restrict a, const float *restrict b, const double *restrict packed, int64_t E,
                  double out[2][GROUP])
{
    double x[GROUP] = {0}, y[GROUP] = {0};
    for (int64_t e = 0; e < E; e++) {
        const double u = (double)a[e], v = (double)b[e];
        const double *p = packed + e * GROUP;
        for (int k = 0; k < GROUP; k++) {
            x[k] += u * p[k];
            y[k] += v * p[k];
        }
    }
    memcpy(out[0], x, sizeof x);
    memcpy(out[1], y, sizeof y);
}

/* Counts one score for the text's ranking of images and for the image's ranking of texts. */
static void count(work *w, tally *images, int64_t t, int64_t i, double s)
{
    if (w->in->image_of[t] == i) return;
    w->text[t].above += !(s < w->of_text[t]); /* not >=: a NaN counts as above */
    w->text[t].strictly += s > w->of_text[t];
    images[i].above += !(s < w->of_image[i]);
    images[i].strictly += s > w->of_image[i];
}

static void count_tile(work *w, int64_t stripe, int64_t first, int64_t end)
{
    const kin_retrieval_in *in = w->in;
    tally *images = w->stripe + stripe * in->images;
    double *packed = w->packed + stripe * in->E * GROUP, s[2][GROUP];
    for (int64_t i = 0; i < in->images; i += GROUP) {
        const int64_t n = kin_min64(GROUP, in->images - i);
        pack(in, i, packed);
        for (int64_t t = first; t < end; t += 2) {
            const int64_t second = kin_min64(t + 1, end - 1);
            score(in->text + t * in->E, in->text + second * in->E, packed, in->E, s);
            for (int64_t k = 0; k < n; k++) {
                count(w, images, t, i + k, s[0][k]);
                if (second > t) count(w, images, second, i + k, s[1][k]);
            }
        }
    }
}

static void rank_all(work *w)
{
    const kin_retrieval_in *in = w->in;
    for (int64_t i = 0; i < in->images; i++) w->of_image[i] = NAN;
    for (int64_t t = 0; t < in->texts; t++) {
        const int64_t i = in->image_of[t];
        w->of_text[t] = dot(in->text + t * in->E, in->image + i * in->E, in->E);
        w->of_image[i] = fmax(w->of_image[i], w->of_text[t]); /* the number, where one of them is NaN */
        w->captions[i]++;
    }
    const int64_t tiles = (in->texts + TILE - 1) / TILE;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t stripe = 0; stripe < STRIPES; stripe++)
        for (int64_t tile = stripe; tile < tiles; tile += STRIPES)
            count_tile(w, stripe, tile * TILE, kin_min64((tile + 1) * TILE, in->texts));
    for (int64_t stripe = 0; stripe < STRIPES; stripe++)
        for (int64_t i = 0; i < in->images; i++) {
            w->image[i].above += w->stripe[stripe * in->images + i].above;
            w->image[i].strictly += w->stripe[stripe * in->images + i].strictly;
        }
}

static int ascending_ranks(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The measures of one direction out of its ranks (0 is first; the gallery's size: NaN). Sorts them. */
static void measure(kin_retrieval_way *way, int64_t *rank, int64_t *best_case, int64_t n, int64_t gallery)
{
    int64_t sum = 0;
    *way = (kin_retrieval_way){.queries = n, .gallery = gallery};
    for (int64_t q = 0; q < n; q++) {
        for (int k = 0; k < KIN_RECALLS; k++) {
            const int64_t depth = kin_min64(kin_recall_at[k], gallery);
            way->recall[k] += rank[q] < depth;
            way->optimistic[k] += best_case[q] < depth;
        }
        way->nan_queries += rank[q] == gallery;
        way->mrr += 1 / (double)(rank[q] + 1);
        sum += rank[q];
    }
    for (int k = 0; k < KIN_RECALLS; k++) {
        way->recall[k] /= (double)n;
        way->optimistic[k] /= (double)n;
    }
    way->mrr /= (double)n;
    way->mean_rank = (double)sum / (double)n + 1;
    qsort(rank, (size_t)n, sizeof *rank, ascending_ranks);
    way->median_rank = (double)((rank[(n - 1) / 2] + rank[n / 2]) / 2 + 1);
}

/* Of a random order of `gallery` answers, `right` of them right: the chance of a hit in the first k. */
static double chance_of(int64_t gallery, int64_t right, int k)
{
    double miss = 1;
    for (int64_t j = 0; j < kin_min64(k, gallery); j++)
        miss *= (double)kin_max64(0, gallery - right - j) / (double)(gallery - j);
    return 1 - miss;
}

/* Per image: its queries in both directions and how many of them are hits at each K. */
typedef struct cluster {
    int64_t texts, image;
    int64_t text_hits[KIN_RECALLS], image_hits[KIN_RECALLS];
} cluster;

/* Resamples images together with their captions, which are not independent of one another. */
static kin_status bootstrap(kin_ctx *cx, const kin_retrieval_in *in, const cluster *of, kin_retrieval *out)
{
    const int64_t n = in->bootstrap;
    double *recall = kin_alloc(cx, n * (2 * KIN_RECALLS + 1), sizeof *recall); /* [2 K, then the mean][n] */
    uint32_t *times = kin_alloc(cx, in->images, sizeof *times);
    for (int64_t r = 0; recall && times && r < n; r++) {
        cluster sum = {0};
        kin_resample(r, in->images, times);
        for (int64_t i = 0; i < in->images; i++) {
            sum.texts += times[i] * of[i].texts;
            sum.image += times[i] * of[i].image;
            for (int k = 0; k < KIN_RECALLS; k++) {
                sum.text_hits[k] += times[i] * of[i].text_hits[k];
                sum.image_hits[k] += times[i] * of[i].image_hits[k];
            }
        }
        for (int k = 0; k < KIN_RECALLS; k++) {
            recall[k * n + r] = (double)sum.text_hits[k] / (double)kin_max64(1, sum.texts);
            recall[(KIN_RECALLS + k) * n + r] = (double)sum.image_hits[k] / (double)kin_max64(1, sum.image);
        }
        double *mean = &recall[2 * KIN_RECALLS * n + r];
        *mean = 0.0;
        for (int k = 0; k < 2 * KIN_RECALLS; k++) *mean += recall[k * n + r] / (2 * KIN_RECALLS);
    }
    for (int k = 0; recall && times && k < KIN_RECALLS; k++) {
        kin_percentiles(recall + k * n, n, &out->image.low[k], &out->image.high[k]);
        kin_percentiles(recall + (KIN_RECALLS + k) * n, n, &out->text.low[k], &out->text.high[k]);
    }
    if (recall && times) kin_percentiles(recall + 2 * KIN_RECALLS * n, n, &out->mean_low, &out->mean_high);
    free(recall);
    free(times);
    return cx->status;
}

/* Ranks of each query, where they are wanted. */
static void hand_out(const work *w)
{
    const kin_retrieval_in *in = w->in;
    for (int64_t t = 0; in->text_rank && t < in->texts; t++)
        in->text_rank[t] = isnan(w->of_text[t]) ? in->images : w->text[t].above;
    for (int64_t i = 0; in->image_rank && i < in->images; i++)
        in->image_rank[i] = !w->captions[i] ? -1 : isnan(w->of_image[i]) ? in->texts : w->image[i].above;
}

static void collect(const work *w, int64_t *rank, int64_t *best_case, cluster *of, kin_retrieval *out)
{
    const kin_retrieval_in *in = w->in;
    hand_out(w);
    out->fewest = in->texts;
    for (int64_t t = 0; t < in->texts; t++) {
        cluster *c = &of[in->image_of[t]];
        const bool nan = isnan(w->of_text[t]);
        rank[t] = nan ? in->images : w->text[t].above;
        best_case[t] = nan ? in->images : w->text[t].strictly;
        c->texts++;
        for (int k = 0; k < KIN_RECALLS; k++)
            c->text_hits[k] += rank[t] < kin_min64(kin_recall_at[k], in->images);
    }
    measure(&out->image, rank, best_case, in->texts, in->images);
    int64_t n = 0;
    double chance[KIN_RECALLS] = {0};
    for (int64_t i = 0; i < in->images; i++) {
        if (w->captions[i] == 0) continue;
        const bool nan = isnan(w->of_image[i]);
        rank[n] = nan ? in->texts : w->image[i].above;
        best_case[n] = nan ? in->texts : w->image[i].strictly;
        of[i].image = 1;
        out->fewest = kin_min64(out->fewest, w->captions[i]);
        out->most = kin_max64(out->most, w->captions[i]);
        for (int k = 0; k < KIN_RECALLS; k++) {
            of[i].image_hits[k] = rank[n] < kin_min64(kin_recall_at[k], in->texts);
            chance[k] += chance_of(in->texts, w->captions[i], kin_recall_at[k]);
        }
        n++;
    }
    measure(&out->text, rank, best_case, n, in->texts);
    for (int k = 0; k < KIN_RECALLS; k++) {
        out->image.chance[k] = chance_of(in->images, 1, kin_recall_at[k]);
        out->text.chance[k] = chance[k] / (double)n;
        out->mean_recall += (out->image.recall[k] + out->text.recall[k]) / (2 * KIN_RECALLS);
    }
}

static kin_status check(kin_ctx *cx, const int64_t *image_of, int64_t n, int64_t images, int64_t E)
{
    if (n < 1 || images < 1 || E < 1 || images > INT32_MAX)
        return kin_fail(cx, KIN_SHAPE, "retrieval: %lld texts and %lld images of %lld elements", (long long)n,
                        (long long)images, (long long)E);
    for (int64_t t = 0; t < n; t++)
        if (image_of[t] < 0 || image_of[t] >= images)
            return kin_fail(cx, KIN_ARG, "retrieval: text %lld belongs to image %lld, there are %lld",
                            (long long)t, (long long)image_of[t], (long long)images);
    return KIN_OK;
}

static kin_status rank_and_measure(kin_ctx *cx, const kin_retrieval_in *in, kin_retrieval *out)
{
    *out = (kin_retrieval){.images = in->images, .texts = in->texts, .bootstrap = in->bootstrap};
    const int64_t queries = kin_max64(in->texts, in->images);
    work w = {.in = in};
    w.of_text = kin_alloc(cx, in->texts, sizeof *w.of_text);
    w.of_image = kin_alloc(cx, in->images, sizeof *w.of_image);
    w.captions = kin_alloc0(cx, in->images, sizeof *w.captions);
    w.text = kin_alloc0(cx, in->texts, sizeof *w.text);
    w.image = kin_alloc0(cx, in->images, sizeof *w.image);
    w.stripe = kin_alloc0(cx, in->images, STRIPES * sizeof *w.stripe);
    w.packed = kin_alloc(cx, in->E, STRIPES * GROUP * sizeof *w.packed);
    int64_t *rank = kin_alloc(cx, queries, sizeof *rank);
    int64_t *best_case = kin_alloc(cx, queries, sizeof *best_case);
    cluster *of = kin_alloc0(cx, in->images, sizeof *of);
    kin_status rc = cx->status;
    if (w.of_text && w.of_image && w.captions && w.text && w.image && w.stripe && w.packed && rank &&
        best_case && of) {
        rank_all(&w);
        collect(&w, rank, best_case, of, out);
        rc = in->bootstrap ? bootstrap(cx, in, of, out) : KIN_OK;
    }
    free(of);
    free(best_case);
    free(rank);
    free(w.packed);
    free(w.stripe);
    free(w.image);
    free(w.text);
    free(w.captions);
    free(w.of_image);
    free(w.of_text);
    return rc;
}

/* The first `per_image` captions of each image, copied together, and the ranks put back in their places. */
static kin_status first_captions(kin_ctx *cx, const kin_retrieval_in *in, kin_retrieval *out)
{
    kin_retrieval_in part = *in;
    part.texts = 0;
    int64_t *captions = kin_alloc0(cx, in->images, sizeof *captions);
    int64_t *from = kin_alloc(cx, in->texts, sizeof *from);
    int64_t *image_of = kin_alloc(cx, in->texts, sizeof *image_of);
    int64_t *rank = in->text_rank ? kin_alloc(cx, in->texts, sizeof *rank) : NULL;
    float *text = kin_alloc(cx, in->texts * in->E, sizeof *text);
    if (cx->status == KIN_OK) {
        for (int64_t t = 0; t < in->texts; t++) {
            if (in->text_rank) in->text_rank[t] = -1;
            if (captions[in->image_of[t]]++ >= in->per_image) continue;
            memcpy(text + part.texts * in->E, in->text + t * in->E, (size_t)in->E * sizeof *text);
            from[part.texts] = t;
            image_of[part.texts++] = in->image_of[t];
        }
        part.text = text;
        part.image_of = image_of;
        part.text_rank = rank;
        rank_and_measure(cx, &part, out);
        for (int64_t t = 0; rank && cx->status == KIN_OK && t < part.texts; t++)
            in->text_rank[from[t]] = rank[t];
    }
    free(text);
    free(rank);
    free(image_of);
    free(from);
    free(captions);
    return cx->status;
}

kin_status kin_eval_retrieval(kin_ctx *cx, const kin_retrieval_in *in, kin_retrieval *out)
{
    KIN_TRY(check(cx, in->image_of, in->texts, in->images, in->E));
    KIN_TRY(kin_check_resamples(cx, "retrieval", in->bootstrap));
    if (in->per_image > 0) return first_captions(cx, in, out);
    return rank_and_measure(cx, in, out);
}

/* object["<way>_retrieval_<name>"] = value, or with "@k" when k > 0. */
static bool set(json_t *object, const char *way, const char *name, int k, const char *suffix, json_t *value)
{
    char key[64], at[16] = "";
    if (k > 0) snprintf(at, sizeof at, "@%d", k);
    snprintf(key, sizeof key, "%s_retrieval_%s%s%s", way, name, at, suffix);
    return json_object_set_new(object, key, value) == 0;
}

static bool set_way(json_t *object, const char *name, const kin_retrieval_way *w, bool intervals)
{
    bool ok = true;
    for (int i = 0; i < KIN_RECALLS; i++) {
        const int k = kin_recall_at[i];
        ok &= set(object, name, "recall", k, "", json_real(w->recall[i]));
        if (intervals)
            ok &= set(object, name, "recall", k, "_ci95", json_pack("[f, f]", w->low[i], w->high[i]));
        if (w->optimistic[i] > w->recall[i])
            ok &= set(object, name, "optimistic", k, "", json_real(w->optimistic[i]));
        ok &= set(object, name, "chance", k, "", json_real(w->chance[i]));
    }
    ok &= set(object, name, "median_rank", 0, "", json_real(w->median_rank));
    ok &= set(object, name, "mean_rank", 0, "", json_real(w->mean_rank));
    ok &= set(object, name, "mrr", 0, "", json_real(w->mrr));
    if (w->nan_queries) ok &= set(object, name, "nan", 0, "", json_integer(w->nan_queries));
    return ok;
}

json_t *kin_retrieval_json(kin_ctx *cx, const kin_retrieval *r)
{
    json_t *object = json_object();
    bool ok = set_way(object, "image", &r->image, r->bootstrap > 0);
    ok &= set_way(object, "text", &r->text, r->bootstrap > 0);
    ok &= json_object_set_new(object, "mean_recall", json_real(r->mean_recall)) == 0;
    const double sum = 200.0 * KIN_RECALLS; /* from the mean as a fraction to the sum in per cent */
    ok &= json_object_set_new(object, "rsum", json_real(sum * r->mean_recall)) == 0;
    if (r->bootstrap > 0)
        ok &= json_object_set_new(object, "rsum_ci95",
                                  json_pack("[f, f]", sum * r->mean_low, sum * r->mean_high)) == 0;
    ok &= json_object_set_new(object, "images", json_integer(r->images)) == 0;
    ok &= json_object_set_new(object, "texts", json_integer(r->texts)) == 0;
    if (r->folds) ok &= json_object_set_new(object, "folds", json_integer(r->folds)) == 0;
    ok &= json_object_set_new(object, "captions_per_image",
                              json_pack("[I, I]", (json_int_t)r->fewest, (json_int_t)r->most)) == 0;
    if (ok) return object;
    json_decref(object);
    kin_fail(cx, KIN_NOMEM, "retrieval: out of memory for the results");
    return NULL;
}

static bool ties(const json_t *metrics)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)metrics, key, v) if (strstr(key, "_optimistic@")) return true;
    return false;
}

char *kin_retrieval_protocol(kin_ctx *cx, const json_t *m)
{
    const json_t *each = json_object_get(m, "captions_per_image");
    const long long fewest = json_integer_value(json_array_get(each, 0)),
                    most = json_integer_value(json_array_get(each, 1));
    const long long folds = json_integer_value(json_object_get(m, "folds"));
    const long long images = json_integer_value(json_object_get(m, "images"));
    char range[64], mean[96] = "";
    if (folds) snprintf(mean, sizeof mean, "the mean of %lld folds of %lld images: ", folds, images / folds);
    snprintf(range, sizeof range, fewest == most ? "%lld" : "%lld to %lld", fewest, most);
    return kin_sprintf(
        cx,
        "%s%lld images, %lld captions (%s an image); any of an image's captions is a hit; ties "
        "count as misses%s",
        mean, images, (long long)json_integer_value(json_object_get(m, "texts")), range,
        ties(m) ? " (they matter here: see optimistic)" : "");
}

kin_status kin_swap_accuracy(kin_ctx *cx, const float *image, int64_t images, const float *caption,
                             const float *swapped, const int64_t *image_of, int64_t n, int64_t E, double *out)
{
    KIN_TRY(check(cx, image_of, n, images, E));
    int64_t halves = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *x = image + image_of[i] * E;
        const double right = dot(caption + i * E, x, E), wrong = dot(swapped + i * E, x, E);
        halves += right > wrong ? 2 : right == wrong;
    }
    *out = (double)halves / (2 * (double)n);
    return KIN_OK;
}

/* Does entry a come before entry b? */
static bool before(const float *score, int64_t a, int64_t b)
{
    const float x = score[a], y = score[b];
    if (isnan(x) != isnan(y)) return isnan(y);
    return x > y || (!(x < y) && a < b);
}

/* Restores the heap of n entries, the last one in order at its root, when only the root may be wrong. */
static void sift(const float *score, int64_t *heap, int64_t n)
{
    for (int64_t at = 0;;) {
        int64_t last = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
            if (before(score, heap[last], heap[child])) last = child;
        if (last == at) return;
        const int64_t t = heap[at];
        heap[at] = heap[last];
        heap[last] = t;
        at = last;
    }
}

int64_t kin_topk(const float *scores, int64_t n, int64_t k, int64_t *index, float *score_out)
{
    const int64_t kept = kin_min64(k, n);
    if (kept < 1) return 0;
    int64_t *heap = index;
    for (int64_t i = 0; i < kept; i++) { /* sift up: the heap grows by one */
        int64_t at = i;
        heap[at] = i;
        while (at > 0 && before(scores, heap[(at - 1) / 2], heap[at])) {
            const int64_t parent = (at - 1) / 2, t = heap[parent];
            heap[parent] = heap[at];
            heap[at] = t;
            at = parent;
        }
    }
    for (int64_t i = kept; i < n; i++)
        if (before(scores, i, heap[0])) {
            heap[0] = i;
            sift(scores, heap, kept);
        }
    for (int64_t left = kept - 1; left > 0; left--) { /* heap sort: the last in order goes to the end */
        const int64_t t = heap[0];
        heap[0] = heap[left];
        heap[left] = t;
        sift(scores, heap, left);
    }
    if (score_out)
        for (int64_t i = 0; i < kept; i++) score_out[i] = scores[index[i]];
    return kept;
}
