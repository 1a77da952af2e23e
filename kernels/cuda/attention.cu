#include "kernels/cuda/attention.cuh"

/* Flash attention over ragged sequences (Dao et al. 2022): tiles of queries against tiles of keys, the scores
 * of one pair of tiles at a time. A block has 16 rows of its own side (queries, or keys for dk and dv), eight
 * neighbouring lanes a row, and walks over the other side 16 at a time. Scores, statistics and sums are f32.
 * For f32; bf16 has attention_tensor.cuh. */
enum { PER_ROW = 8, THREADS = SIDE * PER_ROW, WIDEST = 128, OWNED = WIDEST / PER_ROW };

/* rows x width values into shared memory [TILE][width + 1]; what is missing is zero. */
__device__ static inline void fetch(float *to, const float *from, int64_t stride, int64_t rows, int64_t width)
{
    for (int64_t i = threadIdx.x; i < TILE * width; i += THREADS) {
        const int64_t r = i / width, d = i % width;
        to[r * (width + 1) + d] = r < rows ? from[r * stride + d] : 0.0f;
    }
}

__device__ static inline float dot(const float *a, const float *b, int64_t width)
{
    float s = 0.0f;
    for (int64_t d = 0; d < width; d++) s += a[d] * b[d];
    return s;
}

/* Over the eight lanes of a row. */
__device__ static inline float row_sum(float v)
{
    for (int bits = PER_ROW / 2; bits > 0; bits /= 2) v += __shfl_xor_sync(0xffffffffu, v, bits);
    return v;
}

__device__ static inline float row_max(float v)
{
    for (int bits = PER_ROW / 2; bits > 0; bits /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, bits));
    return v;
}

static __global__ void __launch_bounds__(THREADS)
    attention_forward(attention_args a, const float *q, const float *k, const float *v, float *o, float *lse)
{
    DYN_SHARED(float, room);
    SHARED(float, p, [SIDE][SIDE + 1]);
    const int64_t wide = a.width + 1, h = blockIdx.y, g = h / a.group;
    float *qs = room, *ks = qs + TILE * wide, *vs = ks + TILE * wide;
    const place me = place_of(a.queries, blockIdx.x);
    if (me.rows == 0) return;
    const int r = (int)threadIdx.x / PER_ROW, c = (int)threadIdx.x % PER_ROW;
    const int64_t q0 = start_of(a.queries, me.b), tq = length_of(a.queries, me.b);
    const int64_t k0 = start_of(a.keys, me.b), tk = length_of(a.keys, me.b);
    const int64_t mine = seen(a, me.from + r, tq, tk), most_keys = seen(a, me.from + me.rows - 1, tq, tk);
    fetch(qs, q + (q0 + me.from) * a.q.stride + a.q.at + h * a.width, a.q.stride, me.rows, a.width);
    float most = -INFINITY, sum = 0.0f, acc[OWNED];
    for (int i = 0; i < OWNED; i++) acc[i] = 0.0f;
    for (int64_t j0 = 0; j0 < most_keys; j0 += TILE) {
        const int64_t n = most_keys - j0 < TILE ? most_keys - j0 : TILE;
        __syncthreads();
        fetch(ks, k + (k0 + j0) * a.k.stride + a.k.at + g * a.width, a.k.stride, n, a.width);
        fetch(vs, v + (k0 + j0) * a.v.stride + a.v.at + g * a.width, a.v.stride, n, a.width);
        __syncthreads();
        float s[SIDE / PER_ROW], top = -INFINITY;
        for (int i = 0; i < SIDE / PER_ROW; i++) {
            const int j = c + i * PER_ROW;
            s[i] = j0 + j < mine ? a.scale * dot(qs + r * wide, ks + j * wide, a.width) : -INFINITY;
            top = fmaxf(top, s[i]);
        }
        top = fmaxf(most, row_max(top));
        float part = 0.0f;
        for (int i = 0; i < SIDE / PER_ROW; i++) {
            const float e = s[i] == -INFINITY ? 0.0f : expf(s[i] - top);
            p[r][c + i * PER_ROW] = e;
            part += e;
        }
        const float by = most == -INFINITY ? 0.0f : expf(most - top);
        sum = sum * by + row_sum(part);
        most = top;
        __syncwarp();
        for (int i = 0; i < OWNED; i++) {
            const int64_t d = c + i * PER_ROW;
            if (d >= a.width) break;
            float x = acc[i] * by;
            for (int j = 0; j < SIDE; j++) x += p[r][j] * vs[j * wide + d];
            acc[i] = x;
        }
    }
    if (r >= me.rows) return;
    const int64_t at = (q0 + me.from + r) * a.heads + h;
    for (int i = 0; i < OWNED; i++)
        if (c + i * PER_ROW < a.width) o[at * a.width + c + i * PER_ROW] = sum > 0.0f ? acc[i] / sum : 0.0f;
    if (c == 0) lse[at] = sum > 0.0f ? most + logf(sum) : -INFINITY;
}

/* delta = dO . O of each query and head; a warp each. copy (or NULL): dO rounded, as it is
 * used here too: where a query sees one key, dO . v - delta is 0. */
template <class T>
__global__ void attention_delta(int64_t count, int64_t width, const T *o, const float *dout, float *delta,
                                T *copy)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t m = (int64_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (m >= count) return;
    float s = 0.0f;
    for (int64_t at = m * width + lane; at < (m + 1) * width; at += 32) {
        T given;
        store(&given, dout[at]);
        s += load(o + at) * load(&given);
        if (copy) copy[at] = given;
    }
    s = warp_sum(s);
    if (lane == 0) delta[m] = s;
}

/* p = exp(s - lse), ds = p (dO . v - delta) scale. */
static __global__ void __launch_bounds__(THREADS)
    attention_to_queries(attention_args a, const float *q, const float *k, const float *v, const float *lse,
                         const float *delta, const float *dout, float *dq, bool add)
{
    DYN_SHARED(float, room);
    SHARED(float, ds, [SIDE][SIDE + 1]);
    const int64_t wide = a.width + 1, h = blockIdx.y, g = h / a.group;
    float *qs = room, *dos = qs + TILE * wide, *ks = dos + TILE * wide, *vs = ks + TILE * wide;
    const place me = place_of(a.queries, blockIdx.x);
    if (me.rows == 0) return;
    const int r = (int)threadIdx.x / PER_ROW, c = (int)threadIdx.x % PER_ROW;
    const int64_t q0 = start_of(a.queries, me.b), tq = length_of(a.queries, me.b);
    const int64_t k0 = start_of(a.keys, me.b), tk = length_of(a.keys, me.b);
    const int64_t row = q0 + me.from + r, first = (q0 + me.from) * a.heads + h;
    const int64_t mine = r < me.rows ? seen(a, me.from + r, tq, tk) : 0;
    const int64_t most_keys = seen(a, me.from + me.rows - 1, tq, tk);
    const float shift = r < me.rows ? lse[row * a.heads + h] : 0.0f;
    const float minus = r < me.rows ? delta[row * a.heads + h] : 0.0f;
    fetch(qs, q + (q0 + me.from) * a.q.stride + a.q.at + h * a.width, a.q.stride, me.rows, a.width);
    fetch(dos, dout + first * a.width, a.heads * a.width, me.rows, a.width);
    float acc[OWNED];
    for (int i = 0; i < OWNED; i++) acc[i] = 0.0f;
    for (int64_t j0 = 0; j0 < most_keys; j0 += TILE) {
        const int64_t n = most_keys - j0 < TILE ? most_keys - j0 : TILE;
        __syncthreads();
        fetch(ks, k + (k0 + j0) * a.k.stride + a.k.at + g * a.width, a.k.stride, n, a.width);
        fetch(vs, v + (k0 + j0) * a.v.stride + a.v.at + g * a.width, a.v.stride, n, a.width);
        __syncthreads();
        for (int i = 0; i < SIDE / PER_ROW; i++) {
            const int j = c + i * PER_ROW;
            float x = 0.0f;
            if (j0 + j < mine) {
                const float e = expf(a.scale * dot(qs + r * wide, ks + j * wide, a.width) - shift);
                x = e * (dot(dos + r * wide, vs + j * wide, a.width) - minus) * a.scale;
            }
            ds[r][j] = x;
        }
        __syncwarp();
        for (int i = 0; i < OWNED; i++) {
            const int64_t d = c + i * PER_ROW;
            if (d >= a.width) break;
            for (int j = 0; j < SIDE; j++) acc[i] += ds[r][j] * ks[j * wide + d];
        }
    }
    if (r >= me.rows) return;
    for (int i = 0; i < OWNED; i++)
        if (c + i * PER_ROW < a.width)
            put(dq + row * a.q.stride + a.q.at + h * a.width + c + i * PER_ROW, acc[i], add);
}

/* The same from the side of the keys: over the query heads of their group and the queries that see them. */
static __global__ void __launch_bounds__(THREADS)
    attention_to_keys(attention_args a, const float *q, const float *k, const float *v, const float *lse,
                      const float *delta, const float *dout, float *dk, float *dv, bool add_k, bool add_v)
{
    DYN_SHARED(float, room);
    SHARED(float, p, [SIDE][SIDE + 1]);
    SHARED(float, ds, [SIDE][SIDE + 1]);
    const int64_t wide = a.width + 1, g = blockIdx.y;
    float *ks = room, *vs = ks + TILE * wide, *qs = vs + TILE * wide, *dos = qs + TILE * wide;
    const place me = place_of(a.keys, blockIdx.x);
    if (me.rows == 0) return;
    const int r = (int)threadIdx.x / PER_ROW, c = (int)threadIdx.x % PER_ROW;
    const int64_t q0 = start_of(a.queries, me.b), tq = length_of(a.queries, me.b);
    const int64_t k0 = start_of(a.keys, me.b), tk = length_of(a.keys, me.b), key = me.from + r;
    fetch(ks, k + (k0 + me.from) * a.k.stride + a.k.at + g * a.width, a.k.stride, me.rows, a.width);
    fetch(vs, v + (k0 + me.from) * a.v.stride + a.v.at + g * a.width, a.v.stride, me.rows, a.width);
    float acc_k[OWNED], acc_v[OWNED];
    for (int i = 0; i < OWNED; i++) acc_k[i] = acc_v[i] = 0.0f;
    for (int64_t h = g * a.group; h < (g + 1) * a.group; h++)
        for (int64_t i0 = 0; i0 < tq; i0 += TILE) {
            const int64_t n = tq - i0 < TILE ? tq - i0 : TILE;
            if (seen(a, i0 + n - 1, tq, tk) <= me.from) continue; /* none of them sees these keys */
            __syncthreads();
            fetch(qs, q + (q0 + i0) * a.q.stride + a.q.at + h * a.width, a.q.stride, n, a.width);
            fetch(dos, dout + ((q0 + i0) * a.heads + h) * a.width, a.heads * a.width, n, a.width);
            __syncthreads();
            for (int i = 0; i < SIDE / PER_ROW; i++) {
                const int j = c + i * PER_ROW;
                const int64_t at = (q0 + i0 + j) * a.heads + h;
                float e = 0.0f, x = 0.0f;
                if (j < n && r < me.rows && key < seen(a, i0 + j, tq, tk)) {
                    e = expf(a.scale * dot(qs + j * wide, ks + r * wide, a.width) - lse[at]);
                    x = e * (dot(dos + j * wide, vs + r * wide, a.width) - delta[at]) * a.scale;
                }
                p[r][j] = e;
                ds[r][j] = x;
            }
            __syncwarp();
            for (int i = 0; i < OWNED; i++) {
                const int64_t d = c + i * PER_ROW;
                if (d >= a.width) break;
                for (int j = 0; j < SIDE; j++) {
                    acc_k[i] += ds[r][j] * qs[j * wide + d];
                    acc_v[i] += p[r][j] * dos[j * wide + d];
                }
            }
        }
    if (r >= me.rows) return;
    for (int i = 0; i < OWNED; i++) {
        const int64_t d = c + i * PER_ROW;
        if (d >= a.width) break;
        if (dk) put(dk + (k0 + key) * a.k.stride + a.k.at + g * a.width + d, acc_k[i], add_k);
        if (dv) put(dv + (k0 + key) * a.v.stride + a.v.at + g * a.width + d, acc_v[i], add_v);
    }
}

/* Which input each of q, k and v is in. */
static void inputs_of(const kin_call *c, int in[3])
{
    const bool one = c->in[1].rank < 0, packed = !one && c->in[2].rank < 0;
    in[0] = 0;
    in[1] = one ? 0 : 1;
    in[2] = one ? 0 : packed ? 1 : 2;
}

static size_t shared_bytes(const attention_args &a, int tiles)
{
    return (size_t)(tiles * TILE * (a.width + 1)) * sizeof(float);
}

void kin_cuda_attention_fwd(const kin_call *c)
{
    const attention_args a = args_of(c, false);
    int in[3];
    inputs_of(c, in);
    if (c->in[0].dtype == KIN_BF16)
        kin_cuda_attention_tensor(c, a, ptr<const __nv_bfloat16>(c->in[in[0]]),
                                  ptr<const __nv_bfloat16>(c->in[in[1]]),
                                  ptr<const __nv_bfloat16>(c->in[in[2]]));
    else
        RUN(dev_of(c), dim3((unsigned)a.slots, (unsigned)a.heads), dim3(THREADS), shared_bytes(a, 3),
            attention_forward, a, ptr<const float>(c->in[in[0]]), ptr<const float>(c->in[in[1]]),
            ptr<const float>(c->in[in[2]]), ptr<float>(c->out[0]), ptr<float>(c->out[1]));
}

template <class T> static float *deltas(const kin_call *c, const attention_args &a, T *copy)
{
    const int64_t count = c->out[0].dim[0] * a.heads;
    float *delta = (float *)c->scratch;
    RUN(dev_of(c), dim3(blocks_for(count, 4)), dim3(128), 0, attention_delta<T>, count, a.width,
        ptr<const T>(c->out[0]), ptr<const float>(c->dout[0]), delta, copy);
    return delta;
}

static void tensor_backward(const kin_call *c, const int in[3])
{
    typedef __nv_bfloat16 T;
    const attention_args a = args_of(c, false);
    T *copy = (T *)((float *)c->scratch + (c->out[0].dim[0] * a.heads + 15) / 16 * 16);
    const float *delta = deltas<T>(c, a, copy);
    const tensor_back b = {ptr<const T>(c->in[in[0]]),
                           ptr<const T>(c->in[in[1]]),
                           ptr<const T>(c->in[in[2]]),
                           copy,
                           ptr<const float>(c->out[1]),
                           delta,
                           ptr<float>(c->din[in[0]]),
                           ptr<float>(c->din[in[1]]),
                           ptr<float>(c->din[in[2]]),
                           adds(c, in[0]),
                           adds(c, in[1]),
                           adds(c, in[2])};
    kin_cuda_attention_tensor_back(c, a, b);
}

void kin_cuda_attention_bwd(const kin_call *c)
{
    int in[3];
    if (no_cotangent(c, 3)) return;
    inputs_of(c, in);
    if (c->in[0].dtype == KIN_BF16) {
        tensor_backward(c, in);
        return;
    }
    const attention_args by_query = args_of(c, false), by_key = args_of(c, true);
    const float *lse = ptr<const float>(c->out[1]), *dout = ptr<const float>(c->dout[0]);
    const float *q = ptr<const float>(c->in[in[0]]), *k = ptr<const float>(c->in[in[1]]),
                *v = ptr<const float>(c->in[in[2]]), *delta = deltas<float>(c, by_query, nullptr);
    float *dq = ptr<float>(c->din[in[0]]), *dk = ptr<float>(c->din[in[1]]), *dv = ptr<float>(c->din[in[2]]);
    kin_cuda_dev *d = dev_of(c);
    if (dq)
        RUN(d, dim3((unsigned)by_query.slots, (unsigned)by_query.heads), dim3(THREADS),
            shared_bytes(by_query, 4), attention_to_queries, by_query, q, k, v, lse, delta, dout, dq,
            adds(c, in[0]));
    if (dk || dv)
        RUN(d, dim3((unsigned)by_key.slots, (unsigned)(by_key.heads / by_key.group)), dim3(THREADS),
            shared_bytes(by_key, 4), attention_to_keys, by_key, q, k, v, lse, delta, dout, dk, dv,
            adds(c, in[1]), adds(c, in[2]));
}
