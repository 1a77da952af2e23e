/* The passes as they are defined, a sample at a time: what the others are compared with. */
#include "data/resize_pass.h"

static bool always(void)
{
    return true;
}

static void across(const kin_taps *t, const uint8_t *in, int64_t step, int64_t rows, uint8_t *out,
                   int64_t out_step)
{
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < t->outputs; x++) {
            const uint8_t *p = in + y * step + t->first[x] * 3;
            const int32_t *w = t->weight + x * t->room;
            int32_t r = 1 << (KIN_RESIZE_BITS - 1), g = r, b = r;
            for (int32_t i = 0; i < t->count[x]; i++, p += 3) {
                r += p[0] * w[i];
                g += p[1] * w[i];
                b += p[2] * w[i];
            }
            uint8_t *to = out + y * out_step + x * 3;
            to[0] = kin_resize_clip(r);
            to[1] = kin_resize_clip(g);
            to[2] = kin_resize_clip(b);
        }
    }
}

/* Sums of so many samples at a time lie in the first cache. */
enum { BLOCK = 512 };

static void down(const kin_taps *t, const uint8_t *in, int64_t step, int64_t n, uint8_t *out,
                 int64_t out_step)
{
    int32_t sum[BLOCK];
    for (int64_t y = 0; y < t->outputs; y++) {
        const int32_t *w = t->weight + y * t->room;
        for (int64_t from = 0; from < n; from += BLOCK) {
            const int64_t m = kin_min64(BLOCK, n - from);
            for (int64_t i = 0; i < m; i++) sum[i] = 1 << (KIN_RESIZE_BITS - 1);
            for (int32_t k = 0; k < t->count[y]; k++) {
                const uint8_t *p = in + (t->first[y] + k) * step + from;
                for (int64_t i = 0; i < m; i++) sum[i] += p[i] * w[k];
            }
            for (int64_t i = 0; i < m; i++) out[y * out_step + from + i] = kin_resize_clip(sum[i]);
        }
    }
}

const kin_resize_pass kin_resize_plain = {"plain", always, across, down};
