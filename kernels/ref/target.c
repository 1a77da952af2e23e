#include "kernels/ref/ref.h"

static bool counts(const kin_call *c, int64_t row)
{
    const kin_target_attr *a = c->attr;
    if (c->in[2].rank >= 0 && ((const int32_t *)c->in[2].ptr)[row] < 0) return false;
    return a->kind == KIN_TARGET_MSE || get(&c->in[1], row * c->in[0].dim[1]) >= 0;
}

static int64_t counted(const kin_call *c)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->in[0].dim[0]; i++) n += counts(c, i);
    return n;
}

static double row_lse(const kin_call *c, int64_t row)
{
    const int64_t width = c->in[0].dim[1];
    double most = -(double)INFINITY, sum = 0.0;
    for (int64_t v = 0; v < width; v++) most = fmax(most, (double)get(&c->in[0], row * width + v));
    for (int64_t v = 0; v < width; v++) sum += exp((double)get(&c->in[0], row * width + v) - most);
    return most + log(sum);
}

void REF(target_fwd)(const kin_call *c)
{
    const kin_target_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], n = counted(c);
    double loss = 0.0;
    for (int64_t i = 0; i < c->in[0].dim[0]; i++) {
        const double lse = a->kind == KIN_TARGET_CE ? row_lse(c, i) : 0.0;
        if (a->kind == KIN_TARGET_CE) set(&c->out[1], i, lse);
        if (!counts(c, i)) continue;
        if (a->kind == KIN_TARGET_CE) loss += lse;
        for (int64_t k = i * width; k < (i + 1) * width; k++) {
            const double z = (double)get(&c->in[0], k), q = (double)get(&c->in[1], k);
            switch (a->kind) {
            case KIN_TARGET_CE: loss -= q * z; break;
            case KIN_TARGET_BCE: loss += fmax(z, 0.0) + log1p(exp(-fabs(z))) - q * z; break;
            default: loss += (z - q) * (z - q) / (double)width;
            }
        }
    }
    set(&c->out[0], 0, n ? loss / (double)n : 0.0);
}

static double slope(const kin_call *c, int64_t row, double z, double q)
{
    const kin_target_attr *a = c->attr;
    switch (a->kind) {
    case KIN_TARGET_CE: return exp(z - (double)get(&c->out[1], row)) - q;
    case KIN_TARGET_BCE: return 1.0 / (1.0 + exp(-z)) - q;
    default: return 2.0 * (z - q) / (double)c->in[0].dim[1];
    }
}

/* ce: the targets of a row sum to 1, so that d lse is the whole softmax. */
void REF(target_bwd)(const kin_call *c)
{
    const int64_t width = c->in[0].dim[1], n = counted(c);
    for (int64_t i = 0; i < c->in[0].dim[0] && wanted(c, 0); i++)
        for (int64_t k = i * width; k < (i + 1) * width; k++) {
            const double d =
                counts(c, i) ? slope(c, i, (double)get(&c->in[0], k), (double)get(&c->in[1], k)) : 0.0;
            put(c, 0, k, d / (double)kin_max64(1, n) * (double)cotangent(c, 0, 0));
        }
}
