/* scenes_boxes_list: what is said to be in the boxes is read back by a reader of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data/dataset.h"
#include "data/scenes_boxes_list.h"
#include "data/scenes_task.h"
#include "data/tokenizer.h"

static const char *const colors[] = {"yellow", "black", "blue"};
static const char *const shapes[] = {"circle", "square", "triangle"};
static const char *const numbers[][2] = {{"0", "no"},   {"1", "one"},  {"2", "two"}, {"3", "three"},
                                         {"4", "four"}, {"5", "five"}, {"6", "six"}, {"7", "seven"}};

static int which(const char *word, const char *const *names)
{
    for (int i = 0; i < 3; i++)
        if (strncmp(word, names[i], strlen(names[i])) == 0) return i;
    return -1;
}

/* A box's contents as a word: of a tower the colors from below, else how many of each kind. */
typedef struct contents {
    char s[32];
} contents;

static contents of_picture(const kin_boxes *s, int box)
{
    contents c = {{0}};
    for (int i = 0; i < 9 && !s->towers; i++) c.s[i] = '0';
    for (int i = 0; i < s->items[box]; i++) {
        const kin_box_item *o = &s->item[box][i];
        if (s->towers)
            c.s[i] = (char)('A' + o->color);
        else
            c.s[o->color * 3 + o->shape]++;
    }
    return c;
}

/* The boxes that a text tells of; how many. */
static int read_text(const char *text, contents *out)
{
    char copy[KIN_SCENE_CAPTION];
    int boxes = 0, number = 0, color = -1, at = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *p = strtok(copy, " ,"); p; p = strtok(NULL, " ,")) {
        const bool box = strcmp(p, "box") == 0, tower = strcmp(p, "tower") == 0;
        if (box || tower) {
            out[boxes] = (contents){{0}};
            if (box) memset(out[boxes].s, '0', 9);
            boxes++;
            at = 0;
        }
        for (int n = 0; n < 8; n++)
            if (strcmp(p, numbers[n][0]) == 0 || strcmp(p, numbers[n][1]) == 0) number = n;
        if (which(p, colors) >= 0) {
            color = which(p, colors);
            if (number == 0) out[boxes - 1].s[at++] = (char)('A' + color); /* a block */
        } else if (which(p, shapes) >= 0) {
            out[boxes - 1].s[color * 3 + which(p, shapes)] = (char)('0' + number);
            number = 0;
        }
    }
    return boxes;
}

static bool told(const contents *said, int n, const kin_boxes *s)
{
    bool used[KIN_BOXES] = {false};
    int found = 0;
    for (int i = 0; i < n; i++) /* equal boxes are alike: the first that is free will do */
        for (int b = 0; b < KIN_BOXES; b++) {
            const contents is = of_picture(s, b);
            if (used[b] || strcmp(is.s, said[i].s) != 0) continue;
            used[b] = true;
            found++;
            break;
        }
    return found == n;
}

static void the_text_is_true_of_the_first_alone(void **state)
{
    enum { COUNT = 4000 };
    const kin_scene_task_cfg cfg = {.task = KIN_SCENE_TASK_CONTENTS, .seed = 9, .count = COUNT, .size = 100};
    kin_ctx cx = {0};
    kin_scene_set s;
    int of[KIN_BOXES + 1] = {0}, towers = 0;
    (void)state;
    assert_int_equal(kin_scene_task_make(&cx, &cfg, &s), KIN_OK);
    assert_int_equal(s.examples, COUNT);
    for (int64_t i = 0; i < COUNT; i++) {
        contents said[KIN_BOXES + 1];
        const int n = read_text(s.example[i].text, said);
        assert_in_range(n, 1, KIN_BOXES);
        of[n]++;
        towers += s.boxes[i].towers;
        assert_int_equal(s.example[i].picture, i);
        assert_int_equal(s.example[i].label, i % 2 == 0);
        if (told(said, n, &s.boxes[i]) != (i % 2 == 0)) fail_msg("%lld: %s", (long long)i, s.example[i].text);
        if (i % 2) assert_string_equal(s.example[i].text, s.example[i - 1].text);
    }
    assert_int_equal(towers, COUNT / 2);
    for (int n = 1; n <= KIN_BOXES; n++) assert_in_range(of[n], COUNT / 5, COUNT / 2);
    kin_scene_set_free(&s);
}

static void texts_fit_the_context(void **state)
{
    kin_ctx cx = {0};
    kin_dataset *d = kin_dataset_open_as(&cx, "scenes:contents,count=3000,seed=5,size=32",
                                         &(kin_dataset_cfg){.split = "val", .labels = KIN_LABELS_MUST});
    (void)state;
    if (!d) fail_msg("%s", cx.message);
    kin_tokenizer *t = kin_tokenizer_train(&cx, d->caption, d->captions, 600);
    int32_t ids[200];
    for (int64_t c = 0; c < d->captions; c++)
        assert_in_range(kin_tokenizer_encode(&cx, t, d->caption[c], 200, ids), 10,
                        64); /* of the model boxes */
    kin_tokenizer_free(t);
    kin_dataset_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_text_is_true_of_the_first_alone),
                                       cmocka_unit_test(texts_fit_the_context)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
