/* pairs: what the contrastive losses share. The logits a_i . b_j exist one tile at a time, made by cuBLAS in
 * the backend's room for a tile; each is computed once forward and once backward. */
#ifndef KIN_CUDA_PAIRS_H
#define KIN_CUDA_PAIRS_H
#include "kernels/cuda/reduce.cuh"

/* Rows row0 .. row0 + rows - 1 by columns col0 .. col0 + cols - 1; z, teacher [rows, cols]. */
typedef struct tile {
    int64_t row0, rows, col0, cols;
    float *z, *teacher;
} tile;

/* z = the products of a tile's rows and columns, of inputs a and a + 1. */
static inline void products_of(const kin_call *c, int a, const tile &t, float *z)
{
    const int64_t width = c->in[a].dim[1];
    kin_cuda_gemm(dev_of(c),
                  {false, true, false, t.rows, t.cols, width, ptr<const float>(c->in[a]) + t.row0 * width,
                   width, ptr<const float>(c->in[a + 1]) + t.col0 * width, width, z, t.cols, KIN_F32,
                   KIN_F32});
}

/* f(tile) for all tiles, in the order of rows, then columns; z holds the products. With a teacher tiles are
 * half as high, and below them lie the products of inputs 3 and 4. */
template <class F> static void each_tile(const kin_call *c, bool teacher, F f)
{
    const int64_t n = c->in[0].dim[0], m = c->in[1].dim[0], high = KIN_CUDA_TILE / (teacher ? 2 : 1);
    float *z = dev_of(c)->tile;
    for (int64_t i = 0; i < n; i += high)
        for (int64_t j = 0; j < m; j += KIN_CUDA_TILE) {
            const tile t = {i, kin_min64(high, n - i),
                            j, kin_min64(KIN_CUDA_TILE, m - j),
                            z, teacher ? z + high * KIN_CUDA_TILE : nullptr};
            products_of(c, 0, t, t.z);
            if (teacher) products_of(c, 3, t, t.teacher);
            f(t);
        }
}

/* With the gradients of a tile's products in z: da += G b, db += G^T a. */
static inline void spread(const kin_call *c, const tile &t)
{
    const int64_t width = c->in[0].dim[1];
    if (wanted(c, 0))
        kin_cuda_gemm(dev_of(c), {false, false, t.col0 > 0 || adds(c, 0), t.rows, width, t.cols, t.z, t.cols,
                                  ptr<const float>(c->in[1]) + t.col0 * width, width,
                                  ptr<float>(c->din[0]) + t.row0 * width, width, KIN_F32, KIN_F32});
    if (wanted(c, 1))
        kin_cuda_gemm(dev_of(c), {true, false, t.row0 > 0 || adds(c, 1), t.cols, width, t.rows, t.z, t.cols,
                                  ptr<const float>(c->in[0]) + t.row0 * width, width,
                                  ptr<float>(c->din[1]) + t.col0 * width, width, KIN_F32, KIN_F32});
}

/* One block: d logit_scale is the sum over rows of what their lines add up (L::sum). */
template <class L> static __global__ void scale_gradient(const L *lines, int64_t n, float *dscale, bool add)
{
    SHARED(double, room, [32]);
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += lines[i].sum;
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) put(dscale, (float)sum, add);
}
#endif
