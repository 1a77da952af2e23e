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

static double logit_gradient(const kin_call *c, int64_t i, int64_t j)
{
    const double y = i == j ? 1.0 : -1.0;
    return -y / (1.0 + exp(margin(c, i, j))) / (double)c->in[0].dim[0] * (double)cotangent(c, 0, 0);
}

static double cell(const kin_call *c, int64_t i, int64_t j)
{
    return logit_gradient(c, i, j) * exp((double)get(&c->in[2], 0));
}

void REF(siglip_bwd)(const kin_call *c)
{
    double dscale = 0.0, dbias = 0.0;
    spread(c, cell, c->scratch);
    for (int64_t i = 0; i < c->in[0].dim[0]; i++)
        for (int64_t j = 0; j < c->in[1].dim[0]; j++) {
            dscale += cell(c, i, j) * product(c, i, j);
            dbias += logit_gradient(c, i, j);
        }
    if (wanted(c, 2)) put(c, 2, 0, dscale);
    if (wanted(c, 3)) put(c, 3, 0, dbias);
}
