#include "kernels/cuda/reduce.cuh"

enum { BLOCK = KIN_CUDA_BLOCK };

static int64_t fixed_of(const kin_call *c)
{
    const int64_t t = attr_of<kin_embedding_attr>(c)->t;
    return t > 0 ? t : kin_max64(1, c->in[0].dim[0]); /* no positions: any cut will do */
}

/* ---- embedding ---- */

template <class T>
__global__ void embedding_forward(int64_t rows, int64_t width, int64_t vocab, int64_t positions, ragged r,
                                  const int32_t *ids, const T *table, const T *pos, T *y)
{
    for (EACH(i, rows * width)) {
        const int64_t m = i / width, k = i % width, id = ids[m];
        float v = id >= 0 && id < vocab ? load(table + id * width + k) : 0.0f;
        if (pos) {
            const int64_t b = sequence_of(r, m), p = m - start_of(r, b);
            if (b < r.count && p < positions) v += load(pos + p * width + k);
        }
        store(y + i, v);
    }
}

void kin_cuda_embedding_fwd(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0], width = c->in[1].dim[1];
    by_type(c, c->in[1], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(rows * width, BLOCK)), dim3(BLOCK), 0, embedding_forward<T>, rows,
            width, c->in[1].dim[0], c->in[2].rank < 0 ? 0 : c->in[2].dim[0],
            ragged_of(c->in[3], fixed_of(c), rows), ptr<const int32_t>(c->in[0]), ptr<const T>(c->in[1]),
            ptr<const T>(c->in[2]), ptr<T>(c->out[0]));
    });
}

/* The gradient of a table: rows of the batch are sorted by id, equal ids in the order of the batch, so that
 * every row of the table has one owner and one order of summation. start [limit + 1] and order [count] are
 * integers; counting them by atomics is exact. */

static __global__ void embedding_count(int64_t count, int64_t limit, const int32_t *ids, int32_t *start)
{
    for (EACH(m, count))
        if (ids[m] >= 0 && ids[m] < limit) atomicAdd(start + ids[m], 1);
}

/* Counts to where each list starts; one block. */
static __global__ void embedding_scan(int64_t limit, int32_t *start)
{
    SHARED(int32_t, sums, [BLOCK]);
    const int64_t n = limit + 1, from = threadIdx.x * n / BLOCK, to = (threadIdx.x + 1) * n / BLOCK;
    int32_t sum = 0;
    for (int64_t v = from; v < to; v++) sum += start[v];
    sums[threadIdx.x] = sum;
    __syncthreads();
    sum = 0;
    for (unsigned i = 0; i < threadIdx.x; i++) sum += sums[i];
    for (int64_t v = from; v < to; v++) {
        const int32_t here = start[v];
        start[v] = sum;
        sum += here;
    }
}

/* Row m stands in its list after the rows before it that have the same id. */
static __global__ void embedding_place(int64_t count, int64_t limit, const int32_t *ids, const int32_t *start,
                                       int32_t *order)
{
    SHARED(int32_t, tile, [BLOCK]);
    const int64_t first = (int64_t)blockIdx.x * BLOCK, m = first + threadIdx.x;
    const int32_t mine = m < count ? ids[m] : -1;
    int32_t before = 0;
    for (int64_t j = 0; j <= first; j += BLOCK) {
        __syncthreads();
        tile[threadIdx.x] = j + threadIdx.x < count ? ids[j + threadIdx.x] : -1;
        __syncthreads();
        const int64_t many = j < first ? (int64_t)BLOCK : (int64_t)threadIdx.x;
        for (int64_t k = 0; k < many; k++) before += tile[k] == mine;
    }
    if (m < count && mine >= 0 && mine < limit) order[start[mine] + before] = (int32_t)m;
}

static __global__ void embedding_gather(int64_t width, const int32_t *start, const int32_t *order,
                                        const float *dy, float *table, bool add)
{
    SHARED(float, room, [DOWN][COLUMNS]);
    const int64_t v = blockIdx.x, col = (int64_t)blockIdx.y * COLUMNS + threadIdx.x;
    float sum = 0.0f;
    for (int64_t i = start[v] + (int64_t)threadIdx.y; i < start[v + 1] && col < width; i += DOWN)
        sum += dy[order[i] * width + col];
    room[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || col >= width) return;
    sum = 0.0f;
    for (int y = 0; y < DOWN; y++) sum += room[y][threadIdx.x];
    put(table + v * width + col, sum, add);
}

static void gather(const kin_call *c, const int32_t *ids, int64_t count, int input)
{
    const int64_t limit = c->din[input].dim[0], width = c->din[input].dim[1];
    int32_t *start = (int32_t *)c->scratch, *order = start + limit + 1;
    kin_cuda_dev *d = dev_of(c);
    zero(d, start, (limit + 1) * 4);
    RUN(d, dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, embedding_count, count, limit, ids, start);
    RUN(d, dim3(1), dim3(BLOCK), 0, embedding_scan, limit, start);
    RUN(d, dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, embedding_place, count, limit, ids, start, order);
    RUN(d, dim3((unsigned)limit, blocks_for(width, COLUMNS)), dim3(COLUMNS, DOWN), 0, embedding_gather, width,
        start, order, ptr<const float>(c->dout[0]), ptr<float>(c->din[input]), adds(c, input));
}

/* Position p gets the sum over the sequences that are long enough. */
static __global__ void embedding_positions(int64_t width, ragged r, const float *dy, float *dpos, bool add)
{
    SHARED(float, room, [DOWN][COLUMNS]);
    const int64_t p = blockIdx.x, col = (int64_t)blockIdx.y * COLUMNS + threadIdx.x;
    float sum = 0.0f;
    for (int64_t b = threadIdx.y; b < r.count && col < width; b += DOWN)
        if (start_of(r, b) + p < start_of(r, b + 1)) sum += dy[(start_of(r, b) + p) * width + col];
    room[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || col >= width) return;
    sum = 0.0f;
    for (int y = 0; y < DOWN; y++) sum += room[y][threadIdx.x];
    put(dpos + p * width + col, sum, add);
}

void kin_cuda_embedding_bwd(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    if (wanted(c, 1)) gather(c, ptr<const int32_t>(c->in[0]), c->in[0].dim[0], 1);
    if (!wanted(c, 2)) return;
    const int64_t width = c->in[2].dim[1];
    RUN(dev_of(c), dim3((unsigned)c->in[2].dim[0], blocks_for(width, COLUMNS)), dim3(COLUMNS, DOWN), 0,
        embedding_positions, width, ragged_of(c->in[3], fixed_of(c), c->in[0].dim[0]),
        ptr<const float>(c->dout[0]), ptr<float>(c->din[2]), adds(c, 2));
}

void kin_cuda_take_bwd(const kin_call *c)
{
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    gather(c, ptr<const int32_t>(c->in[1]), c->in[1].dim[0], 0);
}

/* ---- tokens ---- */

struct tokens_args {
    int64_t k, n, width, samples; /* patches and class tokens a sample */
    const int32_t *keep;
};

static tokens_args tokens_of(const kin_call *c)
{
    const int64_t k = attr_of<kin_tokens_attr>(c)->k;
    return {k, c->in[1].rank < 0 ? 0 : c->in[1].dim[0], c->in[0].dim[1], c->in[0].dim[0] / k,
            ptr<const int32_t>(c->in[3])};
}

__device__ static inline int64_t position(const tokens_args &a, int64_t b, int64_t r)
{
    return r < a.n ? r : a.n + (a.keep ? a.keep[b * a.k + r - a.n] : r - a.n);
}

template <class T> __global__ void tokens_forward(tokens_args a, const T *x, const T *cls, const T *pos, T *y)
{
    const int64_t t = a.n + a.k;
    for (EACH(i, a.samples * t * a.width)) {
        const int64_t b = i / a.width / t, r = i / a.width % t, k = i % a.width;
        float v = r < a.n ? load(cls + r * a.width + k) : load(x + (b * a.k + r - a.n) * a.width + k);
        if (pos) v += load(pos + position(a, b, r) * a.width + k);
        store(y + i, v);
    }
}

static __global__ void tokens_patches(tokens_args a, const float *dy, float *dx, bool add)
{
    for (EACH(i, a.samples * a.k * a.width)) {
        const int64_t m = i / a.width;
        put(dx + i, dy[(m + (m / a.k + 1) * a.n) * a.width + i % a.width], add);
    }
}

/* Row p of cls, or of pos: the sum over the samples' rows that read it. */
static __global__ void tokens_sums(tokens_args a, bool positions, const float *dy, float *to, bool add)
{
    SHARED(float, room, [DOWN][COLUMNS]);
    const int64_t p = blockIdx.x, col = (int64_t)blockIdx.y * COLUMNS + threadIdx.x, t = a.n + a.k;
    float sum = 0.0f;
    for (int64_t b = threadIdx.y; b < a.samples && col < a.width; b += DOWN) {
        const bool searched = positions && a.keep && p >= a.n; /* else row p reads it, and no other */
        for (int64_t r = searched ? a.n : p; r < (searched ? t : p + 1); r++)
            if (!searched || position(a, b, r) == p) sum += dy[(b * t + r) * a.width + col];
    }
    room[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || col >= a.width) return;
    sum = 0.0f;
    for (int y = 0; y < DOWN; y++) sum += room[y][threadIdx.x];
    put(to + p * a.width + col, sum, add);
}

void kin_cuda_tokens_fwd(const kin_call *c)
{
    const tokens_args a = tokens_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(kin_count(&c->out[0]), BLOCK)), dim3(BLOCK), 0, tokens_forward<T>, a,
            ptr<const T>(c->in[0]), ptr<const T>(c->in[1]), ptr<const T>(c->in[2]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_tokens_bwd(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    const tokens_args a = tokens_of(c);
    const float *dy = ptr<const float>(c->dout[0]);
    kin_cuda_dev *d = dev_of(c);
    if (wanted(c, 0))
        RUN(d, dim3(blocks_for(kin_count(&c->din[0]), BLOCK)), dim3(BLOCK), 0, tokens_patches, a, dy,
            ptr<float>(c->din[0]), adds(c, 0));
    for (int i = 1; i < 3; i++)
        if (wanted(c, i))
            RUN(d, dim3((unsigned)c->din[i].dim[0], blocks_for(a.width, COLUMNS)), dim3(COLUMNS, DOWN), 0,
                tokens_sums, a, i == 2, dy, ptr<float>(c->din[i]), adds(c, i));
}

/* ---- repeat ---- */

template <class T> __global__ void repeat_forward(int64_t count, int64_t size, const T *x, T *y)
{
    for (EACH(k, count)) y[k] = x[k % size];
}

static __global__ void repeat_backward(int64_t size, int64_t times, const float *dy, float *dx, bool add)
{
    SHARED(float, room, [DOWN][COLUMNS]);
    const int64_t k = (int64_t)blockIdx.x * COLUMNS + threadIdx.x;
    float sum = 0.0f;
    for (int64_t i = threadIdx.y; i < times && k < size; i += DOWN) sum += dy[i * size + k];
    room[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || k >= size) return;
    sum = 0.0f;
    for (int y = 0; y < DOWN; y++) sum += room[y][threadIdx.x];
    put(dx + k, sum, add);
}

void kin_cuda_repeat_fwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, repeat_forward<T>, count,
            kin_count(&c->in[0]), ptr<const T>(c->in[0]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_repeat_bwd(const kin_call *c)
{
    const int64_t size = kin_count(&c->in[0]), times = size ? kin_count(&c->out[0]) / size : 0;
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    RUN(dev_of(c), dim3(blocks_for(size, COLUMNS)), dim3(COLUMNS, DOWN), 0, repeat_backward, size, times,
        ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
}
