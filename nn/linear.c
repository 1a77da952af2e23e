#include "nn/linear.h"

#include <math.h>

kin_init kin_init_linear(int64_t in)
{
    return (kin_init){.kind = KIN_INIT_UNIFORM, .arg = 1.0 / sqrt((double)in)};
}

kin_init kin_init_normal(double std)
{
    return (kin_init){.kind = KIN_INIT_NORMAL, .arg = std};
}

kin_init kin_init_const(double value)
{
    return (kin_init){.kind = KIN_INIT_CONST, .arg = value};
}

static int64_t width_of(kin_graph *g, kin_val x)
{
    const kin_shape *s = kin_shape_of(g, x);
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

kin_val kin_linear(kin_graph *g, const char *name, kin_val x, int64_t out, int act, kin_init init,
                   bool zero_bias)
{
    const int64_t in = width_of(g, x);
    const kin_linear_attr attr = {.act = act};
    const kin_scope s = kin_enter(g, name, false);
    const kin_val w = kin_weight(g, "weight", init, 2, out, in);
    const kin_val b = kin_weight(g, "bias", zero_bias ? kin_init_const(0.0) : kin_init_linear(in), 1, out);
    return kin_leave(g, s, kin_op1(g, linear, "linear", &attr, x, w, b));
}

kin_val kin_as(kin_graph *g, const char *name, kin_val x, kin_dtype type)
{
    const kin_cast_attr attr = {.dtype = (int)type};
    return kin_shape_of(g, x)->dtype == type ? x : kin_op1(g, cast, name, &attr, x);
}

kin_val kin_projection(kin_graph *g, const char *name, kin_val x, int64_t out)
{
    const int64_t in = width_of(g, x);
    const kin_linear_attr attr = {.w_kn = 1};
    const kin_val w = kin_weight(g, name, kin_init_normal(1.0 / sqrt((double)in)), 2, in, out);
    return kin_op1(g, linear, name, &attr, x, w, KIN_NONE);
}
