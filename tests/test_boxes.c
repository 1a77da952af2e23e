/* scenes_boxes: sentences are read back by a reader of their own, and what a text or a picture alone tells
 * is measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "data/dataset.h"
#include "data/image.h"
#include "data/scenes_boxes_text.h"
#include "data/scenes_task.h"
#include "data/tokenizer.h"
#include "train/model.h"

static kin_scene_set make(kin_scene_split split, int64_t count)
{
    kin_ctx cx = {0};
    kin_scene_set s;
    const kin_scene_task_cfg cfg = {
        .task = KIN_SCENE_TASK_BOXES, .split = split, .seed = 5, .count = count, .size = KIN_BOX_SIDE};
    assert_int_equal(kin_scene_task_make(&cx, &cfg, &s), KIN_OK);
    return s;
}

/* ---- sentences, read back ---- */

enum { WORDS = 60 };
typedef struct reader {
    const char *word[WORDS];
    int n, at;
    char text[KIN_BOXES_TEXT];
} reader;

static void split_words(reader *r, const char *text)
{
    *r = (reader){0};
    snprintf(r->text, sizeof r->text, "%s", text);
    for (char *p = r->text; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
    for (char *p = strtok(r->text, " ,."); p; p = strtok(NULL, " ,.")) {
        assert_true(r->n < WORDS);
        r->word[r->n++] = p;
    }
}

static bool next(reader *r, const char *word)
{
    const bool is = r->at < r->n && strcmp(r->word[r->at], word) == 0;
    r->at += is;
    return is;
}

static bool end(const reader *r)
{
    return r->at == r->n;
}

/* One of the names, or that with an s; its number, -1. */
static int name(reader *r, const char *const *names, int n)
{
    for (int i = 0; i < n && r->at < r->n; i++) {
        const size_t size = strlen(names[i]);
        const char *w = r->word[r->at];
        if (strncmp(w, names[i], size) != 0 ||
            (w[size] && strcmp(w + size, "s") != 0 && strcmp(w + size, "es") != 0))
            continue;
        r->at++;
        return i;
    }
    return -1;
}

static int number(reader *r)
{
    static const char *const words[] = {"zero", "one", "two", "three", "four", "five", "six", "seven"};
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    for (int n = 0; n < 8; n++)
        if (next(r, words[n]) || next(r, digits[n])) return n;
    return next(r, "no") ? 0 : -1;
}

/* "at least two", "only 1", "a", "no": from .. to of them. */
static bool quantity(reader *r, int *from, int *to)
{
    const bool least = next(r, "atleast") || (next(r, "at") && next(r, "least"));
    if (!least && !next(r, "exactly")) next(r, "only");
    if (next(r, "a") || next(r, "an")) {
        *from = 1;
        *to = 99;
        return true;
    }
    *from = *to = number(r);
    if (least) *to = 99;
    return *from >= 0;
}

static const char *const color_names[] = {"yellow", "black", "blue"};
static const char *const shape_names[] = {"circle", "square", "triangle", "item", "object"};

static bool touches(const kin_box_item *o, const char *what)
{
    const bool x = o->x == 0 || o->x == 100 - o->side, y = o->y == 0 || o->y == 100 - o->side;
    if (strcmp(what, "corner") == 0) return x && y;
    if (strcmp(what, "base") == 0 || strcmp(what, "bottom") == 0) return o->y == 100 - o->side;
    return x || y; /* edge, wall, side */
}

/* 1 true, 0 false, -1 a kind of sentence that this reader does not know. */
static int judge(const kin_boxes *s, const char *text)
{
    static const char *const tower[] = {"tower"}, *const block[] = {"block"};
    reader r;
    int from, to, have = 0;
    split_words(&r, text);
    if (!next(&r, "there") || !(next(&r, "is") || next(&r, "are")) || !quantity(&r, &from, &to)) return -1;
    if (name(&r, tower, 1) == 0) { /* towers with a black block at the top */
        if (!next(&r, "with") && !next(&r, "having")) return -1;
        if (!next(&r, "a") && !next(&r, "1")) return -1;
        const int color = name(&r, color_names, 3);
        if (color < 0 || name(&r, block, 1) != 0 || !next(&r, "at") || !next(&r, "the")) return -1;
        const bool top = next(&r, "top");
        if ((!top && !next(&r, "base") && !next(&r, "bottom")) || !end(&r)) return -1;
        for (int b = 0; b < 3; b++)
            have += s->items[b] > 0 && s->item[b][top ? s->items[b] - 1 : 0].color == color;
        return have >= from && have <= to;
    }
    const int color = name(&r, color_names, 3);
    if (name(&r, block, 1) == 0) { /* blue blocks (as the base of a tower) */
        if (color < 0) return -1;
        const bool as = next(&r, "as") && next(&r, "the"), top = as && next(&r, "top");
        if (as && !((top || next(&r, "base")) && next(&r, "of") && next(&r, "a") && next(&r, "tower")))
            return -1;
        if (!end(&r)) return -1;
        for (int b = 0; b < 3; b++)
            for (int i = 0; i < s->items[b]; i++)
                have += s->item[b][i].color == color && (!as || i == (top ? s->items[b] - 1 : 0));
        return have >= from && have <= to;
    }
    const int shape = name(&r, shape_names, 5);
    if (shape < 0) return -1;
    const bool away = next(&r, "not"), touching = next(&r, "touching");
    if (touching && !next(&r, "the") && !next(&r, "a") && !next(&r, "an")) return -1;
    static const char *const places[] = {"edge", "wall", "side", "corner", "base", "bottom"};
    const int place = touching ? name(&r, places, 6) : 0;
    if (place < 0 || (away && place > 2) || !end(&r)) return -1;
    for (int b = 0; b < 3; b++)
        for (int i = 0; i < s->items[b]; i++) {
            const kin_box_item *o = &s->item[b][i];
            if ((color >= 0 && o->color != color) || (shape < 3 && o->shape != shape)) continue;
            have += !touching || touches(o, places[place]) != away;
        }
    return have >= from && have <= to;
}

static void test_sentences_say_what_is_so(void **state)
{
    (void)state;
    for (int split = 0; split < KIN_SCENE_SPLITS; split++) {
        kin_scene_set s = make((kin_scene_split)split, 2000);
        int64_t known = 0;
        for (int64_t i = 0; i < s.examples; i++) {
            const kin_scene_example *e = &s.example[i];
            const int so = judge(&s.boxes[e->picture], e->text);
            if (so >= 0 && so != e->label) fail_msg("'%s' of %lld", e->text, (long long)i);
            known += so >= 0;
        }
        assert_true(known > s.examples / 5);
        kin_scene_set_free(&s);
    }
}

/* ---- what one alone tells ---- */

static void test_text_alone_knows_nothing(void **state)
{
    (void)state;
    kin_scene_set s = make(KIN_SCENE_TRAIN, 2000);
    int64_t of_towers = 0;
    assert_int_equal(s.examples, 2000);
    assert_int_equal(s.scenes, 2000);
    for (int64_t i = 0; i < s.examples; i += 2) {
        const kin_scene_example *e = &s.example[i];
        assert_string_equal(e[0].text, e[1].text);
        assert_true(e[0].label == 1 && e[1].label == 0);
        assert_true(e[0].picture == i && e[1].picture == i + 1);
        assert_true(memcmp(&s.boxes[i], &s.boxes[i + 1], sizeof *s.boxes) != 0);
        assert_int_equal(s.boxes[i].towers, s.boxes[i + 1].towers);
        of_towers += s.boxes[i].towers;
    }
    assert_int_equal(of_towers, 500);
    kin_scene_set_free(&s);
}

/* Naive Bayes over counts: items of each box and in all, of each color, shape and size, at walls. */
enum { COUNTS = 17, MOST = 24 };
static void look(const kin_boxes *s, int n[COUNTS])
{
    memset(n, 0, COUNTS * sizeof *n);
    for (int b = 0; b < 3; b++)
        for (int i = 0; i < s->items[b]; i++) {
            const kin_box_item *o = &s->item[b][i];
            n[0]++;
            n[1 + b]++;
            n[4 + o->color]++;
            n[7 + o->shape]++;
            n[9 + o->side / 10]++;
            n[13] += touches(o, "edge");
            n[14] += touches(o, "corner");
            n[15] += touches(o, "base");
        }
    n[16] = s->towers;
}

static void test_picture_alone_knows_little(void **state)
{
    (void)state;
    static double seen[COUNTS][MOST + 1][2];
    memset(seen, 0, sizeof seen);
    kin_scene_set train = make(KIN_SCENE_TRAIN, 8000), val = make(KIN_SCENE_VAL, 3000);
    int n[COUNTS], hits = 0;
    for (int64_t i = 0; i < train.examples; i++) {
        look(&train.boxes[i], n);
        for (int k = 0; k < COUNTS; k++) seen[k][n[k]][train.example[i].label]++;
    }
    for (int64_t i = 0; i < val.examples; i++) {
        double score = 0;
        look(&val.boxes[i], n);
        for (int k = 0; k < COUNTS; k++) score += log((seen[k][n[k]][1] + 1) / (seen[k][n[k]][0] + 1));
        hits += (score > 0) == val.example[i].label;
    }
    const double accuracy = hits / (double)val.examples;
    print_message("counts of the picture alone: %.3f\n", accuracy);
    assert_true(accuracy < 0.56);
    kin_scene_set_free(&train);
    kin_scene_set_free(&val);
}

/* The same bytes on every machine: a digest of the first hundred examples. */
static void test_digest(void **state)
{
    (void)state;
    static uint8_t p[400 * 100 * 3];
    kin_scene_set s = make(KIN_SCENE_TEST, 100);
    uint64_t h = KIN_FNV;
    for (int64_t i = 0; i < s.examples; i++) {
        kin_boxes_draw(&s.boxes[i], 100, p);
        h = kin_fnv(h, p, sizeof p);
        h = kin_fnv(h, s.example[i].text, strlen(s.example[i].text));
    }
    kin_scene_set_free(&s);
    if (h != UINT64_C(0x373b1fedbefcd00f)) fail_msg("the digest is 0x%llx", (unsigned long long)h);
}

static void test_same_whatever_their_number(void **state)
{
    (void)state;
    kin_scene_set a = make(KIN_SCENE_TRAIN, 60), b = make(KIN_SCENE_TRAIN, 30), c = make(KIN_SCENE_VAL, 60);
    assert_true(a.examples == 60 && b.examples == 30);
    assert_memory_equal(a.example, b.example, 30 * sizeof *b.example);
    assert_memory_equal(a.boxes, b.boxes, 30 * sizeof *b.boxes);
    int same = 0;
    for (int i = 0; i < 60; i++) same += memcmp(&a.boxes[i], &c.boxes[i], sizeof *a.boxes) == 0;
    assert_int_equal(same, 0);
    kin_scene_set_free(&a);
    kin_scene_set_free(&b);
    kin_scene_set_free(&c);
}

/* ---- always an end, always in the picture, always within a text ---- */

static void test_pairs_are_found(void **state)
{
    (void)state;
    kin_rng r = kin_rng_new(3);
    kin_box_claim c;
    char text[KIN_BOXES_TEXT];
    kin_boxes two[2];
    int found = 0;
    for (int i = 0; i < 3000; i++) {
        kin_boxes_say(&r, i % 2, &c, text);
        assert_in_range(c.clauses, 1, KIN_BOX_CLAUSES);
        assert_null(strpbrk(text, "[]|%"));
        assert_null(strstr(text, "  "));
        assert_true(strlen(text) > 10 && strlen(text) < KIN_BOXES_TEXT - 40);
        if (!kin_boxes_split(&r, &c, two)) continue;
        assert_true(kin_boxes_hold(&two[0], &c) && !kin_boxes_hold(&two[1], &c));
        found++;
        for (int p = 0; p < 2; p++)
            for (int b = 0; b < 3; b++)
                for (int k = 0; k < two[p].items[b]; k++) {
                    const kin_box_item *o = &two[p].item[b][k];
                    assert_true(o->x >= 0 && o->y >= 0 && o->x + o->side <= 100 && o->y + o->side <= 100);
                    for (int j = 0; j < k; j++) {
                        const kin_box_item *q = &two[p].item[b][j];
                        assert_true(o->x > q->x + q->side || q->x > o->x + o->side ||
                                    o->y >= q->y + q->side || q->y >= o->y + o->side);
                    }
                }
    }
    print_message("pairs for %d of 3000 sentences\n", found);
    assert_true(found > 2700);
    c = (kin_box_claim){.whole = true, .clauses = 1, .clause = {{.is = KIN_AT_LEAST, .n = 1000}}};
    assert_false(kin_boxes_split(&r, &c, two));
}

static void test_fits_the_context(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = kin_dataset_open_as(&cx, "scenes:boxes,count=3000,seed=5,size=32",
                                         &(kin_dataset_cfg){.split = "val", .labels = KIN_LABELS_MUST});
    assert_non_null(d);
    kin_tokenizer *t = kin_tokenizer_train(&cx, d->caption, d->captions, 600);
    assert_non_null(t);
    int32_t ids[200];
    int64_t longest = 0;
    for (int64_t c = 0; c < d->captions; c++) {
        const int64_t n = kin_tokenizer_encode(&cx, t, d->caption[c], 200, ids);
        if (n > longest) longest = n;
    }
    print_message("longest sentence: %lld tokens\n", (long long)longest);
    assert_in_range(longest, 10, 64); /* of the model boxes */
    kin_tokenizer_free(t);
    kin_dataset_close(d);
}

static void test_opens_as_data(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = kin_dataset_open_as(&cx, "scenes:boxes,count=60,seed=5",
                                         &(kin_dataset_cfg){.split = "val", .labels = KIN_LABELS_MUST});
    assert_non_null(d);
    assert_int_equal(d->classes, 2);
    assert_string_equal(d->class_name[0], "false");
    assert_string_equal(d->class_name[1], "true");
    assert_int_equal(d->captions, 60);
    assert_int_equal(d->items, 60);
    kin_scene_set s = make(KIN_SCENE_VAL, 60);
    static uint8_t p[400 * 100 * 3];
    for (int64_t c = 0; c < d->captions; c++) {
        assert_string_equal(d->caption[c], s.example[c].text);
        assert_int_equal(d->label[c].label, s.example[c].label);
        assert_int_equal(d->item_of[c], c);
    }
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    kin_image image;
    assert_int_equal(kin_dataset_bytes(&cx, d, 7, &bytes, &size, &own), KIN_OK);
    assert_int_equal(kin_image_decode(&cx, "7", bytes, size, 100000, &image), KIN_OK);
    assert_true(image.width == 400 && image.height == 100);
    kin_boxes_draw(&s.boxes[7], 100, p);
    assert_memory_equal(image.pixels, p, sizeof p);
    kin_image_free(&image);
    kin_scene_set_free(&s);
    kin_dataset_close(d);
}

/* A picture four times as wide as high is seen whole by the model that is for it. */
static void test_model_squashes(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_preprocess p = kin_preprocess_default(), other = p;
    assert_int_equal(kin_model_preprocess(&cx, "boxes", &p), KIN_OK);
    assert_int_equal(p.mode, KIN_RESIZE_SQUASH);
    assert_int_equal(kin_model_preprocess(&cx, "scenes-32", &other), KIN_OK);
    assert_int_equal(other.mode, KIN_RESIZE_SHORTEST);
    json_t *model = kin_model_json(&cx, "boxes");
    assert_non_null(json_object_get(model, "vision_cfg"));
    json_decref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences_say_what_is_so),
        cmocka_unit_test(test_text_alone_knows_nothing),
        cmocka_unit_test(test_picture_alone_knows_little),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_same_whatever_their_number),
        cmocka_unit_test(test_pairs_are_found),
        cmocka_unit_test(test_fits_the_context),
        cmocka_unit_test(test_opens_as_data),
        cmocka_unit_test(test_model_squashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
