#include "data/augment.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

static double between(kin_rng *r, double low, double high)
{
    return low + (high - low) * (double)kin_rng_unit(r);
}

/* torchvision's RandomResizedCrop.get_params: ten tries, then the largest middle of an allowed aspect. */
static kin_rect crop(kin_rng *r, int64_t width, int64_t height, double least)
{
    const double w = (double)width, h = (double)height;
    for (int i = 0; i < 10; i++) {
        const double area = w * h * between(r, least, 1.0);
        const double aspect = exp(between(r, log(3.0 / 4.0), log(4.0 / 3.0)));
        const int64_t cw = (int64_t)nearbyint(sqrt(area * aspect)),
                      ch = (int64_t)nearbyint(sqrt(area / aspect));
        if (cw < 1 || ch < 1 || cw > width || ch > height) continue;
        const int64_t x = kin_rng_below(r, (uint32_t)(width - cw + 1));
        const int64_t y = kin_rng_below(r, (uint32_t)(height - ch + 1));
        return (kin_rect){x, y, x + cw, y + ch};
    }
    int64_t cw = width, ch = height;
    if (w / h < 3.0 / 4.0) ch = (int64_t)nearbyint(w / (3.0 / 4.0));
    if (w / h > 4.0 / 3.0) cw = (int64_t)nearbyint(h * (4.0 / 3.0));
    const int64_t x = (width - cw) / 2, y = (height - ch) / 2;
    return (kin_rect){x, y, x + cw, y + ch};
}

static void flip(uint8_t *pixels, int64_t side)
{
    for (int64_t y = 0; y < side; y++) {
        uint8_t *a = pixels + y * side * 3, *b = a + (side - 1) * 3;
        for (; a < b; a += 3, b -= 3)
            for (int c = 0; c < 3; c++) {
                const uint8_t t = a[c];
                a[c] = b[c];
                b[c] = t;
            }
    }
}

static float luma(const float *p) /* ITU-R 601, as Pillow's L */
{
    return 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
}

static float clip255(float v)
{
    return v < 0.0f ? 0.0f : v > 255.0f ? 255.0f : v;
}

static void byte3(uint8_t *to, const float *v)
{
    for (int c = 0; c < 3; c++) to[c] = (uint8_t)(clip255(v[c]) + 0.5f);
}

/* to = base + (from - base) * factor with base 0 (brightness), the mean grey (contrast), own grey
 * (saturation) */
static void blend(uint8_t *pixels, int64_t count, int what, float factor)
{
    float base = 0.0f;
    if (what == 1) {
        double sum = 0.0;
        for (int64_t i = 0; i < count; i++) {
            const float p[3] = {pixels[i * 3], pixels[i * 3 + 1], pixels[i * 3 + 2]};
            sum += (double)luma(p);
        }
        base = (float)(sum / (double)count);
    }
    for (int64_t i = 0; i < count; i++) {
        float p[3] = {pixels[i * 3], pixels[i * 3 + 1], pixels[i * 3 + 2]};
        const float b = what == 2 ? luma(p) : base;
        for (int c = 0; c < 3; c++) p[c] = b + (p[c] - b) * factor;
        byte3(pixels + i * 3, p);
    }
}

/* Turns the colour circle: a rotation about the grey axis (Rodrigues), `turn` of a whole one. */
static void hue(uint8_t *pixels, int64_t count, double turn)
{
    const double angle = turn * 6.28318530717958648, third = 1.0 / 3.0;
    const float c = (float)cos(angle), s = (float)(sin(angle) * sqrt(third)), k = (1.0f - c) * (float)third;
    for (int64_t i = 0; i < count; i++) {
        const float r = pixels[i * 3], g = pixels[i * 3 + 1], b = pixels[i * 3 + 2], m = (r + g + b) * k;
        const float p[3] = {c * r + m + s * (b - g), c * g + m + s * (r - b), c * b + m + s * (g - r)};
        byte3(pixels + i * 3, p);
    }
}

static void jitter(kin_rng *r, uint8_t *pixels, int64_t count, double j)
{
    uint32_t order[4];
    kin_rng_permutation(r, order, 4);
    for (int i = 0; i < 4; i++) {
        if (order[i] == 3)
            hue(pixels, count, between(r, -j / 4.0, j / 4.0));
        else
            blend(pixels, count, (int)order[i], (float)between(r, 1.0 - j, 1.0 + j));
    }
}

static void erase(kin_rng *r, const kin_preprocess *p, uint8_t *pixels)
{
    const double side = (double)p->size;
    for (int i = 0; i < 10; i++) {
        const double area = side * side * between(r, 0.02, 0.33),
                     aspect = exp(between(r, log(0.3), log(3.3)));
        const int64_t h = (int64_t)nearbyint(sqrt(area * aspect)),
                      w = (int64_t)nearbyint(sqrt(area / aspect));
        if (w < 1 || h < 1 || w >= p->size || h >= p->size) continue;
        const int64_t x = kin_rng_below(r, (uint32_t)(p->size - w + 1));
        const int64_t y = kin_rng_below(r, (uint32_t)(p->size - h + 1));
        uint8_t mean[3];
        const float m[3] = {p->mean[0] * 255.0f, p->mean[1] * 255.0f, p->mean[2] * 255.0f};
        byte3(mean, m);
        for (int64_t k = 0; k < w * h; k++) memcpy(pixels + ((y + k / w) * p->size + x + k % w) * 3, mean, 3);
        return;
    }
}

/* [*from, *to) of `had` samples, where there are `has` of the same picture. */
static void map(int64_t *from, int64_t *to, int64_t had, int64_t has)
{
    if (had == has) return;
    const double ratio = (double)has / (double)had;
    *from = kin_min64(has - 1, (int64_t)nearbyint((double)*from * ratio));
    *to = kin_min64(has, kin_max64(*from + 1, (int64_t)nearbyint((double)*to * ratio)));
}

int kin_augment_shrink(const kin_preprocess *p, const kin_augment *a, uint64_t key, int64_t width,
                       int64_t height)
{
    kin_rng r = kin_rng_new(key);
    const kin_rect from =
        a->crop_min < 1.0 ? crop(&r, width, height, a->crop_min) : (kin_rect){0, 0, width, height};
    const int64_t w = from.x1 - from.x0, h = from.y1 - from.y0;
    const bool longest = a->crop_min >= 1.0 && p->mode == KIN_RESIZE_LONGEST;
    const int64_t side = longest ? kin_max64(w, h) : kin_min64(w, h);
    int shrink = 8;
    while (shrink > 1 && side / shrink < p->size) shrink /= 2;
    return shrink;
}

kin_status kin_augment_image(kin_ctx *cx, const kin_preprocess *p, const kin_augment *a, uint64_t key,
                             const kin_image *in, int64_t width, int64_t height, uint8_t *out)
{
    kin_rng r = kin_rng_new(key);
    const int64_t count = p->size * p->size;
    if (a->crop_min < 1.0) {
        kin_rect from = crop(&r, width, height, a->crop_min);
        map(&from.x0, &from.x1, width, in->width);
        map(&from.y0, &from.y1, height, in->height);
        KIN_TRY(kin_resize(cx, in, from, p->size, p->size, p->interpolation, out));
    } else {
        KIN_TRY(kin_preprocess_image(cx, p, in, out));
    }
    if ((double)kin_rng_unit(&r) < a->flip) flip(out, p->size);
    if (a->jitter > 0.0) jitter(&r, out, count, a->jitter);
    if ((double)kin_rng_unit(&r) < a->grey) blend(out, count, 2, 0.0f);
    if ((double)kin_rng_unit(&r) < a->erase) erase(&r, p, out);
    return KIN_OK;
}
