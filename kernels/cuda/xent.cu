#include "kernels/cuda/reduce.cuh"

enum { BLOCK = KIN_CUDA_BLOCK };

/* A block a row: its log-sum-exp and loss. */
template <class T>
__global__ void xent_rows(int64_t width, float eps, const T *z, const int32_t *labels, float *lse,
                          double *losses)
{
    SHARED(float, room, [32]);
    SHARED(double, wide, [32]);
    const int64_t m = blockIdx.x;
    const T *row = z + m * width;
    float most = -INFINITY;
    for (int64_t v = threadIdx.x; v < width; v += blockDim.x) most = fmaxf(most, load(row + v));
    most = block_max(most, &room[0]);
    double sum = 0.0, all = 0.0;
    for (int64_t v = threadIdx.x; v < width; v += blockDim.x) {
        sum += (double)expf(load(row + v) - most);
        all += (double)load(row + v);
    }
    sum = block_sum(sum, &wide[0]);
    all = block_sum(all, &wide[0]);
    if (threadIdx.x) return;
    const double l = (double)most + log(sum);
    const int label = labels[m];
    lse[m] = (float)l;
    const double hit =
        label >= 0 && label < width ? (1.0 - (double)eps) * (l - (double)load(row + label)) : 0.0;
    losses[m] = label < 0 ? 0.0 : hit + (double)eps * (l - all / (double)width);
}

/* One block: sums[0] how many rows count; loss (if asked for) their mean. */
static __global__ void xent_mean(int64_t rows, const int32_t *labels, const double *losses, double *sums,
                                 float *loss)
{
    SHARED(double, room, [32]);
    double sum = 0.0, counted = 0.0;
    for (int64_t m = threadIdx.x; m < rows; m += blockDim.x) {
        counted += labels[m] >= 0 ? 1.0 : 0.0;
        if (loss) sum += losses[m];
    }
    counted = block_sum(counted, &room[0]);
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x) return;
    sums[0] = counted;
    if (loss) *loss = counted > 0.0 ? (float)(sum / counted) : 0.0f;
}

template <class T>
__global__ void xent_gradient(int64_t rows, int64_t width, float eps, const T *z, const int32_t *labels,
                              const float *lse, const double *sums, const float *dloss, float *dz, bool add)
{
    for (EACH(k, rows * width)) {
        const int64_t m = k / width, v = k % width;
        const float target = (labels[m] == v ? 1.0f - eps : 0.0f) + eps / (float)width;
        const float d = labels[m] < 0 ? 0.0f : (expf(load(z + k) - lse[m]) - target) / (float)sums[0];
        put(dz + k, d * *dloss, add);
    }
}

void kin_cuda_xent_fwd(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1];
    const int32_t *labels = ptr<const int32_t>(c->in[1]);
    double *losses = (double *)c->scratch;
    kin_cuda_dev *d = dev_of(c);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(d, dim3((unsigned)rows), dim3(128), 0, xent_rows<T>, width, attr_of<kin_xent_attr>(c)->smoothing,
            ptr<const T>(c->in[0]), labels, ptr<float>(c->out[1]), losses);
    });
    RUN(d, dim3(1), dim3(BLOCK), 0, xent_mean, rows, labels, losses, d->sums, ptr<float>(c->out[0]));
}

void kin_cuda_xent_bwd(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1];
    const int32_t *labels = ptr<const int32_t>(c->in[1]);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    kin_cuda_dev *d = dev_of(c);
    RUN(d, dim3(1), dim3(BLOCK), 0, xent_mean, rows, labels, (const double *)nullptr, d->sums,
        (float *)nullptr);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(d, dim3(blocks_for(rows * width, BLOCK)), dim3(BLOCK), 0, xent_gradient<T>, rows, width,
            attr_of<kin_xent_attr>(c)->smoothing, ptr<const T>(c->in[0]), labels, ptr<const float>(c->out[1]),
            d->sums, ptr<const float>(c->dout[0]), ptr<float>(c->din[0]), adds(c, 0));
    });
}
