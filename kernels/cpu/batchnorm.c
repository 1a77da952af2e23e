#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

/* Sums over rows are made of fixed chunks of rows (kin_chunks), each in blocks that stay in the first cache
 * while they are read twice. Two rows of `width` sums a chunk. */
enum { BLOCK = 4096 }; /* elements */

typedef struct sheet {
    const float *x, *dy;
    int64_t rows, width;
    const float *mean, *rstd; /* backward */
} sheet;

static int64_t rows_a_block(int64_t width)
{
    return kin_max64(1, BLOCK / width);
}

/* Mean and sum of squared distances to it of the rows seen so far, and those of a block, put together (Chan,
 * Golub & LeVeque 1983). */
static void merge_moments(float *mean, float *square, int64_t k, int64_t left, vf m, vf q, int64_t seen,
                          int64_t rows)
{
    const vf d = m - vread(mean + k, left);
    const float all = (float)(seen + rows), share = (float)rows / all;
    vwrite(mean + k, vfma(d, vset(share), vread(mean + k, left)), left);
    vwrite(square + k, vread(square + k, left) + vfma(d * d, vset((float)seen * share), q), left);
}

/* first: means; second: sums of squared distances. */
static void block_moments(const sheet *s, span rows, int64_t seen, float *first, float *second)
{
    const int64_t n = rows.to - rows.from;
    for (int64_t k = 0; k < s->width; k += LANES) {
        const int64_t left = s->width - k;
        const float *x = s->x + rows.from * s->width + k;
        vf sum = vset(0.0f), square = vset(0.0f);
        for (int64_t m = 0; m < n; m++) sum += vread(x + m * s->width, left);
        const vf mean = sum * vset(1.0f / (float)n);
        for (int64_t m = 0; m < n; m++) {
            const vf d = vread(x + m * s->width, left) - mean;
            square = vfma(d, d, square);
        }
        merge_moments(first, second, k, left, mean, square, seen, n);
    }
}

/* first: dy n; second: dy. */
static void block_products(const sheet *s, span rows, float *first, float *second)
{
    for (int64_t k = 0; k < s->width; k += LANES) {
        const int64_t left = s->width - k, from = rows.from * s->width + k;
        const vf mean = vread(s->mean + k, left);
        vf along = vset(0.0f), sum = vset(0.0f);
        for (int64_t m = 0; m < rows.to - rows.from; m++) {
            const vf dy = vread(s->dy + from + m * s->width, left);
            along = vfma(dy, vread(s->x + from + m * s->width, left) - mean, along);
            sum += dy;
        }
        vwrite(first + k, vfma(along, vread(s->rstd + k, left), vread(first + k, left)), left);
        vwrite(second + k, vread(second + k, left) + sum, left);
    }
}

/* sums [chunks, 2, width] */
static void chunk_sums(const kin_call *c, const sheet *s, float *sums)
{
    const int64_t chunks = kin_chunks(s->rows), block = rows_a_block(s->width);
    const int threads = threads_for(c->dev, chunks);
    PARALLEL_FOR
    for (int64_t i = 0; i < chunks; i++) {
        float *first = sums + 2 * i * s->width, *second = first + s->width;
        memset(first, 0, (size_t)(2 * s->width) * sizeof *first);
        const span all = chunk(s->rows, i);
        for (int64_t m = all.from; m < all.to; m += block) {
            const span rows = {m, kin_min64(all.to, m + block)};
            if (s->dy)
                block_products(s, rows, first, second);
            else
                block_moments(s, rows, m - all.from, first, second);
        }
    }
}

/* Mean and variance of column k. */
static void all_moments(const sheet *s, const float *sums, int64_t k, float *mean, float *var)
{
    double m = 0.0, q = 0.0, seen = 0.0;
    for (int64_t i = 0; i < kin_chunks(s->rows) && s->rows > 0; i++) {
        const span part = chunk(s->rows, i);
        const double n = (double)(part.to - part.from), d = (double)sums[2 * i * s->width + k] - m;
        q += (double)sums[(2 * i + 1) * s->width + k] + d * d * seen * n / (seen + n);
        m += d * n / (seen + n);
        seen += n;
    }
    *mean = (float)m;
    *var = seen > 0.0 ? (float)(q / seen) : 0.0f;
}

void CPU(batchnorm_fwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const sheet s = {.x = c->in[0].ptr, .rows = kin_rows(&c->in[0]), .width = kin_cols(&c->in[0])};
    const bool given = !kin_absent(&c->in[3]);
    float *sums = c->scratch, *scale = sums + 2 * kin_chunks(s.rows) * s.width, *means = c->out[1].ptr,
          *vars = c->out[2].ptr;
    if (!given) chunk_sums(c, &s, sums);
    for (int64_t k = 0; k < s.width; k++) {
        if (!given) all_moments(&s, sums, k, &means[k], &vars[k]);
        const float var = given ? ((const float *)c->in[4].ptr)[k] : vars[k];
        scale[k] = ((const float *)c->in[1].ptr)[k] / sqrtf(var + a->eps);
    }
    const float *mean = given ? c->in[3].ptr : means, *beta = c->in[2].ptr;
    float *y = c->out[0].ptr;
    const int64_t grain = rows_a_piece(s.width), pieces = pieces_of(s.rows, grain);
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span part = piece(s.rows, grain, i);
        for (int64_t m = part.from; m < part.to; m++)
            for (int64_t k = 0; k < s.width; k += LANES) {
                const int64_t left = s.width - k;
                const vf d = vread(s.x + m * s.width + k, left) - vread(mean + k, left);
                vwrite(y + m * s.width + k, vfma(d, vread(scale + k, left), vread(beta + k, left)), left);
            }
    }
}

/* With n = (x - mean) rstd:  dgamma = sum(dy n), dbeta = sum(dy); dx = gamma rstd dy, and where the
 * statistics are those of x, gamma rstd (dy - mean(dy) - n mean(dy n)). */
void CPU(batchnorm_bwd)(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    const kin_norm_attr *a = c->attr;
    const bool given = !kin_absent(&c->in[3]);
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]), chunks = kin_chunks(rows);
    const float *mean = given ? c->in[3].ptr : c->out[1].ptr, *var = given ? c->in[4].ptr : c->out[2].ptr,
                *gamma = c->in[1].ptr;
    float *sums = c->scratch, *scale = sums + 2 * chunks * width, *rstd = scale + width, *dgamma = sums,
          *dbeta = sums + width;
    for (int64_t k = 0; k < width; k++) {
        rstd[k] = 1.0f / sqrtf(var[k] + a->eps);
        scale[k] = gamma[k] * rstd[k];
    }
    const sheet s = {c->in[0].ptr, c->dout[0].ptr, rows, width, mean, rstd};
    chunk_sums(c, &s, sums);
    for (int64_t k = 0; k < 2 * width; k++) {
        double sum = 0.0;
        for (int64_t i = 0; i < chunks; i++) sum += (double)sums[2 * i * width + k];
        const int to = k < width ? 1 : 2;
        if (wanted(c, to)) put((float *)c->din[to].ptr + k % width, (float)sum, adds(c, to));
        sums[k] = given ? 0.0f : (float)(sum / (double)rows); /* now the means */
    }
    if (!wanted(c, 0)) return;
    for (int64_t k = 0; k < width; k++) dgamma[k] *= rstd[k]; /* of x - mean instead of n */
    float *dx = c->din[0].ptr;
    const bool add = adds(c, 0);
    const int64_t grain = rows_a_piece(width), pieces = pieces_of(rows, grain);
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span part = piece(rows, grain, i);
        for (int64_t m = part.from; m < part.to; m++)
            for (int64_t k = 0; k < width; k += LANES) {
                const int64_t left = width - k, at = m * width + k;
                const vf d = vread(s.x + at, left) - vread(mean + k, left);
                vf v = vread(s.dy + at, left) - vread(dbeta + k, left) - d * vread(dgamma + k, left);
                v = v * vread(scale + k, left);
                vwrite(dx + at, add ? (vf)(vread(dx + at, left) + v) : v, left);
            }
    }
}
