#include "kernels/ref/ref.h"

static void flip(uint8_t *p, int64_t height, int64_t width)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width / 2; x++)
            for (int64_t c = 0; c < 3; c++) {
                uint8_t *a = p + (y * width + x) * 3 + c, *b = p + (y * width + width - 1 - x) * 3 + c;
                const uint8_t t = *a;
                *a = *b;
                *b = t;
            }
}

static void change(uint8_t *p, int64_t count, const kin_augment_stage *s)
{
    int64_t mean = 0;
    if (s->grey) {
        int64_t sum = 0;
        for (int64_t i = 0; i < count; i++) sum += kin_augment_grey(p[3 * i], p[3 * i + 1], p[3 * i + 2]);
        mean = s->grey * ((sum + count / 2) / count) / 65536;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t rgb[3] = {p[3 * i], p[3 * i + 1], p[3 * i + 2]};
        for (int c = 0; c < 3; c++) {
            const int32_t *m = s->m + 3 * c;
            const int64_t v = m[0] * rgb[0] + m[1] * rgb[1] + m[2] * rgb[2] + mean + 32768;
            p[3 * i + c] = (uint8_t)kin_min64(255, kin_max64(0, v) / 65536);
        }
    }
}

void REF(augment)(const kin_fn_call *c)
{
    const int64_t height = c->t[0].dim[1], width = c->t[0].dim[2];
    const kin_augmentation *a = c->t[1].ptr;
    uint8_t *p = c->t[0].ptr;
    for (int64_t n = 0; n < c->t[0].dim[0]; n++, a++, p += height * width * 3) {
        if (a->flip) flip(p, height, width);
        for (int k = 0; k < a->stages; k++) change(p, height * width, &a->stage[k]);
        for (int64_t y = a->y0; y < a->y1; y++)
            for (int64_t x = a->x0; x < a->x1; x++)
                for (int64_t k = 0; k < 3; k++) p[(y * width + x) * 3 + k] = (uint8_t)a->colour[k];
    }
}
