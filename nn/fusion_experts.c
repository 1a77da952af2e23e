#include <stdio.h>

#include "nn/fusion.h"
#include "nn/linear.h"
#include "nn/text.h"
#include "nn/vit.h"

/* Whose MLP a layer's rows go through. */
typedef enum route { ROUTE_VISION, ROUTE_TEXT, ROUTE_PAIRS } route;

static kin_val expert(kin_graph *g, const kin_trunk_cfg *c, const char *name, kin_val h)
{
    const kin_scope s = kin_enter(g, name, false);
    return kin_leave(g, s, kin_mlp(g, c, h));
}

/* Rows go to their expert and come back to their place; no row is computed twice. */
static kin_val routed(kin_graph *g, const kin_trunk_cfg *c, kin_val h, const kin_wires *w)
{
    const kin_val v = expert(g, c, "vision", kin_op1(g, take, "to_vision", NULL, h, w->vision_rows));
    const kin_val t = expert(g, c, "text", kin_op1(g, take, "to_text", NULL, h, w->text_rows));
    return kin_op1(g, add, "together", NULL, kin_op1(g, take, "from_vision", NULL, v, w->vision_of),
                   kin_op1(g, take, "from_text", NULL, t, w->text_of));
}

static kin_val blocks(kin_graph *g, const kin_model_cfg *m, kin_val x, const kin_sequences *seq, route way,
                      const kin_wires *w)
{
    const kin_trunk_cfg *c = &m->fusion.trunk;
    kin_stream s = {.x = x};
    const kin_scope all = kin_enter(g, "resblocks", false);
    for (int64_t i = 0; i < c->layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "%lld", (long long)i);
        const kin_scope one = kin_enter(g, name, c->recompute);
        kin_val h = kin_norm(g, "ln_1", c, &s);
        s.r = kin_branch(g, c, 1, i, kin_self_attention(g, c, h, seq), seq);
        h = kin_norm(g, "ln_2", c, &s);
        if (way != ROUTE_PAIRS)
            h = expert(g, c, way == ROUTE_VISION ? "vision" : "text", h);
        else if (i >= c->layers - m->fusion.pair_layers)
            h = expert(g, c, "pairs", h);
        else
            h = routed(g, c, h, w);
        s.r = kin_branch(g, c, 2, i, h, seq);
        s = kin_leave_stream(g, one, s);
    }
    kin_leave(g, all, KIN_NONE);
    return kin_norm(g, "ln_post", c, &s);
}

static kin_val projected(kin_graph *g, const char *name, kin_val x, int64_t width)
{
    const int64_t in = kin_shape_of(g, x)->dim[1];
    return in == width ? x : kin_linear(g, name, x, width, KIN_ACT_none, kin_init_linear(in), true);
}

/* One of the two towers: the rows before the first block are kept for the pairs. */
static kin_tower tower(kin_graph *g, const kin_model_cfg *m, kin_val x, const kin_sequences *seq, route way)
{
    const bool text = way == ROUTE_TEXT;
    const kin_scope s = kin_enter(g, "fusion", false);
    const kin_val rows = projected(g, text ? "text_proj" : "image_proj", x, m->fusion.trunk.width);
    kin_pass(g, text ? "texts" : "images");
    const kin_pool_attr mean = {.mode = KIN_POOL_MEAN, .t = seq->off ? 0 : seq->t};
    const kin_val y = kin_op1(g, pool, "pool", &mean, blocks(g, m, rows, seq, way, NULL), seq->off);
    const kin_val e = kin_projection(g, text ? "text_embedding" : "image_embedding", y, m->embed_dim);
    kin_pass(g, "");
    kin_leave(g, s, KIN_NONE);
    return (kin_tower){.rows = rows, .embedding = e};
}

kin_tower kin_experts_image(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_sequences seq = {.t = kin_vision_tokens(&m->vision), .longest = kin_vision_tokens(&m->vision)};
    return tower(g, m, kin_patches(g, m, images), &seq, ROUTE_VISION);
}

kin_tower kin_experts_text(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    const kin_sequences seq = {.off = off, .longest = m->text.context};
    return tower(g, m, kin_words(g, m, ids, off), &seq, ROUTE_TEXT);
}

kin_fused kin_fuse_experts(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in)
{
    const kin_sequences seq = {.off = in->w.row_off,
                               .longest = 1 + kin_vision_tokens(&m->vision) + m->text.context};
    const kin_scope s = kin_enter(g, "fusion", false);
    const kin_val x = kin_joint_rows(g, m, &in->w, in->image.rows, in->text.rows);
    const kin_val rows = blocks(g, m, x, &seq, ROUTE_PAIRS, &in->w);
    const kin_pool_attr first = {.mode = KIN_POOL_FIRST};
    return (kin_fused){.pooled = kin_leave(g, s, kin_op1(g, pool, "pool", &first, rows, in->w.row_off)),
                       .rows = rows};
}
