/* scenes: synthetic pictures of coloured shapes, with captions that only their own picture fulfils. They
 * are kin's own data: made from a seed alone, the same bytes everywhere.
 *
 * A scene is 2 to 5 objects (8 shapes x 8 colors x 3 sizes, each color-shape pair at most once) on one of
 * 5 patterns x 3 tones. Boxes are at least KIN_SCENE_GAP of the canvas apart on one axis, so every two
 * objects have a clear relation.
 *
 * Held out: 13 of the 64 color-shape pairs (kin_scene_held_out, the same for every seed; every color and
 * every shape has one or two) are never in train and val. Every test picture has at least one of them.
 * Streams of different seeds and splits are drawn from unrelated keys.
 *
 * Galleries: samples 0..999, 1000..1999, ... are blocks; a caption is true of its own picture and plainly
 * false of the 999 others (data/scenes_text.h says what that means). A sample depends on (seed, split,
 * size, index) alone, not on how many are made. */
#ifndef KIN_SCENES_H
#define KIN_SCENES_H
#include "core/base.h"

enum {
    KIN_SCENE_MIN_OBJECTS = 2,
    KIN_SCENE_MAX_OBJECTS = 5,
    KIN_SCENE_SHAPES = 8,
    KIN_SCENE_COLORS = 8,
    KIN_SCENE_SIZES = 3,
    KIN_SCENE_PATTERNS = 5,
    KIN_SCENE_TONES = 3,
    KIN_SCENE_BLOCK = 1000, /* pictures in a gallery */
    KIN_SCENE_MIN_SIZE = 32,
    KIN_SCENE_MAX_SIZE = 1024
};
#define KIN_SCENE_GAP 0.045 /* of the canvas */

extern const char *const kin_scene_shapes[KIN_SCENE_SHAPES];     /* circle square triangle star ... */
extern const char *const kin_scene_colors[KIN_SCENE_COLORS];     /* red green blue yellow ... */
extern const char *const kin_scene_sizes[KIN_SCENE_SIZES];       /* small medium large */
extern const char *const kin_scene_patterns[KIN_SCENE_PATTERNS]; /* plain shaded striped checked speckled */
extern const char *const kin_scene_tones[KIN_SCENE_TONES];       /* dark grey light */

typedef enum kin_scene_split {
    KIN_SCENE_TRAIN,
    KIN_SCENE_VAL,
    KIN_SCENE_TEST,
    KIN_SCENE_SPLITS
} kin_scene_split;

typedef struct kin_scene_object {
    int shape, color, size; /* indices into the tables above */
    double cx, cy, r;       /* centre and half extent in units of the canvas, y down */
    double x0, y0, x1, y1;  /* extent of the shape, same units */
    int box[4];             /* in whole pixels, x0 y0 x1 y1, half-open: holds every pixel touched */
} kin_scene_object;

typedef struct kin_scene {
    int count;
    kin_scene_object object[KIN_SCENE_MAX_OBJECTS];
    int pattern, tone;
    int size;     /* canvas in pixels */
    uint64_t key; /* what it was drawn from */
} kin_scene;

/* Relations: the extent of a ends before that of b begins. "Clear" is what captions say; "near" (centres
 * in that order at all) is what must not even be so when a statement counts as false. */
typedef enum kin_scene_relation {
    KIN_LEFT_OF,
    KIN_RIGHT_OF,
    KIN_ABOVE,
    KIN_BELOW,
    KIN_SCENE_RELATIONS
} kin_scene_relation;
extern const char *const kin_scene_relations[KIN_SCENE_RELATIONS]; /* "left of" "right of" "above" "below" */
bool kin_scene_related(const kin_scene_object *a, kin_scene_relation is, const kin_scene_object *b,
                       bool clear);

/* Is this color-shape pair kept for test? */
bool kin_scene_held_out(int color, int shape);

typedef struct kin_scene_cfg {
    int size; /* canvas in pixels, KIN_SCENE_MIN_SIZE .. KIN_SCENE_MAX_SIZE */
    kin_scene_split split;
    int max_objects; /* 2 .. KIN_SCENE_MAX_OBJECTS; 0: KIN_SCENE_MAX_OBJECTS. Fewer are easier to learn from
                      */
    int min_objects; /* 2 .. max_objects; 0: 2 */
    /* What must be so of the colors, shapes and background (places and sizes are not drawn yet): others are
     * drawn until it is, KIN_ARG when that takes more than a million. NULL: anything. */
    bool (*wanted)(const kin_scene *s, const void *user);
    const void *user;
} kin_scene_cfg;

/* The scene of a key, a pure function; pixels [size, size, 3] RGB are drawn when not NULL.
 * KIN_ARG for a size, split or max_objects out of range. */
kin_status kin_scene_make(kin_ctx *cx, uint64_t key, const kin_scene_cfg *cfg, kin_scene *out,
                          uint8_t *pixels);

typedef struct kin_scenes_cfg {
    const char *out; /* folder, made if it is not there */
    int64_t count;   /* pictures */
    uint64_t seed;
    const char *split;  /* "train" "val" "test"; NULL: "train" */
    int64_t shard_size; /* pictures in a shard; 0: 1000 */
    int size;           /* canvas in pixels; 0: 64 */
    int max_objects;    /* of a picture; 0: 5 */
} kin_scenes_cfg;

/* Writes OUT/000000.tar, 000001.tar, ...: WebDataset shards with, per sample, NAME.png, NAME.txt (the first
 * caption) and NAME.json:
 *   {version: 1, size, background: {pattern, tone},
 *    objects: [{shape, color, size, box: [x0, y0, x1, y1]}],
 *    relations: [[i, "left of", j], ...]      i < j, every clear one
 *    captions: [...], swaps: [{kind: "relation"|"attribute", caption, swapped}],
 *    qa: [{question, answer}]}
 * NAME is the sample's index in nine digits. A shard that would stay from an earlier, longer run is refused
 * by name (KIN_ARG). Pictures are packed on all threads; the bytes do not depend on their number. */
kin_status kin_scenes_write(kin_ctx *cx, const kin_scenes_cfg *cfg);

#endif
