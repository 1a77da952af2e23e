/* The CUDA kernels on this processor (tests/cuemu), generated from the tables: T4 and what goes with it,
 * forward and backward, '+=', subsets, a sample alone, the same bits twice and in every order of threads;
 * every kernel of the sources was launched. */
#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/emulated.h"
#include "tests/fn_case.h"
#include "tests/op_checks.h"
#include "tests/weights_case.h"

static const double f32 = 1e-5; /* as in test_table.c */
static double tolerance = 1e-5, grad_tolerance = 1e-5;
static kin_backend *ref64, *cuda;

/* Activations and matrices in bf16, of 8 bits. Rounded once: half of the last bit. Twice, where a sum is kept
 * and read again: products before the bias, norms after the residual. Attention's gradient has the rounding
 * of its output (in dO . O) multiplied by keys and queries. */
static int in_bf16(void **state)
{
    const kin_op op = (kin_op)(intptr_t)*state;
    const bool twice = op == KIN_OP_linear || op == KIN_OP_layernorm || op == KIN_OP_rmsnorm;
    op_precision(KIN_BF16);
    tolerance = twice ? 0x1p-7 : 0x1p-8;
    grad_tolerance = op == KIN_OP_attention ? 0x1p-5 : tolerance;
    return 0;
}

static int in_f32(void **state)
{
    (void)state;
    op_precision(KIN_F32);
    tolerance = grad_tolerance = f32;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    ref64 = kin_backend_ref(&cx, KIN_F64);
    cuda = emulated_open(&cx);
    if (!cuda) print_error("%s\n", cx.message);
    return ref64 && cuda ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    kin_backend_close(ref64);
    kin_backend_close(cuda);
    return 0;
}

/* ThreadSanitizer sees races in whichever order threads run, and takes ten times as long: there every op runs
 * forward and backward once, and once more with '+='. */
#if defined(__SANITIZE_THREAD__)
enum { RACES_ONLY = 1 };
#else
enum { RACES_ONLY = 0 };
#endif

static kin_op op_of(void **state)
{
    return (kin_op)(intptr_t)*state;
}

static void t4_parity(void **state)
{
    for (int i = 0; i < (RACES_ONLY ? 1 : EMULATED_ORDERS); i++) {
        const char *order = emulated_order(i);
        if (!op_parity(op_of(state), cuda, ref64, tolerance, grad_tolerance))
            fail_msg("threads %s: %s", order, op_trouble());
    }
}

/* Each in the order that its number falls on. */
static void t6_t7_accumulate_and_subsets(void **state)
{
    op_case all, some;
    for (int s = 0; op_case_open(&all, cuda, op_of(state), s, 2); s++) {
        emulated_order(s % EMULATED_ORDERS);
        op_require(op_accumulates(&all, ref64));
        if (!RACES_ONLY) {
            assert_true(op_case_open(&some, cuda, op_of(state), s, 2));
            op_require(op_subsets_agree(&all, &some));
            op_case_close(&some);
        }
        op_case_close(&all);
    }
}

#if !defined(__SANITIZE_THREAD__)
static void t8_batch(void **state)
{
    enum { BATCH = 4 };
    op_case one, many;
    for (int s = 0; op_case_open(&many, cuda, op_of(state), s, BATCH); s++) {
        emulated_order((s + 1) % EMULATED_ORDERS);
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

#endif

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static void t10_bits(void **state)
{
    op_case c, again;
    for (int s = 0; op_case_open(&c, cuda, op_of(state), s, op_case_batch(op_of(state), s)); s++) {
        emulated_order(0);
        op_case_both(&c, op_case_carries(&c));
        for (int i = 0; i < EMULATED_ORDERS; i++) {
            const char *order = emulated_order(i);
            assert_true(op_case_open(&again, cuda, op_of(state), s, op_case_batch(op_of(state), s)));
            op_case_both(&again, op_case_carries(&c));
            op_require(op_same_bits(&again, &c, order));
            op_case_close(&again);
        }
        op_case_close(&c);
    }
}

#endif

/* ---- core/fns.def ---- */

static void functions_without_gradients(void **state)
{
    fn_case got, want;
    (void)state;
    for (int fn = 0; fn < KIN_FN_COUNT; fn++)
        for (int s = 0; fn_case_run(&want, ref64, (kin_fn)fn, s); s++) {
            for (int i = 0; i < EMULATED_ORDERS; i++) {
                const char *order = emulated_order(i);
                assert_true(fn_case_run(&got, cuda, (kin_fn)fn, s));
                fn_case_agree(&got, &want, fn == KIN_FN_sumsq ? 1e-12 : 2e-6, order);
                fn_case_close(&got);
            }
            fn_case_close(&want);
        }
}

/* In bf16 attention multiplies by weights that are rounded. */
static void weights_are_what_attention_uses(void **state)
{
    const bool half = *state != NULL;
    weights_case got, truth;
    for (int s = 0; weights_open(&truth, ref64, s); s++) {
        emulated_order(s % EMULATED_ORDERS);
        assert_true(weights_open(&got, cuda, s));
        weights_check(&got, &truth, 4e-6, half ? 0x1p-7 : 1e-5);
        weights_close(&got);
        weights_close(&truth);
    }
}

/* ---- nothing in the sources stays untested ---- */

static char *source(const char *name)
{
    char path[300];
    uint8_t *text;
    int64_t size;
    kin_ctx cx = {0};
    snprintf(path, sizeof path, "kernels/cuda/%s", name);
    if (kin_read_file(&cx, path, 1 << 20, &text, &size) != KIN_OK) fail_msg("%s", cx.message);
    return (char *)text;
}

/* Text after a "__global__ void": the kernel's name is the word before the first parenthesis that is not
 * __launch_bounds__'s. */
static void kernel_name(const char *at, char name[80])
{
    const char *bounds = strstr(at, "__launch_bounds__"), *open = strchr(at, '(');
    if (bounds && bounds < open) open = strchr(strchr(open, ')'), '(');
    const char *end = open, *from = end;
    while (isalnum((unsigned char)from[-1]) || from[-1] == '_') from--;
    snprintf(name, 80, "%.*s", (int)(end - from), from);
}

static void every_kernel_was_launched(void **state)
{
    (void)state;
    DIR *d = opendir("kernels/cuda");
    assert_non_null(d);
    int kernels = 0, idle = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || (strcmp(dot, ".cu") != 0 && strcmp(dot, ".cuh") != 0)) continue;
        char *text = source(e->d_name);
        for (const char *at = text; (at = strstr(at, "__global__ void")); kernels++) {
            char name[80];
            kernel_name(at += strlen("__global__ void"), name);
            if (emulated_launches(name) > 0) continue;
            print_error("%s: kernel %s was never launched\n", e->d_name, name);
            idle++;
        }
        free(text);
    }
    closedir(d);
    assert_true(kernels > 50);
    assert_int_equal(idle, 0);
}

/* The weights and their average change places. */
static void two_arrays_are_swapped(void **state)
{
    enum { N = 1000 };
    (void)state;
    float a[N], b[N];
    for (int i = 0; i < N; i++) a[i] = -(b[i] = (float)i);
    char *p = cuda->alloc(cuda, sizeof a), *q = cuda->alloc(cuda, sizeof b);
    cuda->upload(cuda, p, a, sizeof a);
    cuda->upload(cuda, q, b, sizeof b);
    cuda->swap(cuda, p, q, sizeof a - 4);
    cuda->download(cuda, a, p, sizeof a);
    cuda->download(cuda, b, q, sizeof b);
    for (int i = 0; i < N; i++) assert_true(a[i] == (float)(i < N - 1 ? i : -i) && b[i] == -a[i]);
    cuda->release(cuda, p, sizeof a);
    cuda->release(cuda, q, sizeof b);
}

static void no_memory_is_no_pointer(void **state)
{
    (void)state;
    emulated_memory(100 << 20);
    assert_null(cuda->alloc(cuda, 200 << 20));
    emulated_memory(0);
    kin_ctx cx = {0};
    assert_int_equal(kin_backend_check(&cx, cuda), KIN_OK);
}

/* A table so wide that its gradient would take 65,537 blocks across: more than a grid has in its second size.
 */
static void a_launch_over_the_limits_is_named(void **state)
{
    enum { WIDE = 32 * 65536 + 1, BYTES = WIDE * 4 };
    (void)state;
    kin_ctx cx = {0};
    kin_backend *b = emulated_open(&cx);
    assert_non_null(b);
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT], dout[KIN_MAX_OUT], din[KIN_MAX_IN];
    for (int i = 0; i < KIN_MAX_IN; i++) in[i] = din[i] = (kin_tensor){.rank = -1};
    for (int i = 0; i < KIN_MAX_OUT; i++) out[i] = dout[i] = (kin_tensor){.rank = -1};
    void *ids = b->alloc(b, 4), *dy = b->alloc(b, BYTES), *table = b->alloc(b, BYTES),
         *scratch = b->alloc(b, 64);
    in[0] = (kin_tensor){ids, KIN_I32, 1, {1}};
    in[1] = (kin_tensor){NULL, KIN_F32, 2, {1, WIDE}};
    din[1] = (kin_tensor){table, KIN_F32, 2, {1, WIDE}};
    dout[0] = (kin_tensor){dy, KIN_F32, 2, {1, WIDE}};
    const kin_embedding_attr attr = {0};
    b->ops[KIN_OP_embedding].bwd(&(kin_call){
        .in = in, .out = out, .dout = dout, .din = din, .attr = &attr, .scratch = scratch, .dev = b->dev});
    b->sync(b);
    assert_int_not_equal(kin_backend_check(&cx, b), KIN_OK);
    if (!strstr(cx.message, "embedding_gather on cuda") || !strstr(cx.message, "invalid configuration"))
        fail_msg("%s", cx.message);
    b->release(b, ids, 4);
    b->release(b, dy, BYTES);
    b->release(b, table, BYTES);
    b->release(b, scratch, 64);
    kin_backend_close(b);
}

static const struct CMUnitTest tests[] = {
#define T(test, op_name)                                                                                     \
    {#test ": " #op_name, test, NULL, NULL, (void *)(intptr_t)KIN_OP_##op_name},                             \
    {                                                                                                        \
#test " in bf16: " #op_name, test, in_bf16, in_f32, (void *)(intptr_t)KIN_OP_##op_name               \
    }
/* What only compares values of kernels that the others launch is not for the sanitizers. */
#if defined(__SANITIZE_THREAD__)
#define VALUES(name)
#elif defined(__SANITIZE_ADDRESS__)
#define VALUES(name) T(t8_batch, name),
#else
#define VALUES(name) T(t8_batch, name), T(t10_bits, name),
#endif
#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    T(t4_parity, name), T(t6_t7_accumulate_and_subsets, name), VALUES(name)
#include "core/ops.def"
#undef KIN_OP
    cmocka_unit_test(weights_are_what_attention_uses),
    {"weights_are_what_attention_uses in bf16", weights_are_what_attention_uses, in_bf16, in_f32,
     (void *)(intptr_t)KIN_OP_attention},
    cmocka_unit_test(functions_without_gradients),
    cmocka_unit_test(two_arrays_are_swapped),
    cmocka_unit_test(no_memory_is_no_pointer),
    cmocka_unit_test(a_launch_over_the_limits_is_named),
    cmocka_unit_test(every_kernel_was_launched),
};

int main(int argc, char **argv)
{
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
