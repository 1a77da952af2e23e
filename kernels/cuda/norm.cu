#include "kernels/cuda/reduce.cuh"

/* One warp a row. A row that fits waits in shared memory between the passes over it. */
enum { ROWS = 4, CACHED = 3072 }; /* rows a block; floats of a row kept at most: 48 KiB */

template <class T> struct norm_args {
    int64_t rows, width;
    float eps;
    bool centred, cached;
    const T *x, *r;
    const float *gamma, *beta;
    T *y, *s;
    float *mean, *rstd;
};

template <class T> __global__ void norm_forward(norm_args<T> a)
{
    DYN_SHARED(float, room);
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int64_t m = (int64_t)blockIdx.x * ROWS + warp;
    if (m >= a.rows) return;
    const T *source = (a.r ? a.s : a.x) + m * a.width;
    float *kept = room + warp * a.width, sum = 0.0f, square = 0.0f;
    for (int64_t k = lane; k < a.width; k += 32) {
        const int64_t at = m * a.width + k;
        if (a.r) store(a.s + at, load(a.x + at) + load(a.r + at));
        const float v = load(source + k); /* what this lane has just written */
        if (a.cached) kept[k] = v;
        sum += v;
    }
    const float mean = a.centred ? warp_sum(sum) / (float)a.width : 0.0f;
    for (int64_t k = lane; k < a.width; k += 32) {
        const float d = (a.cached ? kept[k] : load(source + k)) - mean;
        square += d * d;
    }
    const float rstd = 1.0f / sqrtf(warp_sum(square) / (float)a.width + a.eps);
    for (int64_t k = lane; k < a.width; k += 32) {
        const float v = a.cached ? kept[k] : load(source + k);
        store(a.y + m * a.width + k, (v - mean) * rstd * a.gamma[k] + (a.beta ? a.beta[k] : 0.0f));
    }
    if (lane) return;
    if (a.centred) a.mean[m] = mean;
    a.rstd[m] = rstd;
}

static void forward(const kin_call *c, bool centred)
{
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        norm_args<T> a = {rows,
                          width,
                          attr_of<kin_norm_attr>(c)->eps,
                          centred,
                          width <= CACHED,
                          ptr<const T>(c->in[0]),
                          ptr<const T>(c->in[1]),
                          ptr<const float>(c->in[2]),
                          centred ? ptr<const float>(c->in[3]) : nullptr,
                          ptr<T>(c->out[0]),
                          ptr<T>(c->out[1]),
                          centred ? ptr<float>(c->out[2]) : nullptr,
                          ptr<float>(c->out[centred ? 3 : 2])};
        const size_t shared = a.cached ? (size_t)(ROWS * width) * sizeof(float) : 0;
        RUN(dev_of(c), dim3(blocks_for(rows, ROWS)), dim3(32 * ROWS), shared, norm_forward<T>, a);
    });
}

/* With n = (s - mean) rstd and e = dy gamma: ds = rstd (e - mean(e) - n mean(e n)) + through; rmsnorm has no
 * mean(e). */
template <class T> struct norm_back {
    int64_t rows, width;
    bool centred;
    const T *s;
    const float *gamma, *mean, *rstd, *dy, *through;
    float *dx, *dr;
    bool add_x, add_r;
};

template <class T> __global__ void norm_backward(norm_back<T> a)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t m = (int64_t)blockIdx.x * ROWS + threadIdx.x / 32;
    if (m >= a.rows) return;
    const float mean = a.centred ? a.mean[m] : 0.0f, rstd = a.rstd[m];
    float sum = 0.0f, dot = 0.0f;
    for (int64_t k = lane; k < a.width && a.dy; k += 32) {
        const float e = a.dy[m * a.width + k] * a.gamma[k];
        sum += e;
        dot += e * (load(a.s + m * a.width + k) - mean) * rstd;
    }
    sum = a.centred ? warp_sum(sum) / (float)a.width : 0.0f;
    dot = warp_sum(dot) / (float)a.width;
    for (int64_t k = lane; k < a.width; k += 32) {
        const int64_t at = m * a.width + k;
        const float n = (load(a.s + at) - mean) * rstd, e = a.dy ? a.dy[at] * a.gamma[k] : 0.0f;
        const float ds = rstd * (e - sum - n * dot) + (a.through ? a.through[at] : 0.0f);
        if (a.dx) put(a.dx + at, ds, a.add_x);
        if (a.dr) put(a.dr + at, ds, a.add_r);
    }
}

template <class T> struct norm_weights {
    int64_t width;
    const T *s;
    const float *mean, *rstd, *dy;
    __device__ void operator()(int64_t row, int64_t col, float *v) const
    {
        const int64_t at = row * width + col;
        v[1] = dy[at];
        v[0] = v[1] * (load(s + at) - (mean ? mean[row] : 0.0f)) * rstd[row];
    }
};

static void backward(const kin_call *c, bool centred)
{
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    const bool residual = c->in[1].rank >= 0;
    kin_cuda_dev *d = dev_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        norm_back<T> a = {rows,
                          width,
                          centred,
                          residual ? ptr<const T>(c->out[1]) : ptr<const T>(c->in[0]),
                          ptr<const float>(c->in[2]),
                          centred ? ptr<const float>(c->out[2]) : nullptr,
                          ptr<const float>(c->out[centred ? 3 : 2]),
                          ptr<const float>(c->dout[0]),
                          residual ? ptr<const float>(c->dout[1]) : nullptr,
                          ptr<float>(c->din[0]),
                          ptr<float>(c->din[1]),
                          adds(c, 0),
                          adds(c, 1)};
        if (a.dx || a.dr) RUN(d, dim3(blocks_for(rows, ROWS)), dim3(32 * ROWS), 0, norm_backward<T>, a);
        float *const out[2] = {ptr<float>(c->din[2]), centred ? ptr<float>(c->din[3]) : nullptr};
        const bool add[2] = {adds(c, 2), adds(c, 3)};
        if (!a.dy) {
            clear(c, 2);
            if (centred) clear(c, 3);
        } else if (out[0] || out[1]) {
            const norm_weights<T> w = {width, a.s, a.mean, a.rstd, a.dy};
            column_sums<2>(d, w, rows, width, (float *)c->scratch, out, add);
        }
    });
}

void kin_cuda_layernorm_fwd(const kin_call *c)
{
    forward(c, true);
}

void kin_cuda_layernorm_bwd(const kin_call *c)
{
    backward(c, true);
}

void kin_cuda_rmsnorm_fwd(const kin_call *c)
{
    forward(c, false);
}

void kin_cuda_rmsnorm_bwd(const kin_call *c)
{
    backward(c, false);
}

/* ---- l2norm ---- */

template <class T>
__global__ void l2norm_forward(int64_t rows, int64_t width, float eps, const T *x, T *y, float *inv)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t m = (int64_t)blockIdx.x * ROWS + threadIdx.x / 32;
    if (m >= rows) return;
    float square = 0.0f;
    for (int64_t k = lane; k < width; k += 32) {
        const float v = load(x + m * width + k);
        square += v * v;
    }
    const float by = 1.0f / fmaxf(sqrtf(warp_sum(square)), eps);
    for (int64_t k = lane; k < width; k += 32) store(y + m * width + k, load(x + m * width + k) * by);
    if (lane == 0) inv[m] = by;
}

/* dx = inv (dy - y (y . dy)); below eps the divisor is a constant and the second term is not there. */
template <class T>
__global__ void l2norm_backward(int64_t rows, int64_t width, float eps, const T *y, const float *inv,
                                const float *dy, float *dx, bool add)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t m = (int64_t)blockIdx.x * ROWS + threadIdx.x / 32;
    if (m >= rows) return;
    float dot = 0.0f;
    for (int64_t k = lane; k < width; k += 32) dot += load(y + m * width + k) * dy[m * width + k];
    dot = inv[m] >= 1.0f / eps ? 0.0f : warp_sum(dot);
    for (int64_t k = lane; k < width; k += 32) {
        const int64_t at = m * width + k;
        put(dx + at, inv[m] * (dy[at] - load(y + at) * dot), add);
    }
}

void kin_cuda_l2norm_fwd(const kin_call *c)
{
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(rows, ROWS)), dim3(32 * ROWS), 0, l2norm_forward<T>, rows, width,
            attr_of<kin_norm_attr>(c)->eps, ptr<const T>(c->in[0]), ptr<T>(c->out[0]), ptr<float>(c->out[1]));
    });
}

void kin_cuda_l2norm_bwd(const kin_call *c)
{
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(rows, ROWS)), dim3(32 * ROWS), 0, l2norm_backward<T>, rows, width,
            attr_of<kin_norm_attr>(c)->eps, ptr<const T>(c->out[0]), ptr<const float>(c->out[1]),
            ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
    });
}
