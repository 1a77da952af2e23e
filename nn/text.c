#include "nn/text.h"

#include "nn/linear.h"

static kin_val words(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off, bool positions)
{
    const kin_text_cfg *c = &m->text;
    const kin_val table =
        kin_weight(g, "token_embedding.weight", kin_init_normal(0.02), 2, c->vocab, c->trunk.width);
    const kin_val pos = positions ? kin_weight(g, "positional_embedding", kin_init_normal(0.01), 2,
                                               c->context, c->trunk.width)
                                  : KIN_NONE;
    return kin_op1(g, embedding, "words", &((kin_embedding_attr){.t = 0}), ids, table, pos, off);
}

static kin_val mean(kin_graph *g, kin_val x, kin_val off)
{
    return kin_op1(g, pool, "pool", &((kin_pool_attr){.mode = KIN_POOL_MEAN}), x, off);
}

static kin_val transformer(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    const kin_text_cfg *c = &m->text;
    const kin_sequences seq = {.off = off, .longest = c->context};
    kin_stream x = {.x = words(g, m, ids, off, true)};
    const kin_scope t = kin_enter(g, "transformer", false);
    x = kin_blocks(g, &c->trunk, x, &seq, c->pool == KIN_POOLING_EOT ? KIN_ROWS_LAST : KIN_ROWS_ALL);
    kin_leave(g, t, KIN_NONE);
    const kin_val y = kin_norm(g, "ln_final", &c->trunk, &x);
    return c->pool == KIN_POOLING_MEAN ? mean(g, y, off) : y;
}

static kin_val bag_of_words(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    kin_stream x = {.x = mean(g, words(g, m, ids, off, false), off)};
    return kin_norm(g, "ln_final", &m->text.trunk, &x);
}

kin_val kin_text(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    static kin_val (*const tower[])(kin_graph *, const kin_model_cfg *, kin_val, kin_val) = {
        [KIN_TEXT_TRANSFORMER] = transformer, [KIN_TEXT_BAG_OF_WORDS] = bag_of_words};
    const kin_scope s = kin_enter(g, m->custom_text ? "text" : "", false);
    const kin_val y = tower[m->text.kind](g, m, ids, off);
    return kin_leave(g, s, kin_projection(g, "text_projection", y, m->embed_dim));
}
