/* loss: what pulls true pairs together. One row per loss in kin_losses. */
#ifndef KIN_LOSS_H
#define KIN_LOSS_H
#include "nn/model_cfg.h"
#include "core/graph.h"

/* Where soft targets come from: what a teacher (the same model with other weights) makes of the pairs of a
 * batch, or of their captions alone: how like picture i's caption and caption j are, so that near twins are
 * not pushed apart. */
typedef enum kin_distill { KIN_DISTILL_NONE, KIN_DISTILL_TOWERS, KIN_DISTILL_TEXTS } kin_distill;

typedef struct kin_loss_cfg {
    kin_distill distill; /* not NONE: a second loss, see kin_distilled (nn/dual_encoder.h) */
    float smoothing;     /* infonce */
    int captions;        /* infonce: of each picture, all its positives; 0 is 1 */
    float margin;        /* triplet */
} kin_loss_cfg;

typedef struct kin_loss_row {
    const char *name;
    bool more_texts; /* takes M > N texts: columns N.. are hard negatives */
    bool captions;   /* takes several captions a picture: those of picture i beyond the first are columns
                        N + i (captions - 1) on, before the negatives */
    /* images [N, E], texts [M, E], both L2-normalised -> scalar */
    kin_val (*build)(kin_graph *g, const kin_model_cfg *m, const kin_loss_cfg *c, kin_val images,
                     kin_val texts);
    /* The same against what a teacher's rows [N, E], [M, E] say of the pairs (op distill, with the student's
     * own logit scale, as ALBEF has it); NULL: this loss has no soft targets. */
    kin_val (*distill)(kin_graph *g, const kin_model_cfg *m, const kin_loss_cfg *c, kin_val images,
                       kin_val texts, kin_val teacher_images, kin_val teacher_texts);
    /* Expected loss of a model that knows nothing, for N pairs and M texts. */
    double (*chance)(const kin_loss_cfg *c, int64_t n, int64_t m);
} kin_loss_row;

extern const kin_loss_row kin_losses[]; /* ends with name == NULL */
const kin_loss_row *kin_loss_find(const char *name);

#endif
