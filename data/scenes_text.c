#include "data/scenes_text.h"

#include <string.h>

/* Ways to say a relation; a caption draws one. */
static const char *const said[KIN_SCENE_RELATIONS][2] = {
    {"left of", "to the left of"}, {"right of", "to the right of"}, {"above", "above"}, {"below", "under"}};
static const char *const numbers[KIN_SCENE_MAX_OBJECTS + 1] = {"zero", "one", "two", "three", "four", "five"};

/* Things from `next` on can be assigned to objects outside `used`; object[k] is the object of thing k. */
static bool assign(const kin_scene *s, const kin_claim *c, bool clear, int next, unsigned used,
                   int object[KIN_SCENE_MAX_OBJECTS])
{
    if (next == c->things) return true;
    for (int o = 0; o < s->count; o++) {
        const kin_scene_object *x = &s->object[o];
        if (used & 1u << o) continue;
        if (c->thing[next].color >= 0 && c->thing[next].color != x->color) continue;
        if (c->thing[next].shape >= 0 && c->thing[next].shape != x->shape) continue;
        if (c->thing[next].size >= 0 && c->thing[next].size != x->size) continue;
        object[next] = o;
        bool so = true;
        for (int k = 0; k < c->relations && so; k++) {
            const int a = c->relation[k].a, b = c->relation[k].b;
            if ((a > b ? a : b) != next) continue;
            const kin_scene_object *p = &s->object[object[a]], *q = &s->object[object[b]];
            so = kin_scene_related(p, c->relation[k].is, q, clear);
        }
        if (so && assign(s, c, clear, next + 1, used | 1u << o, object)) return true;
    }
    return false;
}

bool kin_scene_holds(const kin_scene *s, const kin_claim *c, bool clear)
{
    if (c->pattern >= 0 && c->pattern != s->pattern) return false;
    if (c->tone >= 0 && c->tone != s->tone) return false;
    if (c->count >= 0 && c->count != s->count) return false;
    int object[KIN_SCENE_MAX_OBJECTS];
    return assign(s, c, clear, 0, 0, object);
}

/* Appends; what does not fit is cut (KIN_SCENE_CAPTION holds the longest caption twice). */
static void put(char *text, size_t size, const char *more)
{
    const size_t used = strlen(text), n = strlen(more), room = size - 1 - used;
    const size_t take = n < room ? n : room;
    memcpy(text + used, more, take);
    text[used + take] = 0;
}

/* A claim while it is made: of which scene, which object each thing is, and the words so far. */
typedef struct draft {
    const kin_scene *scene;
    kin_rng *rng;
    uint32_t more; /* how much is said: of 8, how often a size is named */
    kin_claim claim;
    char text[KIN_SCENE_CAPTION];
} draft;

static void say(draft *d, const char *words)
{
    put(d->text, sizeof d->text, words);
}

static bool chance(kin_rng *r, uint32_t of8)
{
    return kin_rng_below(r, 8) < of8;
}

static draft new_draft(const kin_scene *s, kin_rng *r, uint32_t more)
{
    return (draft){.scene = s, .rng = r, .more = more, .claim = {.pattern = -1, .tone = -1, .count = -1}};
}

static void say_thing(draft *d, int color, int shape, int size)
{
    const char *name = kin_scene_colors[color];
    say(d, size < 0 && strchr("aeiou", name[0]) ? "an " : "a ");
    if (size >= 0) {
        say(d, kin_scene_sizes[size]);
        say(d, " ");
    }
    say(d, name);
    say(d, " ");
    say(d, kin_scene_shapes[shape]);
}

/* Says object o and returns its number among the things. */
static int thing(draft *d, int o, bool sized)
{
    const kin_scene_object *x = &d->scene->object[o];
    const int n = d->claim.things++, size = sized ? x->size : -1;
    d->claim.thing[n].color = x->color;
    d->claim.thing[n].shape = x->shape;
    d->claim.thing[n].size = size;
    say_thing(d, x->color, x->shape, size);
    return n;
}

static void relate(draft *d, int a, kin_scene_relation is, int b)
{
    const int n = d->claim.relations++;
    d->claim.relation[n].a = a;
    d->claim.relation[n].b = b;
    d->claim.relation[n].is = is;
}

static void say_relation(draft *d, kin_scene_relation is)
{
    say(d, " ");
    say(d, said[is][kin_rng_below(d->rng, 2)]);
    say(d, " ");
}

static void ground(draft *d)
{
    d->claim.pattern = d->scene->pattern;
    d->claim.tone = d->scene->tone;
    say(d, "a ");
    say(d, kin_scene_patterns[d->scene->pattern]);
    say(d, " ");
    say(d, kin_scene_tones[d->scene->tone]);
    say(d, " background");
}

kin_scene_relation kin_scene_relation_of(const kin_scene *s, kin_rng *r, int a, int b)
{
    kin_scene_relation found[KIN_SCENE_RELATIONS];
    uint32_t n = 0;
    for (int is = 0; is < KIN_SCENE_RELATIONS; is++)
        if (kin_scene_related(&s->object[a], (kin_scene_relation)is, &s->object[b], true))
            found[n++] = (kin_scene_relation)is;
    return found[kin_rng_below(r, n)];
}

static kin_scene_relation clear_relation(draft *d, int a, int b)
{
    return kin_scene_relation_of(d->scene, d->rng, a, b);
}

/* "A left of B" for objects a and b. Returns the thing that is a. */
static int pair(draft *d, int a, int b, const char *is)
{
    const kin_scene_relation rel = clear_relation(d, a, b);
    const int ta = thing(d, a, chance(d->rng, d->more));
    say(d, is);
    say_relation(d, rel);
    const int tb = thing(d, b, chance(d->rng, d->more));
    relate(d, ta, rel, tb);
    return ta;
}

static void list(draft *d, const uint32_t *order)
{
    const int n = d->scene->count;
    for (int k = 0; k < n; k++) {
        if (k > 0) say(d, k == n - 1 ? " and " : ", ");
        thing(d, (int)order[k], chance(d->rng, d->more));
    }
}

/* A true caption. `more` (0 .. 8) is how much it says: later tries say more. */
static draft caption(const kin_scene *s, kin_rng *r, uint32_t more)
{
    draft d = new_draft(s, r, more);
    uint32_t o[KIN_SCENE_MAX_OBJECTS];
    kin_rng_permutation(r, o, (uint32_t)s->count);
    const int a = (int)o[0], b = (int)o[1], c = (int)o[s->count > 2 ? 2 : 0];
    bool grounded = false;
    switch (kin_rng_below(r, 7)) {
    case 0: pair(&d, a, b, ""); break;
    case 1:
        say(&d, "on ");
        ground(&d);
        say(&d, ", ");
        pair(&d, a, b, " is");
        grounded = true;
        break;
    case 2:
        ground(&d);
        say(&d, " with ");
        pair(&d, a, b, "");
        grounded = true;
        break;
    case 3: { /* A left of B and above C */
        const int ta = pair(&d, a, b, "");
        if (s->count < 3) break;
        const kin_scene_relation is = clear_relation(&d, a, c);
        say(&d, " and");
        say_relation(&d, is);
        relate(&d, ta, is, thing(&d, c, chance(r, more)));
        break;
    }
    case 4: /* A left of B, C above D */
        pair(&d, a, b, "");
        if (s->count < 4) break;
        say(&d, ", ");
        pair(&d, c, (int)o[3], "");
        break;
    case 5:
        d.claim.count = s->count;
        say(&d, numbers[s->count]);
        say(&d, " shapes: ");
        list(&d, o);
        break;
    default: list(&d, o); break;
    }
    if (!grounded && chance(r, more)) {
        say(&d, " on ");
        ground(&d);
    }
    return d;
}

static bool unique(const kin_scene *block, int n, int i, const kin_claim *c)
{
    for (int j = 0; j < n; j++)
        if (j != i && kin_scene_holds(&block[j], c, false)) return false;
    return true;
}

static bool captions(const kin_scene *block, int n, int i, kin_rng *r, kin_scene_text *out)
{
    const int wanted = 2 + (int)kin_rng_below(r, KIN_SCENE_MAX_CAPTIONS - 1);
    for (int trial = 0; out->captions < wanted && trial < 200; trial++) {
        const uint32_t more = (uint32_t)(trial < 20 ? 4 : trial < 60 ? 6 : 8);
        const draft d = caption(&block[i], r, more);
        bool again = false;
        for (int k = 0; k < out->captions; k++) again |= strcmp(out->caption[k], d.text) == 0;
        if (again || !unique(block, n, i, &d.claim)) continue;
        memcpy(out->caption[out->captions++], d.text, sizeof d.text);
    }
    return out->captions == wanted;
}

/* Words by words: both members of a swap are said in the same way, so they have the same words. */
static void say_swap(draft *d, const kin_claim *c, const char *relation, bool grounded)
{
    say_thing(d, c->thing[0].color, c->thing[0].shape, c->thing[0].size);
    say(d, relation);
    say_thing(d, c->thing[1].color, c->thing[1].shape, c->thing[1].size);
    if (grounded) {
        say(d, " on ");
        ground(d);
    }
    d->claim = *c;
}

bool kin_scene_swap(const kin_scene *s, kin_rng *r, int a, int b, bool attribute,
                    char caption_out[KIN_SCENE_CAPTION], char swapped[KIN_SCENE_CAPTION])
{
    const kin_scene_object *x = &s->object[a], *y = &s->object[b];
    if (attribute && (x->color == y->color || x->shape == y->shape)) return false;
    draft d = new_draft(s, r, 0), e = d;
    const bool sized = chance(r, 3), grounded = chance(r, 2);
    const kin_scene_relation is = clear_relation(&d, a, b);
    char relation[32] = " ";
    put(relation, sizeof relation, said[is][kin_rng_below(r, 2)]);
    put(relation, sizeof relation, " ");
    kin_claim c = d.claim;
    c.things = 2;
    c.thing[0].color = x->color, c.thing[0].shape = x->shape, c.thing[0].size = sized ? x->size : -1;
    c.thing[1].color = y->color, c.thing[1].shape = y->shape, c.thing[1].size = sized ? y->size : -1;
    c.relations = 1;
    c.relation[0].a = 0, c.relation[0].b = 1, c.relation[0].is = is;
    say_swap(&d, &c, relation, grounded);
    kin_claim wrong = c;
    if (attribute) {
        wrong.thing[0].color = y->color;
        wrong.thing[1].color = x->color;
    } else {
        wrong.thing[0] = c.thing[1];
        wrong.thing[1] = c.thing[0];
    }
    say_swap(&e, &wrong, relation, grounded);
    if (kin_scene_holds(s, &wrong, false)) return false;
    memcpy(caption_out, d.text, sizeof d.text);
    memcpy(swapped, e.text, sizeof e.text);
    return true;
}

/* One more swap of a picture's text, unless it has been said. */
static bool swap(const kin_scene *s, kin_rng *r, int a, int b, bool attribute, kin_scene_text *out)
{
    char *text = out->swap[out->swaps].caption;
    if (!kin_scene_swap(s, r, a, b, attribute, text, out->swap[out->swaps].swapped)) return false;
    for (int k = 0; k < out->swaps; k++)
        if (strcmp(out->swap[k].caption, text) == 0) return false;
    out->swap[out->swaps++].attribute = attribute;
    return true;
}

/* Two of relation (the first always succeeds: pairs of color and shape are different) and one of colors. */
static void swaps(const kin_scene *s, kin_rng *r, kin_scene_text *out)
{
    unsigned first = 0; /* the objects of the first swap: the second one is about others where there are */
    for (int k = 0; k < 3; k++) {
        const bool attribute = k == 2;
        bool made = false;
        for (int trial = 0; trial < 16 && !made; trial++) {
            const int a = (int)kin_rng_below(r, (uint32_t)s->count);
            const int b = (a + 1 + (int)kin_rng_below(r, (uint32_t)s->count - 1)) % s->count;
            const unsigned both = 1u << a | 1u << b;
            if (k == 1 && both == first && s->count > 2) continue;
            made = swap(s, r, a, b, attribute, out);
            if (made && k == 0) first = both;
        }
    }
}

static void ask(kin_scene_text *t, const char *const *words, const char *answer)
{
    char *question = t->question[t->qa].question;
    for (; *words; words++) put(question, sizeof t->question[0].question, *words);
    put(t->question[t->qa++].answer, sizeof t->question[0].answer, answer);
}
#define ASK(text, answer, ...) ask(text, (const char *const[]){__VA_ARGS__, NULL}, answer)

static void questions(const kin_scene *s, kin_rng *r, kin_scene_text *t)
{
    ASK(t, numbers[s->count], "how many shapes are there?");
    ASK(t, kin_scene_patterns[s->pattern], "what pattern is the background?");
    draft d = new_draft(s, r, 0);
    const int a = (int)kin_rng_below(r, (uint32_t)s->count);
    const int b = (a + 1 + (int)kin_rng_below(r, (uint32_t)s->count - 1)) % s->count;
    const kin_scene_object *x = &s->object[a], *y = &s->object[b];
    const char *is = kin_scene_relations[clear_relation(&d, a, b)];
    const bool yes = chance(r, 4);
    const kin_scene_object *p = yes ? x : y, *q = yes ? y : x;
    ASK(t, yes ? "yes" : "no", "is the ", kin_scene_colors[p->color], " ", kin_scene_shapes[p->shape], " ",
        is, " the ", kin_scene_colors[q->color], " ", kin_scene_shapes[q->shape], "?");
    ASK(t, kin_scene_sizes[x->size], "what size is the ", kin_scene_colors[x->color], " ",
        kin_scene_shapes[x->shape], "?");
    int shapes = 0, colors = 0;
    for (int k = 0; k < s->count; k++) {
        shapes += s->object[k].shape == y->shape;
        colors += s->object[k].color == x->color;
    }
    if (shapes == 1)
        ASK(t, kin_scene_colors[y->color], "what color is the ", kin_scene_shapes[y->shape], "?");
    if (colors == 1)
        ASK(t, kin_scene_shapes[x->shape], "what shape is the ", kin_scene_colors[x->color], " one?");
}

bool kin_scene_describe(const kin_scene *block, int n, int i, kin_scene_text *out)
{
    memset(out, 0, sizeof *out);
    kin_rng r = kin_rng_new(kin_key(block[i].key, 2, 0));
    if (!captions(block, n, i, &r, out)) return false;
    swaps(&block[i], &r, out);
    questions(&block[i], &r, out);
    return true;
}
