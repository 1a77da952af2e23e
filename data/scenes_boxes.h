/* scenes_boxes: three boxes side by side, each with a tower of blocks or with scattered items, and sentences
 * that are true or false of them. Natural Language for Visual Reasoning (Suhr et al. 2017, "A Corpus of
 * Natural Language for Visual Reasoning", ACL) asks such sentences, written by people, of pictures that look
 * like these; here there are as many as one likes.
 *
 * Measures are those of such a picture, 400 x 100 pixels: boxes 100 wide at 0, 150 and 300, light on a darker
 * ground; blocks of a tower 20 x 20 with a pixel between them, in the middle of the box; scattered items 10,
 * 20 or 30 wide and high, at least one apart. kin_boxes_draw at side 100 makes just that, at other sides the
 * same made larger or smaller, always four times as wide as high: a model squashes it to its square (or does
 * what else its preprocessing says) exactly as it does the 400 x 100 file of another picture of the kind.
 *
 * All is a pure function of the rng given, in whole numbers but for the drawing's circles and triangles,
 * which are anti-aliased by 4 x 4 samples a pixel. */
#ifndef KIN_SCENES_BOXES_H
#define KIN_SCENES_BOXES_H
#include "core/rng.h"

enum {
    KIN_BOXES = 3,
    KIN_BOX_ITEMS = 7, /* in a box, at most */
    KIN_BOX_BLOCKS = 4,
    KIN_BOX_SIDE = 100,
    KIN_BOX_STEP = 150, /* from a box to the next */
    KIN_BOX_WIDTH = 4 * KIN_BOX_SIDE
};

enum { KIN_BOX_YELLOW, KIN_BOX_BLACK, KIN_BOX_BLUE, KIN_BOX_COLORS };
enum { KIN_BOX_CIRCLE, KIN_BOX_SQUARE, KIN_BOX_TRIANGLE, KIN_BOX_SHAPES };
enum { KIN_BOX_SMALL = 10, KIN_BOX_MEDIUM = 20, KIN_BOX_LARGE = 30 };

typedef struct kin_box_item {
    int color, shape;
    int side; /* width and height */
    int x, y; /* left and top, from those of its box: y down */
} kin_box_item;

/* Item 0 of a tower is its base. */
typedef struct kin_boxes {
    bool towers;
    int items[KIN_BOXES];
    kin_box_item item[KIN_BOXES][KIN_BOX_ITEMS];
} kin_boxes;

/* Any three boxes. False, here and below: they do not fit with the places drawn; draw again. */
bool kin_boxes_any(kin_rng *r, bool towers, kin_boxes *out);
/* Others with as many items in each box as s has; with the items of s, dealt out anew (deal). Of what they
 * were drawn from the distribution is the same as of s: which of the two came first cannot be told. */
bool kin_boxes_like(kin_rng *r, const kin_boxes *s, bool deal, kin_boxes *out);

/* pixels [side, 4 * side, 3] RGB */
void kin_boxes_draw(const kin_boxes *s, int side, uint8_t *pixels);

#endif
