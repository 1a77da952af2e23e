/* judge_fused: a model with a fusion as a judge of pairs (train/judge.h): logits of one of its heads. A
 * picture or a text that is not there is really not there (a learned vector, no keys, no rows; the empty
 * text), which a model trained with drop-image, drop-text knows. */
#ifndef KIN_JUDGE_FUSED_H
#define KIN_JUDGE_FUSED_H
#include "train/fused_step.h"
#include "train/judge.h"

typedef struct kin_fused_judge {
    kin_embedder *embedder; /* its model, programs, batch */
    kin_model_cfg model;
    kin_wiring wiring;
    kin_fused_want want;
    kin_objective head;
    int64_t width;           /* logits of a pair: 2 of itm, the classes of cls */
    const char **class_name; /* [width] or NULL; the names belong to the model's JSON */
    int32_t *ids, *off;      /* of a batch of texts */
    int32_t *pair;           /* [2 batch] pictures, then texts of the pairs */
    kin_program *program;    /* of the last question */
    void *io;                /* [batch, width] in backend memory */
    int64_t io_bytes;
} kin_fused_judge;

/* head: KIN_ITM or KIN_CLS, which the model must have (KIN_ARG). embedder is borrowed. Free with
 * kin_fused_judge_close, also after a failure. */
kin_status kin_fused_judge_open(kin_ctx *cx, kin_fused_judge *j, kin_embedder *embedder, kin_objective head);
void kin_fused_judge_close(kin_fused_judge *j);

/* images [n, S, S, 3], preprocessed; text [texts]; pair p is picture image[p] (n: none) and text
 * pair_text[p]. n, texts, pairs <= embedder->batch (KIN_SHAPE). out [pairs, width]. */
kin_status kin_fused_judge_pairs(kin_ctx *cx, kin_fused_judge *j, const uint8_t *images, int64_t n,
                                 const char *const *text, int64_t texts, const int32_t *image,
                                 const int32_t *pair_text, int64_t pairs, float *out);

/* The same of texts that are ids already, and of what the towers made of pictures, of texts before, where p
 * has it (kin_fused_want). */
kin_status kin_fused_judge_run(kin_ctx *cx, kin_fused_judge *j, const kin_pairs *p, const int32_t *image,
                               const int32_t *pair_text, int64_t pairs, float *out);

kin_judge kin_judge_fused(kin_fused_judge *j);

/* What a model answers with: the preferred of its heads KIN_ITM and KIN_CLS, else the other one, else the
 * cosine. *j is used (to be closed) in the first two cases, and zero in the last. */
kin_status kin_judge_of(kin_ctx *cx, kin_embedder *e, kin_objective preferred, kin_fused_judge *j,
                        kin_judge *out);

#endif
