#include "kernels/ref/ref.h"

void REF(add_fwd)(const kin_call *c)
{
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++)
        set(&c->out[0], k, (double)(get(&c->in[0], k) + get(&c->in[1], k)));
}

void REF(add_bwd)(const kin_call *c)
{
    for (int i = 0; i < 2; i++)
        for (int64_t k = 0; k < kin_count(&c->out[0]) && wanted(c, i); k++)
            put(c, i, k, (double)cotangent(c, 0, k));
}

void REF(mul_fwd)(const kin_call *c)
{
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++)
        set(&c->out[0], k, (double)(get(&c->in[0], k) * get(&c->in[1], k)));
}

void REF(mul_bwd)(const kin_call *c)
{
    for (int i = 0; i < 2; i++)
        for (int64_t k = 0; k < kin_count(&c->out[0]) && wanted(c, i); k++)
            put(c, i, k, (double)(cotangent(c, 0, k) * get(&c->in[1 - i], k)));
}

void REF(scale_fwd)(const kin_call *c)
{
    const int64_t width = kin_cols(&c->in[0]);
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++)
        set(&c->out[0], k, (double)(get(&c->in[0], k) * get(&c->in[1], k % width)));
}

void REF(scale_bwd)(const kin_call *c)
{
    const int64_t width = kin_cols(&c->in[0]), count = kin_count(&c->out[0]);
    for (int64_t k = 0; k < count && wanted(c, 0); k++)
        put(c, 0, k, (double)(cotangent(c, 0, k) * get(&c->in[1], k % width)));
    for (int64_t n = 0; n < width && wanted(c, 1); n++) {
        double s = 0.0;
        for (int64_t k = n; k < count; k += width)
            s += (double)cotangent(c, 0, k) * (double)get(&c->in[0], k);
        put(c, 1, n, s);
    }
}

void REF(cast_fwd)(const kin_call *c)
{
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++) set(&c->out[0], k, (double)get(&c->in[0], k));
}

void REF(cast_bwd)(const kin_call *c)
{
    for (int64_t k = 0; k < kin_count(&c->out[0]) && wanted(c, 0); k++)
        put(c, 0, k, (double)cotangent(c, 0, k));
}
