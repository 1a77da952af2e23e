#include "kernels/cuda/attention_tensor.cuh"

/* Over the four lanes that have a row. */
__device__ static inline float quad_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

__device__ static inline float quad_sum(float v)
{
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

template <int DEPTH>
__global__ void __launch_bounds__(32 * WARPS)
    attention_tensor(attention_args a, const bf16 *q, const bf16 *k, const bf16 *v, bf16 *o, float *lse)
{
    typedef tiles<DEPTH> T;
    DYN_SHARED(T, room);
    const int width = (int)a.width;
    const int64_t h = blockIdx.y, g = h / a.group;
    const place me = place_of(a.queries, blockIdx.x, OWN);
    if (me.rows == 0) return;
    const int64_t q0 = start_of(a.queries, me.b), tq = length_of(a.queries, me.b);
    const int64_t k0 = start_of(a.keys, me.b), tk = length_of(a.keys, me.b);
    const int64_t most_keys = seen(a, me.from + me.rows - 1, tq, tk);
    const bf16 *keys = k + k0 * a.k.stride + a.k.at + g * width,
               *values = v + k0 * a.v.stride + a.v.at + g * width;
    uint32_t qs[DEPTH / 16][4];
    int64_t mine[2];
    for (int i = 0; i < 2; i++) mine[i] = own_row(i) < me.rows ? seen(a, me.from + own_row(i), tq, tk) : 0;
    own_rows<DEPTH>(qs, q + (q0 + me.from) * a.q.stride + a.q.at + h * width, a.q.stride, me.rows, width);
    clear_padding<DEPTH>(room, width);

    float acc[DEPTH / 8][4], most[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};
    for (int d = 0; d < DEPTH / 8; d++)
        for (int i = 0; i < 4; i++) acc[d][i] = 0.0f;
    start_keys<DEPTH>(room, 0, a, keys, values, 0, most_keys);
    for (int64_t j0 = 0, turn = 0; j0 < most_keys; j0 += T::ROWS, turn ^= 1) {
        start_keys<DEPTH>(room, turn ^ 1, a, keys, values, j0 + T::ROWS, most_keys);
        copies_wait<1>();
        __syncthreads();

        float s[T::ROWS / 8][4], top[2] = {most[0], most[1]}, by[2], part[2] = {0.0f, 0.0f};
        UNROLL
        for (int j = 0; j < T::ROWS / 8; j++) {
            scores<DEPTH>(s[j], qs, room->x[turn], 8 * j);
            for (int i = 0; i < 4; i++) {
                const int64_t key = j0 + 8 * j + own_column() + i % 2;
                s[j][i] = key < mine[i / 2] ? a.scale * s[j][i] : -INFINITY;
                top[i / 2] = fmaxf(top[i / 2], s[j][i]);
            }
        }
        for (int i = 0; i < 2; i++) {
            top[i] = quad_max(top[i]);
            by[i] = most[i] == -INFINITY ? 0.0f : expf(most[i] - top[i]);
            most[i] = top[i];
        }
        for (int j = 0; j < T::ROWS / 8; j++)
            for (int i = 0; i < 4; i++) {
                s[j][i] = s[j][i] == -INFINITY ? 0.0f : expf(s[j][i] - most[i / 2]);
                part[i / 2] += s[j][i];
            }
        for (int i = 0; i < 2; i++) sum[i] = sum[i] * by[i] + quad_sum(part[i]);
        for (int d = 0; d < DEPTH / 8; d++)
            for (int i = 0; i < 4; i++) acc[d][i] *= by[i / 2];
        UNROLL
        for (int j = 0; j < T::ROWS / 16; j++) weigh<DEPTH>(acc, s + 2 * j, room->y[turn], 16 * j);
        __syncthreads(); /* before the tile is written again */
    }
    copies_wait<0>();
    UNROLL
    for (int i = 0; i < 2; i++) {
        if (own_row(i) >= me.rows) continue;
        const int64_t at = (q0 + me.from + own_row(i)) * a.heads + h;
        const float whole = sum[i] > 0.0f ? 1.0f / sum[i] : 0.0f;
        UNROLL
        for (int d = 0; d < DEPTH / 8; d++)
            for (int j = 0; j < 2 && 8 * d < width; j++)
                store(o + at * width + 8 * d + own_column() + j, acc[d][2 * i + j] * whole);
        if (threadIdx.x % 4 == 0) lse[at] = sum[i] > 0.0f ? most[i] + logf(sum[i]) : -INFINITY;
    }
}

void kin_cuda_attention_tensor(const kin_call *c, attention_args a, const bf16 *q, const bf16 *k,
                               const bf16 *v)
{
    a.slots = slots_of(a.queries, c->in[0].dim[0], OWN);
    by_depth(a.width, [&](auto depth) {
        enum { DEPTH = decltype(depth)::value };
        static_assert((int)sizeof(tiles<DEPTH>) == (int)tiles<DEPTH>::BYTES &&
                          sizeof(tiles<DEPTH>) <= 48 << 10,
                      "as much as every launch may have");
        RUN(dev_of(c), dim3((unsigned)a.slots, (unsigned)a.heads), dim3(32 * WARPS), sizeof(tiles<DEPTH>),
            attention_tensor<DEPTH>, a, q, k, v, ptr<bf16>(c->out[0]), ptr<float>(c->out[1]));
    });
}
