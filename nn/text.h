/* text: the text towers over ragged captions: sequence b is ids[off[b]] .. ids[off[b+1]-1], start token
 * first, end token last; there is no padding. Weights are called as in open_clip (no prefix, or "text." with
 * custom_text). */
#ifndef KIN_TEXT_H
#define KIN_TEXT_H
#include "nn/block.h"

/* ids [sum T] i32, off [B+1] i32 -> embedding and, where fusion reads them, rows.
 * transformer: CLIP's, causal or not, read at the end token or averaged. bag_of_words: the mean of the word
 * embeddings, no order: the control that any use of word order is measured against. */
kin_tower kin_text(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off);

/* Word and position embeddings alone, [sum T, C]. */
kin_val kin_words(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off);

#endif
