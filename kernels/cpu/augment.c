#include "kernels/cpu/cpu.h"

/* Pixels changed at a time, by channel; so many that a sum of their greys fits 32 bits. */
enum { STRIP = 256 };
_Static_assert((uint64_t)STRIP * 255 * 65536 <= UINT32_MAX, "a strip's greys");

static void flip(uint8_t *p, int64_t height, int64_t width)
{
    for (int64_t y = 0; y < height; y++, p += width * 3) {
        uint8_t *a = p, *b = p + (width - 1) * 3;
        for (; a < b; a += 3, b -= 3)
            for (int c = 0; c < 3; c++) {
                const uint8_t t = a[c];
                a[c] = b[c];
                b[c] = t;
            }
    }
}

static int32_t rounded(int32_t v)
{
    v = (v < 0 ? 0 : v) >> 16;
    return v > 255 ? 255 : v;
}

static void change(const kin_augment_stage *s, int32_t mean, int32_t *r, int32_t *g, int32_t *b)
{
    const int32_t *m = s->m, more = mean + 32768;
    for (int i = 0; i < STRIP; i++) {
        const int32_t x = r[i], y = g[i], z = b[i];
        r[i] = rounded(m[0] * x + m[1] * y + m[2] * z + more);
        g[i] = rounded(m[3] * x + m[4] * y + m[5] * z + more);
        b[i] = rounded(m[6] * x + m[7] * y + m[8] * z + more);
    }
}

/* Stages from .. to - 1 over the whole picture; the sum of the greys of what comes out. */
static int64_t pass(uint8_t *p, int64_t count, const kin_augmentation *a, int from, int to, int32_t mean)
{
    int32_t r[STRIP] = {0}, g[STRIP] = {0}, b[STRIP] = {0};
    int64_t sum = 0;
    for (int64_t at = 0; at < count; at += STRIP, p += 3 * STRIP) {
        const int n = (int)kin_min64(STRIP, count - at);
        for (int i = 0; i < n; i++) {
            r[i] = p[3 * i];
            g[i] = p[3 * i + 1];
            b[i] = p[3 * i + 2];
        }
        for (int k = from; k < to; k++) change(&a->stage[k], k == from ? mean : 0, r, g, b);
        for (int i = 0; i < n; i++) {
            p[3 * i] = (uint8_t)r[i];
            p[3 * i + 1] = (uint8_t)g[i];
            p[3 * i + 2] = (uint8_t)b[i];
        }
        uint32_t part = 0;
        for (int i = 0; i < n; i++) part += (uint32_t)kin_augment_grey(r[i], g[i], b[i]);
        sum += part;
    }
    return sum;
}

/* A stage that needs the picture's mean begins a new pass over it. */
static void stages(uint8_t *p, int64_t count, const kin_augmentation *a)
{
    int64_t sum = 0;
    int from = 0;
    if (a->stages > 0 && a->stage[0].grey) sum = pass(p, count, a, 0, 0, 0);
    while (from < a->stages) {
        const int64_t mean = a->stage[from].grey * ((sum + count / 2) / count) / 65536;
        int to = from + 1;
        while (to < a->stages && !a->stage[to].grey) to++;
        sum = pass(p, count, a, from, to, (int32_t)mean);
        from = to;
    }
}

static void erase(uint8_t *p, int64_t width, const kin_augmentation *a)
{
    const uint8_t colour[3] = {(uint8_t)a->colour[0], (uint8_t)a->colour[1], (uint8_t)a->colour[2]};
    for (int64_t y = a->y0; y < a->y1; y++)
        for (int64_t x = a->x0; x < a->x1; x++) memcpy(p + (y * width + x) * 3, colour, 3);
}

void CPU(augment)(const kin_fn_call *c)
{
    const int64_t pictures = c->t[0].dim[0], height = c->t[0].dim[1], width = c->t[0].dim[2];
    const kin_augmentation *a = c->t[1].ptr;
    uint8_t *p = c->t[0].ptr;
    const int threads = threads_for(c->dev, pictures);
    PARALLEL_FOR
    for (int64_t n = 0; n < pictures; n++) {
        uint8_t *one = p + n * height * width * 3;
        if (a[n].flip) flip(one, height, width);
        stages(one, height * width, &a[n]);
        erase(one, width, &a[n]);
    }
}
