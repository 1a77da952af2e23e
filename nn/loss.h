/* loss: what pulls true pairs together. One row per loss in kin_losses. */
#ifndef KIN_LOSS_H
#define KIN_LOSS_H
#include "nn/model_cfg.h"
#include "core/graph.h"

typedef struct kin_loss_cfg {
    float smoothing; /* infonce */
    int captions;    /* infonce: of each picture, all its positives; 0 is 1 */
    float margin;    /* triplet */
} kin_loss_cfg;

typedef struct kin_loss_row {
    const char *name;
    bool more_texts; /* takes M > N texts: columns N.. are hard negatives */
    bool captions;   /* takes several captions a picture: those of picture i beyond the first are columns
                        N + i (captions - 1) on, before the negatives */
    /* images [N, E], texts [M, E], both L2-normalised -> scalar */
    kin_val (*build)(kin_graph *g, const kin_model_cfg *m, const kin_loss_cfg *c, kin_val images,
                     kin_val texts);
    /* Expected loss of a model that knows nothing, for N pairs and M texts. */
    double (*chance)(const kin_loss_cfg *c, int64_t n, int64_t m);
} kin_loss_row;

extern const kin_loss_row kin_losses[]; /* ends with name == NULL */
const kin_loss_row *kin_loss_find(const char *name);

#endif
