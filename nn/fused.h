/* fused: the whole model over pairs: towers (each runs once), fusion, heads, losses. */
#ifndef KIN_FUSED_H
#define KIN_FUSED_H
#include "nn/dual_encoder.h"
#include "nn/head.h"

/* What of it is built. */
typedef struct kin_fused_want {
    bool head[KIN_OBJECTIVES]; /* those that the model has */
    bool losses;               /* and not only logits */
    /* What the tower of pictures, or of texts, makes was made before (a tower that does not learn): its input
     * is instead, f32, "image features" [images, E], "text features" [texts, E] of length 1 where embeddings
     * are read (itc, late), "image states" [images * T, kin_states_width], "text states" [tokens, ...] where
     * its rows are (kin_has_states). */
    bool image_made, text_made;
} kin_fused_want;

typedef struct kin_fused_model {
    kin_val image, text;            /* [itc images, E], [itc texts, E]; only with itc */
    kin_val logits[KIN_OBJECTIVES]; /* itm [P, 2], mlm [words, V], mim [patches, 3 p p], cls [P, classes] */
    kin_val loss[KIN_OBJECTIVES];   /* scalars */
    kin_val distill; /* itc against a teacher (kin_distilled), of rows "itc images", "itc texts"; or NONE */
} kin_fused_model;

bool kin_has_states(const kin_model_cfg *m);
int64_t kin_states_width(const kin_model_cfg *m, bool text);

/* Inputs: of the towers (nn/dual_encoder.h), of the wiring (nn/fusion.h), of the heads (nn/head.h); for itc
 * "itc images" and "itc texts" i32: which of them the contrastive loss sees, pair i at i, more texts behind.
 */
kin_fused_model kin_fused_build(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss,
                                const kin_loss_cfg *c, const kin_fused_sizes *sizes,
                                const kin_fused_want *want);

#endif
