/* Generated from the op table: every op, every sample, tests T1 to T10 of docs/DESIGN.md; T11 against golden
 * values made by an independent f64 implementation (tests/golden/table_golden.py); T12: the tests themselves
 * are tested. test_table --dump FILE    writes the inputs of all cases, for the golden script */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden.h"
#include "tests/op_case.h"

/* Relative to the largest element of the f64 reference's tensor. f32 has 6e-8; the longest sums here have 700
 * terms and exponentials of up to 8. */
static const double tolerance = 1e-5;

enum { MAX_BACKENDS = 4 };
static kin_backend *ref64, *ref32, *cpu[MAX_BACKENDS];
static int cpus;

static int setup(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    ref64 = kin_backend_ref(&cx, KIN_F64);
    ref32 = kin_backend_ref(&cx, KIN_F32);
    static const char *const isa[] = {"plain", "avx2", "avx512"};
    for (int i = 0; i < 3; i++) {
        kin_clear(&cx);
        kin_backend *b = kin_backend_cpu(&cx, 2, isa[i]);
        if (b)
            cpu[cpus++] = b;
        else
            print_message("skipped: kernels for %s (%s)\n", isa[i], cx.message);
    }
    return ref64 && ref32 && cpus ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    kin_backend_close(ref64);
    kin_backend_close(ref32);
    for (int i = 0; i < cpus; i++) kin_backend_close(cpu[i]);
    return 0;
}

/* ---- T1: gradients against central differences in f64 ---------------------------------------------------
 */

static double objective(op_case *c, uint32_t carries)
{
    op_case_forward(c);
    double sum = 0.0;
    for (int o = 0; o < KIN_MAX_OUT; o++)
        for (int64_t k = 0; (carries & OUT(o)) && k < kin_count(&c->out[o]); k++)
            sum += op_value(&c->out[o], k) * op_value(&c->dout[o], k);
    return sum;
}

/* Fourth order: error h^4, so that h = 1e-3 leaves about 1e-12 of either kind. */
static double difference(op_case *c, int i, int64_t k, uint32_t carries)
{
    static const double step[4] = {-2.0, -1.0, 1.0, 2.0}, weight[4] = {1.0, -8.0, 8.0, -1.0};
    const double x = op_value(&c->in[i], k), h = 2e-4;
    double sum = 0.0;
    for (int s = 0; s < 4; s++) {
        op_set(&c->in[i], k, x + step[s] * h);
        sum += weight[s] * objective(c, carries);
    }
    op_set(&c->in[i], k, x);
    return sum / (12.0 * h);
}

static void gradcheck(op_case *c, int most_elements)
{
    const uint32_t diff = op_case_diff(c), carries = op_case_carries(c);
    op_case_forward(c);
    op_case_poison_din(c);
    op_case_backward(c, diff, 0, carries);
    for (int i = 0; i < KIN_MAX_IN; i++) {
        if (!(diff & IN(i))) continue;
        const int64_t n = kin_count(&c->in[i]), stride = kin_max64(1, n / most_elements);
        double largest = 1e-3;
        for (int64_t k = 0; k < n; k++) largest = fmax(largest, fabs(op_value(&c->din[i], k)));
        for (int64_t k = 0; k < n; k += stride) {
            const double d = difference(c, i, k, carries), g = op_value(&c->din[i], k);
            if (!(fabs(d - g) < 1e-6 * largest))
                fail_msg("%s '%s': d in[%d][%lld] is %.12g by differences, %.12g by backward",
                         c->row->def->name, c->s.label, i, (long long)k, d, g);
        }
    }
}

/* The cast to fewer bits is a staircase; its gradient is that of the identity by definition. */
static bool staircase(const op_case *c)
{
    return c->op == KIN_OP_cast && c->out[0].dtype != KIN_F64;
}

static void t1_gradcheck(kin_op op)
{
    op_case c;
    for (int s = 0; op_case_open(&c, ref64, op, s, 2); s++) {
        if (!staircase(&c)) gradcheck(&c, kin_count(&c.in[0]) > 2000 ? 6 : 40);
        op_case_close(&c);
    }
}

/* ---- T2, T3: f32 reference and every CPU instruction set against the f64 reference
 * ------------------------- */

static void compare(op_case *a, op_case *b, const char *what)
{
    for (int o = 0; o < KIN_MAX_OUT; o++) {
        if (!a->out[o].ptr) continue;
        const double e = op_error(&a->out[o], &b->out[o], -1);
        if (!(e < (a->out[o].dtype == KIN_I32 ? 1e-12 : tolerance)))
            fail_msg("%s '%s' on %s: %s out[%d] is off by %.3g", a->row->def->name, a->s.label, a->b->name,
                     what, o, e);
    }
    for (int i = 0; i < KIN_MAX_IN; i++) {
        if (!a->din[i].ptr) continue;
        const double e = op_error(&a->din[i], &b->din[i], -1);
        if (!(e < tolerance))
            fail_msg("%s '%s' on %s: %s din[%d] is off by %.3g", a->row->def->name, a->s.label, a->b->name,
                     what, i, e);
    }
}

static void both(op_case *c, uint32_t given)
{
    op_case_forward(c);
    op_case_poison_din(c);
    op_case_backward(c, op_case_diff(c), 0, given);
}

static void parity(kin_op op, kin_backend *b)
{
    op_case c, truth;
    for (int s = 0; op_case_open(&c, b, op, s, 3); s++) {
        assert_true(op_case_open(&truth, ref64, op, s, 3));
        both(&c, op_case_carries(&c));
        both(&truth, op_case_carries(&c));
        compare(&c, &truth, "with all cotangents,");
        for (int o = 0; o < KIN_MAX_OUT; o++) { /* an output without a cotangent counts as zeros */
            const uint32_t given = op_case_carries(&c) & OUT(o);
            if (!given || given == op_case_carries(&c)) continue;
            both(&c, given);
            both(&truth, given);
            compare(&c, &truth, "with one cotangent,");
        }
        op_case_close(&c);
        op_case_close(&truth);
    }
}

static void t2_ref32(kin_op op)
{
    parity(op, ref32);
}

static void t3_cpu(kin_op op)
{
    for (int i = 0; i < cpus; i++) parity(op, cpu[i]);
}

/* ---- T6, T7: '+=' and every subset of gradients
 * -------------------------------------------------------------- */

static void accumulate(op_case *c)
{
    const uint32_t diff = op_case_diff(c), carries = op_case_carries(c);
    op_case twin;
    memcpy(&twin, c, sizeof twin);
    both(c, carries);
    double *plain[KIN_MAX_IN] = {0};
    for (int i = 0; i < KIN_MAX_IN; i++) {
        const int64_t n = c->din[i].ptr ? kin_count(&c->din[i]) : 0;
        plain[i] = calloc((size_t)n + 1, sizeof(double));
        for (int64_t k = 0; k < n; k++) {
            plain[i][k] = op_value(&c->din[i], k);
            op_set(&c->din[i], k, op_normal(99, k));
        }
    }
    op_case_backward(c, diff, diff, carries);
    for (int i = 0; i < KIN_MAX_IN; i++) {
        double largest = 1.0;
        for (int64_t k = 0; (diff & IN(i)) && k < kin_count(&c->din[i]); k++)
            largest = fmax(largest, fabs(plain[i][k]));
        for (int64_t k = 0; (diff & IN(i)) && k < kin_count(&c->din[i]); k++)
            if (!(fabs(op_value(&c->din[i], k) - (plain[i][k] + op_normal(99, k))) < 2e-6 * largest))
                fail_msg("%s '%s' on %s: din[%d] += is not = plus what was there", c->row->def->name,
                         c->s.label, c->b->name, i);
        free(plain[i]);
    }
}

static void subsets(op_case *c, op_case *other)
{
    const uint32_t diff = op_case_diff(c), carries = op_case_carries(c);
    both(c, carries);
    op_case_forward(other);
    for (uint32_t wanted = 1; wanted < 1u << KIN_MAX_IN; wanted++) {
        if ((wanted & diff) != wanted) continue;
        op_case_poison_din(other);
        op_case_backward(other, wanted, 0, carries);
        for (int i = 0; i < KIN_MAX_IN; i++)
            if ((wanted & IN(i)) && !op_same_bits(&c->din[i], &other->din[i]))
                fail_msg("%s '%s' on %s: din[%d] alone has other bits than with all", c->row->def->name,
                         c->s.label, c->b->name, i);
    }
}

static void t6_t7(kin_op op)
{
    for (int i = -1; i < cpus; i++) {
        kin_backend *b = i < 0 ? ref32 : cpu[i];
        op_case c, other;
        for (int s = 0; op_case_open(&c, b, op, s, 2); s++) {
            accumulate(&c);
            assert_true(op_case_open(&other, b, op, s, 2));
            subsets(&c, &other);
            op_case_close(&c);
            op_case_close(&other);
        }
    }
}

/* ---- T8: a sample alone and in a batch
 * ------------------------------------------------------------------------ */

static void prefix(const op_case *one, const op_case *many, const kin_tensor *a, const kin_tensor *b,
                   const char *what)
{
    if (!a->ptr || kin_count(a) == kin_count(b)) return; /* a weight: it sees the whole batch */
    const double e = op_error(b, a, kin_count(a));
    if (!(e < 1e-6))
        fail_msg("%s '%s' on %s: %s of a sample differs by %.3g in a batch of %d", one->row->def->name,
                 one->s.label, many->b->name, what, e, 5);
}

static void t8_batch(kin_op op)
{
    for (int i = -1; i < cpus; i++) {
        kin_backend *b = i < 0 ? ref32 : cpu[i];
        op_case one, many;
        for (int s = 0; op_case_open(&one, b, op, s, 1); s++) {
            assert_true(op_case_open(&many, b, op, s, 5));
            both(&one, op_case_carries(&one));
            both(&many, op_case_carries(&many));
            for (int k = 0; one.s.batched && k < KIN_MAX_OUT; k++)
                prefix(&one, &many, &one.out[k], &many.out[k], "output");
            for (int k = 0; one.s.batched && k < KIN_MAX_IN; k++)
                prefix(&one, &many, &one.din[k], &many.din[k], "gradient");
            op_case_close(&one);
            op_case_close(&many);
        }
    }
}

/* ---- T10: the same bits twice, and at any thread count
 * -------------------------------------------------------- */

static void t10_bits(kin_op op)
{
    static const char *const isa[] = {"plain", "avx2", "avx512"};
    for (int n = 0; n < 3; n++) {
        for (int threads = 1; threads <= 3; threads++) {
            kin_ctx cx = {0};
            kin_backend *b = kin_backend_cpu(&cx, threads, isa[n]),
                        *two = b ? kin_backend_cpu(&cx, 2, isa[n]) : NULL;
            op_case c, other;
            for (int s = 0; b && two && op_case_open(&c, b, op, s, 4); s++) {
                assert_true(op_case_open(&other, two, op, s, 4));
                both(&c, op_case_carries(&c));
                both(&other, op_case_carries(&c));
                for (int k = 0; k < KIN_MAX_OUT; k++)
                    if (c.out[k].ptr && !op_same_bits(&c.out[k], &other.out[k]))
                        fail_msg("%s '%s' on %s: out[%d] differs at %d threads", c.row->def->name, c.s.label,
                                 b->name, k, threads);
                for (int k = 0; k < KIN_MAX_IN; k++)
                    if (c.din[k].ptr && !op_same_bits(&c.din[k], &other.din[k]))
                        fail_msg("%s '%s' on %s: din[%d] differs at %d threads", c.row->def->name, c.s.label,
                                 b->name, k, threads);
                op_case_close(&c);
                op_case_close(&other);
            }
            kin_backend_close(b);
            kin_backend_close(two);
        }
    }
}

/* ---- T11: golden values
 * ------------------------------------------------------------------------------------------ */

static void t11_golden(kin_op op)
{
    op_case c;
    for (int s = 0; op_case_open(&c, ref64, op, s, 2); s++) {
        both(&c, op_case_carries(&c));
        golden_compare(&c);
        op_case_close(&c);
    }
}

/* ---- the generated list
 * -------------------------------------------------------------------------------------------- */

#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    static void t1_##name(void **state)                                                                      \
    {                                                                                                        \
        (void)state;                                                                                         \
        t1_gradcheck(KIN_OP_##name);                                                                         \
    }                                                                                                        \
    static void t2_##name(void **state)                                                                      \
    {                                                                                                        \
        (void)state;                                                                                         \
        t2_ref32(KIN_OP_##name);                                                                             \
    }                                                                                                        \
    static void t3_##name(void **state)                                                                      \
    {                                                                                                        \
        (void)state;                                                                                         \
        t3_cpu(KIN_OP_##name);                                                                               \
    }                                                                                                        \
    static void t6_##name(void **state)                                                                      \
    {                                                                                                        \
        (void)state;                                                                                         \
        t6_t7(KIN_OP_##name);                                                                                \
    }                                                                                                        \
    static void t8_##name(void **state)                                                                      \
    {                                                                                                        \
        (void)state;                                                                                         \
        t8_batch(KIN_OP_##name);                                                                             \
    }                                                                                                        \
    static void t10_##name(void **state)                                                                     \
    {                                                                                                        \
        (void)state;                                                                                         \
        t10_bits(KIN_OP_##name);                                                                             \
    }                                                                                                        \
    static void t11_##name(void **state)                                                                     \
    {                                                                                                        \
        (void)state;                                                                                         \
        t11_golden(KIN_OP_##name);                                                                           \
    }
#include "core/ops.def"
#undef KIN_OP

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
#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    cmocka_unit_test(t1_##name), cmocka_unit_test(t2_##name), cmocka_unit_test(t3_##name),                   \
        cmocka_unit_test(t6_##name), cmocka_unit_test(t8_##name), cmocka_unit_test(t10_##name),              \
        cmocka_unit_test(t11_##name),
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
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
