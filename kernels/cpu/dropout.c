#include "core/rng.h"
#include "kernels/cpu/cpu.h"

/* to (+)= from * keep / (1 - p) for one token. */
static void token(const kin_call *c, int64_t sample, int64_t j, const float *from, float *to, int64_t width,
                  bool add)
{
    const kin_dropout_attr *a = c->attr;
    const float kept = 1.0f / (1.0f - a->p);
    for (int64_t k = 0; k < width; k += 4) {
        uint32_t w[4];
        kin_philox(c->rng_key, (uint32_t)sample, (uint32_t)j, (uint32_t)(k / 4), 0, w);
        const int64_t n = kin_min64(4, width - k);
        for (int64_t i = 0; i < n; i++)
            put(&to[k + i], from[k + i] * (kin_unit(w[i]) >= a->p ? kept : 0.0f), add);
    }
}

static void each(const kin_call *c, const float *from, float *to, bool add)
{
    const kin_dropout_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], count = sequences(&c->in[1], a->t, c->in[0].dim[0]);
    const int threads = threads_for(c->dev, count);
    PARALLEL_FOR
    for (int64_t b = 0; b < count; b++) {
        const span s = sequence(&c->in[1], a->t, b);
        uint32_t w[4];
        kin_philox(c->rng_key, (uint32_t)(c->sample0 + b), 0, 0, 1, w);
        const float factor = kin_unit(w[0]) >= a->p ? 1.0f / (1.0f - a->p) : 0.0f;
        for (int64_t m = s.from; m < s.to; m++) {
            const int64_t at = m * width;
            if (!a->per_sample)
                token(c, c->sample0 + b, m - s.from, from + at, to + at, width, add);
            else
                for (int64_t k = at; k < at + width; k++) to[k] = (add ? to[k] : 0.0f) + from[k] * factor;
        }
    }
}

void CPU(dropout_fwd)(const kin_call *c)
{
    each(c, c->in[0].ptr, c->out[0].ptr, false);
}

void CPU(dropout_bwd)(const kin_call *c)
{
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    each(c, c->dout[0].ptr, c->din[0].ptr, adds(c, 0));
}
