/* Running out of memory in a reader of data: of every form of pairs, of pictures, tokenizers, models and
 * embeddings each allocation fails once; a sentence comes out, and nothing is left behind. Those inside
 * jansson do not fail here: 2.14 writes beyond its buffer when the text of a string finds no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/json.h"
#include "data/image.h"
#include "data/tokenizer.h"
#include "tests/fault.h"
#include "tests/forms.h"
#include "tests/tiny_model.h"
#include "train/index.h"
#include "train/model.h"

static char folder[64];

typedef struct opened {
    char path[300];
    kin_dataset_cfg cfg;
} opened;

static kin_status open_pairs(kin_ctx *cx, const void *what)
{
    const opened *o = what;
    kin_dataset_close(kin_dataset_open_as(cx, o->path, &o->cfg));
    return cx->status;
}

/* Of a model's classes, not the data's. */
static kin_status open_classes(kin_ctx *cx, const void *what)
{
    static const char *const names[] = {"yes", "true", "no"};
    const opened *o = what;
    kin_dataset *d = kin_dataset_open_as(cx, o->path, &o->cfg);
    if (d) kin_dataset_classes(cx, d, names, 3);
    kin_dataset_close(d);
    return cx->status;
}

static kin_status open_pictures(kin_ctx *cx, const void *what)
{
    kin_dataset_close(kin_pictures_open(cx, what));
    return cx->status;
}

static void every_form(void **state)
{
    (void)state;
    for (int i = 0; i < form_count; i++) {
        opened o = {.cfg = {.split = forms[i].split}};
        snprintf(o.path, sizeof o.path, "%s/%s%s%s", folder, forms[i].name, *forms[i].path ? "/" : "",
                 forms[i].path);
        const int64_t n = all_fail(forms[i].name, open_pairs, &o);
        print_message("%s: %lld allocations\n", forms[i].name, (long long)n);
        assert_true(n >= 5);
    }
}

/* Labels, soft ones, pictures in a packed tar one must unpack: as labels, then as pairs. */
static void labels(void **state)
{
    (void)state;
    char line[400];
    form_save_picture(folder, "labelled/0.jpg", 0);
    form_save_picture(folder, "labelled/far.jpg", 1);
    snprintf(line, sizeof line, "cd %s/labelled && tar -czf far.tar.gz far.jpg && rm far.jpg", folder);
    assert_int_equal(system(line), 0);
    form_write(
        folder, "labelled/t.tsv",
        "image\tcaption\tlabel\n0.jpg\ta\ttrue\nfar.jpg\tb\tfalse\n0.jpg\tc\t{\"true\": 0.5, \"no\": 1}\n"
        "0.jpg\td\t\n");
    opened o = {.cfg = {.labels = KIN_LABELS_MUST}};
    snprintf(o.path, sizeof o.path, "%s/labelled/t.tsv", folder);
    assert_true(all_fail("labels", open_pairs, &o) >= 15);
    assert_true(all_fail("labels of a model's classes", open_classes, &o) >= 17);
    o.cfg.labels = KIN_LABELS_PAIRS;
    assert_true(all_fail("labels as pairs", open_pairs, &o) >= 15);
}

static void pictures_alone(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/folder", folder);
    assert_true(all_fail("a folder of pictures", open_pictures, path) >= 5);
}

static kin_status decode(kin_ctx *cx, const void *what)
{
    kin_image image;
    const kin_status rc = kin_image_load(cx, what, &image);
    kin_image_free(&image);
    return rc;
}

static void pictures(void **state)
{
    (void)state;
    static const char *const files[] = {"tests/golden/image/rgb.png", "tests/golden/image/lossy.webp"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_true(all_fail(files[i], decode, files[i]) >= 2);
    char path[300];
    form_save_picture(folder, "photo.jpg", 3);
    snprintf(path, sizeof path, "%s/photo.jpg", folder);
    assert_true(all_fail("a JPEG", decode, path) >= 2);
}

static kin_status learn(kin_ctx *cx, const void *what)
{
    static const char *const texts[] = {"a red ring above a blue star", "a green cross left of a red ring"};
    int32_t ids[64];
    kin_tokenizer *t = kin_tokenizer_train(cx, texts, 2, 530);
    if (t && kin_tokenizer_encode(cx, t, "a red star", 64, ids) > 0) kin_tokenizer_save(cx, t, what);
    kin_tokenizer_free(t);
    return cx->status;
}

static kin_status load(kin_ctx *cx, const void *what)
{
    int32_t ids[64];
    kin_tokenizer *t = kin_tokenizer_load(cx, what);
    if (t) kin_tokenizer_encode(cx, t, "a red star", 64, ids);
    kin_tokenizer_free(t);
    return cx->status;
}

static kin_status open_model(kin_ctx *cx, const void *what)
{
    kin_backend *b = kin_backend_cpu(cx, 1, NULL);
    kin_model *m = b ? kin_model_load(cx, what, b) : NULL;
    kin_model_free(m);
    kin_backend_close(b);
    return cx->status;
}

static kin_status open_index(kin_ctx *cx, const void *what)
{
    kin_index x;
    kin_index_open(cx, &x, what);
    kin_index_close(&x);
    return cx->status;
}

static void models(void **state)
{
    (void)state;
    char path[300], index[300];
    kin_ctx cx = {0};
    snprintf(path, sizeof path, "%s/model", folder);
    assert_int_equal(kin_make_dirs(&cx, path), KIN_OK);
    assert_true(all_fail("learning a vocabulary", learn, path) >= 10);
    assert_true(make_tiny_model(path, "infonce"));
    assert_true(all_fail("a vocabulary", load, path) >= 5);
    assert_true(all_fail("a model folder", open_model, path) >= 20);
    static const float rows[6] = {1, 2, 3, 4, 5, 6};
    static const char *const names[] = {"a", "b"};
    snprintf(index, sizeof index, "%s/x.npy", folder);
    assert_int_equal(kin_index_save(&cx, index, rows, names, 2, 3), KIN_OK);
    assert_true(all_fail("embeddings", open_index, index) >= 3);
}

static int make(void **state)
{
    (void)state;
    forms_make(folder);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    forms_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form), cmocka_unit_test(labels), cmocka_unit_test(pictures_alone),
        cmocka_unit_test(pictures),   cmocka_unit_test(models),
    };
    return cmocka_run_group_tests_name("fault readers", tests, make, clear);
}
