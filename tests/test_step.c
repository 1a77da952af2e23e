/* step: one whole training step against PyTorch (T11), ragged against padded, clipping and decay, recompute,
 * freezing, and the count of what is computed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden_step.h"
#include "tests/step_rig.h"
#include "train/optim.h"

/* ---- against PyTorch ---- */

static void check_step(kin_backend *backend, double tolerance)
{
    step_rig r;
    double out[B * E];
    step_open(&r, backend, (step_variant){0});
    const kin_pairs p = step_pairs(B, B);
    golden_file g = golden_open("tests/golden/step.bin");
    close_to(step_run(&r, &p), golden_take(&g), tolerance, "loss");
    for (int text = 0; text < 2; text++) {
        step_embeddings(&r, &p, text, out);
        for (int i = 0; i < B * E; i++) close_to(out[i], golden_take(&g), tolerance, text ? "text" : "image");
    }
    golden_parameters(&g, r.params, tolerance);
    step_close(&r);
}

static void test_whole_step_of_ref(void **state)
{
    (void)state;
    check_step(step_ref64(), 1e-10);
}

/* PyTorch's texts are padded, kin's are ragged: equal within 1e-5 on the kernels that people run. */
static void test_ragged_equals_padded(void **state)
{
    (void)state;
    check_step(step_cpu(2), 1e-5);
}

/* After one update the first moment is 1 - beta1 times the gradient, scaled. Returns the gradient's norm. */
static double check_clipping(double clip)
{
    step_rig r;
    step_open(&r, step_cpu(2), (step_variant){0});
    const kin_pairs p = step_pairs(B, B);
    step_run(&r, &p);
    double square = 0.0, norm;
    for (int i = 0; i < r.params->count; i++)
        for (int64_t k = 0; k < r.params->param[i].count; k++)
            square += pow(step_element(&r, kin_param_grad(r.params, i), k), 2.0);
    kin_optim o;
    const kin_optim_cfg cfg = {
        .beta1 = 0.875, .beta2 = 0.96875, .eps = 0x1p-10, .clip = clip, .scale_max = 100.0};
    assert_int_equal(kin_optim_open(&r.cx, &o, r.params, &cfg), KIN_OK);
    assert_int_equal(kin_optim_update(&r.cx, &o, 0x1p-7, &norm), KIN_OK);
    close_to(norm, sqrt(square), 1e-5, "norm");
    const double scale = clip > 0.0 && norm > clip ? clip / norm : 1.0;
    for (int g = 0; g < KIN_GROUP_COUNT; g++)
        for (int64_t k = 0; k < r.params->flat[g].count; k++)
            close_to(step_element(&r, r.params->flat[g].m, k),
                     0.125 * scale * step_element(&r, r.params->flat[g].grad, k), 1e-6, "first moment");
    kin_optim_close(&o);
    step_close(&r);
    return norm;
}

/* One norm over all groups: above clip the gradient is scaled down to it, below it is left as it is. */
static void test_clipping(void **state)
{
    (void)state;
    const double norm = check_clipping(0.0);
    check_clipping(0.25 * norm);
    check_clipping(4.0 * norm);
}

/* Matrices decay by lr * wd of what they were, beside Adam's step; gains, biases and the scale do not
 * (open_clip leaves out all of fewer than two dimensions). */
static void test_decay(void **state)
{
    (void)state;
    const double lr = 0x1p-7, wd = 0.5;
    step_rig r[2];
    const kin_pairs p = step_pairs(B, B);
    double *before = NULL;
    for (int k = 0; k < 2; k++) {
        double norm;
        kin_optim o;
        const kin_optim_cfg cfg = {
            .beta1 = 0.875, .beta2 = 0.96875, .eps = 0x1p-10, .wd = k * wd, .scale_max = 100.0};
        step_open(&r[k], step_ref64(), (step_variant){0});
        step_run(&r[k], &p);
        const kin_flat *matrices = &r[k].params->flat[KIN_GROUP_DECAY];
        if (!before) before = malloc((size_t)matrices->count * sizeof *before);
        memcpy(before, matrices->value, (size_t)matrices->count * sizeof *before);
        assert_int_equal(kin_optim_open(&r[k].cx, &o, r[k].params, &cfg), KIN_OK);
        assert_int_equal(kin_optim_update(&r[k].cx, &o, lr, &norm), KIN_OK);
        kin_optim_close(&o);
    }
    int matrices = 0, others = 0;
    for (int i = 0; i < r[0].params->count; i++) {
        const kin_param *q = &r[0].params->param[i];
        const double *x = kin_param_value(r[0].params, i), *y = kin_param_value(r[1].params, i);
        const double *start = (const double *)r[1].params->flat[KIN_GROUP_DECAY].value;
        const double *was = before + (y - start); /* only of matrices */
        const bool decays = q->shape.rank >= 2;
        for (int64_t k = 0; k < q->count; k++)
            if (!(fabs(x[k] - y[k] - (decays ? lr * wd * was[k] : 0.0)) <= 1e-9))
                fail_msg("%s: %.12g without decay, %.12g with", q->name, x[k], y[k]);
        *(decays ? &matrices : &others) += 1;
    }
    assert_true(matrices > 4 && others > 4);
    free(before);
    for (int k = 0; k < 2; k++) step_close(&r[k]);
}

/* Convolutions and residual blocks before the transformer: the CPU's kernels against f64. */
static void check_stem(const char *norm, int64_t gains)
{
    static const char form[] =
        "{\"embed_dim\": 24, \"init_logit_scale\": 2.0,"
        " \"vision_cfg\": {\"image_size\": 16, \"layers\": 1, \"width\": 32, \"head_width\": 16,"
        " \"patch_size\": 4, \"pool_type\": \"avg\"},"
        " \"text_cfg\": {\"context_length\": 10, \"vocab_size\": 20, \"width\": 32, \"heads\": 2, "
        "\"layers\": 1},"
        " \"kin_cfg\": {\"vision\": {\"class_token\": false, \"stem\": [6, 10], \"stem_blocks\": [1, 2], "
        "\"stem_norm\": \"%s\"}}}";
    char model[sizeof form + 16];
    snprintf(model, sizeof model, form, norm);
    const kin_pairs p = step_pairs(6, 6);
    const step_variant how = {.batch = 6, .texts = 6, .model = model};
    step_rig exact, fast;
    step_open(&exact, step_ref64(), how);
    step_open(&fast, step_cpu(2), how);
    assert_true(kin_params_find(fast.params, "visual.stem.0.0.conv_1.weight") >= 0);
    const int ln = kin_params_find(fast.params, "visual.stem.1.0.ln_1.weight");
    assert_true(ln >= 0 && fast.params->param[ln].count == gains);
    assert_true(kin_params_find(fast.params, "visual.stem.1.1.conv_2.weight") >= 0);
    const double loss = step_run(&exact, &p);
    assert_true(fabs(step_run(&fast, &p) - loss) <= 1e-5 * loss);
    const double differ = step_gradients_differ(&exact, &fast);
    if (!(differ < 1e-4)) fail_msg("gradients differ by %.3g", differ);
    step_close(&exact);
    step_close(&fast);
}

static void test_stem_with_blocks(void **state)
{
    (void)state;
    check_stem("pixel", 10);
    check_stem("map", 4 * 4 * 10);
}

static void test_recompute_is_bit_equal(void **state)
{
    (void)state;
    const kin_pairs p = step_pairs(11, 17);
    step_rig kept, again;
    step_open(&kept, step_cpu(2), (step_variant){.batch = 12, .texts = 18});
    step_open(&again, step_cpu(2), (step_variant){.batch = 12, .texts = 18, .recompute = true});
    assert_true(step_run(&kept, &p) == step_run(&again, &p));
    assert_true(step_gradients_differ(&kept, &again) == 0.0);
    assert_true(again.programs.act_bytes < kept.programs.act_bytes);
    step_close(&kept);
    step_close(&again);
}

/* Exact InfoNCE over 32,768 pairs of 512 holds step_embeddings, their gradients and room that grows with the
 * batch, not with its square: below 300 MB. (bench/growth runs it.) */
static void test_loss_memory_is_linear(void **state)
{
    (void)state;
    step_rig r;
    step_open(&r, step_cpu(2), (step_variant){0});
    kin_programs s = r.programs;
    s.cfg.embed_dim = 512;
    s.list = NULL;
    s.act = s.scratch = NULL;
    s.count = s.room = 0;
    s.act_bytes = s.scratch_bytes = 0;
    int64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        const int64_t n = 16384 << i;
        assert_non_null(kin_programs_get(&r.cx, &s, KIN_TASK_LOSS, true, n, n, 0));
        bytes[i] = s.act_bytes + s.scratch_bytes + 4 * n * 512 * (int64_t)sizeof(float);
    }
    if (bytes[1] >= 300000000) fail_msg("%lld bytes", (long long)bytes[1]);
    assert_true((double)bytes[1] < 2.01 * (double)bytes[0]);
    kin_programs_close(&s);
    step_close(&r);
}

/* ---- freezing, counting ---- */

static void test_freezing_removes_work_and_memory(void **state)
{
    (void)state;
    const kin_pairs p = step_pairs(B, B);
    step_rig free_rig, frozen, all;
    step_open(&free_rig, step_cpu(1), (step_variant){0});
    step_open(&frozen, step_cpu(1), (step_variant){.freeze = "visual.*"});
    step_open(&all, step_cpu(1), (step_variant){.freeze = "*"});
    step_run(&free_rig, &p);
    step_run(&frozen, &p);
    kin_program *a = kin_programs_get(&free_rig.cx, &free_rig.programs, KIN_TASK_STEP, true, B, B, p.off[B]);
    kin_program *b = kin_programs_get(&frozen.cx, &frozen.programs, KIN_TASK_STEP, true, B, B, p.off[B]);
    kin_program *c = kin_programs_get(&all.cx, &all.programs, KIN_TASK_STEP, true, B, B, p.off[B]);
    assert_true(kin_program_backward_steps(b) < kin_program_backward_steps(a));
    assert_int_equal(kin_program_backward_steps(c), 0);
    char *text = kin_program_text(&frozen.cx, b);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strstr(line, "visual")) assert_int_not_equal(strncmp(line, "bwd ", 4), 0);
    free(text);
    assert_true(b->act_bytes < a->act_bytes);
    assert_true(frozen.params->bytes < free_rig.params->bytes);
    /* What is not frozen learns the same. */
    for (int i = 0; i < frozen.params->count; i++) {
        const kin_param *q = &frozen.params->param[i];
        if (q->frozen) {
            assert_null(kin_param_grad(frozen.params, i));
            continue;
        }
        const int j = kin_params_find(free_rig.params, q->name);
        assert_memory_equal(kin_param_grad(frozen.params, i), kin_param_grad(free_rig.params, j),
                            (size_t)q->count * sizeof(float));
    }
    step_close(&free_rig);
    step_close(&frozen);
    step_close(&all);
}

/* Products of one transformer over sequences of these step_lengths; only one row of the last block is read.
 * Forward; with backward each weight's product comes twice more, attention's 4 become 14. */
static double tower_flops(double w, int layers, const int *length, int n, bool causal, bool backward)
{
    double tokens = 0.0, all_pairs = 0.0, last_pairs = 0.0, flops = 0.0;
    const double times = backward ? 3.0 : 1.0;
    for (int b = 0; b < n; b++) {
        tokens += length[b];
        all_pairs += causal ? 0.5 * length[b] * (length[b] + 1) : (double)length[b] * length[b];
        last_pairs += length[b];
    }
    for (int i = 0; i < layers; i++) {
        const bool last = i == layers - 1;
        const double rows = last ? n : tokens;
        flops += times * 2.0 * w * w * (last ? rows + 2.0 * tokens : 3.0 * rows); /* q, k, v */
        flops += times * 2.0 * w * w * 9.0 * rows;                                /* out, the MLP's 4 + 4 */
        flops += (backward ? 14.0 : 4.0) * w * (last ? last_pairs : all_pairs);
    }
    return flops;
}

/* Both towers of the golden batch. */
static double towers_flops(bool backward)
{
    const int grid[B] = {5, 5, 5, 5};
    const double w = 32.0, e = E, n = B;
    return tower_flops(w, 2, grid, B, false, backward) + tower_flops(w, 2, step_lengths, B, true, backward) +
           (backward ? 2.0 : 1.0) * 2.0 * n * 4.0 * w * 192.0 + /* patches: no gradient flows to the pixels */
           (backward ? 3.0 : 1.0) * 2.0 * 2.0 * n * w * e;      /* both projections */
}

/* Live tokens only, whatever the bucket: the analytic count, to the last flop. */
static void test_flops_are_those_of_live_tokens(void **state)
{
    (void)state;
    const double n = B, loss = 2.0 * n * n * E * 4.0; /* logits, again, and two gradients */
    const double want = towers_flops(true) + loss;
    const kin_pairs p = step_pairs(B, B);
    step_rig r;
    step_open(&r, step_cpu(1), (step_variant){0});
    step_run(&r, &p);
    if (r.stepper.flops != want) fail_msg("%.0f flops, the analytic count is %.0f", r.stepper.flops, want);
    step_close(&r);
    /* A batch with room for more costs the same. */
    step_open(&r, step_cpu(1), (step_variant){.batch = 12, .texts = 24});
    step_run(&r, &p);
    assert_true(r.stepper.flops == want);
    step_close(&r);
    /* Chunks take both towers forward once more. */
    for (int64_t chunk = 1; chunk < B; chunk++) {
        step_open(&r, step_cpu(1), (step_variant){.chunk = chunk});
        step_run(&r, &p);
        step_run(&r, &p);
        if (r.stepper.flops != want + towers_flops(false))
            fail_msg("%.0f flops in chunks of %d, the analytic count is %.0f", r.stepper.flops, (int)chunk,
                     want + towers_flops(false));
        step_close(&r);
    }
}

static void test_refused(void **state)
{
    (void)state;
    step_rig r;
    step_open(&r, step_cpu(1), (step_variant){0});
    double loss;
    const kin_pairs p = step_pairs(5, 5);
    assert_int_equal(kin_stepper_run(&r.cx, &r.stepper, &p, 1, &loss), KIN_SHAPE);
    assert_non_null(strstr(r.cx.message, "5 pairs"));
    step_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_step_of_ref),
        cmocka_unit_test(test_ragged_equals_padded),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_decay),
        cmocka_unit_test(test_stem_with_blocks),
        cmocka_unit_test(test_loss_memory_is_linear),
        cmocka_unit_test(test_recompute_is_bit_equal),
        cmocka_unit_test(test_freezing_removes_work_and_memory),
        cmocka_unit_test(test_flops_are_those_of_live_tokens),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
