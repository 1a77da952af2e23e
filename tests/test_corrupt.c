/* corrupt: strength 0 changes nothing, 1 all that can be; in between what the header says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "data/corrupt.h"

enum { W = 48, H = 40, BYTES = W * H * 3 };
static const uint8_t mean[3] = {10, 20, 30};
static uint8_t original[BYTES], pixels[BYTES];

static int setup(void **state)
{
    (void)state;
    kin_rng r = kin_rng_new(1);
    for (int i = 0; i < BYTES; i++) original[i] = (uint8_t)(64 + kin_rng_below(&r, 128));
    return 0;
}

static void corrupt(kin_noise kind, double strength, uint64_t key)
{
    kin_ctx cx = {0};
    kin_image m = {pixels, W, H};
    memcpy(pixels, original, BYTES);
    assert_int_equal(kin_corrupt_image(&cx, kind, strength, key, mean, &m), KIN_OK);
}

static double deviation(const uint8_t *p)
{
    double sum = 0, square = 0;
    for (int i = 0; i < BYTES; i++) {
        sum += p[i];
        square += (double)p[i] * p[i];
    }
    return sqrt(square / BYTES - sum / BYTES * sum / BYTES);
}

static int changed(void)
{
    int n = 0;
    for (int i = 0; i < W * H; i++) n += memcmp(pixels + 3 * i, original + 3 * i, 3) != 0;
    return n;
}

static void test_nothing_and_the_same(void **state)
{
    (void)state;
    static uint8_t first[BYTES];
    for (int kind = 0; kind < KIN_NOISES; kind++) {
        corrupt((kin_noise)kind, 0, 3);
        assert_memory_equal(pixels, original, BYTES);
        corrupt((kin_noise)kind, 0.6, 3);
        memcpy(first, pixels, BYTES);
        corrupt((kin_noise)kind, 0.6, 3);
        assert_memory_equal(pixels, first, BYTES);
        if (!kin_noise_of_image((kin_noise)kind)) assert_memory_equal(pixels, original, BYTES);
        if (kind == KIN_NOISE_CROP || kind == KIN_NOISE_COLOR || kind == KIN_NOISE_COVER) {
            corrupt((kin_noise)kind, 0.6, 4);
            assert_memory_not_equal(pixels, first, BYTES);
        }
    }
    kin_ctx cx = {0};
    kin_image m = {pixels, W, H};
    assert_int_equal(kin_corrupt_image(&cx, KIN_NOISE_BLUR, 1.5, 0, mean, &m), KIN_ARG);
    assert_string_equal(cx.message, "corruption: its strength is 1.5, it must be 0 to 1");
    kin_clear(&cx);
    assert_int_equal(kin_corrupt_image(&cx, KIN_NOISE_BLUR, (double)NAN, 0, mean, &m), KIN_ARG);
}

static void test_blur(void **state)
{
    (void)state;
    double last = deviation(original);
    for (int k = 1; k <= 4; k++) {
        corrupt(KIN_NOISE_BLUR, k / 4.0, 0);
        assert_true(deviation(pixels) < last && deviation(pixels) < 0.4 * deviation(original));
        last = deviation(pixels);
    }
    /* One bright pixel spreads as the Gaussian of its sigma: 0.4 * 40 / 8 = 2. */
    static uint8_t keep[BYTES];
    memcpy(keep, original, BYTES);
    memset(original, 0, BYTES);
    memset(original + (20 * W + 24) * 3, 255, 3);
    corrupt(KIN_NOISE_BLUR, 0.4, 0);
    const double top = pixels[(20 * W + 24) * 3];
    assert_true(fabs(top - 255 / (2 * acos(-1) * 4)) <= 1);
    assert_int_equal(pixels[(20 * W + 26) * 3], pixels[(22 * W + 24) * 3]);
    memset(original, 77, BYTES);
    corrupt(KIN_NOISE_BLUR, 1, 0);
    assert_memory_equal(pixels, original, BYTES); /* weights sum to one, at the edges too */
    memcpy(original, keep, BYTES);
}

static void test_color_and_cover(void **state)
{
    (void)state;
    memset(original, 128, BYTES);
    corrupt(KIN_NOISE_COLOR, 0.25, 9);
    assert_true(fabs(deviation(pixels) - 24) < 1);
    setup(NULL);
    for (int k = 1; k <= 4; k++) {
        corrupt(KIN_NOISE_COVER, k / 4.0, (uint64_t)k);
        assert_true(fabs(changed() - W * H * k / 4.0) < W + H);
    }
    assert_int_equal(changed(), W * H);
}

static void test_crop(void **state)
{
    (void)state;
    /* A ramp stays one, a quarter as steep. */
    for (int i = 0; i < W * H; i++) memset(original + 3 * i, 5 * (i % W), 3);
    corrupt(KIN_NOISE_CROP, 1, 2);
    const int rise = pixels[(20 * W + 40) * 3] - pixels[(20 * W + 8) * 3];
    assert_true(abs(rise - 5 * 32 / 4) <= 2);
    setup(NULL);
}

static void test_absent(void **state)
{
    (void)state;
    int images = 0, texts = 0;
    kin_ctx cx = {0};
    for (uint64_t key = 0; key < 2000; key++) {
        images += kin_noise_absent(KIN_NOISE_NO_IMAGE, 0.3, kin_key(7, key, 0));
        char *t = kin_corrupt_text(&cx, KIN_NOISE_NO_TEXT, 0.3, kin_key(8, key, 0), "a b");
        assert_true(!*t == kin_noise_absent(KIN_NOISE_NO_TEXT, 0.3, kin_key(8, key, 0)));
        texts += !*t;
        free(t);
        assert_false(kin_noise_absent(KIN_NOISE_BLUR, 1, key));
        assert_true(kin_noise_absent(KIN_NOISE_NO_TEXT, 1, key));
    }
    assert_in_range(images, 540, 660);
    assert_in_range(texts, 540, 660);
    corrupt(KIN_NOISE_NO_IMAGE, 1, 5);
    for (int i = 0; i < W * H; i++) assert_memory_equal(pixels + 3 * i, mean, 3);
}

static int by_byte(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static void test_words(void **state)
{
    (void)state;
    static const char text[] = "a b c d  e f g h i j";
    kin_ctx cx = {0};
    for (int kind = KIN_NOISE_SHUFFLE; kind <= KIN_NOISE_DROP; kind++) {
        for (int k = 0; k <= 10; k++) {
            char *t = kin_corrupt_text(&cx, (kin_noise)kind, k / 10.0, 42, text);
            char *u = kin_corrupt_text(&cx, (kin_noise)kind, k / 10.0, 42, text);
            assert_string_equal(t, u);
            int words = 0, moved = 0;
            for (const char *p = t; *p; p++) words += *p != ' ';
            assert_int_equal(words, kind == KIN_NOISE_DROP ? 10 - k : 10);
            if (k == 0) assert_string_equal(t, text);
            if (kind == KIN_NOISE_SHUFFLE && k > 0) {
                for (int i = 0; i < 10; i++) moved += t[2 * i] != 'a' + i;
                assert_true(moved <= k && (k < 5 || moved > 0));
                qsort(t, strlen(t), 1, by_byte);
                assert_string_equal(t, "         abcdefghij");
            }
            free(t);
            free(u);
        }
    }
    char *t = kin_corrupt_text(&cx, KIN_NOISE_BLUR, 1, 0, text);
    assert_string_equal(t, text);
    free(t);
    t = kin_corrupt_text(&cx, KIN_NOISE_SHUFFLE, 1, 0, " ");
    assert_string_equal(t, " ");
    free(t);
    assert_null(kin_corrupt_text(&cx, KIN_NOISE_DROP, -0.1, 0, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_and_the_same),
        cmocka_unit_test(test_blur),
        cmocka_unit_test(test_color_and_cover),
        cmocka_unit_test(test_crop),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
