/* fusion: pairs of a picture and a text, looked at together. One row per technique in kin_fusions.
 *
 * Which picture goes with which text, and which rows that takes, is wiring: index tensors that the caller
 * fills for every batch (train/wiring.h). The graph only follows them, so true pairs, hard negatives, masked
 * captions and missing pictures are the same computation, and every tower runs once. */
#ifndef KIN_FUSION_H
#define KIN_FUSION_H
#include "nn/block.h"

/* Capacities of a graph over pairs. */
typedef struct kin_fused_sizes {
    int64_t images, texts, tokens;
    int64_t itc_images, itc_texts;  /* of those: what the contrastive loss sees */
    int64_t pairs, rows;            /* rows: of all pairs' sequences */
    int64_t vision_rows, text_rows; /* experts: rows that each expert has */
    int64_t words, patches;         /* masked, to be told */
} kin_fused_sizes;

/* Inputs of the graph, i32, by these names:
 *   "pair images", "pair texts" [P]  which picture, which text; their number (one past the end): none
 *   "row off" [P+1]                  sequence of pair p: rows row_off[p] .. row_off[p+1]-1
 *   "row texts" [F]                  row's index among all tokens, -1: not a row of a text
 *   "row images" [F]                 index among [images * T] rows of the image tower, or -1
 *   "row kinds" [F]                  0: the pair's own first row, 1: of the picture, 2: of the text
 *   "vision rows" [Fv], "text rows" [Ft]      experts: which of F; "vision of", "text of" [F]: the inverse,
 *                                    -1: not
 * One that a technique does not read is not an input of its graph. */
typedef struct kin_wires {
    kin_val pair_images, pair_texts, row_off, row_texts, row_images, row_kinds;
    kin_val vision_rows, text_rows, vision_of, text_of;
} kin_wires;

typedef struct kin_fused {
    kin_val pooled; /* [P, C], what heads read */
    kin_val rows;   /* [F, C], after the last norm; KIN_NONE where there are none, or no head reads them */
} kin_fused;

/* What a technique gets: inputs of the whole graph, and what the towers made of them (where
 * there are towers; embeddings have length 1). */
typedef struct kin_fusion_in {
    const kin_fused_sizes *sizes;
    kin_val images, ids, off;
    kin_tower image, text;
    kin_wires w;
} kin_fusion_in;

typedef struct kin_fusion_row {
    const char *name;
    bool rows;    /* attends to rows of both, not only to their embeddings */
    bool patches; /* its rows are those of picture and text, after a row of their own; else those of the text
                   */
    bool towers;  /* pictures and texts have embeddings of their own */
    bool experts; /* routes its rows by "vision rows" and the others */
    kin_fused (*build)(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in);
} kin_fusion_row;

extern const kin_fusion_row kin_fusions[]; /* [0] is "none"; ends with name == NULL */
const char *const *kin_fusion_names(void); /* ends with NULL */

/* nn/fusion_late.c: of embeddings; a picture that is not there is a learned vector. linear: [a; b]. mlp: one
 * hidden layer over [a; b]. gated: sum of tanh(W x) of each, times sigmoid(U [a; b]) (Arevalo et al. 2017).
 * bilinear: tanh(U a) * tanh(V b) (low rank; Kim et al. 2017). average: a hidden layer for each alone, so
 * that the head's logits are the sum of each one's. */
kin_fused kin_fuse_late(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in);

/* nn/fusion_xattn.c: the text's rows go through layers of self-attention, attention to the picture's rows,
 * MLP (ALBEF, Li et al. 2021). gated: the two branches that see the picture are times tanh(alpha), alpha = 0
 * at first, a channel each (Flamingo, Alayrac et al. 2022, has one alpha a layer). Pooled: the end token's
 * row. */
kin_fused kin_fuse_xattn(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in);

/* nn/fusion_joint.c: one transformer over a row of the pair's own, the picture's and the text's rows, each
 * with a vector of its kind added. joint: over patch and word embeddings, no towers (ViLT, Kim et al. 2021).
 * mmt: over the towers' rows, projected (FLAVA, Singh et al. 2022). Pooled: the first row. */
kin_fused kin_fuse_joint(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in);
kin_fused kin_fuse_mmt(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in);
/* Of both, and of experts: the sequences before the first block. */
kin_val kin_joint_rows(kin_graph *g, const kin_model_cfg *m, const kin_wires *w, kin_val images,
                       kin_val texts);

/* nn/fusion_experts.c: one transformer whose attention is shared by pictures, texts and pairs, while the MLP
 * is chosen by what a row is (VLMo, Bao et al. 2022; BEiT-3); the last pair_layers have one more for rows of
 * pairs. The same weights are the two towers (kin_experts_image, kin_experts_text: mean of the rows). */
kin_fused kin_fuse_experts(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in);
kin_tower kin_experts_image(kin_graph *g, const kin_model_cfg *m, kin_val images);
kin_tower kin_experts_text(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off);

#endif
