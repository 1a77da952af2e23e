#include "tests/weights_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GUARD = 256, BATCH = 4 };

bool weights_open(weights_case *w, kin_backend *b, int sample)
{
    if (!op_case_open(&w->c, b, KIN_OP_attention, sample, BATCH)) return false;
    op_case_forward(&w->c);
    const kin_attention_attr *a = (const void *)w->c.s.attr.bytes;
    const kin_tensor *lse = &w->c.out[1];
    w->w = (kin_tensor){NULL, b->real, 3, {lse->dim[0], lse->dim[1], a->max_tk + 1}};
    const size_t bytes = (size_t)kin_count(&w->w) * kin_dtype_size(b->real);
    unsigned char *p = test_malloc(bytes + 2 * GUARD);
    memset(p, 0xff, bytes + 2 * GUARD);
    w->w.ptr = p + GUARD;
    const kin_tensor t[6] = {w->c.in[0], w->c.in[1], w->c.in[3], w->c.in[4], *lse, w->w};
    op_fn(b, KIN_FN_attention_weights, t, 6, a, GUARD);
    for (size_t i = 0; i < GUARD; i++)
        if (p[i] != 0xff || p[GUARD + bytes + i] != 0xff)
            fail_msg("attention_weights '%s' on %s wrote around its result", w->c.s.label, b->name);
    return true;
}

void weights_close(weights_case *w)
{
    test_free((char *)w->w.ptr - GUARD);
    op_case_close(&w->c);
}

typedef struct layout {
    int64_t heads, group, d, v_row, v_at; /* v of (row, head, d) is at row * v_row + v_at + head * d + ... */
    const kin_tensor *v, *q_off, *k_off;
    int64_t tq, tk;
} layout;

static layout layout_of(const op_case *c)
{
    const kin_attention_attr *a = (const void *)c->s.attr.bytes;
    const bool qkv = kin_absent(&c->in[1]), kv = !qkv && kin_absent(&c->in[2]);
    layout l = {.heads = c->out[0].dim[1], .d = c->out[0].dim[2], .q_off = &c->in[3], .tq = a->tq};
    const int64_t groups = qkv ? l.heads : c->in[1].dim[kv ? 2 : 1];
    l.group = l.heads / groups;
    l.v = qkv ? &c->in[0] : kv ? &c->in[1] : &c->in[2];
    l.v_at = qkv ? 2 * groups * l.d : kv ? groups * l.d : 0;
    l.v_row = (qkv ? 3 : kv ? 2 : 1) * groups * l.d;
    l.k_off = qkv ? l.q_off : &c->in[4];
    l.tk = qkv ? a->tq : a->tk;
    return l;
}

static int64_t start(const kin_tensor *off, int64_t fixed, int64_t b)
{
    return kin_absent(off) ? b * fixed : ((const int32_t *)off->ptr)[b];
}

/* One query and head, which sees `seen` keys from row k0 on. */
static void check_row(const weights_case *w, const layout *l, int64_t q, int64_t h, int64_t k0, int64_t seen,
                      double tol, double tol_out)
{
    const int64_t room = w->w.dim[2], at = q * l->heads + h;
    const char *label = w->c.s.label, *on = w->c.b->name;
    double sum = 0.0;
    for (int64_t j = 0; j < room; j++) {
        const double x = op_value(&w->w, at * room + j);
        if (j >= seen && x != 0.0)
            fail_msg("'%s' on %s: query %lld weighs key %lld, which it does not see, with %g", label, on,
                     (long long)q, (long long)j, x);
        sum += x;
    }
    if (!(fabs(sum - (seen ? 1.0 : 0.0)) <= 4.0 * tol))
        fail_msg("'%s' on %s: the weights of query %lld sum to %.9g", label, on, (long long)q, sum);
    for (int64_t d = 0; d < l->d; d++) {
        double o = 0.0;
        for (int64_t j = 0; j < seen; j++)
            o += op_value(&w->w, at * room + j) *
                 op_value(l->v, (k0 + j) * l->v_row + l->v_at + h / l->group * l->d + d);
        const double x = op_value(&w->c.out[0], at * l->d + d);
        if (!(fabs(o - x) <= tol_out * (1.0 + fabs(x))))
            fail_msg("'%s' on %s: weights times v of query %lld are %.9g, attention gave %.9g", label, on,
                     (long long)q, o, x);
    }
}

void weights_check(const weights_case *w, const weights_case *truth, double tol, double tol_out)
{
    const layout l = layout_of(&w->c);
    const kin_attention_attr *a = (const void *)w->c.s.attr.bytes;
    int64_t q = 0;
    for (int64_t b = 0; b < BATCH; b++) {
        const int64_t k0 = start(l.k_off, l.tk, b), tk = start(l.k_off, l.tk, b + 1) - k0;
        const int64_t tq = start(l.q_off, l.tq, b + 1) - start(l.q_off, l.tq, b);
        for (int64_t i = 0; i < tq; i++, q++) {
            const int64_t some = kin_max64(0, kin_min64(tk, i + 1 + tk - tq));
            for (int64_t h = 0; h < l.heads; h++)
                check_row(w, &l, q, h, k0, a->causal ? some : tk, tol, tol_out);
        }
    }
    assert_int_equal(q, w->w.dim[0]);
    for (int64_t i = 0; i < kin_count(&w->w); i++) {
        const double x = op_value(&w->w, i), y = op_value(&truth->w, i);
        if (!(fabs(x - y) <= tol * (1.0 + fabs(y))))
            fail_msg("attention_weights '%s' on %s: [%lld] is %.9g, not %.9g", w->c.s.label, w->c.b->name,
                     (long long)i, x, y);
    }
}
