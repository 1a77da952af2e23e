#include "nn/head.h"

#include <math.h>

#include "nn/linear.h"
#include "nn/vit.h"

kin_val kin_index_input(kin_graph *g, const char *name, int symbol, int64_t more)
{
    return kin_input(g, name, kin_rows_of(g, KIN_I32, symbol, 1, more, 1), false);
}

static kin_val labelled(kin_graph *g, const char *name, kin_val logits, const char *input, int symbol)
{
    const kin_val labels = kin_index_input(g, input, symbol, 0);
    return kin_op1(g, xent, name, &((kin_xent_attr){0}), logits, labels);
}

static kin_val to_classes(kin_graph *g, const char *name, kin_val x, int64_t classes)
{
    const kin_scope s = kin_enter(g, "heads", false);
    return kin_leave(g, s, kin_linear(g, name, x, classes, KIN_ACT_none, kin_init_normal(0.02), true));
}

/* ---- itc ---- */

static bool has_itc(const kin_model_cfg *m)
{
    return kin_fusions[m->fusion.kind].towers;
}

/* ---- itm ---- */

static bool has_itm(const kin_model_cfg *m)
{
    return m->heads.itm;
}

static kin_val itm_logits(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, const kin_fused *f)
{
    (void)m;
    (void)in;
    return to_classes(g, "itm", f->pooled, 2);
}

static kin_val itm_loss(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, kin_val logits)
{
    (void)m;
    return labelled(g, "loss_itm", logits, "itm labels", kin_dim(g, "pairs", in->sizes->pairs));
}

static double itm_chance(const kin_model_cfg *m, double share)
{
    (void)m;
    return share > 0.0 && share < 1.0 ? -share * log(share) - (1.0 - share) * log1p(-share) : 0.0;
}

/* ---- mlm ---- */

static bool has_mlm(const kin_model_cfg *m)
{
    return m->heads.mlm;
}

static kin_val word_table(kin_graph *g, const kin_model_cfg *m)
{
    const kin_scope s = kin_enter(g, m->custom_text ? "text" : "", false);
    return kin_leave(g, s,
                     kin_weight(g, "token_embedding.weight", kin_init_normal(0.02), 2, m->text.vocab,
                                m->text.trunk.width));
}

static kin_val mlm_logits(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, const kin_fused *f)
{
    const kin_val which = kin_index_input(g, "word rows", kin_dim_loose(g, "words", in->sizes->words), 0);
    const kin_val table = word_table(g, m);
    const kin_scope s = kin_enter(g, "heads", false), t = kin_enter(g, "mlm", false);
    const int64_t width = m->text.trunk.width;
    const kin_linear_attr plain = {0};
    kin_stream h = {.x = kin_op1(g, take, "rows", NULL, f->rows, which)};
    h.x = kin_linear(g, "dense", h.x, width, KIN_ACT_gelu, kin_init_linear(m->fusion.trunk.width), true);
    const kin_val x = kin_norm(g, "ln", &m->fusion.trunk, &h);
    const kin_val bias = kin_weight(g, "bias", kin_init_const(0.0), 1, m->text.vocab);
    const kin_val z = kin_op1(g, linear, "words", &plain, x, table, bias);
    kin_leave(g, t, KIN_NONE);
    return kin_leave(g, s, z);
}

static kin_val mlm_loss(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, kin_val logits)
{
    (void)m;
    return labelled(g, "loss_mlm", logits, "word labels", kin_dim_loose(g, "words", in->sizes->words));
}

static double mlm_chance(const kin_model_cfg *m, double share)
{
    (void)share;
    return log((double)m->text.vocab);
}

/* ---- mim ---- */

static bool has_mim(const kin_model_cfg *m)
{
    return m->heads.mim;
}

static kin_val mim_pixels(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, const kin_fused *f)
{
    const int patches = kin_dim_loose(g, "patches", in->sizes->patches);
    const kin_val which = kin_index_input(g, "patch rows", patches, 0);
    const int64_t p = m->vision.patch;
    return to_classes(g, "mim", kin_op1(g, take, "rows_of_patches", NULL, f->rows, which), 3 * p * p);
}

static kin_val mim_loss(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, kin_val pixels)
{
    const int patches = kin_dim_loose(g, "patches", in->sizes->patches);
    const kin_val from = kin_index_input(g, "patch sources", patches, 0);
    const kin_patchify_attr cut = kin_patches_of(m, m->vision.patch);
    const kin_val all = kin_op1(g, patchify, "pixels", &cut, in->images);
    const kin_val want = kin_op1(g, take, "masked_pixels", NULL, all, from);
    return kin_op1(g, target, "loss_mim", &((kin_target_attr){.kind = KIN_TARGET_MSE}),
                   kin_as(g, "told_pixels", pixels, KIN_F32), want, from);
}

static double mim_chance(const kin_model_cfg *m, double share)
{
    (void)m;
    (void)share;
    return 1.0;
}

/* ---- cls ---- */

static bool has_cls(const kin_model_cfg *m)
{
    return m->heads.classes > 0;
}

static kin_val cls_logits(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, const kin_fused *f)
{
    (void)in;
    return to_classes(g, "cls", f->pooled, m->heads.classes);
}

static kin_val cls_loss(kin_graph *g, const kin_model_cfg *m, const kin_fusion_in *in, kin_val logits)
{
    const int rows = kin_dim(g, "pairs", in->sizes->pairs);
    if (!m->heads.many) return labelled(g, "loss_cls", logits, "class labels", rows);
    const kin_val q =
        kin_input(g, "class targets", kin_rows_of(g, KIN_F32, rows, 1, 0, 2, m->heads.classes), false);
    return kin_op1(g, target, "loss_cls", &((kin_target_attr){.kind = KIN_TARGET_BCE}),
                   kin_as(g, "cls_cast", logits, KIN_F32), q);
}

static double cls_chance(const kin_model_cfg *m, double share)
{
    (void)share;
    return m->heads.many ? (double)m->heads.classes * log(2.0) : log((double)m->heads.classes);
}

const kin_objective_row kin_objectives[KIN_OBJECTIVES] = {
    [KIN_ITC] = {"itc", has_itc, NULL, NULL, NULL},
    [KIN_ITM] = {"itm", has_itm, itm_logits, itm_loss, itm_chance},
    [KIN_MLM] = {"mlm", has_mlm, mlm_logits, mlm_loss, mlm_chance},
    [KIN_MIM] = {"mim", has_mim, mim_pixels, mim_loss, mim_chance},
    [KIN_CLS] = {"cls", has_cls, cls_logits, cls_loss, cls_chance},
};
