#include "tests/fn_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "data/augment.h"

enum { GUARD = 64 };

static const kin_adamw_attr adamw = {.lr = 0.01f,
                                     .beta1 = 0.9f,
                                     .beta2 = 0.98f,
                                     .eps = 1e-6f,
                                     .wd = 0.2f,
                                     .bias1 = 0.271f,
                                     .bias2 = 0.0588f,
                                     .grad_scale = 0.37f};
static const kin_ema_attr ema = {.decay = 0.995f};

static const void *attr_of(kin_fn fn)
{
    return fn == KIN_FN_adamw ? (const void *)&adamw : fn == KIN_FN_ema ? (const void *)&ema : NULL;
}

static int tensors_of(kin_fn fn)
{
    static const int n[KIN_FN_COUNT] = {
#define KIN_FN(name, tensors, attr) tensors,
#include "core/fns.def"
#undef KIN_FN
    };
    return n[fn];
}

/* ---- pictures ---- */

/* Height and width: sides of one pixel, that are no multiples of four, and of more pixels than a block of
 * threads. */
static const int64_t pictures[][3] = {{0, 8, 8},   {1, 1, 1},   {3, 2, 2},   {4, 3, 3},   {5, 4, 4},
                                      {4, 7, 7},   {3, 16, 16}, {4, 33, 33}, {2, 36, 36}, {8, 24, 24},
                                      {3, 68, 68}, {4, 5, 12},  {4, 12, 5},  {2, 60, 36}, {3, 1, 8}};

static int32_t wild(kin_rng *r, int32_t most)
{
    return (int32_t)kin_rng_below(r, (uint32_t)(2 * most + 1)) - most;
}

/* As training draws, or anything that the contract allows: stages that need the mean at every place,
 * rectangles that are empty or all. */
static void draw(kin_augmentation *a, int64_t row, int32_t height, int32_t width)
{
    static const kin_augment all = {.crop_min = 1.0, .flip = 0.5, .jitter = 0.6, .grey = 0.3, .erase = 0.7};
    const kin_preprocess p = {.height = height, .width = width, .mean = {0.3f, 0.5f, 0.9f}};
    kin_rng r = kin_rng_new((uint64_t)row);
    kin_augment_draw(&p, &all, (uint64_t)row, width, height, a);
    if (row % 2 == 0) return;
    a->flip = row % 4 == 1;
    a->stages = (int32_t)(row / 2 % (KIN_AUGMENT_STAGES + 1));
    for (int k = 0; k < a->stages; k++) {
        for (int i = 0; i < 9; i++) a->stage[k].m[i] = wild(&r, 50000);
        a->stage[k].grey = kin_rng_below(&r, 2) ? wild(&r, 80000) : 0;
    }
    a->x0 = (int32_t)kin_rng_below(&r, (uint32_t)width);
    a->y0 = (int32_t)kin_rng_below(&r, (uint32_t)height);
    a->x1 = a->x0 + (int32_t)kin_rng_below(&r, (uint32_t)(width - a->x0 + 1));
    a->y1 = a->y0 + (int32_t)kin_rng_below(&r, (uint32_t)(height - a->y0 + 1));
}

static bool shape(kin_tensor *t, kin_backend *b, kin_fn fn, int i, int sample)
{
    static const int64_t sizes[] = {0, 1, 7, 1000, 100003};
    const bool flat = fn != KIN_FN_augment;
    if (fn == KIN_FN_attention_weights) return false; /* its samples are attention's: tests/weights_case.h */
    if (sample >= (flat ? (int)(sizeof sizes / sizeof *sizes) : (int)(sizeof pictures / sizeof *pictures)))
        return false;
    *t = (kin_tensor){.dtype = op_fn_type(b, fn, i), .rank = 1, .dim = {1}};
    if (flat) {
        if (fn != KIN_FN_sumsq || i == 0) t->dim[0] = sizes[sample];
        return true;
    }
    const int64_t n = pictures[sample][0], h = pictures[sample][1], w = pictures[sample][2];
    *t = i == 0 ? (kin_tensor){NULL, t->dtype, 4, {n, h, w, 3}}
                : (kin_tensor){NULL, t->dtype, 2, {n, KIN_AUGMENT_WORDS}};
    return true;
}

static void fill(const fn_case *c, int i)
{
    const kin_tensor *t = &c->t[i];
    if (c->fn == KIN_FN_augment && i == 0) {
        uint8_t *p = t->ptr;
        for (int64_t k = 0; k < c->bytes[i]; k++) p[k] = (uint8_t)((k * k / 5 + 13 * k) % 256);
    } else if (c->fn == KIN_FN_augment) {
        kin_augmentation *a = t->ptr;
        for (int64_t k = 0; k < t->dim[0]; k++)
            draw(a + k, 5 * c->sample + k, (int32_t)pictures[c->sample][1], (int32_t)pictures[c->sample][2]);
    } else if (c->fn != KIN_FN_sumsq || i == 0)
        for (int64_t k = 0; k < t->dim[0]; k++) {
            const double v = op_normal((uint64_t)(7 + i), k);
            op_set(t, k, i == 3 ? v * v : v); /* second moments are not negative */
        }
}

bool fn_case_run(fn_case *c, kin_backend *b, kin_fn fn, int sample)
{
    *c = (fn_case){.b = b, .fn = fn, .sample = sample, .tensors = tensors_of(fn)};
    for (int i = 0; i < c->tensors; i++) {
        if (!shape(&c->t[i], b, fn, i, sample)) return false;
        c->bytes[i] = kin_count(&c->t[i]) * (int64_t)kin_dtype_size(c->t[i].dtype);
        const size_t room = (size_t)(c->bytes[i] + 63) / 64 * 64 + 2 * GUARD;
        char *p = aligned_alloc(64, room);
        assert_non_null(p);
        memset(p, 0xff, room);
        c->t[i].ptr = p + GUARD;
        fill(c, i);
    }
    op_fn(b, fn, c->t, c->tensors, attr_of(fn), GUARD);
    for (int i = 0; i < c->tensors; i++)
        for (int k = 0; k < GUARD; k++) {
            const unsigned char *p = c->t[i].ptr;
            if (p[-1 - k] != 0xff || p[c->bytes[i] + k] != 0xff)
                fail_msg("%s on %s wrote around tensor %d of sample %d", kin_fn_name(fn), b->name, i, sample);
        }
    return true;
}

void fn_case_close(fn_case *c)
{
    for (int i = 0; i < c->tensors; i++)
        if (c->t[i].ptr) free((char *)c->t[i].ptr - GUARD);
}

void fn_case_same_bits(const fn_case *got, const fn_case *want, const char *when)
{
    for (int i = 0; i < got->tensors; i++)
        for (int64_t k = 0; k < got->bytes[i]; k++)
            if (((const uint8_t *)got->t[i].ptr)[k] != ((const uint8_t *)want->t[i].ptr)[k])
                fail_msg("%s on %s, %s: sample %d, tensor %d: byte %lld is %d, not %d", kin_fn_name(got->fn),
                         got->b->name, when, got->sample, i, (long long)k,
                         ((const uint8_t *)got->t[i].ptr)[k], ((const uint8_t *)want->t[i].ptr)[k]);
}

void fn_case_agree(const fn_case *got, const fn_case *want, double tol, const char *when)
{
    if (!kin_dtype_is_real(got->t[0].dtype)) fn_case_same_bits(got, want, when);
    for (int i = 0; i < got->tensors && kin_dtype_is_real(got->t[0].dtype); i++)
        for (int64_t k = 0; k < want->t[i].dim[0]; k++) {
            const double x = op_value(&got->t[i], k);
            double y = op_value(&want->t[i], k);
            if (got->t[i].dtype == KIN_BF16) /* a copy of the first: its own rounding */
                y = (double)kin_from_bf16(kin_to_bf16((float)op_value(&got->t[0], k)));
            if (!(fabs(x - y) <= tol * (fabs(y) + 0.1)))
                fail_msg("%s on %s, %s: sample %d, tensor %d [%lld] is %.9g, not %.9g", kin_fn_name(got->fn),
                         got->b->name, when, got->sample, i, (long long)k, x, y);
        }
}
