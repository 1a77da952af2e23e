#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "kernels/cpu/cpu.h"

enum { PIECE = 16384 };

void CPU(add_fwd)(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]), pieces = pieces_of(count, PIECE);
    const float *a = c->in[0].ptr, *b = c->in[1].ptr;
    float *y = c->out[0].ptr;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        for (int64_t k = s.from; k < s.to; k++) y[k] = a[k] + b[k];
    }
}

static void pass(const float *dy, float *dx, int64_t n, bool add)
{
    if (!add)
        memcpy(dx, dy, (size_t)n * sizeof *dx);
    else
        for (int64_t k = 0; k < n; k++) dx[k] += dy[k];
}

void CPU(add_bwd)(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]), pieces = pieces_of(count, PIECE);
    const int threads = threads_for(c->dev, pieces);
    if (no_cotangent(c, 2)) return;
    const float *dy = c->dout[0].ptr;
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        for (int k = 0; k < 2; k++)
            if (wanted(c, k)) pass(dy + s.from, (float *)c->din[k].ptr + s.from, s.to - s.from, adds(c, k));
    }
}

/* ---- mul ---- */

void CPU(mul_fwd)(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]), pieces = pieces_of(count, PIECE);
    const float *a = c->in[0].ptr, *b = c->in[1].ptr;
    float *y = c->out[0].ptr;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        for (int64_t k = s.from; k < s.to; k++) y[k] = a[k] * b[k];
    }
}

static void times(const float *dy, const float *other, float *dx, span s, bool add)
{
    if (!add)
        for (int64_t k = s.from; k < s.to; k++) dx[k] = dy[k] * other[k];
    else
        for (int64_t k = s.from; k < s.to; k++) dx[k] += dy[k] * other[k];
}

void CPU(mul_bwd)(const kin_call *c)
{
    const int64_t count = kin_count(&c->out[0]), pieces = pieces_of(count, PIECE);
    const int threads = threads_for(c->dev, pieces);
    if (no_cotangent(c, 2)) return;
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        for (int k = 0; k < 2; k++)
            if (wanted(c, k)) times(c->dout[0].ptr, c->in[1 - k].ptr, c->din[k].ptr, s, adds(c, k));
    }
}

/* ---- scale ---- */

void CPU(scale_fwd)(const kin_call *c)
{
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]), grain = rows_a_piece(width),
                  pieces = pieces_of(rows, grain);
    const float *x = c->in[0].ptr, *g = c->in[1].ptr;
    float *y = c->out[0].ptr;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(rows, grain, i);
        for (int64_t m = s.from; m < s.to; m++)
            for (int64_t k = 0; k < width; k++) y[m * width + k] = x[m * width + k] * g[k];
    }
}

static void scale_dx(const kin_call *c, span s)
{
    const int64_t width = kin_cols(&c->in[0]);
    const float *g = c->in[1].ptr, *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    const bool add = adds(c, 0);
    for (int64_t m = s.from; m < s.to; m++)
        for (int64_t k = 0; k < width; k++) {
            const int64_t at = m * width + k;
            dx[at] = (add ? dx[at] : 0.0f) + dy[at] * g[k];
        }
}

void CPU(scale_bwd)(const kin_call *c)
{
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]), chunks = kin_chunks(rows);
    const int threads = threads_for(c->dev, chunks);
    if (no_cotangent(c, 2)) return;
    const float *x = c->in[0].ptr, *dy = c->dout[0].ptr;
    float *sums = c->scratch, *dg = c->din[1].ptr;
    PARALLEL_FOR
    for (int64_t i = 0; i < chunks; i++) {
        const span s = chunk(rows, i);
        float *restrict sum = sums + i * width;
        if (wanted(c, 0)) scale_dx(c, s);
        if (!wanted(c, 1)) continue;
        memset(sum, 0, (size_t)width * sizeof *sum);
        for (int64_t m = s.from; m < s.to; m++)
            for (int64_t k = 0; k < width; k++) sum[k] += dy[m * width + k] * x[m * width + k];
    }
    for (int64_t k = 0; k < width && wanted(c, 1); k++) {
        float sum = 0.0f;
        for (int64_t i = 0; i < chunks; i++) sum += sums[i * width + k];
        put(&dg[k], sum, adds(c, 1));
    }
}

/* ---- cast ---- */

static void widen(const kin_tensor *t, int64_t from, int64_t n, float *to)
{
    if (t->dtype == KIN_F32) {
        memcpy(to, (const float *)t->ptr + from, (size_t)n * sizeof *to);
        return;
    }
    const uint16_t *h = (const uint16_t *)t->ptr + from;
    int64_t k = 0;
    if (t->dtype == KIN_BF16) {
        for (; k < n; k++) {
            const uint32_t bits = (uint32_t)h[k] << 16;
            memcpy(&to[k], &bits, sizeof bits);
        }
        return;
    }
#if defined(__F16C__)
    for (; k + 8 <= n; k += 8) {
        __m128i v;
        memcpy(&v, h + k, sizeof v);
        _mm256_storeu_ps(to + k, _mm256_cvtph_ps(v));
    }
#endif
    for (; k < n; k++) to[k] = kin_from_f16(h[k]);
}

/* kin_to_bf16, where the compiler can see it and make vectors of it. */
static uint16_t bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

static void narrow(const float *from, int64_t n, const kin_tensor *t, int64_t at)
{
    if (t->dtype == KIN_F32) {
        memcpy((float *)t->ptr + at, from, (size_t)n * sizeof *from);
        return;
    }
    uint16_t *h = (uint16_t *)t->ptr + at;
    int64_t k = 0;
    if (t->dtype == KIN_BF16) {
        for (; k < n; k++) h[k] = bf16(from[k]);
        return;
    }
#if defined(__F16C__)
    for (; k + 8 <= n; k += 8) {
        const __m128i v = _mm256_cvtps_ph(_mm256_loadu_ps(from + k), _MM_FROUND_TO_NEAREST_INT);
        memcpy(h + k, &v, sizeof v);
    }
#endif
    for (; k < n; k++) h[k] = kin_to_f16(from[k]);
}

/* to (+)= from, through f32 and at most 256 elements at a time. */
static void convert(const kin_tensor *from, const kin_tensor *to, bool add, span s)
{
    enum { STEP = 256 };
    float v[STEP], old[STEP];
    for (int64_t k = s.from; k < s.to; k += STEP) {
        const int64_t n = kin_min64(STEP, s.to - k);
        widen(from, k, n, v);
        if (add) {
            widen(to, k, n, old);
            for (int64_t i = 0; i < n; i++) v[i] += old[i];
        }
        narrow(v, n, to, k);
    }
}

static void convert_all(const kin_call *c, const kin_tensor *from, const kin_tensor *to, bool add)
{
    const int64_t count = kin_count(&c->in[0]), pieces = pieces_of(count, PIECE);
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) convert(from, to, add, piece(count, PIECE, i));
}

void CPU(cast_fwd)(const kin_call *c)
{
    convert_all(c, &c->in[0], &c->out[0], false);
}

void CPU(cast_bwd)(const kin_call *c)
{
    if (!wanted(c, 0)) return;
    if (c->dout[0].ptr)
        convert_all(c, &c->dout[0], &c->din[0], adds(c, 0));
    else if (!adds(c, 0))
        memset(c->din[0].ptr, 0, (size_t)kin_count(&c->din[0]) * kin_dtype_size(c->din[0].dtype));
}
