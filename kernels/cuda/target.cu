#include "kernels/cuda/reduce.cuh"

enum { BLOCK = KIN_CUDA_BLOCK };

/* Which rows count. */
struct counting {
    bool mse;
    int64_t width;
    const float *q;
    const int32_t *which;
    __device__ bool operator()(int64_t m) const
    {
        return !(which && which[m] < 0) && (mse || q[m * width] >= 0.0f);
    }
};

static counting counting_of(const kin_call *c)
{
    return {attr_of<kin_target_attr>(c)->kind == KIN_TARGET_MSE, c->in[0].dim[1], ptr<const float>(c->in[1]),
            ptr<const int32_t>(c->in[2])};
}

/* A block a row: its log-sum-exp (ce) and loss. */
template <class T>
__global__ void target_rows(int kind, counting counts, int64_t width, const T *z, const float *q, float *lse,
                            double *losses)
{
    SHARED(float, room, [32]);
    SHARED(double, wide, [32]);
    const int64_t m = blockIdx.x;
    const T *row = z + m * width;
    const float *t = q + m * width;
    double sum = 0.0, l = 0.0;
    if (kind == KIN_TARGET_CE) {
        float most = -INFINITY;
        for (int64_t v = threadIdx.x; v < width; v += blockDim.x) most = fmaxf(most, load(row + v));
        most = block_max(most, &room[0]);
        for (int64_t v = threadIdx.x; v < width; v += blockDim.x) sum += (double)expf(load(row + v) - most);
        l = (double)most + log(block_sum(sum, &wide[0]));
        sum = 0.0;
    }
    for (int64_t v = threadIdx.x; v < width; v += blockDim.x) {
        const float x = load(row + v);
        if (kind == KIN_TARGET_CE)
            sum -= (double)t[v] * (double)x;
        else if (kind == KIN_TARGET_BCE)
            sum += (double)(fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)))) - (double)t[v] * (double)x;
        else
            sum += (double)(x - t[v]) * (double)(x - t[v]) / (double)width;
    }
    sum = block_sum(sum, &wide[0]);
    if (threadIdx.x) return;
    if (kind == KIN_TARGET_CE) lse[m] = (float)l;
    losses[m] = counts(m) ? l + sum : 0.0;
}

/* One block: sums[0] how many rows count; loss (if asked for) their mean. */
static __global__ void target_mean(counting counts, int64_t rows, const double *losses, double *sums,
                                   float *loss)
{
    SHARED(double, room, [32]);
    double sum = 0.0, counted = 0.0;
    for (int64_t m = threadIdx.x; m < rows; m += blockDim.x) {
        counted += counts(m) ? 1.0 : 0.0;
        if (loss) sum += losses[m];
    }
    counted = block_sum(counted, &room[0]);
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x) return;
    sums[0] = counted;
    if (loss) *loss = counted > 0.0 ? (float)(sum / counted) : 0.0f;
}

template <class T>
__global__ void target_gradient(int kind, counting counts, int64_t rows, int64_t width, const T *z,
                                const float *q, const float *lse, const double *sums, const float *dloss,
                                float *dz, bool add)
{
    for (EACH(k, rows * width)) {
        const int64_t m = k / width;
        const float x = load(z + k);
        float d;
        if (kind == KIN_TARGET_CE)
            d = expf(x - lse[m]) - q[k];
        else if (kind == KIN_TARGET_BCE)
            d = 1.0f / (1.0f + expf(-x)) - q[k];
        else
            d = 2.0f * (x - q[k]) / (float)width;
        if (!counts(m)) d = 0.0f;
        put(dz + k, sums[0] > 0.0 ? d / (float)sums[0] * *dloss : 0.0f, add);
    }
}

void kin_cuda_target_fwd(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1];
    const int kind = attr_of<kin_target_attr>(c)->kind;
    double *losses = (double *)c->scratch;
    kin_cuda_dev *d = dev_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(d, dim3((unsigned)rows), dim3(128), 0, target_rows<T>, kind, counting_of(c), width,
            ptr<const T>(c->in[0]), ptr<const float>(c->in[1]), ptr<float>(c->out[1]), losses);
    });
    RUN(d, dim3(1), dim3(BLOCK), 0, target_mean, counting_of(c), rows, losses, d->sums,
        ptr<float>(c->out[0]));
}

void kin_cuda_target_bwd(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1];
    const int kind = attr_of<kin_target_attr>(c)->kind;
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    kin_cuda_dev *d = dev_of(c);
    RUN(d, dim3(1), dim3(BLOCK), 0, target_mean, counting_of(c), rows, (const double *)nullptr, d->sums,
        (float *)nullptr);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(d, dim3(blocks_for(rows * width, BLOCK)), dim3(BLOCK), 0, target_gradient<T>, kind,
            counting_of(c), rows, width, ptr<const T>(c->in[0]), ptr<const float>(c->in[1]),
            ptr<float>(c->out[1]), d->sums, ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
    });
}
