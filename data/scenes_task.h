/* scenes_task: tasks about a picture AND a text, made from scenes, so that neither alone tells the answer.
 * What one modality could know is held equal by construction, not by luck:
 *
 *   swaps       "a red circle left of a blue square", and the two exchanged: the same words. 4 or 5 objects.
 *   attributes  the same with their colors exchanged.
 *               Each picture has one of each, true and false; a bag of words cannot tell them apart.
 *   match       two pictures, two captions, all four pairs: each picture and each caption is once right, once
 * wrong. xor         "something red is in the picture" XOR "the lamp is on" in a sentence about anything
 * else: two pictures, two sentences, all four pairs. Whatever adds a score of the picture to one of the
 * sentence (any linear function of both) has as much of it in the true ones as in the false ones. and the
 * same facts, both. True in half of the examples, each other case in a sixth; so one modality alone can reach
 * 5/6. (No AND can be both balanced and at chance for one modality: a false fact decides.) count       "how
 * many red shapes are there?": three questions a picture, with the answers zero, one and two. questions seven
 * kinds, 30 answers; each kind has its answers equally often: of a color ("what color is the circle?"),
 * shape, size, relation, presence ("is there a red circle?", in a picture with something red and a circle),
 * number, pattern. masked      "a [mask] circle left of a blue square": the word, one of 8 colors and 8
 * shapes, equally often, and no other word of its kind would be true.
 *   boxes       three boxes with towers or scattered items (data/scenes_boxes.h) and sentences in the manner
 *               of people. Each sentence has two pictures that are drawn alike: it is true of the first and
 *               false of the second, so the text alone knows nothing.
 *   contents    the same pictures; the sentence says all that is in one, two or three of the boxes
 *               (data/scenes_boxes_list.h). Of two pictures drawn alike it is true of the first.
 *
 * Color-shape pairs kept for test (data/scenes.h): of swaps, attributes, masked and questions the object that
 * matters is such a pair there. In train and val none is ever named, not even in what is false.
 *
 * An example is a pure function of (task, seed, split, size, its round), whatever their number. */
#ifndef KIN_SCENES_TASK_H
#define KIN_SCENES_TASK_H
#include "data/scenes_boxes.h"
#include "data/scenes_text.h"

typedef enum kin_scene_task {
    KIN_SCENE_TASK_SWAPS,
    KIN_SCENE_TASK_ATTRIBUTES,
    KIN_SCENE_TASK_MATCH,
    KIN_SCENE_TASK_XOR,
    KIN_SCENE_TASK_AND,
    KIN_SCENE_TASK_COUNT,
    KIN_SCENE_TASK_QUESTIONS,
    KIN_SCENE_TASK_MASKED,
    KIN_SCENE_TASK_BOXES, /* the ones before it are about pictures of data/scenes.h */
    KIN_SCENE_TASK_CONTENTS,
    KIN_SCENE_TASKS
} kin_scene_task;

extern const char *const kin_scene_task_names[KIN_SCENE_TASKS];
bool kin_scene_task_boxes(kin_scene_task task); /* about three boxes, not about scenes? */
/* The classes of a task; false before true. */
const char *const *kin_scene_task_classes(kin_scene_task task, int *classes);

typedef struct kin_scene_example {
    int64_t picture; /* of the set's scenes */
    int label;
    char text[KIN_SCENE_CAPTION];
} kin_scene_example;

typedef struct kin_scene_set {
    kin_scene *scene;
    kin_boxes *boxes; /* instead of scene: of the tasks boxes and contents */
    kin_scene_example *example;
    int64_t scenes, examples;         /* scenes: how many pictures */
    int64_t scene_room, example_room; /* private */
} kin_scene_set;

typedef struct kin_scene_task_cfg {
    kin_scene_task task;
    kin_scene_split split;
    uint64_t seed;
    int64_t count; /* examples; whole rounds are made: up to five more */
    int size; /* of a picture, in pixels; boxes and contents: of a box, the picture is four times as wide */
    int objects; /* at most so many in a picture (swaps and attributes: just so many), which is easier; 0: the
                    task's own number */
} kin_scene_task_cfg;

/* Free with kin_scene_set_free, also after a failure. KIN_ARG like kin_scene_make, for a count that is not
 * 1 to 10 million, or for objects of a task that asks how many there are (count, questions, boxes, contents).
 */
kin_status kin_scene_task_make(kin_ctx *cx, const kin_scene_task_cfg *cfg, kin_scene_set *out);
void kin_scene_set_free(kin_scene_set *s);

#endif
