#include "kernels/ref/ref.h"

/* Where the three operands lie in their packed or separate tensors: element (row, head, d) of q, k or v. */
typedef struct operand {
    const kin_tensor *t;
    int input;             /* whose gradient it is */
    int64_t stride, at, d; /* elements a row, offset of head 0 in the row, head width */
} operand;

typedef struct view {
    operand q, k, v;
    int64_t heads, per_group; /* query heads, query heads for one key head */
} view;

static view view_of(const kin_call *c)
{
    const int64_t h = c->out[0].dim[1], d = c->out[0].dim[2];
    view w = {.heads = h, .per_group = 1};
    if (kin_absent(&c->in[1])) {
        const int64_t row = 3 * h * d;
        w.q = (operand){&c->in[0], 0, row, 0, d};
        w.k = (operand){&c->in[0], 0, row, h * d, d};
        w.v = (operand){&c->in[0], 0, row, 2 * h * d, d};
        return w;
    }
    const bool packed = kin_absent(&c->in[2]);
    const int64_t g = c->in[1].dim[packed ? 2 : 1];
    w.per_group = h / g;
    w.q = (operand){&c->in[0], 0, h * d, 0, d};
    w.k = (operand){&c->in[1], 1, packed ? 2 * g * d : g * d, 0, d};
    w.v = packed ? (operand){&c->in[1], 1, 2 * g * d, g * d, d} : (operand){&c->in[2], 2, g * d, 0, d};
    return w;
}

static int64_t place(const operand *o, int64_t row, int64_t head, int64_t d)
{
    return row * o->stride + o->at + head * o->d + d;
}

/* Keys of sequence b, and how many of them query i of n sees. */
static span keys_of(const kin_call *c, int64_t b)
{
    const kin_attention_attr *a = c->attr;
    const bool same = kin_absent(&c->in[1]);
    return sequence(same ? &c->in[3] : &c->in[4], same ? a->tq : a->tk, b);
}

static int64_t seen(const kin_call *c, int64_t i, int64_t tq, int64_t tk)
{
    const kin_attention_attr *a = c->attr;
    if (!a->causal) return tk;
    const int64_t n = i + 1 + tk - tq;
    return n < 0 ? 0 : n < tk ? n : tk;
}

static double score(const kin_call *c, const view *w, int64_t qi, int64_t kj, int64_t h)
{
    const kin_attention_attr *a = c->attr;
    double s = 0.0;
    for (int64_t d = 0; d < w->q.d; d++)
        s += (double)get(w->q.t, place(&w->q, qi, h, d)) *
             (double)get(w->k.t, place(&w->k, kj, h / w->per_group, d));
    return s * (double)a->scale;
}

static void query_fwd(const kin_call *c, const view *w, int64_t qi, int64_t h, span keys, int64_t count)
{
    const int64_t at = qi * w->heads + h;
    double most = -(double)INFINITY, sum = 0.0;
    for (int64_t j = 0; j < count; j++) most = fmax(most, score(c, w, qi, keys.from + j, h));
    for (int64_t j = 0; j < count; j++) sum += exp(score(c, w, qi, keys.from + j, h) - most);
    const double lse = count ? most + log(sum) : -(double)INFINITY;
    set(&c->out[1], at, lse);
    double o[128] = {0.0}; /* the widest head */
    for (int64_t j = 0; j < count; j++) {
        const double p = exp(score(c, w, qi, keys.from + j, h) - lse);
        for (int64_t d = 0; d < w->q.d; d++)
            o[d] += p * (double)get(w->v.t, place(&w->v, keys.from + j, h / w->per_group, d));
    }
    for (int64_t d = 0; d < w->q.d; d++) set(&c->out[0], at * w->q.d + d, o[d]);
}

void REF(attention_fwd)(const kin_call *c)
{
    const kin_attention_attr *a = c->attr;
    const view w = view_of(c);
    const int64_t n = sequences(&c->in[3], a->tq, c->in[0].dim[0]);
    for (int64_t b = 0; b < n; b++) {
        const span q = sequence(&c->in[3], a->tq, b), k = keys_of(c, b);
        for (int64_t i = 0; i < q.to - q.from; i++)
            for (int64_t h = 0; h < w.heads; h++)
                query_fwd(c, &w, q.from + i, h, k, seen(c, i, q.to - q.from, k.to - k.from));
    }
}

/* One query and head: adds its share to dq, dk and dv.
 *   p_j = exp(s_j - lse), ds_j = p_j (dO . v_j - delta), delta = dO . O */
static void query_bwd(const kin_call *c, const view *w, int64_t qi, int64_t h, span keys, int64_t count)
{
    const kin_attention_attr *a = c->attr;
    const int64_t at = qi * w->heads + h, g = h / w->per_group;
    const double lse = (double)get(&c->out[1], at);
    double delta = 0.0;
    for (int64_t d = 0; d < w->q.d; d++)
        delta += (double)cotangent(c, 0, at * w->q.d + d) * (double)get(&c->out[0], at * w->q.d + d);
    for (int64_t j = 0; j < count; j++) {
        const int64_t kj = keys.from + j;
        const double p = exp(score(c, w, qi, kj, h) - lse);
        double dp = 0.0;
        for (int64_t d = 0; d < w->q.d; d++)
            dp += (double)cotangent(c, 0, at * w->q.d + d) * (double)get(w->v.t, place(&w->v, kj, g, d));
        const double ds = p * (dp - delta) * (double)a->scale;
        for (int64_t d = 0; d < w->q.d; d++) {
            const int64_t iq = place(&w->q, qi, h, d), ik = place(&w->k, kj, g, d),
                          iv = place(&w->v, kj, g, d);
            if (wanted(c, w->q.input)) add(&c->din[w->q.input], iq, ds * (double)get(w->k.t, ik));
            if (wanted(c, w->k.input)) add(&c->din[w->k.input], ik, ds * (double)get(w->q.t, iq));
            if (wanted(c, w->v.input))
                add(&c->din[w->v.input], iv, p * (double)cotangent(c, 0, at * w->q.d + d));
        }
    }
}

void REF(attention_bwd)(const kin_call *c)
{
    const kin_attention_attr *a = c->attr;
    const view w = view_of(c);
    for (int i = 0; i < 3; i++)
        if (wanted(c, i)) clear(c, i);
    const int64_t n = sequences(&c->in[3], a->tq, c->in[0].dim[0]);
    for (int64_t b = 0; b < n; b++) {
        const span q = sequence(&c->in[3], a->tq, b), k = keys_of(c, b);
        for (int64_t i = 0; i < q.to - q.from; i++)
            for (int64_t h = 0; h < w.heads; h++)
                query_bwd(c, &w, q.from + i, h, k, seen(c, i, q.to - q.from, k.to - k.from));
    }
}

void REF(attention_weights)(const kin_fn_call *f)
{
    kin_tensor in[5], out[2];
    const kin_call c = kin_as_attention(f, in, out);
    const kin_attention_attr *a = c.attr;
    const view w = view_of(&c);
    const int64_t n = sequences(&in[3], a->tq, in[0].dim[0]), room = f->t[5].dim[2];
    for (int64_t b = 0; b < n; b++) {
        const span q = sequence(&in[3], a->tq, b), k = keys_of(&c, b);
        for (int64_t i = 0; i < q.to - q.from; i++)
            for (int64_t h = 0; h < w.heads; h++) {
                const int64_t at = (q.from + i) * w.heads + h;
                const int64_t count = seen(&c, i, q.to - q.from, k.to - k.from);
                for (int64_t j = 0; j < room; j++)
                    set(&f->t[5], at * room + j,
                        j < count ? exp(score(&c, &w, q.from + i, k.from + j, h) - (double)get(&out[1], at))
                                  : 0.0);
            }
    }
}
