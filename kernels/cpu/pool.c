#include "kernels/cpu/cpu.h"

/* The rows of sequence s that count. */
static span counted(const kin_pool_attr *a, span s)
{
    if (s.to <= s.from || a->mode == KIN_POOL_MEAN) return s;
    return a->mode == KIN_POOL_FIRST ? (span){s.from, s.from + 1} : (span){s.to - 1, s.to};
}

void CPU(pool_fwd)(const kin_call *c)
{
    const kin_pool_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], count = c->out[0].dim[0];
    const float *x = c->in[0].ptr;
    const int threads = threads_for(c->dev, count);
    PARALLEL_FOR
    for (int64_t b = 0; b < count; b++) {
        const span s = counted(a, sequence(&c->in[1], a->t, b));
        float *restrict to = (float *)c->out[0].ptr + b * width;
        memset(to, 0, (size_t)width * sizeof *to);
        for (int64_t m = s.from; m < s.to; m++)
            for (int64_t k = 0; k < width; k++) to[k] += x[m * width + k];
        for (int64_t k = 0; k < width && s.to - s.from > 1; k++) to[k] /= (float)(s.to - s.from);
    }
}

void CPU(pool_bwd)(const kin_call *c)
{
    const kin_pool_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], count = c->out[0].dim[0];
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const float *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    const bool add = adds(c, 0);
    const int threads = threads_for(c->dev, count);
    PARALLEL_FOR
    for (int64_t b = 0; b < count; b++) {
        const span all = sequence(&c->in[1], a->t, b), s = counted(a, all);
        const float share = s.to > s.from ? 1.0f / (float)(s.to - s.from) : 0.0f;
        if (!add) memset(dx + all.from * width, 0, (size_t)((all.to - all.from) * width) * sizeof *dx);
        for (int64_t m = s.from; m < s.to; m++)
            for (int64_t k = 0; k < width; k++) dx[m * width + k] += dy[b * width + k] * share;
    }
}
