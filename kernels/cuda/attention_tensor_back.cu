#include "kernels/cuda/attention_tensor.cuh"

/* p = exp(s - lse), ds = p (dO . v - delta) scale; dq = ds k, dk = ds^T q, dv = p^T dO. Weights and their
 * gradients are rounded to bf16 for the products. */

template <int DEPTH>
__global__ void __launch_bounds__(32 * WARPS)
    attention_tensor_to_queries(attention_args a, const bf16 *q, const bf16 *k, const bf16 *v,
                                const float *lse, const float *delta, const bf16 *dout, float *dq, bool add)
{
    typedef tiles<DEPTH> T;
    DYN_SHARED(T, room);
    const int width = (int)a.width;
    const int64_t h = blockIdx.y, g = h / a.group;
    const place me = place_of(a.queries, blockIdx.x, OWN);
    if (me.rows == 0) return;
    const int64_t q0 = start_of(a.queries, me.b), tq = length_of(a.queries, me.b);
    const int64_t k0 = start_of(a.keys, me.b), tk = length_of(a.keys, me.b);
    const int64_t most_keys = seen(a, me.from + me.rows - 1, tq, tk), row0 = q0 + me.from;
    const bf16 *keys = k + k0 * a.k.stride + a.k.at + g * width,
               *values = v + k0 * a.v.stride + a.v.at + g * width;
    uint32_t qs[DEPTH / 16][4], dos[DEPTH / 16][4];
    float shift[2], minus[2];
    int64_t mine[2];
    for (int i = 0; i < 2; i++) {
        const bool there = own_row(i) < me.rows;
        mine[i] = there ? seen(a, me.from + own_row(i), tq, tk) : 0;
        shift[i] = there ? lse[(row0 + own_row(i)) * a.heads + h] : 0.0f;
        minus[i] = there ? delta[(row0 + own_row(i)) * a.heads + h] : 0.0f;
    }
    own_rows<DEPTH>(qs, q + row0 * a.q.stride + a.q.at + h * width, a.q.stride, me.rows, width);
    own_rows<DEPTH>(dos, dout + (row0 * a.heads + h) * width, a.heads * width, me.rows, width);
    clear_padding<DEPTH>(room, width);

    float acc[DEPTH / 8][4];
    for (int d = 0; d < DEPTH / 8; d++)
        for (int i = 0; i < 4; i++) acc[d][i] = 0.0f;
    start_keys<DEPTH>(room, 0, a, keys, values, 0, most_keys);
    for (int64_t j0 = 0, turn = 0; j0 < most_keys; j0 += T::ROWS, turn ^= 1) {
        start_keys<DEPTH>(room, turn ^ 1, a, keys, values, j0 + T::ROWS, most_keys);
        copies_wait<1>();
        __syncthreads();
        for (int j = 0; j < T::ROWS; j += 16) {
            float s[2][4], dp[2][4];
            UNROLL
            for (int half = 0; half < 2; half++) {
                scores<DEPTH>(s[half], qs, room->x[turn], j + 8 * half);
                scores<DEPTH>(dp[half], dos, room->y[turn], j + 8 * half);
                for (int i = 0; i < 4; i++) {
                    const int64_t key = j0 + j + 8 * half + own_column() + i % 2;
                    const float p = key < mine[i / 2] ? expf(a.scale * s[half][i] - shift[i / 2]) : 0.0f;
                    s[half][i] = p * (dp[half][i] - minus[i / 2]) * a.scale;
                }
            }
            weigh<DEPTH>(acc, s, room->x[turn], j);
        }
        __syncthreads();
    }
    copies_wait<0>();
    UNROLL
    for (int i = 0; i < 2; i++) UNROLL
    for (int d = 0; d < DEPTH / 8; d++)
        for (int j = 0; j < 2 && 8 * d < width && own_row(i) < me.rows; j++)
            put(dq + (row0 + own_row(i)) * a.q.stride + a.q.at + h * width + 8 * d + own_column() + j,
                acc[d][2 * i + j], add);
}

/* From the side of the keys: over the query heads of their group, and the tiles of queries that see any of
 * them. */
template <int DEPTH>
__global__ void __launch_bounds__(32 * WARPS)
    attention_tensor_to_keys(attention_args a, const bf16 *q, const bf16 *k, const bf16 *v, const float *lse,
                             const float *delta, const bf16 *dout, float *dk, float *dv, bool add_k,
                             bool add_v)
{
    typedef tiles<DEPTH> T;
    DYN_SHARED(T, room);
    const int width = (int)a.width;
    const int64_t g = blockIdx.y, wide = a.heads * width;
    const place me = place_of(a.keys, blockIdx.x, OWN);
    if (me.rows == 0) return;
    const int64_t q0 = start_of(a.queries, me.b), tq = length_of(a.queries, me.b);
    const int64_t k0 = start_of(a.keys, me.b), tk = length_of(a.keys, me.b), row0 = k0 + me.from;
    uint32_t ks[DEPTH / 16][4], vs[DEPTH / 16][4];
    own_rows<DEPTH>(ks, k + row0 * a.k.stride + a.k.at + g * width, a.k.stride, me.rows, width);
    own_rows<DEPTH>(vs, v + row0 * a.v.stride + a.v.at + g * width, a.v.stride, me.rows, width);
    clear_padding<DEPTH>(room, width);

    float acc_k[DEPTH / 8][4], acc_v[DEPTH / 8][4];
    for (int d = 0; d < DEPTH / 8; d++)
        for (int i = 0; i < 4; i++) acc_k[d][i] = acc_v[d][i] = 0.0f;
    int64_t blind = 0; /* queries of whole tiles that see none of these keys */
    while (blind < tq && seen(a, (blind + T::ROWS < tq ? blind + T::ROWS : tq) - 1, tq, tk) <= me.from)
        blind += T::ROWS;
    const int64_t each = blind < tq ? (tq - blind + T::ROWS - 1) / T::ROWS : 0, all = each * a.group;
    for (int64_t t = -1, turn = 1; t < all; t++, turn ^= 1) { /* the first round only starts copies */
        if (t + 1 < all) {
            const int64_t h = g * a.group + (t + 1) / each, i0 = blind + (t + 1) % each * T::ROWS;
            start_copy<DEPTH>(room->x[turn ^ 1], q + (q0 + i0) * a.q.stride + a.q.at + h * width, a.q.stride,
                              tq - i0, width);
            start_copy<DEPTH>(room->y[turn ^ 1], dout + (q0 + i0) * wide + h * width, wide, tq - i0, width);
        }
        copies_mark();
        if (t < 0) continue;
        copies_wait<1>();
        __syncthreads();
        const int64_t h = g * a.group + t / each, i0 = blind + t % each * T::ROWS;
        for (int j = 0; j < T::ROWS; j += 16) {
            float s[2][4], dp[2][4];
            UNROLL
            for (int half = 0; half < 2; half++) {
                scores<DEPTH>(s[half], ks, room->x[turn], j + 8 * half);
                scores<DEPTH>(dp[half], vs, room->y[turn], j + 8 * half);
                for (int i = 0; i < 4; i++) {
                    const int64_t query = i0 + j + 8 * half + own_column() + i % 2, row = own_row(i / 2);
                    const bool met = query < tq && row < me.rows && me.from + row < seen(a, query, tq, tk);
                    const int64_t at = (q0 + query) * a.heads + h;
                    const float p = met ? expf(a.scale * s[half][i] - lse[at]) : 0.0f;
                    s[half][i] = p;
                    dp[half][i] = met ? p * (dp[half][i] - delta[at]) * a.scale : 0.0f;
                }
            }
            weigh<DEPTH>(acc_v, s, room->y[turn], j);
            weigh<DEPTH>(acc_k, dp, room->x[turn], j);
        }
        __syncthreads();
    }
    copies_wait<0>();
    UNROLL
    for (int i = 0; i < 2; i++) UNROLL
    for (int d = 0; d < DEPTH / 8; d++)
        for (int j = 0; j < 2 && 8 * d < width && own_row(i) < me.rows; j++) {
            const int64_t row = row0 + own_row(i), at = g * width + 8 * d + own_column() + j;
            if (dk) put(dk + row * a.k.stride + a.k.at + at, acc_k[d][2 * i + j], add_k);
            if (dv) put(dv + row * a.v.stride + a.v.at + at, acc_v[d][2 * i + j], add_v);
        }
}

void kin_cuda_attention_tensor_back(const kin_call *c, attention_args a, const tensor_back &b)
{
    const dim3 block(32 * WARPS);
    const int64_t queries = slots_of(a.queries, c->in[0].dim[0], OWN);
    const int64_t keys = slots_of(a.keys, c->in[c->in[1].rank < 0 ? 0 : 1].dim[0], OWN);
    by_depth(a.width, [&](auto depth) {
        enum { DEPTH = decltype(depth)::value };
        if (b.dq)
            RUN(dev_of(c), dim3((unsigned)queries, (unsigned)a.heads), block, sizeof(tiles<DEPTH>),
                attention_tensor_to_queries<DEPTH>, a, b.q, b.k, b.v, b.lse, b.delta, b.dout, b.dq, b.add_q);
        if (b.dk || b.dv)
            RUN(dev_of(c), dim3((unsigned)keys, (unsigned)(a.heads / a.group)), block, sizeof(tiles<DEPTH>),
                attention_tensor_to_keys<DEPTH>, a, b.q, b.k, b.v, b.lse, b.delta, b.dout, b.dk, b.dv,
                b.add_k, b.add_v);
    });
}
