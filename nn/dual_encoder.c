#include "nn/dual_encoder.h"

#include "nn/linear.h"
#include "nn/text.h"
#include "nn/vit.h"

/* f32, as losses take embeddings. eps is that of torch's F.normalize. */
static kin_val normalised(kin_graph *g, const char *name, kin_val x)
{
    const kin_scope s = kin_enter(g, name, false);
    x = kin_as(g, "cast", x, KIN_F32);
    kin_leave(g, s, x);
    return kin_op1(g, l2norm, name, &((kin_norm_attr){.eps = 1e-12f}), x);
}

kin_val kin_encode_images(kin_graph *g, const kin_model_cfg *m, int64_t images)
{
    const int64_t s = m->vision.image_size;
    const int rows = kin_dim(g, "images", images);
    const kin_val in = kin_input(g, "images", kin_rows_of(g, KIN_U8, rows, 1, 0, 4, s, s, (int64_t)3), false);
    return normalised(g, "image_embedding", kin_vit(g, m, in));
}

kin_val kin_encode_texts(kin_graph *g, const kin_model_cfg *m, int64_t texts, int64_t tokens)
{
    const int rows = kin_dim(g, "tokens", tokens), count = kin_dim(g, "texts", texts);
    const kin_val ids = kin_input(g, "ids", kin_rows_of(g, KIN_I32, rows, 1, 0, 1), false);
    const kin_val off = kin_input(g, "off", kin_rows_of(g, KIN_I32, count, 1, 1, 1), false);
    return normalised(g, "text_embedding", kin_text(g, m, ids, off));
}

kin_dual kin_dual_encoder(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss,
                          const kin_loss_cfg *c, int64_t images, int64_t texts, int64_t tokens)
{
    kin_dual d = {.images = kin_encode_images(g, m, images), .texts = kin_encode_texts(g, m, texts, tokens)};
    d.loss = loss->build(g, m, c, d.images, d.texts);
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
    return d;
}
