#include "nn/dual_encoder.h"

#include "nn/fusion.h"
#include "nn/linear.h"
#include "nn/text.h"
#include "nn/vit.h"

/* f32, as losses take embeddings. eps is that of torch's F.normalize. */
kin_val kin_normalised(kin_graph *g, const char *name, kin_val x)
{
    const kin_scope s = kin_enter(g, name, false);
    x = kin_as(g, "cast", x, KIN_F32);
    kin_leave(g, s, x);
    return kin_op1(g, l2norm, name, &((kin_norm_attr){.eps = 1e-12f}), x);
}

static bool has_towers(kin_graph *g, const kin_model_cfg *m)
{
    const kin_fusion_row *f = &kin_fusions[m->fusion.kind];
    if (!f->towers && !g->failed)
        kin_graph_fail(
            g, KIN_UNSUPPORTED,
            "fusion %s looks at pictures and texts only together: neither has an embedding of its own to "
            "search by; rank a few candidates of another model with it instead",
            f->name);
    return f->towers;
}

kin_tower kin_image_tower(kin_graph *g, const kin_model_cfg *m, kin_val images)
{
    if (!has_towers(g, m)) return (kin_tower){0};
    return kin_fusions[m->fusion.kind].experts ? kin_experts_image(g, m, images) : kin_vit(g, m, images);
}

kin_tower kin_text_tower(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    if (!has_towers(g, m)) return (kin_tower){0};
    return kin_fusions[m->fusion.kind].experts ? kin_experts_text(g, m, ids, off) : kin_text(g, m, ids, off);
}

kin_val kin_images_input(kin_graph *g, const kin_model_cfg *m, int64_t images)
{
    const int64_t h = m->vision.image_height, w = m->vision.image_width;
    const int rows = kin_dim(g, "images", images);
    return kin_input(g, "images", kin_rows_of(g, KIN_U8, rows, 1, 0, 4, h, w, (int64_t)3), false);
}

kin_val kin_encode_images(kin_graph *g, const kin_model_cfg *m, int64_t images)
{
    const kin_val in = kin_images_input(g, m, images);
    return kin_normalised(g, "image_embedding", kin_image_tower(g, m, in).embedding);
}

kin_val kin_texts_input(kin_graph *g, int64_t texts, int64_t tokens, kin_val *off)
{
    const int rows = kin_dim_loose(g, "tokens", tokens), count = kin_dim(g, "texts", texts);
    *off = kin_input(g, "off", kin_rows_of(g, KIN_I32, count, 1, 1, 1), false);
    return kin_input(g, "ids", kin_rows_of(g, KIN_I32, rows, 1, 0, 1), false);
}

kin_val kin_encode_texts(kin_graph *g, const kin_model_cfg *m, int64_t texts, int64_t tokens)
{
    kin_val off;
    const kin_val ids = kin_texts_input(g, texts, tokens, &off);
    return kin_normalised(g, "text_embedding", kin_text_tower(g, m, ids, off).embedding);
}

/* f32, of the rows of that embedding. */
static kin_val teacher(kin_graph *g, const char *name, kin_val of)
{
    kin_shape s = *kin_shape_of(g, of);
    s.dtype = KIN_F32;
    return kin_input(g, name, s, false);
}

kin_val kin_distilled(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss, const kin_loss_cfg *c,
                      kin_val images, kin_val texts)
{
    if (c->distill == KIN_DISTILL_NONE || g->failed) return KIN_NONE;
    return loss->distill(g, m, c, images, texts, teacher(g, "teacher images", images),
                         teacher(g, "teacher texts", texts));
}

kin_dual kin_dual_encoder(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss,
                          const kin_loss_cfg *c, int64_t images, int64_t texts, int64_t tokens)
{
    kin_dual d = {.images = kin_encode_images(g, m, images), .texts = kin_encode_texts(g, m, texts, tokens)};
    d.loss = loss->build(g, m, c, d.images, d.texts);
    d.distill = kin_distilled(g, m, loss, c, d.images, d.texts);
    return d;
}

kin_dual kin_dual_loss(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss, const kin_loss_cfg *c,
                       int64_t images, int64_t texts)
{
    const int rows = kin_dim(g, "images", images), count = kin_dim(g, "texts", texts);
    kin_dual d = {
        .images = kin_input(g, "images", kin_rows_of(g, KIN_F32, rows, 1, 0, 2, m->embed_dim), true),
        .texts = kin_input(g, "texts", kin_rows_of(g, KIN_F32, count, 1, 0, 2, m->embed_dim), true)};
    d.loss = loss->build(g, m, c, d.images, d.texts);
    d.distill = kin_distilled(g, m, loss, c, d.images, d.texts);
    return d;
}
