/* eval_folds: retrieval in several galleries, averaged: COCO's "1K test" of VSE++ and after is the mean of
 * five folds of 1,000 of its 5,000 pictures, in their order. */
#ifndef KIN_EVAL_FOLDS_H
#define KIN_EVAL_FOLDS_H
#include "train/eval_retrieval.h"

/* kin_eval_retrieval of images [0, n / folds), [n / folds, 2 n / folds), ... each with its own captions; out
 * is the mean of each figure, and sums of images, captions and NaN queries. folds below 2: of all at once.
 * KIN_ARG when folds are not all of one size, or with a bootstrap. in->text_rank and image_rank are not
 * filled. */
kin_status kin_eval_folds(kin_ctx *cx, const kin_retrieval_in *in, int64_t folds, kin_retrieval *out);

#endif
