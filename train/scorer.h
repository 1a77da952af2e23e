/* scorer: what a model with a fusion says of pairs: logits of one of its heads. */
#ifndef KIN_SCORER_H
#define KIN_SCORER_H
#include "train/embed.h"
#include "train/fused_step.h"

typedef struct kin_scorer {
    const kin_embedder *embedder; /* its model, programs, batch; reads pictures */
    kin_model_cfg model;
    kin_wiring wiring;
    kin_fused_want want;
    kin_objective head;
    int64_t width;      /* logits of a pair: 2 of itm, the classes of cls */
    uint8_t *pixels;    /* [batch, S, S, 3] */
    int32_t *ids, *off; /* of a batch of texts */
    int32_t *pair;      /* [2 batch] pictures, then texts of a batch of pairs */
    int64_t *item;      /* [batch] */
    void *io;           /* [batch, width] in backend memory */
    int64_t io_bytes;
    double flops; /* of the last batch */
} kin_scorer;

/* head: KIN_ITM or KIN_CLS, which the model must have. embedder is borrowed. Free with kin_scorer_close, also
 * after a failure. */
kin_status kin_scorer_open(kin_ctx *cx, kin_scorer *s, const kin_embedder *embedder, kin_objective head);
void kin_scorer_close(kin_scorer *s);

/* What the pairs of a labelled or plain dataset look like to the scorer. */
typedef struct kin_without {
    bool image, text; /* the pair is shown without it */
} kin_without;

/* images [n, S, S, 3], preprocessed; text [texts]; pair p is picture image[p] (n: none) and text
 * pair_text[p]. n, texts, pairs <= embedder->batch. out [pairs, width]. */
kin_status kin_score(kin_ctx *cx, kin_scorer *s, const uint8_t *images, int64_t n, const char *const *text,
                     int64_t texts, const int32_t *image, const int32_t *pair_text, int64_t pairs,
                     float *out);
/* Picture i with text i, any number of them; absent NULL: both are there. out [n, width]. */
kin_status kin_score_pairs(kin_ctx *cx, kin_scorer *s, const uint8_t *images, const char *const *text,
                           int64_t n, const kin_without *absent, float *out);
/* Captions from .. from + n - 1 of a dataset, each with its picture. out [n, width]. */
kin_status kin_score_examples(kin_ctx *cx, kin_scorer *s, const kin_dataset *d, int64_t from, int64_t n,
                              const kin_without *absent, float *out);
/* Of all examples of a labelled set: share of them whose largest logit is right (by kin_dataset's classes).
 */
kin_status kin_score_accuracy(kin_ctx *cx, kin_scorer *s, const kin_dataset *d, double *accuracy);

#endif
