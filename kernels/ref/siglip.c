#include "kernels/ref/pairs.h"

/* y (s a.b + bias): positive when the pair is judged rightly. */
static double margin(const kin_call *c, int64_t i, int64_t j)
{
    const double z = exp((double)get(&c->in[2], 0)) * product(c, i, j) + (double)get(&c->in[3], 0);
    return i == j ? z : -z;
}

void REF(siglip_fwd)(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0];
    double loss = 0.0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < c->in[1].dim[0]; j++) {
            const double m = margin(c, i, j);
            loss += m > 0.0 ? log1p(exp(-m)) : log1p(exp(m)) - m; /* -log sigmoid(m) */
        }
    set(&c->out[0], 0, loss / (double)n);
}

void REF(siglip_bwd)(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0], width = c->in[0].dim[1];
    const double scale = exp((double)get(&c->in[2], 0));
    double dscale = 0.0, dbias = 0.0;
    for (int i = 0; i < 2; i++)
        if (wanted(c, i)) clear(c, i);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < c->in[1].dim[0]; j++) {
            const double y = i == j ? 1.0 : -1.0;
            const double dz = -y / (1.0 + exp(margin(c, i, j))) / (double)n * (double)cotangent(c, 0, 0);
            dscale += dz * scale * product(c, i, j);
            dbias += dz;
            for (int64_t k = 0; k < width; k++) {
                if (wanted(c, 0))
                    add(&c->din[0], i * width + k, dz * scale * (double)get(&c->in[1], j * width + k));
                if (wanted(c, 1))
                    add(&c->din[1], j * width + k, dz * scale * (double)get(&c->in[0], i * width + k));
            }
        }
    if (wanted(c, 2)) put(c, 2, 0, dscale);
    if (wanted(c, 3)) put(c, 3, 0, dbias);
}
