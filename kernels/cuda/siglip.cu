#include "kernels/cuda/pairs.cuh"

/* Scratch: sums [N][2]: a row's loss; backward: of gradient times logit's scaled product, and of gradients.
 */

/* A block a row of the tile. dloss NULL: the losses; else the gradients of the products, in place. */
static __global__ void siglip_rows(tile t, int64_t n, const float *scale, const float *bias,
                                   const float *dloss, double *sums)
{
    SHARED(double, room, [32]);
    const int64_t i = t.row0 + blockIdx.x;
    float *z = t.z + blockIdx.x * t.cols;
    const float s = expf(*scale), b = *bias;
    double first = 0.0, second = 0.0;
    for (int64_t k = threadIdx.x; k < t.cols; k += blockDim.x) {
        const float y = i == t.col0 + k ? 1.0f : -1.0f, v = s * z[k], m = y * (v + b), e = expf(-fabsf(m));
        if (!dloss) {
            first += (double)(log1pf(e) + fmaxf(-m, 0.0f)); /* -log sigmoid(m) */
            continue;
        }
        const float g = -y * (m > 0.0f ? e : 1.0f) / (1.0f + e) / (float)n * *dloss; /* -y sigmoid(-m) */
        first += (double)g * (double)v;
        second += (double)g;
        z[k] = g * s;
    }
    first = block_sum(first, &room[0]);
    second = block_sum(second, &room[0]);
    if (threadIdx.x) return;
    sums[2 * i] = (t.col0 ? sums[2 * i] : 0.0) + first;
    sums[2 * i + 1] = (t.col0 ? sums[2 * i + 1] : 0.0) + second;
}

/* One block: out (+)= by times the sum over rows of one of the two. */
static __global__ void siglip_total(int64_t n, const double *sums, double by, float *out, bool add)
{
    SHARED(double, room, [32]);
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += sums[2 * i];
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) put(out, (float)(sum * by), add);
}

static void rows(const kin_call *c, const float *dloss)
{
    each_tile(c, false, [&](const tile &t) {
        RUN(dev_of(c), dim3((unsigned)t.rows), dim3(128), 0, siglip_rows, t, c->in[0].dim[0],
            ptr<const float>(c->in[2]), ptr<const float>(c->in[3]), dloss, (double *)c->scratch);
        if (dloss) spread(c, t);
    });
}

void kin_cuda_siglip_fwd(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0];
    rows(c, nullptr);
    RUN(dev_of(c), dim3(1), dim3(KIN_CUDA_BLOCK), 0, siglip_total, n, (const double *)c->scratch,
        1.0 / (double)n, ptr<float>(c->out[0]), false);
}

void kin_cuda_siglip_bwd(const kin_call *c)
{
    if (no_cotangent(c, 4)) return;
    rows(c, ptr<const float>(c->dout[0]));
    for (int i = 2; i < 4; i++)
        if (wanted(c, i))
            RUN(dev_of(c), dim3(1), dim3(KIN_CUDA_BLOCK), 0, siglip_total, c->in[0].dim[0],
                (const double *)c->scratch + (i - 2), 1.0, ptr<float>(c->din[i]), adds(c, i));
}
