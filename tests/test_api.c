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
#include "tests/tiny_model.h"
#include "train/index.h"
#include "train/session.h"
#include "core/file.h"
#include "data/image.h"

static char folder[64];

/* A folder with untrained weights. */
static int make_model(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-api-XXXXXX");
    return mkdtemp(folder) && make_tiny_model(folder, "infonce") ? 0 : -1;
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

/* The same picture 70 times, more than a batch, from memory. */
static void many_ways(kin *k, const char *path, const kin_image *image, const float *want)
{
    enum { N = 70 };
    static float out[N][16];
    kin_ctx cx = {0};
    uint8_t *bytes;
    int64_t size[N], width[N], height[N];
    const void *file[N];
    const uint8_t *rgb[N];
    assert_int_equal(kin_read_file(&cx, path, 1 << 20, &bytes, &size[0]), KIN_OK);
    for (int i = 0; i < N; i++) {
        file[i] = bytes;
        size[i] = size[0];
        rgb[i] = image->pixels;
        width[i] = image->width;
        height[i] = image->height;
    }
    for (int way = 0; way < 2; way++) {
        memset(out, 0, sizeof out);
        const int rc = way ? kin_embed_rgb(k, rgb, width, height, N, out[0])
                           : kin_embed_encoded(k, file, size, N, out[0]);
        assert_int_equal(rc, 0);
        for (int i = 0; i < N; i++)
            for (int e = 0; e < 16; e++) assert_true(fabsf(out[i][e] - want[e]) < 1e-6f);
    }
    size[69] = 20;
    assert_int_not_equal(kin_embed_encoded(k, file, size, N, out[0]), 0);
    assert_non_null(strstr(kin_error(k), "picture 69"));
    rgb[3] = NULL;
    assert_int_not_equal(kin_embed_rgb(k, rgb, width, height, N, out[0]), 0);
    assert_non_null(strstr(kin_error(k), "picture 3 is NULL"));
    assert_int_not_equal(kin_embed_rgb(k, NULL, width, height, N, out[0]), 0);
    assert_int_not_equal(kin_embed_rgb(k, rgb, width, height, -1, out[0]), 0);
    assert_non_null(strstr(kin_error(k), "a count of -1"));
    assert_int_equal(kin_embed_rgb(k, NULL, NULL, NULL, 0, NULL), 0); /* nothing to do */
    free(bytes);
}

static void test_scores(void **state)
{
    (void)state;
    kin *k = kin_open(folder, 1);
    const char *const texts[] = {"a red ring", "a blue star", "a red ring"};
    float rows[3][16], cosine[3][3], p[3][3];
    assert_int_equal(kin_embed_text(k, texts, 3, rows[0]), 0);
    assert_int_equal(kin_cosines(k, rows[0], 3, rows[0], 3, cosine[0]), 0);
    assert_int_equal(kin_probabilities(k, rows[0], 3, rows[0], 3, p[0]), 0);
    for (int i = 0; i < 3; i++) {
        double sum = 0.0;
        for (int j = 0; j < 3; j++) sum += exp(kin_scale(k) * (double)cosine[i][j]);
        for (int j = 0; j < 3; j++) {
            assert_true(fabs((double)cosine[i][j] - dot(rows[i], rows[j], 16)) < 1e-6);
            assert_true(fabs((double)p[i][j] - exp(kin_scale(k) * (double)cosine[i][j]) / sum) < 1e-6);
        }
    }
    assert_true(cosine[0][2] > 0.99999f && cosine[0][1] < 0.99999f);
    int32_t ids[64];
    assert_int_equal(kin_context_length(k), 32);
    const int64_t n = kin_tokenize(k, "a red ring", ids);
    assert_true(n >= 3 && n <= 32);
    assert_int_equal(kin_tokenize(k, NULL, ids), -1);
    kin_close(k);
}

/* A model of the sigmoid loss says a probability of each pair by itself. */
static void test_pairwise_scores(void **state)
{
    (void)state;
    char sigmoid[80];
    kin_ctx cx = {0};
    snprintf(sigmoid, sizeof sigmoid, "%s/sigmoid", folder);
    assert_int_equal(kin_make_dirs(&cx, sigmoid), KIN_OK);
    assert_true(make_tiny_model(sigmoid, "siglip"));
    kin *k = kin_open(sigmoid, 1);
    const char *const texts[] = {"a red ring", "a blue star", "a red ring"};
    float rows[3][16], cosine[3][3], p[3][3];
    assert_int_equal(kin_embed_text(k, texts, 3, rows[0]), 0);
    assert_int_equal(kin_cosines(k, rows[0], 3, rows[0], 3, cosine[0]), 0);
    assert_int_equal(kin_probabilities(k, rows[0], 3, rows[0], 3, p[0]), 0);
    for (int i = 0; i < 9; i++) {
        const double want = 1.0 / (1.0 + exp(10.0 - kin_scale(k) * (double)cosine[i / 3][i % 3]));
        assert_true(fabs((double)p[i / 3][i % 3] - want) < 1e-6);
    }
    assert_true(p[0][0] > 0.9f && p[0][2] > 0.9f); /* not shared out among equals, as a softmax does */
    kin_close(k);
}

static void test_embeds(void **state)
{
    (void)state;
    kin *k = kin_open(folder, 2);
    assert_null(kin_error(k));
    assert_int_equal(kin_embedding_width(k), 16);
    assert_int_equal(kin_image_height(k), 32);
    assert_int_equal(kin_image_width(k), 32);
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

    assert_int_not_equal(kin_embed_files(k, paths, 2, rows[0]), 0);
    assert_non_null(strstr(kin_error(k), "/nowhere.png"));
    many_ways(k, path, &image, rows[1]);
    free(image.pixels);
    assert_int_not_equal(kin_embed_pixels(k, NULL, 0, 40, rows[1]), 0);
    assert_int_equal(kin_embed_text(k, texts, 1, alone), 0); /* an error does not stay */
    assert_null(kin_error(k));
    kin_close(k);
}

static void bad_index(const char *path, const char *says)
{
    kin_ctx cx = {0};
    kin_index x;
    assert_int_not_equal(kin_index_open(&cx, &x, path), KIN_OK);
    if (!strstr(cx.message, says)) fail_msg("'%s' does not say '%s'", cx.message, says);
    kin_index_close(&x);
}

static void test_index(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    const float rows[6] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
    const char *const name[] = {"a b.jpg", "", "two\nlines"};
    char path[128], names[140];
    snprintf(path, sizeof path, "%s/x.npy", folder);
    snprintf(names, sizeof names, "%s.txt", path);
    assert_true(kin_index_named(path) && !kin_index_named(".npy") && !kin_index_named(folder));
    assert_int_equal(kin_index_save(&cx, path, rows, name, 3, 2), KIN_OK);
    kin_index x;
    assert_int_equal(kin_index_open(&cx, &x, path), KIN_OK);
    assert_true(x.n == 3 && x.width == 2);
    assert_memory_equal(x.rows, rows, sizeof rows);
    assert_string_equal(x.name[0], "a b.jpg");
    assert_string_equal(x.name[1], "");
    assert_string_equal(x.name[2], "two lines");
    kin_index_close(&x);
    assert_int_equal(kin_write_file(&cx, names, "a\nb", 3), KIN_OK);
    bad_index(path, "has 2 names, and the embeddings beside it 3 rows");
    assert_int_equal(kin_write_file(&cx, names, "a\nb\nc\nd\n", 8), KIN_OK);
    bad_index(path, "has 4 names");
    remove(names);
    bad_index(path, ".npy.txt");
    assert_int_equal(kin_npy_save(&cx, path, KIN_NPY_F32, 1, (int64_t[]){6}, rows), KIN_OK);
    bad_index(path, "a float32 array [rows, width] is needed");
}

/* Weights that are mapped are only read; and give the same embeddings as weights that were copied. */
static void test_mapped(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_cpu(&cx, 1, NULL);
    float row[2][16];
    const char *const text = "a red ring";
    for (int copied = 0; copied < 2; copied++) {
        b->host = !copied; /* as of a device, whose weights are copied */
        kin_model *m = kin_model_load(&cx, folder, b);
        b->host = true;
        assert_non_null(m);
        assert_true((m->weights == NULL) == copied && (m->params->arena != NULL) == copied);
        const float value = 0.0f;
        const int scale = kin_params_find(m->params, "logit_scale");
        assert_int_equal(kin_param_set(&cx, m->params, scale, &value), copied ? KIN_OK : KIN_INTERNAL);
        kin_clear(&cx);
        kin_programs p = {.cfg = m->cfg, .params = m->params, .backend = b};
        kin_embedder e;
        assert_int_equal(kin_embedder_open(&cx, &e, m, &p, 4), KIN_OK);
        assert_int_equal(kin_embed_texts(&cx, &e, &text, 1, row[copied]), KIN_OK);
        kin_embedder_close(&e);
        kin_programs_close(&p);
        kin_model_free(m);
    }
    assert_memory_equal(row[0], row[1], sizeof row[0]);
    kin_backend_close(b);
}

static void test_no_model(void **state)
{
    (void)state;
    kin *k = kin_open("/nowhere", 1);
    assert_non_null(strstr(kin_error(k), "not a model folder"));
    float row[16];
    const char *const text = "a";
    assert_int_not_equal(kin_embed_text(k, &text, 1, row), 0);
    assert_int_equal(kin_tokenize(k, text, (int32_t[64]){0}), -1);
    assert_int_not_equal(kin_cosines(k, row, 1, row, 1, row), 0);
    assert_non_null(kin_error(k));
    assert_int_equal(kin_embedding_width(k), 0);
    kin_close(k);
    kin_close(NULL);
    assert_string_equal(kin_version(), KIN_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embeds), cmocka_unit_test(test_scores), cmocka_unit_test(test_pairwise_scores),
        cmocka_unit_test(test_index),  cmocka_unit_test(test_mapped), cmocka_unit_test(test_no_model)};
    return cmocka_run_group_tests_name("api", tests, make_model, remove_model);
}
