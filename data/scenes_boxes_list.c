#include "data/scenes_boxes_list.h"

#include <stdio.h>
#include <string.h>

#include "data/scenes_boxes_words.h"

enum { KINDS = KIN_BOX_COLORS * KIN_BOX_SHAPES };

typedef struct told {
    int boxes, box[KIN_BOXES]; /* those that the text tells of, in its order */
} told;

static void count_kinds(const kin_boxes *s, int box, int count[KINDS])
{
    memset(count, 0, KINDS * sizeof *count);
    for (int i = 0; i < s->items[box]; i++)
        count[s->item[box][i].color * KIN_BOX_SHAPES + s->item[box][i].shape]++;
}

static bool same(const kin_boxes *a, int i, const kin_boxes *b, int j)
{
    int mine[KINDS], theirs[KINDS];
    if (a->towers != b->towers || a->items[i] != b->items[j]) return false;
    count_kinds(a, i, mine);
    count_kinds(b, j, theirs);
    if (!a->towers) return memcmp(mine, theirs, sizeof mine) == 0;
    for (int k = 0; k < a->items[i]; k++)
        if (a->item[i][k].color != b->item[j][k].color) return false;
    return true;
}

static bool holds(const kin_boxes *s, const told *list, const kin_boxes *of)
{
    static const int orders[][KIN_BOXES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        int found = 0;
        for (int i = 0; i < list->boxes; i++) found += same(s, list->box[i], of, orders[k][i]);
        if (found == list->boxes) return true;
    }
    return false;
}

/* "a", "b and c", "d, e and f" */
static const char *joint(int k, int n)
{
    return k == 0 ? "" : k + 1 == n ? " and " : ", ";
}

static int say_tower(const kin_boxes *s, int box, char *to, int room)
{
    const int n = s->items[box];
    int at = snprintf(to, (size_t)room, "a tower with ");
    for (int k = 0; k < n && at < room; k++)
        at += snprintf(to + at, (size_t)(room - at), "%sa %s", joint(k, n),
                       kin_say_color[s->item[box][k].color]);
    if (at < room) at += snprintf(to + at, (size_t)(room - at), " block%s", n > 1 ? " from the base" : "");
    return at;
}

static int say_items(kin_rng *r, const kin_boxes *s, int box, char *to, int room)
{
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    static const char *const words[] = {"no", "one", "two", "three", "four", "five", "six", "seven"};
    const char *const *number = kin_below(r, 2) ? digits : words;
    int count[KINDS], kinds = 0;
    uint32_t order[KINDS];
    count_kinds(s, box, count);
    kin_rng_permutation(r, order, KINDS);
    for (int k = 0; k < KINDS; k++) kinds += count[k] > 0;
    int at = snprintf(to, (size_t)room, "a box with exactly ");
    for (int k = 0, said = 0; k < KINDS && at < room; k++) {
        const uint32_t kind = order[k];
        if (!count[kind]) continue;
        at += snprintf(to + at, (size_t)(room - at), "%s%s %s %s%s", joint(said++, kinds),
                       number[count[kind]], kin_say_color[kind / KIN_BOX_SHAPES],
                       kin_say_shape[kind % KIN_BOX_SHAPES], kin_say_s(count[kind] > 1));
    }
    return at;
}

static void say(kin_rng *r, const kin_boxes *s, told *list, char text[KIN_BOXES_TEXT])
{
    uint32_t order[KIN_BOXES];
    const int wanted = 1 + kin_below(r, KIN_BOXES);
    int at = snprintf(text, KIN_BOXES_TEXT, "There is ");
    kin_rng_permutation(r, order, KIN_BOXES);
    *list = (told){0};
    for (int k = 0; k < wanted; k++) {
        char one[KIN_BOXES_TEXT];
        const int box = (int)order[k];
        const int n = s->towers ? say_tower(s, box, one, sizeof one) : say_items(r, s, box, one, sizeof one);
        if (at + n + 3 > KIN_BOXES_TEXT) break;
        at += snprintf(text + at, (size_t)(KIN_BOXES_TEXT - at), "%s%s", k ? ", " : "", one);
        list->box[list->boxes++] = box;
    }
}

bool kin_boxes_list_split(kin_rng *r, bool towers, kin_boxes out[2], char text[KIN_BOXES_TEXT])
{
    told list;
    if (!kin_boxes_any(r, towers, &out[0])) return false;
    say(r, &out[0], &list, text);
    const bool deal = kin_below(r, 2);
    return kin_boxes_like(r, &out[0], deal, &out[1]) && !holds(&out[0], &list, &out[1]);
}
