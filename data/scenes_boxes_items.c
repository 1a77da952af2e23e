/* Sentences about scattered items. */
#include "data/scenes_boxes_words.h"

/* Places that can be touched, in the words of people. */
static const char *touch(kin_rng *r, kin_box_what *w)
{
    static const struct {
        kin_box_place place;
        const char *words;
    } at[] = {
        {KIN_PLACE_WALL, "touching [the|the|the|an|any|a] [edge|wall]"},
        {KIN_PLACE_WALL, "touching [the|the|an] edge"},
        {KIN_PLACE_WALL, "[|closely ]touching the [wall|wall|side][| of a box]"},
        {KIN_PLACE_WALL, "touching the wall"},
        {KIN_PLACE_BASE, "touching the [base|base|bottom|bottom edge|bottom base]"},
        {KIN_PLACE_BASE, "closely touching the bottom of a box"},
        {KIN_PLACE_CORNER, "[|closely ]touching [a|the] corner[| of a box]"},
        {KIN_PLACE_TOP, "touching the top[| edge| of a box| wall]"},
        {KIN_PLACE_RIGHT, "[|closely ]touching [the |]right [wall|side|edge] of a box"},
        {KIN_PLACE_LEFT, "[|closely ]touching [the |]left [wall|side|edge] of a box"},
    };
    const int k = kin_below(r, 6) ? kin_below(r, 7) : 7 + kin_below(r, 3);
    w->place = at[k].place;
    return at[k].words;
}

static kin_words has_items(kin_rng *r, kin_box_claim *c) /* exactly four objects */
{
    const int n = 1 + kin_below(r, 7), way = kin_below(r, 8);
    const bool most = way == 0 && n > 1, less = way == 1 && n > 2, least = way == 2 && n > 1;
    kin_box_also(c, kin_box_count((kin_box_what){0},
                                  most || less ? KIN_AT_MOST
                                  : least      ? KIN_AT_LEAST
                                               : KIN_EXACTLY,
                                  n - less));
    return kin_say("%s%s [item|item|object]%s%s",
                   less    ? "less than "
                   : least ? "at least "
                           : "[exactly |exactly |only ||]",
                   kin_say_number[n], kin_say_s(n > 1), most ? " at most" : "");
}

static kin_words has_things(kin_rng *r, kin_box_claim *c) /* a yellow circle and at least two black items */
{
    kin_words w = kin_say_some(r, c, kin_say_thing(r, KIN_A_THING), KIN_SAY_A, "");
    for (int more = kin_below(r, 8) ? 1 : 2; more > 0; more--) {
        const kin_words next = kin_say_some(r, c, kin_say_thing(r, KIN_A_THING), KIN_SAY_A | KIN_SAY_NO, "");
        w = kin_say("%s%s %s", w.s, more == 2 ? "," : " and", next.s);
    }
    return w;
}

static kin_words has_thing(kin_rng *r, kin_box_claim *c)
{
    return kin_say_some(r, c, kin_say_thing(r, KIN_A_THING), KIN_SAY_A | KIN_SAY_NO, "");
}

static kin_words has_top(kin_rng *r, kin_box_claim *c) /* a black item on top */
{
    kin_kind k = kin_say_thing(r, KIN_A_THING);
    k.what.rank = KIN_RANK_HIGHEST;
    kin_box_also(c, kin_box_count(k.what, KIN_AT_LEAST, 1));
    return kin_say("a %s on [the |]top", k.one.s);
}

static kin_words has_touch(kin_rng *r, kin_box_claim *c)
{
    kin_kind k = kin_say_thing(r, KIN_ANY_THING);
    const char *where = touch(r, &k.what);
    return kin_say_some(r, c, k, KIN_SAY_A, kin_say(" %s", where).s);
}

static kin_words has_of_which(kin_rng *r, kin_box_claim *c) /* three items of which 1 is blue */
{
    const int n = 2 + kin_below(r, 4), m = 1 + kin_below(r, n < 4 ? n - 1 : 3);
    const kin_kind k = kin_say_thing(r, KIN_A_COLORED);
    const bool least = kin_below(r, 3) == 0;
    kin_box_also(c, kin_box_count((kin_box_what){0}, KIN_EXACTLY, n));
    kin_box_also(
        c, kin_box_count((kin_box_what){.colors = k.what.colors}, least ? KIN_AT_LEAST : KIN_EXACTLY, m));
    int of = 0;
    while (k.what.colors >> of != 1) of++;
    return kin_say("%s [items|objects] of which %s%s [is|are] %s", kin_say_number[n],
                   least ? "at least " : "", kin_say_number[m], kin_say_color[of]);
}

static kin_words has_items_and(kin_rng *r, kin_box_claim *c)
{
    const kin_words w = has_items(r, c);
    switch (kin_below(r, 5)) {
    case 0: return kin_say("%s [and|with] %s", w.s, has_touch(r, c).s);
    case 1: return kin_say("%s and %s", w.s, has_top(r, c).s);
    case 2: {
        const int of = kin_say_any_color(r);
        kin_box_also(
            c, kin_box_count((kin_box_what){.colors = 1u << of, .rank = KIN_RANK_HIGHEST}, KIN_AT_LEAST, 1));
        return kin_say("%s [where|and] the %s [item|one] is on [the |]top", w.s, kin_say_color[of]);
    }
    case 3: {
        const int a = kin_say_any_color(r), b = (a + 1 + kin_below(r, 2)) % KIN_BOX_COLORS;
        const kin_box_what others = {.colors = 1u << a | 1u << b, .others = true};
        kin_box_also(c, kin_box_count(others, KIN_EXACTLY, 0));
        kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_COLORS, .is = KIN_EXACTLY, .n = 2});
        return kin_say("%s of [only ||]%s and %s [color|colour]", w.s, kin_say_color[a], kin_say_color[b]);
    }
    default: {
        const int colors_asked = 2 + kin_below(r, 2);
        kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_COLORS, .is = KIN_EXACTLY, .n = colors_asked});
        return kin_say("%s of [all |]%s different colors", w.s, kin_say_number[colors_asked]);
    }
    }
}

static kin_words has_alike(kin_rng *r, kin_box_claim *c)
{
    const int n = 2 + kin_below(r, 2), way = kin_below(r, 3);
    if (way == 0) {
        const int a = kin_say_any_color(r), b = (a + 1 + kin_below(r, 2)) % KIN_BOX_COLORS;
        kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_MORE,
                                         .what = {.colors = 1u << a},
                                         .other = {.colors = 1u << b},
                                         .is = KIN_EXACTLY});
        kin_box_also(c, kin_box_count((kin_box_what){.colors = 1u << a}, KIN_AT_LEAST, 1));
        return kin_say("the same number of %s and %s [items|objects]", kin_say_color[a], kin_say_color[b]);
    }
    if (way == 1) {
        kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_ALIKE, .is = KIN_AT_LEAST, .n = n});
        return kin_say("at least %s items of the same shape", kin_say_number[n]);
    }
    kin_box_also(c, kin_box_count((kin_box_what){0}, KIN_EXACTLY, n));
    kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_SHAPES, .is = KIN_EXACTLY, .n = 1});
    return kin_say("[only |]%s items of the same shape", kin_say_number[n]);
}

static kin_words box_with(kin_rng *r, kin_box_claim *c)
{
    static const kin_say_choice has[] = {{6, has_items},      {6, has_things},    {4, has_thing},
                                         {5, kin_say_colors}, {6, has_items_and}, {3, has_of_which},
                                         {3, has_top},        {4, has_touch},     {2, has_alike}};
    const kin_words that = kin_say_boxes(r, c);
    return kin_say("%s %s", that.s, KIN_SAY_ONE_OF(has, r, c).s);
}

static kin_words things_in_all(kin_rng *r, kin_box_claim *c)
{
    const kin_kind k = kin_say_thing(r, KIN_A_THING);
    const kin_many m = kin_say_many(r, 5, KIN_SAY_A | KIN_SAY_NO);
    c->whole = true;
    kin_box_also(c, kin_box_count(k.what, m.is, m.n));
    const kin_words w =
        kin_say("There %s %s %s", m.plural ? "are" : "is", m.lead.s, m.plural ? k.more.s : k.one.s);
    if (kin_below(r, 5)) return w;
    return kin_say("%s and %s", w.s, kin_say_some(r, c, kin_say_thing(r, KIN_A_THING), KIN_SAY_A, "").s);
}

static kin_words things_touching(kin_rng *r, kin_box_claim *c)
{
    kin_kind k = kin_say_thing(r, KIN_ANY_THING);
    const kin_many m = kin_say_many(r, 3, KIN_SAY_A | KIN_SAY_NO);
    const bool away = m.n > 0 && kin_below(r, 5) == 0;
    const char *where = touch(r, &k.what);
    if (away) {
        k.what.place = KIN_PLACE_WALL;
        k.what.away = true;
        where = "not touching [the|any|any|an|a] [edge|edge|wall]";
    }
    c->whole = true;
    kin_box_also(c, kin_box_count(k.what, m.is, m.n));
    return kin_say("There %s %s %s %s", m.plural ? "are" : "is", m.lead.s, m.plural ? k.more.s : k.one.s,
                   where);
}

static kin_words in_each_box(kin_rng *r, kin_box_claim *c) /* There is at least 1 blue item in every box */
{
    const kin_kind k = kin_say_thing(r, KIN_A_THING);
    const kin_many m = kin_say_many(r, 2, KIN_SAY_A | KIN_SAY_NO);
    c->is = KIN_AT_LEAST;
    c->n = KIN_BOXES;
    kin_box_also(c, kin_box_count(k.what, m.is, m.n));
    return kin_say("There %s %s %s in [each|every] box", m.plural ? "are" : "is", m.lead.s,
                   m.plural ? k.more.s : k.one.s);
}

static kin_words none_touching(kin_rng *r,
                               kin_box_claim *c) /* None of the blue objects are touching the edge */
{
    kin_kind k = kin_say_thing(r, KIN_A_COLORED);
    const int way = kin_below(r, 3);
    const char *where = touch(r, &k.what);
    c->whole = true;
    kin_kind any = k;
    any.what.place = KIN_PLACE_ANY;
    kin_box_also(c, kin_box_count(any.what, KIN_AT_LEAST, 1)); /* nobody says so of what there is not */
    if (way == 0) {
        kin_box_also(c, kin_box_count(k.what, KIN_EXACTLY, 0));
        return kin_say("None of the %s are %s", k.more.s, where);
    }
    if (way == 1) {
        kin_box_also(c, kin_box_count(k.what, KIN_AT_LEAST, 1));
        return kin_say("[At least|tleast] one %s is %s", k.one.s, where);
    }
    k.what.away = true;
    kin_box_also(c, kin_box_count(k.what, KIN_EXACTLY, 0));
    return kin_say("[All|ll] %s are %s", k.more.s, where);
}

static kin_words colors_touching(kin_rng *r, kin_box_claim *c)
{
    kin_box_clause k = {.ask = KIN_ASK_COLORS, .is = KIN_EXACTLY, .n = 1 + kin_below(r, 3)};
    const char *where = touch(r, &k.what);
    c->whole = true;
    kin_box_also(c, k);
    if (k.n == 3)
        return kin_say("[Items of all [3|three]|[All|ll] [3|three] different] colors are %s", where);
    return k.n == 1 ? kin_say("There is only one color %s", where)
                    : kin_say("There are only two colors %s", where);
}

static kin_words all_in_one(kin_rng *r, kin_box_claim *c)
{
    const kin_kind k = kin_say_thing(r, KIN_A_COLORED);
    c->is = KIN_EXACTLY;
    c->n = 1;
    kin_box_also(c, kin_box_count(k.what, KIN_AT_LEAST, 1));
    return kin_say("[All|ll] %s are in the same box", k.more.s);
}

static kin_words thing_above(kin_rng *r, kin_box_claim *c)
{
    const kin_kind a = kin_say_thing(r, KIN_A_COLORED), b = kin_say_thing(r, KIN_A_COLORED);
    c->whole = true;
    kin_box_also(c, (kin_box_clause){
                        .ask = KIN_ASK_ABOVE, .what = a.what, .other = b.what, .is = KIN_AT_LEAST, .n = 1});
    return kin_say("There is [at least one|atleast one|a|a] %s [above|over] a %s", a.one.s, b.one.s);
}

kin_words kin_say_of_items(kin_rng *r, kin_box_claim *c)
{
    static const kin_say_choice of[] = {{32, box_with},     {7, things_in_all},   {32, things_touching},
                                        {4, none_touching}, {3, colors_touching}, {1, all_in_one},
                                        {3, in_each_box},   {3, thing_above}};
    return KIN_SAY_ONE_OF(of, r, c);
}
