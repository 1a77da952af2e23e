#include "nn/vit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/linear.h"

kin_patchify_attr kin_patches_of(const kin_model_cfg *m, int64_t p)
{
    kin_patchify_attr a = {.p = p, .normalise = 1};
    memcpy(a.mean, m->mean, sizeof m->mean);
    memcpy(a.std, m->std, sizeof m->std);
    a.std[3] = 1.0f;
    return a;
}

/* Patch embedding as one linear: the filter [C, 3, p, p] is its weight as it lies in the file. */
static kin_val patch_embedding(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_vision_cfg *c = &m->vision;
    const int64_t k = 3 * c->patch * c->patch;
    const kin_patchify_attr patchify = kin_patches_of(m, c->patch);
    const kin_linear_attr plain = {0};
    const kin_val x =
        kin_as(g, "cast", kin_op1(g, patchify, "patchify", &patchify, images), g->params->precision);
    const kin_val w =
        kin_weight(g, "conv1.weight", kin_init_linear(k), 4, c->trunk.width, (int64_t)3, c->patch, c->patch);
    return kin_op1(g, linear, "conv1", &plain, x, kin_reshape(g, w, 2, &k), KIN_NONE);
}

/* 3x3 convolution without a bias: a norm follows or went before. x [B, H, W, in]. */
static kin_val conv3x3(kin_graph *g, const char *name, kin_val x, int64_t out, int64_t stride)
{
    const int64_t in = kin_shape_of(g, x)->dim[3];
    const kin_scope s = kin_enter(g, name, false);
    const kin_val w = kin_weight(g, "weight", kin_init_linear(9 * in), 4, out, (int64_t)3, (int64_t)3, in);
    const kin_conv2d_attr attr = {.stride = stride, .pad = 1, .groups = 1};
    return kin_leave(g, s, kin_op1(g, conv2d, "conv2d", &attr, x, w, KIN_NONE));
}

/* act(norm(x)): over the channels of each pixel (ConvNeXt), over the whole map, which keeps how strong one
 * place is beside another, or over each channel of the batch (ResNet). Under the names ln or bn, and act,
 * with that ending.
 */
static kin_val norm_act(kin_graph *g, const char *ending, const kin_vision_cfg *c, kin_stream *x)
{
    const kin_shape shape = *kin_shape_of(g, x->x);
    const int64_t *tail = shape.dim + 1, all = tail[0] * tail[1] * tail[2];
    char norm[8], act[8];
    snprintf(norm, sizeof norm, "%cn%s", c->stem_norm == KIN_STEM_BATCH ? 'b' : 'l', ending);
    snprintf(act, sizeof act, "act%s", ending);
    const int name = x->name;
    kin_val y = KIN_NONE;
    switch (c->stem_norm) {
    case KIN_STEM_PIXEL: y = kin_norm(g, norm, &c->trunk, x); break;
    case KIN_STEM_MAP:
        x->x = kin_reshape(g, x->x, 2, &all);
        if (x->r) x->r = kin_reshape(g, x->r, 2, &all);
        y = kin_reshape(g, kin_norm(g, norm, &c->trunk, x), 4, tail);
        x->x = kin_reshape(g, x->x, 4, tail);
        kin_name_output(g, name, x->x);
        break;
    case KIN_STEM_BATCH:
        if (x->r) *x = (kin_stream){.x = kin_op1(g, add, norm, NULL, x->x, x->r)};
        kin_name_output(g, name, x->x);
        y = kin_batch_norm(g, norm, &c->trunk, x->x);
        break;
    }
    return kin_op1(g, act, act, &((kin_act_attr){.kind = c->trunk.act}), y);
}

/* Residual block before its sum: conv(act(norm(conv(act(norm(x)))))) (He et al. 2016, "Identity mappings in
 * deep residual networks", with norms over channels). */
static kin_stream conv_block(kin_graph *g, const kin_vision_cfg *c, int64_t index, kin_stream x)
{
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)index);
    const kin_scope s = kin_enter(g, name, false);
    const kin_val h = norm_act(g, "_1", c, &x);
    const int64_t out = kin_shape_of(g, h)->dim[3];
    kin_stream branch = {.x = conv3x3(g, "conv_1", h, out, 1)};
    x.r = conv3x3(g, "conv_2", norm_act(g, "_2", c, &branch), out, 1);
    return kin_leave_stream(g, s, x);
}

/* Convolutions 3x3 of stride 2, each with a norm over channels and the activation (Xiao et al. 2021, "Early
 * convolutions help transformers see better") and, as the configuration says, residual
 * blocks; then a linear to the tower's width. */
static kin_val conv_stem(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_vision_cfg *c = &m->vision;
    const kin_scope s = kin_enter(g, "stem", false);
    const kin_patchify_attr normalise = kin_patches_of(m, 1);
    kin_val x =
        kin_as(g, "cast", kin_op1(g, patchify, "normalise", &normalise, images), g->params->precision);
    x = kin_reshape(g, x, 4, (const int64_t[]){c->image_height, c->image_width, 3});
    for (int i = 0; i < c->stems; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d", i);
        const kin_scope t = kin_enter(g, name, false);
        kin_stream y = {.x = conv3x3(g, "conv", x, c->stem[i], 2)};
        y.x = norm_act(g, "", c, &y);
        for (int64_t k = 0; k < c->stem_blocks[i]; k++) y = conv_block(g, c, k, y);
        x = y.r ? kin_op1(g, add, "add", NULL, y.x, y.r) : y.x;
        kin_name_output(g, y.name, x);
        kin_leave(g, t, x);
    }
    const int64_t in = c->stem[c->stems - 1];
    x = kin_reshape(g, x, 2, &in);
    return kin_leave(g, s,
                     kin_linear(g, "proj", x, c->trunk.width, KIN_ACT_none, kin_init_linear(in), false));
}

/* Class token and positions; in training patches may be dropped first. */
static kin_val sequence(kin_graph *g, const kin_vision_cfg *c, kin_val x)
{
    const int64_t patches = kin_vision_patches(c), cls = c->class_token;
    const int64_t kept = kin_vision_tokens(c) - cls;
    const kin_init init = kin_init_normal(pow((double)c->trunk.width, -0.5));
    kin_val token = KIN_NONE, keep = KIN_NONE;
    if (cls)
        token = kin_as(
            g, "class_cast",
            kin_reshape(g, kin_weight(g, "class_embedding", init, 1, c->trunk.width), 2, &c->trunk.width),
            g->params->precision);
    const kin_init place =
        c->pos_grid ? (kin_init){KIN_INIT_GRID, 1.0, kin_vision_rows(c), kin_vision_columns(c)} : init;
    const kin_val pos = kin_weight(g, "positional_embedding", place, 2, patches + cls, c->trunk.width);
    if (kept < patches) {
        kin_val out[KIN_MAX_OUT];
        const kin_patch_drop_attr drop = {.patches = patches, .keep = kept};
        x = kin_apply(g, KIN_OP_patch_drop, "patch_dropout", &drop, (const kin_val[KIN_MAX_IN]){x}, out);
        keep = out[1];
    }
    return kin_op1(g, tokens, "tokens", &((kin_tokens_attr){.k = kept}), x, token, pos, keep);
}

static kin_val patches(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_vision_cfg *c = &m->vision;
    return sequence(g, c, c->stems ? conv_stem(g, m, images) : patch_embedding(g, m, images));
}

kin_val kin_patches(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_scope s = kin_enter(g, "visual", false);
    return kin_leave(g, s, patches(g, m, images));
}

kin_tower kin_vit(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_vision_cfg *c = &m->vision;
    const kin_sequences seq = {.t = kin_vision_tokens(c), .longest = kin_vision_tokens(c)};
    const bool whole = kin_reads_rows(m) || c->pool != KIN_POOLING_CLS;
    const kin_scope s = kin_enter(g, "visual", false);
    kin_stream x = {.x = patches(g, m, images)};
    if (c->ln_pre) x.x = kin_norm(g, "ln_pre", &c->trunk, &x);
    const kin_scope t = kin_enter(g, "transformer", false);
    x = kin_blocks(g, &c->trunk, x, &seq, whole ? KIN_ROWS_ALL : KIN_ROWS_FIRST);
    kin_leave(g, t, KIN_NONE);
    const kin_val y = kin_norm(g, "ln_post", &c->trunk, &x);
    kin_val pooled = y;
    if (whole && c->pool != KIN_POOLING_ATTENTION) {
        const kin_pool_attr pool = {.mode = c->pool == KIN_POOLING_MEAN ? KIN_POOL_MEAN : KIN_POOL_FIRST,
                                    .t = seq.t};
        pooled = kin_op1(g, pool, "pool", &pool, y, KIN_NONE);
    } else if (whole)
        pooled = kin_attention_pool(g, "attn_pool", &c->trunk, y, y, seq.t, &seq);
    return (kin_tower){.rows = whole ? y : KIN_NONE,
                       .embedding = kin_leave(g, s, kin_projection(g, "proj", pooled, m->embed_dim))};
}
