/* fused_step: one whole training step over pairs against PyTorch (T11): towers, cross-attention, matching,
 * hidden words, and similarity with soft targets. test_fused_step --dump FILE   writes what was drawn, for
 * tests/golden/fused_golden.py */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "tests/golden_step.h"
#include "train/step.h"

static const char model_json[] = "{\"embed_dim\": 24, \"init_logit_scale\": 2.0,"
                                 " \"vision_cfg\": {\"image_size\": [16, 24], \"layers\": 2, \"width\": 32, "
                                 "\"head_width\": 16, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 10, \"vocab_size\": 20, \"width\": 32, "
                                 "\"heads\": 2, \"layers\": 2},"
                                 " \"kin_cfg\": {\"fusion\": {\"kind\": \"xattn\", \"layers\": 2},"
                                 " \"heads\": {\"itm\": true, \"mlm\": true}}}";

enum { B = 4, TEXTS = 6, HEIGHT = 16, WIDTH = 24, MOST = 64 };
static const int lengths[TEXTS] = {3, 7, 10, 4, 6, 5};
static const int32_t image_of[TEXTS - B] = {1, 2};
static uint8_t images[B * HEIGHT * WIDTH * 3];
static int32_t ids[MOST], off[TEXTS + 1];

static kin_pairs make_pairs(void)
{
    for (int i = 0; i < B * HEIGHT * WIDTH * 3; i++) images[i] = (uint8_t)((7 * i + i / 5) % 256);
    for (int b = 0; b < TEXTS; b++) {
        for (int j = 0; j < lengths[b]; j++)
            ids[off[b] + j] = j == 0 ? 18 : j == lengths[b] - 1 ? 19 : 1 + (5 * j + 3 * b) % 17;
        off[b + 1] = off[b] + lengths[b];
    }
    return (kin_pairs){
        .n = B, .texts = TEXTS, .images = images, .ids = ids, .off = off, .image_of = image_of};
}

typedef struct rig {
    kin_ctx cx;
    kin_backend *backend;
    kin_params *params;
    kin_programs programs;
    kin_stepper stepper;
} rig;

static void open_rig(rig *r, kin_backend *backend)
{
    *r = (rig){.backend = backend};
    kin_model_cfg cfg;
    json_t *json = kin_json_parse(&r->cx, "model", model_json, strlen(model_json));
    assert_non_null(backend);
    assert_int_equal(kin_model_cfg_read(&r->cx, "model", json, &cfg), KIN_OK);
    json_decref(json);
    for (int i = 0; i < 3; i++) {
        cfg.mean[i] = 0.5f;
        cfg.std[i] = 0.25f;
    }
    const kin_loss_row *loss = kin_loss_find("infonce");
    const kin_fused_cfg fused = {.wiring = {.hard = true, .mlm_rate = 0.3},
                                 .weight = {[KIN_ITC] = 1.0, [KIN_ITM] = 1.0, [KIN_MLM] = 0.5}};
    r->params = kin_params_new(&r->cx);
    assert_int_equal(kin_register_weights(&r->cx, r->params, &cfg, loss), KIN_OK);
    assert_int_equal(kin_params_alloc(&r->cx, r->params, backend, true, true), KIN_OK);
    golden_weights(r->params);
    golden_average(r->params);
    r->programs = (kin_programs){.cfg = cfg,
                                 .loss = loss,
                                 .params = r->params,
                                 .backend = backend,
                                 .loss_cfg = {.distill = KIN_DISTILL_TOWERS}};
    assert_int_equal(kin_stepper_open(&r->cx, &r->stepper, &r->programs, B, TEXTS, 0), KIN_OK);
    r->stepper.alpha = 0.375;
    if (kin_stepper_fuse(&r->cx, &r->stepper, &fused) != KIN_OK) fail_msg("%s", r->cx.message);
}

static void close_rig(rig *r)
{
    kin_stepper_close(&r->stepper);
    kin_programs_close(&r->programs);
    kin_params_free(r->params);
    kin_backend_close(r->backend);
}

static double step(rig *r)
{
    const kin_pairs p = make_pairs();
    double loss;
    if (kin_stepper_run(&r->cx, &r->stepper, &p, 77, &loss) != KIN_OK) fail_msg("%s", r->cx.message);
    return loss;
}

/* What the step looked at, as JSON; the caller frees it. */
static char *drawn(rig *r)
{
    const kin_wiring *w = &r->stepper.fused->wiring;
    json_t *texts = json_array(), *pairs = json_array(), *words = json_array();
    for (int64_t t = 0; t < w->now.texts; t++) {
        json_t *text = json_array();
        for (int32_t k = w->off[t]; k < w->off[t + 1]; k++)
            json_array_append_new(text, json_integer(w->ids[k]));
        json_array_append_new(texts, text);
    }
    for (int64_t p = 0; p < w->now.pairs; p++)
        json_array_append_new(pairs,
                              json_pack("[i, i, i]", w->pair_images[p], w->pair_texts[p], w->itm_labels[p]));
    for (int64_t k = 0; k < w->now.words; k++) {
        int p = 0;
        while (w->row_off[p + 1] <= w->word_rows[k]) p++;
        json_array_append_new(words,
                              json_pack("[i, i, i]", p, w->word_rows[k] - w->row_off[p], w->word_labels[k]));
    }
    json_t *all =
        json_pack("{s:i, s:o, s:o, s:o}", "itc", TEXTS, "texts", texts, "pairs", pairs, "words", words);
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    assert_non_null(text);
    return text;
}

/* Logits of the pairs that the step looked at, by a program of its own. */
static void logits(rig *r, double *out, int64_t pairs)
{
    const kin_fused_want want = {.head = {[KIN_ITM] = true}};
    const kin_wiring *w = &r->stepper.fused->wiring;
    kin_program *prog = kin_programs_fused(&r->cx, &r->programs, true, &want, &w->now);
    double room[2 * MOST];
    kin_run run = {0};
    assert_non_null(prog);
    assert_int_equal(kin_wiring_bind(&r->cx, &r->programs, prog, w, &run), KIN_OK);
    assert_int_equal(kin_program_bind(&r->cx, prog, "itm logits", room), KIN_OK);
    assert_int_equal(kin_program_run(&r->cx, prog, &run), KIN_OK);
    for (int64_t i = 0; i < 2 * pairs; i++)
        out[i] = r->backend->real == KIN_F64 ? room[i] : (double)((const float *)room)[i];
}

static void check_step(kin_backend *backend, double tolerance)
{
    rig r;
    double out[2 * MOST];
    open_rig(&r, backend);
    const double loss = step(&r);
    char *said = drawn(&r);
    golden_file g = golden_open("tests/golden/fused.bin");
    if (golden_hash(&g) != kin_fnv(KIN_FNV, said, strlen(said)))
        fail_msg("another wiring than that of tests/golden/fused.bin: run tests/golden/fused_golden.py");
    free(said);
    static const kin_objective order[] = {KIN_ITC, KIN_ITM, KIN_MLM};
    for (int k = 0; k < 3; k++)
        close_to(r.stepper.fused->loss[order[k]], golden_take(&g), tolerance, kin_objectives[order[k]].name);
    close_to(loss, golden_take(&g), tolerance, "loss");
    const int64_t pairs = r.stepper.fused->wiring.now.pairs;
    assert_true(pairs > 3 * B && pairs <= MOST);
    logits(&r, out, pairs);
    for (int64_t i = 0; i < 2 * pairs; i++) close_to(out[i], golden_take(&g), tolerance, "logits");
    golden_parameters(&g, r.params, tolerance);
    close_rig(&r);
}

static void test_of_ref(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    check_step(kin_backend_ref(&cx, KIN_F64), 1e-10);
}

static void test_of_cpu(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    check_step(kin_backend_cpu(&cx, 2, NULL), 2e-5);
}

static int dump(const char *path)
{
    kin_ctx cx = {0};
    rig r;
    open_rig(&r, kin_backend_ref(&cx, KIN_F64));
    step(&r);
    char *said = drawn(&r);
    FILE *f = fopen(path, "we");
    const bool written = f && fputs(said, f) >= 0;
    const bool closed = f && fclose(f) == 0;
    free(said);
    close_rig(&r);
    return written && closed ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_of_ref), cmocka_unit_test(test_of_cpu)};
    if (argc == 3 && strcmp(argv[1], "--dump") == 0) return dump(argv[2]);
    return cmocka_run_group_tests_name("fused_step", tests, NULL, NULL);
}
