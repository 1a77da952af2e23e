#include "kernels/cuda/gpu.h"

enum { BLOCK = KIN_CUDA_BLOCK };

/* ---- concat: both axes as one case: blocks of na then nb elements ---- */

struct joined {
    int64_t outer, na, nb;
};

static joined join(const kin_call *c)
{
    const kin_tensor *a = &c->in[0], *b = &c->in[1];
    if (attr_of<kin_axis_attr>(c)->axis == 0) return {1, kin_count(a), kin_count(b)};
    return {kin_rows(a), kin_cols(a), kin_cols(b)};
}

template <class T> __global__ void concat_forward(joined l, const T *a, const T *b, T *y)
{
    const int64_t n = l.na + l.nb;
    for (EACH(k, l.outer * n)) {
        const int64_t o = k / n, i = k % n;
        y[k] = i < l.na ? a[o * l.na + i] : b[o * l.nb + i - l.na];
    }
}

/* `size` elements of each block, from `at` on. */
static __global__ void concat_backward(joined l, int64_t at, int64_t size, const float *dy, float *dx,
                                       bool add)
{
    for (EACH(k, l.outer * size)) put(dx + k, dy[k / size * (l.na + l.nb) + at + k % size], add);
}

void kin_cuda_concat_fwd(const kin_call *c)
{
    const joined l = join(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(kin_count(&c->out[0]), BLOCK)), dim3(BLOCK), 0, concat_forward<T>, l,
            ptr<const T>(c->in[0]), ptr<const T>(c->in[1]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_concat_bwd(const kin_call *c)
{
    const joined l = join(c);
    if (no_cotangent(c, 2)) return;
    for (int i = 0; i < 2; i++)
        if (wanted(c, i))
            RUN(dev_of(c), dim3(blocks_for(kin_count(&c->in[i]), BLOCK)), dim3(BLOCK), 0, concat_backward, l,
                i ? l.na : 0, i ? l.nb : l.na, ptr<const float>(c->dout[0]), ptr<float>(c->din[i]),
                adds(c, i));
}

/* ---- slice: a matrix [rows, width] of which columns start .. start + count - 1 are taken ---- */

struct cut {
    int64_t rows, width, start, count;
};

static cut cut_of(const kin_call *c)
{
    const kin_axis_attr *a = attr_of<kin_axis_attr>(c);
    const kin_tensor *x = &c->in[0];
    if (a->axis != 0) return {kin_rows(x), kin_cols(x), a->start, a->count};
    const int64_t each = x->dim[0] ? kin_count(x) / x->dim[0] : 0;
    return {1, kin_count(x), a->start * each, a->count * each};
}

template <class T> __global__ void slice_forward(cut s, const T *x, T *y)
{
    for (EACH(k, s.rows * s.count)) y[k] = x[k / s.count * s.width + s.start + k % s.count];
}

static __global__ void slice_backward(cut s, const float *dy, float *dx, bool add)
{
    for (EACH(k, s.rows * s.width)) {
        const int64_t at = k % s.width - s.start;
        put(dx + k, at >= 0 && at < s.count ? dy[k / s.width * s.count + at] : 0.0f, add);
    }
}

void kin_cuda_slice_fwd(const kin_call *c)
{
    const cut s = cut_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(s.rows * s.count, BLOCK)), dim3(BLOCK), 0, slice_forward<T>, s,
            ptr<const T>(c->in[0]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_slice_bwd(const kin_call *c)
{
    const cut s = cut_of(c);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    RUN(dev_of(c), dim3(blocks_for(s.rows * s.width, BLOCK)), dim3(BLOCK), 0, slice_backward, s,
        ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
}

/* ---- take; its gradient is the embedding's (embedding.cu) ---- */

template <class T>
__global__ void take_forward(int64_t count, int64_t rows, int64_t width, const T *x, const int32_t *idx, T *y)
{
    for (EACH(k, count * width)) {
        const int64_t from = idx[k / width];
        store(y + k, from >= 0 && from < rows ? load(x + from * width + k % width) : 0.0f);
    }
}

void kin_cuda_take_fwd(const kin_call *c)
{
    const int64_t width = c->in[0].dim[1], count = c->out[0].dim[0];
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count * width, BLOCK)), dim3(BLOCK), 0, take_forward<T>, count,
            c->in[0].dim[0], width, ptr<const T>(c->in[0]), ptr<const int32_t>(c->in[1]), ptr<T>(c->out[0]));
    });
}
