#include "nn/fusion.h"
#include "nn/linear.h"

static kin_val part(kin_graph *g, const char *name, kin_val x, int64_t out, int act)
{
    const int64_t in = kin_shape_of(g, x)->dim[1];
    return kin_linear(g, name, x, out, act, kin_init_linear(in), false);
}

static kin_val both(kin_graph *g, kin_val a, kin_val b)
{
    return kin_op1(g, concat, "both", &((kin_axis_attr){.axis = 1}), a, b);
}

/* The index one past the end is that of a learned vector: what is missing. */
static kin_val present(kin_graph *g, const kin_trunk_cfg *c, const char *name, kin_val rows, kin_val index)
{
    const kin_scope s = kin_enter(g, name, false);
    const int64_t width = kin_shape_of(g, rows)->dim[1];
    const kin_val table = kin_weight(g, "missing", kin_init_normal(0.02), 2, (int64_t)1, width);
    const kin_val all = kin_as(g, "cast", rows, g->params->precision); /* embeddings are f32 */
    const kin_val more = kin_op1(g, concat, "with_missing", &((kin_axis_attr){.axis = 0}), all, table);
    kin_stream x = {.x = kin_op1(g, take, "take", NULL, more, index)};
    return kin_leave(g, s, kin_norm(g, "ln", c, &x)); /* embeddings have length 1: entries of 1/sqrt(E) */
}

static kin_val gated(kin_graph *g, kin_val a, kin_val b, int64_t width)
{
    const kin_val x = both(g, a, b);
    const kin_val ga = part(g, "gate_image", x, width, KIN_ACT_sigmoid);
    const kin_val gb = part(g, "gate_text", x, width, KIN_ACT_sigmoid);
    a = kin_op1(g, mul, "gated_image", NULL, ga, part(g, "image", a, width, KIN_ACT_tanh));
    b = kin_op1(g, mul, "gated_text", NULL, gb, part(g, "text", b, width, KIN_ACT_tanh));
    return kin_op1(g, add, "sum", NULL, a, b);
}

kin_fused kin_fuse_late(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in)
{
    const kin_fusion_cfg *f = &m->fusion;
    const kin_scope s = kin_enter(g, "fusion", false);
    const kin_val a = present(g, &f->trunk, "images", in->image.embedding, in->w.pair_images);
    const kin_val b = present(g, &f->trunk, "texts", in->text.embedding, in->w.pair_texts);
    kin_val y = KIN_NONE;
    switch (f->late) {
    case KIN_LATE_LINEAR: y = both(g, a, b); break;
    case KIN_LATE_MLP: y = part(g, "fc", both(g, a, b), f->hidden, f->trunk.act); break;
    case KIN_LATE_GATED: y = gated(g, a, b, f->hidden); break;
    case KIN_LATE_BILINEAR:
        y = kin_op1(g, mul, "product", NULL, part(g, "image", a, f->hidden, KIN_ACT_tanh),
                    part(g, "text", b, f->hidden, KIN_ACT_tanh));
        break;
    case KIN_LATE_AVERAGE:
        y = both(g, part(g, "image", a, f->hidden, f->trunk.act),
                 part(g, "text", b, f->hidden, f->trunk.act));
        break;
    }
    return (kin_fused){.pooled = kin_leave(g, s, y)};
}
