#include "kernels/cuda/attention.cuh"

/* Attention's weights anew: a block has 16 queries of a sequence and head, each thread some of their keys.
 * Asked for by people, now and then: it is plain rather than fast. */
enum { THREADS = 128 };

template <class T>
__global__ void attention_weigh(attention_args a, int64_t room, const T *q, const T *k, const float *lse,
                                float *w)
{
    const int64_t h = blockIdx.y, g = h / a.group;
    const place me = place_of(a.queries, blockIdx.x);
    if (me.rows == 0) return;
    const int64_t q0 = start_of(a.queries, me.b), tq = start_of(a.queries, me.b + 1) - q0;
    const int64_t k0 = start_of(a.keys, me.b), tk = start_of(a.keys, me.b + 1) - k0;
    for (int64_t i = threadIdx.x; i < me.rows * room; i += THREADS) {
        const int64_t r = me.from + i / room, j = i % room, at = (q0 + r) * a.heads + h;
        float s = 0.0f;
        if (j < seen(a, r, tq, tk)) {
            const T *x = q + (q0 + r) * a.q.stride + a.q.at + h * a.width;
            const T *y = k + (k0 + j) * a.k.stride + a.k.at + g * a.width;
            for (int64_t d = 0; d < a.width; d++) s += load(x + d) * load(y + d);
            s = expf(a.scale * s - lse[at]);
        }
        w[at * room + j] = s;
    }
}

template <class T> static void weigh(const kin_fn_call *f, const kin_call *c, const attention_args &a)
{
    const T *q = ptr<const T>(c->in[0]), *k = c->in[1].rank < 0 ? q : ptr<const T>(c->in[1]);
    RUN((kin_cuda_dev *)f->dev, dim3((unsigned)a.slots, (unsigned)a.heads), dim3(THREADS), 0,
        attention_weigh<T>, a, f->t[5].dim[2], q, k, ptr<const float>(f->t[4]), ptr<float>(f->t[5]));
}

void kin_cuda_attention_weights(const kin_fn_call *f)
{
    kin_tensor in[5], out[2];
    const kin_call c = kin_as_attention(f, in, out);
    const attention_args a = args_of(&c, false);
    if (c.in[0].dtype == KIN_BF16)
        weigh<__nv_bfloat16>(f, &c, a);
    else
        weigh<float>(f, &c, a);
}
