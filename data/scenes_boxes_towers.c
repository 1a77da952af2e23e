/* Sentences about towers. */
#include "data/scenes_boxes_words.h"

static kin_words has_end(kin_rng *r, kin_box_claim *c) /* a black block at the top */
{
    static const struct {
        kin_box_rank rank;
        const char *words;
    } at[] = {{KIN_RANK_HIGHEST, "at the top"},
              {KIN_RANK_HIGHEST, "[at the top|on top|at top]"},
              {KIN_RANK_HIGHEST, "[as the top|at the top]"},
              {KIN_RANK_LOWEST, "at the base"},
              {KIN_RANK_LOWEST, "at the base"},
              {KIN_RANK_LOWEST, "[at the bottom|as the base|at base]"},
              {KIN_RANK_BETWEEN, "in the middle[| of it]"},
              {KIN_RANK_SECOND, "[at the second place from the bottom|as the second block from the base]"}};
    const int k = kin_below(r, kin_below(r, 4) ? 6 : 8);
    kin_kind b = kin_say_block(kin_say_any_color(r));
    b.what.rank = at[k].rank;
    kin_box_also(c, kin_box_count(b.what, KIN_AT_LEAST, 1));
    return kin_say("[a|a|a|1|] %s %s", b.one.s, at[k].words);
}

static kin_words has_height(kin_rng *r, kin_box_claim *c)
{
    const int n = 1 + kin_below(r, KIN_BOX_BLOCKS);
    const int way = kin_below(r, 8);
    const bool least = way == 0 && n > 1, most = way == 1 && n > 1 && n < 4, more = way == 2 && n < 4;
    kin_box_also(c, kin_box_count((kin_box_what){0},
                                  least || more ? KIN_AT_LEAST
                                  : most        ? KIN_AT_MOST
                                                : KIN_EXACTLY,
                                  n + more));
    return kin_say("%s%s block%s",
                   least  ? "at least "
                   : most ? "at most "
                   : more ? "more than "
                          : "[exactly |exactly |only ||]",
                   kin_say_number[n], kin_say_s(n > 1));
}

static kin_words has_blocks(kin_rng *r, kin_box_claim *c) /* two blue blocks, at least one yellow block */
{
    return kin_say_some(r, c, kin_say_block(kin_say_any_color(r)), KIN_SAY_A, "");
}

static kin_words has_one(kin_rng *r, kin_box_claim *c)
{
    const kin_kind k = kin_say_block(kin_say_any_color(r));
    kin_box_also(c, kin_box_count(k.what, KIN_AT_LEAST, 1));
    return kin_say("one %s", k.one.s);
}

static kin_words has_run(kin_rng *r, kin_box_claim *c)
{
    const int n = 2 + (kin_below(r, 4) == 0);
    const kin_kind b = kin_say_block(kin_say_any_color(r));
    const bool least = kin_below(r, 4) == 0;
    kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_RUN, .what = b.what, .is = KIN_AT_LEAST, .n = n});
    return kin_say("%s%s %s [stacked together|stacked together|attached with each other|in a row]",
                   least ? "at least " : "", kin_say_number[n], b.more.s);
}

static kin_words has_over(kin_rng *r, kin_box_claim *c) /* a blue block over a black block */
{
    const kin_kind a = kin_say_block(kin_say_any_color(r)), b = kin_say_block(kin_say_any_color(r));
    const bool below_it = kin_below(r, 5) == 0;
    kin_box_also(c, (kin_box_clause){.ask = KIN_ASK_ON,
                                     .what = below_it ? b.what : a.what,
                                     .other = below_it ? a.what : b.what,
                                     .is = KIN_AT_LEAST,
                                     .n = 1});
    return kin_say(
        "a %s %s a %s", a.one.s,
        below_it ? "[below|under|beneath]" : "[over|over|above|above|on|on top of|right on top of]", b.one.s);
}

static kin_words tower_with(kin_rng *r, kin_box_claim *c)
{
    static const kin_say_choice has[] = {{11, has_end}, {4, has_height}, {4, has_blocks},
                                         {5, has_run},  {5, has_over},   {3, kin_say_colors}};
    const kin_words that = kin_say_boxes(r, c);
    return kin_say("%s %s", that.s, KIN_SAY_ONE_OF(has, r, c).s);
}

static kin_words tower_of(kin_rng *r,
                          kin_box_claim *c) /* a tower with three blocks having a black block on top */
{
    static const kin_say_choice has[] = {
        {6, has_end}, {2, has_blocks}, {2, has_over}, {2, kin_say_colors}, {1, has_one}};
    const kin_words that = kin_say_boxes(r, c), height = has_height(r, c);
    return kin_say("%s %s [with|with|having|and|that has|which has] %s", that.s, height.s,
                   KIN_SAY_ONE_OF(has, r, c).s);
}

static kin_words the_tower(kin_rng *r,
                           kin_box_claim *c) /* the tower with four blocks has a black block on top */
{
    static const kin_say_choice has[] = {{6, has_end}, {2, has_over}};
    const int n = 1 + kin_below(r, KIN_BOX_BLOCKS);
    c->is = KIN_AT_LEAST;
    c->n = 1;
    kin_box_also(c, kin_box_count((kin_box_what){0}, KIN_EXACTLY, n));
    return kin_say("The tower with [|exactly ]%s block%s has %s", kin_say_number[n], kin_say_s(n > 1),
                   KIN_SAY_ONE_OF(has, r, c).s);
}

/* A blue block as the base of a tower with at least three blocks. */
static kin_words block_as(kin_rng *r, kin_box_claim *c)
{
    const bool top = kin_below(r, 2), sized = kin_below(r, 2);
    const kin_many m = kin_say_many(r, KIN_BOXES, KIN_SAY_A | KIN_SAY_NO);
    kin_kind k = kin_say_block(kin_say_any_color(r));
    k.what.rank = top ? KIN_RANK_HIGHEST : KIN_RANK_LOWEST;
    c->is = m.is;
    c->n = m.n;
    kin_box_also(c, kin_box_count(k.what, KIN_AT_LEAST, 1));
    const kin_words w = kin_say("There %s %s %s as the %s of a tower", m.plural ? "are" : "is", m.lead.s,
                                m.plural ? k.more.s : k.one.s, top ? "top" : "base");
    return sized ? kin_say("%s with %s", w.s, has_height(r, c).s) : w;
}

static kin_words block_over(kin_rng *r, kin_box_claim *c)
{
    const int way = kin_below(r, 8);
    c->is = way == 0 ? KIN_EXACTLY : KIN_AT_LEAST;
    c->n = way > 0;
    const kin_words over = has_over(r, c);
    if (way == 1) return kin_say("There is at least [one|1]%s", over.s + 1);
    return way == 0 ? kin_say("There is no%s", over.s + 1) : kin_say("There is %s", over.s);
}

static kin_words blocks_in_all(kin_rng *r, kin_box_claim *c)
{
    const kin_kind k = kin_say_block(kin_say_any_color(r));
    const kin_many m = kin_say_many(r, 5, KIN_SAY_NO);
    c->whole = true;
    kin_box_also(c, kin_box_count(k.what, m.is, m.n));
    return kin_say("There %s %s %s", m.plural ? "are" : "is", m.lead.s, m.plural ? k.more.s : k.one.s);
}

static kin_words end_is(kin_rng *r, kin_box_claim *c) /* The base of the three blocks tower is blue */
{
    const bool top = kin_below(r, 2);
    const int of = kin_say_any_color(r), n = 1 + kin_below(r, KIN_BOX_BLOCKS), way = kin_below(r, 5);
    c->is = KIN_AT_LEAST;
    c->n = 1;
    kin_box_also(
        c, kin_box_count((kin_box_what){.colors = 1u << of, .rank = top ? KIN_RANK_HIGHEST : KIN_RANK_LOWEST},
                         KIN_AT_LEAST, 1));
    const char *end = top ? "top" : "base";
    if (way == 0) return kin_say("The %s of a tower is %s", end, kin_say_color[of]);
    if (way < 3) {
        c->is = KIN_EXACTLY;
        c->n = 1 + kin_below(r, 2);
        if (c->n == 1)
            return kin_say(
                "[One tower has|One of the three towers has|There is only one tower that has] a %s %s",
                kin_say_color[of], end);
        return kin_say("[Two|There are two] of the three towers [has|that has|with] a %s %s",
                       kin_say_color[of], end);
    }
    kin_box_also(c, kin_box_count((kin_box_what){0}, KIN_EXACTLY, n));
    return kin_say("The %s of [a|the] %s block%s tower is %s", end, kin_say_number[n], kin_say_s(n > 1),
                   kin_say_color[of]);
}

static kin_words plain_tower(kin_rng *r, kin_box_claim *c) /* a black tower with only one block */
{
    const int of = kin_say_any_color(r), n = 1 + kin_below(r, 3);
    const bool sized = kin_below(r, 2);
    c->is = KIN_AT_LEAST;
    c->n = 1;
    kin_box_also(c, kin_box_count((kin_box_what){.colors = 1u << of, .others = true}, KIN_EXACTLY, 0));
    if (sized) kin_box_also(c, kin_box_count((kin_box_what){0}, KIN_EXACTLY, n));
    const kin_words size =
        sized ? kin_say(" with [only |]%s block%s", kin_say_number[n], kin_say_s(n > 1)) : kin_say("%s", "");
    return kin_say("There is [a|a|at least one] %s tower%s", kin_say_color[of], size.s);
}

static kin_words towers_alike(kin_rng *r, kin_box_claim *c)
{
    kin_box_clause k = {.is = KIN_AT_LEAST};
    const int what = kin_below(r, 3), way = kin_below(r, 4);
    static const kin_box_ask ask[] = {KIN_ASK_LEVEL, KIN_ASK_ALIKE_BASE, KIN_ASK_ALIKE_TOP};
    static const char *const of[] = {"height", "base color", "top color"};
    k.ask = ask[what];
    k.n = 2 + (way == 0);
    if (way == 1) k.is = KIN_EXACTLY;
    if (way == 3) k.is = KIN_AT_MOST, k.n = 2;
    c->whole = true;
    kin_box_also(c, k);
    if (way == 0) return kin_say("[All|ll] the towers have the same %s", of[what]);
    if (way == 1)
        return kin_say("[There are only two towers which has the same %s|One tower has a different %s]",
                       of[what], of[what]);
    if (way == 2) return kin_say("There are at least two towers with the same %s", of[what]);
    return kin_say("The three towers [do not have|have not] the same %s", of[what]);
}

kin_words kin_say_of_towers(kin_rng *r, kin_box_claim *c)
{
    static const kin_say_choice of[] = {{32, tower_with}, {12, tower_of},   {4, the_tower},
                                        {18, block_as},   {9, block_over},  {5, blocks_in_all},
                                        {6, end_is},      {4, plain_tower}, {3, towers_alike}};
    return KIN_SAY_ONE_OF(of, r, c);
}
