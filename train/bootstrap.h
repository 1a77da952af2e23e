/* bootstrap: intervals by drawing what was measured again, with replacement (Efron). What is drawn are
 * clusters: examples that are not independent of one another (captions of a picture, pictures of a sentence)
 * come together or not at all. Resample r is the same for every measure, so that two can be compared. */
#ifndef KIN_BOOTSTRAP_H
#define KIN_BOOTSTRAP_H
#include "core/base.h"

enum { KIN_MOST_RESAMPLES = 1000000 };

/* KIN_ARG, in a sentence that begins with `what`, for a number of resamples that is neither 0 (no intervals)
 * nor 40 to KIN_MOST_RESAMPLES: fewer have no 2.5 % tail. */
kin_status kin_check_resamples(kin_ctx *cx, const char *what, int64_t resamples);
/* times [clusters]: how often each is drawn in resample r, clusters draws in all. */
void kin_resample(int64_t r, int64_t clusters, uint32_t *times);
/* The 95 % interval of n values, sorted here: elements floor(0.025 (n - 1)) from either end. */
void kin_percentiles(double *value, int64_t n, double *low, double *high);

/* Numbers groups 0 .. in the order in which they appear in of [n] (any numbers; NULL: each its own) into
 * group [n]. Returns how many; -1 on failure. */
int64_t kin_groups(kin_ctx *cx, const int64_t *of, int64_t n, int64_t *group);

typedef struct kin_difference {
    double a, b;       /* means */
    double difference; /* of b from a: b - a */
    double low, high;  /* its 95 % interval; of no resamples: the difference */
    double not_above;  /* share of resamples in which b is not above a; of none: 0 */
    int64_t n, groups, resamples;
} kin_difference;

/* Is b better than a, measured on the same n queries? (1 and 0: hits at K, right answers; or any other
 * numbers.) group as above. KIN_ARG for n < 1; resamples by kin_check_resamples. */
kin_status kin_paired_bootstrap(kin_ctx *cx, const double *a, const double *b, const int64_t *group,
                                int64_t n, int64_t resamples, kin_difference *out);

#endif
