#include "kernels/cuda/pairs.cuh"

/* A line is a row of the logits, or a column. What is known of it so far: the largest logits, sums of e^(z -
 * most), of the same of the teacher's logits, of the latter times z; backward: sum is that of gradient times
 * logit. */
struct taught_line {
    double sum, teacher, hits;
    float most, teacher_most;
};

/* Scratch: lines [N + M], rows first. counted: of columns, those that are of a row. */
struct distill_args {
    int64_t n, m, counted;
    const float *scale, *teacher_scale; /* logarithms */
    taught_line *lines;
};

static distill_args args_of(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0];
    return {n,
            c->in[1].dim[0],
            n * (1 + attr_of<kin_distill_attr>(c)->more),
            ptr<const float>(c->in[2]),
            ptr<const float>(c->in[5]),
            (taught_line *)c->scratch};
}

static __global__ void distill_start(distill_args a)
{
    for (EACH(l, a.n + a.m)) a.lines[l] = {0.0, 0.0, 0.0, -INFINITY, -INFINITY};
}

__device__ static inline void take_in(taught_line *l, float most, float teacher_most, double sum,
                                      double teacher, double hits)
{
    const float now = fmaxf(l->most, most), top = fmaxf(l->teacher_most, teacher_most);
    const double old = exp((double)l->teacher_most - (double)top),
                 add = exp((double)teacher_most - (double)top);
    l->sum = l->sum * exp((double)l->most - (double)now) + sum * exp((double)most - (double)now);
    l->teacher = l->teacher * old + teacher * add;
    l->hits = l->hits * old + hits * add;
    l->most = now;
    l->teacher_most = top;
}

/* A block a row of the tile. */
static __global__ void distill_rows(distill_args a, tile t)
{
    SHARED(float, room, [32]);
    SHARED(double, wide, [32]);
    const float *z = t.z + blockIdx.x * t.cols, *taught = t.teacher + blockIdx.x * t.cols;
    const float s = expf(*a.scale), r = expf(*a.teacher_scale);
    float most = -INFINITY, top = -INFINITY;
    for (int64_t j = threadIdx.x; j < t.cols; j += blockDim.x) {
        most = fmaxf(most, s * z[j]);
        top = fmaxf(top, r * taught[j]);
    }
    most = block_max(most, &room[0]);
    top = block_max(top, &room[0]);
    double sum = 0.0, teacher = 0.0, hits = 0.0;
    for (int64_t j = threadIdx.x; j < t.cols; j += blockDim.x) {
        const float v = s * z[j], e = expf(r * taught[j] - top);
        sum += (double)expf(v - most);
        teacher += (double)e;
        hits += (double)e * (double)v;
    }
    sum = block_sum(sum, &wide[0]);
    teacher = block_sum(teacher, &wide[0]);
    hits = block_sum(hits, &wide[0]);
    if (threadIdx.x == 0) take_in(a.lines + t.row0 + blockIdx.x, most, top, sum, teacher, hits);
}

/* COLUMNS columns a block, DOWN rows at a time. */
static __global__ void distill_columns(distill_args a, tile t)
{
    SHARED(float, highest, [2][DOWN][COLUMNS]);
    SHARED(double, room, [3][DOWN][COLUMNS]);
    const int x = (int)threadIdx.x, y = (int)threadIdx.y;
    const int64_t col = (int64_t)blockIdx.x * COLUMNS + x;
    const float s = expf(*a.scale), r = expf(*a.teacher_scale);
    float most = -INFINITY, top = -INFINITY;
    for (int64_t i = y; i < t.rows && col < t.cols; i += DOWN) {
        most = fmaxf(most, s * t.z[i * t.cols + col]);
        top = fmaxf(top, r * t.teacher[i * t.cols + col]);
    }
    highest[0][y][x] = most;
    highest[1][y][x] = top;
    __syncthreads();
    for (int k = 0; k < DOWN; k++) {
        most = fmaxf(most, highest[0][k][x]);
        top = fmaxf(top, highest[1][k][x]);
    }
    double sum = 0.0, teacher = 0.0, hits = 0.0;
    for (int64_t i = y; i < t.rows && col < t.cols; i += DOWN) {
        const float v = s * t.z[i * t.cols + col], e = expf(r * t.teacher[i * t.cols + col] - top);
        sum += (double)expf(v - most);
        teacher += (double)e;
        hits += (double)e * (double)v;
    }
    room[0][y][x] = sum;
    room[1][y][x] = teacher;
    room[2][y][x] = hits;
    __syncthreads();
    if (y || col >= t.cols) return;
    for (int k = 1; k < DOWN; k++) {
        sum += room[0][k][x];
        teacher += room[1][k][x];
        hits += room[2][k][x];
    }
    take_in(a.lines + a.n + t.col0 + col, most, top, sum, teacher, hits);
}

/* One block. Loss of a line: lse - hits / teacher. */
static __global__ void distill_loss(distill_args a, float *loss, float *lse_a, float *lse_b)
{
    SHARED(double, room, [32]);
    double total = 0.0;
    for (int down = 0; down < 2; down++) {
        const int64_t counted = down ? a.counted : a.n;
        double sum = 0.0;
        for (int64_t i = threadIdx.x; i < (down ? a.m : a.n); i += blockDim.x) {
            const taught_line l = a.lines[down ? a.n + i : i];
            const double lse = (double)l.most + log(l.sum);
            float *to = (down ? lse_b : lse_a) + 2 * i;
            to[0] = (float)lse;
            to[1] = (float)((double)l.teacher_most + log(l.teacher));
            if (i < counted) sum += lse - l.hits / l.teacher;
        }
        total += 0.5 * block_sum(sum, &room[0]) / (double)counted;
    }
    if (threadIdx.x == 0) *loss = (float)total;
}

static void start(const kin_call *c, const distill_args &a)
{
    RUN(dev_of(c), dim3(blocks_for(a.n + a.m, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, distill_start, a);
}

void kin_cuda_distill_fwd(const kin_call *c)
{
    const distill_args a = args_of(c);
    kin_cuda_dev *d = dev_of(c);
    start(c, a);
    each_tile(c, true, [&](const tile &t) {
        RUN(d, dim3((unsigned)t.rows), dim3(128), 0, distill_rows, a, t);
        RUN(d, dim3(blocks_for(t.cols, COLUMNS)), dim3(COLUMNS, DOWN), 0, distill_columns, a, t);
    });
    RUN(d, dim3(1), dim3(KIN_CUDA_BLOCK), 0, distill_loss, a, ptr<float>(c->out[0]), ptr<float>(c->out[1]),
        ptr<float>(c->out[2]));
}

/* d loss / d logit = (softmax - the teacher's softmax) of the row / 2 rows + the same of the column / 2
 * columns, over those that count. In place of the products: the gradients of the products. */
static __global__ void distill_gradient(distill_args a, tile t, const float *lse_a, const float *lse_b,
                                        const float *dloss)
{
    SHARED(double, room, [32]);
    const int64_t i = t.row0 + blockIdx.x;
    float *z = t.z + blockIdx.x * t.cols;
    const float *taught = t.teacher + blockIdx.x * t.cols;
    const float s = expf(*a.scale), r = expf(*a.teacher_scale), d = *dloss;
    const float by = d / (float)(2 * a.n), across = d / (float)(2 * a.counted);
    double sum = 0.0;
    for (int64_t k = threadIdx.x; k < t.cols; k += blockDim.x) {
        const int64_t j = t.col0 + k;
        const float v = s * z[k], w = r * taught[k];
        float g = by * (expf(v - lse_a[2 * i]) - expf(w - lse_a[2 * i + 1]));
        if (j < a.counted) g += across * (expf(v - lse_b[2 * j]) - expf(w - lse_b[2 * j + 1]));
        sum += (double)g * (double)v;
        z[k] = g * s;
    }
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) a.lines[i].sum += sum;
}

void kin_cuda_distill_bwd(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    const distill_args a = args_of(c);
    kin_cuda_dev *d = dev_of(c);
    start(c, a);
    each_tile(c, true, [&](const tile &t) {
        RUN(d, dim3((unsigned)t.rows), dim3(128), 0, distill_gradient, a, t, ptr<const float>(c->out[1]),
            ptr<const float>(c->out[2]), ptr<const float>(c->dout[0]));
        spread(c, t);
    });
    if (wanted(c, 2))
        RUN(d, dim3(1), dim3(KIN_CUDA_BLOCK), 0, (scale_gradient<taught_line>), a.lines, a.n,
            ptr<float>(c->din[2]), adds(c, 2));
}
