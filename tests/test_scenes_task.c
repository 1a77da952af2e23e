/* scenes_task: labels are judged again from the pictures and the words, and what one modality alone (or any
 * sum of both) can know is measured by a naive Bayes classifier over everything that is in a picture or a
 * text. */
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
#include "data/scenes_task.h"

enum { MAX_WORDS = 40, BUCKETS = 1 << 14, FEATURES = 128, CLASSES = 30 };

static kin_scene_set make(kin_scene_task task, kin_scene_split split, int64_t count)
{
    kin_ctx cx = {0};
    kin_scene_set s;
    const kin_scene_task_cfg cfg = {.task = task, .split = split, .seed = 5, .count = count, .size = 64};
    assert_int_equal(kin_scene_task_make(&cx, &cfg, &s), KIN_OK);
    return s;
}

/* ---- words ---- */

typedef struct words {
    int count;
    const char *word[MAX_WORDS];
    char text[KIN_SCENE_CAPTION];
} words;

static void split_words(const char *text, words *w)
{
    w->count = 0;
    snprintf(w->text, sizeof w->text, "%s", text);
    for (char *p = strtok(w->text, " ,:?"); p; p = strtok(NULL, " ,:?")) {
        assert_true(w->count < MAX_WORDS);
        w->word[w->count++] = p;
    }
}

static int find(const char *const *names, int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], word) == 0) return i;
    return -1;
}

static int color_of(const char *word)
{
    return find(kin_scene_colors, KIN_SCENE_COLORS, word);
}
static int size_of(const char *word)
{
    return find(kin_scene_sizes, KIN_SCENE_SIZES, word);
}
static int shape_of(const char *word)
{
    return find(kin_scene_shapes, KIN_SCENE_SHAPES, word);
}

/* Up to two things of a text: a color and a shape, -1: masked; a size, -1: not said. Returns how many. */
static int sized_things(const words *w, int color[2], int shape[2], int size[2])
{
    int n = 0;
    for (int i = 0; i + 1 < w->count && n < 2; i++) {
        const int c = color_of(w->word[i]), s = shape_of(w->word[i + 1]);
        const bool hole = strcmp(w->word[i], "[mask]") == 0, hidden = strcmp(w->word[i + 1], "[mask]") == 0;
        if (!((c >= 0 || hole) && (s >= 0 || hidden))) continue;
        color[n] = c;
        size[n] = i > 0 ? size_of(w->word[i - 1]) : -1;
        shape[n++] = s;
    }
    return n;
}

static int things(const words *w, int color[2], int shape[2])
{
    int size[2];
    return sized_things(w, color, shape, size);
}

static int relation_in(const words *w)
{
    static const char *const heads[] = {"left", "right", "above", "below", "under"};
    for (int i = 0; i < w->count; i++) {
        const int k = find(heads, 5, w->word[i]);
        if (k >= 0) return k == 4 ? KIN_BELOW : k;
    }
    return -1;
}

/* Is there an a and a b, a on that side of b? (The background is the same in what is true and false.) */
static bool holds_sized(const kin_scene *s, const int color[2], const int shape[2], const int size[2], int is)
{
    for (int a = 0; a < s->count; a++) {
        for (int b = 0; b < s->count; b++) {
            const kin_scene_object *x = &s->object[a], *y = &s->object[b];
            if (a == b || x->color != color[0] || x->shape != shape[0] || y->color != color[1] ||
                y->shape != shape[1] || (size[0] >= 0 && x->size != size[0]) ||
                (size[1] >= 0 && y->size != size[1]))
                continue;
            if (is == KIN_LEFT_OF    ? x->x1 < y->x0
                : is == KIN_RIGHT_OF ? x->x0 > y->x1
                : is == KIN_ABOVE    ? x->y1 < y->y0
                                     : x->y0 > y->y1)
                return true;
        }
    }
    return false;
}

static bool holds(const kin_scene *s, const int color[2], const int shape[2], int is)
{
    return holds_sized(s, color, shape, (const int[]){-1, -1}, is);
}

static int count_of(const kin_scene *s, int color, int shape)
{
    int n = 0;
    for (int i = 0; i < s->count; i++)
        n += (color < 0 || s->object[i].color == color) && (shape < 0 || s->object[i].shape == shape);
    return n;
}

static const kin_scene_object *only(const kin_scene *s, int color, int shape)
{
    assert_int_equal(count_of(s, color, shape), 1);
    for (int i = 0;; i++)
        if ((color < 0 || s->object[i].color == color) && (shape < 0 || s->object[i].shape == shape))
            return &s->object[i];
}

static const char *answer(const kin_scene *s, const words *w)
{
    static const char *const numbers[] = {"zero", "one", "two", "three", "four", "five"};
    int color[2], shape[2];
    const int n = things(w, color, shape);
    if (strcmp(w->word[0], "is") == 0 && n == 2) return holds(s, color, shape, relation_in(w)) ? "yes" : "no";
    if (strcmp(w->word[0], "is") == 0) return count_of(s, color[0], shape[0]) ? "yes" : "no";
    if (strcmp(w->word[1], "color") == 0) return kin_scene_colors[only(s, -1, shape_of(w->word[4]))->color];
    if (strcmp(w->word[1], "shape") == 0) return kin_scene_shapes[only(s, color_of(w->word[4]), -1)->shape];
    if (strcmp(w->word[1], "size") == 0) return kin_scene_sizes[only(s, color[0], shape[0])->size];
    if (strcmp(w->word[1], "pattern") == 0) return kin_scene_patterns[s->pattern];
    assert_string_equal(w->word[0], "how");
    if (strcmp(w->word[2], "shapes") == 0) return numbers[s->count];
    char single[20]; /* "crosses", "rings" */
    snprintf(single, sizeof single, "%s", w->word[2]);
    for (size_t k = strlen(single); shape_of(single) < 0 && color_of(single) < 0 && k > 1;) single[--k] = 0;
    return numbers[count_of(s, color_of(single), shape_of(single))];
}

/* What the label should be, as a class's name. */
static const char *judge(kin_scene_task task, const kin_scene *s, const char *text)
{
    words w;
    int color[2], shape[2], size[2];
    split_words(text, &w);
    const bool red = count_of(s, 0, -1) > 0, on = strcmp(w.word[w.count - 1], "on") == 0;
    switch (task) {
    case KIN_SCENE_TASK_SWAPS:
    case KIN_SCENE_TASK_ATTRIBUTES:
        assert_int_equal(sized_things(&w, color, shape, size), 2);
        return holds_sized(s, color, shape, size, relation_in(&w)) ? "match" : "no-match";
    case KIN_SCENE_TASK_XOR: return red != on ? "true" : "false";
    case KIN_SCENE_TASK_AND: return red && on ? "true" : "false";
    case KIN_SCENE_TASK_MASKED:
        assert_int_equal(things(&w, color, shape), 2);
        for (int k = 0; k < 2; k++) {
            int *hole = color[k] < 0 ? &color[k] : shape[k] < 0 ? &shape[k] : NULL;
            const bool of_color = color[k] < 0;
            int right = -1;
            for (int v = 0; hole && v < 8; v++) {
                *hole = v;
                if (!holds(s, color, shape, relation_in(&w))) continue;
                assert_int_equal(right, -1); /* one word alone is true */
                right = v;
            }
            if (hole) return of_color ? kin_scene_colors[right] : kin_scene_shapes[right];
        }
        return "no hole";
    default: return answer(s, &w);
    }
}

static void test_labels_are_right(void **state)
{
    (void)state;
    for (int t = 0; t < KIN_SCENE_TASK_BOXES; t++) {
        if (t == KIN_SCENE_TASK_MATCH) continue; /* tests/test_scenes.c judges whole captions */
        for (int split = 0; split < KIN_SCENE_SPLITS; split++) {
            kin_scene_set s = make((kin_scene_task)t, (kin_scene_split)split, 700);
            int classes;
            const char *const *names = kin_scene_task_classes((kin_scene_task)t, &classes);
            for (int64_t i = 0; i < s.examples; i++) {
                const kin_scene_example *e = &s.example[i];
                assert_in_range(e->label, 0, classes - 1);
                assert_string_equal(judge((kin_scene_task)t, &s.scene[e->picture], e->text), names[e->label]);
            }
            kin_scene_set_free(&s);
        }
    }
}

/* ---- balance that is exact ---- */

static int by_word(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void assert_same_words(const char *a, const char *b)
{
    words x, y;
    split_words(a, &x);
    split_words(b, &y);
    qsort(x.word, (size_t)x.count, sizeof *x.word, by_word);
    qsort(y.word, (size_t)y.count, sizeof *y.word, by_word);
    assert_int_equal(x.count, y.count);
    for (int i = 0; i < x.count; i++) assert_string_equal(x.word[i], y.word[i]);
}

static void test_pictures_and_words_are_balanced(void **state)
{
    (void)state;
    for (int t = KIN_SCENE_TASK_SWAPS; t <= KIN_SCENE_TASK_ATTRIBUTES; t++) {
        kin_scene_set s = make((kin_scene_task)t, KIN_SCENE_TEST, 400);
        for (int64_t i = 0; i < s.examples; i += 2) {
            const kin_scene_example *e = &s.example[i];
            assert_true(e[0].picture == e[1].picture && e[0].label == 1 && e[1].label == 0);
            assert_true(s.scene[e->picture].count >= 4);
            assert_same_words(e[0].text, e[1].text);
        }
        kin_scene_set_free(&s);
    }
    for (int t = KIN_SCENE_TASK_MATCH; t <= KIN_SCENE_TASK_XOR; t++) {
        kin_scene_set s = make((kin_scene_task)t, KIN_SCENE_TRAIN, 400);
        for (int64_t i = 0; i < s.examples; i += 4) { /* p p' x t t', labels 1 on one diagonal */
            const kin_scene_example *e = &s.example[i];
            assert_true(e[0].picture == e[2].picture && e[1].picture == e[3].picture);
            assert_true(e[0].picture != e[1].picture && strcmp(e[0].text, e[2].text) != 0);
            assert_string_equal(e[0].text, e[1].text);
            assert_string_equal(e[2].text, e[3].text);
            assert_true(e[0].label == e[3].label && e[1].label == e[2].label && e[0].label != e[1].label);
        }
        kin_scene_set_free(&s);
    }
    kin_scene_set s = make(KIN_SCENE_TASK_COUNT, KIN_SCENE_TRAIN, 300);
    for (int64_t i = 0; i < s.examples; i += 3)
        for (int k = 0; k < 3; k++)
            assert_true(s.example[i + k].label == k && s.example[i + k].picture == s.example[i].picture);
    kin_scene_set_free(&s);
}

/* Each of seven kinds is asked 120 times; yes and no are answers of two kinds. */
static void test_answers_are_balanced(void **state)
{
    (void)state;
    static const int times[CLASSES] = {15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  15,
                                       15, 40, 40, 40, 30, 30, 30, 30, 24, 24, 24, 24, 24, 120, 120};
    kin_scene_set s = make(KIN_SCENE_TASK_QUESTIONS, KIN_SCENE_TRAIN, 7 * 120);
    int64_t n[CLASSES] = {0};
    for (int64_t i = 0; i < s.examples; i++) n[s.example[i].label]++;
    for (int k = 0; k < CLASSES; k++) assert_int_equal(n[k], times[k]);
    kin_scene_set_free(&s);
    s = make(KIN_SCENE_TASK_MASKED, KIN_SCENE_TRAIN, 320);
    memset(n, 0, sizeof n);
    for (int64_t i = 0; i < s.examples; i++) n[s.example[i].label]++;
    for (int k = 0; k < 16; k++) assert_int_equal(n[k], 20);
    kin_scene_set_free(&s);
}

/* ---- pairs kept for test ---- */

static void test_unseen_pairs(void **state)
{
    (void)state;
    static const kin_scene_task tasks[] = {KIN_SCENE_TASK_SWAPS, KIN_SCENE_TASK_ATTRIBUTES,
                                           KIN_SCENE_TASK_QUESTIONS, KIN_SCENE_TASK_MASKED};
    for (int k = 0; k < 4; k++) {
        for (int split = 0; split < KIN_SCENE_SPLITS; split++) {
            kin_scene_set s = make(tasks[k], (kin_scene_split)split, 420);
            for (int64_t i = 0; i < s.examples; i++) {
                words w;
                int color[2], shape[2], held = 0;
                split_words(s.example[i].text, &w);
                const int n = things(&w, color, shape);
                for (int j = 0; j < n; j++)
                    held += color[j] >= 0 && shape[j] >= 0 && kin_scene_held_out(color[j], shape[j]);
                if (split != KIN_SCENE_TEST) assert_int_equal(held, 0);
                const bool right = k != 1 || s.example[i].label == 1; /* exchanged colors may be any */
                if (split == KIN_SCENE_TEST && k < 2 && right) assert_true(held > 0);
            }
            kin_scene_set_free(&s);
        }
    }
}

/* ---- naive Bayes: a sum over features, each weighed by how its frequency differs between the classes ----
 */

enum { PICTURE = 1, TEXT = 2, JOINT = 4 };

typedef struct features {
    int n;
    uint32_t at[FEATURES];
} features;

static void feature(features *f, const char *kind, const char *a, const char *b)
{
    char all[100];
    snprintf(all, sizeof all, "%s|%s|%s", kind, a, b);
    assert_true(f->n < FEATURES);
    f->at[f->n++] = (uint32_t)(kin_fnv(KIN_FNV, all, strlen(all)) % BUCKETS);
}

static features look(const kin_scene *s, const char *text, int with)
{
    features f = {0};
    words w;
    char value[12];
    split_words(text, &w);
    for (int i = 0; i < s->count && with & PICTURE; i++)
        feature(&f, "pair", kin_scene_colors[s->object[i].color], kin_scene_shapes[s->object[i].shape]);
    for (int v = 0; v < 8 && with & PICTURE; v++) {
        snprintf(value, sizeof value, "%d", count_of(s, v, -1));
        feature(&f, "color", kin_scene_colors[v], value);
        snprintf(value, sizeof value, "%d", count_of(s, -1, v));
        feature(&f, "shape", kin_scene_shapes[v], value);
    }
    snprintf(value, sizeof value, "%d", s->count);
    if (with & PICTURE) feature(&f, "count", value, "");
    if (with & PICTURE) feature(&f, "ground", kin_scene_patterns[s->pattern], kin_scene_tones[s->tone]);
    for (int i = 0; i < w.count && with & TEXT; i++) {
        feature(&f, "word", w.word[i], "");
        feature(&f, "words", w.word[i], i + 1 < w.count ? w.word[i + 1] : ".");
    }
    if (with & TEXT) feature(&f, "text", text, "");
    if (with & JOINT) feature(&f, "joint", count_of(s, 0, -1) ? "red" : "", w.word[w.count - 1]);
    return f;
}

static double learn(kin_scene_task task, int with)
{
    static double seen[BUCKETS][CLASSES], of[CLASSES];
    int classes, hits = 0;
    kin_scene_task_classes(task, &classes);
    for (int k = 0; k < CLASSES; k++) of[k] = 0;
    memset(seen, 0, sizeof seen);
    kin_scene_set train = make(task, KIN_SCENE_TRAIN, 8400), val = make(task, KIN_SCENE_VAL, 2520);
    for (int64_t i = 0; i < train.examples; i++) {
        const kin_scene_example *e = &train.example[i];
        const features f = look(&train.scene[e->picture], e->text, with);
        of[e->label]++;
        for (int k = 0; k < f.n; k++) seen[f.at[k]][e->label]++;
    }
    for (int64_t i = 0; i < val.examples; i++) {
        const kin_scene_example *e = &val.example[i];
        const features f = look(&val.scene[e->picture], e->text, with);
        double best = -INFINITY;
        int guess = 0;
        for (int c = 0; c < classes; c++) {
            double score = log(of[c]);
            for (int k = 0; k < f.n; k++) score += log((seen[f.at[k]][c] + 0.5) / (of[c] + 1));
            if (score > best) {
                best = score;
                guess = c;
            }
        }
        hits += guess == e->label;
    }
    const double accuracy = hits / (double)val.examples;
    kin_scene_set_free(&train);
    kin_scene_set_free(&val);
    return accuracy;
}

/* The most that one modality may reach; both: any sum over them. 0.035 is three standard errors of a half. */
static void test_no_shortcut(void **state)
{
    (void)state;
    static const struct {
        double picture, text, both;
    } most[KIN_SCENE_TASK_BOXES] = {
        [KIN_SCENE_TASK_SWAPS] = {0.5, 0.535, 0.535},  [KIN_SCENE_TASK_ATTRIBUTES] = {0.5, 0.535, 0.535},
        [KIN_SCENE_TASK_MATCH] = {0.5, 0.5, 0.535},    [KIN_SCENE_TASK_XOR] = {0.5, 0.5, 0.535},
        [KIN_SCENE_TASK_AND] = {5 / 6.0, 5 / 6.0, 1},  [KIN_SCENE_TASK_COUNT] = {1 / 3.0, 0.37, 0.37},
        [KIN_SCENE_TASK_QUESTIONS] = {0.2, 0.33, 0.7}, [KIN_SCENE_TASK_MASKED] = {0.28, 0.18, 0.6},
    };
    for (int t = 0; t < KIN_SCENE_TASK_BOXES; t++) {
        const kin_scene_task task = (kin_scene_task)t;
        const double picture = learn(task, PICTURE), text = learn(task, TEXT),
                     both = learn(task, PICTURE | TEXT);
        print_message("%-10s picture %.3f, text %.3f, sum of both %.3f\n", kin_scene_task_names[t], picture,
                      text, both);
        assert_true(picture <= most[t].picture + 1e-12);
        assert_true(text <= most[t].text + 1e-12);
        assert_true(both <= most[t].both + 1e-12);
    }
    /* Were there one, it would be found. */
    assert_true(learn(KIN_SCENE_TASK_XOR, JOINT) == 1.0);
    assert_true(learn(KIN_SCENE_TASK_AND, PICTURE | TEXT) > 0.95);
}

static void test_fewer_objects(void **state)
{
    (void)state;
    for (int t = 0; t < KIN_SCENE_TASK_BOXES; t++) {
        kin_ctx cx = {0};
        kin_scene_set s;
        const kin_scene_task_cfg cfg = {.task = (kin_scene_task)t, .count = 40, .size = 32, .objects = 2};
        const bool asks = t == KIN_SCENE_TASK_COUNT || t == KIN_SCENE_TASK_QUESTIONS;
        assert_int_equal(kin_scene_task_make(&cx, &cfg, &s), asks ? KIN_ARG : KIN_OK);
        if (asks) assert_non_null(strstr(cx.message, "asks how many there are"));
        for (int64_t i = 0; !asks && i < s.scenes; i++) assert_int_equal(s.scene[i].count, 2);
        kin_scene_set_free(&s);
    }
}

/* ---- as a labelled set ---- */

static void test_same_whatever_their_number(void **state)
{
    (void)state;
    for (int t = 0; t < KIN_SCENE_TASK_BOXES; t++) {
        kin_scene_set a = make((kin_scene_task)t, KIN_SCENE_TRAIN, 60),
                      b = make((kin_scene_task)t, KIN_SCENE_TRAIN, 30);
        assert_true(a.examples >= 60 && a.examples < 66 && b.examples < a.examples);
        assert_memory_equal(a.example, b.example, (size_t)b.examples * sizeof *b.example);
        for (int64_t i = 0; i < b.scenes; i++) assert_int_equal(a.scene[i].key, b.scene[i].key);
        kin_scene_set_free(&a);
        kin_scene_set_free(&b);
    }
}

static void test_opens_as_data(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    const kin_dataset_cfg cfg = {.split = "val", .labels = KIN_LABELS_MUST};
    kin_dataset *d = kin_dataset_open_as(&cx, "scenes:count,count=60,seed=5,size=48", &cfg);
    assert_non_null(d);
    assert_int_equal(d->classes, 3);
    assert_string_equal(d->class_name[0], "zero");
    assert_int_equal(d->captions, 60);
    assert_int_equal(d->items, 20);
    kin_scene_set s = make(KIN_SCENE_TASK_COUNT, KIN_SCENE_VAL, 60);
    for (int64_t c = 0; c < d->captions; c++) {
        float target[3];
        kin_dataset_target(d, c, target);
        assert_string_equal(d->caption[c], s.example[c].text);
        assert_int_equal(d->label[c].label, s.example[c].label);
        assert_int_equal(d->item_of[c], s.example[c].picture);
        for (int k = 0; k < 3; k++) assert_true(target[k] == (k == s.example[c].label ? 1.0f : 0.0f));
    }
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    kin_image image;
    assert_int_equal(kin_dataset_bytes(&cx, d, 7, &bytes, &size, &own), KIN_OK);
    assert_int_equal(kin_image_decode(&cx, "7", bytes, size, 100000, &image), KIN_OK);
    assert_int_equal(image.width, 48);
    kin_image_free(&image);
    kin_scene_set_free(&s);
    kin_dataset_close(d);
    /* Wanted as pairs: what is true. */
    d = kin_dataset_open(&cx, "scenes:swaps,count=40", "train", false);
    assert_non_null(d);
    assert_int_equal(d->captions, 20);
    assert_int_equal(d->classes, 0);
    assert_null(d->label);
    kin_dataset_close(d);
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"scenes:",
                                      "scenes:nor",
                                      "scenes:xor,",
                                      "scenes:xor,count",
                                      "scenes:xor,count=-1",
                                      "scenes:xor,count=9x",
                                      "scenes:xor,n=4",
                                      "scenes:xor,count=0",
                                      "scenes:xor,size=7",
                                      "scenes:xor,objects=1",
                                      "scenes:xor,objects=6",
                                      "scenes:count,objects=2",
                                      "scenes:boxes,objects=2",
                                      "scenes:boxes,size=31",
                                      "scenes:boxes,size=1025"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kin_ctx cx = {0};
        assert_null(kin_dataset_open(&cx, bad[i], "train", false));
        assert_int_equal(cx.status, KIN_ARG);
    }
    kin_ctx cx = {0};
    assert_null(kin_dataset_open(&cx, "scenes:xor", "holdout", false));
    assert_string_equal(cx.message, "scenes:xor: split is \"holdout\", it must be train, val or test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_are_right),     cmocka_unit_test(test_pictures_and_words_are_balanced),
        cmocka_unit_test(test_answers_are_balanced), cmocka_unit_test(test_unseen_pairs),
        cmocka_unit_test(test_no_shortcut),          cmocka_unit_test(test_same_whatever_their_number),
        cmocka_unit_test(test_opens_as_data),        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_fewer_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
