/* What a run of a program does with its rows, its random numbers, its gradients and its types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/program.h"

enum { ROWS = 8, WIDTH = 32 };

typedef struct rig {
    kin_ctx cx;
    kin_backend *backend;
    kin_params *params;
    kin_graph *graph;
    kin_program *program;
    void *act, *scratch;
} rig;

static void open_rig(rig *r, kin_dtype precision)
{
    *r = (rig){.backend = NULL};
    r->backend = kin_backend_ref(&r->cx, KIN_F32);
    r->params = kin_params_new(&r->cx);
    r->params->precision = precision;
    r->graph = kin_graph_new(&r->cx, r->params);
    assert_non_null(r->graph);
}

static kin_val input(rig *r, const char *name)
{
    const int sym = kin_dim(r->graph, "rows", ROWS);
    return kin_input(r->graph, name, kin_rows_of(r->graph, KIN_F32, sym, 1, 0, 2, (int64_t)WIDTH), false);
}

static void compile(rig *r, const kin_program_spec *spec)
{
    r->program = kin_program_compile(&r->cx, r->graph, r->backend, spec);
    if (!r->program) fail_msg("%s", r->cx.message);
    assert_int_equal(kin_params_alloc(&r->cx, r->params, r->backend, true, true), KIN_OK);
    r->act = kin_pages_alloc(r->program->act_bytes + 64);
    r->scratch = kin_pages_alloc(r->program->scratch_bytes + 64);
    kin_program_attach(r->program, r->act, r->scratch);
}

static void bind(rig *r, const char *name, void *p)
{
    assert_int_equal(kin_program_bind(&r->cx, r->program, name, p), KIN_OK);
}

static void run(rig *r, int64_t rows, uint64_t key)
{
    kin_run how = {.key = key};
    kin_run_rows(r->program, &how, "rows", rows);
    kin_params_begin(r->params);
    if (kin_program_run(&r->cx, r->program, &how) != KIN_OK) fail_msg("%s", r->cx.message);
    assert_int_equal(kin_params_finish(&r->cx, r->params), KIN_OK);
}

static void close_rig(rig *r)
{
    if (r->program) {
        kin_pages_free(r->act, r->program->act_bytes + 64);
        kin_pages_free(r->scratch, r->program->scratch_bytes + 64);
    }
    kin_program_free(r->program);
    kin_graph_free(r->graph);
    kin_params_free(r->params);
    kin_backend_close(r->backend);
}

static void fill(float *x, float first)
{
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = first + (float)(i % 7) * 0.3141f;
}

/* Same step and node: same draws. Another step, or another node: others. */
static void draws_are_by_step_and_node(void **state)
{
    static const kin_dropout_attr half = {.p = 0.5f, .t = 1};
    float x[ROWS * WIDTH], a[3][ROWS * WIDTH], b[ROWS * WIDTH];
    rig r;
    (void)state;
    open_rig(&r, KIN_F32);
    fill(x, 1.0f);
    const kin_val in = input(&r, "x");
    const kin_program_spec spec = {.output = {{kin_op1(r.graph, dropout, "one", &half, in), "one"},
                                              {kin_op1(r.graph, dropout, "two", &half, in), "two"}}};
    compile(&r, &spec);
    bind(&r, "x", x);
    bind(&r, "two", b);
    for (int i = 0; i < 3; i++) {
        bind(&r, "one", a[i]);
        run(&r, ROWS, i < 2 ? 5 : 6);
    }
    assert_memory_equal(a[0], a[1], sizeof b);
    assert_memory_not_equal(a[1], a[2], sizeof b);
    assert_memory_not_equal(a[2], b, sizeof b);
    close_rig(&r);
}

/* Rows that are not live are neither computed nor written. */
static void rows_are_those_of_the_run(void **state)
{
    float x[ROWS * WIDTH], y[ROWS * WIDTH];
    rig r;
    (void)state;
    open_rig(&r, KIN_F32);
    fill(x, 1.0f);
    const kin_program_spec spec = {
        .output = {
            {kin_op1(r.graph, act, "act", &((kin_act_attr){.kind = KIN_ACT_relu}), input(&r, "x")), "y"}}};
    compile(&r, &spec);
    bind(&r, "x", x);
    bind(&r, "y", y);
    for (int i = 0; i < ROWS * WIDTH; i++) y[i] = -9.0f;
    run(&r, 3, 0);
    for (int i = 0; i < ROWS * WIDTH; i++) assert_true(y[i] == (i < 3 * WIDTH ? x[i] : -9.0f));
    close_rig(&r);
}

/* y = x W^T with its gradient; W [WIDTH, WIDTH]. */
static kin_program_spec product(rig *r)
{
    const kin_init init = {.kind = KIN_INIT_UNIFORM, .arg = 1.0};
    kin_val x = input(r, "x");
    if (r->params->precision != KIN_F32)
        x = kin_op1(r->graph, cast, "cast", &((kin_cast_attr){.dtype = KIN_BF16}), x);
    const kin_val w = kin_weight(r->graph, "w", init, 2, (int64_t)WIDTH, (int64_t)WIDTH);
    kin_val y = kin_op1(r->graph, linear, "y", &((kin_linear_attr){0}), x, w);
    if (r->params->precision != KIN_F32)
        y = kin_op1(r->graph, cast, "back", &((kin_cast_attr){.dtype = KIN_F32}), y);
    return (kin_program_spec){.output = {{y, "y"}}, .seed = {{y, "y"}}};
}

static void open_product(rig *r, kin_dtype precision, float x[ROWS * WIDTH], float y[ROWS * WIDTH])
{
    open_rig(r, precision);
    fill(x, 1.0f);
    const kin_program_spec spec = product(r);
    compile(r, &spec);
    assert_int_equal(kin_params_init(&r->cx, r->params, 3), KIN_OK);
    bind(r, "x", x);
    bind(r, "y", y);
    bind(r, "d y", x);
}

static void gradients_are_of_one_step(void **state)
{
    enum { BYTES = WIDTH * WIDTH * sizeof(float) };
    float x[ROWS * WIDTH], y[ROWS * WIDTH], once[WIDTH * WIDTH];
    rig r;
    (void)state;
    open_product(&r, KIN_F32, x, y);
    run(&r, ROWS, 0);
    memcpy(once, kin_param_grad(r.params, 0), BYTES);
    run(&r, ROWS, 1);
    assert_memory_equal(once, kin_param_grad(r.params, 0), BYTES);
    close_rig(&r);
}

/* Kernels read rounded weights; what is kept is f32, and so is the gradient. The copy follows whoever changes
 * the values. */
static void matrices_are_read_in_the_runs_precision(void **state)
{
    float x[ROWS * WIDTH], y[2][ROWS * WIDTH], w[WIDTH * WIDTH];
    rig wide, narrow;
    (void)state;
    open_product(&wide, KIN_F32, x, y[0]);
    open_product(&narrow, KIN_BF16, x, y[1]);
    assert_int_equal(narrow.params->bytes - wide.params->bytes, WIDTH * WIDTH * 2);
    run(&narrow, ROWS, 0);
    run(&wide, ROWS, 0);
    assert_memory_not_equal(y[0], y[1], sizeof y[0]);
    for (int i = 0; i < 2; i++) { /* the same sum of the same rounded numbers, by hand, rounded */
        assert_int_equal(kin_param_get(&narrow.cx, narrow.params, 0, false, w), KIN_OK);
        for (int m = 0; m < ROWS; m++)
            for (int n = 0; n < WIDTH; n++) {
                double sum = 0.0;
                for (int k = 0; k < WIDTH; k++)
                    sum += (double)kin_from_bf16(kin_to_bf16(x[m * WIDTH + k])) *
                           (double)kin_from_bf16(kin_to_bf16(w[n * WIDTH + k]));
                assert_true(y[1][m * WIDTH + n] == kin_from_bf16(kin_to_bf16((float)sum)));
            }
        for (int k = 0; k < WIDTH * WIDTH; k++) w[k] = 0.37f * (float)(k % 11) - 1.7f;
        assert_int_equal(kin_param_set(&narrow.cx, narrow.params, 0, w), KIN_OK);
        run(&narrow, ROWS, 0);
    }
    close_rig(&wide);
    close_rig(&narrow);
}

/* batchnorm of x, whose mean a buffer follows, and relu; both recomputed for backward if asked. */
static void open_follower(rig *r, float *x, float *y, bool learns, bool recompute)
{
    const int64_t width = WIDTH;
    open_rig(r, KIN_F32);
    const kin_val gamma =
        kin_weight(r->graph, "gamma", (kin_init){.kind = KIN_INIT_CONST, .arg = 1.0}, 1, width);
    const kin_val beta =
        kin_weight(r->graph, "beta", (kin_init){.kind = KIN_INIT_CONST, .arg = 0.0}, 1, width);
    const kin_val mean = kin_buffer(r->graph, "mean", (kin_init){.kind = KIN_INIT_CONST, .arg = 0.5}, width);
    kin_val out[KIN_MAX_OUT];
    const kin_scope s = kin_enter(r->graph, "block", recompute);
    kin_apply(r->graph, KIN_OP_batchnorm, "norm", &((kin_norm_attr){1e-5f}),
              (const kin_val[KIN_MAX_IN]){input(r, "x"), gamma, beta}, out);
    kin_follow(r->graph, out[1], mean, 0.75f);
    const kin_val z = kin_leave(
        r->graph, s, kin_op1(r->graph, act, "act", &((kin_act_attr){.kind = KIN_ACT_gelu}), out[0]));
    const kin_val top = kin_op1(r->graph, act, "top", &((kin_act_attr){.kind = KIN_ACT_tanh}), z);
    kin_program_spec spec = {.output = {{top, "y"}}};
    if (learns) spec.seed[0] = spec.output[0];
    fill(x, 1.0f);
    compile(r, &spec);
    assert_int_equal(kin_params_init(&r->cx, r->params, 3), KIN_OK);
    bind(r, "x", x);
    bind(r, "y", y);
    if (learns) bind(r, "d y", x);
}

/* A buffer moves once a run of a program with a backward, recomputed or not, and in no other; it has no
 * gradient. */
static void buffers_follow(void **state)
{
    float x[ROWS * WIDTH], y[ROWS * WIDTH], have[WIDTH];
    (void)state;
    for (int kind = 0; kind < 3; kind++) { /* forward only, learning, learning with recomputation */
        rig r;
        open_follower(&r, x, y, kind > 0, kind == 2);
        const int at = kin_params_find(r.params, "mean");
        assert_null(kin_param_grad(r.params, at));
        double want[WIDTH];
        for (int k = 0; k < WIDTH; k++) want[k] = 0.5;
        for (int again = 0; again < 3; again++) {
            run(&r, ROWS, 0);
            assert_int_equal(kin_param_get(&r.cx, r.params, at, false, have), KIN_OK);
            for (int k = 0; k < WIDTH; k++) {
                double mean = 0.0;
                for (int m = 0; m < ROWS; m++) mean += (double)x[m * WIDTH + k] / ROWS;
                if (kind > 0) want[k] = 0.75 * want[k] + 0.25 * mean;
                assert_float_equal(have[k], (float)want[k], 1e-6);
            }
        }
        close_rig(&r);
    }
}

static void types_are_checked(void **state)
{
    rig r;
    (void)state;
    open_rig(&r, KIN_BF16);
    const kin_val w = kin_weight(r.graph, "w", (kin_init){0}, 2, (int64_t)WIDTH, (int64_t)WIDTH);
    assert_int_equal(kin_op1(r.graph, linear, "y", &((kin_linear_attr){0}), input(&r, "x"), w), KIN_NONE);
    assert_string_equal(r.cx.message, "linear 'y': input 1 is BF16, it must be F32");
    close_rig(&r);
    open_rig(&r, KIN_BF16);
    const kin_val half =
        kin_op1(r.graph, cast, "half", &((kin_cast_attr){.dtype = KIN_BF16}), input(&r, "x"));
    assert_int_equal(kin_op1(r.graph, triplet, "loss", &((kin_triplet_attr){0}), half, half), KIN_NONE);
    assert_string_equal(r.cx.message, "triplet 'loss': input 0 is BF16, it must be F32");
    close_rig(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_by_step_and_node),
        cmocka_unit_test(rows_are_those_of_the_run),
        cmocka_unit_test(gradients_are_of_one_step),
        cmocka_unit_test(matrices_are_read_in_the_runs_precision),
        cmocka_unit_test(buffers_follow),
        cmocka_unit_test(types_are_checked),
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
