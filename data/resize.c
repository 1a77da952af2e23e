#include <stdlib.h>
#include <string.h>

#include "data/resize_pass.h"

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

/* How one axis is resized: in samples become out, of which [from, to) are wanted. */
typedef struct axis {
    int64_t in, out, from, to;
} axis;

/* Output x of an axis; w is room for weights. Pillow's precompute_coeffs and normalize_coeffs_8bpc. */
static void weigh(kin_taps *t, const axis *a, int64_t x, double support, kin_filter filter, double *w)
{
    const double scale = (double)a->in / (double)a->out, stretch = scale < 1.0 ? 1.0 : scale;
    const double centre = ((double)x + 0.5) * scale, inverse = 1.0 / stretch;
    int64_t lo = (int64_t)(centre - support + 0.5), hi = (int64_t)(centre + support + 0.5);
    if (lo < 0) lo = 0;
    if (hi > a->in) hi = a->in;
    double sum = 0.0;
    for (int64_t i = 0; i < hi - lo; i++) {
        const double at = ((double)(i + lo) - centre + 0.5) * inverse;
        w[i] = filter == KIN_BICUBIC ? bicubic(at) : triangle(at);
        sum += w[i];
    }
    const int64_t row = (x - a->from) * t->room;
    for (int64_t i = 0; i < hi - lo; i++) {
        if (sum != 0.0) w[i] /= sum;
        const double fixed = w[i] * (1 << KIN_RESIZE_BITS);
        const int32_t k = (int32_t)(w[i] < 0.0 ? fixed - 0.5 : fixed + 0.5);
        t->weight[row + i] = k;
        t->low[row + i] = (int16_t)(k & 0xffff);
        t->high[row + i] = (int16_t)((k - t->low[row + i]) / 65536);
    }
    t->first[x - a->from] = (int32_t)lo;
    t->count[x - a->from] = (int32_t)(hi - lo);
}

static kin_status make_taps(kin_ctx *cx, kin_taps *t, const axis *a, kin_filter filter)
{
    const double scale = (double)a->in / (double)a->out, stretch = scale < 1.0 ? 1.0 : scale;
    const double support = (filter == KIN_BICUBIC ? 2.0 : 1.0) * stretch;
    const int64_t most = 2 * ((int64_t)support + 1) + 1, n = a->to - a->from;
    int64_t exact = 0;
    t->outputs = n;
    t->first = kin_alloc(cx, n, sizeof *t->first);
    t->count = kin_alloc(cx, n, sizeof *t->count);
    double *w = kin_alloc(cx, most, sizeof *w);
    /* Their number is known before their values: room for the largest, rounded up, not for `most`. */
    for (int64_t x = a->from; cx->status == KIN_OK && x < a->to; x++) {
        const double centre = ((double)x + 0.5) * scale;
        const int64_t lo = kin_max64(0, (int64_t)(centre - support + 0.5));
        exact = kin_max64(exact, kin_min64(a->in, (int64_t)(centre + support + 0.5)) - lo);
    }
    t->room = (exact + 3) / 4 * 4;
    t->weight = kin_alloc0(cx, n * t->room, sizeof *t->weight);
    t->high = kin_alloc0(cx, n * t->room, sizeof *t->high);
    t->low = kin_alloc0(cx, n * t->room, sizeof *t->low);
    for (int64_t x = a->from; cx->status == KIN_OK && x < a->to; x++) weigh(t, a, x, support, filter, w);
    free(w);
    return cx->status;
}

static void free_taps(kin_taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
    free(t->high);
    free(t->low);
}

/* What the outputs read of their axis: [*lo, *hi); positions count from *lo afterwards. */
static void narrow(kin_taps *t, int64_t *lo, int64_t *hi)
{
    *lo = t->first[0];
    *hi = t->first[t->outputs - 1] + t->count[t->outputs - 1];
    for (int64_t x = 0; x < t->outputs; x++) t->first[x] -= (int32_t)*lo;
}

/* Bytes of a row that `across` may read: of the last tap's turn 16, where 12 are pixels. */
static int64_t reach(const kin_taps *t)
{
    return (t->first[t->outputs - 1] + t->room) * 3 + 4;
}

/* across, of rows in memory that ends at `end`: those too near to it are read from a copy with room behind.
 */
static kin_status all_across(kin_ctx *cx, const kin_resize_pass *pass, const kin_taps *t, const uint8_t *in,
                             int64_t step, int64_t rows, const uint8_t *end, uint8_t *out, int64_t out_step)
{
    const int64_t need = reach(t), used = (t->first[t->outputs - 1] + t->count[t->outputs - 1]) * 3;
    int64_t near = 0;
    while (near < rows && end - (in + (rows - 1 - near) * step) < need) near++;
    if (near < rows) pass->across(t, in, step, rows - near, out, out_step);
    if (near == 0) return KIN_OK;
    uint8_t *copy = kin_alloc0(cx, near, (size_t)need);
    if (!copy) return cx->status;
    for (int64_t y = 0; y < near; y++) memcpy(copy + y * need, in + (rows - near + y) * step, (size_t)used);
    pass->across(t, copy, need, near, out + (rows - near) * out_step, out_step);
    free(copy);
    return KIN_OK;
}

/* The intermediate is rounded to 8 bits, so the order of the passes shows in the result. Pillow up to 12 goes
 * across first, always; since 13 it goes down first where that removes more than twice as many rows as there
 * are columns to remove. kin does as Pillow 13. Of the intermediate only what the second pass reads is made.
 */
static kin_status both(kin_ctx *cx, const kin_resize_pass *pass, const uint8_t *in, int64_t step,
                       const uint8_t *end, bool down_first, kin_taps *tx, kin_taps *ty, uint8_t *pixels)
{
    const int64_t width = tx->outputs * 3;
    int64_t lo, hi;
    narrow(down_first ? tx : ty, &lo, &hi);
    const int64_t half_step = down_first ? (hi - lo) * 3 : width,
                  half_rows = down_first ? ty->outputs : hi - lo;
    const int64_t slack = down_first ? reach(tx) : 0; /* so that the last row can be read as the others */
    uint8_t *half = kin_alloc(cx, half_rows * half_step + slack, 1);
    if (!half) return cx->status;
    if (down_first) {
        pass->down(ty, in + lo * 3, step, half_step, half, half_step);
        memset(half + half_rows * half_step, 0, (size_t)slack);
        pass->across(tx, half, half_step, half_rows, pixels, width);
    } else if (all_across(cx, pass, tx, in + lo * step, step, half_rows, end, half, half_step) == KIN_OK) {
        pass->down(ty, half, half_step, width, pixels, width);
    }
    free(half);
    return cx->status;
}

/* A pass that changes nothing is left out, as in Pillow. */
static kin_status resize(kin_ctx *cx, const kin_resize_pass *pass, const uint8_t *in, int64_t step,
                         const uint8_t *end, const axis *ax, const axis *ay, kin_filter filter,
                         uint8_t *pixels)
{
    const int64_t n = (ax->to - ax->from) * 3;
    const bool wide = ax->in != ax->out, high = ay->in != ay->out;
    const bool down_first = ay->in > ay->out && ay->in - ay->out > 2 * (ax->in - ax->out);
    kin_taps tx = {0}, ty = {0};
    if (wide) make_taps(cx, &tx, ax, filter);
    if (high && cx->status == KIN_OK) make_taps(cx, &ty, ay, filter);
    if (!wide) in += ax->from * 3;
    if (!high) in += ay->from * step;
    if (cx->status == KIN_OK && wide && high)
        both(cx, pass, in, step, end, down_first, &tx, &ty, pixels);
    else if (cx->status == KIN_OK && wide)
        all_across(cx, pass, &tx, in, step, ay->to - ay->from, end, pixels, n);
    else if (cx->status == KIN_OK && high)
        pass->down(&ty, in, step, n, pixels, n);
    for (int64_t y = 0; !wide && !high && y < ay->to - ay->from; y++)
        memcpy(pixels + y * n, in + y * step, (size_t)n);
    free_taps(&tx);
    free_taps(&ty);
    return cx->status;
}

static bool inside(kin_rect r, int64_t width, int64_t height)
{
    return r.x0 >= 0 && r.y0 >= 0 && r.x0 < r.x1 && r.y0 < r.y1 && r.x1 <= width && r.y1 <= height;
}

kin_status kin_resize_by(kin_ctx *cx, const kin_resize_pass *pass, const kin_image *in, kin_rect from,
                         int64_t width, int64_t height, kin_rect part, kin_filter filter, uint8_t *pixels)
{
    if (!inside(from, in->width, in->height) || width < 1 || height < 1)
        return kin_fail(cx, KIN_ARG, "resize of [%lld, %lld) x [%lld, %lld) of %lld x %lld to %lld x %lld",
                        (long long)from.x0, (long long)from.x1, (long long)from.y0, (long long)from.y1,
                        (long long)in->width, (long long)in->height, (long long)width, (long long)height);
    if (!inside(part, width, height))
        return kin_fail(cx, KIN_ARG, "the part [%lld, %lld) x [%lld, %lld) is not in %lld x %lld",
                        (long long)part.x0, (long long)part.x1, (long long)part.y0, (long long)part.y1,
                        (long long)width, (long long)height);
    const int64_t step = in->width * 3;
    const axis ax = {from.x1 - from.x0, width, part.x0, part.x1},
               ay = {from.y1 - from.y0, height, part.y0, part.y1};
    return resize(cx, pass, in->pixels + from.y0 * step + from.x0 * 3, step, in->pixels + in->height * step,
                  &ax, &ay, filter, pixels);
}

/* The best that this processor has: the bits are the same. */
static const kin_resize_pass *best(void)
{
#if defined(__x86_64__)
    if (kin_resize_avx2.supported()) return &kin_resize_avx2;
#endif
    return &kin_resize_plain;
}

kin_status kin_resize_part(kin_ctx *cx, const kin_image *in, kin_rect from, int64_t width, int64_t height,
                           kin_rect part, kin_filter filter, uint8_t *pixels)
{
    return kin_resize_by(cx, best(), in, from, width, height, part, filter, pixels);
}

kin_status kin_resize(kin_ctx *cx, const kin_image *in, kin_rect from, int64_t width, int64_t height,
                      kin_filter filter, uint8_t *pixels)
{
    return kin_resize_part(cx, in, from, width, height, (kin_rect){0, 0, width, height}, filter, pixels);
}
