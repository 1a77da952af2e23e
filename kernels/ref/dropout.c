#include "core/rng.h"
#include "kernels/ref/ref.h"

static double factor(const kin_call *c, int64_t sample, int64_t token, int64_t channel)
{
    const kin_dropout_attr *a = c->attr;
    uint32_t w[4];
    if (a->per_sample)
        kin_philox(c->rng_key, (uint32_t)sample, 0, 0, 1, w);
    else
        kin_philox(c->rng_key, (uint32_t)sample, (uint32_t)token, (uint32_t)(channel / 4), 0, w);
    const uint32_t u = a->per_sample ? w[0] : w[channel % 4];
    return kin_unit(u) >= a->p ? 1.0 / (1.0 - (double)a->p) : 0.0;
}

static void each(const kin_call *c, bool backward)
{
    const kin_dropout_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1];
    for (int64_t b = 0; b < sequences(&c->in[1], a->t, c->in[0].dim[0]); b++) {
        const span s = sequence(&c->in[1], a->t, b);
        for (int64_t m = s.from; m < s.to; m++)
            for (int64_t k = 0; k < width; k++) {
                const double f = factor(c, c->sample0 + b, m - s.from, k);
                if (backward)
                    put(c, 0, m * width + k, (double)cotangent(c, 0, m * width + k) * f);
                else
                    set(&c->out[0], m * width + k, (double)get(&c->in[0], m * width + k) * f);
            }
    }
}

void REF(dropout_fwd)(const kin_call *c)
{
    each(c, false);
}

void REF(dropout_bwd)(const kin_call *c)
{
    if (wanted(c, 0)) each(c, true);
}
