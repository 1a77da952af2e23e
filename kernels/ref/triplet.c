#include "kernels/ref/pairs.h"

/* The hardest wrong partner of a line: the largest hinge, lowest index among equals; -1 when none is above 0.
 */
static double hardest(const kin_call *c, int64_t line, bool down, int32_t *who)
{
    const kin_triplet_attr *a = c->attr;
    const double own = product(c, line, line);
    double most = 0.0;
    *who = -1;
    for (int64_t k = 0; k < c->in[0].dim[0]; k++) {
        if (k == line) continue;
        const double hinge = (double)a->margin + (down ? product(c, k, line) : product(c, line, k)) - own;
        if (hinge > most) {
            most = hinge;
            *who = (int32_t)k;
        }
    }
    return most;
}

void REF(triplet_fwd)(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0];
    int32_t *hard_a = c->out[1].ptr, *hard_b = c->out[2].ptr;
    double loss = 0.0;
    for (int64_t i = 0; i < n; i++)
        loss += hardest(c, i, false, &hard_a[i]) + hardest(c, i, true, &hard_b[i]);
    set(&c->out[0], 0, loss / (double)n);
}

/* dloss/d(a_x . b_y) = sign: share of a pair in the loss, spread onto both rows. */
static void share(const kin_call *c, int64_t x, int64_t y, double sign)
{
    const int64_t width = c->in[0].dim[1];
    const double d = sign * (double)cotangent(c, 0, 0) / (double)c->in[0].dim[0];
    for (int64_t k = 0; k < width; k++) {
        if (wanted(c, 0)) add(&c->din[0], x * width + k, d * (double)get(&c->in[1], y * width + k));
        if (wanted(c, 1)) add(&c->din[1], y * width + k, d * (double)get(&c->in[0], x * width + k));
    }
}

void REF(triplet_bwd)(const kin_call *c)
{
    const int32_t *hard_a = c->out[1].ptr, *hard_b = c->out[2].ptr;
    for (int i = 0; i < 2; i++)
        if (wanted(c, i)) clear(c, i);
    for (int64_t i = 0; i < c->in[0].dim[0]; i++) {
        if (hard_a[i] >= 0) {
            share(c, i, hard_a[i], 1.0);
            share(c, i, i, -1.0);
        }
        if (hard_b[i] >= 0) {
            share(c, hard_b[i], i, 1.0);
            share(c, i, i, -1.0);
        }
    }
}
