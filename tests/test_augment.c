/* Augmented pictures: what a key draws, and what comes of it, beside torchvision's formulas in floating point
 * written down once more. That all kernels give the same bytes is for tests/test_fns.c and test_cuda.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "train/augment.h"

enum { SIDE = 24, COUNT = SIDE * SIDE, BYTES = COUNT * 3 };
static kin_backend *ref;
static kin_preprocess model;
static kin_image in;

static int setup(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    ref = kin_backend_ref(&cx, KIN_F32);
    model = kin_preprocess_default();
    model.height = model.width = SIDE;
    in = (kin_image){malloc(40 * 30 * 3), 40, 30};
    for (int i = 0; in.pixels && i < 40 * 30 * 3; i++)
        in.pixels[i] = (uint8_t)(i * 7 + i / 120 * 13 + i % 3 * 50 + i / 3 % 17 * 5);
    return ref && in.pixels ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    kin_backend_close(ref);
    kin_image_free(&in);
    return 0;
}

static kin_augmentation make(const kin_augment *a, uint64_t key, uint8_t *out)
{
    kin_ctx cx = {0};
    kin_augmentation drawn;
    const kin_augmenter by = kin_augmenter_of(ref);
    assert_int_equal(kin_augment_image(&cx, &model, a, key, &in, 40, 30, out, &drawn), KIN_OK);
    by.change(by.self, out, SIDE, SIDE, &drawn);
    return drawn;
}

static void test_parts(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    uint8_t plain[BYTES], a[BYTES], b[BYTES];
    kin_preprocess_image(&cx, &model, &in, plain);
    const kin_augment none = {.crop_min = 1.0}, flip = {.crop_min = 1.0, .flip = 1.0},
                      grey = {.crop_min = 1.0, .grey = 1.0},
                      all = {.crop_min = 0.3, .flip = 0.5, .jitter = 0.5, .grey = 0.2, .erase = 0.5};
    make(&none, 1, a);
    assert_memory_equal(a, plain, BYTES);
    assert_true(!kin_augment_changes(&none) && kin_augment_changes(&flip) && kin_augment_changes(&grey));
    make(&flip, 1, a);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            assert_memory_equal(a + (y * SIDE + x) * 3, plain + (y * SIDE + SIDE - 1 - x) * 3, 3);
    make(&grey, 1, a);
    for (int i = 0; i < COUNT; i++) {
        const uint8_t *p = plain + 3 * i;
        assert_true(a[3 * i] == a[3 * i + 1] && a[3 * i] == a[3 * i + 2]);
        assert_int_equal(a[3 * i],
                         (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16); /* Pillow's L */
    }
    int different = 0;
    for (uint64_t key = 0; key < 50; key++) {
        make(&all, key, a);
        make(&all, key, b);
        assert_memory_equal(a, b, BYTES); /* a pure function of the key */
        different += memcmp(a, plain, BYTES) != 0;
    }
    assert_true(different >= 49);
}

/* ---- the formulas, one after the other, bytes in between ---- */

static float luma(const uint8_t *p)
{
    return 0.299f * (float)p[0] + 0.587f * (float)p[1] + 0.114f * (float)p[2];
}

static uint8_t rounded(float v)
{
    return (uint8_t)(fminf(255.0f, fmaxf(0.0f, v)) + 0.5f);
}

static void blend(uint8_t *p, int what, float factor)
{
    double sum = 0.0;
    for (int i = 0; i < COUNT; i++) sum += (double)luma(p + 3 * i);
    for (int i = 0; i < COUNT; i++, p += 3) {
        const float base = what == 0 ? 0.0f : what == 1 ? (float)(sum / COUNT) : luma(p);
        for (int c = 0; c < 3; c++) p[c] = rounded(base + ((float)p[c] - base) * factor);
    }
}

/* A rotation about (1, 1, 1): v cos + (k x v) sin + k (k . v) (1 - cos). */
static void hue(uint8_t *p, double turn)
{
    const double angle = 2.0 * 3.14159265358979323846 * turn, c = cos(angle), s = sin(angle) / sqrt(3.0);
    for (int i = 0; i < COUNT; i++, p += 3) {
        const double r = p[0], g = p[1], b = p[2], m = (r + g + b) / 3.0 * (1.0 - c);
        p[0] = rounded((float)(c * r + m + s * (b - g)));
        p[1] = rounded((float)(c * g + m + s * (r - b)));
        p[2] = rounded((float)(c * b + m + s * (g - r)));
    }
}

static double between(kin_rng *r, double low, double high)
{
    return low + (high - low) * (double)kin_rng_unit(r);
}

/* Draws in the order of data/augment_draw.c, so that a run with a seed keeps its pictures. */
static void expected(uint64_t key, double j, double grey, uint8_t *p)
{
    kin_rng r = kin_rng_new(key);
    uint32_t order[4];
    kin_rng_unit(&r); /* whether it is flipped */
    kin_rng_permutation(&r, order, 4);
    for (int i = 0; i < 4; i++)
        if (order[i] == 3)
            hue(p, between(&r, -j / 4.0, j / 4.0));
        else
            blend(p, (int)order[i], (float)between(&r, 1.0 - j, 1.0 + j));
    if ((double)kin_rng_unit(&r) < grey) blend(p, 2, 0.0f);
}

/* Where a value lies between two bytes both are right, and later stages see the difference: of all bytes less
 * than one in a hundred, and those by little. */
static void test_formulas(void **state)
{
    enum { KEYS = 200 };
    (void)state;
    const kin_augment a = {.crop_min = 1.0, .jitter = 0.5, .grey = 0.3};
    uint8_t got[BYTES], want[BYTES];
    int others = 0, most = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        kin_ctx cx = {0};
        const kin_augmentation drawn = make(&a, key, got);
        assert_in_range(drawn.stages, 4, 5);
        assert_int_equal(kin_preprocess_image(&cx, &model, &in, want), KIN_OK);
        expected(key, a.jitter, a.grey, want);
        for (int i = 0; i < BYTES; i++) {
            const int d = abs(got[i] - want[i]);
            others += d > 0;
            most = d > most ? d : most;
        }
    }
    if (others * 100 > KEYS * BYTES || most > 6)
        fail_msg("%d of %d bytes are others, by %d at most", others, KEYS * BYTES, most);
}

static void test_erase(void **state)
{
    (void)state;
    const kin_augment a = {.crop_min = 1.0, .erase = 1.0};
    kin_ctx cx = {0};
    uint8_t plain[BYTES], got[BYTES];
    int erased = 0;
    kin_preprocess_image(&cx, &model, &in, plain);
    for (uint64_t key = 0; key < 100; key++) {
        const kin_augmentation d = make(&a, key, got);
        const int area = (d.x1 - d.x0) * (d.y1 - d.y0);
        assert_true(d.x0 >= 0 && d.y0 >= 0 && d.x1 <= SIDE && d.y1 <= SIDE);
        assert_true(area == 0 || (area >= 0.01 * COUNT && area <= 0.37 * COUNT));
        erased += area > 0;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                for (int c = 0; c < 3; c++) {
                    const int i = (y * SIDE + x) * 3 + c;
                    const bool inside = x >= d.x0 && x < d.x1 && y >= d.y0 && y < d.y1;
                    assert_int_equal(got[i], inside ? lrintf(model.mean[c] * 255.0f) : plain[i]);
                }
    }
    assert_true(erased > 95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_formulas),
                                       cmocka_unit_test(test_erase)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
