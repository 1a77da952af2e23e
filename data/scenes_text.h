/* scenes_text: what is said about a scene, and whether it is so.
 *
 * A caption is words for a claim: things, relations between them, the background, the number of objects. A
 * claim holds when its things can be assigned to different objects so that all of it is so. It is TRUE of a
 * picture when it holds with clear relations, and FALSE when it does not even hold with near ones (see
 * kin_scene_related): pictures in between never occur within a block. */
#ifndef KIN_SCENES_TEXT_H
#define KIN_SCENES_TEXT_H
#include "core/rng.h"
#include "data/scenes.h"

enum {
    KIN_CLAIM_RELATIONS = 6,
    KIN_SCENE_CAPTION = 400, /* bytes of a caption at most, with the NUL */
    KIN_SCENE_MAX_CAPTIONS = 4,
    KIN_SCENE_MAX_SWAPS = 3,
    KIN_SCENE_MAX_QA = 6
};

typedef struct kin_claim {
    int things;
    struct {
        int shape, color, size; /* -1: not said */
    } thing[KIN_SCENE_MAX_OBJECTS];
    int relations;
    struct {
        int a, b; /* things */
        kin_scene_relation is;
    } relation[KIN_CLAIM_RELATIONS];
    int pattern, tone, count; /* -1: not said */
} kin_claim;

bool kin_scene_holds(const kin_scene *scene, const kin_claim *claim, bool clear);

typedef struct kin_scene_text {
    int captions, swaps, qa;
    char caption[KIN_SCENE_MAX_CAPTIONS][KIN_SCENE_CAPTION];
    struct {
        bool attribute; /* colors exchanged; else two objects exchanged */
        char caption[KIN_SCENE_CAPTION], swapped[KIN_SCENE_CAPTION];
    } swap[KIN_SCENE_MAX_SWAPS];
    struct {
        char question[120], answer[24];
    } question[KIN_SCENE_MAX_QA];
} kin_scene_text;

/* Writes about block[i]: 2 to 4 captions that are false of the n - 1 others, 1 to 3 swaps (the same words in
 * another order, false of the picture; at least one of relation), questions. A pure function of its
 * arguments and block[i].key. False when a caption of its own could not be found: draw the scene again. */
bool kin_scene_describe(const kin_scene *block, int n, int i, kin_scene_text *out);

/* "a red circle left of a blue square", true of objects a and b, and the same words with the two exchanged
 * (or their colors: attribute), false. Now and then with sizes and the background. False when such a pair
 * cannot be had. */
bool kin_scene_swap(const kin_scene *s, kin_rng *r, int a, int b, bool attribute,
                    char caption[KIN_SCENE_CAPTION], char swapped[KIN_SCENE_CAPTION]);

/* A clear relation of objects a and b: there is one, sometimes there are two, then one of them. */
kin_scene_relation kin_scene_relation_of(const kin_scene *s, kin_rng *r, int a, int b);

/* Block `index` of a stream: its KIN_SCENE_BLOCK scenes and what is said about them. KIN_ARG like
 * kin_scene_make. */
kin_status kin_scene_block(kin_ctx *cx, uint64_t seed, const kin_scene_cfg *cfg, int64_t index,
                           kin_scene scenes[KIN_SCENE_BLOCK], kin_scene_text texts[KIN_SCENE_BLOCK]);

#endif
