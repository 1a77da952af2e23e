#include "kernels/cuda/reduce.cuh"

template <class T> struct columns_of {
    int64_t width;
    const T *x;
    __device__ void operator()(int64_t row, int64_t col, float *v) const
    {
        v[0] = load(x + row * width + col);
    }
};

template <class T> struct distances_of {
    int64_t width;
    const T *x;
    const float *mean;
    __device__ void operator()(int64_t row, int64_t col, float *v) const
    {
        const float d = load(x + row * width + col) - mean[col];
        v[0] = d * d;
    }
};

/* dy n and dy; n = (x - mean) rstd, and rstd is the same in the whole column: left to `hand_out`. */
template <class T> struct products_of {
    int64_t width;
    const T *x;
    const float *mean, *dy;
    __device__ void operator()(int64_t row, int64_t col, float *v) const
    {
        const int64_t at = row * width + col;
        v[1] = dy[at];
        v[0] = v[1] * (load(x + at) - mean[col]);
    }
};

static __global__ void divide(int64_t width, float by, float *v)
{
    for (EACH(k, width)) v[k] /= by;
}

struct bn_weights {
    int64_t rows, width;
    float eps;
    const float *gamma, *beta, *mean, *var;
};

template <class T> __global__ void bn_forward(bn_weights w, const T *x, T *y)
{
    for (EACH(i, w.rows * w.width)) {
        const int64_t k = i % w.width;
        const float by = w.gamma[k] / sqrtf(w.var[k] + w.eps);
        store(y + i, (load(x + i) - w.mean[k]) * by + w.beta[k]);
    }
}

void kin_cuda_batchnorm_fwd(const kin_call *c)
{
    kin_cuda_dev *d = dev_of(c);
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    const bool given = c->in[3].rank >= 0, add = false;
    float *mean = ptr<float>(c->out[1]), *var = ptr<float>(c->out[2]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        const T *x = ptr<const T>(c->in[0]);
        if (!given) {
            const float n = (float)(rows > 0 ? rows : 1);
            const unsigned blocks = blocks_for(width, KIN_CUDA_BLOCK);
            const columns_of<T> sum = {width, x};
            column_sums<1>(d, sum, rows, width, (float *)c->scratch, &mean, &add);
            RUN(d, dim3(blocks), dim3(KIN_CUDA_BLOCK), 0, divide, width, n, mean);
            const distances_of<T> square = {width, x, mean};
            column_sums<1>(d, square, rows, width, (float *)c->scratch, &var, &add);
            RUN(d, dim3(blocks), dim3(KIN_CUDA_BLOCK), 0, divide, width, n, var);
        }
        const bn_weights w = {rows,
                              width,
                              attr_of<kin_norm_attr>(c)->eps,
                              ptr<const float>(c->in[1]),
                              ptr<const float>(c->in[2]),
                              given ? ptr<const float>(c->in[3]) : mean,
                              given ? ptr<const float>(c->in[4]) : var};
        RUN(d, dim3(blocks_for(rows * width, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, bn_forward<T>, w, x,
            ptr<T>(c->out[0]));
    });
}

/* sums: of dy (x - mean), which times rstd is dgamma, and of dy, which is dbeta. */
static __global__ void hand_out(bn_weights w, const float *sums, float *dgamma, float *dbeta, bool add_gamma,
                                bool add_beta)
{
    for (EACH(k, w.width)) {
        if (dgamma) put(dgamma + k, sums[k] / sqrtf(w.var[k] + w.eps), add_gamma);
        if (dbeta) put(dbeta + k, sums[w.width + k], add_beta);
    }
}

/* With n = (x - mean) rstd: dx = gamma rstd dy, and where the statistics are those of x, gamma rstd (dy -
 * mean(dy)
 * - n mean(dy n)). */
template <class T>
__global__ void bn_backward(bn_weights w, bool given, const T *x, const float *dy, const float *sums,
                            float *dx, bool add)
{
    for (EACH(i, w.rows * w.width)) {
        const int64_t k = i % w.width;
        const float rstd = 1.0f / sqrtf(w.var[k] + w.eps), n = (float)w.rows;
        float e = dy[i];
        if (!given) e -= sums[w.width + k] / n + (load(x + i) - w.mean[k]) * rstd * rstd * (sums[k] / n);
        put(dx + i, w.gamma[k] * rstd * e, add);
    }
}

void kin_cuda_batchnorm_bwd(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    kin_cuda_dev *d = dev_of(c);
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    const bool given = c->in[3].rank >= 0, add[2] = {false, false};
    const bn_weights w = {rows,
                          width,
                          attr_of<kin_norm_attr>(c)->eps,
                          ptr<const float>(c->in[1]),
                          ptr<const float>(c->in[2]),
                          ptr<const float>(given ? c->in[3] : c->out[1]),
                          ptr<const float>(given ? c->in[4] : c->out[2])};
    float *partial = (float *)c->scratch, *sums = partial + 2 * kin_chunks(rows) * width;
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        const T *x = ptr<const T>(c->in[0]);
        const float *dy = ptr<const float>(c->dout[0]);
        const products_of<T> f = {width, x, w.mean, dy};
        float *const out[2] = {sums, sums + width};
        column_sums<2>(d, f, rows, width, partial, out, add);
        RUN(d, dim3(blocks_for(width, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, hand_out, w, sums,
            ptr<float>(c->din[1]), ptr<float>(c->din[2]), adds(c, 1), adds(c, 2));
        if (wanted(c, 0))
            RUN(d, dim3(blocks_for(rows * width, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, bn_backward<T>, w,
                given, x, dy, sums, ptr<float>(c->din[0]), adds(c, 0));
    });
}
