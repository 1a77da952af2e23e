#include "nn/norm.h"

#include "nn/linear.h"

kin_stream kin_leave_stream(kin_graph *g, kin_scope s, kin_stream stream)
{
    if (stream.r)
        stream.name = kin_leave_open(g, s);
    else
        kin_leave(g, s, stream.x);
    return stream;
}

kin_val kin_norm(kin_graph *g, const char *name, const kin_trunk_cfg *c, kin_stream *stream)
{
    const kin_shape *shape = kin_shape_of(g, stream->x);
    const int64_t width = shape->rank > 0 ? shape->dim[shape->rank - 1] : 1;
    const kin_norm_attr attr = {.eps = c->eps};
    const kin_scope s = kin_enter(g, name, false);
    const kin_val gamma = kin_weight(g, "weight", kin_init_const(1.0), 1, width);
    kin_val out[KIN_MAX_OUT];
    if (c->rms) {
        const kin_val in[KIN_MAX_IN] = {stream->x, stream->r, gamma};
        kin_apply(g, KIN_OP_rmsnorm, "norm", &attr, in, out);
    } else {
        const kin_val beta = kin_weight(g, "bias", kin_init_const(0.0), 1, width);
        const kin_val in[KIN_MAX_IN] = {stream->x, stream->r, gamma, beta};
        kin_apply(g, KIN_OP_layernorm, "norm", &attr, in, out);
    }
    if (stream->r) {
        kin_name_output(g, stream->name, out[1]);
        *stream = (kin_stream){.x = out[1]};
    }
    return kin_leave(g, s, out[0]);
}

kin_val kin_batch_norm(kin_graph *g, const char *name, const kin_trunk_cfg *c, kin_val x)
{
    const kin_shape *shape = kin_shape_of(g, x);
    const int64_t width = shape->rank > 0 ? shape->dim[shape->rank - 1] : 1;
    const kin_norm_attr attr = {.eps = c->eps};
    const kin_scope s = kin_enter(g, name, false);
    const kin_val gamma = kin_weight(g, "weight", kin_init_const(1.0), 1, width);
    const kin_val beta = kin_weight(g, "bias", kin_init_const(0.0), 1, width);
    const kin_val mean = kin_buffer(g, "running_mean", kin_init_const(0.0), width);
    const kin_val var = kin_buffer(g, "running_var", kin_init_const(1.0), width);
    const bool learns = c->training && kin_learns(g, gamma);
    const kin_val in[KIN_MAX_IN] = {x, gamma, beta, learns ? KIN_NONE : mean, learns ? KIN_NONE : var};
    kin_val out[KIN_MAX_OUT];
    kin_apply(g, KIN_OP_batchnorm, "norm", &attr, in, out);
    if (learns) {
        kin_follow(g, out[1], mean, 0.9f);
        kin_follow(g, out[2], var, 0.9f);
    }
    return kin_leave(g, s, out[0]);
}
