#include <math.h>
#include <stdio.h>

#include "nn/fusion.h"
#include "nn/linear.h"

/* Keys and values of every picture once, [N*K, 2C]; then those of each pair's picture. */
static kin_val keys_of(kin_graph *g, const kin_trunk_cfg *c, kin_val images, int64_t k, kin_val which)
{
    const int64_t in = kin_shape_of(g, images)->dim[1], row = 2 * c->width, picture = k * row;
    const kin_val kv = kin_linear(g, "kv", images, row, KIN_ACT_none, kin_init_linear(in), true);
    const kin_val taken = kin_op1(g, take, "kv_of_pair", NULL, kin_reshape(g, kv, 2, &picture), which);
    return kin_reshape(g, taken, 4, (const int64_t[]){2, c->heads, c->width / c->heads});
}

static kin_val cross_attention(kin_graph *g, const kin_trunk_cfg *c, kin_val x, kin_val images, int64_t k,
                               const kin_wires *w)
{
    const kin_scope s = kin_enter(g, "cross", false);
    const int64_t d = c->width / c->heads;
    const kin_val q = kin_linear(g, "q", x, c->width, KIN_ACT_none, kin_init_linear(c->width), true);
    const kin_val kv = keys_of(g, c, images, k, w->pair_images);
    const kin_attention_attr attr = {.scale = (float)pow((double)d, -0.5), .tk = k, .max_tk = k};
    kin_val o =
        kin_op1(g, attention, "attention", &attr, kin_reshape(g, q, 3, (const int64_t[]){c->heads, d}), kv,
                KIN_NONE, w->row_off, KIN_NONE);
    o = kin_reshape(g, o, 2, &c->width);
    return kin_leave(g, s,
                     kin_linear(g, "out_proj", o, c->width, KIN_ACT_none, kin_init_linear(c->width), true));
}

static kin_val gate(kin_graph *g, const kin_fusion_cfg *f, const char *name, kin_val h)
{
    if (!f->gated) return h;
    const kin_scope s = kin_enter(g, name, false);
    const kin_val alpha = kin_weight(g, "alpha", kin_init_const(0.0), 1, f->trunk.width);
    const kin_val open = kin_op1(g, act, "tanh", &((kin_act_attr){.kind = KIN_ACT_tanh}), alpha);
    return kin_leave(g, s, kin_op1(g, scale, "scale", NULL, h, open));
}

/* Flamingo's order where gated: attention to the picture and an MLP, both gated, before the text's own block.
 */
static kin_stream layer(kin_graph *g, const kin_fusion_cfg *f, int64_t index, kin_stream x, kin_val images,
                        int64_t k, const kin_wires *w, const kin_sequences *seq)
{
    const kin_trunk_cfg *c = &f->trunk;
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)index);
    const kin_scope s = kin_enter(g, name, c->recompute);
    if (f->gated) {
        kin_val h = kin_norm(g, "ln_cross", c, &x);
        x.r = gate(g, f, "gate_cross", cross_attention(g, c, h, images, k, w));
        const kin_scope t = kin_enter(g, "seen", false);
        h = kin_norm(g, "ln", c, &x);
        h = kin_leave(g, t, kin_mlp(g, c, h));
        x.r = gate(g, f, "gate_mlp", h);
    }
    kin_val h = kin_norm(g, "ln_1", c, &x);
    x.r = kin_branch(g, c, 1, index, kin_self_attention(g, c, h, seq), seq);
    if (!f->gated) {
        h = kin_norm(g, "ln_cross", c, &x);
        x.r = cross_attention(g, c, h, images, k, w);
    }
    h = kin_norm(g, "ln_2", c, &x);
    x.r = kin_branch(g, c, 2, index, kin_mlp(g, c, h), seq);
    return kin_leave_stream(g, s, x);
}

kin_fused kin_fuse_xattn(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in)
{
    const kin_fusion_cfg *f = &m->fusion;
    const kin_trunk_cfg *c = &f->trunk;
    const int64_t k = kin_vision_tokens(&m->vision);
    const kin_sequences seq = {.off = in->w.row_off, .longest = m->text.context};
    const kin_scope s = kin_enter(g, "fusion", false);
    kin_stream x = {.x = kin_op1(g, take, "rows_of_pair", NULL, in->text.rows, in->w.row_texts)};
    if (m->text.trunk.width != c->width)
        x.x = kin_linear(g, "text_proj", x.x, c->width, KIN_ACT_none, kin_init_linear(m->text.trunk.width),
                         true);
    const kin_scope t = kin_enter(g, "resblocks", false);
    for (int64_t i = 0; i < c->layers; i++) x = layer(g, f, i, x, in->image.rows, k, &in->w, &seq);
    kin_leave(g, t, KIN_NONE);
    const kin_val rows = kin_norm(g, "ln_post", c, &x);
    const kin_pool_attr last = {.mode = KIN_POOL_LAST};
    return (kin_fused){.pooled = kin_leave(g, s, kin_op1(g, pool, "pool", &last, rows, in->w.row_off)),
                       .rows = rows};
}
