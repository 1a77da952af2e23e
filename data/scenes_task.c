#include "data/scenes_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/scenes_boxes_list.h"

enum { ANY = -1, RED = 0, ON = 1, ATTEMPTS = 500, KINDS = 7 };

const char *const kin_scene_task_names[KIN_SCENE_TASKS] = {
    "swaps", "attributes", "match", "xor", "and", "count", "questions", "masked", "boxes", "contents"};
static const char *const matches[] = {"no-match", "match"};
static const char *const truths[] = {"false", "true"};
static const char *const counts[] = {"zero", "one", "two"};
/* Colors and shapes first, as masked has them: the classes of masked are the first of questions. */
static const char *const answers[] = {
    "red",      "green", "blue", "yellow", "orange",  "purple",  "pink",    "cyan",     "circle", "square",
    "triangle", "star",  "ring", "cross",  "diamond", "heart",   "small",   "medium",   "large",  "two",
    "three",    "four",  "five", "plain",  "shaded",  "striped", "checked", "speckled", "no",     "yes"};
enum { COLORS = 0, SHAPES = 8, SIZES = 16, NUMBERS = 19, PATTERNS = 23, NO = 28, ANSWERS = 30 };

const char *const *kin_scene_task_classes(kin_scene_task task, int *classes)
{
    static const struct {
        const char *const *names;
        int n;
    } of[KIN_SCENE_TASKS] = {{matches, 2}, {matches, 2},       {matches, 2},     {truths, 2}, {truths, 2},
                             {counts, 3},  {answers, ANSWERS}, {answers, SIZES}, {truths, 2}, {truths, 2}};
    *classes = of[task].n;
    return of[task].names;
}

/* One round on trial. */
typedef struct maker {
    kin_ctx *cx;
    const kin_scene_task_cfg *cfg;
    kin_scene_set *out;
    uint64_t key;
    kin_rng rng;
    int64_t round;
} maker;

typedef bool (*wanted_fn)(const kin_scene *s, const void *user);

/* A new picture of least to most objects: its number, -1 on failure. */
static int64_t picture(maker *m, int least, int most, wanted_fn wanted, const void *user)
{
    kin_scene_set *o = m->out;
    kin_scene *grown = kin_roomy(m->cx, o->scene, o->scenes, &o->scene_room, sizeof *grown);
    if (!grown) return -1;
    o->scene = grown;
    const int limit = m->cfg->objects;
    const kin_scene_cfg cfg = {.size = m->cfg->size,
                               .split = m->cfg->split,
                               .min_objects = limit && limit < least ? limit : least,
                               .max_objects = limit ? limit : most,
                               .wanted = wanted,
                               .user = user};
    const uint64_t key = kin_key(m->key, 1, (uint64_t)o->scenes);
    return kin_scene_make(m->cx, key, &cfg, &o->scene[o->scenes], NULL) == KIN_OK ? o->scenes++ : -1;
}

/* A new example, its text given or to be filled in. */
static char *example(maker *m, int64_t of, int label, const char *text)
{
    kin_scene_set *o = m->out;
    kin_scene_example *grown = kin_roomy(m->cx, o->example, o->examples, &o->example_room, sizeof *grown);
    if (!grown) return NULL;
    o->example = grown;
    kin_scene_example *e = &o->example[o->examples++];
    *e = (kin_scene_example){.picture = of, .label = label};
    snprintf(e->text, sizeof e->text, "%s", text);
    return e->text;
}

static bool testing(const maker *m)
{
    return m->cfg->split == KIN_SCENE_TEST;
}

static int below(maker *m, int n)
{
    return (int)kin_rng_below(&m->rng, (uint32_t)n);
}

static bool held(const kin_scene_object *o)
{
    return kin_scene_held_out(o->color, o->shape);
}

/* Two different objects, one of them of a held-out pair when testing. */
static void two_objects(maker *m, const kin_scene *s, int *a, int *b)
{
    do {
        *a = below(m, s->count);
        *b = (*a + 1 + below(m, s->count - 1)) % s->count;
    } while (testing(m) && !held(&s->object[*a]) && !held(&s->object[*b]));
}

static bool swaps(maker *m, bool attribute)
{
    const int64_t p = picture(m, 4, KIN_SCENE_MAX_OBJECTS, NULL, NULL);
    if (p < 0) return false;
    const kin_scene *s = &m->out->scene[p];
    char right[KIN_SCENE_CAPTION], wrong[KIN_SCENE_CAPTION];
    int a, b;
    two_objects(m, s, &a, &b);
    const kin_scene_object *x = &s->object[a], *y = &s->object[b];
    /* What is false must not be known by a pair that training never calls true. */
    if (attribute && !testing(m) &&
        (kin_scene_held_out(x->color, y->shape) || kin_scene_held_out(y->color, x->shape)))
        return false;
    return kin_scene_swap(s, &m->rng, a, b, attribute, right, wrong) && example(m, p, 1, right) &&
           example(m, p, 0, wrong);
}

static bool relation_swaps(maker *m)
{
    return swaps(m, false);
}

static bool attribute_swaps(maker *m)
{
    return swaps(m, true);
}

static bool match(maker *m)
{
    const int64_t p = picture(m, 0, 0, NULL, NULL), q = picture(m, 0, 0, NULL, NULL);
    kin_scene_text said[2];
    if (p < 0 || q < 0) return false;
    for (int i = 0; i < 2; i++)
        if (!kin_scene_describe(m->out->scene + p, 2, i, &said[i])) return false;
    for (int i = 0; i < 4; i++)
        if (!example(m, i & 1 ? q : p, (i & 1) == (i >> 1), said[i >> 1].caption[0])) return false;
    return true;
}

static bool has_red(const kin_scene *s, const void *yes)
{
    bool found = false;
    for (int i = 0; i < s->count; i++) found |= s->object[i].color == RED;
    return found == *(const bool *)yes;
}

/* A sentence about neither colors nor shapes; `which` draws everything but whether it is on. */
static void sentence(uint64_t which, bool on, char text[KIN_SCENE_CAPTION])
{
    static const char *const places[] = {"in the kitchen", "at the door", "on the table", "upstairs",
                                         "in the hall",    "next door",   "by the window"};
    static const char *const kinds[] = {"old", "new", "wooden", "heavy", "cheap", "silent"};
    static const char *const things[] = {"lamp", "radio", "fan", "oven", "heater", "clock", "pump", "screen"};
    kin_rng r = kin_rng_new(which);
    const uint32_t place = kin_rng_below(&r, 7), kind = kin_rng_below(&r, 6), thing = kin_rng_below(&r, 8);
    snprintf(text, KIN_SCENE_CAPTION, kin_rng_below(&r, 2) ? "%s the %s %s is %s" : "%s, the %s %s: %s",
             places[place], kinds[kind], things[thing], on ? "on" : "off");
}

static bool exclusive(maker *m)
{
    static const bool facts[] = {false, true};
    int64_t of[2];
    char text[2][KIN_SCENE_CAPTION];
    for (int i = 0; i < 2; i++) {
        of[i] = picture(m, 0, 0, has_red, &facts[i]);
        sentence(m->key, i == ON, text[i]);
        if (of[i] < 0) return false;
    }
    for (int i = 0; i < 4; i++)
        if (!example(m, of[i & 1], (i & 1) ^ (i >> 1), text[i >> 1])) return false;
    return true;
}

static bool both(maker *m)
{
    static const bool red[] = {true, true, true, true, false, false},
                      on[] = {true, true, true, false, true, false};
    char text[KIN_SCENE_CAPTION];
    for (int i = 0; i < 6; i++) {
        const int64_t p = picture(m, 0, 0, has_red, &red[i]);
        sentence(kin_key(m->key, 2, (uint64_t)i), on[i], text);
        if (p < 0 || !example(m, p, red[i] && on[i], text)) return false;
    }
    return true;
}

/* Of the colors (or shapes) `of`, each k objects: k = 2, 1, 0 after one another, reversed. */
typedef struct tally {
    bool color;
    int of[3];
} tally;

static bool counted(const kin_scene *s, const void *user)
{
    const tally *t = user;
    int n[3] = {0};
    for (int i = 0; i < s->count; i++)
        for (int k = 0; k < 3; k++) n[k] += t->of[k] == (t->color ? s->object[i].color : s->object[i].shape);
    return n[0] == 0 && n[1] == 1 && n[2] == 2;
}

static bool count(maker *m)
{
    uint32_t order[8];
    kin_rng_permutation(&m->rng, order, 8);
    const tally t = {m->round % 2 == 0, {(int)order[0], (int)order[1], (int)order[2]}};
    const int64_t p = picture(m, 3, KIN_SCENE_MAX_OBJECTS, counted, &t);
    if (p < 0) return false;
    for (int k = 0; k < 3; k++) {
        char *text = example(m, p, k, "");
        if (!text) return false;
        const char *name = t.color ? kin_scene_colors[t.of[k]] : kin_scene_shapes[t.of[k]];
        const char *end = t.color ? " shapes" : name[strlen(name) - 1] == 's' ? "es" : "s";
        snprintf(text, KIN_SCENE_CAPTION, "how many %s%s are there?", name, end);
    }
    return true;
}

/* ---- questions ---- */

typedef struct want {
    int color, shape;            /* an object of this pair */
    bool only_color, only_shape; /* and no other of its color; of its shape */
    bool apart;                  /* no object of this pair, but one of the color and one of the shape */
    int pattern;
} want;

static bool is_wanted(const kin_scene *s, const void *user)
{
    const want *w = user;
    int pair = 0, color = 0, shape = 0;
    if (w->pattern != ANY && s->pattern != w->pattern) return false;
    if (w->color == ANY) return true;
    for (int i = 0; i < s->count; i++) {
        const bool c = s->object[i].color == w->color, h = s->object[i].shape == w->shape;
        pair += c && h;
        color += c;
        shape += h;
    }
    if (w->apart) return pair == 0 && color > 0 && shape > 0;
    return pair == 1 && (!w->only_color || color == 1) && (!w->only_shape || shape == 1);
}

/* A color-shape pair, of which one may be given: held out when testing, else not. */
static void draw_pair(maker *m, int *color, int *shape)
{
    const int c = *color, h = *shape;
    do {
        *color = c == ANY ? below(m, KIN_SCENE_COLORS) : c;
        *shape = h == ANY ? below(m, KIN_SCENE_SHAPES) : h;
    } while (kin_scene_held_out(*color, *shape) != testing(m));
}

static bool ask(maker *m, const want *w, int label, const char *before, const char *middle, const char *after)
{
    const int64_t p = picture(m, 0, 0, is_wanted, w);
    char *text = p < 0 ? NULL : example(m, p, label, "");
    if (text) snprintf(text, KIN_SCENE_CAPTION, "%s%s%s?", before, middle, after);
    return text != NULL;
}

static bool ask_color(maker *m, int answer)
{
    want w = {.color = answer, .shape = ANY, .only_shape = true, .pattern = ANY};
    draw_pair(m, &w.color, &w.shape);
    return ask(m, &w, COLORS + answer, "what color is the ", kin_scene_shapes[w.shape], "");
}

static bool ask_shape(maker *m, int answer)
{
    want w = {.color = ANY, .shape = answer, .only_color = true, .pattern = ANY};
    draw_pair(m, &w.color, &w.shape);
    return ask(m, &w, SHAPES + answer, "what shape is the ", kin_scene_colors[w.color], " one");
}

static bool ask_presence(maker *m, int answer)
{
    want w = {.color = ANY, .shape = ANY, .apart = !answer, .pattern = ANY};
    char pair[40];
    draw_pair(m, &w.color, &w.shape);
    const char *color = kin_scene_colors[w.color];
    snprintf(pair, sizeof pair, "%s %s %s", strchr("aeiou", *color) ? "an" : "a", color,
             kin_scene_shapes[w.shape]);
    return ask(m, &w, NO + answer, "is there ", pair, "");
}

static bool ask_pattern(maker *m, int answer)
{
    const want w = {.color = ANY, .pattern = answer};
    return ask(m, &w, PATTERNS + answer, "what pattern is the background", "", "");
}

static bool ask_number(maker *m, int answer)
{
    const int n = KIN_SCENE_MIN_OBJECTS + answer;
    const int64_t p = picture(m, n, n, NULL, NULL);
    return p >= 0 && example(m, p, NUMBERS + answer, "how many shapes are there?");
}

static bool ask_size(maker *m, int answer)
{
    const int64_t p = picture(m, 0, 0, NULL, NULL);
    if (p < 0) return false;
    const kin_scene *s = &m->out->scene[p];
    const kin_scene_object *o = &s->object[below(m, s->count)];
    char *text = o->size == answer && held(o) == testing(m) ? example(m, p, SIZES + answer, "") : NULL;
    if (text)
        snprintf(text, KIN_SCENE_CAPTION, "what size is the %s %s?", kin_scene_colors[o->color],
                 kin_scene_shapes[o->shape]);
    return text != NULL;
}

static bool ask_relation(maker *m, int answer)
{
    const int64_t p = picture(m, 0, 0, NULL, NULL);
    if (p < 0) return false;
    const kin_scene *s = &m->out->scene[p];
    int a, b;
    two_objects(m, s, &a, &b);
    const char *is = kin_scene_relations[kin_scene_relation_of(s, &m->rng, a, b)];
    const kin_scene_object *x = &s->object[answer ? a : b], *y = &s->object[answer ? b : a];
    char *text = example(m, p, NO + answer, "");
    if (text)
        snprintf(text, KIN_SCENE_CAPTION, "is the %s %s %s the %s %s?", kin_scene_colors[x->color],
                 kin_scene_shapes[x->shape], is, kin_scene_colors[y->color], kin_scene_shapes[y->shape]);
    return text != NULL;
}

static bool question(maker *m)
{
    static const struct {
        bool (*ask)(maker *m, int answer);
        int answers;
    } kind[KINDS] = {{ask_color, 8},  {ask_shape, 8},    {ask_size, 3},   {ask_relation, 2},
                     {ask_number, 4}, {ask_presence, 2}, {ask_pattern, 5}};
    const int k = (int)(m->round % KINDS);
    return kind[k].ask(m, (int)(m->round / KINDS % kind[k].answers));
}

/* "a [mask] circle left of a blue square", or the masked one last; shape: "a red [mask]". */
static bool masked(maker *m)
{
    const bool color = m->round % 2 == 0, last = kin_rng_below(&m->rng, 2);
    const int answer = (int)(m->round / 2 % 8);
    want w = {.color = color ? answer : ANY, .shape = color ? ANY : answer, .pattern = ANY};
    draw_pair(m, &w.color, &w.shape);
    const int64_t p = picture(m, 0, 0, is_wanted, &w);
    if (p < 0) return false;
    const kin_scene *s = &m->out->scene[p];
    int a = 0;
    while (s->object[a].color != w.color || s->object[a].shape != w.shape) a++;
    const int b = (a + 1 + below(m, s->count - 1)) % s->count;
    const kin_scene_object *o = &s->object[b];
    const kin_scene_relation is =
        last ? kin_scene_relation_of(s, &m->rng, b, a) : kin_scene_relation_of(s, &m->rng, a, b);
    kin_claim c = {.things = 2, .relations = 1, .pattern = ANY, .tone = ANY, .count = ANY};
    c.relation[0].a = last;
    c.relation[0].b = !last;
    c.relation[0].is = is;
    c.thing[1].color = o->color, c.thing[1].shape = o->shape, c.thing[1].size = ANY;
    for (int other = 0; other < 8; other++) { /* no other word may do */
        c.thing[0].color = color ? other : w.color, c.thing[0].shape = color ? w.shape : other;
        c.thing[0].size = ANY;
        if (other != answer && kin_scene_holds(s, &c, false)) return false;
    }
    char hole[60], known[60];
    snprintf(hole, sizeof hole, color ? "a [mask] %s" : "%s %s [mask]",
             color                                         ? kin_scene_shapes[w.shape]
             : strchr("aeiou", *kin_scene_colors[w.color]) ? "an"
                                                           : "a",
             kin_scene_colors[w.color]);
    snprintf(known, sizeof known, "%s %s %s", strchr("aeiou", *kin_scene_colors[o->color]) ? "an" : "a",
             kin_scene_colors[o->color], kin_scene_shapes[o->shape]);
    char *text = example(m, p, color ? answer : SHAPES + answer, "");
    if (text)
        snprintf(text, KIN_SCENE_CAPTION, "%s %s %s", last ? known : hole, kin_scene_relations[is],
                 last ? hole : known);
    return text != NULL;
}

/* ---- boxes ---- */

/* The text is true of the first picture. */
static bool add_two(maker *m, const kin_boxes two[2], const char *text)
{
    kin_scene_set *o = m->out;
    for (int i = 0; i < 2; i++) {
        kin_boxes *grown = kin_roomy(m->cx, o->boxes, o->scenes, &o->scene_room, sizeof *grown);
        if (!grown) return false;
        o->boxes = grown;
        o->boxes[o->scenes] = two[i];
        if (!example(m, o->scenes++, i == 0, text)) return false;
    }
    return true;
}

static bool boxes(maker *m)
{
    kin_box_claim claim;
    kin_boxes two[2];
    char text[KIN_BOXES_TEXT];
    kin_boxes_say(&m->rng, m->round % 2, &claim, text);
    return kin_boxes_split(&m->rng, &claim, two) && add_two(m, two, text);
}

static bool contents(maker *m)
{
    kin_boxes two[2];
    char text[KIN_BOXES_TEXT];
    return kin_boxes_list_split(&m->rng, m->round % 2, two, text) && add_two(m, two, text);
}

/* ---- rounds ---- */

static bool (*const makers[KIN_SCENE_TASKS])(maker *m) = {
    relation_swaps, attribute_swaps, match, exclusive, both, count, question, masked, boxes, contents};

static kin_status make_round(kin_ctx *cx, const kin_scene_task_cfg *cfg, int64_t round, kin_scene_set *out)
{
    const int64_t scenes = out->scenes, examples = out->examples;
    const uint64_t stream = kin_key(cfg->seed, 0x7461736b73ull + (uint64_t)cfg->task, (uint64_t)cfg->split);
    for (uint64_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        maker m = {.cx = cx, .cfg = cfg, .out = out, .round = round};
        m.key = kin_key(stream, (uint64_t)round, attempt);
        m.rng = kin_rng_new(kin_key(m.key, 0, 0));
        if (makers[cfg->task](&m)) return KIN_OK;
        KIN_TRY(cx->status);
        out->scenes = scenes;
        out->examples = examples;
    }
    return kin_fail(cx, KIN_INTERNAL, "scenes: %s: round %lld of seed %llu cannot be made",
                    kin_scene_task_names[cfg->task], (long long)round, (unsigned long long)cfg->seed);
}

bool kin_scene_task_boxes(kin_scene_task task)
{
    return task == KIN_SCENE_TASK_BOXES || task == KIN_SCENE_TASK_CONTENTS;
}

kin_status kin_scene_task_make(kin_ctx *cx, const kin_scene_task_cfg *cfg, kin_scene_set *out)
{
    *out = (kin_scene_set){0};
    if (cfg->count < 1 || cfg->count > 10000000)
        return kin_fail(cx, KIN_ARG, "scenes: count is %lld, it must be 1 to 10000000",
                        (long long)cfg->count);
    if (cfg->objects && (cfg->task == KIN_SCENE_TASK_COUNT || cfg->task == KIN_SCENE_TASK_QUESTIONS ||
                         kin_scene_task_boxes(cfg->task)))
        return kin_fail(cx, KIN_ARG, "scenes: %s asks how many there are: objects=N is of the other tasks",
                        kin_scene_task_names[cfg->task]);
    if (kin_scene_task_boxes(cfg->task) && (cfg->size < KIN_SCENE_MIN_SIZE || cfg->size > KIN_SCENE_MAX_SIZE))
        return kin_fail(cx, KIN_ARG, "scenes: size is %d pixels, it must be %d to %d", cfg->size,
                        KIN_SCENE_MIN_SIZE, KIN_SCENE_MAX_SIZE);
    for (int64_t round = 0; out->examples < cfg->count; round++) KIN_TRY(make_round(cx, cfg, round, out));
    return KIN_OK;
}

void kin_scene_set_free(kin_scene_set *s)
{
    free(s->scene);
    free(s->boxes);
    free(s->example);
    *s = (kin_scene_set){0};
}
