#include "core/op_shape.h"

/* The three forms of core/op.h, told apart by what is there. */
typedef struct form {
    int64_t h, g, d;
    bool packed_qkv, packed_kv;
} form;

static kin_status form_of(kin_ctx *cx, const kin_shape *in, form *f)
{
    const kin_shape *q = &in[0], *k = &in[1], *v = &in[2];
    *f = (form){.packed_qkv = !kin_has(k), .packed_kv = kin_has(k) && !kin_has(v)};
    if (f->packed_qkv) {
        if (!kin_real_of(q, 4) || q->rank != 4 || q->dim[1] != 3 || kin_has(v))
            return kin_misfit(cx, "qkv", q, NULL, NULL, "packed qkv must be [sum T, 3, H, D]");
        f->h = f->g = q->dim[2];
        f->d = q->dim[3];
    } else {
        if (!kin_real_of(q, 3) || q->rank != 3)
            return kin_misfit(cx, "q", q, NULL, NULL, "q must be [sum Tq, H, D]");
        f->h = q->dim[1];
        f->d = q->dim[2];
        const int at = f->packed_kv ? 2 : 1;
        if (k->dtype != q->dtype) return kin_misfit(cx, "q", q, "k", k, "they are of different types");
        if (k->rank != at + 2 || k->dim[at + 1] != f->d || (f->packed_kv && k->dim[1] != 2))
            return kin_misfit(cx, "q", q, "k", k, "k must be [sum Tk, G, D], or packed [sum Tk, 2, G, D]");
        f->g = k->dim[at];
        if (!f->packed_kv && !kin_same(k, v)) return kin_misfit(cx, "k", k, "v", v, "they must be equal");
    }
    if (f->g < 1 || f->h % f->g)
        return kin_misfit(cx, "q", q, "k", k, "%lld query heads for %lld key heads", (long long)f->h,
                          (long long)f->g);
    if (f->d < 1 || f->d % 8 || f->d > 128)
        return kin_misfit(cx, "q", q, NULL, NULL,
                          "a head is %lld wide; it must be a multiple of 8, at most 128", (long long)f->d);
    return KIN_OK;
}

/* How many sequences there are, as a row count: from offsets, or rows of fixed length. */
static kin_shape sequences(const kin_shape *x, const kin_shape *off, int64_t fixed)
{
    if (kin_has(off)) return kin_per_sequence(off, KIN_F32, 1);
    kin_shape s = *x;
    if (!kin_has(x) || !kin_scale_rows(&s, 1, fixed)) return KIN_ABSENT;
    return s;
}

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_attention_attr *a = attr;
    const kin_shape *q = &in[0], *qo = &in[3], *ko = &in[4];
    form f;
    KIN_TRY(form_of(cx, in, &f));
    if (kin_has(qo) && !kin_is(qo, KIN_I32, 1))
        return kin_misfit(cx, "q_off", qo, NULL, NULL, "it must be [B+1] i32");
    if (kin_has(ko) && !kin_is(ko, KIN_I32, 1))
        return kin_misfit(cx, "k_off", ko, NULL, NULL, "it must be [B+1] i32");
    if (f.packed_qkv && kin_has(ko))
        return kin_misfit(cx, "qkv", q, "k_off", ko, "packed queries and keys have one set of offsets");
    if (!kin_has(qo) && (a->tq < 1 || q->dim[0] % a->tq))
        return kin_misfit(cx, "q", q, NULL, NULL,
                          "neither offsets nor a length that divides its rows (tq = %lld)", (long long)a->tq);
    if (!f.packed_qkv && !kin_has(ko) && (a->tk < 1 || in[1].dim[0] % a->tk))
        return kin_misfit(cx, "k", &in[1], NULL, NULL,
                          "neither offsets nor a length that divides its rows (tk = %lld)", (long long)a->tk);
    const kin_shape nq = sequences(q, qo, a->tq), nk = sequences(&in[1], ko, a->tk);
    if (!f.packed_qkv && !kin_same_rows(&nq, &nk))
        return kin_misfit(cx, "q", q, "k", &in[1], "%lld sequences of queries, %lld of keys",
                          (long long)nq.dim[0], (long long)nk.dim[0]);
    out[0] = kin_leading(q, q->dtype, 3, f.h, f.d);
    out[1] = kin_leading(q, KIN_F32, 2, f.h);
    return KIN_OK;
}

/* Query-key pairs that are computed: exact when the offsets can be read, else at capacity. */
static double pairs_of(const kin_call *c)
{
    const kin_attention_attr *a = c->attr;
    const kin_tensor *qo = &c->in[3], *ko = kin_absent(&c->in[1]) ? qo : &c->in[4];
    const double rows = (double)c->in[0].dim[0];
    const int32_t *q = qo->ptr, *k = ko->ptr;
    if ((!kin_absent(qo) && !q) || (!kin_absent(ko) && !k)) return rows * (double)kin_max64(a->max_tk, a->tk);
    const int64_t n = kin_absent(qo) ? kin_sequences_of(ko, c->in[0].dim[0], a->tq) : qo->dim[0] - 1;
    double pairs = 0.0;
    for (int64_t b = 0; b < n; b++) {
        const double tq = q ? (double)(q[b + 1] - q[b]) : (double)a->tq;
        const double tk = k ? (double)(k[b + 1] - k[b]) : (double)(kin_absent(&c->in[1]) ? a->tq : a->tk);
        /* Causal, aligned at the end: the last query sees all keys, each before it one less, down to none. */
        const double live = tq < tk ? tq : tk;
        pairs += a->causal ? live * tk - 0.5 * live * (live - 1.0) : tq * tk;
    }
    return pairs;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    const double hd = (double)(c->out[0].dim[1] * c->out[0].dim[2]);
    cost->flops = (backward ? 10.0 : 4.0) * hd * pairs_of(c);
    cost->bytes =
        4.0 *
        (double)(kin_count(&c->in[0]) + kin_count(&c->in[1]) + kin_count(&c->in[2]) + kin_count(&c->out[0])) *
        (backward ? 2.0 : 1.0);
}

static int64_t scratch(const kin_call *c, bool backward)
{
    const int64_t n = c->in[0].dim[0] * c->out[0].dim[1];
    const int64_t copy = c->out[0].dtype == KIN_BF16 ? kin_part(kin_count(&c->out[0]) * 2) : 0; /* of dO */
    return backward ? kin_part(n * kin_real_size(&c->out[0])) + copy + 256 : 0;
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t tq, tk, h, g, d; /* lengths; negative: fixed, else the longest of ragged ones */
        int packed;              /* 0 separate, 1 kv, 2 qkv */
        int causal;
    } list[] = {
        {"ragged qkv", 5, 5, 2, 2, 8, 2, 0},
        {"ragged qkv causal", 6, 6, 2, 2, 16, 2, 1},
        {"fixed qkv", -4, -4, 3, 3, 8, 2, 0},
        {"fixed qkv causal", -7, -7, 1, 1, 24, 2, 1},
        {"cut kv ragged", -1, 6, 2, 2, 8, 1, 0},
        {"cut kv fixed", -1, -5, 2, 2, 32, 1, 0},
        {"separate gqa", 4, 7, 4, 2, 8, 0, 0},
        {"separate gqa causal", 3, 6, 4, 1, 8, 0, 1},
        {"long", -37, -70, 1, 1, 40, 0, 1},
        {"wide", -3, -3, 1, 1, 128, 2, 0},
        {"gqa packed kv", 5, 4, 4, 2, 16, 1, 0},
        {"queries without keys", -5, -3, 2, 2, 8, 0, 1},
        {"one query, one key", -1, -1, 1, 1, 8, 2, 1},
        {"tiles", -70, -150, 2, 1, 64, 0, 0},
        {"blind tiles", -70, -70, 2, 1, 8, 0, 1},
    };
    if (i >= KIN_CASES(list)) return false;
    const int64_t h = list[i].h, g = list[i].g, d = list[i].d, tq = list[i].tq, tk = list[i].tk;
    const int64_t nq = tq < 0 ? -tq * batch : kin_sample_total(batch, tq);
    const int64_t nk = tk < 0 ? -tk * batch : kin_sample_total(batch, tk);
    const kin_attention_attr a = {.scale = 0.35f,
                                  .causal = list[i].causal,
                                  .tq = tq < 0 ? -tq : 0,
                                  .tk = tk < 0 ? -tk : 0,
                                  .max_tk = tk < 0 ? -tk : tk};
    kin_case(s, list[i].label, &a, sizeof a, true);
    const int packed = list[i].packed;
    kin_case_in(s, 0,
                packed == 2 ? kin_fixed(KIN_F32, 4, nq, (int64_t)3, h, d) : kin_fixed(KIN_F32, 3, nq, h, d),
                KIN_FILL_NORMAL, 1.0);
    if (packed == 1) kin_case_in(s, 1, kin_fixed(KIN_F32, 4, nk, (int64_t)2, g, d), KIN_FILL_NORMAL, 1.0);
    if (packed == 0) kin_case_in(s, 1, kin_fixed(KIN_F32, 3, nk, g, d), KIN_FILL_NORMAL, 1.0);
    if (packed == 0) kin_case_in(s, 2, kin_fixed(KIN_F32, 3, nk, g, d), KIN_FILL_NORMAL, 1.0);
    if (tq > 0) kin_case_in(s, 3, kin_fixed(KIN_I32, 1, batch + 1), KIN_FILL_OFFSETS, (double)tq);
    if (tk > 0 && packed != 2)
        kin_case_in(s, 4, kin_fixed(KIN_I32, 1, batch + 1), KIN_FILL_OFFSETS, (double)tk);
    return true;
}

const kin_op_def kin_op_attention = {"attention", shape, cost, scratch, NULL, sample, 0};
