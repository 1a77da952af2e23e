#include "kernels/ref/ref.h"

/* Visits every (output element, input element, weight element) that meet. */
typedef void visit(const kin_call *c, int64_t y, int64_t x, int64_t w, double *sum);

static void window(const kin_call *c, int64_t b, int64_t oy, int64_t ox, int64_t co, visit *f, double *sum)
{
    const kin_conv2d_attr *a = c->attr;
    const kin_tensor *x = &c->in[0], *w = &c->in[1], *y = &c->out[0];
    const int64_t depth = w->dim[3], first = co / (w->dim[0] / a->groups) * depth;
    const int64_t at = ((b * y->dim[1] + oy) * y->dim[2] + ox) * y->dim[3] + co;
    for (int64_t ky = 0; ky < w->dim[1]; ky++)
        for (int64_t kx = 0; kx < w->dim[2]; kx++) {
            const int64_t iy = oy * a->stride + ky - a->pad, ix = ox * a->stride + kx - a->pad;
            if (iy < 0 || ix < 0 || iy >= x->dim[1] || ix >= x->dim[2]) continue;
            for (int64_t k = 0; k < depth; k++)
                f(c, at, ((b * x->dim[1] + iy) * x->dim[2] + ix) * x->dim[3] + first + k,
                  ((co * w->dim[1] + ky) * w->dim[2] + kx) * depth + k, sum);
        }
}

static void each(const kin_call *c, visit *f, bool store)
{
    const kin_tensor *y = &c->out[0];
    int64_t at = 0;
    for (int64_t b = 0; b < y->dim[0]; b++)
        for (int64_t oy = 0; oy < y->dim[1]; oy++)
            for (int64_t ox = 0; ox < y->dim[2]; ox++)
                for (int64_t co = 0; co < y->dim[3]; co++, at++) {
                    double sum = kin_absent(&c->in[2]) || !store ? 0.0 : (double)get(&c->in[2], co);
                    window(c, b, oy, ox, co, f, &sum);
                    if (store) set(y, at, sum);
                }
}

static void forward(const kin_call *c, int64_t y, int64_t x, int64_t w, double *sum)
{
    (void)y;
    *sum += (double)get(&c->in[0], x) * (double)get(&c->in[1], w);
}

static void to_input(const kin_call *c, int64_t y, int64_t x, int64_t w, double *sum)
{
    (void)sum;
    add(&c->din[0], x, (double)cotangent(c, 0, y) * (double)get(&c->in[1], w));
}

static void to_weight(const kin_call *c, int64_t y, int64_t x, int64_t w, double *sum)
{
    (void)sum;
    add(&c->din[1], w, (double)cotangent(c, 0, y) * (double)get(&c->in[0], x));
}

void REF(conv2d_fwd)(const kin_call *c)
{
    each(c, forward, true);
}

void REF(conv2d_bwd)(const kin_call *c)
{
    if (wanted(c, 0)) {
        clear(c, 0);
        each(c, to_input, false);
    }
    if (wanted(c, 1)) {
        clear(c, 1);
        each(c, to_weight, false);
    }
    const int64_t width = c->in[1].dim[0];
    for (int64_t n = 0; n < width && wanted(c, 2); n++) {
        double s = 0.0;
        for (int64_t m = n; m < kin_count(&c->out[0]); m += width) s += (double)cotangent(c, 0, m);
        put(c, 2, n, s);
    }
}
