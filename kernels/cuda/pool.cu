#include "kernels/cuda/gpu.h"

struct pool_args {
    int mode;
    int64_t width, rows, count;
    ragged sequences;
};

/* What row m counts for in a sequence of rows from .. to - 1. */
__device__ static inline float share(int mode, int64_t from, int64_t to, int64_t m)
{
    if (mode == KIN_POOL_FIRST) return m == from ? 1.0f : 0.0f;
    if (mode == KIN_POOL_LAST) return m == to - 1 ? 1.0f : 0.0f;
    return 1.0f / (float)(to - from);
}

template <class T> __global__ void pool_forward(pool_args a, const T *x, T *y)
{
    for (EACH(i, a.count * a.width)) {
        const int64_t b = i / a.width, k = i % a.width;
        const int64_t from = start_of(a.sequences, b), to = start_of(a.sequences, b + 1);
        float sum = 0.0f;
        if (a.mode == KIN_POOL_MEAN) {
            for (int64_t m = from; m < to; m++) sum += load(x + m * a.width + k);
            sum = to > from ? sum / (float)(to - from) : 0.0f;
        } else if (to > from) {
            sum = load(x + (a.mode == KIN_POOL_FIRST ? from : to - 1) * a.width + k);
        }
        store(y + i, sum);
    }
}

static __global__ void pool_backward(pool_args a, const float *dy, float *dx, bool add)
{
    for (EACH(i, a.rows * a.width)) {
        const int64_t m = i / a.width, b = sequence_of(a.sequences, m);
        const int64_t from = start_of(a.sequences, b), to = start_of(a.sequences, b + 1);
        put(dx + i, b < a.count ? share(a.mode, from, to, m) * dy[b * a.width + i % a.width] : 0.0f, add);
    }
}

static pool_args args_of(const kin_call *c)
{
    const kin_pool_attr *a = attr_of<kin_pool_attr>(c);
    const int64_t rows = c->in[0].dim[0];
    return {a->mode, c->in[0].dim[1], rows, c->out[0].dim[0], ragged_of(c->in[1], a->t, rows)};
}

void kin_cuda_pool_fwd(const kin_call *c)
{
    const pool_args a = args_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(a.count * a.width, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0,
            pool_forward<T>, a, ptr<const T>(c->in[0]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_pool_bwd(const kin_call *c)
{
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const pool_args a = args_of(c);
    RUN(dev_of(c), dim3(blocks_for(a.rows * a.width, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, pool_backward,
        a, ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
}
