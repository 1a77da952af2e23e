#include "kernels/ref/ref.h"

void REF(adamw)(const kin_fn_call *c)
{
    const kin_adamw_attr *a = c->attr;
    const real one = 1;
    for (int64_t k = 0; k < kin_count(&c->t[0]); k++) {
        const real g = get(&c->t[1], k) * (real)a->grad_scale;
        const real m = (real)a->beta1 * get(&c->t[2], k) + (one - (real)a->beta1) * g;
        const real v = (real)a->beta2 * get(&c->t[3], k) + (one - (real)a->beta2) * g * g;
        const real p = get(&c->t[0], k);
        const real step = (real)a->lr * (m / (real)a->bias1) / (R(sqrt)(v / (real)a->bias2) + (real)a->eps);
        set(&c->t[2], k, (double)m);
        set(&c->t[3], k, (double)v);
        set(&c->t[0], k, (double)(p - (real)a->lr * (real)a->wd * p - step));
        if (!kin_absent(&c->t[4])) set(&c->t[4], k, (double)get(&c->t[0], k));
    }
}

void REF(ema)(const kin_fn_call *c)
{
    const kin_ema_attr *a = c->attr;
    const real d = (real)a->decay;
    for (int64_t k = 0; k < kin_count(&c->t[0]); k++)
        set(&c->t[0], k, (double)(d * get(&c->t[0], k) + ((real)1 - d) * get(&c->t[1], k)));
}

void REF(sumsq)(const kin_fn_call *c)
{
    double *out = c->t[1].ptr;
    *out = 0.0;
    for (int64_t k = 0; k < kin_count(&c->t[0]); k++)
        *out += (double)get(&c->t[0], k) * (double)get(&c->t[0], k);
}
