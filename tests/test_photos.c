/* Real photos, bit for bit as Pillow decodes and resizes them: tests/golden/photos.txt is of the 1,000 JPEGs
 * of KIN_DATA/flickr8k_1k. With a folder that tests/golden/photos_golden.py wrote (make parity): the pictures
 * in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/preprocess.h"

enum { CLIP = 224, WIDTH = 96, HEIGHT = 64 };

static const char *list = "tests/golden/photos.txt";
static char folder[512];
static int expected = 1000;

static uint32_t digest(const uint8_t *pixels, int64_t count)
{
    return (uint32_t)(kin_fnv(KIN_FNV, pixels, (size_t)(count * 3)) >> 32);
}

/* What differs, in a word; NULL: nothing. */
static const char *difference(kin_ctx *cx, const kin_image *image, long w, long h, const unsigned want[3])
{
    static uint8_t out[CLIP * CLIP * 3];
    kin_preprocess p = kin_preprocess_default();
    p.height = p.width = CLIP;
    if (image->width != w || image->height != h) return "its size";
    if (digest(image->pixels, w * h) != want[0]) return "its pixels";
    if (kin_preprocess_image(cx, &p, image, out) != KIN_OK) return cx->message;
    if (digest(out, CLIP * CLIP) != want[1]) return "open_clip's transform of it";
    if (kin_resize(cx, image, (kin_rect){0, 0, w, h}, WIDTH, HEIGHT, KIN_BILINEAR, out) != KIN_OK)
        return cx->message;
    return digest(out, WIDTH * HEIGHT) == want[2] ? NULL : "its bilinear resize";
}

/* What kin itself writes is read back exactly. */
static void check_png(kin_ctx *cx, const char *name, const kin_image *image)
{
    uint8_t *bytes;
    int64_t size;
    kin_image back;
    assert_int_equal(kin_image_encode_png(cx, image, &bytes, &size), KIN_OK);
    assert_int_equal(kin_image_decode(cx, name, bytes, size, KIN_MAX_IMAGE_PIXELS, &back), KIN_OK);
    assert_int_equal(back.width, image->width);
    assert_memory_equal(back.pixels, image->pixels, (size_t)(image->width * image->height * 3));
    kin_image_free(&back);
    free(bytes);
}

static void test_photos(void **state)
{
    (void)state;
    if (!*folder) {
        print_message("skipped: KIN_DATA is not set\n");
        skip();
    }
    FILE *f = fopen(list, "r");
    assert_non_null(f);
    char name[128], path[700];
    long w, h;
    unsigned want[3];
    int count = 0, bad = 0;
    while (fscanf(f, "%127s %ld %ld %x %x %x", name, &w, &h, &want[0], &want[1], &want[2]) == 6) {
        kin_ctx cx = {0};
        kin_image image;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        const kin_status rc = kin_image_load(&cx, path, &image);
        count++;
        if (rc == KIN_UNSUPPORTED && strstr(cx.message, "built without")) continue;
        const char *what = rc == KIN_OK ? difference(&cx, &image, w, h, want) : cx.message;
        if (what) print_error("%s: %s\n", name, what);
        bad += what != NULL;
        if (rc == KIN_OK && count % 20 == 0) check_png(&cx, name, &image);
        kin_image_free(&image);
    }
    fclose(f);
    if (bad) fail_msg("%d of %d pictures are not as Pillow has them", bad, count);
    assert_true(count == expected);
    print_message("%d pictures as Pillow has them\n", count);
}

int main(int argc, char **argv)
{
    const char *data = getenv("KIN_DATA");
    static char made[600];
    if (argc > 1) {
        snprintf(folder, sizeof folder, "%s", argv[1]);
        snprintf(made, sizeof made, "%s/photos.txt", folder);
        list = made;
        expected = 2000;
    } else if (data) {
        snprintf(folder, sizeof folder, "%s/flickr8k_1k/images", data);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_photos)};
    return cmocka_run_group_tests_name("photos", tests, NULL, NULL);
}
