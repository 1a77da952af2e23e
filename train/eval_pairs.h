/* eval_pairs: retrieval by what looks at pairs: every picture of a gallery is put beside every caption. For
 * models that have no embeddings (joint), and to see what a fusion is worth as a search. The cost is pictures
 * times captions: for small galleries; large ones are found first and reranked (train/rerank.h). */
#ifndef KIN_EVAL_PAIRS_H
#define KIN_EVAL_PAIRS_H
#include "train/eval_retrieval.h"
#include "train/judge.h"

enum { KIN_PAIRS_MOST = 4000000 };

/* kin_retrieval_json's object of the first caption of each picture (bootstrap: resamples for intervals, 0:
 * none); scores are the judge's one number, or of two the second less the first. KIN_ARG for a judge of more
 * numbers, or more than KIN_PAIRS_MOST pairs. NULL on failure; the caller owns it. */
json_t *kin_eval_pairs(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, int64_t bootstrap);

#endif
