/* step: one whole training step against PyTorch (T11), ragged against padded, GradCache against the full
 * batch, recompute, freezing, and the count of what is computed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "tests/golden_step.h"
#include "train/optim.h"
#include "train/step.h"

/* The model of tests/golden/step_golden.py. */
static const char model_json[] = "{\"embed_dim\": 24, \"init_logit_scale\": 2.0,"
                                 " \"vision_cfg\": {\"image_size\": 16, \"layers\": 2, \"width\": 32, "
                                 "\"head_width\": 16, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 10, \"vocab_size\": 20, \"width\": 32, "
                                 "\"heads\": 2, \"layers\": 2}}";

enum { B = 4, S = 16, E = 24, T = 10, MOST = 12 };
static const int lengths[B] = {3, 7, 10, 4};

/* A model with programs; the weights of the golden step. */
typedef struct rig {
    kin_ctx cx;
    kin_backend *backend;
    kin_params *params;
    kin_programs programs;
    kin_stepper stepper;
} rig;

typedef struct variant {
    bool recompute;
    const char *freeze;
    int64_t chunk, batch, texts;
    int captions;
    const char *model; /* NULL: the golden one */
    kin_distill distill;
    double alpha;
} variant;

static void open_rig(rig *r, kin_backend *backend, variant how)
{
    *r = (rig){.backend = backend};
    kin_model_cfg cfg;
    const char *model = how.model ? how.model : model_json;
    json_t *json = kin_json_parse(&r->cx, "model", model, strlen(model));
    assert_int_equal(kin_model_cfg_read(&r->cx, "model", json, &cfg), KIN_OK);
    json_decref(json);
    for (int i = 0; i < 3; i++) {
        cfg.mean[i] = 0.5f;
        cfg.std[i] = 0.25f;
    }
    const kin_loss_row *loss = kin_loss_find("infonce");
    r->params = kin_params_new(&r->cx);
    assert_int_equal(kin_register_weights(&r->cx, r->params, &cfg, loss), KIN_OK);
    if (how.freeze) assert_true(kin_params_freeze(r->params, how.freeze) > 0);
    assert_int_equal(kin_params_alloc(&r->cx, r->params, backend, true, how.distill != 0), KIN_OK);
    golden_weights(r->params);
    if (how.distill) golden_average(r->params);
    r->programs = (kin_programs){.cfg = cfg,
                                 .recompute = how.recompute,
                                 .loss = loss,
                                 .params = r->params,
                                 .backend = backend,
                                 .loss_cfg = {.captions = how.captions, .distill = how.distill}};
    const int64_t batch = how.batch ? how.batch : B, texts = how.texts ? how.texts : batch;
    assert_int_equal(kin_stepper_open(&r->cx, &r->stepper, &r->programs, batch, texts, how.chunk), KIN_OK);
    r->stepper.alpha = how.alpha;
}

static void close_rig(rig *r)
{
    kin_stepper_close(&r->stepper);
    kin_programs_close(&r->programs);
    kin_params_free(r->params);
    kin_backend_close(r->backend);
}

/* ---- a batch: the golden one is its first four ---- */

static uint8_t images[MOST * S * S * 3];
static int32_t ids[3 * MOST * T], off[3 * MOST + 1];

static kin_pairs make_pairs(int64_t n, int64_t texts)
{
    for (int64_t i = 0; i < n * S * S * 3; i++) images[i] = (uint8_t)((7 * i + i / 5) % 256);
    for (int64_t b = 0; b < texts; b++) {
        const int length = lengths[b % B];
        int32_t *to = ids + off[b];
        for (int j = 0; j < length; j++)
            to[j] = j == 0 ? 18 : j == length - 1 ? 19 : 1 + (5 * j + 3 * (int)b) % 17;
        off[b + 1] = off[b] + length;
    }
    return (kin_pairs){.n = n, .texts = texts, .images = images, .ids = ids, .off = off};
}

static double step(rig *r, const kin_pairs *p)
{
    double loss;
    const kin_status rc = kin_stepper_run(&r->cx, &r->stepper, p, 77, &loss);
    if (rc != KIN_OK) fail_msg("%s", r->cx.message);
    return loss;
}

static double element(const rig *r, const void *base, int64_t i)
{
    return r->backend->real == KIN_F64 ? ((const double *)base)[i] : (double)((const float *)base)[i];
}

/* Largest difference of the gradients of two rigs, relative to the largest gradient of each parameter. */
static double gradients_differ(const rig *a, const rig *b)
{
    double worst = 0.0;
    for (int i = 0; i < a->params->count; i++) {
        const void *x = kin_param_grad(a->params, i), *y = kin_param_grad(b->params, i);
        double most = 1e-300, differ = 0.0;
        for (int64_t k = 0; k < a->params->param[i].count; k++) {
            most = fmax(most, fabs(element(a, x, k)));
            differ = fmax(differ, fabs(element(a, x, k) - element(b, y, k)));
        }
        worst = fmax(worst, differ / most);
    }
    return worst;
}

static kin_backend *ref64(void)
{
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_ref(&cx, KIN_F64);
    assert_non_null(b);
    return b;
}

static kin_backend *cpu(int threads)
{
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_cpu(&cx, threads, NULL);
    assert_non_null(b);
    return b;
}

/* ---- against PyTorch ---- */

/* The embeddings of the golden batch, by the programs that evaluation uses. */
static void embeddings(rig *r, const kin_pairs *p, bool text, double *out)
{
    kin_program *prog = kin_programs_get(&r->cx, &r->programs, text ? KIN_TASK_TEXTS : KIN_TASK_IMAGES, false,
                                         B, B, p->off[B]);
    assert_non_null(prog);
    double room[B * E];
    kin_run run = {0};
    if (text) {
        kin_program_bind(&r->cx, prog, "ids", ids);
        kin_program_bind(&r->cx, prog, "off", off);
    } else {
        kin_program_bind(&r->cx, prog, "images", images);
    }
    kin_program_bind(&r->cx, prog, "embedding", room);
    kin_run_rows(prog, &run, "images", B);
    kin_run_rows(prog, &run, "texts", B);
    kin_run_rows(prog, &run, "tokens", p->off[B]);
    assert_int_equal(kin_program_run(&r->cx, prog, &run), KIN_OK);
    for (int i = 0; i < B * E; i++) out[i] = element(r, room, i);
}

static void check_step(kin_backend *backend, double tolerance)
{
    rig r;
    double out[B * E];
    open_rig(&r, backend, (variant){0});
    const kin_pairs p = make_pairs(B, B);
    golden_file g = golden_open("tests/golden/step.bin");
    close_to(step(&r, &p), golden_take(&g), tolerance, "loss");
    for (int text = 0; text < 2; text++) {
        embeddings(&r, &p, text, out);
        for (int i = 0; i < B * E; i++) close_to(out[i], golden_take(&g), tolerance, text ? "text" : "image");
    }
    golden_parameters(&g, r.params, tolerance);
    close_rig(&r);
}

static void test_whole_step_of_ref(void **state)
{
    (void)state;
    check_step(ref64(), 1e-10);
}

/* PyTorch's texts are padded, kin's are ragged: equal within 1e-5 on the kernels that people run. */
static void test_ragged_equals_padded(void **state)
{
    (void)state;
    check_step(cpu(2), 1e-5);
}

/* After one update the first moment is 1 - beta1 times the gradient, scaled. Returns the gradient's norm. */
static double check_clipping(double clip)
{
    rig r;
    open_rig(&r, cpu(2), (variant){0});
    const kin_pairs p = make_pairs(B, B);
    step(&r, &p);
    double square = 0.0, norm;
    for (int i = 0; i < r.params->count; i++)
        for (int64_t k = 0; k < r.params->param[i].count; k++)
            square += pow(element(&r, kin_param_grad(r.params, i), k), 2.0);
    kin_optim o;
    const kin_optim_cfg cfg = {
        .beta1 = 0.875, .beta2 = 0.96875, .eps = 0x1p-10, .clip = clip, .scale_max = 100.0};
    assert_int_equal(kin_optim_open(&r.cx, &o, r.params, &cfg), KIN_OK);
    assert_int_equal(kin_optim_update(&r.cx, &o, 0x1p-7, &norm), KIN_OK);
    close_to(norm, sqrt(square), 1e-5, "norm");
    const double scale = clip > 0.0 && norm > clip ? clip / norm : 1.0;
    for (int g = 0; g < KIN_GROUP_COUNT; g++)
        for (int64_t k = 0; k < r.params->flat[g].count; k++)
            close_to(element(&r, r.params->flat[g].m, k),
                     0.125 * scale * element(&r, r.params->flat[g].grad, k), 1e-6, "first moment");
    kin_optim_close(&o);
    close_rig(&r);
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
    rig r[2];
    const kin_pairs p = make_pairs(B, B);
    double *before = NULL;
    for (int k = 0; k < 2; k++) {
        double norm;
        kin_optim o;
        const kin_optim_cfg cfg = {
            .beta1 = 0.875, .beta2 = 0.96875, .eps = 0x1p-10, .wd = k * wd, .scale_max = 100.0};
        open_rig(&r[k], ref64(), (variant){0});
        step(&r[k], &p);
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
    for (int k = 0; k < 2; k++) close_rig(&r[k]);
}

/* ---- GradCache, recompute ---- */

static void check_gradcache(kin_backend *(*backend)(void), double tolerance)
{
    const kin_pairs p = make_pairs(11, 17);
    rig full;
    open_rig(&full, backend(), (variant){.batch = 12, .texts = 18});
    const double loss = step(&full, &p);
    for (int64_t chunk = 1; chunk < 12; chunk += 3) {
        rig parts;
        open_rig(&parts, backend(), (variant){.batch = 12, .texts = 18, .chunk = chunk});
        assert_true(fabs(step(&parts, &p) - loss) <= tolerance * loss);
        const double differ = gradients_differ(&full, &parts);
        if (!(differ < tolerance)) fail_msg("chunks of %d: gradients differ by %.3g", (int)chunk, differ);
        close_rig(&parts);
    }
    close_rig(&full);
}

static kin_backend *cpu2(void)
{
    return cpu(2);
}

/* Three captions a picture: those of chunks are those of the batch. */
static void test_gradcache_with_captions(void **state)
{
    (void)state;
    const kin_pairs p = make_pairs(11, 33);
    const variant how = {.batch = 12, .texts = 36, .captions = 3};
    variant chunked = how, single = how;
    chunked.chunk = 5;
    single.captions = 1; /* the others are negatives: another loss */
    rig full, parts, other;
    open_rig(&full, cpu(2), how);
    open_rig(&parts, cpu(2), chunked);
    open_rig(&other, cpu(2), single);
    const double loss = step(&full, &p);
    assert_true(fabs(step(&parts, &p) - loss) <= 1e-5 * loss);
    assert_true(gradients_differ(&full, &parts) < 1e-5);
    step(&other, &p);
    assert_true(gradients_differ(&full, &other) > 0.05);
    close_rig(&full);
    close_rig(&parts);
    close_rig(&other);
}

/* ---- momentum distillation ---- */

/* What the teacher (the average) makes of the batch, on rig r: both embeddings, in turn. */
static void teacher_embeds(rig *r, const kin_pairs *p, double *image, double *text)
{
    kin_params_swap_ema(r->params);
    embeddings(r, p, false, image);
    embeddings(r, p, true, text);
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
    const kin_pairs p = make_pairs(B, B);
    double image[B * E], text[B * E], teacher_image[B * E], teacher_text[B * E];
    for (int texts = 0; texts < 2; texts++) {
        rig r;
        open_rig(&r, ref64(),
                 (variant){.distill = texts ? KIN_DISTILL_TEXTS : KIN_DISTILL_TOWERS, .alpha = 0.375});
        embeddings(&r, &p, false, image);
        embeddings(&r, &p, true, text);
        teacher_embeds(&r, &p, teacher_image, teacher_text);
        const double hard = distilled(image, text, text, text, 0.0);
        const double want = distilled(image, text, texts ? teacher_text : teacher_image, teacher_text, 0.375);
        close_to(step(&r, &p), want, 1e-12, "distilled loss");
        assert_true(fabs(want - hard) > 1e-3);
        r.stepper.alpha = 0.0;
        close_to(step(&r, &p), hard, 1e-12, "loss at alpha 0");
        close_rig(&r);
    }
}

/* The gradient is that of the student alone, and the average is as it was: moving a weight of either. */
static void test_distill_teaches_the_student_alone(void **state)
{
    (void)state;
    const kin_pairs p = make_pairs(B, B);
    rig r;
    open_rig(&r, ref64(), (variant){.distill = KIN_DISTILL_TOWERS, .alpha = 0.375});
    static const char *const names[] = {"visual.proj", "token_embedding.weight",
                                        "transformer.resblocks.0.mlp.c_fc.bias"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const int i = kin_params_find(r.params, names[k]);
        assert_true(i >= 0);
        step(&r, &p);
        const double slope = element(&r, kin_param_grad(r.params, i), 40), h = 1e-4;
        double *value = (double *)kin_param_value(r.params, i) + 40, *average = kin_param_ema(r.params, i);
        const double was = *value, mean = average[40];
        *value = was + h;
        const double up = step(&r, &p);
        *value = was - h;
        const double down = step(&r, &p);
        *value = was;
        close_to(slope, (up - down) / (2.0 * h), 1e-6, names[k]);
        assert_true(average[40] == mean && *value == was);
    }
    close_rig(&r);
}

static void test_distill_in_chunks(void **state)
{
    (void)state;
    const kin_pairs p = make_pairs(11, 28); /* two captions each, and six texts of no picture */
    for (int texts = 0; texts < 2; texts++) {
        const variant how = {.batch = 12,
                             .texts = 30,
                             .captions = 2,
                             .distill = texts ? KIN_DISTILL_TEXTS : KIN_DISTILL_TOWERS,
                             .alpha = 0.5};
        rig full;
        open_rig(&full, ref64(), how);
        const double loss = step(&full, &p);
        for (int64_t chunk = 1; chunk < 12; chunk += 5) {
            variant chunked = how;
            rig parts;
            chunked.chunk = chunk;
            open_rig(&parts, ref64(), chunked);
            assert_true(fabs(step(&parts, &p) - loss) <= 1e-12 * loss);
            const double differ = gradients_differ(&full, &parts);
            if (!(differ < 1e-12)) fail_msg("chunks of %d: gradients differ by %.3g", (int)chunk, differ);
            close_rig(&parts);
        }
        rig fast;
        open_rig(&fast, cpu(2), how);
        assert_true(fabs(step(&fast, &p) - loss) <= 1e-5 * loss);
        const double differ = gradients_differ(&full, &fast);
        if (!(differ < 1e-4)) fail_msg("the CPU's gradients differ by %.3g", differ);
        close_rig(&fast);
        close_rig(&full);
    }
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
    const kin_pairs p = make_pairs(11, 17);
    const variant how = {.batch = 12, .texts = 18, .model = model};
    variant chunked = how;
    chunked.chunk = 4;
    rig full, parts;
    open_rig(&full, cpu(2), how);
    open_rig(&parts, cpu(2), chunked);
    const double loss = step(&full, &p);
    assert_true(fabs(step(&parts, &p) - loss) <= 1e-5 * loss);
    const double differ = gradients_differ(&full, &parts);
    if (!(differ < 1e-5)) fail_msg("gradients differ by %.3g", differ);
    double other;
    assert_int_equal(kin_stepper_run(&full.cx, &full.stepper, &p, 78, &other), KIN_OK);
    assert_true(fabs(other - loss) > 1e-3 * loss); /* something is drawn */
    close_rig(&full);
    close_rig(&parts);
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
    const kin_pairs p = make_pairs(6, 6);
    const variant how = {.batch = 6, .texts = 6, .model = model};
    rig exact, fast;
    open_rig(&exact, ref64(), how);
    open_rig(&fast, cpu(2), how);
    assert_true(kin_params_find(fast.params, "visual.stem.0.0.conv_1.weight") >= 0);
    const int ln = kin_params_find(fast.params, "visual.stem.1.0.ln_1.weight");
    assert_true(ln >= 0 && fast.params->param[ln].count == gains);
    assert_true(kin_params_find(fast.params, "visual.stem.1.1.conv_2.weight") >= 0);
    const double loss = step(&exact, &p);
    assert_true(fabs(step(&fast, &p) - loss) <= 1e-5 * loss);
    const double differ = gradients_differ(&exact, &fast);
    if (!(differ < 1e-4)) fail_msg("gradients differ by %.3g", differ);
    close_rig(&exact);
    close_rig(&fast);
}

static void test_stem_with_blocks(void **state)
{
    (void)state;
    check_stem("pixel", 10);
    check_stem("map", 4 * 4 * 10);
}

static void test_gradcache_is_the_full_batch(void **state)
{
    (void)state;
    check_gradcache(ref64, 1e-12);
    check_gradcache(cpu2, 1e-5);
}

static void test_recompute_is_bit_equal(void **state)
{
    (void)state;
    const kin_pairs p = make_pairs(11, 17);
    rig kept, again;
    open_rig(&kept, cpu(2), (variant){.batch = 12, .texts = 18});
    open_rig(&again, cpu(2), (variant){.batch = 12, .texts = 18, .recompute = true});
    assert_true(step(&kept, &p) == step(&again, &p));
    assert_true(gradients_differ(&kept, &again) == 0.0);
    assert_true(again.programs.act_bytes < kept.programs.act_bytes);
    close_rig(&kept);
    close_rig(&again);
}

/* Exact InfoNCE over 32,768 pairs of 512 holds embeddings, their gradients and room that grows with the
 * batch, not with its square: below 300 MB. (bench/growth runs it.) */
static void test_loss_memory_is_linear(void **state)
{
    (void)state;
    rig r;
    open_rig(&r, cpu(2), (variant){0});
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
    close_rig(&r);
}

/* ---- freezing, counting ---- */

static void test_freezing_removes_work_and_memory(void **state)
{
    (void)state;
    const kin_pairs p = make_pairs(B, B);
    rig free_rig, frozen, all;
    open_rig(&free_rig, cpu(1), (variant){0});
    open_rig(&frozen, cpu(1), (variant){.freeze = "visual.*"});
    open_rig(&all, cpu(1), (variant){.freeze = "*"});
    step(&free_rig, &p);
    step(&frozen, &p);
    kin_program *a = kin_programs_get(&free_rig.cx, &free_rig.programs, KIN_TASK_STEP, true, B, B, off[B]);
    kin_program *b = kin_programs_get(&frozen.cx, &frozen.programs, KIN_TASK_STEP, true, B, B, off[B]);
    kin_program *c = kin_programs_get(&all.cx, &all.programs, KIN_TASK_STEP, true, B, B, off[B]);
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
    close_rig(&free_rig);
    close_rig(&frozen);
    close_rig(&all);
}

/* Products of one transformer over sequences of these lengths; only one row of the last block is read.
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
    return tower_flops(w, 2, grid, B, false, backward) + tower_flops(w, 2, lengths, B, true, backward) +
           (backward ? 2.0 : 1.0) * 2.0 * n * 4.0 * w * 192.0 + /* patches: no gradient flows to the pixels */
           (backward ? 3.0 : 1.0) * 2.0 * 2.0 * n * w * e;      /* both projections */
}

/* Live tokens only, whatever the bucket: the analytic count, to the last flop. */
static void test_flops_are_those_of_live_tokens(void **state)
{
    (void)state;
    const double n = B, loss = 2.0 * n * n * E * 4.0; /* logits, again, and two gradients */
    const double want = towers_flops(true) + loss;
    const kin_pairs p = make_pairs(B, B);
    rig r;
    open_rig(&r, cpu(1), (variant){0});
    step(&r, &p);
    if (r.stepper.flops != want) fail_msg("%.0f flops, the analytic count is %.0f", r.stepper.flops, want);
    close_rig(&r);
    /* A batch with room for more costs the same. */
    open_rig(&r, cpu(1), (variant){.batch = 12, .texts = 24});
    step(&r, &p);
    assert_true(r.stepper.flops == want);
    close_rig(&r);
    /* Chunks take both towers forward once more. */
    for (int64_t chunk = 1; chunk < B; chunk++) {
        open_rig(&r, cpu(1), (variant){.chunk = chunk});
        step(&r, &p);
        step(&r, &p);
        if (r.stepper.flops != want + towers_flops(false))
            fail_msg("%.0f flops in chunks of %d, the analytic count is %.0f", r.stepper.flops, (int)chunk,
                     want + towers_flops(false));
        close_rig(&r);
    }
}

static void test_refused(void **state)
{
    (void)state;
    rig r;
    open_rig(&r, cpu(1), (variant){0});
    double loss;
    const kin_pairs p = make_pairs(5, 5);
    assert_int_equal(kin_stepper_run(&r.cx, &r.stepper, &p, 1, &loss), KIN_SHAPE);
    assert_non_null(strstr(r.cx.message, "5 pairs"));
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_step_of_ref),
        cmocka_unit_test(test_ragged_equals_padded),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_decay),
        cmocka_unit_test(test_gradcache_is_the_full_batch),
        cmocka_unit_test(test_gradcache_with_captions),
        cmocka_unit_test(test_distill_is_its_definition),
        cmocka_unit_test(test_distill_teaches_the_student_alone),
        cmocka_unit_test(test_distill_in_chunks),
        cmocka_unit_test(test_gradcache_draws_as_the_full_batch),
        cmocka_unit_test(test_stem_with_blocks),
        cmocka_unit_test(test_loss_memory_is_linear),
        cmocka_unit_test(test_recompute_is_bit_equal),
        cmocka_unit_test(test_freezing_removes_work_and_memory),
        cmocka_unit_test(test_flops_are_those_of_live_tokens),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
