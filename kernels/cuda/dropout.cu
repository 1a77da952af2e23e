#include "kernels/cuda/gpu.h"

struct dropout_args {
    int64_t rows, width;
    drawing draw;
    float p;
    bool per_sample;
    ragged sequences;
};

/* A thread has the four channels that one draw is for. to = from * factor, or to += it. */
template <class T, class F> __global__ void dropout_apply(dropout_args a, const T *from, F *to, bool add)
{
    const int64_t groups = (a.width + 3) / 4;
    const kin_draw d = draw_now(a.draw);
    for (EACH(i, a.rows * groups)) {
        const int64_t m = i / groups, first = i % groups * 4;
        const int64_t b = sequence_of(a.sequences, m), token = m - start_of(a.sequences, b);
        uint32_t w[4];
        if (a.per_sample)
            kin_philox(d.key, (uint32_t)(d.sample0 + b), 0, 0, 1, w);
        else
            kin_philox(d.key, (uint32_t)(d.sample0 + b), (uint32_t)token, (uint32_t)(first / 4), 0, w);
        for (int64_t k = first; k < a.width && k < first + 4; k++) {
            const float keep = kin_unit(w[a.per_sample ? 0 : k % 4]) >= a.p ? 1.0f / (1.0f - a.p) : 0.0f;
            const int64_t at = m * a.width + k;
            const float v = load(from + at) * keep;
            store(to + at, add ? load(to + at) + v : v);
        }
    }
}

static dropout_args args_of(const kin_call *c)
{
    const kin_dropout_attr *a = attr_of<kin_dropout_attr>(c);
    const int64_t rows = c->out[0].dim[0];
    return {rows, c->out[0].dim[1], drawing_of(c), a->p, a->per_sample != 0, ragged_of(c->in[1], a->t, rows)};
}

void kin_cuda_dropout_fwd(const kin_call *c)
{
    const dropout_args a = args_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(a.rows * ((a.width + 3) / 4), KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK),
            0, (dropout_apply<T, T>), a, ptr<const T>(c->in[0]), ptr<T>(c->out[0]), false);
    });
}

void kin_cuda_dropout_bwd(const kin_call *c)
{
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const dropout_args a = args_of(c);
    RUN(dev_of(c), dim3(blocks_for(a.rows * ((a.width + 3) / 4), KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0,
        (dropout_apply<float, float>), a, ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
}
