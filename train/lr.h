/* lr: the learning rate of a step.
 *
 * With W = floor(warmup * steps) warm-up steps and step = 0 .. steps - 1:
 *   step < W    base * (step + 1) / W
 *   else, with t = (step - W) / max(1, steps - 1 - W), clamped to 1 (the last step has t = 1):
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

double kin_lr_at(const kin_lr *s, int64_t step);

/* "cosine", "constant" or "linear"; KIN_ARG names any other. */
kin_status kin_lr_kind_of(kin_ctx *cx, const char *name, kin_lr_kind *out);

#endif
