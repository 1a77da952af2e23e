/* pairs: what the contrastive losses share: the products a_i . b_j, and the gradients of a and b from the
 * gradient of each product. */
#ifndef KIN_REF_PAIRS_H
#define KIN_REF_PAIRS_H
#include "kernels/ref/ref.h"

/* Of inputs a and a + 1. */
static inline double product_of(const kin_call *c, int a, int64_t i, int64_t j)
{
    const int64_t width = c->in[a].dim[1];
    double s = 0.0;
    for (int64_t k = 0; k < width; k++)
        s += (double)get(&c->in[a], i * width + k) * (double)get(&c->in[a + 1], j * width + k);
    return s;
}

static inline double product(const kin_call *c, int64_t i, int64_t j)
{
    return product_of(c, 0, i, j);
}

/* cell(i, j): the gradient of a_i . b_j. row: E doubles of scratch.  da_i = sum_j cell b_j; db_j = sum_i cell
 * a_i. */
static inline void spread(const kin_call *c, double (*cell)(const kin_call *c, int64_t i, int64_t j),
                          double *row)
{
    const int64_t width = c->in[0].dim[1];
    for (int side = 0; side < 2; side++) {
        const kin_tensor *other = &c->in[1 - side];
        for (int64_t i = 0; i < c->in[side].dim[0] && wanted(c, side); i++) {
            for (int64_t k = 0; k < width; k++) row[k] = 0.0;
            for (int64_t j = 0; j < other->dim[0]; j++) {
                const double d = side ? cell(c, j, i) : cell(c, i, j);
                for (int64_t k = 0; k < width; k++) row[k] += d * (double)get(other, j * width + k);
            }
            for (int64_t k = 0; k < width; k++) put(c, side, i * width + k, row[k]);
        }
    }
}
#endif
