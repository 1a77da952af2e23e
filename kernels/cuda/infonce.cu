#include "kernels/cuda/pairs.cuh"

/* A line is a row of the logits, or a column. What is known of it so far: its largest logit, sum of e^(z -
 * most), sums of z and of z over its positives; backward: the sum of gradient times logit. */
struct line {
    double sum, all, hits;
    float most, positives;
};

/* Scratch: lines [N + M], rows first; then how many rows and columns have a positive. */
struct infonce_args {
    int64_t n, m;
    float eps;
    int more;
    const float *scale; /* a logarithm */
    const int32_t *ga, *gb;
    line *lines;
    double *counted;
};

static infonce_args args_of(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0], m = c->in[1].dim[0];
    line *lines = (line *)c->scratch;
    return {n,
            m,
            attr_of<kin_infonce_attr>(c)->smoothing,
            attr_of<kin_infonce_attr>(c)->more,
            ptr<const float>(c->in[2]),
            ptr<const int32_t>(c->in[3]),
            ptr<const int32_t>(c->in[4]),
            lines,
            (double *)(lines + n + m)};
}

__device__ static inline bool positive(const infonce_args &a, int64_t i, int64_t j)
{
    if (!a.ga) return i == kin_infonce_row(j, a.n, a.more);
    return a.gb[j] >= 0 && a.ga[i] == a.gb[j];
}

/* One warp a line: empties it and counts its positives. */
static __global__ void infonce_start(infonce_args a)
{
    const int64_t l = (int64_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (l >= a.n + a.m) return;
    const bool down = l >= a.n;
    const int64_t mine = down ? l - a.n : l, others = down ? a.n : a.m;
    int count = 0;
    if (!a.ga)
        count = threadIdx.x % 32 ? 0 : !down ? 1 + a.more : kin_infonce_row(mine, a.n, a.more) < a.n;
    else
        for (int64_t k = threadIdx.x % 32; k < others; k += 32)
            count += down ? positive(a, k, mine) : positive(a, mine, k);
    count = warp_sum(count);
    if (threadIdx.x % 32 == 0) a.lines[l] = {0.0, 0.0, 0.0, -INFINITY, (float)count};
}

/* One block: how many rows and columns have a positive. */
static __global__ void infonce_counted(infonce_args a)
{
    SHARED(double, room, [32]);
    for (int down = 0; down < 2; down++) {
        double n = 0.0;
        const line *l = a.lines + (down ? a.n : 0);
        for (int64_t i = threadIdx.x; i < (down ? a.m : a.n); i += blockDim.x) n += l[i].positives > 0.0f;
        n = block_sum(n, &room[0]);
        if (threadIdx.x == 0) a.counted[down] = n;
    }
}

__device__ static inline void take_in(line *l, float most, double sum, double all, double hits)
{
    const float now = fmaxf(l->most, most);
    l->sum = l->sum * exp((double)l->most - (double)now) + sum * exp((double)most - (double)now);
    l->all += all;
    l->hits += hits;
    l->most = now;
}

/* A block a row of the tile. */
static __global__ void infonce_rows(infonce_args a, tile t)
{
    SHARED(float, room, [32]);
    SHARED(double, wide, [32]);
    const int64_t i = t.row0 + blockIdx.x;
    const float *z = t.z + blockIdx.x * t.cols, s = expf(*a.scale);
    float most = -INFINITY;
    for (int64_t j = threadIdx.x; j < t.cols; j += blockDim.x) most = fmaxf(most, s * z[j]);
    most = block_max(most, &room[0]);
    double sum = 0.0, all = 0.0, hits = 0.0;
    for (int64_t j = threadIdx.x; j < t.cols; j += blockDim.x) {
        const float v = s * z[j];
        sum += (double)expf(v - most);
        all += (double)v;
        if (positive(a, i, t.col0 + j)) hits += (double)v;
    }
    sum = block_sum(sum, &wide[0]);
    all = block_sum(all, &wide[0]);
    hits = block_sum(hits, &wide[0]);
    if (threadIdx.x == 0) take_in(a.lines + i, most, sum, all, hits);
}

/* COLUMNS columns a block, DOWN rows at a time. */
static __global__ void infonce_columns(infonce_args a, tile t)
{
    SHARED(float, top, [DOWN][COLUMNS]);
    SHARED(double, room, [3][DOWN][COLUMNS]);
    const int x = (int)threadIdx.x, y = (int)threadIdx.y;
    const int64_t col = (int64_t)blockIdx.x * COLUMNS + x;
    const float s = expf(*a.scale);
    float most = -INFINITY;
    for (int64_t i = y; i < t.rows && col < t.cols; i += DOWN) most = fmaxf(most, s * t.z[i * t.cols + col]);
    top[y][x] = most;
    __syncthreads();
    for (int k = 0; k < DOWN; k++) most = fmaxf(most, top[k][x]);
    double sum = 0.0, all = 0.0, hits = 0.0;
    for (int64_t i = y; i < t.rows && col < t.cols; i += DOWN) {
        const float v = s * t.z[i * t.cols + col];
        sum += (double)expf(v - most);
        all += (double)v;
        if (positive(a, t.row0 + i, t.col0 + col)) hits += (double)v;
    }
    room[0][y][x] = sum;
    room[1][y][x] = all;
    room[2][y][x] = hits;
    __syncthreads();
    if (y || col >= t.cols) return;
    for (int k = 1; k < DOWN; k++) {
        sum += room[0][k][x];
        all += room[1][k][x];
        hits += room[2][k][x];
    }
    take_in(a.lines + a.n + t.col0 + col, most, sum, all, hits);
}

/* One block. Loss of a line: (1 - eps) (lse - hits/P) + eps (lse - all/length). */
static __global__ void infonce_loss(infonce_args a, float *loss, float *lse_a, float *lse_b)
{
    SHARED(double, room, [32]);
    double total = 0.0;
    for (int down = 0; down < 2; down++) {
        const double eps = (double)a.eps, length = (double)(down ? a.n : a.m);
        double sum = 0.0;
        for (int64_t i = threadIdx.x; i < (down ? a.m : a.n); i += blockDim.x) {
            const line l = a.lines[down ? a.n + i : i];
            const double lse = (double)l.most + log(l.sum);
            (down ? lse_b : lse_a)[i] = (float)lse;
            if (l.positives > 0.0f)
                sum += (1.0 - eps) * (lse - l.hits / (double)l.positives) + eps * (lse - l.all / length);
        }
        sum = block_sum(sum, &room[0]);
        if (a.counted[down] > 0.0) total += 0.5 * sum / a.counted[down];
    }
    if (threadIdx.x == 0) *loss = (float)total;
}

static void count(const kin_call *c, const infonce_args &a)
{
    RUN(dev_of(c), dim3(blocks_for(a.n + a.m, 4)), dim3(128), 0, infonce_start, a);
    RUN(dev_of(c), dim3(1), dim3(KIN_CUDA_BLOCK), 0, infonce_counted, a);
}

void kin_cuda_infonce_fwd(const kin_call *c)
{
    const infonce_args a = args_of(c);
    kin_cuda_dev *d = dev_of(c);
    count(c, a);
    each_tile(c, false, [&](const tile &t) {
        RUN(d, dim3((unsigned)t.rows), dim3(128), 0, infonce_rows, a, t);
        RUN(d, dim3(blocks_for(t.cols, COLUMNS)), dim3(COLUMNS, DOWN), 0, infonce_columns, a, t);
    });
    RUN(d, dim3(1), dim3(KIN_CUDA_BLOCK), 0, infonce_loss, a, ptr<float>(c->out[0]), ptr<float>(c->out[1]),
        ptr<float>(c->out[2]));
}

/* d loss / d logit = (softmax_row - target_row) / 2R + (softmax_column - target_column) / 2C, over the lines
 * that have a positive. In place of the products: the gradients of the products. */
static __global__ void infonce_gradient(infonce_args a, tile t, const float *lse_a, const float *lse_b,
                                        const float *dloss)
{
    SHARED(double, room, [32]);
    const int64_t i = t.row0 + blockIdx.x;
    float *z = t.z + blockIdx.x * t.cols;
    const float s = expf(*a.scale), d = *dloss, pi = a.lines[i].positives;
    const float by = pi > 0.0f ? d / (float)(2.0 * a.counted[0]) : 0.0f;
    double sum = 0.0;
    for (int64_t k = threadIdx.x; k < t.cols; k += blockDim.x) {
        const int64_t j = t.col0 + k;
        const bool hit = positive(a, i, j);
        const float v = s * z[k], pj = a.lines[a.n + j].positives;
        float g = 0.0f;
        if (pi > 0.0f)
            g += by * (expf(v - lse_a[i]) - (hit ? (1.0f - a.eps) / pi : 0.0f) - a.eps / (float)a.m);
        if (pj > 0.0f)
            g += d / (float)(2.0 * a.counted[1]) *
                 (expf(v - lse_b[j]) - (hit ? (1.0f - a.eps) / pj : 0.0f) - a.eps / (float)a.n);
        sum += (double)g * (double)v;
        z[k] = g * s;
    }
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) a.lines[i].sum += sum;
}

void kin_cuda_infonce_bwd(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    const infonce_args a = args_of(c);
    kin_cuda_dev *d = dev_of(c);
    count(c, a);
    each_tile(c, false, [&](const tile &t) {
        RUN(d, dim3((unsigned)t.rows), dim3(128), 0, infonce_gradient, a, t, ptr<const float>(c->out[1]),
            ptr<const float>(c->out[2]), ptr<const float>(c->dout[0]));
        spread(c, t);
    });
    if (wanted(c, 2))
        RUN(d, dim3(1), dim3(KIN_CUDA_BLOCK), 0, (scale_gradient<line>), a.lines, a.n, ptr<float>(c->din[2]),
            adds(c, 2));
}
