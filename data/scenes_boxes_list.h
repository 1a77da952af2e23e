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

/* Two pictures, drawn alike (kin_boxes_like), and words for some boxes of the first: fewer of them where more
 * do not fit the text. Not true of the second: it has not, for each box told of, another one with just the
 * same in it (of towers in the same order, of items as many of each color and shape). False where the two are
 * too alike: draw again. */
bool kin_boxes_list_split(kin_rng *r, bool towers, kin_boxes out[2], char text[KIN_BOXES_TEXT]);

#endif
