#include "kernels/cuda/reduce.cuh"

enum { BLOCK = KIN_CUDA_BLOCK };

static __global__ void adamw_update(kin_adamw_attr a, int64_t count, float *p, const float *grad, float *m,
                                    float *v, __nv_bfloat16 *copy)
{
    for (EACH(k, count)) {
        const float g = grad[k] * a.grad_scale;
        m[k] = a.beta1 * m[k] + (1.0f - a.beta1) * g;
        v[k] = a.beta2 * v[k] + (1.0f - a.beta2) * g * g;
        const float step = a.lr * (m[k] / a.bias1) / (sqrtf(v[k] / a.bias2) + a.eps);
        p[k] = p[k] - a.lr * a.wd * p[k] - step;
        if (copy) store(copy + k, p[k]);
    }
}

void kin_cuda_adamw(const kin_fn_call *c)
{
    const int64_t count = kin_count(&c->t[0]);
    RUN((kin_cuda_dev *)c->dev, dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, adamw_update,
        *(const kin_adamw_attr *)c->attr, count, ptr<float>(c->t[0]), ptr<const float>(c->t[1]),
        ptr<float>(c->t[2]), ptr<float>(c->t[3]), ptr<__nv_bfloat16>(c->t[4]));
}

static __global__ void ema_update(float decay, int64_t count, float *e, const float *p)
{
    for (EACH(k, count)) e[k] = decay * e[k] + (1.0f - decay) * p[k];
}

void kin_cuda_ema(const kin_fn_call *c)
{
    const int64_t count = kin_count(&c->t[0]);
    RUN((kin_cuda_dev *)c->dev, dim3(blocks_for(count, BLOCK)), dim3(BLOCK), 0, ema_update,
        ((const kin_ema_attr *)c->attr)->decay, count, ptr<float>(c->t[0]), ptr<const float>(c->t[1]));
}

static __global__ void sumsq_partial(int64_t count, const float *x, double *sums)
{
    SHARED(double, room, [32]);
    double sum = 0.0;
    for (EACH(k, count)) sum += (double)x[k] * (double)x[k];
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

static __global__ void sumsq_total(int n, const double *sums, double *out)
{
    SHARED(double, room, [32]);
    double sum = 0.0;
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) sum += sums[i];
    sum = block_sum(sum, &room[0]);
    if (threadIdx.x == 0) *out = sum;
}

void kin_cuda_sumsq(const kin_fn_call *c)
{
    const int64_t count = kin_count(&c->t[0]);
    kin_cuda_dev *d = (kin_cuda_dev *)c->dev;
    const int64_t n = kin_max64(1, kin_min64(KIN_CUDA_SUMS, (count + 16 * BLOCK - 1) / (16 * BLOCK)));
    RUN(d, dim3((unsigned)n), dim3(BLOCK), 0, sumsq_partial, count, ptr<const float>(c->t[0]), d->sums);
    RUN(d, dim3(1), dim3(BLOCK), 0, sumsq_total, (int)n, d->sums, ptr<double>(c->t[1]));
}
