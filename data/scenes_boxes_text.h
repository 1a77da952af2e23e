/* scenes_boxes_text: sentences in the manner in which people wrote them about such pictures, each made
 * together with the claim that it makes. The kinds of sentence, how often each comes and how numbers are
 * meant ("there are 2 black circles": just two) were read off the development sentences of the corpus. */
#ifndef KIN_SCENES_BOXES_TEXT_H
#define KIN_SCENES_BOXES_TEXT_H
#include "data/scenes_boxes_claim.h"

enum { KIN_BOXES_TEXT = 240 }; /* bytes of a sentence at most, with the NUL */

/* A claim, and words for it. */
void kin_boxes_say(kin_rng *r, bool towers, kin_box_claim *claim, char text[KIN_BOXES_TEXT]);

#endif
