#include "nn/vit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/linear.h"

static kin_patchify_attr patches_of(const kin_model_cfg *m, int64_t p)
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
    const kin_patchify_attr patchify = patches_of(m, c->patch);
    const kin_linear_attr plain = {0};
    const kin_val x = kin_op1(g, patchify, "patchify", &patchify, images);
    const kin_val w =
        kin_weight(g, "conv1.weight", kin_init_linear(k), 4, c->trunk.width, (int64_t)3, c->patch, c->patch);
    return kin_op1(g, linear, "conv1", &plain, x, kin_reshape(g, w, 2, &k), KIN_NONE);
}

/* Convolutions 3x3 of stride 2, each with a norm over channels and the activation (Xiao et al. 2021, "Early
 * convolutions help transformers see better"; no batch statistics), then a linear to the tower's width. */
static kin_val conv_stem(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_vision_cfg *c = &m->vision;
    const kin_scope s = kin_enter(g, "stem", false);
    const kin_patchify_attr normalise = patches_of(m, 1);
    int64_t side = c->image_size, in = 3;
    kin_val x = kin_op1(g, patchify, "normalise", &normalise, images);
    for (int i = 0; i < c->stems; i++, side /= 2) {
        char name[32];
        snprintf(name, sizeof name, "%d", i);
        const kin_scope t = kin_enter(g, name, false);
        const int64_t out = c->stem[i];
        x = kin_reshape(g, x, 4, (const int64_t[]){side, side, in});
        const kin_val w =
            kin_weight(g, "conv.weight", kin_init_linear(9 * in), 4, out, (int64_t)3, (int64_t)3, in);
        const kin_conv2d_attr conv = {.stride = 2, .pad = 1, .groups = 1};
        x = kin_op1(g, conv2d, "conv", &conv, x, w, KIN_NONE);
        x = kin_norm(g, "ln", &c->trunk, &((kin_stream){.x = x}));
        x = kin_leave(g, t, kin_op1(g, act, "act", &((kin_act_attr){.kind = c->trunk.act}), x));
        in = out;
    }
    x = kin_reshape(g, x, 2, &in);
    return kin_leave(g, s,
                     kin_linear(g, "proj", x, c->trunk.width, KIN_ACT_none, kin_init_linear(in), false));
}

/* Class token and positions; in training patches may be dropped first. */
static kin_val sequence(kin_graph *g, const kin_vision_cfg *c, kin_val x)
{
    const int64_t patches = kin_vision_grid(c) * kin_vision_grid(c), cls = c->class_token;
    const int64_t kept = kin_vision_tokens(c) - cls;
    const kin_init init = kin_init_normal(pow((double)c->trunk.width, -0.5));
    kin_val token = KIN_NONE, keep = KIN_NONE;
    if (cls)
        token = kin_reshape(g, kin_weight(g, "class_embedding", init, 1, c->trunk.width), 2, &c->trunk.width);
    const kin_init place = c->pos_grid ? (kin_init){.kind = KIN_INIT_GRID, .arg = 1.0} : init;
    const kin_val pos = kin_weight(g, "positional_embedding", place, 2, patches + cls, c->trunk.width);
    if (kept < patches) {
        kin_val out[KIN_MAX_OUT];
        const kin_patch_drop_attr drop = {.patches = patches, .keep = kept};
        x = kin_apply(g, KIN_OP_patch_drop, "patch_dropout", &drop, (const kin_val[KIN_MAX_IN]){x}, out);
        keep = out[1];
    }
    return kin_op1(g, tokens, "tokens", &((kin_tokens_attr){.k = kept}), x, token, pos, keep);
}

kin_val kin_vit(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    const kin_vision_cfg *c = &m->vision;
    const kin_sequences seq = {.t = kin_vision_tokens(c), .longest = kin_vision_tokens(c)};
    const kin_scope s = kin_enter(g, "visual", false);
    kin_stream x = {.x = sequence(g, c, c->stems ? conv_stem(g, m, images) : patch_embedding(g, m, images))};
    if (c->ln_pre) x.x = kin_norm(g, "ln_pre", &c->trunk, &x);
    const kin_scope t = kin_enter(g, "transformer", false);
    x = kin_blocks(g, &c->trunk, x, &seq, c->pool == KIN_POOLING_CLS ? KIN_ROWS_FIRST : KIN_ROWS_ALL);
    kin_leave(g, t, KIN_NONE);
    kin_val y = kin_norm(g, "ln_post", &c->trunk, &x);
    if (c->pool == KIN_POOLING_MEAN)
        y = kin_op1(g, pool, "pool", &((kin_pool_attr){.mode = KIN_POOL_MEAN, .t = seq.t}), y, KIN_NONE);
    if (c->pool == KIN_POOLING_ATTENTION)
        y = kin_attention_pool(g, "attn_pool", &c->trunk, y, y, seq.t, &seq);
    return kin_leave(g, s, kin_projection(g, "proj", y, m->embed_dim));
}
