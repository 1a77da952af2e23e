/* eval_labels and bootstrap: every digit of an independent evaluator (tests/golden/labels_golden.py), and
 * plain definitions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "train/eval_labels.h"

static json_t *golden(void)
{
    kin_ctx cx = {0};
    json_t *all = kin_json_load(&cx, "tests/golden/labels.json", 1 << 20);
    assert_non_null(all);
    return all;
}

static int64_t *integers(const json_t *list)
{
    int64_t *out = malloc((json_array_size(list) + 1) * sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++) out[i] = json_integer_value(json_array_get(list, i));
    return out;
}

static int32_t *labels(const json_t *list)
{
    int32_t *out = malloc((json_array_size(list) + 1) * sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static double *reals(const json_t *list) /* null: NaN */
{
    double *out = malloc((json_array_size(list) + 1) * sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        out[i] = json_is_null(v) ? (double)NAN : json_number_value(v);
    }
    return out;
}

static void assert_interval(const json_t *want, double low, double high)
{
    assert_true(json_number_value(json_array_get(want, 0)) == low);
    assert_true(json_number_value(json_array_get(want, 1)) == high);
}

static void test_agrees_with_another_evaluator(void **state)
{
    (void)state;
    json_t *all = golden(), *v;
    size_t k;
    kin_ctx cx = {0};
    json_array_foreach(json_object_get(all, "labels"), k, v)
    {
        const json_t *c = json_object_get(v, "case"), *want = json_object_get(v, "want"), *at;
        const json_t *group = json_object_get(c, "group"), *score = json_object_get(c, "score");
        int32_t *label = labels(json_object_get(c, "label")), *guess = labels(json_object_get(c, "guess"));
        int64_t *of = integers(group);
        double *s = reals(score);
        kin_scored in = {.label = label,
                         .guess = guess,
                         .score = score ? s : NULL,
                         .group = group ? of : NULL,
                         .n = (int64_t)json_array_size(json_object_get(c, "label")),
                         .classes = score ? 2 : 5,
                         .bootstrap = json_integer_value(json_object_get(c, "bootstrap"))};
        kin_label_eval e;
        assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_OK);
        json_t *got = kin_label_eval_json(&cx, &e);
        const char *key;
        json_object_foreach((json_t *)kin_only_read(want), key, v)
        {
            at = json_object_get(got, key);
            if (!json_equal(at, v)) print_message("case %zu: %s differs\n", k, key);
            assert_true(json_equal(at, v));
        }
        assert_int_equal(e.groups, group ? e.groups : in.n);
        assert_true(e.accuracy.low <= e.accuracy.value && e.accuracy.value <= e.accuracy.high);
        json_decref(got);
        free(label);
        free(guess);
        free(of);
        free(s);
    }
    assert_int_equal(k, 4);
    json_array_foreach(json_object_get(all, "pairs"), k, v)
    {
        const json_t *c = json_object_get(v, "case"), *want = json_object_get(v, "want");
        const json_t *group = json_object_get(c, "group");
        double *a = reals(json_object_get(c, "a")), *b = reals(json_object_get(c, "b"));
        int64_t *of = integers(group);
        kin_difference d;
        assert_int_equal(kin_paired_bootstrap(&cx, a, b, group ? of : NULL,
                                              (int64_t)json_array_size(json_object_get(c, "a")), 400, &d),
                         KIN_OK);
        assert_true(d.difference == json_real_value(json_object_get(want, "difference")));
        assert_true(d.not_above == json_real_value(json_object_get(want, "not_above")));
        assert_interval(json_object_get(want, "ci95"), d.low, d.high);
        free(a);
        free(b);
        free(of);
    }
    assert_int_equal(k, 2);
    json_decref(all);
}

enum { N = 300 };
static int32_t label[N], guess[N];
static double score[N];
static int64_t group[N];

static kin_scored draw(uint64_t seed, double signal, double steps)
{
    kin_rng r = kin_rng_new(seed);
    for (int i = 0; i < N; i++) {
        label[i] = kin_rng_below(&r, 3) == 0;
        score[i] = signal * label[i] + kin_rng_normal(&r);
        if (steps > 0) score[i] = round(score[i] * steps) / steps;
        guess[i] = score[i] > signal / 2;
        group[i] = i / 6;
    }
    return (kin_scored){.label = label, .guess = guess, .score = score, .group = group, .n = N, .classes = 2};
}

static void test_auroc_is_pairs_won(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    for (int k = 0; k < 3; k++) {
        kin_scored in = draw((uint64_t)k, k, k == 1 ? 1 : 0);
        kin_label_eval e;
        double won = 0, pairs = 0;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                if (label[i] != 1 || label[j] != 0) continue;
                won += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
                pairs++;
            }
        assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_OK);
        assert_true(e.auroc.value == won / pairs);
        for (int i = 0; i < N; i++) score[i] = -score[i];
        assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_OK);
        assert_true(fabs(e.auroc.value - (1 - won / pairs)) < 1e-15);
        for (int i = 0; i < N; i++) score[i] = 7;
        assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_OK);
        assert_true(e.auroc.value == 0.5);
        for (int i = 0; i < N; i++) score[i] = NAN;
        assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_OK);
        assert_true(e.auroc.value == 0);
    }
}

/* Of a label that all examples of a group share, clusters make the interval wider; that is what they are for.
 */
static void test_groups_widen(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_scored in = draw(3, 1, 0);
    for (int i = 0; i < N; i++) {
        label[i] = i / 6 % 2;
        guess[i] = i / 6 % 5 == 0 ? 1 - label[i] : label[i];
    }
    kin_label_eval own, grouped;
    in.bootstrap = 1000;
    assert_int_equal(kin_eval_labels(&cx, &in, &grouped), KIN_OK);
    in.group = NULL;
    assert_int_equal(kin_eval_labels(&cx, &in, &own), KIN_OK);
    assert_true(own.accuracy.value == 0.8 && grouped.accuracy.value == 0.8);
    assert_int_equal(grouped.groups, 50);
    assert_true(grouped.accuracy.high - grouped.accuracy.low > 2 * (own.accuracy.high - own.accuracy.low));
    assert_true(fabs(own.accuracy.low - own.wilson_low) < 0.01);
    assert_true(fabs(own.accuracy.high - own.wilson_high) < 0.01);
}

static void test_threshold(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    draw(4, 1, 3);
    double threshold, reached, best = 0;
    assert_int_equal(kin_threshold(&cx, score, label, N, &threshold, &reached), KIN_OK);
    for (int k = -1; k < N; k++) { /* at each score, and above all */
        int64_t right[2] = {0}, of[2] = {0};
        for (int i = 0; i < N; i++) {
            of[label[i]]++;
            right[label[i]] += label[i] == (k >= 0 && score[i] >= score[k]);
        }
        best = fmax(best, ((double)right[0] / (double)of[0] + (double)right[1] / (double)of[1]) / 2);
    }
    assert_true(fabs(reached - best) < 1e-15);
    int64_t right[2] = {0}, of[2] = {0};
    for (int i = 0; i < N; i++) {
        of[label[i]]++;
        right[label[i]] += label[i] == (score[i] >= threshold);
    }
    assert_true(((double)right[0] / (double)of[0] + (double)right[1] / (double)of[1]) / 2 == reached);
}

static void test_refuses(void **state)
{
    (void)state;
    kin_scored in = draw(5, 1, 0);
    kin_label_eval e;
    kin_ctx cx = {0};
    in.bootstrap = -1;
    assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_ARG);
    kin_clear(&cx);
    in.bootstrap = 0;
    guess[7] = 2;
    assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_ARG);
    assert_string_equal(cx.message, label[7] ? "labels: example 7 has label 1 and guess 2 of 2 classes"
                                             : "labels: example 7 has label 0 and guess 2 of 2 classes");
    kin_clear(&cx);
    in.n = 0;
    assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_SHAPE);
    kin_clear(&cx);
    kin_difference d;
    assert_int_equal(kin_paired_bootstrap(&cx, score, score, NULL, N, 39, &d), KIN_ARG);
    kin_clear(&cx);
    assert_int_equal(kin_paired_bootstrap(&cx, score, score, NULL, 0, 40, &d), KIN_ARG);
    kin_clear(&cx);
    in = (kin_scored){.label = label, .guess = guess, .n = N, .classes = 2, .bootstrap = 39};
    assert_int_equal(kin_eval_labels(&cx, &in, &e), KIN_ARG);
    assert_string_equal(cx.message,
                        "labels: bootstrap is 39, it must be 0, or 40 to 1000000: fewer resamples "
                        "have no 2.5 % tail");
    kin_clear(&cx);
    assert_int_equal(kin_check_resamples(&cx, "x", 0), KIN_OK);
    assert_int_equal(kin_check_resamples(&cx, "x", 40), KIN_OK);
    assert_int_equal(kin_check_resamples(&cx, "x", KIN_MOST_RESAMPLES), KIN_OK);
    assert_int_equal(kin_check_resamples(&cx, "x", KIN_MOST_RESAMPLES + 1), KIN_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_another_evaluator),
        cmocka_unit_test(test_auroc_is_pairs_won),
        cmocka_unit_test(test_groups_widen),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
