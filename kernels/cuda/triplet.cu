#include "kernels/cuda/pairs.cuh"

/* Scratch: own [N] (a_i . b_i), then the largest hinge of each row [N] and column [N]. */

/* A warp a pair. */
static __global__ void triplet_own(int64_t n, int64_t width, const float *a, const float *b, float *own,
                                   float *most, int32_t *hard_a, int32_t *hard_b)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t i = (int64_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (i >= n) return;
    float sum = 0.0f;
    for (int64_t k = lane; k < width; k += 32) sum += a[i * width + k] * b[i * width + k];
    sum = warp_sum(sum);
    if (lane) return;
    own[i] = sum;
    most[i] = most[n + i] = 0.0f;
    hard_a[i] = hard_b[i] = -1;
}

/* A block a line of the tile: does it have a larger hinge than what was found? Lowest index among equals. */
static __global__ void triplet_lines(tile t, bool down, float margin, const float *own, float *most,
                                     int32_t *hard)
{
    SHARED(float, top, [128]);
    SHARED(int64_t, who, [128]);
    const int x = (int)threadIdx.x;
    const int64_t line = (down ? t.col0 : t.row0) + blockIdx.x, others = down ? t.rows : t.cols;
    const int64_t first = down ? t.row0 : t.col0, step = down ? t.cols : 1;
    const float *z = t.z + (down ? (int64_t)blockIdx.x : blockIdx.x * t.cols);
    float best = 0.0f;
    int64_t at = -1;
    for (int64_t k = x; k < others; k += blockDim.x) {
        const float hinge = margin + z[k * step] - own[line];
        if (first + k != line && hinge > best) {
            best = hinge;
            at = first + k;
        }
    }
    top[x] = best;
    who[x] = at;
    __syncthreads();
    if (x) return;
    for (int k = 1; k < (int)blockDim.x; k++)
        if (top[k] > best || (top[k] == best && who[k] >= 0 && who[k] < at)) {
            best = top[k];
            at = who[k];
        }
    if (best <= most[line]) return;
    most[line] = best;
    hard[line] = (int32_t)at;
}

static __global__ void triplet_loss(int64_t n, const float *most, float *loss)
{
    SHARED(double, room, [32]);
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < 2 * n; i += blockDim.x) sum += (double)most[i];
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) *loss = (float)(sum / (double)n);
}

void kin_cuda_triplet_fwd(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0], width = c->in[0].dim[1];
    const float margin = attr_of<kin_triplet_attr>(c)->margin;
    float *own = (float *)c->scratch, *most = own + n;
    int32_t *hard_a = ptr<int32_t>(c->out[1]), *hard_b = ptr<int32_t>(c->out[2]);
    kin_cuda_dev *d = dev_of(c);
    RUN(d, dim3(blocks_for(n, 4)), dim3(128), 0, triplet_own, n, width, ptr<const float>(c->in[0]),
        ptr<const float>(c->in[1]), own, most, hard_a, hard_b);
    each_tile(c, false, [&](const tile &t) {
        RUN(d, dim3((unsigned)t.rows), dim3(128), 0, triplet_lines, t, false, margin, own, most, hard_a);
        RUN(d, dim3((unsigned)t.cols), dim3(128), 0, triplet_lines, t, true, margin, own, most + n, hard_b);
    });
    RUN(d, dim3(1), dim3(KIN_CUDA_BLOCK), 0, triplet_loss, n, most, ptr<float>(c->out[0]));
}

/* A block a row i of da (or db): what pushed it, then those that it pushed. mine: who row i is pushed from,
 * theirs: whom the other side's rows are pushed from. */
static __global__ void triplet_backward(int64_t n, int64_t width, const float *other, const int32_t *mine,
                                        const int32_t *theirs, const float *dloss, float *to, bool add)
{
    const int64_t i = blockIdx.x;
    const float d = *dloss / (float)n;
    for (int64_t k = threadIdx.x; k < width; k += blockDim.x) {
        float sum = 0.0f;
        if (mine[i] >= 0) sum += other[mine[i] * width + k] - other[i * width + k];
        if (theirs[i] >= 0) sum -= other[i * width + k];
        for (int64_t j = 0; j < n; j++)
            if (theirs[j] == i) sum += other[j * width + k];
        put(to + i * width + k, d * sum, add);
    }
}

void kin_cuda_triplet_bwd(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0], width = c->in[0].dim[1];
    if (no_cotangent(c, 2)) return;
    for (int i = 0; i < 2; i++)
        if (wanted(c, i))
            RUN(dev_of(c), dim3((unsigned)n), dim3(128), 0, triplet_backward, n, width,
                ptr<const float>(c->in[1 - i]), ptr<const int32_t>(c->out[1 + i]),
                ptr<const int32_t>(c->out[2 - i]), ptr<const float>(c->dout[0]), ptr<float>(c->din[i]),
                adds(c, i));
}
