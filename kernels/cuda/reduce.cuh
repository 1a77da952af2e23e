/* reduce: sums in a fixed order, over a warp, a block, or the rows of a matrix. */
#ifndef KIN_CUDA_REDUCE_H
#define KIN_CUDA_REDUCE_H
#include "kernels/cuda/gpu.h"

/* Every lane gets the sum. */
template <class T> __device__ static inline T warp_sum(T v)
{
    for (int bits = 16; bits > 0; bits /= 2) v += __shfl_xor_sync(0xffffffffu, v, bits);
    return v;
}

__device__ static inline float warp_max(float v)
{
    for (int bits = 16; bits > 0; bits /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, bits));
    return v;
}

/* Every thread of a block of whole warps (at most 32) gets the sum; room: 32 of T in shared memory. */
template <class T> __device__ static inline T block_sum(T v, T *room)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, warps = (int)blockDim.x / 32;
    v = warp_sum(v);
    __syncthreads(); /* room may still be read from the sum before */
    if (lane == 0) room[warp] = v;
    __syncthreads();
    T total = 0;
    for (int i = 0; i < warps; i++) total += room[i];
    return total;
}

__device__ static inline float block_max(float v, float *room)
{
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, warps = (int)blockDim.x / 32;
    v = warp_max(v);
    __syncthreads();
    if (lane == 0) room[warp] = v;
    __syncthreads();
    float most = room[0];
    for (int i = 1; i < warps; i++) most = fmaxf(most, room[i]);
    return most;
}

/* ---- columns: N values a column, each summed over all rows ----
 * f(row, column, v) gives the values v [N] of one element. Two passes: kin_chunks(rows) chunks, then the
 * chunks in order. */
enum { COLUMNS = 32, DOWN = 8 };

template <int N, class F>
__global__ void columns_partial(F f, int64_t rows, int64_t cols, int64_t chunks, float *partial)
{
    SHARED(float, room, [N][DOWN][COLUMNS]);
    const int64_t col = (int64_t)blockIdx.x * COLUMNS + threadIdx.x, chunk = blockIdx.y;
    const int64_t to = (chunk + 1) * rows / chunks;
    float sum[N], v[N];
    for (int i = 0; i < N; i++) sum[i] = 0.0f;
    for (int64_t row = chunk * rows / chunks + threadIdx.y; row < to && col < cols; row += DOWN) {
        f(row, col, v);
        for (int i = 0; i < N; i++) sum[i] += v[i];
    }
    for (int i = 0; i < N; i++) room[i][threadIdx.y][threadIdx.x] = sum[i];
    __syncthreads();
    if (threadIdx.y || col >= cols) return;
    for (int i = 0; i < N; i++) {
        float total = 0.0f;
        for (int y = 0; y < DOWN; y++) total += room[i][y][threadIdx.x];
        partial[(i * chunks + chunk) * cols + col] = total;
    }
}

static __global__ void columns_total(const float *partial, int64_t chunks, int64_t cols, float *out, bool add)
{
    for (EACH(col, cols)) {
        float total = 0.0f;
        for (int64_t chunk = 0; chunk < chunks; chunk++) total += partial[chunk * cols + col];
        put(out + col, total, add);
    }
}

/* partial: N * kin_chunks(rows) * cols floats. out[i] NULL: that sum is not kept. */
template <int N, class F>
static void column_sums(kin_cuda_dev *d, F f, int64_t rows, int64_t cols, float *partial, float *const out[N],
                        const bool add[N])
{
    const int64_t chunks = kin_chunks(rows);
    RUN(d, dim3(blocks_for(cols, COLUMNS), (unsigned)chunks), dim3(COLUMNS, DOWN), 0, (columns_partial<N, F>),
        f, rows, cols, chunks, partial);
    for (int i = 0; i < N; i++)
        if (out[i])
            RUN(d, dim3(blocks_for(cols, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, columns_total,
                partial + i * chunks * cols, chunks, cols, out[i], add[i]);
}
#endif
