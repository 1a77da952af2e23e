#include "core/op_shape.h"

static void moves(const kin_call *c, bool backward, kin_cost *cost)
{
    (void)backward;
    cost->flops = 0.0;
    cost->bytes = 8.0 * (double)kin_count(&c->out[0]);
}

/* ---- embedding ---- */

static kin_status embedding_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_embedding_attr *a = attr;
    const kin_shape *ids = &in[0], *table = &in[1], *pos = &in[2], *off = &in[3];
    if (!kin_is(ids, KIN_I32, 1)) return kin_misfit(cx, "ids", ids, NULL, NULL, "they must be [sum T] i32");
    if (!kin_real_of(table, 2) || table->rank != 2)
        return kin_misfit(cx, "table", table, NULL, NULL, "it must be [V, C]");
    if (kin_has(pos) && (pos->rank != 2 || pos->dim[1] != table->dim[1]))
        return kin_misfit(cx, "table", table, "pos", pos, "they must be of one width");
    if (kin_has(off) && !kin_is(off, KIN_I32, 1))
        return kin_misfit(cx, "off", off, NULL, NULL, "it must be [B+1] i32");
    if (kin_has(pos) && !kin_has(off) && (a->t < 1 || ids->dim[0] % a->t))
        return kin_misfit(cx, "ids", ids, NULL, NULL,
                          "positions need offsets, or a fixed length that divides the rows");
    out[0] = kin_leading(ids, table->dtype, 2, table->dim[1]);
    return KIN_OK;
}

static int64_t embedding_scratch(const kin_call *c, bool backward)
{
    const int64_t ints = c->in[1].dim[0] + 1 + c->in[0].dim[0];
    return backward ? kin_part(ints * 4) + 256 : 0;
}

static bool embedding_sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t v, c, p, t; /* t: positive longest of ragged, negative fixed; p: positions, 0 none */
    } list[] = {{"ragged", 7, 5, 6, 6},         {"fixed", 5, 9, 4, -4},
                {"no positions", 11, 16, 0, 5}, {"too long for its positions", 7, 4, 3, 5},
                {"bad ids", 3, 4, 4, 4},        {"negative ids", 6, 8, 0, 5}};
    if (i >= KIN_CASES(list)) return false;
    const int64_t t = list[i].t, rows = t < 0 ? -t * batch : kin_sample_total(batch, t);
    const kin_embedding_attr a = {.t = t < 0 ? -t : 0};
    kin_case(s, list[i].label, &a, sizeof a, true);
    kin_case_in(s, 0, kin_fixed(KIN_I32, 1, rows), KIN_FILL_IDS,
                i == 4   ? 5.0
                : i == 5 ? -6.0
                         : (double)list[i].v);
    kin_case_in(s, 1, kin_fixed(KIN_F32, 2, list[i].v, list[i].c), KIN_FILL_NORMAL, 1.0);
    if (list[i].p) kin_case_in(s, 2, kin_fixed(KIN_F32, 2, list[i].p, list[i].c), KIN_FILL_NORMAL, 1.0);
    if (t > 0) kin_case_in(s, 3, kin_fixed(KIN_I32, 1, batch + 1), KIN_FILL_OFFSETS, (double)t);
    return true;
}

const kin_op_def kin_op_embedding = {"embedding", embedding_shape,  moves, embedding_scratch,
                                     NULL,        embedding_sample, 0};

/* ---- tokens ---- */

static kin_status tokens_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_tokens_attr *a = attr;
    const kin_shape *x = &in[0], *cls = &in[1], *pos = &in[2], *keep = &in[3];
    if (!kin_real_of(x, 2) || x->rank != 2 || a->k < 1 || x->dim[0] % a->k)
        return kin_misfit(cx, "x", x, NULL, NULL, "it must be [B*%lld, C]", (long long)a->k);
    const int64_t n = kin_has(cls) ? cls->dim[0] : 0;
    if (kin_has(cls) && (cls->rank != 2 || cls->dim[1] != x->dim[1]))
        return kin_misfit(cx, "x", x, "cls", cls, "they must be of one width");
    if (kin_has(pos) && (pos->rank != 2 || pos->dim[1] != x->dim[1] || pos->dim[0] < n ||
                         (!kin_has(keep) && pos->dim[0] != n + a->k)))
        return kin_misfit(cx, "x", x, "pos", pos, "%lld positions are needed", (long long)(n + a->k));
    if (kin_has(keep) && (!kin_is(keep, KIN_I32, 1) || !kin_same_rows(keep, x)))
        return kin_misfit(cx, "x", x, "keep", keep, "one index a row");
    out[0] = *x;
    return kin_scale_rows(&out[0], n + a->k, a->k)
               ? KIN_OK
               : kin_misfit(cx, "x", x, NULL, NULL, "its rows do not divide");
}

static bool tokens_sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t k, c, n, p; /* p: 0 no positions */
        bool keep;
    } list[] = {{"class token", 4, 5, 1, 4, false},
                {"kept patches", 3, 6, 1, 7, true},
                {"no class", 4, 16, 0, 4, false},
                {"two tokens, no positions", 2, 3, 2, 0, false}};
    if (i >= KIN_CASES(list)) return false;
    const kin_tokens_attr a = {.k = list[i].k};
    const int64_t c = list[i].c;
    kin_case(s, list[i].label, &a, sizeof a, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, batch * a.k, c), KIN_FILL_NORMAL, 1.0);
    if (list[i].n) kin_case_in(s, 1, kin_fixed(KIN_F32, 2, list[i].n, c), KIN_FILL_NORMAL, 1.0);
    if (list[i].p) kin_case_in(s, 2, kin_fixed(KIN_F32, 2, list[i].n + list[i].p, c), KIN_FILL_NORMAL, 1.0);
    if (list[i].keep) kin_case_in(s, 3, kin_fixed(KIN_I32, 1, batch * a.k), KIN_FILL_IDS, (double)list[i].p);
    return true;
}

const kin_op_def kin_op_tokens = {"tokens", tokens_shape, moves, NULL, NULL, tokens_sample, 0};

/* ---- repeat ---- */

static kin_status repeat_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_repeat_attr *a = attr;
    if (!kin_real_of(&in[0], 2) || in[0].rank != 2)
        return kin_misfit(cx, "x", &in[0], NULL, NULL, "it must be [n, C]");
    out[0] = kin_leading(&in[1], in[0].dtype, 2, in[0].dim[1]);
    if (in[1].rank < 1 || a->per < 1 || !kin_scale_rows(&out[0], in[0].dim[0], a->per))
        return kin_misfit(cx, "like", &in[1], NULL, NULL, "its rows are not %lld per sample",
                          (long long)a->per);
    return KIN_OK;
}

static bool repeat_sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t n, c, per;
    } list[] = {{"one row", 1, 5, 3}, {"three rows", 3, 17, 1}};
    if (i >= KIN_CASES(list)) return false;
    const kin_repeat_attr a = {.per = list[i].per};
    kin_case(s, list[i].label, &a, sizeof a, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, list[i].n, list[i].c), KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 1, kin_fixed(KIN_F32, 2, batch * list[i].per, (int64_t)2), KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_repeat = {"repeat", repeat_shape, moves, NULL, NULL, repeat_sample, 0};
