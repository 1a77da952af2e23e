/* Amounts as people write them, and `kin plan --budget`, `kin train --budget`: what is refused, in which
 * words, and that what is offered instead fits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/amount.h"
#include "core/backend.h"
#include "core/file.h"
#include "data/scenes.h"
#include "tests/scratch.h"
#include "train/budget.h"

static const char small_json[] = "{\"embed_dim\": 32,"
                                 " \"vision_cfg\": {\"image_size\": 16, \"layers\": 1, \"width\": 32, "
                                 "\"head_width\": 32, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 540, \"width\": "
                                 "32, \"heads\": 1, \"layers\": 1}}";
static const char large_json[] = "{\"embed_dim\": 32,"
                                 " \"vision_cfg\": {\"image_size\": 64, \"layers\": 4, \"width\": 64, "
                                 "\"head_width\": 32, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 540, \"width\": "
                                 "64, \"heads\": 2, \"layers\": 2}}";

static void amounts_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double bytes, seconds, watt_hours, pairs, flop;
    } good[] = {
        {"", 0, 0, 0, 0, 0},
        {"2h", 0, 7200, 0, 0, 0},
        {"90min", 0, 5400, 0, 0, 0},
        {"90m", 0, 5400, 0, 0, 0},
        {"1h30min", 0, 5400, 0, 0, 0},
        {"1 h 30 min", 0, 5400, 0, 0, 0},
        {"2 Hours, 8 gib", 8.0 * (1 << 30), 7200, 0, 0, 0},
        {"8G,1d", 8.0 * (1 << 30), 86400, 0, 0, 0},
        {"1.5GB", 1.5e9, 0, 0, 0, 0},
        {"512MiB", 512.0 * (1 << 20), 0, 0, 0, 0},
        {"0.5kWh", 0, 0, 500, 0, 0},
        {"1e6pairs,2PFLOPs", 0, 0, 0, 1e6, 2e15},
        {" 30 s ", 0, 30, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        kin_ctx cx = {0};
        kin_amounts a;
        if (kin_amounts_read(&cx, "budget", good[i].text, &a) != KIN_OK) fail_msg("%s", cx.message);
        const double want[] = {[KIN_BYTES] = good[i].bytes,
                               [KIN_PAIRS] = good[i].pairs,
                               [KIN_SECONDS] = good[i].seconds,
                               [KIN_WATT_HOURS] = good[i].watt_hours,
                               [KIN_FLOP] = good[i].flop};
        for (int k = 0; k < KIN_AMOUNTS; k++)
            if (fabs(a.of[k] - want[k]) > 1e-9 * want[k])
                fail_msg("%s: amount %d is %g", good[i].text, k, a.of[k]);
    }
    static const char examples[] = "; write for example 2h, 90min, 8GiB, 500Wh, 1e6pairs or 2PFLOP, several "
                                   "with commas between them";
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"two hours", "budget: 'two hours': a number above 0 is expected at 'two hours'"},
        {"2h, -3GiB", "budget: '2h, -3GiB': a number above 0 is expected at '-3GiB'"},
        {"0h", "budget: '0h': a number above 0 is expected at '0h'"},
        {"1e999h", "budget: '1e999h': a number above 0 is expected at '1e999h'"},
        {"2", "budget: '2': a unit is missing"},
        {"500M", "budget: '500M': 'M' is minutes (min) or memory (MiB)?"},
        {"2 weeks", "budget: '2 weeks': 'weeks' is no unit"},
        {"8GiB/2h", "budget: '8GiB/2h': a number above 0 is expected at '/2h'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kin_ctx cx = {0};
        kin_amounts a;
        char want[400];
        snprintf(want, sizeof want, "%s%s", bad[i].says, examples);
        assert_int_equal(kin_amounts_read(&cx, "budget", bad[i].text, &a), KIN_ARG);
        assert_string_equal(cx.message, want);
    }
    kin_ctx cx = {0};
    kin_amounts a;
    assert_int_equal(kin_amounts_read(&cx, "budget", "2h,3h", &a), KIN_ARG);
    assert_string_equal(cx.message, "budget: '2h,3h': two limits of one kind");
}

static void amounts_are_written(void **state)
{
    (void)state;
    static const struct {
        kin_amount kind;
        double value;
        const char *text;
    } cases[] = {
        {KIN_BYTES, 0, "0 bytes"},           {KIN_BYTES, 1536, "1.50 KiB"},
        {KIN_BYTES, 3.0e9, "2.79 GiB"},      {KIN_SECONDS, 59.04, "59.0 s"},
        {KIN_SECONDS, 119, "119.0 s"},       {KIN_SECONDS, 120, "2.0 minutes"},
        {KIN_SECONDS, 5400, "90.0 minutes"}, {KIN_SECONDS, 9000, "2.5 h"},
        {KIN_SECONDS, 259200, "3.0 days"},   {KIN_WATT_HOURS, 0.25, "0.2 Wh"},
        {KIN_WATT_HOURS, 2500, "2.50 kWh"},  {KIN_PAIRS, 6000, "6000 pairs"},
        {KIN_FLOP, 1e8, "0.10 GFLOP"},       {KIN_FLOP, 3.4e15, "3.40 PFLOP"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        assert_string_equal(kin_amount_text(cases[i].kind, cases[i].value, text), cases[i].text);
    }
    static const double wh[] = {0.0, 0.99, 1.0, 9.9, 10.0, 100.0, 1e3, 1e4, 99e3, 1e5, 1e9};
    static const char classes[] = "AABBCDEFFGG";
    for (size_t i = 0; i < sizeof wh / sizeof *wh; i++) assert_int_equal(kin_energy_class(wh[i]), classes[i]);
}

/* What is out of reach gets no address: touching it would end the process without a word. */
static void impossible_arenas_are_refused(void **state)
{
    (void)state;
    const int64_t there = kin_memory_available();
    assert_true(there > 0);
    assert_null(kin_pages_alloc(2 * there + (1ll << 30)));
    void *p = kin_pages_alloc(1 << 20);
    assert_non_null(p);
    kin_pages_free(p, 1 << 20);
}

static void set_number(const char *dir, const char *file, const char *text)
{
    kin_ctx cx = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    assert_int_equal(kin_write_file(&cx, path, text, (int64_t)strlen(text)), KIN_OK);
}

/* A container's limit is less what it uses; files in its cache give way. */
static void a_groups_memory_is_what_it_leaves(void **state)
{
    char dir[] = "/tmp/kin-group-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_true(kin_memory_of_group(dir) == INT64_MAX);
    set_number(dir, "memory.max", "max\n");
    assert_true(kin_memory_of_group(dir) == INT64_MAX);
    set_number(dir, "memory.max", "1000000\n");
    assert_int_equal(kin_memory_of_group(dir), 1000000);
    set_number(dir, "memory.current", "700000\n");
    assert_int_equal(kin_memory_of_group(dir), 300000);
    set_number(dir, "memory.stat", "anon 50000\ninactive_file 200000\nactive_file 100000\n");
    assert_int_equal(kin_memory_of_group(dir), 600000);
    set_number(dir, "memory.current", "2000000\n");
    assert_int_equal(kin_memory_of_group(dir), 1);
    static const char *const files[] = {"memory.max", "memory.current", "memory.stat", NULL};
    for (int i = 0; files[i]; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        remove(path);
    }
    rmdir(dir);
}

static const char run[] = "--train-data train --val-data val --threads 1 --loader-threads 1";

static const char fusion[] = "--model.text.no_causal_mask true --model.fusion.kind xattn "
                             "--model.fusion.layers 2 --loss.itm 1 --loss.mlm 1";

/* Whole sentences, with a # for each number and an @ for each time. */
static void same_but_numbers(const char *text, const char *want)
{
    const char *t = text;
    for (const char *w = want; *w; w++) {
        if (*w == '#' || *w == '@') {
            const size_t n = strspn(t, "0123456789.");
            if (n == 0) fail_msg("no number at '%.40s' in: %s", w, text);
            t += n;
            if (*w == '@') t += 1 + strcspn(t + 1, " :;,");
        } else if (*t++ != *w)
            fail_msg("'%s' is not '%s' (at '%.40s')", text, want, w);
    }
    if (*t) fail_msg("more than wanted: %s", t);
}

static void within_a_budget(void **state)
{
    (void)state;
    char line[600], *out, *err;
    snprintf(line, sizeof line,
             "plan --model small.json %s --batch 16 --steps 400 --eval-every 100 --watts 1e-6 --budget "
             "1000d,20GiB,100kWh,1e9pairs",
             run);
    if (run_kin(line, &out, &err) != 0) fail_msg("%s", err);
    char *at = strstr(out, "the run\n");
    assert_non_null(at);
    same_but_numbers(at,
                     "the run\n"
                     "  400 steps, about @ on cpu-avx#, @ of that for 4 evaluations; 6400 pairs, # GFLOP\n"
                     "  energy class A, about 0.0 Wh: 0 W as --watts says times that time; not measured\n"
                     "  budget: # MiB of 20.00 GiB, # %\n"
                     "  budget: 6400 pairs of 1000000000 pairs, 0 %\n"
                     "  budget: @ of 1000.0 days, # %\n"
                     "  budget: 0.0 Wh of 100.00 kWh, 0 %\n");
    free(out);
    free(err);
    snprintf(line, sizeof line,
             "train --model small.json %s --batch 16 --steps 2 --out kept --budget 1000d,20GiB", run);
    if (run_kin(line, &out, &err) != 0) fail_msg("%s", err);
    at = strstr(err, "budget  ");
    assert_non_null(at);
    *(strstr(at, "planned\n") + 8) = 0;
    same_but_numbers(at, "budget  1000d,20GiB: # MiB of memory and about @ are planned\n");
    char *saved = read_text(in_scratch("kept/config.cfg"));
    assert_null(strstr(saved, "budget")); /* it was of that call */
    free(saved);
    free(out);
    free(err);
}

static void over_a_budget(void **state)
{
    (void)state;
    static const struct {
        const char *options, *says;
        int code;
    } cases[] = {
        {"--steps 1000000 --budget 6s",
         "kin plan: over budget: time @ is @ (# %) more than 6.0 s: --steps # fits, or a smaller --batch or "
         "--model\n",
         1},
        {"--steps 1000000 --budget 1e-6s,1GFLOP --watts 5",
         "kin plan: over budget: time @ is @ (# %) more than 0.0 s: not one step fits; a smaller --model or "
         "--batch; work # TFLOP is # TFLOP (# %) more than 1.00 GFLOP: --steps # fits, or a smaller --batch "
         "or "
         "--model\n",
         1},
        {"--steps 400 --budget 1600pairs",
         "kin plan: over budget: data 6400 pairs is 4800 pairs (300 %) more than 1600 pairs: --steps 100 "
         "fits, "
         "or a smaller --batch or --model\n",
         1},
        {"--steps 400 --budget 1MiB",
         "kin plan: over budget: memory # MiB is # MiB (# %) more than 1.00 MiB; no --chunk is small enough "
         "(weights, gradients and moments alone are # MiB): a smaller --model, or a smaller --batch\n",
         1},
        {"--steps 400 --budget 3fortnights",
         "kin plan: budget: '3fortnights': 'fortnights' is no unit; write for example 2h, 90min, 8GiB, "
         "500Wh, "
         "1e6pairs or 2PFLOP, several with commas between them\n",
         2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[600], *out, *err;
        snprintf(line, sizeof line, "plan --model small.json %s --batch 16 %s", run, cases[i].options);
        const int rc = run_kin(line, &out, &err);
        same_but_numbers(err, cases[i].says);
        assert_int_equal(rc, cases[i].code);
        free(out);
        free(err);
    }
}

/* Refused for memory before a step is taken, with options that then fit; training refuses in the same words
 * and makes no folder. (A budget of one pair ends each of these before a step.) */
static void what_is_offered_fits(void **state)
{
    (void)state;
    char line[800], *out, *err, offered[200];
    snprintf(line, sizeof line,
             "train --model large.json %s --batch 256 --steps 9 --out refused --budget 1pairs,1MiB", run);
    assert_int_equal(run_kin(line, &out, &err), 1);
    const char *first = "kin train: over budget: memory ";
    if (strncmp(err, first, strlen(first)) != 0) fail_msg("%s", err);
    const double limit = 0.6 * atof(err + strlen(first));
    free(out);
    free(err);
    snprintf(line, sizeof line,
             "train --model large.json %s --batch 256 --steps 9 --out refused --budget %.0fMiB", run, limit);
    assert_int_equal(run_kin(line, &out, &err), 1);
    assert_int_not_equal(access(in_scratch("refused"), F_OK), 0);
    char *options = strstr(err, ": --"), *end = strstr(err, " needs about ");
    if (!options || !end || !strstr(end, " MiB and changes no result\n")) fail_msg("%s", err);
    snprintf(offered, sizeof offered, "%.*s", (int)(end - options - 2), options + 2);
    free(out);
    free(err);
    snprintf(line, sizeof line,
             "train --model large.json %s --batch 256 --steps 9 --out refused %s --budget %.0fMiB,1pairs",
             run, offered, limit);
    assert_int_equal(run_kin(line, &out, &err), 1);
    const char *only = "kin train: over budget: data 2304 pairs is ";
    if (strncmp(err, only, strlen(only)) != 0) fail_msg("%s: %s", offered, err);
    free(out);
    free(err);
}

/* Steps over pairs: what is offered is of the fused program, and never a chunk, which they refuse. */
static void fusion_is_offered_no_chunk(void **state)
{
    (void)state;
    static const char *const first = "over budget: memory ";
    char line[900], *out, *err;
    double need[2];
    for (int recompute = 0; recompute < 2; recompute++) {
        snprintf(line, sizeof line, "plan --model large.json %s %s --batch 128 --steps 9 %s --budget 1MiB",
                 run, fusion, recompute ? "--recompute" : "");
        assert_int_equal(run_kin(line, &out, &err), 1);
        const char *at = strstr(err, first);
        if (!at || !strstr(err, "; --recompute is not enough, and steps over pairs have no --chunk (weights"))
            fail_msg("%s", err);
        need[recompute] = atof(at + strlen(first));
        free(out);
        free(err);
    }
    if (need[1] > 0.8 * need[0]) fail_msg("recompute: %g of %g MiB", need[1], need[0]);
    snprintf(line, sizeof line, "plan --model large.json %s %s --batch 128 --steps 9 --budget %.0fMiB", run,
             fusion, (need[0] + need[1]) / 2);
    assert_int_equal(run_kin(line, &out, &err), 1);
    const char *at = strstr(err, ": --recompute");
    const char *about = at ? strstr(at, " needs about ") : NULL;
    if (!about || strstr(err, "--chunk")) fail_msg("%s", err);
    const double said = atof(about + strlen(" needs about "));
    print_message("%g MiB, %g with --recompute; said %g\n", need[0], need[1], said);
    if (fabs(said - need[1]) > 0.05 * need[1]) fail_msg("%g MiB are said, and %g needed", said, need[1]);
    free(out);
    free(err);
}

static int make_data(void **state)
{
    (void)state;
    if (!open_scratch("budget")) return -1;
    kin_ctx cx = {0};
    kin_scenes_cfg c = {.out = in_scratch("train"), .count = 260, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    c = (kin_scenes_cfg){.out = in_scratch("val"), .count = 30, .seed = 2, .size = 32, .split = "val"};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    const kin_status rc =
        kin_write_file(&cx, in_scratch("small.json"), small_json, (int64_t)strlen(small_json));
    if (rc != KIN_OK) return -1;
    return kin_write_file(&cx, in_scratch("large.json"), large_json, (int64_t)strlen(large_json)) == KIN_OK
               ? 0
               : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read),
        cmocka_unit_test(amounts_are_written),
        cmocka_unit_test(impossible_arenas_are_refused),
        cmocka_unit_test(a_groups_memory_is_what_it_leaves),
        cmocka_unit_test(within_a_budget),
        cmocka_unit_test(over_a_budget),
        cmocka_unit_test(what_is_offered_fits),
        cmocka_unit_test(fusion_is_offered_no_chunk),
    };
    return cmocka_run_group_tests_name("budget", tests, make_data, remove_scratch);
}
