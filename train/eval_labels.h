/* eval_labels: how right a model's answers about pictures and texts are.
 *
 *   accuracy  hits / n; its 95 % interval by Wilson's score, for independent examples:
 *             (p + z^2/2n +- z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n), z = 1.959963984540054
 *             (Wilson, "Probable inference", JASA 1927)
 *   balanced  mean over the classes that occur of the share of their examples that is right
 *   auroc     two classes: the chance that an example of class 1 scores above one of class 0, equal scores
 * one half (Mann-Whitney by midranks). A NaN loses against everything.
 *
 * Intervals by bootstrap are over groups (train/bootstrap.h): of a set with several examples a sentence,
 * Wilson's is too narrow. A resample without one of the two classes has an auroc of 1/2. */
#ifndef KIN_EVAL_LABELS_H
#define KIN_EVAL_LABELS_H
#include "core/json.h"
#include "train/bootstrap.h"

typedef struct kin_scored {
    const int32_t *label; /* [n] 0 .. classes - 1 */
    const int32_t *guess; /* [n]; -1: none, which is wrong */
    const double *score;  /* [n] how much class 1 is preferred to class 0; NULL, or classes != 2: no auroc */
    const int64_t *group; /* [n]; NULL: each its own */
    int64_t n, classes;
    int64_t bootstrap; /* resamples; 0: no intervals by bootstrap */
} kin_scored;

typedef struct kin_estimate {
    double value, low, high;
} kin_estimate;

typedef struct kin_label_eval {
    int64_t n, groups, classes, hits, bootstrap;
    double majority;                /* share of the most frequent class */
    double wilson_low, wilson_high; /* of accuracy */
    kin_estimate accuracy, balanced,
        auroc; /* intervals by bootstrap; equal to value without; auroc NaN: none */
} kin_label_eval;

/* KIN_SHAPE for sizes that are not positive, KIN_ARG for a label or guess out of range, or a bootstrap that
 * kin_check_resamples refuses. */
kin_status kin_eval_labels(kin_ctx *cx, const kin_scored *in, kin_label_eval *out);
/* {"examples", "groups", "classes", "majority", "accuracy", "accuracy_wilson95": [l, h], "accuracy_ci95"?:
 * [l, h], "balanced_accuracy", "balanced_accuracy_ci95"?, "auroc"?, "auroc_ci95"?} NULL on failure; the
 * caller owns it. */
json_t *kin_label_eval_json(kin_ctx *cx, const kin_label_eval *e);

void kin_wilson(int64_t hits, int64_t n, double *low, double *high);
/* The threshold on score with the best balanced accuracy of "score >= threshold is class 1", halfway between
 * two scores (the lowest of equally good ones); what it reaches into *balanced. For tuning on other data than
 * it is used on. */
kin_status kin_threshold(kin_ctx *cx, const double *score, const int32_t *label, int64_t n, double *threshold,
                         double *balanced);

#endif
