/* The rows of core/fns.def: parity with the f64 reference, guards, the same bits at any thread count, and
 * AdamW against PyTorch's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/backend.h"
#include "tests/fn_case.h"
#include "tests/weights_case.h"

enum { ISAS = 3, THREADS = 3 };
static kin_backend *ref64, *ref32, *cpu[ISAS][THREADS];
static int isas;

static int setup(void **state)
{
    (void)state;
    static const char *const isa[ISAS] = {"plain", "avx2", "avx512"};
    kin_ctx cx = {0};
    ref64 = kin_backend_ref(&cx, KIN_F64);
    ref32 = kin_backend_ref(&cx, KIN_F32);
    for (int i = 0; i < ISAS; i++) {
        int n = 0;
        while (n < THREADS && (cpu[isas][n] = kin_backend_cpu(&cx, n + 1, isa[i]))) n++;
        if (n == THREADS) isas++;
    }
    return ref64 && ref32 && isas ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    kin_backend_close(ref64);
    kin_backend_close(ref32);
    for (int i = 0; i < isas; i++)
        for (int n = 0; n < THREADS; n++) kin_backend_close(cpu[i][n]);
    return 0;
}

static void parity_and_threads(void **state)
{
    fn_case truth, c, one;
    (void)state;
    for (int fn = 0; fn < KIN_FN_COUNT; fn++)
        for (int s = 0; fn_case_run(&truth, ref64, (kin_fn)fn, s); s++) {
            assert_true(fn_case_run(&c, ref32, (kin_fn)fn, s));
            fn_case_agree(&c, &truth, 2e-6, "beside f64");
            fn_case_close(&c);
            for (int i = 0; i < isas; i++) {
                assert_true(fn_case_run(&one, cpu[i][0], (kin_fn)fn, s));
                fn_case_agree(&one, &truth, 2e-6, "beside f64");
                for (int n = 0; n < THREADS; n++) { /* once more with one thread, too */
                    assert_true(fn_case_run(&c, cpu[i][n], (kin_fn)fn, s));
                    fn_case_same_bits(&c, &one, "beside one thread");
                    fn_case_close(&c);
                }
                fn_case_close(&one);
            }
            fn_case_close(&truth);
        }
}

/* sumsq in f32 is a sum in double: exact to 1e-12 of the values that it was given. */
static void sumsq_is_a_double(void **state)
{
    (void)state;
    for (int i = -1; i < isas; i++) {
        kin_backend *b = i < 0 ? ref32 : cpu[i][1];
        fn_case c;
        double sum = 0.0;
        assert_true(fn_case_run(&c, b, KIN_FN_sumsq, 4));
        for (int64_t k = 0; k < c.t[0].dim[0]; k++) sum += op_value(&c.t[0], k) * op_value(&c.t[0], k);
        const double got = op_value(&c.t[1], 0);
        if (!(fabs(got - sum) < 1e-12 * sum)) fail_msg("sumsq on %s is %.17g, not %.17g", b->name, got, sum);
        fn_case_close(&c);
    }
}

static void weights_are_what_attention_uses(void **state)
{
    weights_case truth, single, one, more;
    int s = 0;
    (void)state;
    for (; weights_open(&truth, ref64, s); s++) {
        weights_check(&truth, &truth, 1e-13, 1e-12);
        assert_true(weights_open(&single, ref32, s));
        weights_check(&single, &truth, 2e-6, 1e-5);
        weights_close(&single);
        for (int i = 0; i < isas; i++) {
            assert_true(weights_open(&one, cpu[i][0], s));
            weights_check(&one, &truth, 2e-6, 1e-5);
            assert_true(weights_open(&more, cpu[i][THREADS - 1], s));
            assert_memory_equal(more.w.ptr, one.w.ptr, (size_t)kin_count(&one.w) * sizeof(float));
            weights_close(&more);
            weights_close(&one);
        }
        weights_close(&truth);
    }
    assert_true(s > 10);
}

/* tests/golden/fns_golden.py */
static double golden_value(int64_t k)
{
    return (double)((37 * k + 11) % 101 - 50) / 32.0;
}

static void adamw_is_that_of_pytorch(void **state)
{
    enum { COUNT = 64, STEPS = 3 };
    (void)state;
    kin_ctx cx = {0};
    uint8_t *bytes;
    int64_t size;
    if (kin_read_file(&cx, "tests/golden/fns.bin", 1 << 20, &bytes, &size) != KIN_OK)
        fail_msg("%s", cx.message);
    assert_int_equal(size, STEPS * COUNT * 8);
    for (int i = -2; i < isas; i++) {
        kin_backend *b = i == -2 ? ref64 : i == -1 ? ref32 : cpu[i][1];
        double room[4][COUNT] = {{0}};
        kin_tensor t[5];
        for (int j = 0; j < 4; j++) t[j] = (kin_tensor){room[j], b->real, 1, {COUNT}};
        t[4] = (kin_tensor){.rank = -1};
        for (int64_t k = 0; k < COUNT; k++) op_set(&t[0], k, golden_value(k));
        kin_adamw_attr a = {.lr = 0.125f, .beta1 = 0.875f, .beta2 = 0.96875f, .eps = 0x1p-10f, .wd = 0.25f};
        a.grad_scale = 0.5f;
        for (int step = 1; step <= STEPS; step++) {
            a.bias1 = 1.0f - powf(a.beta1, (float)step);
            a.bias2 = 1.0f - powf(a.beta2, (float)step);
            for (int64_t k = 0; k < COUNT; k++) op_set(&t[1], k, golden_value(k + 1000 * step));
            op_fn(b, KIN_FN_adamw, t, 5, &a, 0);
            for (int64_t k = 0; k < COUNT; k++) {
                double want;
                memcpy(&want, bytes + 8 * ((step - 1) * COUNT + k), sizeof want);
                if (!(fabs(op_value(&t[0], k) - want) < (b->real == KIN_F64 ? 1e-13 : 2e-6)))
                    fail_msg("adamw on %s, step %d: p[%lld] is %.15g, PyTorch's is %.15g", b->name, step,
                             (long long)k, op_value(&t[0], k), want);
            }
        }
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parity_and_threads),
        cmocka_unit_test(sumsq_is_a_double),
        cmocka_unit_test(weights_are_what_attention_uses),
        cmocka_unit_test(adamw_is_that_of_pytorch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
