#include "nn/fusion.h"
#include "nn/linear.h"
#include "nn/text.h"
#include "nn/vit.h"

static kin_val projected(kin_graph *g, const char *name, kin_val x, int64_t width, bool always)
{
    const int64_t in = kin_shape_of(g, x)->dim[1];
    return always || in != width ? kin_linear(g, name, x, width, KIN_ACT_none, kin_init_linear(in), true) : x;
}

kin_val kin_joint_rows(kin_graph *g, const kin_model_cfg *m, const kin_wires *w, kin_val images,
                       kin_val texts)
{
    const kin_val kinds =
        kin_weight(g, "type_embedding", kin_init_normal(0.02), 2, (int64_t)3, m->fusion.trunk.width);
    const kin_val a = kin_op1(g, take, "rows_of_images", NULL, images, w->row_images);
    const kin_val b = kin_op1(g, take, "rows_of_texts", NULL, texts, w->row_texts);
    const kin_val t =
        kin_op1(g, embedding, "types", &((kin_embedding_attr){0}), w->row_kinds, kinds, KIN_NONE, w->row_off);
    return kin_op1(g, add, "rows_with_types", NULL, kin_op1(g, add, "rows", NULL, a, b), t);
}

/* The rows of the last block that nobody reads are not computed: which heads read, the model says. */
static kin_fused over(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, kin_val x)
{
    const kin_trunk_cfg *c = &m->fusion.trunk;
    const kin_sequences seq = {.off = in->w.row_off,
                               .longest = 1 + kin_vision_tokens(&m->vision) + m->text.context};
    const bool all = m->heads.mlm || m->heads.mim;
    kin_stream stream = {.x = x};
    stream = kin_blocks(g, c, stream, &seq, all ? KIN_ROWS_ALL : KIN_ROWS_FIRST);
    const kin_val rows = kin_norm(g, "ln_post", c, &stream);
    const kin_pool_attr first = {.mode = KIN_POOL_FIRST};
    if (!all) return (kin_fused){.pooled = rows};
    return (kin_fused){.pooled = kin_op1(g, pool, "pool", &first, rows, seq.off), .rows = rows};
}

kin_fused kin_fuse_joint(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in)
{
    const kin_val images = kin_patches(g, m, in->images), texts = kin_words(g, m, in->ids, in->off);
    const kin_scope s = kin_enter(g, "fusion", false);
    const int64_t width = m->fusion.trunk.width;
    const kin_val x = kin_joint_rows(g, m, &in->w, projected(g, "image_proj", images, width, false),
                                     projected(g, "text_proj", texts, width, false));
    const kin_fused y = over(g, m, in, x);
    kin_leave(g, s, KIN_NONE);
    return y;
}

kin_fused kin_fuse_mmt(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in)
{
    const kin_scope s = kin_enter(g, "fusion", false);
    const int64_t width = m->fusion.trunk.width;
    const kin_val x = kin_joint_rows(g, m, &in->w, projected(g, "image_proj", in->image.rows, width, true),
                                     projected(g, "text_proj", in->text.rows, width, true));
    const kin_fused y = over(g, m, in, x);
    kin_leave(g, s, KIN_NONE);
    return y;
}
