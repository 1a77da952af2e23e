/* step_chunks: GradCache against the full batch, and momentum distillation, whole and in chunks. */
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

/* ---- GradCache ---- */

static void check_gradcache(kin_backend *(*backend)(void), double tolerance)
{
    const kin_pairs p = step_pairs(11, 17);
    step_rig full;
    step_open(&full, backend(), (step_variant){.batch = 12, .texts = 18});
    const double loss = step_run(&full, &p);
    for (int64_t chunk = 1; chunk < 12; chunk += 3) {
        step_rig parts;
        step_open(&parts, backend(), (step_variant){.batch = 12, .texts = 18, .chunk = chunk});
        assert_true(fabs(step_run(&parts, &p) - loss) <= tolerance * loss);
        const double differ = step_gradients_differ(&full, &parts);
        if (!(differ < tolerance)) fail_msg("chunks of %d: gradients differ by %.3g", (int)chunk, differ);
        step_close(&parts);
    }
    step_close(&full);
}

static kin_backend *cpu2(void)
{
    return step_cpu(2);
}

/* Three captions a picture: those of chunks are those of the batch. */
static void test_gradcache_with_captions(void **state)
{
    (void)state;
    const kin_pairs p = step_pairs(11, 33);
    const step_variant how = {.batch = 12, .texts = 36, .captions = 3};
    step_variant chunked = how, single = how;
    chunked.chunk = 5;
    single.captions = 1; /* the others are negatives: another loss */
    step_rig full, parts, other;
    step_open(&full, step_cpu(2), how);
    step_open(&parts, step_cpu(2), chunked);
    step_open(&other, step_cpu(2), single);
    const double loss = step_run(&full, &p);
    assert_true(fabs(step_run(&parts, &p) - loss) <= 1e-5 * loss);
    assert_true(step_gradients_differ(&full, &parts) < 1e-5);
    step_run(&other, &p);
    assert_true(step_gradients_differ(&full, &other) > 0.05);
    step_close(&full);
    step_close(&parts);
    step_close(&other);
}

/* Every chunk draws what its pairs draw in the full batch, in both passes. */
static void test_gradcache_draws_as_the_full_batch(void **state)
{
    (void)state;
    static const char model[] =
        "{\"embed_dim\": 24, \"init_logit_scale\": 2.0,"
        " \"vision_cfg\": {\"image_size\": 16, \"layers\": 2, \"width\": 32, \"head_width\": 16,"
        " \"patch_size\": 4, \"patch_dropout\": 0.5},"
        " \"text_cfg\": {\"context_length\": 10, \"vocab_size\": 20, \"width\": 32, \"heads\": 2, "
        "\"layers\": 2},"
        " \"kin_cfg\": {\"vision\": {\"drop_path\": 0.3}, \"text\": {\"dropout\": 0.2}}}";
    const kin_pairs p = step_pairs(11, 17);
    const step_variant how = {.batch = 12, .texts = 18, .model = model};
    step_variant chunked = how;
    chunked.chunk = 4;
    step_rig full, parts;
    step_open(&full, step_cpu(2), how);
    step_open(&parts, step_cpu(2), chunked);
    const double loss = step_run(&full, &p);
    assert_true(fabs(step_run(&parts, &p) - loss) <= 1e-5 * loss);
    const double differ = step_gradients_differ(&full, &parts);
    if (!(differ < 1e-5)) fail_msg("gradients differ by %.3g", differ);
    double other;
    assert_int_equal(kin_stepper_run(&full.cx, &full.stepper, &p, 78, &other), KIN_OK);
    assert_true(fabs(other - loss) > 1e-3 * loss); /* something is drawn */
    step_close(&full);
    step_close(&parts);
}

static void test_gradcache_is_the_full_batch(void **state)
{
    (void)state;
    check_gradcache(step_ref64, 1e-12);
    check_gradcache(cpu2, 1e-5);
}

/* A tower of pictures that does not learn need not run: what it makes of them comes with the batch, to the
 * bit. */
static void test_frozen_pictures_come_made(void **state)
{
    (void)state;
    enum { PAIRS = 11 };
    const step_variant how = {.batch = 12, .texts = 18, .chunk = 4, .freeze = "visual.*"};
    kin_pairs p = step_pairs(PAIRS, 17);
    step_rig runs, made;
    float rows[PAIRS * E];
    int learn = 0;
    step_open(&runs, step_cpu(1), how);
    step_open(&made, step_cpu(1), how);
    const double loss = step_run(&runs, &p);
    memcpy(rows, runs.stepper.image_embedding, sizeof rows);
    p.images = NULL;
    p.image_features = rows;
    made.stepper.image_made = true;
    assert_true(step_run(&made, &p) == loss);
    for (int i = 0; i < made.params->count; i++) {
        const kin_param *q = &made.params->param[i];
        if (q->frozen) continue;
        learn++;
        assert_memory_equal(kin_param_grad(made.params, i), kin_param_grad(runs.params, i),
                            (size_t)q->count * sizeof(float));
    }
    assert_true(learn > 10);
    assert_true(made.stepper.flops < runs.stepper.flops);
    step_close(&runs);
    step_close(&made);
}

/* ---- momentum distillation ---- */

/* What the teacher (the average) makes of the batch, on r: both embeddings, in turn. */
static void teacher_embeds(step_rig *r, const kin_pairs *p, double *image, double *text)
{
    kin_params_swap_ema(r->params);
    step_embeddings(r, p, false, image);
    step_embeddings(r, p, true, text);
    kin_params_swap_ema(r->params);
}

static double dot(const double *a, const double *b)
{
    double sum = 0.0;
    for (int e = 0; e < E; e++) sum += a[e] * b[e];
    return sum;
}

/* The loss from its definition: targets (1 - alpha) hard + alpha softmax(teacher), both ways. */
static double distilled(const double *a, const double *b, const double *ta, const double *tb, double alpha)
{
    double loss = 0.0;
    for (int line = 0; line < 2 * B; line++) {
        const bool down = line >= B;
        double z[B], t[B], sum = 0.0, taught = 0.0;
        for (int k = 0; k < B; k++) {
            const int i = down ? k : line, j = down ? line - B : k;
            z[k] = exp(2.0) * dot(a + i * E, b + j * E);
            t[k] = exp(2.0) * dot(ta + i * E, tb + j * E);
            sum += exp(z[k]);
            taught += exp(t[k]);
        }
        for (int k = 0; k < B; k++)
            loss += ((k == line % B ? 1.0 - alpha : 0.0) + alpha * exp(t[k]) / taught) * (log(sum) - z[k]);
    }
    return loss / (2.0 * B);
}

static void test_distill_is_its_definition(void **state)
{
    (void)state;
    const kin_pairs p = step_pairs(B, B);
    double image[B * E], text[B * E], teacher_image[B * E], teacher_text[B * E];
    for (int texts = 0; texts < 2; texts++) {
        step_rig r;
        step_open(&r, step_ref64(),
                  (step_variant){.distill = texts ? KIN_DISTILL_TEXTS : KIN_DISTILL_TOWERS, .alpha = 0.375});
        step_embeddings(&r, &p, false, image);
        step_embeddings(&r, &p, true, text);
        teacher_embeds(&r, &p, teacher_image, teacher_text);
        const double hard = distilled(image, text, text, text, 0.0);
        const double want = distilled(image, text, texts ? teacher_text : teacher_image, teacher_text, 0.375);
        close_to(step_run(&r, &p), want, 1e-12, "distilled loss");
        assert_true(fabs(want - hard) > 1e-3);
        r.stepper.alpha = 0.0;
        close_to(step_run(&r, &p), hard, 1e-12, "loss at alpha 0");
        step_close(&r);
    }
}

/* The gradient is that of the student alone, and the average is as it was: moving a weight of either. */
static void test_distill_teaches_the_student_alone(void **state)
{
    (void)state;
    const kin_pairs p = step_pairs(B, B);
    step_rig r;
    step_open(&r, step_ref64(), (step_variant){.distill = KIN_DISTILL_TOWERS, .alpha = 0.375});
    static const char *const names[] = {"visual.proj", "token_embedding.weight",
                                        "transformer.resblocks.0.mlp.c_fc.bias"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const int i = kin_params_find(r.params, names[k]);
        assert_true(i >= 0);
        step_run(&r, &p);
        const double slope = step_element(&r, kin_param_grad(r.params, i), 40), h = 1e-4;
        double *value = (double *)kin_param_value(r.params, i) + 40, *average = kin_param_ema(r.params, i);
        const double was = *value, mean = average[40];
        *value = was + h;
        const double up = step_run(&r, &p);
        *value = was - h;
        const double down = step_run(&r, &p);
        *value = was;
        close_to(slope, (up - down) / (2.0 * h), 1e-6, names[k]);
        assert_true(average[40] == mean && *value == was);
    }
    step_close(&r);
}

static void test_distill_in_chunks(void **state)
{
    (void)state;
    const kin_pairs p = step_pairs(11, 28); /* two captions each, and six texts of no picture */
    for (int texts = 0; texts < 2; texts++) {
        const step_variant how = {.batch = 12,
                                  .texts = 30,
                                  .captions = 2,
                                  .distill = texts ? KIN_DISTILL_TEXTS : KIN_DISTILL_TOWERS,
                                  .alpha = 0.5};
        step_rig full;
        step_open(&full, step_ref64(), how);
        const double loss = step_run(&full, &p);
        for (int64_t chunk = 1; chunk < 12; chunk += 5) {
            step_variant chunked = how;
            step_rig parts;
            chunked.chunk = chunk;
            step_open(&parts, step_ref64(), chunked);
            assert_true(fabs(step_run(&parts, &p) - loss) <= 1e-12 * loss);
            const double differ = step_gradients_differ(&full, &parts);
            if (!(differ < 1e-12)) fail_msg("chunks of %d: gradients differ by %.3g", (int)chunk, differ);
            step_close(&parts);
        }
        step_rig fast;
        step_open(&fast, step_cpu(2), how);
        assert_true(fabs(step_run(&fast, &p) - loss) <= 1e-5 * loss);
        const double differ = step_gradients_differ(&full, &fast);
        if (!(differ < 1e-4)) fail_msg("the CPU's gradients differ by %.3g", differ);
        step_close(&fast);
        step_close(&full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradcache_is_the_full_batch),
        cmocka_unit_test(test_gradcache_with_captions),
        cmocka_unit_test(test_distill_is_its_definition),
        cmocka_unit_test(test_distill_teaches_the_student_alone),
        cmocka_unit_test(test_distill_in_chunks),
        cmocka_unit_test(test_gradcache_draws_as_the_full_batch),
        cmocka_unit_test(test_frozen_pictures_come_made),
    };
    return cmocka_run_group_tests_name("step_chunks", tests, NULL, NULL);
}
