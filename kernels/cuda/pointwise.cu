#include "kernels/cuda/reduce.cuh"

enum { BLOCK = KIN_CUDA_BLOCK };

/* ---- add ---- */

template <class T> __global__ void add_forward(int64_t count, const T *a, const T *b, T *y)
{
    for (EACH(k, count)) store(y + k, load(a + k) + load(b + k));
}

static __global__ void add_backward(int64_t count, const float *dy, float *dx, bool add)
{
    for (EACH(k, count)) put(dx + k, dy[k], add);
}

void kin_cuda_add_fwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, add_forward<T>, count,
            ptr<const T>(c->in[0]), ptr<const T>(c->in[1]), ptr<T>(c->out[0]));
    });
}

/* ---- mul ---- */

template <class T> __global__ void mul_forward(int64_t count, const T *a, const T *b, T *y)
{
    for (EACH(k, count)) store(y + k, load(a + k) * load(b + k));
}

template <class T>
__global__ void mul_backward(int64_t count, const float *dy, const T *other, float *dx, bool add)
{
    for (EACH(k, count)) put(dx + k, dy[k] * load(other + k), add);
}

void kin_cuda_mul_fwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, mul_forward<T>, count,
            ptr<const T>(c->in[0]), ptr<const T>(c->in[1]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_mul_bwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]);
    if (no_cotangent(c, 2)) return;
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        for (int i = 0; i < 2; i++)
            if (wanted(c, i))
                RUN(dev_of(c), dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, mul_backward<T>, count,
                    ptr<const float>(c->dout[0]), ptr<const T>(c->in[1 - i]), ptr<float>(c->din[i]),
                    adds(c, i));
    });
}

/* Of add and cast: the gradient goes through. */
static void pass(const kin_call *c, int inputs)
{
    const int64_t count = kin_count(&c->out[0]);
    if (no_cotangent(c, inputs)) return;
    for (int i = 0; i < inputs; i++)
        if (wanted(c, i))
            RUN(dev_of(c), dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, add_backward, count,
                ptr<const float>(c->dout[0]), ptr<float>(c->din[i]), adds(c, i));
}

void kin_cuda_add_bwd(const kin_call *c)
{
    pass(c, 2);
}

/* ---- scale ---- */

template <class T>
__global__ void scale_forward(int64_t count, int64_t width, const T *x, const float *g, T *y)
{
    for (EACH(k, count)) store(y + k, load(x + k) * g[k % width]);
}

static __global__ void scale_backward(int64_t count, int64_t width, const float *g, const float *dy,
                                      float *dx, bool add)
{
    for (EACH(k, count)) put(dx + k, dy[k] * g[k % width], add);
}

template <class T> struct scale_product {
    int64_t width;
    const T *x;
    const float *dy;
    __device__ void operator()(int64_t row, int64_t col, float *v) const
    {
        v[0] = dy[row * width + col] * load(x + row * width + col);
    }
};

void kin_cuda_scale_fwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, scale_forward<T>, count,
            kin_cols(&c->in[0]), ptr<const T>(c->in[0]), ptr<const float>(c->in[1]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_scale_bwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]), width = kin_cols(&c->in[0]);
    if (no_cotangent(c, 2)) return;
    if (wanted(c, 0))
        RUN(dev_of(c), dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, scale_backward, count, width,
            ptr<const float>(c->in[1]), ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
    if (!wanted(c, 1)) return;
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        const scale_product<T> f = {width, ptr<const T>(c->in[0]), ptr<const float>(c->dout[0])};
        float *const out[1] = {ptr<float>(c->din[1])};
        const bool add[1] = {adds(c, 1)};
        column_sums<1>(dev_of(c), f, kin_rows(&c->in[0]), width, (float *)c->scratch, out, add);
    });
}

/* ---- cast ---- */

template <class F, class T> __global__ void cast_forward(int64_t count, const F *x, T *y)
{
    for (EACH(k, count)) store(y + k, load(x + k));
}

template <class F> static void cast_from(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]);
    const dim3 grid(blocks_for(count, BLOCK)), block(BLOCK);
    const F *x = ptr<const F>(c->in[0]);
    switch (c->out[0].dtype) {
    case KIN_BF16:
        RUN(dev_of(c), grid, block, 0, (cast_forward<F, __nv_bfloat16>), count, x,
            ptr<__nv_bfloat16>(c->out[0]));
        break;
    case KIN_F16:
        RUN(dev_of(c), grid, block, 0, (cast_forward<F, __half>), count, x, ptr<__half>(c->out[0]));
        break;
    default: RUN(dev_of(c), grid, block, 0, (cast_forward<F, float>), count, x, ptr<float>(c->out[0])); break;
    }
}

void kin_cuda_cast_fwd(const kin_call *c)
{
    switch (c->in[0].dtype) {
    case KIN_BF16: cast_from<__nv_bfloat16>(c); break;
    case KIN_F16: cast_from<__half>(c); break;
    default: cast_from<float>(c); break;
    }
}

void kin_cuda_cast_bwd(const kin_call *c)
{
    pass(c, 1);
}
