/* pairs: what the contrastive losses share. The logits a_i . b_j exist one tile at a time, made by cuBLAS in
 * the backend's room for a tile; each is computed once forward and once backward. */
#ifndef KIN_CUDA_PAIRS_H
#define KIN_CUDA_PAIRS_H
#include "kernels/cuda/reduce.cuh"

/* Rows row0 .. row0 + rows - 1 by columns col0 .. col0 + cols - 1; z [rows, cols]. */
typedef struct tile {
    int64_t row0, rows, col0, cols;
    float *z;
} tile;

/* f(tile) for all tiles, in the order of rows, then columns; z holds the products. */
template <class F> static void each_tile(const kin_call *c, F f)
{
    const int64_t n = c->in[0].dim[0], m = c->in[1].dim[0], width = c->in[0].dim[1];
    kin_cuda_dev *d = dev_of(c);
    for (int64_t i = 0; i < n; i += KIN_CUDA_TILE)
        for (int64_t j = 0; j < m; j += KIN_CUDA_TILE) {
            const tile t = {i, kin_min64(KIN_CUDA_TILE, n - i), j, kin_min64(KIN_CUDA_TILE, m - j), d->tile};
            kin_cuda_gemm(d, {false, true, false, t.rows, t.cols, width,
                              ptr<const float>(c->in[0]) + i * width, width,
                              ptr<const float>(c->in[1]) + j * width, width, t.z, t.cols, KIN_F32, KIN_F32});
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
#endif
