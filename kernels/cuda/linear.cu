#include "kernels/cuda/act.cuh"
#include "kernels/cuda/reduce.cuh"

/* y = act(z + bias), z += bias. Without an activation z is y. */
template <class T>
__global__ void linear_finish(int act, int64_t count, int64_t width, const float *bias, T *z, T *y)
{
    for (EACH(k, count)) {
        const float v = load(z + k) + (bias ? bias[k % width] : 0.0f);
        store(z + k, v);
        if (act != KIN_ACT_none) store(y + k, act_of(act, v));
    }
}

void kin_cuda_linear_fwd(const kin_call *c)
{
    const kin_linear_attr *a = attr_of<kin_linear_attr>(c);
    const int64_t rows = kin_rows(&c->in[0]), depth = kin_cols(&c->in[0]), width = kin_cols(&c->out[0]);
    const bool act = a->act != KIN_ACT_none;
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        T *y = ptr<T>(c->out[0]), *z = act ? ptr<T>(c->out[1]) : y;
        kin_cuda_gemm(dev_of(c),
                      {false, !a->w_kn, false, rows, width, depth, c->in[0].ptr, depth, c->in[1].ptr,
                       a->w_kn ? width : depth, z, width, type_of<T>(), type_of<T>()});
        const float *bias = ptr<const float>(c->in[2]);
        if (bias || act)
            RUN(dev_of(c), dim3(blocks_for(rows * width, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0,
                linear_finish<T>, a->act, rows * width, width, bias, z, y);
    });
}

/* dz = dy act'(z), kept in the type of the products (dz NULL: it is dy), and summed over rows for the bias in
 * the same pass. */
template <class T> struct linear_slope {
    int act;
    int64_t width;
    const T *z;
    const float *dy;
    T *dz;
    __device__ void operator()(int64_t row, int64_t col, float *v) const
    {
        const int64_t k = row * width + col;
        v[0] = dy[k];
        if (act != KIN_ACT_none) v[0] *= slope_of(act, load(z + k));
        if (dz) store(dz + k, v[0]);
    }
};

void kin_cuda_linear_bwd(const kin_call *c)
{
    const kin_linear_attr *a = attr_of<kin_linear_attr>(c);
    const int64_t rows = kin_rows(&c->in[0]), depth = kin_cols(&c->in[0]), width = kin_cols(&c->out[0]);
    const bool act = a->act != KIN_ACT_none;
    if (no_cotangent(c, 3)) return;
    kin_cuda_dev *d = dev_of(c);
    const float *dy = ptr<const float>(c->dout[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        const kin_dtype type = type_of<T>();
        const bool kept = act || (type != KIN_F32 && (wanted(c, 0) || wanted(c, 1)));
        T *room = kept ? (T *)c->scratch : nullptr;
        float *partial = (float *)c->scratch + (kept ? (rows * width + 15) / 16 * 16 : 0);
        const void *dz = kept ? (const void *)room : dy;
        const linear_slope<T> slope = {a->act, width, ptr<const T>(c->out[1]), dy, room};
        float *const out[1] = {ptr<float>(c->din[2])};
        const bool add[1] = {adds(c, 2)};
        if (kept || out[0]) column_sums<1>(d, slope, rows, width, partial, out, add);
        if (wanted(c, 0)) /* dx = dz W */
            kin_cuda_gemm(d, {false, a->w_kn != 0, adds(c, 0), rows, depth, width, dz, width, c->in[1].ptr,
                              a->w_kn ? width : depth, c->din[0].ptr, depth, type, KIN_F32});
        if (wanted(c, 1) && !a->w_kn) /* dW = dz^T x */
            kin_cuda_gemm(d, {true, false, adds(c, 1), width, depth, rows, dz, width, c->in[0].ptr, depth,
                              c->din[1].ptr, depth, type, KIN_F32});
        if (wanted(c, 1) && a->w_kn) /* dW = x^T dz */
            kin_cuda_gemm(d, {true, false, adds(c, 1), depth, width, rows, c->in[0].ptr, depth, dz, width,
                              c->din[1].ptr, width, type, KIN_F32});
    });
}
