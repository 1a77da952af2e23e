#include "nn/block.h"

#include <math.h>
#include <stdio.h>

#include "nn/linear.h"

/* open_clip: the text tower's weights are normal, scaled by width and depth; the vision tower keeps PyTorch's
 * defaults (in_proj Xavier uniform, the others nn.Linear's). */
static kin_init init_in_proj(const kin_trunk_cfg *c)
{
    return c->text_init ? kin_init_normal(pow((double)c->width, -0.5))
                        : (kin_init){.kind = KIN_INIT_UNIFORM, .arg = sqrt(6.0 / (4.0 * (double)c->width))};
}

static kin_init init_out(const kin_trunk_cfg *c, int64_t in)
{
    const double depth = (double)kin_max64(1, c->layers);
    return c->text_init ? kin_init_normal(pow((double)c->width, -0.5) * pow(2.0 * depth, -0.5))
                        : kin_init_linear(in);
}

static kin_init init_fc(const kin_trunk_cfg *c)
{
    return c->text_init ? kin_init_normal(pow(2.0 * (double)c->width, -0.5)) : kin_init_linear(c->width);
}

static kin_val one_row(kin_graph *g, const char *name, kin_val x, const kin_sequences *seq,
                       kin_read_rows rows)
{
    const kin_pool_attr attr = {.mode = (int)rows, .t = seq->off ? 0 : seq->t};
    return kin_op1(g, pool, name, &attr, x, seq->off);
}

/* Projected rows [n, parts * C] -> [n, parts, H, D], or [n, H, D] for one part. */
static kin_val heads_of(kin_graph *g, const kin_trunk_cfg *c, kin_val x, int64_t parts)
{
    const int64_t d = c->width / c->heads;
    return parts == 1 ? kin_reshape(g, x, 3, (const int64_t[]){c->heads, d})
                      : kin_reshape(g, x, 4, (const int64_t[]){parts, c->heads, d});
}

/* Queries from `from` (one row a sequence), keys and values from x; packed weights in_proj_{weight,bias}. */
static kin_val attend_rows(kin_graph *g, const kin_trunk_cfg *c, kin_val from, kin_val x,
                           const kin_sequences *seq, kin_val w, kin_val b)
{
    const int64_t width = c->width;
    const kin_linear_attr plain = {0};
    const kin_val q = kin_op1(g, linear, "q", &plain, from, kin_weight_rows(g, w, 0, width),
                              kin_weight_rows(g, b, 0, width));
    const kin_val kv = kin_op1(g, linear, "kv", &plain, x, kin_weight_rows(g, w, width, 2 * width),
                               kin_weight_rows(g, b, width, 2 * width));
    const kin_attention_attr attr = {.scale = (float)pow((double)(width / c->heads), -0.5),
                                     .tq = 1,
                                     .tk = seq->off ? 0 : seq->t,
                                     .max_tk = seq->longest};
    return kin_op1(g, attention, "attention", &attr, heads_of(g, c, q, 1), heads_of(g, c, kv, 2), KIN_NONE,
                   KIN_NONE, seq->off);
}

static kin_val attend_all(kin_graph *g, const kin_trunk_cfg *c, kin_val x, const kin_sequences *seq,
                          kin_val w, kin_val b)
{
    const kin_linear_attr plain = {0};
    const kin_val qkv = kin_op1(g, linear, "qkv", &plain, x, w, b);
    const int64_t t = seq->off ? 0 : seq->t;
    const kin_attention_attr attr = {.scale = (float)pow((double)(c->width / c->heads), -0.5),
                                     .causal = c->causal,
                                     .tq = t,
                                     .tk = t,
                                     .max_tk = seq->longest};
    return kin_op1(g, attention, "attention", &attr, heads_of(g, c, qkv, 3), KIN_NONE, KIN_NONE, seq->off,
                   KIN_NONE);
}

/* Multi-head attention. from == KIN_NONE: every row of x asks; else those rows, one a sequence. */
static kin_val mha(kin_graph *g, const kin_trunk_cfg *c, kin_val from, kin_val x, const kin_sequences *seq)
{
    const kin_scope s = kin_enter(g, "attn", false);
    const kin_val w = kin_weight(g, "in_proj_weight", init_in_proj(c), 2, 3 * c->width, c->width);
    const kin_val b = kin_weight(g, "in_proj_bias", kin_init_const(0.0), 1, 3 * c->width);
    kin_val o = from ? attend_rows(g, c, from, x, seq, w, b) : attend_all(g, c, x, seq, w, b);
    o = kin_reshape(g, o, 2, &c->width);
    return kin_leave(g, s, kin_linear(g, "out_proj", o, c->width, KIN_ACT_none, init_out(c, c->width), true));
}

kin_val kin_self_attention(kin_graph *g, const kin_trunk_cfg *c, kin_val x, const kin_sequences *seq)
{
    return mha(g, c, KIN_NONE, x, seq);
}

kin_val kin_mlp(kin_graph *g, const kin_trunk_cfg *c, kin_val x)
{
    const kin_scope s = kin_enter(g, "mlp", false);
    const kin_val h = kin_linear(g, "c_fc", x, c->mlp, c->act, init_fc(c), false);
    return kin_leave(g, s, kin_linear(g, "c_proj", h, c->width, KIN_ACT_none, init_out(c, c->mlp), false));
}

/* What a branch goes through before it joins the stream: LayerScale, dropout, stochastic depth. */
static kin_val branch(kin_graph *g, const kin_trunk_cfg *c, int k, int64_t index, kin_val h, kin_val off,
                      int64_t t)
{
    char name[32];
    if (c->ls_init != 0.0f) {
        snprintf(name, sizeof name, "ls_%d", k);
        const kin_scope s = kin_enter(g, name, false);
        const kin_val gamma = kin_weight(g, "gamma", kin_init_const((double)c->ls_init), 1, c->width);
        h = kin_leave(g, s, kin_op1(g, scale, "scale", NULL, h, gamma));
    }
    const float drop = c->training ? c->dropout : 0.0f;
    const float path =
        c->training && c->layers > 1 ? c->drop_path * (float)index / (float)(c->layers - 1) : 0.0f;
    if (drop > 0.0f) {
        snprintf(name, sizeof name, "dropout_%d", k);
        h = kin_op1(g, dropout, name, &((kin_dropout_attr){.p = drop, .t = t}), h, off);
    }
    if (path > 0.0f) {
        snprintf(name, sizeof name, "drop_path_%d", k);
        h = kin_op1(g, dropout, name, &((kin_dropout_attr){.p = path, .per_sample = 1, .t = t}), h, off);
    }
    return h;
}

kin_val kin_branch(kin_graph *g, const kin_trunk_cfg *c, int k, int64_t index, kin_val h,
                   const kin_sequences *seq)
{
    return branch(g, c, k, index, h, seq->off, seq->off ? 0 : seq->t);
}

kin_stream kin_block(kin_graph *g, const kin_trunk_cfg *c, int64_t index, kin_stream x,
                     const kin_sequences *seq, kin_read_rows rows)
{
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)index);
    const kin_scope s = kin_enter(g, name, c->recompute);
    const bool cut = rows != KIN_ROWS_ALL && index == c->layers - 1;
    kin_val h = kin_norm(g, "ln_1", c, &x), off = seq->off, from = KIN_NONE;
    int64_t t = seq->off ? 0 : seq->t;
    if (cut) {
        from = one_row(g, "rows_of_norm", h, seq, rows);
        x.x = one_row(g, "rows", x.x, seq, rows);
        off = KIN_NONE;
        t = 1;
    }
    x.r = branch(g, c, 1, index, mha(g, c, from, h, seq), off, t);
    h = kin_norm(g, "ln_2", c, &x);
    x.r = branch(g, c, 2, index, kin_mlp(g, c, h), off, t);
    return kin_leave_stream(g, s, x);
}

kin_stream kin_blocks(kin_graph *g, const kin_trunk_cfg *c, kin_stream x, const kin_sequences *seq,
                      kin_read_rows rows)
{
    const kin_scope s = kin_enter(g, "resblocks", false);
    for (int64_t i = 0; i < c->layers; i++) x = kin_block(g, c, i, x, seq, rows);
    if (c->layers == 0 && rows != KIN_ROWS_ALL) x.x = one_row(g, "rows", x.x, seq, rows);
    kin_leave(g, s, KIN_NONE);
    return x;
}

kin_val kin_attention_pool(kin_graph *g, const char *name, const kin_trunk_cfg *c, kin_val x,
                           kin_val per_sample, int64_t rows_per_sample, const kin_sequences *seq)
{
    const kin_scope s = kin_enter(g, name, false);
    const kin_val query = kin_weight(g, "query", kin_init_normal(1.0), 2, (int64_t)1, c->width);
    kin_stream q = {
        .x = kin_op1(g, repeat, "repeat", &((kin_repeat_attr){.per = rows_per_sample}), query, per_sample)};
    kin_stream k = {.x = x};
    const kin_val from = kin_norm(g, "ln_q", c, &q), keys = kin_norm(g, "ln_k", c, &k);
    return kin_leave(g, s, mha(g, c, from, keys, seq));
}
