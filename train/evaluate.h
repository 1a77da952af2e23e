/* evaluate: what a model makes of a dataset: retrieval both ways, and of each kind of swap ("relation",
 * "attribute": the same words in another order) how often the true caption scores above the false one. */
#ifndef KIN_EVALUATE_H
#define KIN_EVALUATE_H
#include "train/embed.h"
#include "train/eval_retrieval.h"

/* All of it as one flat object (kin_retrieval_json's keys, and swap_KIND_accuracy, swap_KIND_count, swaps of
 * a kind are counted each); the caller owns it. bootstrap: resamples for intervals, 0: none. NULL on failure.
 */
json_t *kin_evaluate(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, int64_t bootstrap);

/* The embeddings it is made of: image [items, E], text [captions, E]; the caller frees both. */
kin_status kin_embed_dataset(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, float **image, float **text);

#endif
