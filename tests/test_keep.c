/* What programs keep of their inside: the values that outputs would have, with the forward's bits unchanged;
 * attention's weights; names that are not there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/program.h"

enum { ROWS = 8, HEADS = 2, WIDTH = 8, ALL = 3 * HEADS * WIDTH, LENGTH = 4, LAYERS = 4, COUNT = ROWS * ALL };

typedef struct rig {
    kin_ctx cx;
    kin_backend *backend;
    kin_params *params;
    kin_graph *graph;
    kin_program *program;
    kin_val layer[LAYERS], seen, y;
    void *act, *scratch;
    float x[COUNT], out[COUNT], d_y[COUNT];
} rig;

/* "body" of layers "0" .. "3", each in a recompute block if asked; then "look" attends causally. */
static void build(rig *r, bool recompute)
{
    kin_graph *g = r->graph;
    const int sym = kin_dim(g, "rows", ROWS);
    kin_val h = kin_input(g, "x", kin_rows_of(g, KIN_F32, sym, 1, 0, 2, (int64_t)ALL), false);
    const kin_scope body = kin_enter(g, "body", false);
    for (int i = 0; i < LAYERS; i++) {
        const char name[2] = {(char)('0' + i), 0};
        const kin_scope s = kin_enter(g, name, recompute);
        const kin_val w = kin_weight(g, "w", (kin_init){.kind = KIN_INIT_NORMAL, .arg = 0.3}, 2, (int64_t)ALL,
                                     (int64_t)ALL);
        const kin_linear_attr gelu = {.act = KIN_ACT_gelu};
        h = r->layer[i] = kin_leave(g, s, kin_op1(g, linear, "fc", &gelu, h, w));
    }
    kin_leave(g, body, h);
    const kin_scope look = kin_enter(g, "look", false);
    const kin_attention_attr a = {.scale = 0.5f, .causal = 1, .tq = LENGTH, .tk = LENGTH, .max_tk = LENGTH};
    r->seen =
        kin_op1(g, attention, "attention", &a, kin_reshape(g, h, 4, (const int64_t[]){3, HEADS, WIDTH}));
    kin_leave(g, look, r->seen);
    r->y = kin_op1(g, act, "y", &((kin_act_attr){.kind = KIN_ACT_tanh}), r->seen);
}

static void open_rig(rig *r, bool recompute)
{
    memset(r, 0, sizeof *r);
    r->backend = kin_backend_cpu(&r->cx, 1, NULL);
    r->params = kin_params_new(&r->cx);
    r->graph = kin_graph_new(&r->cx, r->params);
    assert_non_null(r->graph);
    build(r, recompute);
    for (int i = 0; i < COUNT; i++) {
        r->x[i] = sinf((float)i);
        r->d_y[i] = cosf(0.3f * (float)i);
    }
}

/* The layer after which `out` is read: LAYERS for y. */
static void run(rig *r, int out, bool learn, const kin_keep *keep, int64_t rows)
{
    kin_program_spec spec = {.output = {{out == LAYERS ? r->y : r->layer[out], "out"}}, .keep = *keep};
    if (learn) spec.seed[0] = spec.output[0];
    r->program = kin_program_compile(&r->cx, r->graph, r->backend, &spec);
    if (!r->program) fail_msg("%s", r->cx.message);
    assert_int_equal(kin_params_alloc(&r->cx, r->params, r->backend, true, false), KIN_OK);
    assert_int_equal(kin_params_init(&r->cx, r->params, 1), KIN_OK);
    r->act = kin_pages_alloc(r->program->act_bytes + 64);
    r->scratch = kin_pages_alloc(r->program->scratch_bytes + 64);
    kin_program_attach(r->program, r->act, r->scratch);
    kin_program_bind(&r->cx, r->program, "x", r->x);
    kin_program_bind(&r->cx, r->program, "out", r->out);
    if (learn) kin_program_bind(&r->cx, r->program, "d out", r->d_y);
    kin_run how = {0};
    kin_run_rows(r->program, &how, "rows", rows);
    kin_params_begin(r->params);
    if (kin_program_run(&r->cx, r->program, &how) != KIN_OK) fail_msg("%s", r->cx.message);
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

static const kin_keep nothing;

static void same_gradients(const rig *a, const rig *b)
{
    for (int i = 0; i < LAYERS; i++) {
        const float *x = kin_param_grad(a->params, i), *y = kin_param_grad(b->params, i);
        assert_memory_equal(x, y, ALL * ALL * sizeof *x);
    }
}

/* kind 0: forward only, 1: with a backward, 2: whose layers are computed again. */
static void kept_values_are_those_of_outputs(void **state)
{
    static const char *const some[] = {"body.[012]", "body.1", "body.2.fc", NULL};
    const kin_keep keep = {.value = some};
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int64_t rows = LENGTH; rows <= ROWS; rows += LENGTH) {
            rig with, without;
            open_rig(&with, kind == 2);
            open_rig(&without, kind == 2);
            run(&with, LAYERS, kind > 0, &keep, rows);
            run(&without, LAYERS, kind > 0, &nothing, rows);
            assert_memory_equal(with.out, without.out, sizeof with.out);
            if (kind > 0) same_gradients(&with, &without);
            assert_int_equal(with.program->kepts, 4); /* each name once */
            if (kind == 0) assert_true(with.program->act_bytes > without.program->act_bytes);
            for (int i = 0; i < 3; i++) {
                const char name[] = {'b', 'o', 'd', 'y', '.', (char)('0' + i), 0};
                rig other;
                kin_tensor t;
                open_rig(&other, false);
                run(&other, i, false, &nothing, rows);
                if (kin_program_kept(&with.cx, with.program, name, &t) != KIN_OK)
                    fail_msg("%s", with.cx.message);
                assert_true(t.dtype == KIN_F32 && t.rank == 2 && t.dim[0] == rows && t.dim[1] == ALL);
                assert_memory_equal(t.ptr, other.out, (size_t)kin_count(&t) * sizeof(float));
                close_rig(&other);
            }
            close_rig(&with);
            close_rig(&without);
        }
}

static void weights_are_those_of_the_run(void **state)
{
    static const char *const look[] = {"look", NULL}, *const body[] = {"body", "look", NULL};
    const kin_keep keep = {.attention = look, .value = body};
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int64_t rows = LENGTH; rows <= ROWS; rows += LENGTH) {
            rig with, without;
            kin_tensor w = {0}, qkv, seen;
            float weight[ROWS * HEADS * LENGTH];
            open_rig(&with, kind == 2);
            open_rig(&without, kind == 2);
            run(&with, LAYERS, kind > 0, &keep, rows);
            run(&without, LAYERS, kind > 0, &nothing, rows);
            assert_memory_equal(with.out, without.out, sizeof with.out);
            assert_int_equal(kin_program_attention(&with.cx, with.program, "look", &w), KIN_OK);
            assert_true(w.rank == 3 && w.dim[0] == rows && w.dim[1] == HEADS && w.dim[2] == LENGTH);
            w.ptr = weight;
            assert_int_equal(kin_program_attention(&with.cx, with.program, "look.attention", &w), KIN_OK);
            assert_int_equal(kin_program_kept(&with.cx, with.program, "body", &qkv), KIN_OK);
            assert_int_equal(kin_program_kept(&with.cx, with.program, "look", &seen), KIN_OK);
            for (int64_t q = 0; q < rows; q++)
                for (int64_t h = 0; h < HEADS; h++)
                    for (int64_t d = 0; d < WIDTH; d++) {
                        double o = 0.0;
                        for (int64_t j = 0; j < LENGTH; j++) {
                            const float p = weight[(q * HEADS + h) * LENGTH + j];
                            const int64_t key = q / LENGTH * LENGTH + j;
                            if (j > q % LENGTH) assert_true(p == 0.0f);
                            o += (double)p *
                                 (double)((const float *)
                                              qkv.ptr)[key * ALL + 2 * HEADS * WIDTH + h * WIDTH + d];
                        }
                        const double x = (double)((const float *)seen.ptr)[(q * HEADS + h) * WIDTH + d];
                        assert_true(fabs(x - o) <= 1e-6 * (1.0 + fabs(o)));
                    }
            close_rig(&with);
            close_rig(&without);
        }
}

static void refused(const kin_keep *keep, const char *want)
{
    rig r;
    open_rig(&r, false);
    const kin_program_spec spec = {.output = {{r.layer[0], "out"}}, .keep = *keep};
    assert_null(kin_program_compile(&r.cx, r.graph, r.backend, &spec));
    assert_int_equal(r.cx.status, KIN_ARG);
    assert_string_equal(r.cx.message, want);
    close_rig(&r);
}

static void unknown_names_say_which_there_are(void **state)
{
    static const char *const wrong[] = {"body.0", "body.7", NULL};
    (void)state;
    refused(&(kin_keep){.value = wrong},
            "no value is called 'body.7'; there are body, look, body.0, body.1, body.2, body.3");
    refused(&(kin_keep){.attention = wrong}, "no attention is called 'body.0'; there are look.attention");
}

static void what_was_not_kept_cannot_be_read(void **state)
{
    static const char *const first[] = {"body.0", NULL};
    rig r;
    kin_tensor t = {0};
    (void)state;
    open_rig(&r, false);
    run(&r, LAYERS, false, &(kin_keep){.value = first}, ROWS);
    assert_int_equal(kin_program_kept(&r.cx, r.program, "body.1", &t), KIN_ARG);
    assert_string_equal(r.cx.message, "the program was not asked to keep 'body.1'");
    kin_clear(&r.cx);
    assert_int_equal(kin_program_attention(&r.cx, r.program, "look", &t), KIN_ARG);
    kin_clear(&r.cx);
    const kin_program_spec spec = {.output = {{r.y, "out"}}, .keep = {.value = first}};
    kin_program *fresh = kin_program_compile(&r.cx, r.graph, r.backend, &spec);
    assert_non_null(fresh);
    assert_int_equal(kin_program_kept(&r.cx, fresh, "body.0", &t), KIN_ARG);
    assert_string_equal(r.cx.message, "'body.0' has not been computed yet");
    kin_program_free(fresh);
    close_rig(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_values_are_those_of_outputs),
        cmocka_unit_test(weights_are_those_of_the_run),
        cmocka_unit_test(unknown_names_say_which_there_are),
        cmocka_unit_test(what_was_not_kept_cannot_be_read),
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
