#include "kernels/cuda/gpu.h"

enum { BLOCK = KIN_CUDA_BLOCK };

struct patchify_args {
    kin_patchify_attr attr;
    int64_t count, width, h, w, channels;
};

/* Where element (row, column) of the patches lies in the image. */
__device__ static inline int64_t pixel(const patchify_args &a, int64_t row, int64_t column, int64_t *channel)
{
    const int64_t p = a.attr.p, across = a.w / p, patches = a.h / p * across;
    const int64_t b = row / patches, py = row % patches / across, px = row % patches % across;
    *channel = column / (p * p);
    const int64_t y = py * p + column % (p * p) / p, x = px * p + column % p;
    return ((b * a.h + y) * a.w + x) * a.channels + *channel;
}

template <class T> __global__ void patchify_forward(patchify_args a, bool bytes, const T *x, float *y)
{
    for (EACH(k, a.count)) {
        int64_t ch;
        const float raw = load(x + pixel(a, k / a.width, k % a.width, &ch)), v = bytes ? raw / 255.0f : raw;
        y[k] = a.attr.normalise ? (v - a.attr.mean[ch]) / a.attr.std[ch] : v;
    }
}

static __global__ void patchify_backward(patchify_args a, const float *dy, float *dx, bool add)
{
    for (EACH(k, a.count)) {
        int64_t ch;
        const int64_t at = pixel(a, k / a.width, k % a.width, &ch);
        put(dx + at, a.attr.normalise ? dy[k] / a.attr.std[ch] : dy[k], add);
    }
}

static patchify_args args_of(const kin_call *c)
{
    return {*attr_of<kin_patchify_attr>(c),
            kin_count(&c->out[0]),
            c->out[0].dim[1],
            c->in[0].dim[1],
            c->in[0].dim[2],
            c->in[0].dim[3]};
}

void kin_cuda_patchify_fwd(const kin_call *c)
{
    const patchify_args a = args_of(c);
    const dim3 grid(blocks_for(a.count, BLOCK)), block(BLOCK);
    if (c->in[0].dtype == KIN_U8)
        RUN(dev_of(c), grid, block, 0, patchify_forward<uint8_t>, a, true, ptr<const uint8_t>(c->in[0]),
            ptr<float>(c->out[0]));
    else
        by_type(c, c->in[0], [&](auto zero) {
            typedef decltype(zero) T;
            RUN(dev_of(c), grid, block, 0, patchify_forward<T>, a, false, ptr<const T>(c->in[0]),
                ptr<float>(c->out[0]));
        });
}

void kin_cuda_patchify_bwd(const kin_call *c)
{
    const patchify_args a = args_of(c);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    RUN(dev_of(c), dim3(blocks_for(a.count, BLOCK)), dim3(BLOCK), 0, patchify_backward, a,
        ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
}

/* ---- patch_drop ---- */

__device__ static inline uint32_t draw_of(uint64_t key, int64_t sample, int64_t i)
{
    uint32_t w[4];
    kin_philox(key, (uint32_t)sample, (uint32_t)(i / 4), 0, 0, w);
    return w[i % 4];
}

/* One block a sample: patch i is kept when fewer than `keep` come before it by (draw, index); those kept are
 * written in ascending order. */
static __global__ void patch_drop_choose(drawing draw, int64_t patches, int64_t keep, int32_t *idx)
{
    SHARED(uint32_t, tile, [BLOCK]);
    SHARED(int, flags, [BLOCK]);
    const uint64_t key = draw_now(draw).key;
    const int64_t sample = draw_now(draw).sample0 + blockIdx.x;
    int64_t done = 0; /* kept among the patches below `from` */
    for (int64_t from = 0; from < patches; from += BLOCK) {
        const int64_t i = from + threadIdx.x;
        const uint32_t mine = i < patches ? draw_of(key, sample, i) : 0;
        int64_t before = 0;
        for (int64_t j = 0; j < patches; j += BLOCK) {
            __syncthreads();
            if (j + threadIdx.x < patches) tile[threadIdx.x] = draw_of(key, sample, j + threadIdx.x);
            __syncthreads();
            for (int64_t k = 0; k < BLOCK && j + k < patches; k++)
                before += tile[k] < mine || (tile[k] == mine && j + k < i);
        }
        const bool kept = i < patches && before < keep;
        flags[threadIdx.x] = kept;
        __syncthreads();
        int64_t at = done;
        for (unsigned k = 0; k < threadIdx.x; k++) at += flags[k];
        if (kept) idx[blockIdx.x * keep + at] = (int32_t)i;
        for (int k = 0; k < BLOCK; k++) done += flags[k]; /* written again only after the barriers above */
    }
}

template <class T>
__global__ void patch_drop_take(int64_t count, int64_t width, int64_t patches, int64_t keep,
                                const int32_t *idx, const T *x, T *y)
{
    for (EACH(k, count * width)) {
        const int64_t m = k / width;
        y[k] = x[(m / keep * patches + idx[m]) * width + k % width];
    }
}

static __global__ void patch_drop_return(int64_t count, int64_t width, int64_t patches, int64_t keep,
                                         const int32_t *idx, const float *dy, float *dx)
{
    for (EACH(k, count * width)) { /* no two rows of dy go to one row of dx */
        const int64_t m = k / width;
        dx[(m / keep * patches + idx[m]) * width + k % width] += dy[k];
    }
}

void kin_cuda_patch_drop_fwd(const kin_call *c)
{
    const kin_patch_drop_attr *a = attr_of<kin_patch_drop_attr>(c);
    const int64_t width = c->in[0].dim[1], count = c->out[0].dim[0];
    int32_t *idx = ptr<int32_t>(c->out[1]);
    RUN(dev_of(c), dim3((unsigned)(c->in[0].dim[0] / a->patches)), dim3(BLOCK), 0, patch_drop_choose,
        drawing_of(c), a->patches, a->keep, idx);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count * width, BLOCK)), dim3(BLOCK), 0, patch_drop_take<T>, count,
            width, a->patches, a->keep, idx, ptr<const T>(c->in[0]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_patch_drop_bwd(const kin_call *c)
{
    const kin_patch_drop_attr *a = attr_of<kin_patch_drop_attr>(c);
    const int64_t width = c->in[0].dim[1], count = c->out[0].dim[0];
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    clear(c, 0);
    RUN(dev_of(c), dim3(blocks_for(count * width, BLOCK)), dim3(BLOCK), 0, patch_drop_return, count, width,
        a->patches, a->keep, ptr<const int32_t>(c->out[1]), ptr<const float>(c->dout[0]),
        ptr<float>(c->din[0]));
}
