/* explain: for every kind of model that looks, maps that are its own attention, asked without changing its
 * answer; for the others a sentence; and what kin explain writes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/image.h"
#include "tests/scratch.h"
#include "tests/tiny_model.h"
#include "train/explain.h"
#include "train/judge_fused.h"

enum { HEIGHT = 16, WIDTH = 32, ROWS = 2, COLUMNS = 4, WORDS = 5 };
static const char text[] = "a red ring above nothing";
static uint8_t pixels[HEIGHT * WIDTH * 3];

#define FUSION(kind) "fusion.kind", kind, "fusion.layers", "2", "heads.itm", "true"
#define MLM "heads.mlm", "true"

typedef struct kind {
    const char *name, *keys[11];
    const char *layer; /* the one that is shown */
    int looks;         /* words, with both ends; or one */
    bool all;          /* nothing but patches is looked at */
    const char *first;
} kind;

static const kind kinds[] = {
    {"class", {NULL}, "visual.transformer.resblocks.0.attn", 1, false, "(picture)"},
    {"pool", {"vision.pool_type", "map", NULL}, "visual.attn_pool.attn", 1, false, "(picture)"},
    {"xattn", {FUSION("xattn"), NULL}, "fusion.resblocks.1.cross", WORDS + 2, false, "(start)"},
    {"bare",
     {FUSION("xattn"), "vision.class_token", "false", "vision.pool_type", "avg", NULL},
     "fusion.resblocks.1.cross",
     WORDS + 2,
     true,
     "(start)"},
    {"joint", {FUSION("joint"), NULL}, "fusion.resblocks.0.attn", WORDS + 3, false, "(pair)"},
    {"joint-mlm", {FUSION("joint"), MLM, NULL}, "fusion.resblocks.1.attn", WORDS + 3, false, "(pair)"},
    {"mmt", {FUSION("mmt"), MLM, NULL}, "fusion.resblocks.1.attn", WORDS + 3, false, "(pair)"},
    {"experts", {FUSION("experts"), NULL}, "fusion.resblocks.1.attn", WORDS + 3, false, "(pair)"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int setup(void **state)
{
    (void)state;
    if (!open_scratch("explain")) return 1;
    for (int i = 0; i < (int)sizeof pixels; i++) pixels[i] = (uint8_t)(37 * i % 251);
    return 0;
}

static void make(const char *name, const char *const *keys)
{
    kin_ctx cx = {0};
    const char *all[13] = {"vision.image_size", "[16, 32]"};
    for (int i = 0; keys[i]; i++) all[2 + i] = keys[i];
    if (kin_make_dirs(&cx, in_scratch(name)) != KIN_OK) fail_msg("%s", cx.message);
    if (!make_tiny_model_with(in_scratch(name), "infonce", all)) fail_msg("%s was not made", name);
}

/* What the model says of the pair when nobody asks where it looks. */
static double match_of(const char *name)
{
    kin_ctx cx = {0};
    kin_session s;
    kin_fused_judge j;
    const char *const one = text;
    const int32_t first = 0;
    float logit[2];
    if (kin_session_open(&cx, &s, in_scratch(name), 1, 1) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_fused_judge_open(&cx, &j, &s.embedder, KIN_ITM) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_fused_judge_pairs(&cx, &j, pixels, 1, &one, 1, &first, &first, 1, logit) != KIN_OK)
        fail_msg("%s", cx.message);
    kin_fused_judge_close(&j);
    kin_session_close(&s);
    return 1.0 / (1.0 + exp((double)logit[0] - (double)logit[1]));
}

static kin_explained explained(const char *name, int64_t layer)
{
    kin_ctx cx = {0};
    kin_session s;
    kin_explained e;
    if (kin_session_open(&cx, &s, in_scratch(name), 1, 1) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_explain(&cx, &s, pixels, text, layer, &e) != KIN_OK) fail_msg("%s: %s", name, cx.message);
    kin_session_close(&s);
    return e;
}

static void every_kind_shows_where_it_looks(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        const kind *k = &kinds[i];
        make(k->name, k->keys);
        kin_explained e = explained(k->name, 0);
        assert_string_equal(e.layer, k->layer);
        assert_int_equal(e.looks, k->looks);
        assert_int_equal(e.rows, ROWS);
        assert_int_equal(e.columns, COLUMNS);
        assert_string_equal(e.word[0], k->first);
        assert_true(e.words == (k->looks > 1) && e.answered == e.words);
        if (e.words) assert_string_equal(e.word[e.looks - 4], "ring");
        if (e.words) assert_true(e.match == match_of(k->name));
        for (int64_t w = 0; w < e.looks; w++) {
            double sum = (double)e.rest[w];
            float least = 1.0f, most = 0.0f;
            for (int p = 0; p < ROWS * COLUMNS; p++) {
                const float x = e.map[w * ROWS * COLUMNS + p];
                sum += (double)x;
                least = fminf(least, x);
                most = fmaxf(most, x);
            }
            assert_float_equal(sum, 1.0, 1e-5);
            assert_true(least > 0.0f && most > least);
            assert_true(k->all == (e.rest[w] < 1e-5f));
        }
        kin_explained_free(&e);
    }
}

static void a_layer_is_chosen(void **state)
{
    (void)state;
    make("two", kinds[2].keys);
    kin_explained one = explained("two", 1), two = explained("two", 2), last = explained("two", 0);
    assert_string_equal(one.layer, "fusion.resblocks.0.cross");
    assert_memory_equal(two.map, last.map, (size_t)(two.looks * ROWS * COLUMNS) * sizeof *two.map);
    assert_memory_not_equal(one.map, two.map, (size_t)(two.looks * ROWS * COLUMNS) * sizeof *two.map);
    kin_explained_free(&one);
    kin_explained_free(&two);
    kin_explained_free(&last);
}

/* In the cut last layer of joint only the pair's own row is left. */
static void a_layer_without_words_shows_the_pair(void **state)
{
    (void)state;
    make("cut", kinds[4].keys);
    kin_explained e = explained("cut", 2);
    assert_int_equal(e.looks, 1);
    assert_string_equal(e.word[0], "(pair)");
    kin_explained_free(&e);
}

static void refuses(const char *name, const char *question, int64_t layer, const char *want)
{
    kin_ctx cx = {0};
    kin_session s;
    kin_explained e;
    if (kin_session_open(&cx, &s, in_scratch(name), 1, 1) != KIN_OK) fail_msg("%s", cx.message);
    assert_int_not_equal(kin_explain(&cx, &s, pixels, question, layer, &e), KIN_OK);
    assert_string_equal(cx.message, want);
    kin_explained_free(&e);
    kin_session_close(&s);
}

static void what_does_not_look_says_so(void **state)
{
    static const char *const mean[] = {"vision.class_token", "false", "vision.pool_type", "avg", NULL};
    (void)state;
    make("mean", mean);
    make("xattn", kinds[2].keys);
    refuses(
        "mean", NULL, 0,
        "nothing in this model looks at a picture: its image tower takes the mean of all patches, and its "
        "fusion (none) sees only that; train one with fusion xattn, or with a class token or attention "
        "pool");
    refuses("xattn", NULL, 0, "this model's words look at the picture: a text is needed");
    refuses("xattn", text, 3, "layer 3: the fusion has 2");
}

static void the_command_writes_a_sheet_or_numbers(void **state)
{
    kin_ctx cx = {0};
    kin_image sheet, picture = {pixels, WIDTH, HEIGHT};
    char *out, *err;
    (void)state;
    make("xattn", kinds[2].keys);
    if (kin_image_save_png(&cx, in_scratch("p.png"), &picture) != KIN_OK) fail_msg("%s", cx.message);
    assert_int_equal(
        run_kin("explain --model xattn --image p.png 'a red ring above nothing' --out s.png", &out, &err), 0);
    assert_non_null(strstr(out, "fusion.resblocks.1.cross  layer 2 of 2, 2 x 4 patches\nit matches: "));
    assert_non_null(strstr(out, "  ring\n"));
    free(out);
    free(err);
    if (kin_image_load(&cx, in_scratch("s.png"), &sheet) != KIN_OK) fail_msg("%s", cx.message);
    assert_true(sheet.width > 6 * 128 && sheet.height > 2 * 64 &&
                sheet.height < 2 * 128); /* the picture and seven maps */
    kin_image_free(&sheet);
    assert_int_equal(
        run_kin("explain --model xattn --image p.png 'a red ring above nothing' --out s.json", NULL, NULL),
        0);
    char *all = read_text(in_scratch("s.json"));
    json_t *o = kin_json_parse(&cx, "s.json", all, strlen(all));
    const json_t *looks = json_object_get(o, "looks");
    assert_int_equal(json_array_size(looks), WORDS + 2);
    kin_explained e = explained("xattn", 0);
    assert_int_equal(json_array_size(json_object_get(json_array_get(looks, 3), "map")), ROWS);
    assert_string_equal(json_string_value(json_object_get(json_array_get(looks, 3), "word")), "ring");
    json_decref(o);
    free(all);
    kin_explained_free(&e);
    assert_int_equal(run_kin("explain --model xattn --image p.png --out s.png", NULL, &err), 1);
    assert_string_equal(err, "kin explain: this model's words look at the picture: a text is needed\n");
    free(err);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_shows_where_it_looks),       cmocka_unit_test(a_layer_is_chosen),
        cmocka_unit_test(a_layer_without_words_shows_the_pair),  cmocka_unit_test(what_does_not_look_says_so),
        cmocka_unit_test(the_command_writes_a_sheet_or_numbers),
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, remove_scratch);
}
