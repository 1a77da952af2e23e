/* Generated from the op table: every op, every sample, tests T1 to T11 of docs/DESIGN.md (T5, fused against
 * composed, is in test_fused.c; T9, guards, happens in every call), and T12: that they can fail.
 *   test_table NAME          only tests that match, e.g. 't3_cpu: linear'
 *   test_table --worst       and the largest disagreement of each
 *   test_table --dump FILE   writes the inputs of all cases, for tests/golden/table_golden.py */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden.h"
#include "tests/op_checks.h"

/* Of op_agree. f32 has 6e-8; the longest sums here have 700 terms and exponentials of up to 8. */
static const double tolerance = 1e-5;

enum { ISAS = 3, THREADS = 3 };
static kin_backend *ref64, *ref32, *cpu[ISAS][THREADS];
static int isas;
static bool tell_worst;

static int setup(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    ref64 = kin_backend_ref(&cx, KIN_F64);
    ref32 = kin_backend_ref(&cx, KIN_F32);
    static const char *const isa[ISAS] = {"plain", "avx2", "avx512"};
    for (int i = 0; i < ISAS; i++) {
        kin_clear(&cx);
        int n = 0;
        while (n < THREADS && (cpu[isas][n] = kin_backend_cpu(&cx, n + 1, isa[i]))) n++;
        if (n == THREADS)
            isas++;
        else
            print_message("skipped: kernels for %s (%s)\n", isa[i], cx.message);
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

/* The reference in f32, then the instruction sets with two threads; NULL past the last. */
static kin_backend *backend(int i)
{
    return i == 0 ? ref32 : i <= isas ? cpu[i - 1][1] : NULL;
}

/* ---- T1: gradients against central differences in f64 -------------------------------------------- */

/* Directional derivative along u of the sum of outputs times cotangents. Fourth order, and outputs are
 * subtracted before they are summed: h = 2e-5 leaves about 1e-11, and steps over few kinks. */
static double difference(op_case *c, int i, const double *u)
{
    static const double step[4] = {-2.0, -1.0, 1.0, 2.0}, weight[4] = {1.0, -8.0, 8.0, -1.0};
    const double h = 2e-5;
    const uint32_t carries = op_case_carries(c);
    const int64_t n = kin_count(&c->in[i]);
    double *x = test_malloc((size_t)n * sizeof *x), sum = 0.0, *change[KIN_MAX_OUT] = {NULL};
    for (int64_t k = 0; k < n; k++) x[k] = op_value(&c->in[i], k);
    for (int s = 0; s < 4; s++) {
        for (int64_t k = 0; k < n; k++) op_set(&c->in[i], k, x[k] + step[s] * h * u[k]);
        op_case_forward(c);
        for (int o = 0; o < KIN_MAX_OUT; o++) {
            if (!(carries & OUT(o))) continue;
            if (!change[o]) change[o] = test_calloc((size_t)kin_count(&c->out[o]), sizeof *x);
            for (int64_t k = 0; k < kin_count(&c->out[o]); k++)
                change[o][k] += weight[s] * op_value(&c->out[o], k);
        }
    }
    for (int64_t k = 0; k < n; k++) op_set(&c->in[i], k, x[k]);
    for (int o = 0; o < KIN_MAX_OUT; o++) {
        for (int64_t k = 0; change[o] && k < kin_count(&c->out[o]); k++)
            sum += change[o][k] * op_value(&c->dout[o], k);
        if (change[o]) test_free(change[o]);
    }
    test_free(x);
    return sum / (12.0 * h);
}

/* Some elements one by one, the largest gradient among them; then all at once, each moved up or down. */
static bool check_input(op_case *c, int i, int64_t elements)
{
    const int64_t n = kin_count(&c->in[i]), stride = kin_max64(1, n / elements);
    double *u = test_calloc((size_t)n + 1, sizeof *u), square = 0.0, along = 0.0;
    int64_t most = 0;
    bool ok = true;
    for (int64_t k = 0; k < n; k++) {
        const double g = op_value(&c->din[i], k);
        square += g * g;
        if (fabs(g) > fabs(op_value(&c->din[i], most))) most = k;
    }
    const double scale = n ? 1e-3 + sqrt(square / (double)n) : 0.0;
    for (int64_t step = -1; ok && step * stride < n && n > 0; step++) {
        const int64_t k = step < 0 ? most : step * stride;
        u[k] = 1.0;
        const double d = difference(c, i, u), g = op_value(&c->din[i], k);
        u[k] = 0.0;
        if (!(fabs(d - g) < 1e-6 * (fabs(g) + scale)))
            ok = op_disagree(c, "d in[%d][%lld] is %.12g by backward, %.12g by differences", i, (long long)k,
                             g, d);
    }
    for (int64_t k = 0; k < n; k++) {
        u[k] = op_normal(77, k) < 0.0 ? -1.0 : 1.0;
        along += u[k] * op_value(&c->din[i], k);
    }
    const double d = ok && n ? difference(c, i, u) : along;
    if (!(fabs(d - along) <= 1e-6 * (fabs(along) + sqrt(square) + 1e-3)))
        ok = op_disagree(c, "d in[%d] along a direction is %.12g by backward, %.12g by differences", i, along,
                         d);
    test_free(u);
    return ok;
}

/* The cast to fewer bits is a staircase; its gradient is that of the identity by definition. */
static bool staircase(const op_case *c)
{
    return c->op == KIN_OP_cast && c->out[0].dtype != KIN_F64;
}

static bool gradients(kin_op op)
{
    op_case c;
    bool ok = true;
    for (int s = 0; ok && op_case_open(&c, ref64, op, s, op_case_batch(op, s)); s++) {
        op_case_both(&c, op_case_carries(&c));
        for (int i = 0; i < KIN_MAX_IN; i++)
            if (c.din[i].ptr && !staircase(&c))
                ok = ok && check_input(&c, i, kin_count(&c.in[0]) > 1500 ? 2 : 40);
        op_case_close(&c);
    }
    return ok;
}

static kin_op op_of(void **state)
{
    return (kin_op)(intptr_t)*state;
}

static void t1_gradients(void **state)
{
    op_require(gradients(op_of(state)));
}

/* ---- T2, T3: the f32 reference and every instruction set against the f64 reference ----------------- */

static bool parity(kin_op op, kin_backend *b)
{
    const bool ok = op_parity(op, b, ref64, tolerance, tolerance);
    if (tell_worst && ok) print_message("%.1e  %s on %s\n", op_worst(), kin_op_get(op)->def->name, b->name);
    return ok;
}

static void t2_ref32(void **state)
{
    op_require(parity(op_of(state), ref32));
}

static void t3_cpu(void **state)
{
    for (int i = 0; i < isas; i++) op_require(parity(op_of(state), cpu[i][1]));
}

/* ---- T6, T7: '+=', and every subset of gradients ---------------------------------------------------- */

static void t6_accumulate(void **state)
{
    op_case c;
    for (int i = 0; backend(i); i++)
        for (int s = 0; op_case_open(&c, backend(i), op_of(state), s, 2); s++) {
            op_require(op_accumulates(&c, ref64));
            op_case_close(&c);
        }
}

static void t7_subsets(void **state)
{
    op_case all, some;
    for (int i = 0; backend(i); i++)
        for (int s = 0; op_case_open(&all, backend(i), op_of(state), s, 2); s++) {
            assert_true(op_case_open(&some, backend(i), op_of(state), s, 2));
            op_require(op_subsets_agree(&all, &some));
            op_case_close(&all);
            op_case_close(&some);
        }
}

/* ---- T8: a sample alone and in a batch --------------------------------------------------------------- */

static void t8_batch(void **state)
{
    enum { BATCH = 5 };
    op_case one, many;
    for (int i = 0; backend(i); i++)
        for (int s = 0; op_case_open(&many, backend(i), op_of(state), s, BATCH); s++) {
            if (many.s.batched) op_case_both(&many, op_case_carries(&many));
            for (int64_t b = 0; many.s.batched && b < BATCH; b++) {
                op_case_alone(&one, &many, b);
                op_case_both(&one, op_case_carries(&one));
                op_require(op_alone_agrees(&one, &many, b));
                op_case_close(&one);
            }
            op_case_close(&many);
        }
}

/* ---- T10: the same bits twice, and at any thread count ------------------------------------------------ */

static void t10_bits(void **state)
{
    static const char *const when[THREADS] = {"a second time", "with 1 thread, not 2",
                                              "with 1 thread, not 3"};
    op_case c, again;
    for (int i = 0; i < isas; i++)
        for (int s = 0; op_case_open(&c, cpu[i][0], op_of(state), s, 4); s++) {
            op_case_both(&c, op_case_carries(&c));
            for (int n = 0; n < THREADS; n++) {
                assert_true(op_case_open(&again, cpu[i][n], op_of(state), s, 4));
                op_case_both(&again, op_case_carries(&c));
                op_require(op_same_bits(&again, &c, when[n]));
                op_case_close(&again);
            }
            op_case_close(&c);
        }
}

/* ---- T11: golden values ------------------------------------------------------------------------------ */

static bool golden(kin_op op)
{
    op_case c;
    bool ok = true;
    for (int s = 0; ok && op_case_open(&c, ref64, op, s, op_case_batch(op, s)); s++) {
        op_case_both(&c, op_case_carries(&c));
        ok = golden_agrees(&c);
        op_case_close(&c);
    }
    return ok;
}

static void t11_golden(void **state)
{
    op_require(golden(op_of(state)));
}

/* ---- T12: a result that is wrong by one part in a thousand fails ------------------------------------- */

/* Whatever any sample of the op has. */
static void shapes_of(kin_op op, uint32_t *outs, uint32_t *carries, uint32_t *dins)
{
    op_case c;
    *outs = *carries = *dins = 0;
    for (int s = 0; op_case_open(&c, ref64, op, s, 2); s++) {
        for (int o = 0; o < KIN_MAX_OUT; o++)
            if (c.out[o].ptr) *outs |= OUT(o);
        *carries |= op_case_carries(&c);
        *dins |= op_case_diff(&c);
        op_case_close(&c);
    }
}

static void t12_mutants(void **state)
{
    const kin_op op = op_of(state);
    const char *name = kin_op_get(op)->def->name;
    uint32_t outs, carries, dins;
    shapes_of(op, &outs, &carries, &dins);
    for (int k = 0; k < KIN_MAX_OUT + KIN_MAX_IN; k++) {
        const bool out = k < KIN_MAX_OUT;
        const int i = out ? k : k - KIN_MAX_OUT;
        if (!(out ? outs & OUT(i) : dins & IN(i))) continue;
        op_mutate(op, out, i, KIN_F32);
        const bool unseen = parity(op, ref32);
        op_mutate(op, out, i, KIN_F64);
        const bool no_golden = (!out || carries & OUT(i)) && golden(op);
        const bool no_gradient = !out && op != KIN_OP_cast && gradients(op);
        op_mutate(op, out, -1, KIN_F64);
        if (unseen) fail_msg("%s: a wrong %s[%d] passes T2", name, out ? "out" : "d in", i);
        if (no_golden) fail_msg("%s: a wrong %s[%d] passes T11", name, out ? "out" : "d in", i);
        if (no_gradient) fail_msg("%s: a wrong d in[%d] passes T1", name, i);
    }
}

/* ---- the generated list -------------------------------------------------------------------------------- */

/* Every op has at least one sample: a row without tests does not pass. */
static void every_op_has_samples(void **state)
{
    (void)state;
    for (int op = 0; op < KIN_OP_COUNT; op++) {
        kin_sample s;
        assert_true(kin_op_get((kin_op)op)->def->sample(0, 2, &s));
    }
}

/* Every activation value is a case of linear and of act. */
static void every_activation_is_sampled(void **state)
{
    (void)state;
    uint32_t linear = 0, act = 0;
    kin_sample s;
    for (int i = 0; kin_op_linear.sample(i, 1, &s); i++)
        linear |= 1u << ((const kin_linear_attr *)(const void *)s.attr.bytes)->act;
    for (int i = 0; kin_op_act.sample(i, 1, &s); i++)
        act |= 1u << ((const kin_act_attr *)(const void *)s.attr.bytes)->kind;
    assert_int_equal(linear, (1u << KIN_ACT_COUNT) - 1);
    assert_int_equal(act, (1u << KIN_ACT_COUNT) - 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_op_has_samples),
    cmocka_unit_test(every_activation_is_sampled),
#define T(test, op_name)                                                                                     \
    {                                                                                                        \
#test ": " #op_name, test, NULL, NULL, (void *)(intptr_t)KIN_OP_##op_name                            \
    }
#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    T(t1_gradients, name), T(t2_ref32, name), T(t3_cpu, name), T(t6_accumulate, name), T(t7_subsets, name),  \
        T(t8_batch, name), T(t10_bits, name), T(t11_golden, name), T(t12_mutants, name),
#include "core/ops.def"
#undef KIN_OP
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--dump") == 0) {
        kin_ctx cx = {0};
        ref64 = kin_backend_ref(&cx, KIN_F64);
        return golden_dump(ref64, argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "--worst") == 0)
        tell_worst = true;
    else if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
