/* attention_tensor: what forward and backward of bf16 by tensor cores share (Dao 2023). A block has 64 rows
 * of its own side (queries, or keys for dk and dv), a warp 16 of them, whole: their operands, scores and sums
 * stay in its registers. The other side comes a tile at a time by copies in the background, the next one
 * while this one is worked on.
 *
 * Heads are padded with zeros to DEPTH = 16, 32, 64 or 128. A padded row of a tile is 16 bytes longer, so
 * that eight rows read at once lie in different banks. */
#ifndef KIN_CUDA_ATTENTION_TENSOR_H
#define KIN_CUDA_ATTENTION_TENSOR_H
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/tensor.cuh"

enum { WARPS = 4, OWN = 16 * WARPS };
typedef __nv_bfloat16 bf16;

/* Two tiles, twice: keys and values, or queries and their cotangents. */
template <int DEPTH> struct tiles {
    enum { ROWS = DEPTH > 64 ? 32 : 64, WIDE = DEPTH + 8, BYTES = 4 * ROWS * WIDE * 2 };
    bf16 x[2][ROWS][WIDE], y[2][ROWS][WIDE];
};

/* Zeros in the columns that pad a head: nobody writes them again. */
template <int DEPTH> __device__ static inline void clear_padding(tiles<DEPTH> *t, int width)
{
    const int extra = DEPTH - width;
    for (int i = (int)threadIdx.x; i < 2 * tiles<DEPTH>::ROWS * extra; i += 32 * WARPS) {
        const int at = i / extra * tiles<DEPTH>::WIDE + width + i % extra;
        store(&t->x[0][0][0] + at, 0.0f);
        store(&t->y[0][0][0] + at, 0.0f);
    }
}

/* Rows 0 .. n - 1 of a tile; what is missing of it becomes zero: a weight of 0 times NaN would be NaN. */
template <int DEPTH>
__device__ static inline void start_copy(bf16 to[][DEPTH + 8], const bf16 *from, int64_t stride, int64_t n,
                                         int width)
{
    const int parts = width / 8; /* of 16 bytes */
    for (int i = (int)threadIdx.x; i < tiles<DEPTH>::ROWS * parts; i += 32 * WARPS) {
        const int r = i / parts, d = i % parts * 8;
        copy_16(&to[r][d], from + (r < n ? r : 0) * stride + d, r < n);
    }
}

/* The tile of keys and values from row `from` on, as far as there are any before `most`, on its way into half
 * `turn` of the room; a group of copies of its own, empty when there are none. */
template <int DEPTH>
__device__ static inline void start_keys(tiles<DEPTH> *room, int64_t turn, const attention_args &a,
                                         const bf16 *keys, const bf16 *values, int64_t from, int64_t most)
{
    if (from < most) {
        start_copy<DEPTH>(room->x[turn], keys + from * a.k.stride, a.k.stride, most - from, (int)a.width);
        start_copy<DEPTH>(room->y[turn], values + from * a.v.stride, a.v.stride, most - from, (int)a.width);
    }
    copies_mark();
}

/* A lane has parts of two rows of its warp's 16: this one and the eighth after it. */
__device__ static inline int own_row(int i)
{
    return (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4 + 8 * i;
}

/* The columns that a lane has of eight: this one and the next. */
__device__ static inline int own_column()
{
    return (int)threadIdx.x % 4 * 2;
}

/* The warp's 16 of `rows` rows as left sides of products. */
template <int DEPTH>
__device__ static inline void own_rows(uint32_t to[DEPTH / 16][4], const bf16 *from, int64_t stride,
                                       int64_t rows, int width)
{
    UNROLL
    for (int i = 0; i < 2; i++) UNROLL
    for (int d = 0; d < DEPTH / 16; d++) UNROLL
    for (int far = 0; far < 2; far++) {
        const int row = own_row(i), at = 16 * d + 8 * far + own_column();
        to[d][i + 2 * far] = row < rows && at < width ? pair_at(from + row * stride + at) : 0;
    }
}

/* s [16, 8] = own rows times rows j .. j + 7 of a tile, turned. */
template <int DEPTH>
__device__ static inline void scores(float s[4], const uint32_t own[DEPTH / 16][4],
                                     const bf16 tile[][DEPTH + 8], int j)
{
    for (int i = 0; i < 4; i++) s[i] = 0.0f;
    UNROLL
    for (int d = 0; d < DEPTH / 16; d++) {
        const bf16 *from = &tile[j + (int)threadIdx.x % 32 / 4][16 * d + own_column()];
        const uint32_t b[2] = {pair_at(from), pair_at(from + 8)};
        tensor_product(s, own[d], b);
    }
}

/* acc [16, DEPTH] += w [16, 16] times rows j .. j + 15 of a tile; w in two halves, as products give them. */
template <int DEPTH>
__device__ static inline void weigh(float acc[DEPTH / 8][4], const float w[2][4],
                                    const bf16 tile[][DEPTH + 8], int j)
{
    const uint32_t a[4] = {pair_of(w[0][0], w[0][1]), pair_of(w[0][2], w[0][3]), pair_of(w[1][0], w[1][1]),
                           pair_of(w[1][2], w[1][3])};
    UNROLL
    for (int d = 0; d < DEPTH / 8; d++) {
        uint32_t b[2];
        load_turned(b, &tile[j + (int)threadIdx.x % 16][8 * d]);
        tensor_product(acc[d], a, b);
    }
}

/* Calls f with the DEPTH for a head of that width, as a constant. */
template <class F> static inline void by_depth(int64_t width, F f)
{
    if (width <= 16)
        f(std::integral_constant<int, 16>());
    else if (width <= 32)
        f(std::integral_constant<int, 32>());
    else if (width <= 64)
        f(std::integral_constant<int, 64>());
    else
        f(std::integral_constant<int, 128>());
}
#endif
