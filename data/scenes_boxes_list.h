/* scenes_boxes_list: what lies in boxes, all of it, in words. A claim (data/scenes_boxes_claim.h) is true of
 * every second picture and so says little of the one at hand; a list says nearly everything, and each of its
 * words can be looked up in the picture: it is what a model learns to see from before it is asked for truth.
 *
 *   There is a tower with a blue, a black and a black block from the base, and a tower with ...
 *   There is a box with exactly 2 blue squares and 1 black circle, ...
 *
 * One, two or all of the boxes, in any order: which of them is meant is not said. */
#ifndef KIN_SCENES_BOXES_LIST_H
#define KIN_SCENES_BOXES_LIST_H
#include "data/scenes_boxes_text.h"

typedef struct kin_boxes_list {
    int boxes, box[KIN_BOXES]; /* those that are told of, in the order of the text */
} kin_boxes_list;

/* Some of the boxes of s, and words for them. Fewer boxes are told of where more do not fit the text. */
void kin_boxes_list_say(kin_rng *r, const kin_boxes *s, kin_boxes_list *list, char text[KIN_BOXES_TEXT]);

/* Are there other boxes in `of`, a different one for each that the list tells of, with just the same in them?
 * Of towers in the same order, of items as many of each color and shape. */
bool kin_boxes_list_holds(const kin_boxes *s, const kin_boxes_list *list, const kin_boxes *of);

/* Two pictures, drawn alike (kin_boxes_like); the list tells of the first and is not true of the second. */
bool kin_boxes_list_split(kin_rng *r, bool towers, kin_boxes out[2], char text[KIN_BOXES_TEXT]);

#endif
