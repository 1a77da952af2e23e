/* eval_task: a labelled set (data/dataset.h) put to a judge: how often is it right?
 *
 * A judge of one number (a dual encoder) answers true or false by a threshold on it. That is tuned on other
 * examples, or else the median of what is evaluated, which takes no labels; its auroc needs none. Judges of
 * more numbers answer with the largest; of two, where a threshold is given, by the margin of the second over
 * the first (a head that was taught with hard false pairs, more of them than true ones, says no too often).
 * Examples of one text are one group of the bootstrap.
 *
 * Where a picture has texts that are true of it and texts that are false, "pairwise" is how often, of one
 * true and one false text of the same picture, the true one scores higher (equal: one half; a NaN loses):
 * chance is 1/2 for a model that does not look, and no threshold is needed. */
#ifndef KIN_EVAL_TASK_H
#define KIN_EVAL_TASK_H
#include "train/eval_labels.h"
#include "train/judge.h"

typedef struct kin_task_opts {
    int64_t bootstrap;       /* resamples; 0: none */
    const double *threshold; /* NULL: the median, or the larger of two numbers */
    const bool *seen;        /* [captions] texts that training had; NULL: not asked */
    const kin_corruption *noise;
} kin_task_opts;

/* {kin_label_eval_json's keys, "threshold"?, "threshold_from"?: "tuned"|"median",
 * "pairwise"?, "pairwise_wilson95"?: [l, h] of its pairs, "pairwise_pairs"?, "other_class"?: examples
 * whose class the judge does not know, "unseen_texts"?: the same of the examples whose texts training did not
 * have}. Asks the judge to number the data's classes as its own. KIN_ARG when judge and data do not fit. The
 * caller owns it. */
json_t *kin_eval_task(kin_ctx *cx, const kin_judge *j, kin_dataset *d, const kin_task_opts *opts);

/* The threshold on the judge's one number, or margin of two, with the best balanced accuracy on d. */
kin_status kin_tune_threshold(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, double *threshold);

#endif
