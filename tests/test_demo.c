/* `kin demo techniques` at its smallest: does everything run, is it said what is wrong, does it go on where
 * it was cut off? What models learn is not asked here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/json.h"
#include "tests/scratch.h"

static char *run(const char *arguments)
{
    char *out, *err;
    const int code = run_kin(arguments, &out, &err);
    if (code != 0) fail_msg("kin %s: exit %d\n%s%s", arguments, code, out, err);
    free(err);
    return out;
}

static json_t *load(const char *name)
{
    kin_ctx cx = {0};
    json_t *o = kin_json_load(&cx, in_scratch(name), 1 << 24);
    if (!o) fail_msg("%s", cx.message);
    return o;
}

/* A row's measure; NaN: it has none. */
static double value_of(const json_t *all, const char *row, const char *measure, const char *which)
{
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(all, "rows"), i, r)
    {
        if (strcmp(json_string_value(json_object_get(r, "name")), row) != 0) continue;
        const json_t *m = json_object_get(json_object_get(r, "measures"), measure);
        return m ? json_number_value(json_object_get(m, which)) : (double)NAN;
    }
    fail_msg("no row %s", row);
    return 0;
}

static const char command[] =
    "demo techniques --scale tiny --only contrastive,joint,linear --bootstrap 40 --out demo";

static void everything_runs(void **state)
{
    (void)state;
    char *out = run(command);
    static const char *const says[] = {"| contrastive ", "| joint ", "| linear ",
                                       "hard swaps",     "XOR",      "ms a query"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) assert_non_null(strstr(out, says[i]));
    free(out);
    json_t *all = load("demo/techniques.json");
    static const char *const measures[] = {"match", "swaps", "hard_swaps", "and",   "no_picture",
                                           "xor",   "count", "questions",  "masked"};
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
        const double v = value_of(all, "joint", measures[i], "value");
        assert_true(v >= 0 && v <= 1 && value_of(all, "joint", measures[i], "low") <= v &&
                    value_of(all, "joint", measures[i], "high") >= v);
        assert_true(value_of(all, "joint", measures[i], "chance") > 0);
    }
    /* What a technique has not: embeddings, a head. */
    assert_true(isnan(value_of(all, "joint", "search", "value")) &&
                value_of(all, "joint", "pairs", "value") >= 0);
    assert_true(isnan(value_of(all, "contrastive", "xor", "value")) &&
                value_of(all, "contrastive", "search", "value") >= 0);
    /* Two towers score a pair as they search: the same. */
    assert_true(value_of(all, "contrastive", "search", "value") ==
                value_of(all, "contrastive", "pairs", "value"));
    /* Towers that are another row's are trained once, and are part of what a row cost. */
    json_t *towers = load("demo/seed-0/contrastive/towers.json");
    assert_true(access(in_scratch("demo/seed-0/linear/towers.json"), F_OK) != 0);
    assert_int_equal(json_integer_value(json_object_get(towers, "steps")), 4);
    json_decref(towers);
    const json_t *models = json_object_get(json_object_get(all, "noise"), "models");
    assert_int_equal(json_array_size(models), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(models, 1), "name")), "joint");
    json_decref(all);
    char *page = read_text(in_scratch("demo/techniques.html"));
    assert_non_null(strstr(page, "<td>joint</td>"));
    assert_non_null(strstr(page, "data:image/png;base64,"));
    free(page);
}

/* A stage that is done is not made again: what stands in its file is what the table says. One that was
 * trained and not asked is asked; one that is gone is made, from the same seed: the same. */
static void goes_on(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    json_t *before = load("demo/techniques.json"), *cell = load("demo/seed-0/joint/swaps.json");
    json_object_set_new(json_object_get(json_object_get(cell, "metrics"), "swaps"), "value",
                        json_real(0.125));
    assert_int_equal(kin_json_save(&cx, in_scratch("demo/seed-0/joint/swaps.json"), cell), KIN_OK);
    json_decref(cell);
    char line[200];
    snprintf(line, sizeof line,
             "cd %s/demo/seed-0 && rm joint/xor.json && rm -r joint/count joint/count.json", scratch);
    assert_int_equal(system(line), 0);
    free(run(command));
    json_t *all = load("demo/techniques.json");
    assert_true(value_of(all, "joint", "swaps", "value") == 0.125);
    assert_true(value_of(all, "joint", "xor", "value") == value_of(before, "joint", "xor", "value"));
    assert_true(value_of(all, "joint", "count", "value") == value_of(before, "joint", "count", "value"));
    json_decref(all);
    /* A stage that was stopped in the middle goes on from there, to the same end. */
    snprintf(line, sizeof line,
             "cd %s && cp demo/seed-0/joint/masked/config.cfg . && rm -r demo/seed-0/joint/masked*", scratch);
    assert_int_equal(system(line), 0);
    free(run("train --config config.cfg --stop-at 1"));
    cell = json_pack("{s:f}", "seconds", 1000.0);
    assert_int_equal(kin_json_save(&cx, in_scratch("demo/seed-0/joint/masked/seconds.json"), cell), KIN_OK);
    json_decref(cell);
    free(run(command));
    cell = load("demo/seed-0/joint/masked.json");
    assert_true(json_number_value(json_object_get(cell, "seconds")) > 1000);
    assert_int_equal(json_integer_value(json_object_get(cell, "steps")), 2);
    json_decref(cell);
    all = load("demo/techniques.json");
    assert_true(value_of(all, "joint", "masked", "value") == value_of(before, "joint", "masked", "value"));
    json_decref(all);
    json_decref(before);
    /* Another seed beside it: the mean, and the range. */
    free(run("demo techniques --scale tiny --only contrastive --seeds 2 --bootstrap 40 --out demo"));
    all = load("demo/techniques.json");
    const double low = value_of(all, "contrastive", "match", "low"),
                 high = value_of(all, "contrastive", "match", "high");
    assert_true(fabs(value_of(all, "contrastive", "match", "value") - (low + high) / 2) < 1e-12);
    json_decref(all);
}

static void slips_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *says;
        int code;
    } slips[] = {
        {"demo tehcniques", "kin demo: there is no demo 'tehcniques'; there is: kin demo techniques\n", 2},
        {"demo techniques --scale huge",
         "kin demo: --scale: there is no 'huge'; there are small, full, tiny\n", 2},
        {"demo techniques --only joint,xattn",
         "kin demo: --only: there is no technique 'xattn'; there are contrastive, late, cross-attention, "
         "joint, mmt, "
         "contrastive-deep, bag-of-words, linear, gated, experts\n",
         2},
        {"demo techniques --only ''", "kin demo: --only: no technique is named\n", 2},
        {"demo techniques --seeds 0", "kin demo: --seeds: 0 is not from 1 to 100\n", 2},
        {"demo techniques --bootstrap 3", "kin demo: --bootstrap: 3 is not from 40 to 1000000\n", 2},
        {"demo techniques --scale small --out demo",
         "kin demo: demo holds a demo of --scale tiny; name another folder with --out, or remove it\n", 1},
        {"train --config techniques/jiont --train-data x",
         "kin train: config 'jiont': no such file, and no such name; did you mean 'joint'? names are: "
         "bag-of-words, contrastive-deep, contrastive, cross-attention, experts, gated, joint, late, linear, "
         "mmt, "
         "xor\n",
         2},
    };
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
        char *err;
        assert_int_equal(run_kin(slips[i].arguments, NULL, &err), slips[i].code);
        assert_string_equal(err, slips[i].says);
        free(err);
    }
    char *out = run("demo");
    assert_non_null(strstr(out, "kin demo techniques"));
    assert_non_null(strstr(out, "cross-attention"));
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_runs), cmocka_unit_test(goes_on),
                                       cmocka_unit_test(slips_are_explained)};
    if (!open_scratch("demo")) return 1;
    return cmocka_run_group_tests(tests, NULL, remove_scratch);
}
