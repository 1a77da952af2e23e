/* vit: the image tower (Dosovitskiy et al. 2021, as in CLIP): patches or a convolutional stem, class token,
 * blocks, pooling, projection. Weights are called as in open_clip: "visual.*". */
#ifndef KIN_VIT_H
#define KIN_VIT_H
#include "nn/block.h"

/* images [B, S, S, 3] u8 (normalised inside by m->mean, m->std) -> embedding and, where fusion reads them,
 * rows: kin_vision_tokens of each picture. */
kin_tower kin_vit(kin_graph *g, const kin_model_cfg *m, kin_val images);

/* Patch and position embeddings alone (the class token's row first, if there is one), [B*T, C]. */
kin_val kin_patches(kin_graph *g, const kin_model_cfg *m, kin_val images);

/* How pictures are cut into patches of p x p pixels, normalised. */
kin_patchify_attr kin_patches_of(const kin_model_cfg *m, int64_t p);

#endif
