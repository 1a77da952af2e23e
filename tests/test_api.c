/* The public interface, and that it agrees with what lies under it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "include/kin.h"
#include "train/session.h"

static char folder[64];

static const char model_json[] = "{\"embed_dim\": 16,"
                                 " \"vision_cfg\": {\"image_size\": 32, \"layers\": 1, \"width\": 32, "
                                 "\"head_width\": 16, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 560, \"width\": "
                                 "32, \"heads\": 2, \"layers\": 1}}";

/* A folder with untrained weights. */
static int make_model(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-api-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    kin_ctx cx = {0};
    const char *const texts[] = {"a red ring above a blue star", "a green cross left of a red ring"};
    kin_tokenizer *t = kin_tokenizer_train(&cx, texts, 2, 560);
    const kin_preprocess pre = kin_preprocess_default();
    json_t *json = kin_json_parse(&cx, "model", model_json, strlen(model_json));
    kin_model *m = kin_model_new(&cx, json, t, &pre, kin_loss_find("infonce"));
    kin_backend *b = kin_backend_cpu(&cx, 1, NULL);
    if (!m || !b || kin_params_alloc(&cx, m->params, b, false, false) != KIN_OK) return -1;
    if (kin_params_init(&cx, m->params, 1) != KIN_OK || kin_model_save(&cx, m, folder, false) != KIN_OK)
        return -1;
    kin_model_free(m);
    kin_backend_close(b);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void test_embeds(void **state)
{
    (void)state;
    kin *k = kin_open(folder, 2);
    assert_null(kin_error(k));
    assert_int_equal(kin_embedding_width(k), 16);
    assert_int_equal(kin_image_size(k), 32);
    assert_true(fabs(kin_scale(k) - 1.0 / 0.07) < 1e-3);
    float rows[3][16], alone[16];
    const char *const texts[] = {"a red ring", "", "\xff\xfe no UTF-8"};
    assert_int_equal(kin_embed_text(k, texts, 3, rows[0]), 0);
    for (int i = 0; i < 3; i++) assert_true(fabs(dot(rows[i], rows[i], 16) - 1.0) < 1e-5);
    /* A text alone and in a batch (clip.cpp#67). */
    assert_int_equal(kin_embed_text(k, texts, 1, alone), 0);
    for (int i = 0; i < 16; i++) assert_true(fabsf(alone[i] - rows[0][i]) < 1e-6f);

    kin_ctx cx = {0};
    kin_image image = {.width = 50, .height = 40, .pixels = malloc(50 * 40 * 3)};
    for (int i = 0; i < 50 * 40 * 3; i++) image.pixels[i] = (uint8_t)(i * 7 + i / 150);
    char path[128];
    snprintf(path, sizeof path, "%s/a.png", folder);
    assert_int_equal(kin_image_save_png(&cx, path, &image), KIN_OK);
    const char *const paths[] = {path, "/nowhere.png"};
    assert_int_equal(kin_embed_files(k, paths, 1, rows[0]), 0);
    assert_int_equal(kin_embed_pixels(k, image.pixels, 50, 40, rows[1]), 0);
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    free(image.pixels);

    assert_int_not_equal(kin_embed_files(k, paths, 2, rows[0]), 0);
    assert_non_null(strstr(kin_error(k), "/nowhere.png"));
    assert_int_not_equal(kin_embed_pixels(k, NULL, 0, 40, rows[1]), 0);
    assert_int_equal(kin_embed_text(k, texts, 1, alone), 0); /* an error does not stay */
    assert_null(kin_error(k));
    kin_close(k);
}

static void test_no_model(void **state)
{
    (void)state;
    kin *k = kin_open("/nowhere", 1);
    assert_non_null(strstr(kin_error(k), "not a model folder"));
    float row[16];
    const char *const text = "a";
    assert_int_not_equal(kin_embed_text(k, &text, 1, row), 0);
    assert_non_null(kin_error(k));
    assert_int_equal(kin_embedding_width(k), 0);
    kin_close(k);
    kin_close(NULL);
    assert_string_equal(kin_version(), KIN_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_embeds), cmocka_unit_test(test_no_model)};
    return cmocka_run_group_tests_name("api", tests, make_model, remove_model);
}
