#include "kernels/cuda/act.cuh"

template <class T> __global__ void act_forward(int kind, int64_t count, const T *x, T *y)
{
    for (EACH(k, count)) store(y + k, act_of(kind, load(x + k)));
}

template <class T>
__global__ void act_backward(int kind, int64_t count, const T *x, const float *dy, float *dx, bool add)
{
    for (EACH(k, count)) put(dx + k, dy[k] * slope_of(kind, load(x + k)), add);
}

void kin_cuda_act_fwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->in[0]);
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, act_forward<T>,
            attr_of<kin_act_attr>(c)->kind, count, ptr<const T>(c->in[0]), ptr<T>(c->out[0]));
    });
}

void kin_cuda_act_bwd(const kin_call *c)
{
    const int64_t count = kin_count(&c->in[0]);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    by_type(c, c->in[0], [&](auto zero) {
        typedef decltype(zero) T;
        RUN(dev_of(c), dim3(blocks_for(count, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, act_backward<T>,
            attr_of<kin_act_attr>(c)->kind, count, ptr<const T>(c->in[0]), ptr<const float>(c->dout[0]),
            ptr<float>(c->din[0]), adds(c, 0));
    });
}
