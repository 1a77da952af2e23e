/* evaluate: what a model makes of a dataset. A labelled one: kin_eval_task's answer. Any other: retrieval
 * both ways, and of each kind of swap ("relation", "attribute": the same words in another order) how often
 * the true caption scores above the false one. */
#ifndef KIN_EVALUATE_H
#define KIN_EVALUATE_H
#include "train/embed.h"
#include "train/eval_retrieval.h"

/* All zero, or NULL instead: every caption, no intervals. */
typedef struct kin_eval_opts {
    int64_t bootstrap; /* resamples for intervals */
    int64_t folds;     /* the mean of so many galleries (train/eval_folds.h) */
    int64_t per_image; /* only the first so many captions of each image */
} kin_eval_opts;

/* All of it as one flat object (kin_retrieval_json's keys, and swap_KIND_accuracy, swap_KIND_count, swaps of
 * a kind are counted each); the caller owns it. NULL on failure. */
json_t *kin_evaluate(kin_ctx *cx, kin_embedder *e, kin_dataset *d, const kin_eval_opts *opts);
/* Compiles what kin_evaluate will need, and runs nothing. */
kin_status kin_evaluate_prepare(kin_ctx *cx, kin_embedder *e, const kin_dataset *d);
/* The same of embeddings that are there already. */
json_t *kin_evaluate_rows(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, const float *image,
                          const float *text, const kin_eval_opts *opts);

/* The embeddings it is made of: image [items, E], text [captions, E]; the caller frees both. */
kin_status kin_embed_dataset(kin_ctx *cx, kin_embedder *e, kin_dataset *d, float **image, float **text);

#endif
