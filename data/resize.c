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

/* rows: the first lies at in; each `n` samples long. */
static void down(const int32_t *w, int64_t count, const uint8_t *in, int64_t n, int32_t *sum, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) sum[i] = 1 << (BITS - 1);
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < n; i++) sum[i] += in[k * n + i] * w[k];
    for (int64_t i = 0; i < n; i++) out[i] = clip8(sum[i]);
}

static kin_status resize(kin_ctx *cx, const kin_image *in, kin_rect from, const kernel *kx, const kernel *ky,
                         int64_t width, int64_t height, uint8_t *pixels)
{
    const int64_t n = width * 3, rows = from.y1 - from.y0;
    const uint8_t *corner = in->pixels + (from.y0 * in->width + from.x0) * 3;
    uint8_t *half = kin_alloc(cx, rows, (size_t)n);
    int32_t *sum = kin_alloc(cx, n, sizeof *sum);
    for (int64_t y = 0; cx->status == KIN_OK && y < rows; y++) {
        const uint8_t *row = corner + y * in->width * 3;
        if (kx)
            across(kx, row, width, half + y * n);
        else
            memcpy(half + y * n, row, (size_t)n);
    }
    for (int64_t y = 0; cx->status == KIN_OK && y < height; y++) {
        if (ky)
            down(ky->weight + y * ky->most, ky->window[y].count, half + ky->window[y].first * n, n, sum,
                 pixels + y * n);
        else
            memcpy(pixels + y * n, half + y * n, (size_t)n);
    }
    free(half);
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
    /* A pass that changes nothing is left out, as in Pillow. */
    if (w != width) make_kernel(cx, &kx, w, width, filter);
    if (h != height && cx->status == KIN_OK) make_kernel(cx, &ky, h, height, filter);
    if (cx->status == KIN_OK)
        resize(cx, in, from, w != width ? &kx : NULL, h != height ? &ky : NULL, width, height, pixels);
    free_kernel(&kx);
    free_kernel(&ky);
    return cx->status;
}
