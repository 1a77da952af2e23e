#include "data/scenes_boxes_claim.h"

static bool placed(const kin_box_item *o, kin_box_place place)
{
    const bool left = o->x == 0, right = o->x + o->side == KIN_BOX_SIDE;
    const bool top = o->y == 0, base = o->y + o->side == KIN_BOX_SIDE;
    switch (place) {
    case KIN_PLACE_ANY: return true;
    case KIN_PLACE_WALL: return left || right || top || base;
    case KIN_PLACE_SIDE: return left || right;
    case KIN_PLACE_LEFT: return left;
    case KIN_PLACE_RIGHT: return right;
    case KIN_PLACE_BASE: return base;
    case KIN_PLACE_TOP: return top;
    default: return (left || right) && (top || base);
    }
}

/* Is anything in the box above (of its top) or below (of its bottom) the item? */
static bool topped(const kin_boxes *s, int b, const kin_box_item *o)
{
    bool found = false;
    for (int i = 0; i < s->items[b]; i++) found |= s->item[b][i].y < o->y;
    return found;
}

static bool based(const kin_boxes *s, int b, const kin_box_item *o)
{
    bool found = false;
    for (int i = 0; i < s->items[b]; i++) found |= s->item[b][i].y + s->item[b][i].side > o->y + o->side;
    return found;
}

static bool ranked(const kin_boxes *s, int b, int i, kin_box_rank rank)
{
    const kin_box_item *o = &s->item[b][i];
    switch (rank) {
    case KIN_RANK_ANY: return true;
    case KIN_RANK_LOWEST: return !based(s, b, o);
    case KIN_RANK_HIGHEST: return !topped(s, b, o);
    case KIN_RANK_SECOND: return i == 1;
    case KIN_RANK_SECOND_HIGHEST: return i == s->items[b] - 2;
    default: return based(s, b, o) && topped(s, b, o);
    }
}

static bool is_what(const kin_boxes *s, int b, int i, const kin_box_what *w)
{
    const kin_box_item *o = &s->item[b][i];
    const bool is = (!w->colors || (w->colors >> o->color & 1)) &&
                    (!w->shapes || (w->shapes >> o->shape & 1)) && (!w->side || w->side == o->side) &&
                    placed(o, w->place) != w->away && ranked(s, b, i, w->rank);
    return is != w->others;
}

static bool meet(int a, int a_side, int b, int b_side)
{
    return a < b + b_side && b < a + a_side;
}

/* Item i right on item j: at most a pixel between them, and one over the other at all. */
static bool lies_on(const kin_box_item *o, const kin_box_item *under)
{
    const int gap = under->y - (o->y + o->side);
    return gap >= 0 && gap <= 1 && meet(o->x, o->side, under->x, under->side);
}

static bool higher(const kin_box_item *o, const kin_box_item *than)
{
    return o->y + o->side <= than->y;
}

static bool over(const kin_boxes *s, int b, int i, const kin_box_clause *c)
{
    for (int j = 0; j < s->items[b]; j++) {
        const kin_box_item *o = &s->item[b][i], *p = &s->item[b][j];
        if (is_what(s, b, j, &c->other) && (c->ask == KIN_ASK_ON ? lies_on(o, p) : higher(o, p))) return true;
    }
    return false;
}

static int bits(unsigned set)
{
    int n = 0;
    for (; set; set &= set - 1) n++;
    return n;
}

/* How many boxes are alike at most: boxes without items are like no other. */
static int alike(const kin_boxes *s, kin_box_ask ask)
{
    int times[KIN_BOX_ITEMS + 1] = {0}, most = 0;
    const kin_box_rank rank = ask == KIN_ASK_ALIKE_BASE ? KIN_RANK_LOWEST : KIN_RANK_HIGHEST;
    for (int b = 0; b < KIN_BOXES; b++) {
        int is = -1;
        if (ask == KIN_ASK_LEVEL && s->items[b] > 0) is = s->items[b];
        for (int i = 0; i < s->items[b] && ask != KIN_ASK_LEVEL; i++)
            if (ranked(s, b, i, rank)) is = s->item[b][i].color;
        if (is >= 0 && ++times[is] > most) most = times[is];
    }
    return most;
}

/* What a clause asks, of boxes from .. to - 1. */
static int answer(const kin_boxes *s, const kin_box_clause *c, int from, int to)
{
    unsigned colors = 0, shapes = 0;
    int count = 0, of_shape[KIN_BOX_SHAPES] = {0}, most = 0, longest = 0, above = 0, more = 0;
    if (c->ask >= KIN_ASK_LEVEL) return alike(s, c->ask);
    for (int b = from; b < to; b++) {
        int run = 0;
        for (int i = 0; i < s->items[b]; i++) {
            const kin_box_item *o = &s->item[b][i];
            if (c->ask == KIN_ASK_MORE) more -= is_what(s, b, i, &c->other);
            if (!is_what(s, b, i, &c->what)) {
                run = 0;
                continue;
            }
            count++;
            colors |= 1u << o->color;
            shapes |= 1u << o->shape;
            if (++of_shape[o->shape] > most) most = of_shape[o->shape];
            if (++run > longest) longest = run;
            if (c->ask == KIN_ASK_ON || c->ask == KIN_ASK_ABOVE) above += over(s, b, i, c);
        }
    }
    switch (c->ask) {
    case KIN_ASK_COUNT: return count;
    case KIN_ASK_COLORS: return bits(colors);
    case KIN_ASK_SHAPES: return bits(shapes);
    case KIN_ASK_ALIKE: return most;
    case KIN_ASK_RUN: return longest;
    case KIN_ASK_MORE: return count + more;
    default: return above;
    }
}

static bool compares(int have, kin_box_compare is, int n)
{
    return is == KIN_EXACTLY ? have == n : is == KIN_AT_LEAST ? have >= n : have <= n;
}

static bool all_clauses(const kin_boxes *s, const kin_box_claim *c, int from, int to)
{
    bool so = true;
    for (int k = 0; k < c->clauses && so; k++)
        so = compares(answer(s, &c->clause[k], from, to), c->clause[k].is, c->clause[k].n);
    return so;
}

bool kin_boxes_hold(const kin_boxes *s, const kin_box_claim *c)
{
    if (c->whole) return all_clauses(s, c, 0, KIN_BOXES);
    int boxes = 0;
    for (int b = 0; b < KIN_BOXES; b++) boxes += all_clauses(s, c, b, b + 1);
    return compares(boxes, c->is, c->n);
}

/* One and another, of the same distribution, until one is as claimed and the other is not. */
static bool split(kin_rng *r, const kin_box_claim *c, kin_box_twins twins, kin_boxes out[2])
{
    kin_boxes a, b;
    for (int trial = 0; trial < KIN_BOX_TRIALS; trial++) {
        if (!kin_boxes_any(r, c->towers, &a)) continue;
        if (!(twins == KIN_TWINS_ANY ? kin_boxes_any(r, c->towers, &b)
                                     : kin_boxes_like(r, &a, twins == KIN_TWINS_DEALT, &b)))
            continue;
        const bool first = kin_boxes_hold(&a, c);
        if (first == kin_boxes_hold(&b, c)) continue;
        out[0] = first ? a : b;
        out[1] = first ? b : a;
        return true;
    }
    return false;
}

bool kin_boxes_split(kin_rng *r, const kin_box_claim *c, kin_boxes out[2])
{
    /* Of ten: four with the same items, five with as many in each box. A claim that such two do not tell
     * apart (how many there are) goes on to others. */
    const uint32_t way = kin_rng_below(r, 10);
    for (int t = way < 4   ? KIN_TWINS_DEALT
                 : way < 9 ? KIN_TWINS_AS_MANY
                           : KIN_TWINS_ANY;
         t <= KIN_TWINS_ANY; t++)
        if (split(r, c, (kin_box_twins)t, out)) return true;
    return false;
}
