/* Folds against a count by hand: each caption and each image among its own fold's alone, then the mean. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "train/eval_folds.h"

enum { IMAGES = 60, TEXTS = 180, E = 6, FOLDS = 5, EACH = IMAGES / FOLDS };

static float image[IMAGES * E], text[TEXTS * E];
static int64_t image_of[TEXTS];

static double score(int t, int i)
{
    double sum = 0.0;
    for (int e = 0; e < E; e++) sum += (double)text[t * E + e] * (double)image[i * E + e];
    return sum;
}

/* Recall at k of one fold: queries are captions, or images. */
static double recall(int fold, int k, bool of_captions)
{
    const int from = fold * EACH, to = from + EACH;
    int hits = 0, queries = 0;
    for (int q = of_captions ? 0 : from; q < (of_captions ? TEXTS : to); q++) {
        if (of_captions && (image_of[q] < from || image_of[q] >= to)) continue;
        double best = -INFINITY;
        int above = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int c = of_captions ? from : 0; c < (of_captions ? to : TEXTS); c++) {
                const int64_t own = of_captions ? image_of[q] : q, is = of_captions ? c : image_of[c];
                if (is < from || is >= to) continue;
                const double s = of_captions ? score(q, c) : score(c, q);
                if (pass == 0 && is == own) best = fmax(best, s);
                if (pass == 1 && is != own) above += s >= best;
            }
        queries++;
        hits += above < k;
    }
    return (double)hits / queries;
}

static void folds_are_the_mean(void **state)
{
    (void)state;
    kin_rng r = kin_rng_new(7);
    for (int i = 0; i < IMAGES * E; i++) image[i] = (float)kin_rng_below(&r, 1000) / 500.0f - 1.0f;
    for (int t = 0; t < TEXTS; t++) {
        image_of[t] = (t * 37 + 11) % IMAGES; /* not in the order of images */
        for (int e = 0; e < E; e++)
            text[t * E + e] = image[image_of[t] * E + e] + (float)kin_rng_below(&r, 1000) / 400.0f - 1.25f;
    }
    kin_ctx cx = {0};
    kin_retrieval have, whole, fold;
    kin_retrieval_in in = {
        .image = image, .text = text, .image_of = image_of, .images = IMAGES, .texts = TEXTS, .E = E};
    if (kin_eval_folds(&cx, &in, FOLDS, &have) != KIN_OK) fail_msg("%s", cx.message);
    for (int k = 0; k < KIN_RECALLS; k++) {
        double captions = 0.0, images = 0.0;
        for (int f = 0; f < FOLDS; f++) {
            captions += recall(f, kin_recall_at[k], true) / FOLDS;
            images += recall(f, kin_recall_at[k], false) / FOLDS;
        }
        assert_true(fabs(have.image.recall[k] - captions) < 1e-12);
        assert_true(fabs(have.text.recall[k] - images) < 1e-12);
    }
    assert_true(have.image.recall[0] < 1.0 && have.image.recall[0] > 0.0);
    assert_true(have.folds == FOLDS && have.images == IMAGES && have.texts == TEXTS);
    assert_true(have.fewest == 3 && have.most == 3);
    assert_true(fabs(have.image.chance[0] - 1.0 / EACH) < 1e-12);
    /* One fold is no fold; the whole gallery is harder. */
    assert_int_equal(kin_eval_folds(&cx, &in, 1, &fold), KIN_OK);
    assert_int_equal(kin_eval_retrieval(&cx, &in, &whole), KIN_OK);
    assert_true(fold.folds == 0 && fold.image.recall[0] == whole.image.recall[0]);
    assert_true(whole.image.recall[0] < have.image.recall[0]);
    json_t *m = kin_retrieval_json(&cx, &have);
    char *protocol = kin_retrieval_protocol(&cx, m);
    assert_string_equal(protocol,
                        "the mean of 5 folds of 12 images: 60 images, 180 captions (3 an image); any of an "
                        "image's captions is a hit; ties count as misses");
    free(protocol);
    json_decref(m);
    assert_int_equal(kin_eval_folds(&cx, &in, 7, &fold), KIN_ARG);
    assert_string_equal(cx.message, "7 folds of 60 images are not all of one size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folds_are_the_mean)};
    return cmocka_run_group_tests_name("folds", tests, NULL, NULL);
}
