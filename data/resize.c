#include "data/resize.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 22 }; /* of weights after the point */

typedef struct window {
    int64_t first, count;
} window;

/* Where each output position reads, and with what weights: Pillow's precompute_coeffs and
 * normalize_coeffs_8bpc. */
typedef struct kernel {
    window *window;
    int32_t *weight; /* [outputs, most] */
    int64_t most;
} kernel;

static double bicubic(double x)
{
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double triangle(double x)
{
    if (x < 0.0) x = -x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

static void weigh(kernel *k, int64_t x, int64_t in, double scale, double stretch, double support,
                  kin_filter filter, double *w)
{
    const double centre = ((double)x + 0.5) * scale, inverse = 1.0 / stretch;
    int64_t lo = (int64_t)(centre - support + 0.5), hi = (int64_t)(centre + support + 0.5);
    if (lo < 0) lo = 0;
    if (hi > in) hi = in;
    double sum = 0.0;
    for (int64_t i = 0; i < hi - lo; i++) {
        const double at = ((double)(i + lo) - centre + 0.5) * inverse;
        w[i] = filter == KIN_BICUBIC ? bicubic(at) : triangle(at);
        sum += w[i];
    }
    for (int64_t i = 0; i < hi - lo; i++) {
        if (sum != 0.0) w[i] /= sum;
        const double fixed = w[i] * (1 << BITS);
        k->weight[x * k->most + i] = (int32_t)(w[i] < 0.0 ? fixed - 0.5 : fixed + 0.5);
    }
    k->window[x] = (window){lo, hi - lo};
}

static kin_status make_kernel(kin_ctx *cx, kernel *k, int64_t in, int64_t out, kin_filter filter)
{
    const double scale = (double)in / (double)out, stretch = scale < 1.0 ? 1.0 : scale;
    const double support = (filter == KIN_BICUBIC ? 2.0 : 1.0) * stretch;
    k->most = 2 * ((int64_t)support + 1) + 1;
    k->window = kin_alloc(cx, out, sizeof *k->window);
    k->weight = kin_alloc(cx, out * k->most, sizeof *k->weight);
    double *w = kin_alloc(cx, k->most, sizeof *w);
    for (int64_t x = 0; cx->status == KIN_OK && x < out; x++)
        weigh(k, x, in, scale, stretch, support, filter, w);
    free(w);
    return cx->status;
}

static void free_kernel(kernel *k)
{
    free(k->window);
    free(k->weight);
}

static uint8_t clip8(int32_t sum)
{
    const int32_t v = sum >> BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void across(const kernel *k, const uint8_t *in, int64_t width, uint8_t *out)
{
    for (int64_t x = 0; x < width; x++) {
        const uint8_t *p = in + k->window[x].first * 3;
        const int32_t *w = k->weight + x * k->most;
        int32_t r = 1 << (BITS - 1), g = r, b = r;
        for (int64_t i = 0; i < k->window[x].count; i++, p += 3) {
            r += p[0] * w[i];
            g += p[1] * w[i];
            b += p[2] * w[i];
        }
        out[x * 3] = clip8(r);
        out[x * 3 + 1] = clip8(g);
        out[x * 3 + 2] = clip8(b);
    }
}

/* Rows of n samples, `step` apart; the first lies at in. */
static void down(const int32_t *w, int64_t count, const uint8_t *in, int64_t step, int64_t n, int32_t *sum,
                 uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) sum[i] = 1 << (BITS - 1);
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < n; i++) sum[i] += in[k * step + i] * w[k];
    for (int64_t i = 0; i < n; i++) out[i] = clip8(sum[i]);
}

/* Passes over 8-bit pixels of [h, w, 3]. */
static void all_across(const kernel *k, const uint8_t *in, int64_t step, int64_t rows, int64_t width,
                       uint8_t *out)
{
    for (int64_t y = 0; y < rows; y++) across(k, in + y * step, width, out + y * width * 3);
}

static void all_down(const kernel *k, const uint8_t *in, int64_t step, int64_t n, int64_t height,
                     int32_t *sum, uint8_t *out)
{
    for (int64_t y = 0; y < height; y++)
        down(k->weight + y * k->most, k->window[y].count, in + k->window[y].first * step, step, n, sum,
             out + y * n);
}

/* The intermediate is rounded to 8 bits, so the order of the passes shows in the result. Pillow up to 12 goes
 * across first, always; since 13 it goes down first where that removes more than twice as many rows as there
 * are columns to remove. kin does as Pillow 13. */
static kin_status both(kin_ctx *cx, const kin_image *in, kin_rect from, const kernel *kx, const kernel *ky,
                       int64_t width, int64_t height, uint8_t *pixels)
{
    const int64_t w = from.x1 - from.x0, h = from.y1 - from.y0, step = in->width * 3;
    const uint8_t *corner = in->pixels + (from.y0 * in->width + from.x0) * 3;
    const bool down_first = h > height && h - height > 2 * (w - width);
    const int64_t n = (down_first ? w : width) * 3;
    uint8_t *half = kin_alloc(cx, down_first ? height : h, (size_t)n);
    int32_t *sum = kin_alloc(cx, n, sizeof *sum);
    if (cx->status == KIN_OK && down_first) {
        all_down(ky, corner, step, n, height, sum, half);
        all_across(kx, half, n, height, width, pixels);
    } else if (cx->status == KIN_OK) {
        all_across(kx, corner, step, h, width, half);
        all_down(ky, half, n, n, height, sum, pixels);
    }
    free(half);
    free(sum);
    return cx->status;
}

/* A pass that changes nothing is left out, as in Pillow. */
static kin_status resize(kin_ctx *cx, const kin_image *in, kin_rect from, const kernel *kx, const kernel *ky,
                         int64_t width, int64_t height, uint8_t *pixels)
{
    const int64_t h = from.y1 - from.y0, n = width * 3, step = in->width * 3;
    const uint8_t *corner = in->pixels + (from.y0 * in->width + from.x0) * 3;
    if (kx->window && ky->window) return both(cx, in, from, kx, ky, width, height, pixels);
    if (kx->window) {
        all_across(kx, corner, step, h, width, pixels);
        return KIN_OK;
    }
    int32_t *sum = kin_alloc(cx, n, sizeof *sum);
    if (sum && ky->window) all_down(ky, corner, step, n, height, sum, pixels);
    for (int64_t y = 0; sum && !ky->window && y < h; y++)
        memcpy(pixels + y * n, corner + y * step, (size_t)n);
    free(sum);
    return cx->status;
}

kin_status kin_resize(kin_ctx *cx, const kin_image *in, kin_rect from, int64_t width, int64_t height,
                      kin_filter filter, uint8_t *pixels)
{
    const int64_t w = from.x1 - from.x0, h = from.y1 - from.y0;
    if (from.x0 < 0 || from.y0 < 0 || from.x1 > in->width || from.y1 > in->height || w < 1 || h < 1 ||
        width < 1 || height < 1)
        return kin_fail(cx, KIN_ARG, "resize of [%lld, %lld) x [%lld, %lld) of %lld x %lld to %lld x %lld",
                        (long long)from.x0, (long long)from.x1, (long long)from.y0, (long long)from.y1,
                        (long long)in->width, (long long)in->height, (long long)width, (long long)height);
    kernel kx = {0}, ky = {0};
    if (w != width) make_kernel(cx, &kx, w, width, filter);
    if (h != height && cx->status == KIN_OK) make_kernel(cx, &ky, h, height, filter);
    if (cx->status == KIN_OK) resize(cx, in, from, &kx, &ky, width, height, pixels);
    free_kernel(&kx);
    free_kernel(&ky);
    return cx->status;
}
