#include <math.h>

#include "core/rng.h"
#include "data/augment.h"

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

static int32_t fixed(double v)
{
    return (int32_t)lrint(65536.0 * v);
}

/* base + (own - base) * factor: the base is 0, brightness; the picture's mean grey, contrast; the pixel's own
 * grey, saturation. */
enum { BRIGHTNESS, CONTRAST, SATURATION, HUE };
static kin_augment_stage blend(int what, double factor)
{
    const int32_t f = fixed(factor), rest = 65536 - f;
    kin_augment_stage s = {.grey = what == CONTRAST ? rest : 0};
    for (int row = 0; row < 3; row++) {
        for (int c = 0; c < 3 && what == SATURATION; c++)
            s.m[3 * row + c] =
                (int32_t)lrint((double)rest * kin_augment_grey(c == 0, c == 1, c == 2) / 65536.0);
        s.m[4 * row] += f;
    }
    return s;
}

/* Turns the colour circle: a rotation about the grey axis (Rodrigues), `turn` of a whole one. */
static kin_augment_stage hue(double turn)
{
    const double angle = turn * 6.28318530717958648, third = 1.0 / 3.0;
    const double s = sin(angle) * sqrt(third), k = (1.0 - cos(angle)) * third;
    const int32_t own = fixed(cos(angle) + k), next = fixed(k - s), last = fixed(k + s);
    return (kin_augment_stage){{own, next, last, last, own, next, next, last, own}, 0};
}

static void jitter(kin_rng *r, double j, kin_augmentation *out)
{
    uint32_t order[4];
    kin_rng_permutation(r, order, 4);
    for (int i = 0; i < 4; i++)
        out->stage[out->stages++] = order[i] == HUE ? hue(between(r, -j / 4.0, j / 4.0))
                                                    : blend((int)order[i], between(r, 1.0 - j, 1.0 + j));
}

static void erase(kin_rng *r, const kin_preprocess *p, kin_augmentation *out)
{
    for (int i = 0; i < 10; i++) {
        const double area = (double)(p->height * p->width) * between(r, 0.02, 0.33),
                     aspect = exp(between(r, log(0.3), log(3.3)));
        const int64_t h = (int64_t)nearbyint(sqrt(area * aspect)),
                      w = (int64_t)nearbyint(sqrt(area / aspect));
        if (w < 1 || h < 1 || w >= p->width || h >= p->height) continue;
        out->x0 = (int32_t)kin_rng_below(r, (uint32_t)(p->width - w + 1));
        out->y0 = (int32_t)kin_rng_below(r, (uint32_t)(p->height - h + 1));
        out->x1 = out->x0 + (int32_t)w;
        out->y1 = out->y0 + (int32_t)h;
        for (int c = 0; c < 3; c++)
            out->colour[c] = (int32_t)fmin(255.0, fmax(0.0, (double)(p->mean[c] * 255.0f) + 0.5));
        return;
    }
}

kin_rect kin_augment_draw(const kin_preprocess *p, const kin_augment *a, uint64_t key, int64_t width,
                          int64_t height, kin_augmentation *out)
{
    kin_rng r = kin_rng_new(key);
    kin_rect from = {0, 0, width, height};
    *out = (kin_augmentation){0};
    if (a->crop_min < 1.0) from = crop(&r, width, height, a->crop_min);
    out->flip = (double)kin_rng_unit(&r) < a->flip;
    if (a->jitter > 0.0) jitter(&r, a->jitter, out);
    if ((double)kin_rng_unit(&r) < a->grey) out->stage[out->stages++] = blend(SATURATION, 0.0);
    if ((double)kin_rng_unit(&r) < a->erase) erase(&r, p, out);
    return from;
}

bool kin_augment_changes(const kin_augment *a)
{
    return a->flip > 0.0 || a->jitter > 0.0 || a->grey > 0.0 || a->erase > 0.0;
}
