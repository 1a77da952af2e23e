/* The rows of core/fns.def: parity with the f64 reference, guards, the same bits at any thread count, and
 * AdamW against PyTorch's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/backend.h"
#include "tests/weights_case.h"

enum { ISAS = 3, THREADS = 3, MOST_TENSORS = 5, GUARD = 64 };
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

/* What each row needs beyond its table: attributes, and which tensor is a result of one f64. */
static const kin_adamw_attr adamw = {.lr = 0.01f,
                                     .beta1 = 0.9f,
                                     .beta2 = 0.98f,
                                     .eps = 1e-6f,
                                     .wd = 0.2f,
                                     .bias1 = 0.271f,
                                     .bias2 = 0.0588f,
                                     .grad_scale = 0.37f};
static const kin_ema_attr ema = {.decay = 0.995f};

static const void *attr_of(kin_fn fn)
{
    return fn == KIN_FN_adamw ? (const void *)&adamw : fn == KIN_FN_ema ? (const void *)&ema : NULL;
}

static int tensors_of(kin_fn fn)
{
    static const int n[KIN_FN_COUNT] = {
#define KIN_FN(name, tensors, attr) tensors,
#include "core/fns.def"
#undef KIN_FN
    };
    return n[fn];
}

typedef struct fn_case {
    kin_fn fn;
    kin_tensor t[MOST_TENSORS];
    int64_t bytes[MOST_TENSORS];
} fn_case;

static fn_case fn_run(kin_backend *b, kin_fn fn, int64_t n)
{
    fn_case c = {.fn = fn};
    for (int i = 0; i < tensors_of(fn); i++) {
        const bool sum = fn == KIN_FN_sumsq && i == 1;
        kin_tensor *t = &c.t[i];
        *t = (kin_tensor){.dtype = op_fn_type(b, fn, i), .rank = 1, .dim = {sum ? 1 : n}};
        c.bytes[i] = t->dim[0] * (int64_t)kin_dtype_size(t->dtype);
        char *p = aligned_alloc(64, (size_t)(c.bytes[i] + 63) / 64 * 64 + 2 * GUARD);
        assert_non_null(p);
        memset(p, 0xff, (size_t)(c.bytes[i] + 63) / 64 * 64 + 2 * GUARD);
        t->ptr = p + GUARD;
        for (int64_t k = 0; !sum && k < n; k++) {
            const double v = op_normal((uint64_t)(7 + i), k);
            op_set(t, k, i == 3 ? v * v : v); /* second moments are not negative */
        }
    }
    op_fn(b, fn, c.t, tensors_of(fn), attr_of(fn), GUARD);
    for (int i = 0; i < tensors_of(fn); i++)
        for (int k = 0; k < GUARD; k++) {
            const unsigned char *p = c.t[i].ptr;
            if (p[-1 - k] != 0xff || p[c.bytes[i] + k] != 0xff)
                fail_msg("%s on %s wrote around tensor %d of %lld", kin_fn_name(fn), b->name, i,
                         (long long)n);
        }
    return c;
}

static void fn_free(fn_case *c)
{
    for (int i = 0; i < tensors_of(c->fn); i++) free((char *)c->t[i].ptr - GUARD);
}

static void close_to(kin_backend *b, const fn_case *got, const fn_case *want)
{
    for (int i = 0; i < tensors_of(got->fn); i++)
        for (int64_t k = 0; k < want->t[i].dim[0]; k++) {
            const double x = op_value(&got->t[i], k);
            double y = op_value(&want->t[i], k);
            if (got->t[i].dtype == KIN_BF16) /* a copy of the first: its own rounding */
                y = (double)kin_from_bf16(kin_to_bf16((float)op_value(&got->t[0], k)));
            if (!(fabs(x - y) <= 2e-6 * (fabs(y) + 0.1)))
                fail_msg("%s on %s, %lld elements: tensor %d [%lld] is %.9g, not %.9g", kin_fn_name(got->fn),
                         b->name, (long long)want->t[0].dim[0], i, (long long)k, x, y);
        }
}

static void same_bits(kin_backend *b, const fn_case *got, const fn_case *want)
{
    for (int i = 0; i < tensors_of(got->fn); i++)
        if (memcmp(got->t[i].ptr, want->t[i].ptr, (size_t)got->bytes[i]))
            fail_msg("%s on %s: tensor %d has other bits than with one thread", kin_fn_name(got->fn), b->name,
                     i);
}

static void parity_and_threads(void **state)
{
    static const int64_t sizes[] = {0, 1, 7, 1000, 100003};
    (void)state;
    for (int fn = 0; fn < KIN_FN_COUNT; fn++)
        for (size_t s = 0; op_fn_flat((kin_fn)fn) && s < sizeof sizes / sizeof *sizes; s++) {
            fn_case truth = fn_run(ref64, (kin_fn)fn, sizes[s]), single = fn_run(ref32, (kin_fn)fn, sizes[s]);
            close_to(ref32, &single, &truth);
            fn_free(&single);
            for (int i = 0; i < isas; i++) {
                fn_case one = fn_run(cpu[i][0], (kin_fn)fn, sizes[s]);
                close_to(cpu[i][0], &one, &truth);
                for (int n = 0; n < THREADS; n++) { /* once more with one thread, too */
                    fn_case c = fn_run(cpu[i][n], (kin_fn)fn, sizes[s]);
                    same_bits(cpu[i][n], &c, &one);
                    fn_free(&c);
                }
                fn_free(&one);
            }
            fn_free(&truth);
        }
}

/* sumsq in f32 is a sum in double: exact to 1e-12 of the values that it was given. */
static void sumsq_is_a_double(void **state)
{
    (void)state;
    for (int i = -1; i < isas; i++) {
        kin_backend *b = i < 0 ? ref32 : cpu[i][1];
        fn_case c = fn_run(b, KIN_FN_sumsq, 100003);
        double sum = 0.0;
        for (int64_t k = 0; k < 100003; k++) sum += op_value(&c.t[0], k) * op_value(&c.t[0], k);
        const double got = op_value(&c.t[1], 0);
        if (!(fabs(got - sum) < 1e-12 * sum)) fail_msg("sumsq on %s is %.17g, not %.17g", b->name, got, sum);
        fn_free(&c);
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
