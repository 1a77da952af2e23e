#include "kernels/cuda/reduce.cuh"

enum { BLOCK = KIN_CUDA_BLOCK };

/* One output, input or weight element a thread (weights: a block); no im2col is stored. */
struct conv_args {
    int64_t batch, h, w, ci, ho, wo, co, kh, kw, depth, stride, pad, per_group; /* outputs a group */
};

static conv_args args_of(const kin_call *c)
{
    const kin_conv2d_attr *a = attr_of<kin_conv2d_attr>(c);
    const kin_tensor &x = c->in[0], &w = c->in[1], &y = c->out[0];
    return {x.dim[0],
            x.dim[1],
            x.dim[2],
            x.dim[3],
            y.dim[1],
            y.dim[2],
            y.dim[3],
            w.dim[1],
            w.dim[2],
            w.dim[3],
            a->stride,
            a->pad,
            w.dim[0] / a->groups};
}

template <class T> __global__ void conv_forward(conv_args a, const T *x, const T *w, const float *bias, T *y)
{
    for (EACH(i, a.batch * a.ho * a.wo * a.co)) {
        const int64_t co = i % a.co, ox = i / a.co % a.wo, oy = i / a.co / a.wo % a.ho,
                      b = i / a.co / a.wo / a.ho;
        const int64_t first = co / a.per_group * a.depth;
        float sum = bias ? bias[co] : 0.0f;
        for (int64_t ky = 0; ky < a.kh; ky++)
            for (int64_t kx = 0; kx < a.kw; kx++) {
                const int64_t iy = oy * a.stride + ky - a.pad, ix = ox * a.stride + kx - a.pad;
                if (iy < 0 || ix < 0 || iy >= a.h || ix >= a.w) continue;
                const T *from = x + ((b * a.h + iy) * a.w + ix) * a.ci + first;
                const T *by = w + ((co * a.kh + ky) * a.kw + kx) * a.depth;
                for (int64_t k = 0; k < a.depth; k++) sum += load(from + k) * load(by + k);
            }
        store(y + i, sum);
    }
}

/* Output position that input position i reaches through tap k; -1: none. */
__device__ static inline int64_t reached(int64_t i, int64_t k, int64_t stride, int64_t pad, int64_t most)
{
    const int64_t at = i + pad - k;
    return at >= 0 && at % stride == 0 && at / stride < most ? at / stride : -1;
}

template <class T>
__global__ void conv_to_input(conv_args a, const T *w, const float *dy, float *dx, bool add)
{
    for (EACH(i, a.batch * a.h * a.w * a.ci)) {
        const int64_t ci = i % a.ci, ix = i / a.ci % a.w, iy = i / a.ci / a.w % a.h, b = i / a.ci / a.w / a.h;
        const int64_t first = ci / a.depth * a.per_group, k = ci % a.depth;
        float sum = 0.0f;
        for (int64_t ky = 0; ky < a.kh; ky++)
            for (int64_t kx = 0; kx < a.kw; kx++) {
                const int64_t oy = reached(iy, ky, a.stride, a.pad, a.ho);
                const int64_t ox = reached(ix, kx, a.stride, a.pad, a.wo);
                if (oy < 0 || ox < 0) continue;
                for (int64_t co = first; co < first + a.per_group; co++)
                    sum += dy[((b * a.ho + oy) * a.wo + ox) * a.co + co] *
                           load(w + ((co * a.kh + ky) * a.kw + kx) * a.depth + k);
            }
        put(dx + i, sum, add);
    }
}

template <class T>
__global__ void conv_to_weight(conv_args a, const T *x, const float *dy, float *dw, bool add)
{
    SHARED(float, room, [32]);
    const int64_t i = blockIdx.x, k = i % a.depth, kx = i / a.depth % a.kw, ky = i / a.depth / a.kw % a.kh;
    const int64_t co = i / a.depth / a.kw / a.kh, first = co / a.per_group * a.depth;
    float sum = 0.0f;
    for (int64_t m = threadIdx.x; m < a.batch * a.ho * a.wo; m += blockDim.x) {
        const int64_t ox = m % a.wo, oy = m / a.wo % a.ho, b = m / a.wo / a.ho;
        const int64_t iy = oy * a.stride + ky - a.pad, ix = ox * a.stride + kx - a.pad;
        if (iy < 0 || ix < 0 || iy >= a.h || ix >= a.w) continue;
        sum += dy[m * a.co + co] * load(x + ((b * a.h + iy) * a.w + ix) * a.ci + first + k);
    }
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) put(dw + i, sum, add);
}

struct conv_bias {
    int64_t width;
    const float *dy;
    __device__ void operator()(int64_t row, int64_t col, float *v) const { v[0] = dy[row * width + col]; }
};

void kin_cuda_conv2d_fwd(const kin_call *c)
{
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(kin_count(&c->out[0]), BLOCK)), dim3(BLOCK), 0, conv_forward<T>,
            args_of(c), ptr<const T>(c->in[0]), ptr<const T>(c->in[1]), ptr<const float>(c->in[2]),
            ptr<T>(c->out[0]));
    });
}

void kin_cuda_conv2d_bwd(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    const conv_args a = args_of(c);
    const float *dy = ptr<const float>(c->dout[0]);
    kin_cuda_dev *d = dev_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        if (wanted(c, 0))
            RUN(d, dim3(blocks_for(kin_count(&c->in[0]), BLOCK)), dim3(BLOCK), 0, conv_to_input<T>, a,
                ptr<const T>(c->in[1]), dy, ptr<float>(c->din[0]), adds(c, 0));
        if (wanted(c, 1))
            RUN(d, dim3((unsigned)kin_count(&c->in[1])), dim3(64), 0, conv_to_weight<T>, a,
                ptr<const T>(c->in[0]), dy, ptr<float>(c->din[1]), adds(c, 1));
    });
    if (!wanted(c, 2)) return;
    float *const out[1] = {ptr<float>(c->din[2])};
    const bool add[1] = {adds(c, 2)};
    column_sums<1>(d, conv_bias{a.co, dy}, a.batch * a.ho * a.wo, a.co, (float *)c->scratch, out, add);
}
