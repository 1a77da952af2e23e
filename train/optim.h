/* optim: AdamW over the flat groups, gradient clipping by global norm, exponential average, clamp of the
 * logit scale. Parameters of one dimension and scalars do not decay (open_clip's rule). */
#ifndef KIN_OPTIM_H
#define KIN_OPTIM_H
#include "core/params.h"

typedef struct kin_optim_cfg {
    double beta1, beta2, eps, wd;
    double clip;      /* largest global gradient norm; 0: no clipping */
    double ema;       /* decay of the average; 0: none */
    double scale_max; /* logit scale is kept in [1, scale_max], as in open_clip */
} kin_optim_cfg;

typedef struct kin_optim {
    kin_optim_cfg cfg;
    kin_params *params;
    int64_t step; /* updates made: the t of Adam's bias correction */
    void *sum;    /* one f64 in backend memory */
} kin_optim;

kin_status kin_optim_open(kin_ctx *cx, kin_optim *o, kin_params *p, const kin_optim_cfg *cfg);
void kin_optim_close(kin_optim *o);

/* One update with the gradients that lie in params. *norm: the global norm before clipping. A norm that is
 * not finite changes nothing and is KIN_NUMERIC. */
kin_status kin_optim_update(kin_ctx *cx, kin_optim *o, double lr, double *norm);

#endif
