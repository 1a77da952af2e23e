#include "core/rng.h"
#include "kernels/cpu/cpu.h"

/* Counters at a time: as many as two vectors of the widest set have lanes of 32 bits. */
enum { WAYS = 32 };

/* kin_philox of the counters (c0, c1, c2 + i, 0), i below WAYS, a round of all of them at a time so that the
 * compiler puts them side by side; w[4 * i + j] is word j of counter i. */
static void philox_ways(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t w[4 * WAYS])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32), c[4][WAYS];
    for (int i = 0; i < WAYS; i++) {
        c[0][i] = c0;
        c[1][i] = c1;
        c[2][i] = c2 + (uint32_t)i;
        c[3][i] = 0;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        for (int i = 0; i < WAYS; i++) {
            const uint64_t a = (uint64_t)0xD2511F53u * c[0][i], b = (uint64_t)0xCD9E8D57u * c[2][i];
            c[0][i] = (uint32_t)(b >> 32) ^ c[1][i] ^ k0;
            c[2][i] = (uint32_t)(a >> 32) ^ c[3][i] ^ k1;
            c[1][i] = (uint32_t)b;
            c[3][i] = (uint32_t)a;
        }
    }
    for (int i = 0; i < WAYS; i++)
        for (int j = 0; j < 4; j++) w[4 * i + j] = c[j][i];
}

/* to (+)= from * keep / (1 - p) for one token. */
static void token(const kin_call *c, int64_t sample, int64_t j, const float *restrict from,
                  float *restrict to, int64_t width, bool add)
{
    const kin_dropout_attr *a = c->attr;
    const float kept = 1.0f / (1.0f - a->p), p = a->p;
    for (int64_t k = 0; k < width; k += 4 * WAYS) {
        uint32_t w[4 * WAYS];
        float factor[4 * WAYS];
        philox_ways(c->rng_key, (uint32_t)sample, (uint32_t)j, (uint32_t)(k / 4), w);
        for (int i = 0; i < 4 * WAYS; i++) factor[i] = kin_unit(w[i]) >= p ? kept : 0.0f;
        const int64_t n = kin_min64(4 * WAYS, width - k);
        if (add)
            for (int64_t i = 0; i < n; i++) to[k + i] += from[k + i] * factor[i];
        else
            for (int64_t i = 0; i < n; i++) to[k + i] = from[k + i] * factor[i];
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
