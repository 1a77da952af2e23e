#include "data/corrupt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "data/draw.h"
#include "data/resize.h"

const char *const kin_noise_names[KIN_NOISES] = {"blur",     "crop",    "color", "cover",
                                                 "no-image", "shuffle", "drop",  "no-text"};

bool kin_noise_absent(kin_noise kind, double strength, uint64_t key)
{
    if (kind != KIN_NOISE_NO_IMAGE && kind != KIN_NOISE_NO_TEXT) return false;
    kin_rng r = kin_rng_new(key);
    return (double)kin_rng_unit(&r) < strength;
}

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* One pass over n pixels of 3 channels, `step` bytes apart, in place. */
static void blur_line(const double *weight, int64_t radius, uint8_t *at, int64_t n, int64_t step,
                      uint8_t *line)
{
    for (int64_t i = 0; i < n; i++) memcpy(line + 3 * i, at + i * step, 3);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) {
            double sum = 0;
            for (int64_t k = -radius; k <= radius; k++)
                sum += weight[k + radius] * (double)line[3 * clamp(i + k, n) + c];
            at[i * step + c] = (uint8_t)(sum + 0.5);
        }
}

static kin_status blur(kin_ctx *cx, double sigma, kin_image *m)
{
    const int64_t radius = (int64_t)ceil(3 * sigma);
    double *weight = kin_alloc(cx, 2 * radius + 1, sizeof *weight), sum = 0;
    uint8_t *line = kin_alloc(cx, kin_max64(m->width, m->height), 3);
    if (weight && line) {
        for (int64_t k = -radius; k <= radius; k++)
            sum += weight[k + radius] = exp(-0.5 * (double)(k * k) / (sigma * sigma));
        for (int64_t k = 0; k <= 2 * radius; k++) weight[k] /= sum;
        for (int64_t y = 0; y < m->height; y++)
            blur_line(weight, radius, m->pixels + y * m->width * 3, m->width, 3, line);
        for (int64_t x = 0; x < m->width; x++)
            blur_line(weight, radius, m->pixels + 3 * x, m->height, 3 * m->width, line);
    }
    free(weight);
    free(line);
    return cx->status;
}

/* Where a piece of `part` of a side of n begins; its length into *length. */
static int64_t place(kin_rng *r, int64_t n, double part, int64_t *length)
{
    *length = kin_max64(1, kin_min64(n, (int64_t)((double)n * part + 0.5)));
    return kin_rng_below(r, (uint32_t)(n - *length + 1));
}

static kin_status crop(kin_ctx *cx, double part, kin_rng *r, kin_image *m)
{
    int64_t w, h;
    const int64_t x = place(r, m->width, part, &w), y = place(r, m->height, part, &h);
    uint8_t *out = kin_alloc(cx, m->width * m->height, 3);
    if (!out) return cx->status;
    const kin_rect from = {x, y, x + w, y + h};
    if (kin_resize(cx, m, from, m->width, m->height, KIN_BICUBIC, out) == KIN_OK)
        memcpy(m->pixels, out, (size_t)(m->width * m->height * 3));
    free(out);
    return cx->status;
}

/* Uniforms of 16 bits: their sum has variance 4 * 2^32 / 12. */
static void color(double sigma, kin_rng *r, kin_image *m)
{
    const double scale = sigma / (65536.0 * 0.5773502691896257);
    for (int64_t i = 0; i < m->width * m->height * 3; i++) {
        const uint32_t a = kin_rng_u32(r), b = kin_rng_u32(r);
        const int64_t sum = (int64_t)(a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16) - 2 * 65535;
        const double v = (double)m->pixels[i] + scale * (double)sum;
        m->pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
    }
}

static void cover(double area, kin_rng *r, kin_image *m)
{
    int64_t w, h;
    const int64_t x = place(r, m->width, sqrt(area), &w), y = place(r, m->height, sqrt(area), &h);
    kin_draw_fill(m, x, y, w, h, 0x808080);
}

static kin_status in_range(kin_ctx *cx, double strength)
{
    if (strength >= 0 && strength <= 1) return KIN_OK;
    return kin_fail(cx, KIN_ARG, "corruption: its strength is %g, it must be 0 to 1", strength);
}

kin_status kin_corrupt_image(kin_ctx *cx, kin_noise kind, double strength, uint64_t key,
                             const uint8_t mean[3], kin_image *m)
{
    KIN_TRY(in_range(cx, strength));
    if (strength <= 0) return KIN_OK;
    kin_rng r = kin_rng_new(key);
    switch (kind) {
    case KIN_NOISE_BLUR: return blur(cx, strength * (double)kin_min64(m->width, m->height) / 8, m);
    case KIN_NOISE_CROP: return crop(cx, 1 - 0.75 * strength, &r, m);
    case KIN_NOISE_COLOR: color(96 * strength, &r, m); return KIN_OK;
    case KIN_NOISE_COVER: cover(strength, &r, m); return KIN_OK;
    case KIN_NOISE_NO_IMAGE:
        if (kin_noise_absent(kind, strength, key))
            kin_draw_fill(m, 0, 0, m->width, m->height,
                          (uint32_t)mean[0] << 16 | (uint32_t)mean[1] << 8 | mean[2]);
        return KIN_OK;
    default: return KIN_OK;
    }
}

/* ---- texts ---- */

typedef struct word {
    const char *at;
    size_t length;
} word;

static const char blanks[] = " \t\r\n";

static int64_t split(const char *text, word *out)
{
    int64_t n = 0;
    while (*(text += strspn(text, blanks))) {
        const size_t length = strcspn(text, blanks);
        if (out) out[n] = (word){text, length};
        text += length;
        n++;
    }
    return n;
}

/* Moves the first `chosen` words of a random order around, or out (NULL). */
static void change(word *w, const uint32_t *order, int64_t chosen, bool drop, uint64_t key, uint32_t *to,
                   word *was)
{
    kin_rng r = kin_rng_new(kin_key(key, 1, 0));
    kin_rng_permutation(&r, to, (uint32_t)chosen);
    for (int64_t k = 0; k < chosen; k++) was[k] = w[order[k]];
    for (int64_t k = 0; k < chosen; k++) w[order[k]] = drop ? (word){NULL, 0} : was[to[k]];
}

static char *join(const word *w, int64_t n, char *out)
{
    char *at = out;
    for (int64_t i = 0; i < n; i++) {
        if (!w[i].at) continue;
        if (at > out) *at++ = ' ';
        memcpy(at, w[i].at, w[i].length);
        at += w[i].length;
    }
    *at = '\0';
    return out;
}

char *kin_corrupt_text(kin_ctx *cx, kin_noise kind, double strength, uint64_t key, const char *text)
{
    if (in_range(cx, strength) != KIN_OK) return NULL;
    if (kind == KIN_NOISE_NO_TEXT) return kin_strdup(cx, kin_noise_absent(kind, strength, key) ? "" : text);
    const int64_t n = kind == KIN_NOISE_SHUFFLE || kind == KIN_NOISE_DROP ? split(text, NULL) : 0;
    const int64_t chosen = (int64_t)(strength * (double)n + 0.5);
    if (chosen < 1) return kin_strdup(cx, text);
    word *w = kin_alloc(cx, 2 * n, sizeof *w);
    uint32_t *order = kin_alloc(cx, 2 * n, sizeof *order);
    char *out = kin_alloc(cx, (int64_t)strlen(text) + 1, 1);
    if (w && order && out) {
        kin_rng r = kin_rng_new(key);
        split(text, w);
        kin_rng_permutation(&r, order, (uint32_t)n);
        change(w, order, chosen, kind == KIN_NOISE_DROP, key, order + n, w + n);
        join(w, n, out);
    }
    free(w);
    free(order);
    if (cx->status == KIN_OK) return out;
    free(out);
    return NULL;
}
