#include "kernels/ref/ref.h"

static real weight(const kin_call *c, int64_t n, int64_t k)
{
    const kin_linear_attr *a = c->attr;
    return get(&c->in[1], a->w_kn ? k * c->in[1].dim[1] + n : n * c->in[1].dim[1] + k);
}

void REF(linear_fwd)(const kin_call *c)
{
    const kin_linear_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), depth = kin_cols(&c->in[0]), width = kin_cols(&c->out[0]);
    for (int64_t m = 0; m < rows; m++)
        for (int64_t n = 0; n < width; n++) {
            double z = kin_absent(&c->in[2]) ? 0.0 : (double)get(&c->in[2], n);
            for (int64_t k = 0; k < depth; k++)
                z += (double)get(&c->in[0], m * depth + k) * (double)weight(c, n, k);
            if (c->out[1].ptr && !kin_absent(&c->out[1])) set(&c->out[1], m * width + n, z);
            set(&c->out[0], m * width + n, (double)REF(act)(a->act, (real)z));
        }
}

/* dz = dy * act'(z) */
static double slope(const kin_call *c, int64_t k)
{
    const kin_linear_attr *a = c->attr;
    const double dy = (double)cotangent(c, 0, k);
    return a->act == KIN_ACT_none ? dy : dy * (double)REF(act_slope)(a->act, get(&c->out[1], k));
}

void REF(linear_bwd)(const kin_call *c)
{
    const kin_linear_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), depth = kin_cols(&c->in[0]), width = kin_cols(&c->out[0]);
    for (int64_t m = 0; m < rows && wanted(c, 0); m++) /* dx = dz W */
        for (int64_t k = 0; k < depth; k++) {
            double s = 0.0;
            for (int64_t n = 0; n < width; n++) s += slope(c, m * width + n) * (double)weight(c, n, k);
            put(c, 0, m * depth + k, s);
        }
    for (int64_t n = 0; n < width && wanted(c, 1); n++) /* dW = dz^T x */
        for (int64_t k = 0; k < depth; k++) {
            double s = 0.0;
            for (int64_t m = 0; m < rows; m++)
                s += slope(c, m * width + n) * (double)get(&c->in[0], m * depth + k);
            put(c, 1, a->w_kn ? k * width + n : n * depth + k, s);
        }
    for (int64_t n = 0; n < width && wanted(c, 2); n++) {
        double s = 0.0;
        for (int64_t m = 0; m < rows; m++) s += slope(c, m * width + n);
        put(c, 2, n, s);
    }
}
