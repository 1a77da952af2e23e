/* head: what is asked of a model in training, one row of kin_objectives each. Their losses are added, each
 * times its weight (the run's keys loss.itc, loss.itm, ...): an output of the step's program and a cotangent
 * of it.
 *
 *   itc  true pairs have similar embeddings: a row of kin_losses (nn/loss.h)
 *   itm  does this text belong to this picture? 2 logits of a pair, the second is yes (ALBEF, ViLT)
 *   mlm  which words were masked? Logits over the vocabulary, whose table is the text's own (BERT)
 *   mim  what do masked patches look like? Their normalised pixels, squared error (SimMIM, Xie et al. 2022)
 *   cls  which class, answer or label: one of m->heads.classes, or many (VQA's soft answers, a sigmoid each)
 */
#ifndef KIN_HEAD_H
#define KIN_HEAD_H
#include "nn/fusion.h"

typedef enum kin_objective { KIN_ITC, KIN_ITM, KIN_MLM, KIN_MIM, KIN_CLS, KIN_OBJECTIVES } kin_objective;

typedef struct kin_objective_row {
    const char *name;
    bool (*has)(const kin_model_cfg *m); /* does the model have this head? */
    /* Of itc NULL, both: see nn/fused.h. logits reads the fused pairs, and of mlm and mim those rows that the
     * inputs "word rows", "patch rows" name (indexes of F); loss compares them with inputs "itm labels" [P]
     * i32 (1 true, 0 false, -1 not asked), "word labels" i32, "patch sources" i32 (index of [images *
     * patches]), "class labels" [P] i32
     * (-1: not asked) or "class targets" [P, classes] (first one < 0: not asked). */
    kin_val (*logits)(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, const kin_fused *f);
    kin_val (*loss)(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, kin_val logits);
    /* Expected loss of a model that knows nothing but how often each answer is right; share: of itm, of true
     * pairs. mim: pixels have variance 1 or so. Of itc NULL: the loss itself says (kin_loss_row). */
    double (*chance)(const kin_model_cfg *m, double share);
} kin_objective_row;

extern const kin_objective_row kin_objectives[KIN_OBJECTIVES];

/* An i32 input whose rows follow that symbol. */
kin_val kin_index_input(kin_graph *g, const char *name, int symbol, int64_t more);

#endif
