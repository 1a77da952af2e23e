/* vit: the image tower (Dosovitskiy et al. 2021, as in CLIP): patches or a convolutional stem, class token,
 * blocks, pooling, projection. Weights are called as in open_clip: "visual.*". */
#ifndef KIN_VIT_H
#define KIN_VIT_H
#include "nn/block.h"

/* images [B, S, S, 3] u8 (normalised inside by m->mean, m->std) -> [B, embed_dim], not normalised. */
kin_val kin_vit(kin_graph *g, const kin_model_cfg *m, kin_val images);

#endif
