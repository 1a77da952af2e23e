/* scenes_boxes_claim: what a sentence says of three boxes as a small program, and whether it is so.
 *
 * A claim counts the boxes of which all its clauses hold, and compares their number; or it takes the three
 * boxes as one heap of items (whole), of which all clauses must hold. A clause counts something of the items,
 * and compares it. All zero means: any item, no condition. */
#ifndef KIN_SCENES_BOXES_CLAIM_H
#define KIN_SCENES_BOXES_CLAIM_H
#include "data/scenes_boxes.h"

typedef enum kin_box_place {
    KIN_PLACE_ANY,
    KIN_PLACE_WALL, /* any of the four */
    KIN_PLACE_SIDE, /* left or right */
    KIN_PLACE_LEFT,
    KIN_PLACE_RIGHT,
    KIN_PLACE_BASE,
    KIN_PLACE_TOP,
    KIN_PLACE_CORNER /* two walls at once */
} kin_box_place;

/* By height in its box. Of scattered items those at the same height all are the highest. */
typedef enum kin_box_rank {
    KIN_RANK_ANY,
    KIN_RANK_LOWEST,
    KIN_RANK_HIGHEST,
    KIN_RANK_SECOND, /* from below; these three of towers */
    KIN_RANK_SECOND_HIGHEST,
    KIN_RANK_BETWEEN /* neither lowest nor highest */
} kin_box_rank;

/* Which items: all of it must be so. */
typedef struct kin_box_what {
    unsigned colors, shapes; /* sets, a bit each; 0: any */
    int side;                /* 0: any */
    kin_box_place place;     /* touched */
    bool away;               /* not touched */
    kin_box_rank rank;
    bool others; /* just the other items: those of which not all of it is so */
} kin_box_what;

typedef enum kin_box_ask {
    KIN_ASK_COUNT,  /* how many items are `what` */
    KIN_ASK_COLORS, /* how many colors they have */
    KIN_ASK_SHAPES,
    KIN_ASK_ALIKE,      /* how many of them have one shape, the most frequent one */
    KIN_ASK_RUN,        /* how many of them follow one another in a tower, at most */
    KIN_ASK_ON,         /* how many of them lie right on an item that is `other` */
    KIN_ASK_ABOVE,      /* how many of them are higher than such an item in their box */
    KIN_ASK_MORE,       /* how many more of them there are than of `other` */
    KIN_ASK_LEVEL,      /* how many boxes are alike in their number of items, at most; whole */
    KIN_ASK_ALIKE_BASE, /* in the color of what is lowest */
    KIN_ASK_ALIKE_TOP
} kin_box_ask;

typedef enum kin_box_compare { KIN_EXACTLY, KIN_AT_LEAST, KIN_AT_MOST } kin_box_compare;

typedef struct kin_box_clause {
    kin_box_ask ask;
    kin_box_what what, other;
    kin_box_compare is;
    int n;
} kin_box_clause;

enum { KIN_BOX_CLAUSES = 4 };
typedef struct kin_box_claim {
    bool towers; /* said of towers */
    bool whole;
    int clauses;
    kin_box_clause clause[KIN_BOX_CLAUSES];
    kin_box_compare is; /* of boxes, unless whole */
    int n;
} kin_box_claim;

bool kin_boxes_hold(const kin_boxes *s, const kin_box_claim *c);

/* Two pictures, of the first of which the claim is true and of the second false. They are drawn alike, as a
 * pair of which either could have come first, mostly with the same items dealt out anew or with as many
 * items in each box: so what a picture alone shows (how many items there are, which colors) tells little
 * of whether it is the true one. False when none was found in KIN_BOX_TRIALS trials a way. */
typedef enum kin_box_twins { KIN_TWINS_DEALT, KIN_TWINS_AS_MANY, KIN_TWINS_ANY } kin_box_twins;
enum { KIN_BOX_TRIALS = 400 };
bool kin_boxes_split(kin_rng *r, const kin_box_claim *c, kin_boxes out[2]);

#endif
