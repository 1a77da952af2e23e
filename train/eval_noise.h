/* eval_noise: how much a model bears: a measure of it under each kind of corruption (data/corrupt.h), from
 * strength 0 to 1; and the curves of several models as a picture. */
#ifndef KIN_EVAL_NOISE_H
#define KIN_EVAL_NOISE_H
#include "train/eval_task.h"

typedef struct kin_noise_subject {
    const char *name;
    void *self;
    /* The model's measure (0 .. 1) on corrupted data, c NULL: as it is; low and high its interval, or the
     * value. */
    kin_status (*measure)(kin_ctx *cx, void *self, const kin_corruption *c, kin_estimate *out);
} kin_noise_subject;

typedef struct kin_noise_cfg {
    bool kinds[KIN_NOISES];
    int64_t steps; /* strengths 0, 1/steps, .. 1 */
    uint64_t seed;
    const char *metric; /* its name, for readers */
} kin_noise_cfg;

/* {"metric", "strengths": [..], "chance"?, "models": [{"name", "curves": {"blur": {"value": [..], "low":
 * [..], "high":
 * [..]}, ..}}]} Strength 0 is measured once. The caller owns it; NULL on failure. */
json_t *kin_eval_noise(kin_ctx *cx, const kin_noise_subject *subject, int64_t n, const kin_noise_cfg *cfg);

/* Retrieval by a dual encoder: the mean of recall@1 in both directions, its interval by bootstrap over
 * pictures. */
typedef struct kin_noise_retrieval {
    kin_embedder *embedder;
    const kin_dataset *data;
    int64_t bootstrap;
    float *image, *text; /* of clean data, made when they are needed: free them */
} kin_noise_retrieval;
kin_status kin_noise_measure_retrieval(kin_ctx *cx, void *self, const kin_corruption *c, kin_estimate *out);

/* A labelled set put to a judge: balanced accuracy. */
typedef struct kin_noise_task {
    const kin_judge *judge;
    kin_dataset *data;
    int64_t bootstrap;
    const double *threshold;
} kin_noise_task;
kin_status kin_noise_measure_task(kin_ctx *cx, void *self, const kin_corruption *c, kin_estimate *out);

#endif
