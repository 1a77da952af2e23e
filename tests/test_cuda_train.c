/* cuda_train: whole steps on the emulated GPU against the processor, by the `device` option; what is said
 * when there is no GPU or no plug-in for this kin. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "tests/cuda_rig.h"
#include "tests/emulated.h"
#include "tests/scratch.h"
#include "train/judge_fused.h"

#if defined(__SANITIZE_ADDRESS__) /* ten times as slow */
enum { LOSSES = 2 };
#else
enum { LOSSES = 5 };
#endif

static void losses_are_the_processors(void **state)
{
    static const struct {
        const char *what;
        cuda_flag flags[7];
    } list[] = {
        {"infonce", {{"loss", "infonce"}}},
        {"siglip, recomputed", {{"loss", "siglip"}, {"recompute", "true"}}},
        {"soft targets, chunks of three", {{"chunk", "3"}, {"distill", "0.4"}, {"ema", "0.75"}}},
        {"chunks of three, frozen text", {{"chunk", "3"}, {"freeze", "transformer.*"}}},
        {"batch statistics in a stem, chunks of four",
         {{"chunk", "4"},
          {"model.vision.stem", "[8, 8, 16]"},
          {"model.vision.stem_blocks", "[0, 1, 0]"},
          {"model.vision.stem_norm", "batch"}}},
    };
    (void)state;
    for (size_t i = 0; i < emulated_some(sizeof list / sizeof *list, LOSSES); i++) {
        cuda_flag flags[9] = {{"device", "cpu"}};
        memcpy(flags + 1, list[i].flags, sizeof list[i].flags);
        const cuda_record cpu = cuda_must_train(flags);
        flags[0].value = "cuda";
        emulated_order((int)i % EMULATED_ORDERS);
        const cuda_record gpu = cuda_must_train(flags);
        cuda_losses_agree(&gpu, &cpu, 1e-5, list[i].what);
        assert_true(fabs(gpu.recall - cpu.recall) < 0.05);
        assert_true(cpu.loss[STEPS - 1] != cpu.loss[0]);
    }
}

#if !defined(__SANITIZE_ADDRESS__) /* several times as slow: the same kernels again, compared by value */
/* Beside the processor: in f32 and in bf16, and once more in another order of threads. flags ends with a NULL
 * key. */
static void steps_beside(const char *what, const cuda_flag *flags, const char *steps, int order)
{
    cuda_flag all[20] = {{"device", "cpu"}, {"steps", steps}, {"eval-every", steps}, {"precision", "f32"}};
    for (int n = 4; flags->key; flags++) all[n++] = *flags;
    cuda_record cpu = cuda_must_train(all);
    all[0].value = "cuda";
    emulated_order(order % EMULATED_ORDERS);
    cuda_record gpu = cuda_must_train(all);
    cuda_losses_agree(&gpu, &cpu, 1e-4, what);
    all[3].value = "bf16";
    const cuda_record half = cuda_must_train(all);
    cuda_losses_agree(&half, &cpu, 2e-2, what);
    emulated_order((order + 1) % EMULATED_ORDERS);
    const cuda_record again = cuda_must_train(all);
    assert_memory_equal(&again, &half, sizeof again);
    gpu.steps = cpu.steps = STEPS;
    cuda_losses_agree(&gpu, &cpu, 1e-5, what);
    assert_true(half.loss[STEPS - 1] != cpu.loss[STEPS - 1] && cpu.loss[STEPS - 1] != cpu.loss[0]);
    emulated_order(0);
}

static void twenty_steps_of_two_towers(void **state)
{
    (void)state;
    steps_beside("two towers", (const cuda_flag[]){{NULL, NULL}}, "20", 1);
}

static void steps_of_fusions(void **state)
{
    static const struct {
        const char *what, *steps;
        cuda_flag flags[15];
    } list[] = {
        {"cross-attention: pairs, matching, hidden words",
         "20",
         {SMALL, {"model.fusion.kind", "xattn"}, {"loss.mlm", "1"}}},
        {"one transformer over both",
         "5",
         {SMALL, {"model.fusion.kind", "joint"}, {"loss.itc", "0"}, {"loss.mim", "1"}, {"val-data", ""}}},
        {"encoders and a fusion encoder: pairs, matching, hidden words and patches",
         "20",
         {SMALL, {"model.fusion.kind", "mmt"}, {"loss.mlm", "1"}, {"loss.mim", "1"}}},
        {"cross-attention behind gates",
         "5",
         {SMALL, {"model.fusion.kind", "xattn"}, {"model.fusion.gated", "true"}}},
        {"experts", "5", {SMALL, {"model.fusion.kind", "experts"}, {"model.fusion.pair_layers", "0"}}},
        {"gated embeddings", "5", {SMALL, {"model.fusion.kind", "late"}, {"model.fusion.combine", "gated"}}},
    };
    (void)state;
    for (size_t i = 0; i < emulated_some(sizeof list / sizeof *list, 2); i++)
        steps_beside(list[i].what, list[i].flags, list[i].steps, (int)i);
}

/* What a fusion answers before it has learned anything. */
enum { ASKED = 4, SIDE = 32 };
static void answers(const char *device, const char *precision, float out[2 * ASKED])
{
    static const char *const text[ASKED] = {"a red circle", "a blue square", "two stars", "green"};
    static uint8_t images[ASKED * SIDE * SIDE * 3];
    for (size_t i = 0; i < sizeof images; i++) images[i] = (uint8_t)(i * i / 7 % 251);
    const cuda_flag flags[] = {{"device", device},
                               {"precision", precision},
                               {"loss.itm", "1"},
                               {"model.fusion.kind", "late"},
                               {"model.fusion.combine", "bilinear"},
                               {NULL, NULL}};
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    kin_fused_judge judge;
    kin_judge j;
    const kin_judged asked = {.n = ASKED, .images = images, .text = text};
    cuda_configure(&cx, &c, flags);
    if (kin_trainer_open(&cx, &t, &c) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_judge_of(&cx, &t.embedder, KIN_ITM, &judge, &j) != KIN_OK) fail_msg("%s", cx.message);
    assert_int_equal(j.width, 2);
    if (j.ask(&cx, j.self, &asked, out) != KIN_OK) fail_msg("%s", cx.message);
    kin_fused_judge_close(&judge);
    kin_trainer_close(&t);
    kin_config_free(&c);
}

/* Logits in bf16 are read as f32. */
static void answers_of_a_fusion(void **state)
{
    float cpu[2 * ASKED], gpu[2 * ASKED];
    (void)state;
    answers("cpu", "f32", cpu);
    answers("cuda", "bf16", gpu);
    for (int i = 0; i < 2 * ASKED; i++)
        if (!(fabs((double)gpu[i] - (double)cpu[i]) < 2e-2 * fabs((double)cpu[i]) + 2e-4))
            fail_msg("answer %d is %g on the GPU, %g on the processor", i, (double)gpu[i], (double)cpu[i]);
}
#endif

/* What a tower that does not learn made of pictures goes up with each batch in chunks. */
static void frozen_pictures_go_up_made(void **state)
{
    cuda_flag flags[] = {{"device", "cpu"},
                         {"freeze", "visual.*"},
                         {"chunk", "3"},
                         {"model.vision.patch_dropout", "0"},
                         {"model.vision.drop_path", "0"},
                         {NULL, NULL}};
    (void)state;
    const cuda_record cpu = cuda_must_train(flags);
    flags[0].value = "cuda";
    emulated_order(1);
    const cuda_record gpu = cuda_must_train(flags);
    emulated_order(0);
    cuda_losses_agree(&gpu, &cpu, 1e-5, "pictures made before");
}

static void bf16_is_for_gpus(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    cuda_record r;
    assert_int_not_equal(cuda_train((const cuda_flag[]){{"precision", "bf16"}, {NULL, NULL}}, &r, &cx),
                         KIN_OK);
    assert_non_null(strstr(cx.message, "precision = bf16 is for device = cuda"));
}

static void must_fail(const char *what)
{
    static const cuda_flag flags[] = {{"device", "cuda"}, {NULL, NULL}};
    kin_ctx cx = {0};
    cuda_record r;
    assert_int_not_equal(cuda_train(flags, &r, &cx), KIN_OK);
    if (!strstr(cx.message, what)) fail_msg("'%s' is not in: %s", what, cx.message);
}

static void without_a_gpu_one_sentence(void **state)
{
    (void)state;
    char *folder_of = strdup(getenv("KIN_PLUGINS")), other[4400];
    setenv("CUEMU_NO_DEVICE", "1", 1);
    must_fail("there is no NVIDIA GPU that can be used here");
    unsetenv("CUEMU_NO_DEVICE");
    setenv("KIN_PLUGINS", "/nowhere", 1);
    must_fail("libkin_cuda.so was not found (looked for /nowhere/libkin_cuda.so first)");
    snprintf(other, sizeof other, "%s/other", folder_of);
    setenv("KIN_PLUGINS", other, 1);
    must_fail("(plug-in 'other') was made for another kin");
    setenv("KIN_PLUGINS", folder_of, 1);
    free(folder_of);
}

static void too_little_memory_says_what_helps(void **state)
{
    (void)state;
    emulated_memory(400 << 10);
    must_fail("out of memory");
    emulated_memory(0);
}

/* The bill is known before the first step. */
static char bill[400];
static void keep_bill(void *user, kin_level level, const char *message)
{
    (void)user;
    (void)level;
    if (strncmp(message, "memory of ", 10) == 0) snprintf(bill, sizeof bill, "%s", message);
}

/* With less than a batch needs: what is said to fit then does. */
static void a_chunk_that_fits_is_named(void **state)
{
    static const cuda_flag whole[] = {{"device", "cuda"}, {"eval-batch", "2"}, {NULL, NULL}};
    enum { PLENTY = 64 };
    kin_ctx first = {.log = keep_bill}, cx = {0};
    double weights, act, temporary, rest, left;
    cuda_record r;
    (void)state;
    emulated_memory((int64_t)PLENTY << 20);
    *bill = 0;
    assert_int_equal(cuda_train(whole, &r, &first), KIN_OK);
    assert_int_equal(
        sscanf(strstr(bill, "): ") ? strstr(bill, "): ") + 3 : "",
               "%lf MiB weights, gradients and moments, %lf activations, %lf scratch, %lf inputs and "
               "embeddings; %lf are left",
               &weights, &act, &temporary, &rest, &left),
        5);
    assert_true(act > 0.2 && left > 0.0 && weights + act + temporary + rest + left < PLENTY + 0.3);
    emulated_memory((int64_t)(((double)PLENTY - left - 0.3 * act) * 1048576.0));
    cuda_train(whole, &r, &cx);
    const char *chunk = strstr(cx.message, "--chunk ");
    if (!strstr(cx.message, "out of memory: a batch of 8 needs ") || !chunk) fail_msg("%s", cx.message);
    assert_int_equal(r.steps, 0);
    const cuda_flag chunked[] = {
        {"device", "cuda"}, {"eval-batch", "2"}, {"chunk", (char[]){chunk[8], 0}}, {NULL, NULL}};
    kin_ctx again = {0};
    if (cuda_train(chunked, &r, &again) != KIN_OK) fail_msg("%s", again.message);
    assert_int_equal(r.steps, STEPS);
    emulated_memory(0);
}

#if !defined(__SANITIZE_ADDRESS__)
static void the_same_bits_in_every_order(void **state)
{
    static const char *const precision[] = {"f32", "bf16"};
    (void)state;
    for (int p = 0; p < 2; p++) {
        const cuda_flag flags[] = {{"device", "cuda"}, {"precision", precision[p]}, {NULL, NULL}};
        emulated_order(0);
        const cuda_record first = cuda_must_train(flags);
        for (int i = 0; i < 2 - p + 1; i++) { /* once more in the same, then in others */
            emulated_order(i);
            const cuda_record r = cuda_must_train(flags);
            assert_memory_equal(&r, &first, sizeof r);
        }
    }
    emulated_order(0);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_the_processors),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(the_same_bits_in_every_order),
        cmocka_unit_test(twenty_steps_of_two_towers),
        cmocka_unit_test(steps_of_fusions),
        cmocka_unit_test(answers_of_a_fusion),
#endif
        cmocka_unit_test(frozen_pictures_go_up_made),
        cmocka_unit_test(bf16_is_for_gpus),
        cmocka_unit_test(without_a_gpu_one_sentence),
        cmocka_unit_test(too_little_memory_says_what_helps),
        cmocka_unit_test(a_chunk_that_fits_is_named),
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, cuda_setup, remove_scratch);
}
