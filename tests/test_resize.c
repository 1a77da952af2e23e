/* resize: vectors of the processor give the bits of plain C (which test_image compares with Pillow), and a
 * part is the crop of the whole, at many sizes. Buffers are as large as they must be, no byte more: the
 * sanitizer build sees what reads or writes beside them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "data/resize_pass.h"

static const kin_resize_pass *const passes[] = {
#if defined(__x86_64__)
    &kin_resize_avx2,
#endif
    &kin_resize_plain,
};

static int64_t between(kin_rng *r, int64_t low, int64_t high)
{
    return low + (int64_t)kin_rng_below(r, (uint32_t)(high - low + 1));
}

static kin_rect rectangle(kin_rng *r, int64_t width, int64_t height)
{
    const int64_t w = between(r, 1, width), h = between(r, 1, height);
    const int64_t x = between(r, 0, width - w), y = between(r, 0, height - h);
    return (kin_rect){x, y, x + w, y + h};
}

/* Noise, and in places the extremes whose sums must be clipped. */
static kin_image noise(kin_rng *r, int64_t width, int64_t height)
{
    kin_image i = {malloc((size_t)(width * height * 3)), width, height};
    const bool extreme = kin_rng_below(r, 2);
    for (int64_t k = 0; k < width * height * 3; k++)
        i.pixels[k] = extreme ? (uint8_t)(255 * kin_rng_below(r, 2)) : (uint8_t)kin_rng_below(r, 256);
    return i;
}

static uint8_t *resized(const kin_resize_pass *pass, const kin_image *in, kin_rect from, int64_t w, int64_t h,
                        kin_rect part, kin_filter filter)
{
    kin_ctx cx = {0};
    uint8_t *out = malloc((size_t)((part.x1 - part.x0) * (part.y1 - part.y0) * 3));
    assert_int_equal(kin_resize_by(&cx, pass, in, from, w, h, part, filter, out), KIN_OK);
    return out;
}

static void check(kin_rng *r, const kin_image *in, int64_t w, int64_t h)
{
    const kin_rect from = rectangle(r, in->width, in->height), part = rectangle(r, w, h), all = {0, 0, w, h};
    const int64_t n = (part.x1 - part.x0) * 3;
    const kin_filter filter = kin_rng_below(r, 4) ? KIN_BICUBIC : KIN_BILINEAR;
    uint8_t *whole = resized(&kin_resize_plain, in, from, w, h, all, filter);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        if (!passes[i]->supported()) continue;
        uint8_t *same = resized(passes[i], in, from, w, h, all, filter);
        uint8_t *cut = resized(passes[i], in, from, w, h, part, filter);
        bool good = memcmp(same, whole, (size_t)(w * h * 3)) == 0;
        for (int64_t y = part.y0; y < part.y1; y++)
            good = good && memcmp(cut + (y - part.y0) * n, whole + (y * w + part.x0) * 3, (size_t)n) == 0;
        if (!good)
            fail_msg("%s: %d x %d of %d x %d to %d x %d differs", passes[i]->isa, (int)(from.x1 - from.x0),
                     (int)(from.y1 - from.y0), (int)in->width, (int)in->height, (int)w, (int)h);
        free(same);
        free(cut);
    }
    free(whole);
}

static void test_every_path(void **state)
{
    (void)state;
    kin_rng r = kin_rng_new(11);
    for (int i = 0; i < 4000; i++) {
        const int64_t most = i % 10 ? 40 : 300; /* small ones have the edges */
        kin_image in = noise(&r, between(&r, 1, most), between(&r, 1, most));
        check(&r, &in, between(&r, 1, most), between(&r, 1, most));
        free(in.pixels);
    }
}

/* Sums over hundreds of taps, and one pixel made many. */
static void test_far_apart(void **state)
{
    (void)state;
    static const int64_t size[][4] = {{3000, 7, 5, 7}, {7, 3000, 7, 5}, {1500, 1400, 3, 2},
                                      {1, 1, 90, 80},  {2, 900, 1, 1},  {900, 2, 40, 40}};
    kin_rng r = kin_rng_new(12);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        kin_image in = noise(&r, size[i][0], size[i][1]);
        for (int k = 0; k < 4; k++) check(&r, &in, size[i][2], size[i][3]);
        free(in.pixels);
    }
}

static void test_part_refused(void **state)
{
    (void)state;
    static const kin_rect bad[] = {{0, 0, 9, 8}, {-1, 0, 4, 4}, {3, 0, 3, 4}, {0, 7, 4, 9}};
    kin_rng r = kin_rng_new(13);
    kin_image in = noise(&r, 6, 6);
    uint8_t out[9 * 9 * 3];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kin_ctx cx = {0};
        assert_int_equal(kin_resize_part(&cx, &in, (kin_rect){0, 0, 6, 6}, 8, 8, bad[i], KIN_BICUBIC, out),
                         KIN_ARG);
        assert_non_null(strstr(cx.message, "is not in 8 x 8"));
    }
    free(in.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_path), cmocka_unit_test(test_far_apart),
                                       cmocka_unit_test(test_part_refused)};
    return cmocka_run_group_tests_name("resize", tests, NULL, NULL);
}
