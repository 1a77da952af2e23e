/* Logit of row i of a and row j of b before the bias: exp(logit_scale) a_i . b_j. */
#ifndef KIN_REF_PAIRS_H
#define KIN_REF_PAIRS_H
#include "kernels/ref/ref.h"

static inline double product(const kin_call *c, int64_t i, int64_t j)
{
    const int64_t width = c->in[0].dim[1];
    double s = 0.0;
    for (int64_t k = 0; k < width; k++)
        s += (double)get(&c->in[0], i * width + k) * (double)get(&c->in[1], j * width + k);
    return s;
}
#endif
