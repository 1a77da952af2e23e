/* The passes in vectors of 256 bits. A product of a pixel and a 22-bit weight is two of 16 bits: pmaddwd by
 * the high and by the low halves of a pair of weights, summed apart and joined at the end. */
#include "data/resize_pass.h"

#if defined(__x86_64__)
#include <string.h>

static bool supported(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

#pragma GCC target("avx2") /* of all that follows */
#include <immintrin.h>

enum { ROWS = 2, WIDE = 32 };

/* Sums stay in registers only where the loop over them is gone. (Four rows at once spill: not faster.) */
#define EACH(i, n) _Pragma("GCC unroll 4") for (int64_t i = 0; i < (n); i++)

static inline __m256i pixels16(const uint8_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline __m256i weights4(const int16_t *w)
{
    int64_t four;
    memcpy(&four, w, sizeof four);
    return _mm256_set1_epi64x(four);
}

/* One output pixel of ROWS rows; p[r] is where row r is read. Four taps a turn: pixels 0 and 1 in the lower
 * lane, 2 and 3 in the upper one, each as pairs r0 r1 g0 g1 b0 b1 of 16 bits. */
static inline __attribute__((always_inline)) __m128i
row_pixels(const uint8_t *const p[ROWS], int64_t at, const int16_t *high, const int16_t *low, int64_t turns)
{
    const __m256i pick = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, /**/
                                          6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    const __m256i pairs = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, /**/
                                           4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    __m256i upper[ROWS], lower[ROWS];
    EACH(r, ROWS) upper[r] = lower[r] = _mm256_setzero_si256();
    EACH(i, turns)
    {
        const __m256i h = _mm256_shuffle_epi8(weights4(high + 4 * i), pairs);
        const __m256i l = _mm256_shuffle_epi8(weights4(low + 4 * i), pairs);
        EACH(r, ROWS)
        {
            const __m256i v = _mm256_shuffle_epi8(pixels16(p[r] + at + 12 * i), pick);
            upper[r] = _mm256_add_epi32(upper[r], _mm256_madd_epi16(v, h));
            lower[r] = _mm256_add_epi32(lower[r], _mm256_madd_epi16(v, l));
        }
    }
    __m128i sum[ROWS];
    EACH(r, ROWS)
    {
        const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(upper[r], 16), lower[r]);
        const __m128i one = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        sum[r] =
            _mm_srai_epi32(_mm_add_epi32(one, _mm_set1_epi32(1 << (KIN_RESIZE_BITS - 1))), KIN_RESIZE_BITS);
    }
    return _mm_packus_epi16(_mm_packs_epi32(sum[0], sum[1]), _mm_setzero_si128());
}

/* `turns` is a constant where this is inlined, as far as it can be. */
static inline __attribute__((always_inline)) void
across_rows(const kin_taps *t, int64_t turns, const uint8_t *const p[ROWS], uint8_t *const out[ROWS])
{
    /* Copies: stores of bytes may change whatever is behind a pointer. */
    const kin_taps taps = *t;
    const uint8_t *const from[ROWS] = {p[0], p[1]};
    uint8_t *to[ROWS] = {out[0], out[1]};
    for (int64_t x = 0; x < taps.outputs; x++) {
        const int64_t w = x * taps.room;
        const __m128i v = row_pixels(from, taps.first[x] * 3, taps.high + w, taps.low + w, turns);
        const uint32_t one[ROWS] = {(uint32_t)_mm_extract_epi32(v, 0), (uint32_t)_mm_extract_epi32(v, 1)};
        /* The fourth byte is nobody's and is written over by the next pixel; the last one has none. */
        if (x + 1 < taps.outputs)
            EACH(r, ROWS) memcpy(to[r] + x * 3, &one[r], 4);
        else
            EACH(r, ROWS) memcpy(to[r] + x * 3, &one[r], 3);
    }
}

static void across(const kin_taps *t, const uint8_t *in, int64_t step, int64_t rows, uint8_t *out,
                   int64_t out_step)
{
    for (int64_t y = 0; y < rows; y += ROWS) {
        const uint8_t *p[ROWS];
        uint8_t *to[ROWS];
        for (int64_t r = 0; r < ROWS; r++) { /* past the end: the last row again */
            p[r] = in + kin_min64(y + r, rows - 1) * step;
            to[r] = out + kin_min64(y + r, rows - 1) * out_step;
        }
        switch (t->room / 4) {
        case 1: across_rows(t, 1, p, to); break;
        case 2: across_rows(t, 2, p, to); break;
        case 3: across_rows(t, 3, p, to); break;
        default: across_rows(t, t->room / 4, p, to);
        }
    }
}

static inline __m256i pair_of(const int16_t *w)
{
    int32_t two;
    memcpy(&two, w, sizeof two);
    return _mm256_set1_epi32(two);
}

/* WIDE samples of one output row. Two input rows a turn, their samples in pairs; unpacking and packing both
 * stay in their lanes of 128 bits, so that the order is right again at the end. */
static inline void down_wide(const kin_taps *t, int64_t y, const uint8_t *in, int64_t step, uint8_t *out)
{
    const __m256i zero = _mm256_setzero_si256();
    const int16_t *high = t->high + y * t->room, *low = t->low + y * t->room;
    __m256i upper[4], lower[4];
    EACH(i, 4) upper[i] = lower[i] = zero;
    for (int32_t k = 0; k < t->count[y]; k += 2) {
        const uint8_t *p = in + k * step, *q = k + 1 < t->count[y] ? p + step : p; /* an odd one: weight 0 */
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p),
                      b = _mm256_loadu_si256((const __m256i *)(const void *)q);
        const __m256i first = _mm256_unpacklo_epi8(a, b), second = _mm256_unpackhi_epi8(a, b);
        const __m256i h = pair_of(high + k), l = pair_of(low + k);
        const __m256i v[4] = {_mm256_unpacklo_epi8(first, zero), _mm256_unpackhi_epi8(first, zero),
                              _mm256_unpacklo_epi8(second, zero), _mm256_unpackhi_epi8(second, zero)};
        EACH(i, 4)
        {
            upper[i] = _mm256_add_epi32(upper[i], _mm256_madd_epi16(v[i], h));
            lower[i] = _mm256_add_epi32(lower[i], _mm256_madd_epi16(v[i], l));
        }
    }
    __m256i sum[4];
    EACH(i, 4)
    {
        const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(upper[i], 16), lower[i]);
        sum[i] = _mm256_srai_epi32(_mm256_add_epi32(both, _mm256_set1_epi32(1 << (KIN_RESIZE_BITS - 1))),
                                   KIN_RESIZE_BITS);
    }
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_packus_epi16(_mm256_packs_epi32(sum[0], sum[1]),
                                                                    _mm256_packs_epi32(sum[2], sum[3])));
}

static void down(const kin_taps *t, const uint8_t *in, int64_t step, int64_t n, uint8_t *out,
                 int64_t out_step)
{
    if (n < WIDE) {
        kin_resize_plain.down(t, in, step, n, out, out_step);
        return;
    }
    for (int64_t y = 0; y < t->outputs; y++) {
        const uint8_t *from = in + t->first[y] * step;
        uint8_t *to = out + y * out_step;
        for (int64_t x = 0; x + WIDE <= n; x += WIDE) down_wide(t, y, from + x, step, to + x);
        if (n % WIDE) down_wide(t, y, from + n - WIDE, step, to + n - WIDE); /* some of it once more */
    }
}

const kin_resize_pass kin_resize_avx2 = {"avx2", supported, across, down};
#endif
