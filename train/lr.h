/* lr: the learning rate of a step.
 *
 * With W = warmup * steps, rounded, and step = 0 .. steps - 1:
 *   step < W    base * (step + 1) / W
 *   else, with t = (step - W) / (steps - W), 1 from `steps` on (as in open_clip: min is for after the end,
 *   so that the last step still learns):
 *     cosine    min + (base - min) * (1 + cos(pi t)) / 2
 *     linear    min + (base - min) * (1 - t)
 *     constant  base */
#ifndef KIN_LR_H
#define KIN_LR_H
#include "core/base.h"

typedef enum kin_lr_kind { KIN_LR_COSINE, KIN_LR_CONSTANT, KIN_LR_LINEAR } kin_lr_kind;

typedef struct kin_lr {
    kin_lr_kind kind;
    double base, min;
    double warmup; /* fraction of the run, 0 .. 1 */
    int64_t steps; /* of the whole run, > 0 */
} kin_lr;

/* How far the warm-up is: (step + 1) / W, 1 from step W - 1 on. */
double kin_lr_warmed(const kin_lr *s, int64_t step);
double kin_lr_at(const kin_lr *s, int64_t step);

/* "cosine", "constant" or "linear"; KIN_ARG names any other. */
kin_status kin_lr_kind_of(kin_ctx *cx, const char *name, kin_lr_kind *out);

#endif
