#include "kernels/ref/ref.h"

/* What row m of its sequence counts for. */
static double share(const kin_pool_attr *a, span s, int64_t m)
{
    switch (a->mode) {
    case KIN_POOL_FIRST: return m == s.from ? 1.0 : 0.0;
    case KIN_POOL_LAST: return m == s.to - 1 ? 1.0 : 0.0;
    default: return 1.0 / (double)(s.to - s.from);
    }
}

void REF(pool_fwd)(const kin_call *c)
{
    const kin_pool_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1];
    for (int64_t b = 0; b < c->out[0].dim[0]; b++) {
        const span s = sequence(&c->in[1], a->t, b);
        for (int64_t k = 0; k < width; k++) {
            double v = 0.0;
            for (int64_t m = s.from; m < s.to; m++)
                if (share(a, s, m) != 0.0) v += share(a, s, m) * (double)get(&c->in[0], m * width + k);
            set(&c->out[0], b * width + k, v);
        }
    }
}

void REF(pool_bwd)(const kin_call *c)
{
    const kin_pool_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1];
    for (int64_t b = 0; b < c->out[0].dim[0] && wanted(c, 0); b++) {
        const span s = sequence(&c->in[1], a->t, b);
        for (int64_t m = s.from; m < s.to; m++)
            for (int64_t k = 0; k < width; k++)
                put(c, 0, m * width + k, share(a, s, m) * (double)cotangent(c, 0, b * width + k));
    }
}
