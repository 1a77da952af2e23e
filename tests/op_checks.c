#include "tests/op_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool compare(const op_case *got, const op_case *want, double tol, double grad_tol)
{
    bool ok = true;
    for (int o = 0; o < KIN_MAX_OUT; o++)
        if (got->out[o].ptr) ok = ok && op_agree(got, true, o, &got->out[o], &want->out[o], tol);
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (got->din[i].ptr) ok = ok && op_agree(got, false, i, &got->din[i], &want->din[i], grad_tol);
    return ok;
}

bool op_parity(kin_op op, kin_backend *b, kin_backend *truth_of, double tol, double grad_tol)
{
    op_case c, truth;
    bool ok = true;
    op_worst();
    for (int s = 0; ok && op_case_open(&c, b, op, s, op_case_batch(op, s)); s++) {
        const uint32_t all = op_case_carries(&c);
        assert_true(op_case_open(&truth, truth_of, op, s, op_case_batch(op, s)));
        for (uint32_t given = all; ok && given; given = (given - 1) & all) { /* none counts as zeros */
            op_case_both(&c, given);
            op_case_both(&truth, given);
            ok = compare(&c, &truth, tol, grad_tol);
        }
        op_case_close(&c);
        op_case_close(&truth);
    }
    return ok;
}

bool op_accumulates(op_case *c, kin_backend *truth_of)
{
    bool ok = true;
    op_case sum;
    op_case_make(&sum, truth_of, c->op, &c->s); /* holds = plus what was there */
    op_case_both(c, op_case_carries(c));
    for (int i = 0; i < KIN_MAX_IN; i++)
        for (int64_t k = 0; c->din[i].ptr && k < kin_count(&c->din[i]); k++) {
            op_set(&sum.din[i], k, op_value(&c->din[i], k) + op_normal(99, k));
            op_set(&c->din[i], k, op_normal(99, k));
        }
    op_case_backward(c, op_case_diff(c), op_case_diff(c), op_case_carries(c));
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (c->din[i].ptr) ok = ok && op_agree(c, false, i, &c->din[i], &sum.din[i], 2e-6);
    op_case_close(&sum);
    return ok;
}

bool op_subsets_agree(op_case *all, op_case *some)
{
    const uint32_t diff = op_case_diff(all);
    bool ok = true;
    op_case_both(all, op_case_carries(all));
    op_case_forward(some);
    for (uint32_t wanted = (diff - 1) & diff; ok && wanted; wanted = (wanted - 1) & diff) {
        op_case_poison_din(some);
        op_case_backward(some, wanted, 0, op_case_carries(all));
        for (int i = 0; i < KIN_MAX_IN; i++)
            if (wanted & IN(i))
                ok = ok && op_same(some, false, i, &some->din[i], &all->din[i], "when others are wanted too");
    }
    return ok;
}

/* Rows from .. to - 1, as a tensor of their own. */
static kin_tensor rows_of(const kin_tensor *t, int64_t from, int64_t to)
{
    kin_tensor part = *t;
    const int64_t each = t->dim[0] ? kin_count(t) / t->dim[0] : 0;
    part.ptr = (char *)t->ptr + from * each * (int64_t)kin_dtype_size(t->dtype);
    part.dim[0] = to - from;
    return part;
}

bool op_alone_agrees(const op_case *one, const op_case *many, int64_t sample)
{
    bool ok = true;
    int64_t from, to;
    for (int o = 0; o < KIN_MAX_OUT; o++) {
        if (!many->out[o].ptr || !op_case_rows(many, true, o, sample, &from, &to)) continue;
        const kin_tensor part = rows_of(&many->out[o], from, to);
        ok = ok && op_agree(one, true, o, &one->out[o], &part, 1e-6);
    }
    for (int i = 0; i < KIN_MAX_IN; i++) {
        if (!many->din[i].ptr || !op_case_rows(many, false, i, sample, &from, &to)) continue;
        const kin_tensor part = rows_of(&many->din[i], from, to);
        ok = ok && op_agree(one, false, i, &one->din[i], &part, 1e-6);
    }
    return ok;
}

bool op_same_bits(const op_case *got, const op_case *want, const char *when)
{
    bool ok = true;
    for (int o = 0; o < KIN_MAX_OUT; o++)
        if (got->out[o].ptr) ok = ok && op_same(got, true, o, &got->out[o], &want->out[o], when);
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (got->din[i].ptr) ok = ok && op_same(got, false, i, &got->din[i], &want->din[i], when);
    return ok;
}
