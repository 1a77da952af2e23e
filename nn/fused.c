#include "nn/fused.h"
#include "nn/linear.h"

static kin_wires wires(kin_graph *g, const kin_model_cfg *m, const kin_fused_sizes *z)
{
    const kin_fusion_row *f = &kin_fusions[m->fusion.kind];
    const int pairs = kin_dim(g, "pairs", z->pairs);
    kin_wires w = {0};
    if (!f->patches) w.pair_images = kin_index_input(g, "pair images", pairs, 0);
    if (!f->rows) {
        w.pair_texts = kin_index_input(g, "pair texts", pairs, 0);
        return w;
    }
    const int rows = kin_dim_loose(g, "rows", z->rows);
    w.row_off = kin_index_input(g, "row off", pairs, 1);
    w.row_texts = kin_index_input(g, "row texts", rows, 0);
    if (!f->patches) return w;
    w.row_images = kin_index_input(g, "row images", rows, 0);
    w.row_kinds = kin_index_input(g, "row kinds", rows, 0);
    if (!f->experts || m->fusion.pair_layers == m->fusion.trunk.layers) return w;
    w.vision_of = kin_index_input(g, "vision of", rows, 0);
    w.text_of = kin_index_input(g, "text of", rows, 0);
    w.vision_rows = kin_index_input(g, "vision rows", kin_dim_loose(g, "vision rows", z->vision_rows), 0);
    w.text_rows = kin_index_input(g, "text rows", kin_dim_loose(g, "text rows", z->text_rows), 0);
    return w;
}

static kin_val features(kin_graph *g, const char *name, const char *symbol, int64_t capacity, int64_t width)
{
    const int rows = kin_dim(g, symbol, capacity);
    return kin_input(g, name, kin_rows_of(g, KIN_F32, rows, 1, 0, 2, width), false);
}

bool kin_has_states(const kin_model_cfg *m)
{
    return kin_fusions[m->fusion.kind].towers && kin_fusions[m->fusion.kind].rows;
}

int64_t kin_states_width(const kin_model_cfg *m, bool text)
{
    if (kin_fusions[m->fusion.kind].experts) return m->fusion.trunk.width;
    return text ? m->text.trunk.width : m->vision.trunk.width;
}

static kin_val states(kin_graph *g, const char *name, int symbol, int64_t each, int64_t width)
{
    const kin_val x = kin_input(g, name, kin_rows_of(g, KIN_F32, symbol, each, 0, 2, width), false);
    return kin_as(g, name, x, g->params->precision);
}

/* Is a tower's embedding read, and not only its rows? */
static bool reads_embedding(const kin_model_cfg *m, const kin_fused_want *want)
{
    return !kin_has_states(m) || want->head[KIN_ITC];
}

static kin_tower image_tower(kin_graph *g, const kin_model_cfg *m, const kin_fused_sizes *z,
                             const kin_fused_want *want, kin_fusion_in *in)
{
    kin_tower t = {0};
    if (want->image_made && kin_has_states(m))
        t.rows = states(g, "image states", kin_dim(g, "images", z->images), kin_vision_tokens(&m->vision),
                        kin_states_width(m, false));
    if (want->image_made && reads_embedding(m, want))
        t.embedding = features(g, "image features", "images", z->images, m->embed_dim);
    if (want->image_made) return t;
    in->images = kin_images_input(g, m, z->images);
    if (!kin_fusions[m->fusion.kind].towers) return t;
    t = kin_image_tower(g, m, in->images);
    t.embedding = kin_normalised(g, "image_embedding", t.embedding);
    return t;
}

static kin_tower text_tower(kin_graph *g, const kin_model_cfg *m, const kin_fused_sizes *z,
                            const kin_fused_want *want, kin_fusion_in *in)
{
    kin_tower t = {0};
    if (want->text_made && kin_has_states(m))
        t.rows =
            states(g, "text states", kin_dim_loose(g, "tokens", z->tokens), 1, kin_states_width(m, true));
    if (want->text_made && reads_embedding(m, want))
        t.embedding = features(g, "text features", "texts", z->texts, m->embed_dim);
    if (want->text_made) return t;
    in->ids = kin_texts_input(g, z->texts, z->tokens, &in->off);
    if (!kin_fusions[m->fusion.kind].towers) return t;
    t = kin_text_tower(g, m, in->ids, in->off);
    t.embedding = kin_normalised(g, "text_embedding", t.embedding);
    return t;
}

kin_fused_model kin_fused_build(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss,
                                const kin_loss_cfg *c, const kin_fused_sizes *sizes,
                                const kin_fused_want *want)
{
    kin_fused_model out = {0};
    kin_fusion_in in = {.sizes = sizes};
    in.image = image_tower(g, m, sizes, want, &in);
    in.text = text_tower(g, m, sizes, want, &in);
    if (want->head[KIN_ITC]) {
        const kin_val i = kin_index_input(g, "itc images", kin_dim(g, "itc images", sizes->itc_images), 0);
        const kin_val t = kin_index_input(g, "itc texts", kin_dim(g, "itc texts", sizes->itc_texts), 0);
        out.image = kin_op1(g, take, "itc_images", NULL, in.image.embedding, i);
        out.text = kin_op1(g, take, "itc_texts", NULL, in.text.embedding, t);
        if (want->losses) out.loss[KIN_ITC] = loss->build(g, m, c, out.image, out.text);
        if (want->losses) out.distill = kin_distilled(g, m, loss, c, out.image, out.text);
    }
    bool asked = false;
    for (int k = KIN_ITM; k < KIN_OBJECTIVES; k++) asked |= want->head[k];
    if (!asked) return out;
    in.w = wires(g, m, sizes);
    const kin_fused f = kin_fusions[m->fusion.kind].build(g, m, &in);
    for (int k = KIN_ITM; k < KIN_OBJECTIVES; k++) {
        if (!want->head[k]) continue;
        out.logits[k] = kin_objectives[k].logits(g, m, &in, &f);
        if (want->losses)
            out.loss[k] = kin_objectives[k].loss(g, m, &in, out.logits[k]);
        else /* whoever asks reads f32 */
            out.logits[k] = kin_as(g, kin_objectives[k].name, out.logits[k], KIN_F32);
    }
    return out;
}
