/* blas: products by OpenBLAS against the reference, on every instruction set, with every transposition, with
 * '+=', bias and activation; the same bits at any number of threads; what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/cpu.h"
#include "tests/op_case.h"

static kin_backend *open_cpu(int threads, const char *isa, const char *blas)
{
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_cpu(&cx, threads, isa);
    if (b && kin_backend_cpu_blas(&cx, b, blas) != KIN_OK) fail_msg("%s", cx.message);
    return b;
}

static bool agree(const op_case *have, const op_case *want, double tolerance)
{
    bool ok = true;
    for (int o = 0; o < KIN_MAX_OUT; o++)
        if (have->out[o].ptr)
            ok = ok &&
                 (tolerance > 0.0 ? op_agree(have, true, o, &have->out[o], &want->out[o], tolerance)
                                  : op_same(have, true, o, &have->out[o], &want->out[o], "with 1 thread"));
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (have->din[i].ptr)
            ok = ok &&
                 (tolerance > 0.0 ? op_agree(have, false, i, &have->din[i], &want->din[i], tolerance)
                                  : op_same(have, false, i, &have->din[i], &want->din[i], "with 1 thread"));
    return ok;
}

/* The table's samples are small; this one has several tiles. */
static void large_case(op_case *c, kin_backend *b, int w_kn)
{
    kin_sample s = {.label = "large"};
    const kin_linear_attr a = {.act = KIN_ACT_gelu, .w_kn = w_kn};
    for (int i = 0; i < KIN_MAX_IN; i++) s.in[i].rank = -1;
    memcpy(s.attr.bytes, &a, sizeof a);
    s.in[0] = (kin_shape){.dtype = KIN_F32, .rank = 2, .dim = {1100, 300}, .sym = -1};
    s.in[1] =
        (kin_shape){.dtype = KIN_F32, .rank = 2, .dim = {w_kn ? 300 : 260, w_kn ? 260 : 300}, .sym = -1};
    s.in[2] = (kin_shape){.dtype = KIN_F32, .rank = 1, .dim = {260}, .sym = -1};
    op_case_make(c, b, KIN_OP_linear, &s);
    for (int i = 0; i < 3; i++)
        for (int64_t k = 0; k < kin_count(&c->in[i]); k++)
            op_set(&c->in[i], k, 0.3 * op_normal(5 + (uint64_t)i, k));
    for (int64_t k = 0; k < kin_count(&c->dout[0]); k++) op_set(&c->dout[0], k, op_normal(9, k));
}

static bool make(op_case *c, kin_backend *b, kin_op op, int sample)
{
    if (op == KIN_OP_linear && sample < 2) {
        large_case(c, b, sample);
        return true;
    }
    return op_case_open(c, b, op, op == KIN_OP_linear ? sample - 2 : sample, 4);
}

static void check(kin_op op)
{
    static const char *const isa[] = {"plain", "avx2", "avx512"};
    kin_ctx cx = {0};
    kin_backend *ref = kin_backend_ref(&cx, KIN_F64);
    for (size_t i = 0; i < sizeof isa / sizeof *isa; i++) {
        kin_backend *one = open_cpu(1, isa[i], "openblas");
        if (!one) continue;
        op_case want, have, again;
        for (int s = 0; make(&have, one, op, s); s++) {
            assert_true(make(&want, ref, op, s));
            op_case_both(&want, op_case_carries(&want));
            op_case_both(&have, op_case_carries(&have));
            op_require(agree(&have, &want, 1e-5));
            for (int threads = 1; threads <= 3; threads++) {
                kin_backend *b = open_cpu(threads, isa[i], "openblas");
                assert_true(make(&again, b, op, s));
                op_case_both(&again, op_case_carries(&again));
                op_require(agree(&again, &have, 0.0));
                /* '+=': twice the gradient */
                op_case_backward(&again, op_case_diff(&again), op_case_diff(&again), op_case_carries(&again));
                for (int d = 0; d < KIN_MAX_IN; d++)
                    for (int64_t k = 0; again.din[d].ptr && k < kin_count(&again.din[d]); k++)
                        op_set(&want.din[d], k, op_value(&have.din[d], k) * 2.0);
                for (int d = 0; d < KIN_MAX_IN; d++)
                    if (again.din[d].ptr)
                        op_require(op_agree(&again, false, d, &again.din[d], &want.din[d], 2e-6));
                op_case_close(&again);
                kin_backend_close(b);
            }
            op_case_close(&want);
            op_case_close(&have);
        }
        kin_backend_close(one);
    }
    kin_backend_close(ref);
}

static void linear_agrees(void **state)
{
    (void)state;
    if (!kin_blas_sgemm()) skip();
    check(KIN_OP_linear);
}

static void conv2d_agrees(void **state)
{
    (void)state;
    if (!kin_blas_sgemm()) skip();
    check(KIN_OP_conv2d);
}

static int calls;

static void counted(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                    const float *b, int ldb, float beta, float *c, int ldc)
{
    calls++;
    kin_blas_sgemm()(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/* The products go through it when they should, and not when they should not (bits would not tell: sums that
 * happen to be cut alike are equal). The variables are set for it. */
static void it_is_used(void **state)
{
    (void)state;
    if (!kin_blas_sgemm()) skip();
    kin_backend *own = open_cpu(1, NULL, "own"), *blas = open_cpu(1, NULL, "openblas");
    kin_cpu_dev *d = blas->dev;
    assert_null(((kin_cpu_dev *)own->dev)->sgemm);
    assert_true(d->sgemm == kin_blas_sgemm());
    d->sgemm = counted;
    op_case b;
    large_case(&b, blas, 0);
    calls = 0;
    op_case_forward(&b);
    assert_true(calls > 0);
    calls = 0;
    op_case_both(&b, OUT(0));
    assert_true(calls > 2); /* forward, dx, dW */
    op_case_close(&b);
    kin_backend_close(own);
    kin_backend_close(blas);
    assert_string_equal(getenv("OPENBLAS_NUM_THREADS"), "1");
    if (*kin_blas_core()) assert_non_null(getenv("OPENBLAS_CORETYPE"));
}

static void refused(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_backend *b = open_cpu(1, NULL, "own");
    assert_int_equal(kin_backend_cpu_blas(&cx, b, "mkl"), KIN_ARG);
    assert_string_equal(cx.message, "matrix products by 'mkl': auto, own and openblas are known");
    kin_backend_close(b);
    kin_clear(&cx);
    b = kin_backend_ref(&cx, KIN_F32);
    assert_int_equal(kin_backend_cpu_blas(&cx, b, "auto"), KIN_OK);
    assert_int_equal(kin_backend_cpu_blas(&cx, b, "openblas"), KIN_ARG);
    assert_string_equal(cx.message, "blas = openblas is for kernels of the processor, not for ref32");
    kin_backend_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_agrees),
        cmocka_unit_test(conv2d_agrees),
        cmocka_unit_test(it_is_used),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests_name("blas", tests, NULL, NULL);
}
