#include "kernels/ref/ref.h"

static int64_t counted(const kin_call *c)
{
    const int32_t *labels = c->in[1].ptr;
    int64_t n = 0;
    for (int64_t i = 0; i < c->in[0].dim[0]; i++) n += labels[i] >= 0;
    return n;
}

static double target(const kin_call *c, int64_t label, int64_t v)
{
    const kin_xent_attr *a = c->attr;
    return (label == v ? 1.0 - (double)a->smoothing : 0.0) + (double)a->smoothing / (double)c->in[0].dim[1];
}

void REF(xent_fwd)(const kin_call *c)
{
    const int32_t *labels = c->in[1].ptr;
    const int64_t width = c->in[0].dim[1], n = counted(c);
    double loss = 0.0;
    for (int64_t i = 0; i < c->in[0].dim[0]; i++) {
        double most = -(double)INFINITY, sum = 0.0;
        for (int64_t v = 0; v < width; v++) most = fmax(most, (double)get(&c->in[0], i * width + v));
        for (int64_t v = 0; v < width; v++) sum += exp((double)get(&c->in[0], i * width + v) - most);
        const double lse = most + log(sum);
        set(&c->out[1], i, lse);
        for (int64_t v = 0; v < width && labels[i] >= 0; v++)
            loss += target(c, labels[i], v) * (lse - (double)get(&c->in[0], i * width + v));
    }
    set(&c->out[0], 0, n ? loss / (double)n : 0.0);
}

void REF(xent_bwd)(const kin_call *c)
{
    const int32_t *labels = c->in[1].ptr;
    const int64_t width = c->in[0].dim[1], n = counted(c);
    for (int64_t i = 0; i < c->in[0].dim[0] && wanted(c, 0); i++)
        for (int64_t v = 0; v < width; v++) {
            const double p = exp((double)get(&c->in[0], i * width + v) - (double)get(&c->out[1], i));
            const double d = labels[i] < 0 ? 0.0 : (p - target(c, labels[i], v)) / (double)n;
            put(c, 0, i * width + v, d * (double)cotangent(c, 0, 0));
        }
}
