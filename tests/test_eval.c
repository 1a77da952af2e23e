/* eval_retrieval and lr against plain definitions: every score stored, every query sorted. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "core/rng.h"
#include "data/npy.h"
#include "train/eval_retrieval.h"
#include "train/lr.h"

typedef struct data {
    kin_retrieval_in in;
    float *image, *text;
    int64_t *image_of;
} data;

/* Captions near their images; `steps` > 0 rounds the elements to few values, so that scores tie. */
static data make(uint64_t seed, int64_t images, int64_t texts, int64_t E, double noise, double steps)
{
    data d = {.image = calloc((size_t)(images * E), sizeof(float)),
              .text = calloc((size_t)(texts * E), sizeof(float)),
              .image_of = calloc((size_t)texts, sizeof(int64_t))};
    kin_rng r = kin_rng_new(seed);
    for (int64_t k = 0; k < images * E; k++) d.image[k] = (float)kin_rng_normal(&r);
    for (int64_t t = 0; t < texts; t++) {
        d.image_of[t] = (int64_t)kin_rng_below(&r, (uint32_t)images);
        for (int64_t e = 0; e < E; e++)
            d.text[t * E + e] = d.image[d.image_of[t] * E + e] + (float)(noise * kin_rng_normal(&r));
    }
    for (int64_t k = 0; steps > 0 && k < images * E; k++)
        d.image[k] = (float)(round((double)d.image[k] * steps) / steps);
    for (int64_t k = 0; steps > 0 && k < texts * E; k++)
        d.text[k] = (float)(round((double)d.text[k] * steps) / steps);
    d.in = (kin_retrieval_in){
        .image = d.image, .text = d.text, .image_of = d.image_of, .images = images, .texts = texts, .E = E};
    return d;
}

static void drop(data *d)
{
    free(d->image);
    free(d->text);
    free(d->image_of);
}

static double score(const data *d, int64_t t, int64_t i)
{
    const float *x = d->text + t * d->in.E, *y = d->image + i * d->in.E;
    double s = 0;
    for (int64_t e = 0; e < d->in.E; e++) s += (double)x[e] * (double)y[e];
    return s;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Rank of query q by the definition: 0 is first; the size of the gallery when nothing right is a number. */
static double plain_rank(const data *d, bool by_text, int64_t q, bool pessimistic)
{
    const int64_t n = by_text ? d->in.images : d->in.texts;
    double best = -INFINITY;
    bool any = false;
    for (int64_t x = 0; x < n; x++) {
        const double s = by_text ? score(d, q, x) : score(d, x, q);
        if ((by_text ? d->image_of[q] != x : d->image_of[x] != q) || isnan(s)) continue;
        best = fmax(best, s);
        any = true;
    }
    if (!any) return (double)n;
    double rank = 0;
    for (int64_t x = 0; x < n; x++) {
        const double s = by_text ? score(d, q, x) : score(d, x, q);
        if (by_text ? d->image_of[q] == x : d->image_of[x] == q) continue;
        rank += pessimistic ? isnan(s) || s >= best : s > best;
    }
    return rank;
}

static bool has_caption(const data *d, int64_t i)
{
    for (int64_t t = 0; t < d->in.texts; t++)
        if (d->image_of[t] == i) return true;
    return false;
}

static void check_way(const data *d, bool by_text, const kin_retrieval_way *w)
{
    const int64_t all = by_text ? d->in.texts : d->in.images, gallery = by_text ? d->in.images : d->in.texts;
    double *rank = calloc((size_t)all, sizeof *rank);
    double sum = 0, mrr = 0, hits[KIN_RECALLS] = {0}, lucky[KIN_RECALLS] = {0};
    int64_t n = 0, nan = 0;
    for (int64_t q = 0; q < all; q++) {
        if (!by_text && !has_caption(d, q)) continue;
        const double p = plain_rank(d, by_text, q, true), o = plain_rank(d, by_text, q, false);
        for (int k = 0; k < KIN_RECALLS; k++) {
            hits[k] += p < kin_recall_at[k] && p < (double)gallery;
            lucky[k] += o < kin_recall_at[k] && o < (double)gallery;
        }
        nan += p == (double)gallery;
        sum += p + 1;
        mrr += 1 / (p + 1);
        rank[n++] = p;
    }
    qsort(rank, (size_t)n, sizeof *rank, ascending);
    assert_int_equal(w->queries, n);
    assert_int_equal(w->gallery, gallery);
    assert_int_equal(w->nan_queries, nan);
    for (int k = 0; k < KIN_RECALLS; k++) {
        assert_true(w->recall[k] == hits[k] / (double)n);
        assert_true(w->optimistic[k] == lucky[k] / (double)n);
    }
    assert_true(fabs(w->mean_rank - sum / (double)n) < 1e-9);
    assert_true(fabs(w->mrr - mrr / (double)n) < 1e-12);
    assert_true(w->median_rank == floor((rank[(n - 1) / 2] + rank[n / 2]) / 2) + 1);
    free(rank);
}

static void is_the_plain_definition(void **state)
{
    (void)state;
    /* images, texts, E, noise, rounding: sizes around the groups and tiles, ties, images without captions */
    static const double cases[][5] = {
        {1, 1, 1, 1, 0},     {3, 7, 5, 1, 0},     {8, 64, 4, 1, 0},    {9, 65, 3, 0.5, 2},
        {40, 200, 16, 1, 0}, {130, 70, 24, 2, 0}, {100, 300, 3, 1, 1}, {60, 300, 2, 0.5, 1},
    };
    kin_ctx cx = {0};
    int ties = 0;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const double *p = cases[c];
        data d = make(c, (int64_t)p[0], (int64_t)p[1], (int64_t)p[2], p[3], p[4]);
        kin_retrieval r;
        assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
        check_way(&d, true, &r.image);
        check_way(&d, false, &r.text);
        double mean = 0;
        for (int k = 0; k < KIN_RECALLS; k++) {
            mean += (r.image.recall[k] + r.text.recall[k]) / 6;
            ties += r.image.optimistic[k] > r.image.recall[k];
        }
        assert_true(fabs(r.mean_recall - mean) < 1e-12);
        drop(&d);
    }
    assert_true(ties > 3);
}

static void nan_is_a_miss(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_retrieval r;
    data d = make(1, 40, 120, 8, 0.3, 0);
    d.text[5 * 8] = NAN;
    d.text[6 * 8 + 3] = INFINITY; /* Inf * 0 and Inf - Inf are NaN too */
    d.image[7 * 8 + 2] = NAN;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    check_way(&d, true, &r.image);
    check_way(&d, false, &r.text);
    assert_true(r.image.nan_queries >= 1 && r.text.nan_queries <= 2);
    for (int64_t k = 0; k < 120 * 8; k++) d.text[k] = NAN;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    for (int k = 0; k < KIN_RECALLS; k++) assert_true(r.image.recall[k] == 0 && r.text.optimistic[k] == 0);
    drop(&d);
    data small = make(2, 2, 2, 2, 0, 0); /* fewer answers than K */
    small.image_of[0] = 0, small.image_of[1] = 1;
    for (int k = 0; k < 4; k++) small.text[k] = NAN;
    assert_int_equal(kin_eval_retrieval(&cx, &small.in, &r), KIN_OK);
    assert_true(r.image.recall[2] == 0 && r.text.recall[2] == 0);
    drop(&small);
}

static void equal_embeddings_are_no_hits(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_retrieval r;
    data d = make(3, 50, 250, 16, 0, 0);
    for (int64_t t = 0; t < 250; t++) d.image_of[t] = t / 5;
    for (int64_t k = 0; k < 50 * 16; k++) d.image[k] = 0.25f;
    for (int64_t k = 0; k < 250 * 16; k++) d.text[k] = 0.1f;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    assert_true(r.image.recall[2] == 0 && r.text.recall[2] == 0 && r.image.optimistic[0] == 1);
    /* Last; the image's own five do not count. */
    assert_true(r.image.mean_rank == 50 && r.text.mean_rank == 246);
    json_t *j = kin_retrieval_json(&cx, &r);
    assert_true(json_real_value(json_object_get(j, "image_retrieval_optimistic@1")) == 1);
    json_decref(j);
    drop(&d);
}

static void chance_is_that_of_a_random_order(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_retrieval r;
    data d = make(4, 20, 60, 4, 0, 0);
    for (int64_t t = 0; t < 60; t++) d.image_of[t] = t < 30 ? 0 : t % 20;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    for (int k = 0; k < KIN_RECALLS; k++) {
        assert_true(fabs(r.image.chance[k] - fmin(1, kin_recall_at[k] / 20.0)) < 1e-12);
        double expected = 0;
        for (int64_t i = 0; i < 20; i++) { /* C(60 - m, K) / C(60, K) by log-gamma */
            int64_t m = 0;
            for (int64_t t = 0; t < 60; t++) m += d.image_of[t] == i;
            const double K = kin_recall_at[k], x = 60 - (double)m;
            expected += (1 - exp(lgamma(x + 1) - lgamma(x - K + 1) - lgamma(61) + lgamma(61 - K))) / 20;
        }
        assert_true(fabs(r.text.chance[k] - expected) < 1e-10);
    }
    drop(&d);
    /* And random embeddings score about that. */
    data e = make(5, 400, 400, 32, 0, 0);
    kin_rng g = kin_rng_new(6);
    for (int64_t t = 0; t < 400; t++) e.image_of[t] = t;
    for (int64_t k = 0; k < 400 * 32; k++) e.text[k] = (float)kin_rng_normal(&g);
    assert_int_equal(kin_eval_retrieval(&cx, &e.in, &r), KIN_OK);
    assert_true(r.image.recall[2] < 0.06 && fabs(r.image.median_rank - 200) < 40);
    drop(&e);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    data d = make(7, 333, 1000, 20, 1, 4);
    d.in.bootstrap = 50;
    kin_retrieval a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    omp_set_num_threads(1);
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &a), KIN_OK);
    for (int threads = 2; threads < 6; threads++) {
        omp_set_num_threads(threads);
        assert_int_equal(kin_eval_retrieval(&cx, &d.in, &b), KIN_OK);
        assert_memory_equal(&a, &b, sizeof a);
    }
    drop(&d);
}

static void intervals_hold_the_value(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    data d = make(8, 200, 1000, 16, 1.2, 0);
    d.in.bootstrap = 1000;
    kin_retrieval r;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    const kin_retrieval_way *ways[] = {&r.image, &r.text};
    for (int w = 0; w < 2; w++)
        for (int k = 0; k < KIN_RECALLS; k++) {
            const double p = ways[w]->recall[k];
            assert_true(ways[w]->low[k] <= p && p <= ways[w]->high[k]);
            if (w == 0) continue; /* captions of an image go together: wider than binomial */
            const double binomial = 2 * 1.96 * sqrt(p * (1 - p) / 200);
            const double width = ways[w]->high[k] - ways[w]->low[k];
            assert_true(width > 0.75 * binomial - 0.01 && width < 1.25 * binomial + 0.01);
        }
    json_t *j = kin_retrieval_json(&cx, &r);
    assert_non_null(j);
    assert_true(json_real_value(json_object_get(j, "image_retrieval_recall@5")) == r.image.recall[1]);
    assert_true(json_real_value(json_object_get(j, "text_retrieval_recall@10")) == r.text.recall[2]);
    assert_true(json_real_value(json_object_get(j, "text_retrieval_median_rank")) == r.text.median_rank);
    assert_true(json_real_value(json_object_get(j, "mean_recall")) == r.mean_recall);
    assert_int_equal(json_array_size(json_object_get(j, "text_retrieval_recall@1_ci95")), 2);
    /* The sum of six that go together is less certain than if they did not, and more than the sum of the
     * ends. */
    const json_t *ci = json_object_get(j, "rsum_ci95");
    double ends = 0.0, apart = 0.0;
    for (int w = 0; w < 2; w++)
        for (int k = 0; k < KIN_RECALLS; k++) {
            const double width = 100.0 * (ways[w]->high[k] - ways[w]->low[k]);
            ends += width;
            apart += width * width;
        }
    const double low = json_number_value(json_array_get(ci, 0)),
                 high = json_number_value(json_array_get(ci, 1));
    assert_true(low < 600.0 * r.mean_recall && 600.0 * r.mean_recall < high);
    assert_true(high - low > sqrt(apart) && high - low < ends);
    assert_int_equal(json_integer_value(json_object_get(j, "texts")), 1000);
    json_decref(j);
    drop(&d);
}

static void load_part(kin_ctx *cx, const char *set, const char *name, kin_npy *a)
{
    char path[96];
    snprintf(path, sizeof path, "tests/golden/eval/%s/%s.npy", set, name);
    if (kin_npy_load(cx, path, a) != KIN_OK) fail_msg("%s", cx->message);
}

/* The same embeddings through numpy and through CLIP_benchmark's torch.topk: tests/golden/eval_golden.py. */
static void agrees_with_another_evaluator(void **state)
{
    (void)state;
    static const char *const sets[] = {"plain", "ties"}, *const ways[] = {"image", "text"};
    kin_ctx cx = {0};
    int between = 0;
    json_t *all = kin_json_load(&cx, "tests/golden/eval/want.json", 1 << 20);
    assert_non_null(all);
    for (int c = 0; c < 4; c++) {
        char key[64];
        kin_npy image, text, of;
        kin_retrieval r;
        load_part(&cx, sets[c / 2], "images", &image);
        load_part(&cx, sets[c / 2], "texts", &text);
        load_part(&cx, sets[c / 2], "image_of", &of);
        const kin_retrieval_in in = {.image = image.data,
                                     .text = text.data,
                                     .image_of = of.data,
                                     .images = image.dim[0],
                                     .texts = text.dim[0],
                                     .E = image.dim[1],
                                     .per_image = c % 2 ? 5 : 0};
        assert_int_equal(kin_eval_retrieval(&cx, &in, &r), KIN_OK);
        snprintf(key, sizeof key, "%s%s", sets[c / 2], c % 2 ? "_first5" : "");
        const json_t *want = json_object_get(all, key);
        assert_int_equal(r.texts, json_integer_value(json_object_get(want, "texts")));
        assert_int_equal(r.most, c % 2 ? 5 : 7);
        for (int w = 0; w < 2; w++) {
            const kin_retrieval_way *way = w ? &r.text : &r.image;
            for (int k = 0; k < KIN_RECALLS; k++) {
                double v[3];
                static const char *const kinds[] = {"recall", "clip_benchmark", "optimistic"};
                for (int i = 0; i < 3; i++) {
                    snprintf(key, sizeof key, "%s_retrieval_%s@%d", ways[w], kinds[i], kin_recall_at[k]);
                    assert_non_null(json_object_get(want, key));
                    v[i] = json_number_value(json_object_get(want, key));
                }
                assert_true(way->recall[k] == v[0] && way->optimistic[k] == v[2]);
                assert_true(way->recall[k] <= v[1] && v[1] <= way->optimistic[k]);
                between += way->recall[k] < v[1] && v[1] < way->optimistic[k];
                if (c < 2) assert_true(v[0] == v[1]); /* without ties there is one answer */
            }
            snprintf(key, sizeof key, "%s_retrieval_mean_rank", ways[w]);
            assert_true(fabs(way->mean_rank - json_number_value(json_object_get(want, key))) < 1e-12);
            snprintf(key, sizeof key, "%s_retrieval_median_rank", ways[w]);
            assert_true(way->median_rank == json_number_value(json_object_get(want, key)));
        }
        kin_npy_free(&image);
        kin_npy_free(&text);
        kin_npy_free(&of);
    }
    assert_true(between >= 10);
    json_decref(all);
}

/* COCO's test set has 25,010 captions of 5,000 pictures, 5 to 7 each; VSE++ ranks the first five: 25,000. */
static void both_denominators_of_coco(void **state)
{
    (void)state;
    enum { IMAGES = 5000, TEXTS = 25010, E = 4 };
    kin_ctx cx = {0};
    kin_retrieval r;
    data d = make(12, IMAGES, TEXTS, E, 0.1, 0);
    int64_t n = 0, *rank = calloc(TEXTS, sizeof *rank), *of_image = calloc(IMAGES, sizeof *of_image);
    for (int64_t i = 0; i < IMAGES; i++)
        for (int64_t k = 0; k < 5 + (i < 8) + 2 * (i == 8); k++) d.image_of[n++] = i;
    assert_int_equal(n, TEXTS);
    d.in.text_rank = rank;
    d.in.image_rank = of_image;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    assert_true(r.image.queries == TEXTS && r.fewest == 5 && r.most == 7 && r.text.gallery == TEXTS);
    int64_t hits = 0, best = 0;
    for (int64_t t = 0; t < TEXTS; t++) hits += rank[t] < 10;
    for (int64_t i = 0; i < IMAGES; i++) best += of_image[i] < 10;
    assert_true((double)hits / TEXTS == r.image.recall[2] && (double)best / IMAGES == r.text.recall[2]);
    json_t *j = kin_retrieval_json(&cx, &r);
    char *says = kin_retrieval_protocol(&cx, j);
    assert_string_equal(says,
                        "5000 images, 25010 captions (5 to 7 an image); any of an image's captions is a "
                        "hit; ties count as misses");
    free(says);
    json_decref(j);
    d.in.per_image = 5;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    assert_true(r.image.queries == 25000 && r.fewest == 5 && r.most == 5 && r.text.gallery == 25000);
    int64_t left_out = 0;
    for (int64_t t = 0; t < TEXTS; t++) left_out += rank[t] < 0;
    assert_int_equal(left_out, 10);
    free(rank);
    free(of_image);
    drop(&d);
}

static void wrong_input_is_refused(void **state)
{
    (void)state;
    data d = make(9, 4, 8, 4, 0, 0);
    kin_retrieval r;
    double accuracy;
    kin_ctx cx = {0};
    d.image_of[3] = 4;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_ARG);
    assert_non_null(strstr(cx.message, "text 3 belongs to image 4"));
    kin_clear(&cx);
    const kin_status rc = kin_swap_accuracy(&cx, d.image, 4, d.text, d.text, d.image_of, 8, 4, &accuracy);
    assert_int_equal(rc, KIN_ARG);
    kin_clear(&cx);
    d.image_of[3] = 0;
    d.in.texts = 0;
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_SHAPE);
    drop(&d);
}

static void swaps_are_counted(void **state)
{
    (void)state;
    const float image[4] = {1, 0, 0, 1};
    /* right, wrong, equal, NaN of the true one, NaN of the other, right */
    const float caption[12] = {2, 0, 1, 9, 3, 1, NAN, 0, 5, 5, 0, 2};
    const float swapped[12] = {1, 7, 2, 0, 3, 4, 0, 0, NAN, 5, 9, 1};
    const int64_t image_of[6] = {0, 0, 0, 0, 0, 1};
    kin_ctx cx = {0};
    double accuracy;
    assert_int_equal(kin_swap_accuracy(&cx, image, 2, caption, swapped, image_of, 6, 2, &accuracy), KIN_OK);
    assert_true(accuracy == 2.5 / 6);
}

static void topk_is_a_sort(void **state)
{
    (void)state;
    enum { MAX = 300 };
    kin_rng r = kin_rng_new(10);
    for (int trial = 0; trial < 300; trial++) {
        float scores[MAX], out[MAX];
        int64_t index[MAX], order[MAX];
        const int64_t n = 1 + (int64_t)kin_rng_below(&r, MAX - 1), k = (int64_t)kin_rng_below(&r, MAX);
        for (int64_t i = 0; i < n; i++) {
            scores[i] = (float)kin_rng_below(&r, 20) - 10;
            if (kin_rng_below(&r, 10) == 0) scores[i] = NAN;
        }
        for (int64_t i = 0; i < n; i++) { /* insertion sort: stable, NaN last */
            int64_t at = i;
            while (at > 0 && !isnan(scores[i]) &&
                   (isnan(scores[order[at - 1]]) || scores[i] > scores[order[at - 1]])) {
                order[at] = order[at - 1];
                at--;
            }
            order[at] = i;
        }
        const int64_t got = kin_topk(scores, n, k, index, out);
        assert_int_equal(got, k < n ? k : n);
        for (int64_t i = 0; i < got; i++) {
            assert_int_equal(index[i], order[i]);
            assert_memory_equal(&out[i], &scores[order[i]], sizeof(float));
        }
    }
    assert_int_equal(kin_topk(NULL, 0, 5, NULL, NULL), 0);
}

static void learning_rates_follow_the_formula(void **state)
{
    (void)state;
    kin_lr s = {.kind = KIN_LR_COSINE, .base = 2, .min = 0.5, .warmup = 0.1, .steps = 110};
    assert_true(fabs(kin_lr_at(&s, 0) - 2.0 / 11) < 1e-12);
    assert_true(kin_lr_at(&s, 10) == 2 && kin_lr_at(&s, 11) == 2);
    for (int64_t step = 11; step < 110; step++) {
        const double t = (double)(step - 11) / 99;
        s.kind = KIN_LR_COSINE;
        assert_true(fabs(kin_lr_at(&s, step) - (0.5 + 1.5 * 0.5 * (1 + cos(acos(-1) * t)))) < 1e-12);
        assert_true(kin_lr_at(&s, step) > kin_lr_at(&s, step + 1));
        s.kind = KIN_LR_LINEAR;
        assert_true(fabs(kin_lr_at(&s, step) - (2 - 1.5 * t)) < 1e-12);
        s.kind = KIN_LR_CONSTANT;
        assert_true(kin_lr_at(&s, step) == 2);
    }
    s.kind = KIN_LR_COSINE;
    assert_true(kin_lr_at(&s, 109) > 0.5 && kin_lr_at(&s, 110) == 0.5 && kin_lr_at(&s, 1000) == 0.5);
    s.warmup = 1;
    assert_true(kin_lr_at(&s, 109) == 2 && kin_lr_at(&s, 110) == 0.5);
    s = (kin_lr){.kind = KIN_LR_LINEAR, .base = 1, .steps = 1};
    assert_true(kin_lr_at(&s, 0) == 1);
    kin_ctx cx = {0};
    kin_lr_kind kind;
    assert_int_equal(kin_lr_kind_of(&cx, "linear", &kind), KIN_OK);
    assert_int_equal(kind, KIN_LR_LINEAR);
    assert_int_equal(kin_lr_kind_of(&cx, "step", &kind), KIN_ARG);
    assert_non_null(strstr(cx.message, "\"step\""));
}

static void is_fast_enough(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    data d = make(11, 1000, 5000, 128, 1, 0);
    kin_retrieval r;
    double t = kin_now();
    assert_int_equal(kin_eval_retrieval(&cx, &d.in, &r), KIN_OK);
    t = kin_now() - t;
    print_message("1000 images, 5000 texts, 128 elements: %.2f s, %.2f Gmac/s\n", t, 0.64 / t);
    drop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_plain_definition),
        cmocka_unit_test(nan_is_a_miss),
        cmocka_unit_test(equal_embeddings_are_no_hits),
        cmocka_unit_test(chance_is_that_of_a_random_order),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(intervals_hold_the_value),
        cmocka_unit_test(agrees_with_another_evaluator),
        cmocka_unit_test(both_denominators_of_coco),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(swaps_are_counted),
        cmocka_unit_test(topk_is_a_sort),
        cmocka_unit_test(learning_rates_follow_the_formula),
        cmocka_unit_test(is_fast_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
