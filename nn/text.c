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

static kin_tower transformer(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    const kin_text_cfg *c = &m->text;
    const kin_sequences seq = {.off = off, .longest = c->context};
    const bool whole = kin_reads_rows(m) || c->pool == KIN_POOLING_MEAN;
    kin_stream x = {.x = words(g, m, ids, off, true)};
    const kin_scope t = kin_enter(g, "transformer", false);
    x = kin_blocks(g, &c->trunk, x, &seq, whole ? KIN_ROWS_ALL : KIN_ROWS_LAST);
    kin_leave(g, t, KIN_NONE);
    const kin_val y = kin_norm(g, "ln_final", &c->trunk, &x);
    const kin_pool_attr pool = {.mode = c->pool == KIN_POOLING_MEAN ? KIN_POOL_MEAN : KIN_POOL_LAST};
    return (kin_tower){.rows = whole ? y : KIN_NONE,
                       .embedding = whole ? kin_op1(g, pool, "pool", &pool, y, off) : y};
}

static kin_tower bag_of_words(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    kin_stream x = {.x = mean(g, words(g, m, ids, off, false), off)};
    return (kin_tower){.embedding = kin_norm(g, "ln_final", &m->text.trunk, &x)};
}

kin_tower kin_text(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    static kin_tower (*const tower[])(kin_graph *, const kin_model_cfg *, kin_val, kin_val) = {
        [KIN_TEXT_TRANSFORMER] = transformer, [KIN_TEXT_BAG_OF_WORDS] = bag_of_words};
    const kin_scope s = kin_enter(g, m->custom_text ? "text" : "", false);
    kin_tower y = tower[m->text.kind](g, m, ids, off);
    y.embedding = kin_leave(g, s, kin_projection(g, "text_projection", y.embedding, m->embed_dim));
    return y;
}

kin_val kin_words(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off)
{
    const kin_scope s = kin_enter(g, m->custom_text ? "text" : "", false);
    return kin_leave(g, s, words(g, m, ids, off, true));
}
