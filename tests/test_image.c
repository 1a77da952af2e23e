/* Pictures: decoding and resizing bit for bit as Pillow does, open_clip's transform, what is refused and how;
 * drawing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/augment.h"
#include "data/draw.h"

static kin_image picture(int64_t w, int64_t h)
{
    kin_image p = {malloc((size_t)(w * h * 3)), w, h};
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++)
            for (int64_t c = 0; c < 3; c++)
                p.pixels[(y * w + x) * 3 + c] =
                    (uint8_t)(x * 7 + y * 13 + c * 29 + (x * y) % 17 * 5 + (x / 8 + y / 8) % 2 * 90);
    return p;
}

static uint64_t digest(const uint8_t *pixels, int64_t count)
{
    return kin_fnv(KIN_FNV, pixels, (size_t)(count * 3));
}

/* The lines of tests/golden/image.txt that begin with `kind`, their rest to `check`; how many. */
static int each(const char *kind, void (*check)(const char *rest))
{
    FILE *f = fopen("tests/golden/image.txt", "r");
    assert_non_null(f);
    char line[256];
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        const size_t k = strlen(kind);
        if (strncmp(line, kind, k) != 0 || line[k] != ' ') continue;
        check(line + k + 1);
        n++;
    }
    fclose(f);
    return n;
}

/* The header alone; cut anywhere it is the right size or none. */
static void check_measure(const char *path, long w, long h)
{
    kin_ctx cx = {0};
    uint8_t *bytes;
    int64_t size, width = 0, height = 0;
    assert_int_equal(kin_read_file(&cx, path, 1 << 20, &bytes, &size), KIN_OK);
    assert_true(kin_image_measure(bytes, size, &width, &height));
    assert_true(width == w && height == h);
    for (int64_t n = 0; n < kin_min64(size, 700); n++) {
        uint8_t *cut = malloc((size_t)n + (n == 0));
        memcpy(cut, bytes, (size_t)n);
        if (kin_image_measure(cut, n, &width, &height)) assert_true(width == w && height == h);
        free(cut);
    }
    free(bytes);
}

static void check_decode(const char *rest)
{
    char name[64], path[128];
    long w, h;
    unsigned long want;
    assert_int_equal(sscanf(rest, "%63s %ld %ld %lx", name, &w, &h, &want), 4);
    snprintf(path, sizeof path, "tests/golden/image/%s", name);
    kin_ctx cx = {0};
    kin_image image;
    const kin_status rc = kin_image_load(&cx, path, &image);
    if (rc == KIN_UNSUPPORTED && strstr(cx.message, "built without libwebp")) return;
    if (rc != KIN_OK) fail_msg("%s", cx.message);
    assert_int_equal(image.width, w);
    assert_int_equal(image.height, h);
    if (digest(image.pixels, w * h) != want) fail_msg("%s is not what Pillow decodes", name);
    kin_image_free(&image);
    check_measure(path, w, h);
}

static void check_small(const char *rest)
{
    char name[64], path[128];
    int shrink;
    long w, h;
    unsigned long want;
    assert_int_equal(sscanf(rest, "%63s %d %ld %ld %lx", name, &shrink, &w, &h, &want), 5);
    snprintf(path, sizeof path, "tests/golden/image/%s", name);
    kin_ctx cx = {0};
    uint8_t *bytes;
    int64_t size, width = 0, height = 0;
    kin_image image;
    assert_int_equal(kin_read_file(&cx, path, 1 << 20, &bytes, &size), KIN_OK);
    assert_true(kin_image_measure(bytes, size, &width, &height));
    assert_int_equal(kin_image_decode_small(&cx, path, bytes, size, 10000, shrink, &image), KIN_OK);
    assert_true(image.width == w && image.height == h);
    assert_true((width + shrink - 1) / shrink == w && (height + shrink - 1) / shrink == h);
    if (digest(image.pixels, w * h) != want) fail_msg("%s: not Pillow's draft of 1/%d", name, shrink);
    kin_image_free(&image);
    /* The limit is of the stored picture. */
    assert_int_equal(kin_image_decode_small(&cx, path, bytes, size, width * height - 1, shrink, &image),
                     KIN_UNSUPPORTED);
    free(bytes);
}

static void check_upright(const char *rest)
{
    char name[64], path[128];
    long w, h;
    unsigned long want;
    assert_int_equal(sscanf(rest, "%63s %ld %ld %lx", name, &w, &h, &want), 4);
    snprintf(path, sizeof path, "tests/golden/image/%s", name);
    kin_ctx cx = {0};
    uint8_t *bytes;
    int64_t size;
    kin_image image;
    assert_int_equal(kin_read_file(&cx, path, 1 << 20, &bytes, &size), KIN_OK);
    const int orientation = kin_image_orientation(bytes, size);
    assert_int_equal(orientation, name[4] - '0'); /* exif6.jpg */
    assert_int_equal(kin_image_decode(&cx, path, bytes, size, 10000, &image), KIN_OK);
    assert_int_equal(kin_image_upright(&cx, &image, orientation), KIN_OK);
    assert_int_equal(image.width, w);
    assert_int_equal(image.height, h);
    if (digest(image.pixels, w * h) != want) fail_msg("%s: not turned as Pillow turns it", name);
    kin_image_free(&image);
    /* Cut anywhere, it is read as far as it goes. */
    for (int64_t n = 0; n < kin_min64(size, 64); n++) {
        uint8_t *cut = malloc((size_t)n + (n == 0));
        memcpy(cut, bytes, (size_t)n);
        assert_in_range(kin_image_orientation(cut, n), 1, 8);
        free(cut);
    }
    free(bytes);
}

static kin_filter filter_of(const char *name)
{
    return strcmp(name, "bicubic") == 0 ? KIN_BICUBIC : KIN_BILINEAR;
}

static void check_resized(long w, long h, kin_rect from, long w2, long h2, const char *filter,
                          unsigned long want)
{
    kin_ctx cx = {0};
    kin_image in = picture(w, h);
    uint8_t *out = malloc((size_t)(w2 * h2 * 3));
    assert_int_equal(kin_resize(&cx, &in, from, w2, h2, filter_of(filter), out), KIN_OK);
    if (digest(out, w2 * h2) != want) fail_msg("%ldx%ld to %ldx%ld, %s: not as Pillow", w, h, w2, h2, filter);
    free(out);
    kin_image_free(&in);
}

static void check_resize(const char *rest)
{
    long w, h, w2, h2;
    char filter[16];
    unsigned long want;
    assert_int_equal(sscanf(rest, "%ld %ld %ld %ld %15s %lx", &w, &h, &w2, &h2, filter, &want), 6);
    check_resized(w, h, (kin_rect){0, 0, w, h}, w2, h2, filter, want);
}

static void check_crop(const char *rest)
{
    long w, h, x0, y0, x1, y1, w2, h2;
    char filter[16];
    unsigned long want;
    assert_int_equal(sscanf(rest, "%ld %ld %ld %ld %ld %ld %ld %ld %15s %lx", &w, &h, &x0, &y0, &x1, &y1, &w2,
                            &h2, filter, &want),
                     10);
    check_resized(w, h, (kin_rect){x0, y0, x1, y1}, w2, h2, filter, want);
}

static void check_clipped(const kin_image *in, long s, unsigned long want, const char *what)
{
    kin_ctx cx = {0};
    kin_preprocess p = kin_preprocess_default();
    p.height = p.width = s;
    uint8_t *out = malloc((size_t)(s * s * 3));
    assert_int_equal(kin_preprocess_image(&cx, &p, in, out), KIN_OK);
    if (digest(out, s * s) != want) fail_msg("%s: not open_clip's transform", what);
    free(out);
}

static void check_clip(const char *rest)
{
    long w, h, s;
    unsigned long want;
    assert_int_equal(sscanf(rest, "%ld %ld %ld %lx", &w, &h, &s, &want), 4);
    kin_image in = picture(w, h);
    check_clipped(&in, s, want, rest);
    kin_image_free(&in);
}

static void check_fit(const char *rest)
{
    static const char *const modes[] = {"shortest", "longest", "squash"};
    char mode[16];
    long w, h, tall, wide;
    unsigned long want;
    kin_ctx cx = {0};
    kin_preprocess p = kin_preprocess_default();
    assert_int_equal(sscanf(rest, "%15s %ld %ld %ld %ld %lx", mode, &w, &h, &tall, &wide, &want), 6);
    for (int i = 0; i < 3; i++)
        if (strcmp(mode, modes[i]) == 0) p.mode = (kin_resize_mode)i;
    p.height = tall;
    p.width = wide;
    kin_image in = picture(w, h);
    uint8_t *out = malloc((size_t)kin_preprocess_bytes(&p));
    assert_int_equal(kin_preprocess_image(&cx, &p, &in, out), KIN_OK);
    if (digest(out, tall * wide) != want) fail_msg("%s: not open_clip's transform", rest);
    free(out);
    kin_image_free(&in);
}

static void check_real(const char *rest)
{
    char name[128], path[512];
    unsigned long decoded, clipped;
    assert_int_equal(sscanf(rest, "%127s %lx %lx", name, &decoded, &clipped), 3);
    snprintf(path, sizeof path, "%s/flickr8k_1k/images/%s", getenv("KIN_DATA"), name);
    kin_ctx cx = {0};
    kin_image image;
    if (kin_image_load(&cx, path, &image) != KIN_OK) fail_msg("%s", cx.message);
    assert_true(digest(image.pixels, image.width * image.height) == decoded);
    check_clipped(&image, 112, clipped, name);
    kin_image_free(&image);
}

static void test_as_pillow(void **state)
{
    (void)state;
    assert_int_equal(each("decode", check_decode), 24);
    assert_int_equal(each("small", check_small), 21);
    assert_int_equal(each("upright", check_upright), 8);
    assert_int_equal(each("resize", check_resize), 18);
    assert_int_equal(each("crop", check_crop), 4);
    assert_int_equal(each("clip", check_clip), 6);
    assert_int_equal(each("fit", check_fit), 10);
}

static void test_real_photos(void **state)
{
    (void)state;
    if (!getenv("KIN_DATA")) {
        print_message("skipped: KIN_DATA is not set\n");
        skip();
    }
    assert_int_equal(each("real", check_real), 20);
}

/* ---- refusing ---- */

static void refused(const void *bytes, int64_t size, kin_status status, const char *says)
{
    kin_ctx cx = {0};
    kin_image image;
    assert_int_equal(kin_image_decode(&cx, "x.jpg", bytes, size, 10000, &image), status);
    if (!strstr(cx.message, says) || !strstr(cx.message, "x.jpg"))
        fail_msg("'%s' does not say '%s'", cx.message, says);
    assert_null(image.pixels);
}

static void test_refused(void **state)
{
    (void)state;
    refused("", 0, KIN_FORMAT, "it is empty");
    refused("hello", 5, KIN_FORMAT, "not a picture that kin knows");
    refused("GIF89a..", 8, KIN_UNSUPPORTED, "a GIF file; kin reads JPEG, PNG and WebP");
    refused("\x89PNG\r\n\x1a\n", 8, KIN_FORMAT, "a damaged PNG");
    refused("\xff\xd8\xff\xe0", 4, KIN_FORMAT, "a damaged JPEG");
    static const char *const names[] = {"rgb.jpg", "progressive.jpg", "rgb.png", "lossless.webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/golden/image/%s", names[i]);
        kin_ctx cx = {0};
        uint8_t *bytes;
        int64_t size;
        assert_int_equal(kin_read_file(&cx, path, 1 << 20, &bytes, &size), KIN_OK);
        kin_image image;
        /* Cut anywhere: an error with a sentence, never a picture that is half made up. */
        for (int64_t n = 12; n < size - 2; n += 7) {
            kin_clear(&cx);
            if (kin_image_decode(&cx, names[i], bytes, n, 10000, &image) == KIN_OK) {
                const bool tail = n > size - 24; /* only what follows the pixels is missing */
                kin_image_free(&image);
                if (!tail) fail_msg("%s, cut to %d of %d bytes, was read", names[i], (int)n, (int)size);
            }
        }
        kin_clear(&cx);
        assert_int_not_equal(kin_image_decode(&cx, names[i], bytes, size, 29 * 21 - 1, &image), KIN_OK);
        if (!strstr(cx.message, "built without"))
            assert_non_null(strstr(cx.message, "29 x 21 pixels; at most 608"));
        free(bytes);
    }
    kin_ctx cx = {0};
    kin_image in = picture(8, 8);
    uint8_t out[3];
    assert_int_equal(kin_resize(&cx, &in, (kin_rect){0, 0, 9, 8}, 1, 1, KIN_BICUBIC, out), KIN_ARG);
    kin_clear(&cx);
    assert_int_equal(kin_resize(&cx, &in, (kin_rect){0, 0, 8, 8}, 0, 1, KIN_BICUBIC, out), KIN_ARG);
    kin_image_free(&in);
}

/* ---- preprocessing, random crops ---- */

static void test_preprocess_files(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_preprocess p = kin_preprocess_default(), q = {.height = 224, .width = 224};
    p.mode = KIN_RESIZE_SQUASH;
    p.interpolation = KIN_BILINEAR;
    p.fill = 7;
    p.mean[1] = 0.1f;
    json_t *j = kin_preprocess_to_json(&p);
    assert_int_equal(kin_preprocess_from_json(&cx, j, &q), KIN_OK);
    assert_memory_equal(p.mean, q.mean, sizeof p.mean);
    assert_memory_equal(p.std, q.std, sizeof p.std);
    assert_true(p.mode == q.mode && p.interpolation == q.interpolation && p.fill == q.fill);
    json_object_set_new(j, "resize_mode", json_string("stretch"));
    assert_int_equal(kin_preprocess_from_json(&cx, j, &q), KIN_FORMAT);
    assert_non_null(strstr(cx.message, "\"stretch\"; kin has shortest, longest, squash"));
    json_decref(j);
}

static void test_modes(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_image in = picture(40, 20);
    kin_preprocess p = kin_preprocess_default();
    uint8_t out[16 * 16 * 3];
    p.height = p.width = 16;
    p.fill = 200;
    p.mode = KIN_RESIZE_LONGEST; /* 16 x 8 in the middle, rows above and below filled */
    assert_int_equal(kin_preprocess_image(&cx, &p, &in, out), KIN_OK);
    for (int i = 0; i < 16 * 3; i++) {
        assert_int_equal(out[3 * 16 * 3 + i], 200);
        assert_int_equal(out[12 * 16 * 3 + i], 200);
    }
    uint8_t small[16 * 8 * 3];
    assert_int_equal(kin_resize(&cx, &in, (kin_rect){0, 0, 40, 20}, 16, 8, KIN_BICUBIC, small), KIN_OK);
    assert_memory_equal(out + 4 * 16 * 3, small, sizeof small);
    p.mode = KIN_RESIZE_SQUASH;
    uint8_t squashed[16 * 16 * 3];
    assert_int_equal(kin_preprocess_image(&cx, &p, &in, out), KIN_OK);
    assert_int_equal(kin_resize(&cx, &in, (kin_rect){0, 0, 40, 20}, 16, 16, KIN_BICUBIC, squashed), KIN_OK);
    assert_memory_equal(out, squashed, sizeof squashed);
    kin_image_free(&in);
}

static void test_shrink(void **state)
{
    (void)state;
    static const int64_t want[][3] = {{640, 480, 2},   {500, 375, 1},  {448, 448, 2},   {448, 447, 1},
                                      {900, 896, 4},   {30, 20, 1},    {1791, 4000, 4}, {1792, 4000, 8},
                                      {9000, 9000, 8}, {224, 9000, 1}, {6000, 500, 2}};
    kin_preprocess p = kin_preprocess_default();
    kin_augment none = {.crop_min = 1.0}, crops = {.crop_min = 0.25};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(kin_augment_shrink(&p, &none, 0, want[i][0], want[i][1]), want[i][2]);
    p.mode = KIN_RESIZE_LONGEST;
    assert_int_equal(kin_augment_shrink(&p, &none, 0, 6000, 500), 8);
    /* A picture of twice the model's size: crops of less than all of it are decoded whole. */
    int small = 0;
    for (uint64_t key = 0; key < 100; key++) small += kin_augment_shrink(&p, &crops, key, 640, 640) > 1;
    assert_in_range(small, 30, 80);
    /* The same crop of fewer pixels, or the picture is another one. */
    kin_ctx cx = {0};
    uint8_t *bytes, out[3][8 * 8 * 3];
    int64_t size, same = 0, other = 0;
    kin_image whole, half;
    kin_augmentation unused;
    p.height = p.width = 8;
    assert_int_equal(kin_read_file(&cx, "tests/golden/image/odd420.jpg", 1 << 20, &bytes, &size), KIN_OK);
    assert_int_equal(kin_image_decode(&cx, "", bytes, size, 10000, &whole), KIN_OK);
    assert_int_equal(kin_image_decode_small(&cx, "", bytes, size, 10000, 2, &half), KIN_OK);
    for (uint64_t key = 0; key < 50; key++) {
        assert_int_equal(kin_augment_image(&cx, &p, &crops, key, &whole, 23, 37, out[0], &unused), KIN_OK);
        assert_int_equal(kin_augment_image(&cx, &p, &crops, key, &half, 23, 37, out[1], &unused), KIN_OK);
        assert_int_equal(kin_augment_image(&cx, &p, &crops, key + 1, &whole, 23, 37, out[2], &unused),
                         KIN_OK);
        for (int i = 0; i < 8 * 8 * 3; i++) {
            same += abs(out[0][i] - out[1][i]);
            other += abs(out[0][i] - out[2][i]);
        }
    }
    if (same * 2 > other)
        fail_msg("differs by %lld; another crop by %lld", (long long)same, (long long)other);
    kin_image_free(&whole);
    kin_image_free(&half);
    free(bytes);
}

/* ---- drawing ---- */

static void test_drawing(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_image c;
    assert_int_equal(kin_canvas(&cx, 60, 40, 0xffffff, &c), KIN_OK);
    kin_draw_fill(&c, -5, -5, 1000, 8, 0x102030); /* clipped */
    assert_int_equal(c.pixels[0], 0x10);
    assert_int_equal(c.pixels[2 * 60 * 3 + 1], 0x20); /* rows -5 .. 2 */
    assert_int_equal(c.pixels[3 * 60 * 3], 0xff);
    kin_image in = picture(30, 30);
    kin_draw_image(&c, 50, 30, &in);
    assert_memory_equal(c.pixels + (39 * 60 + 50) * 3, in.pixels + 9 * 30 * 3, 30);
    kin_draw_image(&c, 100, 100, &in); /* outside */
    assert_int_equal(kin_draw_text(&c, 0, 5, 60, 10, 1, 0, "two words and \xc3\xa9 more"), 2 * 8);
    assert_int_equal(kin_draw_text(&c, 0, 5, 60, 1, 1, 0, "cut after one line"), 8);
    assert_int_equal(kin_draw_text(&c, 0, 5, 60, 3, 1, 0, ""), 0);
    uint8_t *bytes;
    int64_t size;
    kin_image back;
    assert_int_equal(kin_image_encode_png(&cx, &c, &bytes, &size), KIN_OK);
    assert_int_equal(kin_image_decode(&cx, "png", bytes, size, 1 << 20, &back), KIN_OK);
    assert_memory_equal(back.pixels, c.pixels, 60 * 40 * 3);
    free(bytes);
    kin_image_free(&back);
    kin_image_free(&in);
    kin_image_free(&c);
    assert_int_equal(kin_canvas(&cx, 0, 40, 0, &c), KIN_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_pillow), cmocka_unit_test(test_real_photos),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_preprocess_files),
        cmocka_unit_test(test_modes),     cmocka_unit_test(test_shrink),
        cmocka_unit_test(test_drawing),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
