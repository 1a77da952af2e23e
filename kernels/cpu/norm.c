#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

/* What one row is normalised with. */
typedef struct moments {
    float mean, rstd;
} moments;

/* s = x + r, into s when there is a residual; the sum of the row. */
static float row_sum(const float *x, const float *r, float *s, int64_t width)
{
    vf sum = vset(0.0f);
    for (int64_t k = 0; k < width; k += LANES) {
        vf v = vread(x + k, width - k);
        if (r) {
            v += vread(r + k, width - k);
            vwrite(s + k, v, width - k);
        }
        sum += v;
    }
    return vsum(sum);
}

/* Sum of (s - mean)^2. */
static float row_square(const float *s, float mean, int64_t width)
{
    const vf m = vset(mean);
    vf sum = vset(0.0f);
    for (int64_t k = 0; k < width; k += LANES) {
        const vf d = vread_or(s + k, width - k, m) - m;
        sum = vfma(d, d, sum);
    }
    return vsum(sum);
}

static void row_fwd(const float *s, moments w, const float *gamma, const float *beta, float *y, int64_t width)
{
    const vf mean = vset(w.mean), rstd = vset(w.rstd);
    for (int64_t k = 0; k < width; k += LANES) {
        vf v = (vread(s + k, width - k) - mean) * rstd * vread(gamma + k, width - k);
        if (beta) v += vread(beta + k, width - k);
        vwrite(y + k, v, width - k);
    }
}

static void norm_fwd(const kin_call *c, const float *beta, float *means, float *rstds)
{
    const kin_norm_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]), grain = rows_a_piece(width),
                  pieces = pieces_of(rows, grain);
    const float *x = c->in[0].ptr, *r = kin_absent(&c->in[1]) ? NULL : c->in[1].ptr;
    float *y = c->out[0].ptr, *sums = r ? c->out[1].ptr : NULL;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span part = piece(rows, grain, i);
        for (int64_t m = part.from; m < part.to; m++) {
            const int64_t at = m * width;
            const float *s = r ? sums + at : x + at;
            const float sum = row_sum(x + at, r ? r + at : NULL, r ? sums + at : NULL, width);
            moments w = {.mean = means ? sum / (float)width : 0.0f};
            w.rstd = 1.0f / sqrtf(row_square(s, w.mean, width) / (float)width + a->eps);
            if (means) means[m] = w.mean;
            rstds[m] = w.rstd;
            row_fwd(s, w, c->in[2].ptr, beta, y + at, width);
        }
    }
}

void CPU(layernorm_fwd)(const kin_call *c)
{
    norm_fwd(c, kin_absent(&c->in[3]) ? NULL : c->in[3].ptr, c->out[2].ptr, c->out[3].ptr);
}

void CPU(rmsnorm_fwd)(const kin_call *c)
{
    norm_fwd(c, NULL, NULL, c->out[2].ptr);
}

/* Row: with n = (s - mean) rstd and e = dy gamma,  ds = rstd (e - mean(e) - n mean(e n)) (+ through); rmsnorm
 * has no mean(e). dgamma += dy n, dbeta += dy. */
typedef struct row {
    const float *s, *dy, *through, *gamma;
    float *dgamma, *dbeta;
    moments w;
    bool centred;
} row;

static void row_means(const row *r, int64_t width, float *mean_e, float *mean_en)
{
    const vf mean = vset(r->w.mean), rstd = vset(r->w.rstd);
    vf e = vset(0.0f), en = vset(0.0f);
    for (int64_t k = 0; k < width; k += LANES) {
        const int64_t left = width - k;
        const vf n = (vread(r->s + k, left) - mean) * rstd, dy = vread(r->dy + k, left),
                 v = dy * vread(r->gamma + k, left);
        e += v;
        en = vfma(v, n, en);
        vwrite(r->dgamma + k, vfma(dy, n, vread(r->dgamma + k, left)), left);
        vwrite(r->dbeta + k, vread(r->dbeta + k, left) + dy, left);
    }
    *mean_e = r->centred ? vsum(e) / (float)width : 0.0f;
    *mean_en = vsum(en) / (float)width;
}

static void row_bwd(const kin_call *c, const row *r, int64_t at, int64_t width)
{
    float mean_e = 0.0f, mean_en = 0.0f;
    if (r->dy) row_means(r, width, &mean_e, &mean_en);
    const vf mean = vset(r->w.mean), rstd = vset(r->w.rstd), e0 = vset(mean_e), en0 = vset(mean_en);
    for (int64_t k = 0; k < width && (wanted(c, 0) || wanted(c, 1)); k += LANES) {
        const int64_t left = width - k;
        vf ds = vset(0.0f);
        if (r->dy) {
            const vf n = (vread(r->s + k, left) - mean) * rstd;
            ds = rstd * (vread(r->dy + k, left) * vread(r->gamma + k, left) - e0 - n * en0);
        }
        if (r->through) ds += vread(r->through + k, left);
        for (int i = 0; i < 2; i++) {
            if (!wanted(c, i)) continue;
            float *to = (float *)c->din[i].ptr + at + k;
            vwrite(to, adds(c, i) ? (vf)(vread(to, left) + ds) : (vf)ds, left);
        }
    }
}

static void norm_bwd(const kin_call *c, const float *means, const float *rstds)
{
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]), chunks = kin_chunks(rows);
    const bool residual = !kin_absent(&c->in[1]);
    const float *s = residual ? c->out[1].ptr : c->in[0].ptr, *dy = c->dout[0].ptr,
                *through = residual ? c->dout[1].ptr : NULL;
    float *sums = c->scratch;
    const int threads = threads_for(c->dev, chunks);
    PARALLEL_FOR
    for (int64_t i = 0; i < chunks; i++) {
        float *sum = sums + 2 * i * width;
        const span part = chunk(rows, i);
        memset(sum, 0, (size_t)(2 * width) * sizeof *sum);
        for (int64_t m = part.from; m < part.to; m++) {
            const int64_t at = m * width;
            const row r = {.s = s + at,
                           .dy = dy ? dy + at : NULL,
                           .through = through ? through + at : NULL,
                           .gamma = c->in[2].ptr,
                           .dgamma = sum,
                           .dbeta = sum + width,
                           .w = {means ? means[m] : 0.0f, rstds[m]},
                           .centred = means != NULL};
            row_bwd(c, &r, at, width);
        }
    }
    for (int which = 0; which < (means ? 2 : 1); which++) {
        float *to = c->din[2 + which].ptr;
        for (int64_t k = 0; k < width && to; k++) {
            float sum = 0.0f;
            for (int64_t i = 0; i < chunks; i++) sum += sums[(2 * i + which) * width + k];
            put(&to[k], sum, adds(c, 2 + which));
        }
    }
}

void CPU(layernorm_bwd)(const kin_call *c)
{
    norm_bwd(c, c->out[2].ptr, c->out[3].ptr);
}

void CPU(rmsnorm_bwd)(const kin_call *c)
{
    norm_bwd(c, NULL, c->out[2].ptr);
}

/* ---- l2norm ---- */

static float dot(const float *a, const float *b, int64_t n)
{
    vf sum = vset(0.0f);
    for (int64_t k = 0; k < n; k += LANES) sum = vfma(vread(a + k, n - k), vread(b + k, n - k), sum);
    return vsum(sum);
}

void CPU(l2norm_fwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]), grain = rows_a_piece(width),
                  pieces = pieces_of(rows, grain);
    const float *x = c->in[0].ptr;
    float *y = c->out[0].ptr, *inv = c->out[1].ptr;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span part = piece(rows, grain, i);
        for (int64_t m = part.from; m < part.to; m++) {
            const float *from = x + m * width;
            inv[m] = 1.0f / fmaxf(sqrtf(dot(from, from, width)), a->eps);
            for (int64_t k = 0; k < width; k++) y[m * width + k] = from[k] * inv[m];
        }
    }
}

/* dx = inv (dy - y (y . dy)); below eps the divisor is a constant and the second term is not there. */
void CPU(l2norm_bwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]), grain = rows_a_piece(width),
                  pieces = pieces_of(rows, grain);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const float *y = c->out[0].ptr, *inv = c->out[1].ptr, *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    const bool add = adds(c, 0);
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span part = piece(rows, grain, i);
        for (int64_t m = part.from; m < part.to; m++) {
            const int64_t at = m * width;
            const float along = inv[m] >= 1.0f / a->eps ? 0.0f : dot(y + at, dy + at, width);
            for (int64_t k = at; k < at + width; k++)
                dx[k] = (add ? dx[k] : 0.0f) + inv[m] * (dy[k] - y[k] * along);
        }
    }
}
