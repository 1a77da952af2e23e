#include "data/scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/json.h"
#include "core/rng.h"
#include "data/image.h"
#include "data/scenes_draw.h"
#include "data/scenes_text.h"
#include "data/tar.h"

const char *const kin_scene_shapes[KIN_SCENE_SHAPES] = {"circle", "square", "triangle", "star",
                                                        "ring",   "cross",  "diamond",  "heart"};
const char *const kin_scene_colors[KIN_SCENE_COLORS] = {"red",    "green",  "blue", "yellow",
                                                        "orange", "purple", "pink", "cyan"};
const char *const kin_scene_sizes[KIN_SCENE_SIZES] = {"small", "medium", "large"};
const char *const kin_scene_patterns[KIN_SCENE_PATTERNS] = {"plain", "shaded", "striped", "checked",
                                                            "speckled"};
const char *const kin_scene_tones[KIN_SCENE_TONES] = {"dark", "grey", "light"};
const char *const kin_scene_relations[KIN_SCENE_RELATIONS] = {"left of", "right of", "above", "below"};
static const char *const splits[KIN_SCENE_SPLITS] = {"train", "val", "test"};

static const double half_extent[KIN_SCENE_SIZES] = {0.09, 0.14, 0.2}; /* +- 5 %: sizes never meet */

bool kin_scene_held_out(int color, int shape)
{
    /* Two lines with slope 3 through the 8 x 8 square, the second one for five colors: 8 + 5 pairs. */
    return shape == (3 * color + 1) % 8 || (color < 5 && shape == (3 * color + 4) % 8);
}

bool kin_scene_related(const kin_scene_object *a, kin_scene_relation is, const kin_scene_object *b,
                       bool clear)
{
    switch (is) {
    case KIN_LEFT_OF: return clear ? a->x1 + KIN_SCENE_GAP <= b->x0 : a->cx <= b->cx;
    case KIN_ABOVE: return clear ? a->y1 + KIN_SCENE_GAP <= b->y0 : a->cy <= b->cy;
    case KIN_RIGHT_OF: return kin_scene_related(b, KIN_LEFT_OF, a, clear);
    default: return kin_scene_related(b, KIN_ABOVE, a, clear);
    }
}

static bool apart(const kin_scene_object *a, const kin_scene_object *b)
{
    for (int is = 0; is < KIN_SCENE_RELATIONS; is++)
        if (kin_scene_related(a, (kin_scene_relation)is, b, true)) return true;
    return false;
}

/* Colors and shapes: different pairs; for train and val none that is held out, for test at least one. */
static void draw_pairs(kin_rng *r, kin_scene_split split, kin_scene *s)
{
    for (;;) {
        uint64_t seen = 0;
        bool held = false;
        for (int i = 0; i < s->count;) {
            const int color = (int)kin_rng_below(r, KIN_SCENE_COLORS);
            const int shape = (int)kin_rng_below(r, KIN_SCENE_SHAPES);
            const uint64_t pair = (uint64_t)1 << (color * KIN_SCENE_SHAPES + shape);
            const bool out = kin_scene_held_out(color, shape);
            if ((seen & pair) || (out && split != KIN_SCENE_TEST)) continue;
            s->object[i].color = color;
            s->object[i].shape = shape;
            seen |= pair;
            held |= out;
            i++;
        }
        if (held || split != KIN_SCENE_TEST) return;
    }
}

static double between(kin_rng *r, double low, double high)
{
    return low + (high - low) * (double)kin_rng_unit(r);
}

/* Draws a size and a place for each object; false when they do not fit. */
static bool draw_places(kin_rng *r, int sizes, kin_scene *s)
{
    const double edge = 0.015; /* of the canvas stays free */
    for (int i = 0; i < s->count; i++) {
        kin_scene_object *o = &s->object[i];
        const double *e = kin_scene_extent[o->shape];
        o->size = (int)kin_rng_below(r, (uint32_t)sizes);
        o->r = half_extent[o->size] * between(r, 0.95, 1.05);
        bool placed = false;
        for (int trial = 0; trial < 32 && !placed; trial++) {
            o->cx = between(r, edge - e[0] * o->r, 1 - edge - e[2] * o->r);
            o->cy = between(r, edge - e[1] * o->r, 1 - edge - e[3] * o->r);
            o->x0 = o->cx + e[0] * o->r;
            o->y0 = o->cy + e[1] * o->r;
            o->x1 = o->cx + e[2] * o->r;
            o->y1 = o->cy + e[3] * o->r;
            placed = true;
            for (int j = 0; j < i && placed; j++) placed = apart(o, &s->object[j]);
        }
        if (!placed) return false;
        o->box[0] = (int)(o->x0 * s->size);
        o->box[1] = (int)(o->y0 * s->size);
        o->box[2] = (int)(o->x1 * s->size) + 1;
        o->box[3] = (int)(o->y1 * s->size) + 1;
    }
    return true;
}

kin_status kin_scene_make(kin_ctx *cx, uint64_t key, const kin_scene_cfg *cfg, kin_scene *out,
                          uint8_t *pixels)
{
    if (cfg->size < KIN_SCENE_MIN_SIZE || cfg->size > KIN_SCENE_MAX_SIZE)
        return kin_fail(cx, KIN_ARG, "scenes: size is %d pixels, it must be %d to %d", cfg->size,
                        KIN_SCENE_MIN_SIZE, KIN_SCENE_MAX_SIZE);
    if (cfg->split < KIN_SCENE_TRAIN || cfg->split >= KIN_SCENE_SPLITS)
        return kin_fail(cx, KIN_ARG, "scenes: there is no split %d", (int)cfg->split);
    kin_rng r = kin_rng_new(kin_key(key, 0, 0));
    const int most = cfg->max_objects ? cfg->max_objects : KIN_SCENE_MAX_OBJECTS;
    const int least = cfg->min_objects ? cfg->min_objects : KIN_SCENE_MIN_OBJECTS;
    if (most < KIN_SCENE_MIN_OBJECTS || most > KIN_SCENE_MAX_OBJECTS)
        return kin_fail(cx, KIN_ARG, "scenes: at most %d objects; it must be %d to %d", most,
                        KIN_SCENE_MIN_OBJECTS, KIN_SCENE_MAX_OBJECTS);
    if (least < KIN_SCENE_MIN_OBJECTS || least > most)
        return kin_fail(cx, KIN_ARG, "scenes: at least %d objects; it must be %d to %d", least,
                        KIN_SCENE_MIN_OBJECTS, most);
    *out = (kin_scene){.size = cfg->size, .key = key};
    for (int trial = 0;; trial++) {
        if (trial == 1000000) return kin_fail(cx, KIN_ARG, "scenes: no picture is as wanted");
        out->count = least + (int)kin_rng_below(&r, (uint32_t)(most - least + 1));
        out->pattern = (int)kin_rng_below(&r, KIN_SCENE_PATTERNS);
        out->tone = (int)kin_rng_below(&r, KIN_SCENE_TONES);
        draw_pairs(&r, cfg->split, out);
        if (!cfg->wanted || cfg->wanted(out, cfg->user)) break;
    }
    /* Five large objects do not fit: after some misses the large size is left out, then the medium one. Five
     * small ones fit nearly always, so this ends. */
    for (int miss = 0; !draw_places(&r, miss < 16 ? 3 : miss < 32 ? 2 : 1, out);) miss++;
    if (pixels) kin_scene_draw(out, pixels);
    return KIN_OK;
}

kin_status kin_scene_block(kin_ctx *cx, uint64_t seed, const kin_scene_cfg *cfg, int64_t index,
                           kin_scene scenes[KIN_SCENE_BLOCK], kin_scene_text texts[KIN_SCENE_BLOCK])
{
    const uint64_t stream = kin_key(seed, 0x7363656e6573ull, (uint64_t)cfg->split); /* "scenes" */
    const uint64_t first = (uint64_t)index * KIN_SCENE_BLOCK;
    for (int i = 0; i < KIN_SCENE_BLOCK; i++)
        KIN_TRY(kin_scene_make(cx, kin_key(stream, first + (uint64_t)i, 0), cfg, &scenes[i], NULL));
    /* A scene that cannot be told from the others is drawn again; then all captions must be checked against
     * it. That has not been seen to happen: whole scenes hardly ever repeat within a thousand. */
    int i = 0;
    for (uint64_t again = 0; i < KIN_SCENE_BLOCK && again < 100;) {
        if (kin_scene_describe(scenes, KIN_SCENE_BLOCK, i, &texts[i])) {
            i++;
            continue;
        }
        again++;
        KIN_TRY(kin_scene_make(cx, kin_key(stream, first + (uint64_t)i, again), cfg, &scenes[i], NULL));
        i = 0;
    }
    if (i < KIN_SCENE_BLOCK)
        return kin_fail(cx, KIN_INTERNAL, "scenes: block %lld of seed %llu: no captions for picture %d",
                        (long long)index, (unsigned long long)seed, i);
    return KIN_OK;
}

/* One sample, packed: what stands in the shard. */
typedef struct sample {
    uint8_t *png;
    int64_t png_size;
    char *json;
    kin_ctx cx; /* of its own: samples are packed on many threads */
} sample;

/* Appends and returns the array, or frees both and returns NULL: json_pack then fails on the NULL. */
static json_t *push(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) == 0) return array;
    json_decref(array);
    return NULL;
}

static json_t *objects_json(const kin_scene *s)
{
    json_t *all = json_array();
    for (int i = 0; i < s->count; i++) {
        const kin_scene_object *o = &s->object[i];
        all = push(all, json_pack("{s:s, s:s, s:s, s:[i, i, i, i]}", "shape", kin_scene_shapes[o->shape],
                                  "color", kin_scene_colors[o->color], "size", kin_scene_sizes[o->size],
                                  "box", o->box[0], o->box[1], o->box[2], o->box[3]));
    }
    return all;
}

static json_t *relations_json(const kin_scene *s)
{
    json_t *all = json_array();
    for (int i = 0; i < s->count; i++)
        for (int j = i + 1; j < s->count; j++)
            for (int is = 0; is < KIN_SCENE_RELATIONS; is++)
                if (kin_scene_related(&s->object[i], (kin_scene_relation)is, &s->object[j], true))
                    all = push(all, json_pack("[i, s, i]", i, kin_scene_relations[is], j));
    return all;
}

static char *scene_json(kin_ctx *cx, const kin_scene *s, const kin_scene_text *t)
{
    json_t *captions = json_array(), *swaps = json_array(), *qa = json_array();
    for (int i = 0; i < t->captions; i++) captions = push(captions, json_string(t->caption[i]));
    for (int i = 0; i < t->swaps; i++)
        swaps =
            push(swaps, json_pack("{s:s, s:s, s:s}", "kind", t->swap[i].attribute ? "attribute" : "relation",
                                  "caption", t->swap[i].caption, "swapped", t->swap[i].swapped));
    for (int i = 0; i < t->qa; i++)
        qa = push(qa, json_pack("{s:s, s:s}", "question", t->question[i].question, "answer",
                                t->question[i].answer));
    json_t *all = json_pack("{s:i, s:i, s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o}", "version", 1, "size",
                            s->size, "background", "pattern", kin_scene_patterns[s->pattern], "tone",
                            kin_scene_tones[s->tone], "objects", objects_json(s), "relations",
                            relations_json(s), "captions", captions, "swaps", swaps, "qa", qa);
    char *text = all ? json_dumps(all, 0) : NULL;
    json_decref(all);
    if (!text) kin_fail(cx, KIN_NOMEM, "scenes: out of memory for the JSON of a picture");
    return text;
}

static void pack(const kin_scene *s, const kin_scene_text *t, sample *out)
{
    uint8_t *pixels = kin_alloc(&out->cx, (int64_t)s->size * s->size, 3);
    if (!pixels) return;
    kin_scene_draw(s, pixels);
    const kin_image image = {.pixels = pixels, .width = s->size, .height = s->size};
    if (kin_image_encode_png(&out->cx, &image, &out->png, &out->png_size) == KIN_OK)
        out->json = scene_json(&out->cx, s, t);
    free(pixels);
}

static kin_status add(kin_ctx *cx, kin_tar_writer *w, int64_t index, const char *caption, const sample *s)
{
    char name[32];
    if (s->cx.status != KIN_OK) return kin_fail(cx, s->cx.status, "%s", s->cx.message);
    snprintf(name, sizeof name, "%09lld.png", (long long)index);
    KIN_TRY(kin_tar_add(cx, w, name, s->png, s->png_size));
    snprintf(name, sizeof name, "%09lld.txt", (long long)index);
    KIN_TRY(kin_tar_add(cx, w, name, caption, (int64_t)strlen(caption)));
    snprintf(name, sizeof name, "%09lld.json", (long long)index);
    return kin_tar_add(cx, w, name, s->json, (int64_t)strlen(s->json));
}

/* Where the writing stands: the open shard, and room for one block. */
typedef struct writing {
    const kin_scenes_cfg *cfg;
    kin_scene_cfg scene;
    int64_t shard_size;
    kin_tar_writer *tar;
    kin_scene *scenes; /* [KIN_SCENE_BLOCK], like the next two */
    kin_scene_text *texts;
    sample *samples;
} writing;

static char *shard_path(kin_ctx *cx, const char *folder, int64_t shard)
{
    return kin_sprintf(cx, "%s/%06lld.tar", folder, (long long)shard);
}

/* Puts sample `index` into its shard, which it opens when it is the first and closes when it is the last. */
static kin_status put_sample(kin_ctx *cx, writing *w, int64_t index, const char *caption, const sample *s)
{
    if (index % w->shard_size == 0) {
        char *path = shard_path(cx, w->cfg->out, index / w->shard_size);
        w->tar = path ? kin_tar_create(cx, path) : NULL;
        free(path);
        if (!w->tar) return cx->status;
    }
    KIN_TRY(add(cx, w->tar, index, caption, s));
    if ((index + 1) % w->shard_size != 0 && index + 1 != w->cfg->count) return KIN_OK;
    kin_tar_writer *full = w->tar;
    w->tar = NULL;
    return kin_tar_close(cx, full);
}

static kin_status write_block(kin_ctx *cx, writing *w, int64_t block)
{
    const int64_t first = block * KIN_SCENE_BLOCK;
    const int64_t n = kin_min64(KIN_SCENE_BLOCK, w->cfg->count - first);
    KIN_TRY(kin_scene_block(cx, w->cfg->seed, &w->scene, block, w->scenes, w->texts));
    memset(w->samples, 0, KIN_SCENE_BLOCK * sizeof *w->samples);
#pragma omp parallel for schedule(dynamic, 16)
    for (int64_t i = 0; i < n; i++) pack(&w->scenes[i], &w->texts[i], &w->samples[i]);
    kin_status rc = KIN_OK;
    for (int64_t i = 0; i < n; i++) {
        if (rc == KIN_OK) rc = put_sample(cx, w, first + i, w->texts[i].caption[0], &w->samples[i]);
        free(w->samples[i].png);
        free(w->samples[i].json);
    }
    return rc;
}

static kin_status check(kin_ctx *cx, writing *w)
{
    const kin_scenes_cfg *c = w->cfg;
    const char *split = c->split ? c->split : splits[KIN_SCENE_TRAIN];
    int at = 0;
    while (at < KIN_SCENE_SPLITS && strcmp(split, splits[at]) != 0) at++;
    if (at == KIN_SCENE_SPLITS)
        return kin_fail(cx, KIN_ARG, "scenes: split is \"%s\", it must be train, val or test", split);
    w->scene.split = (kin_scene_split)at;
    w->scene.size = c->size ? c->size : 64;
    w->scene.max_objects = c->max_objects;
    w->shard_size = c->shard_size ? c->shard_size : 1000;
    if (!c->out || !*c->out) return kin_fail(cx, KIN_ARG, "scenes: no folder to write to");
    if (c->count < 1 || c->count > 999999999)
        return kin_fail(cx, KIN_ARG, "scenes: count is %lld, it must be 1 to 999999999", (long long)c->count);
    if (w->shard_size < 1)
        return kin_fail(cx, KIN_ARG, "scenes: %lld pictures in a shard, it must be 1 or more",
                        (long long)w->shard_size);
    const int64_t shards = (c->count + w->shard_size - 1) / w->shard_size;
    if (shards > 999999)
        return kin_fail(cx, KIN_ARG, "scenes: %lld shards; put more than %lld pictures in one",
                        (long long)shards, (long long)w->shard_size);
    char *stale = shard_path(cx, c->out, shards);
    if (!stale) return cx->status;
    if (access(stale, F_OK) == 0)
        kin_fail(cx, KIN_ARG,
                 "%s is left from a longer run: remove the shards there or choose another "
                 "folder",
                 stale);
    free(stale);
    return cx->status;
}

kin_status kin_scenes_write(kin_ctx *cx, const kin_scenes_cfg *cfg)
{
    writing w = {.cfg = cfg};
    KIN_TRY(check(cx, &w));
    KIN_TRY(kin_make_dirs(cx, cfg->out));
    w.scenes = kin_alloc(cx, KIN_SCENE_BLOCK, sizeof *w.scenes);
    w.texts = kin_alloc(cx, KIN_SCENE_BLOCK, sizeof *w.texts);
    w.samples = kin_alloc(cx, KIN_SCENE_BLOCK, sizeof *w.samples);
    kin_status rc = w.scenes && w.texts && w.samples ? KIN_OK : cx->status;
    for (int64_t b = 0; rc == KIN_OK && b * KIN_SCENE_BLOCK < cfg->count; b++) rc = write_block(cx, &w, b);
    if (w.tar) kin_tar_abandon(w.tar);
    free(w.samples);
    free(w.texts);
    free(w.scenes);
    return rc;
}
