#include "kernels/cpu/pairs.h"
#include "kernels/cpu/simd.h"

/* -log sigmoid(m), summed: log1p(e^-|m|) + max(-m, 0). */
static double line_loss(const kin_call *c, int64_t line, span k, const float *z)
{
    const float bias = *(const float *)c->in[3].ptr;
    double sum = 0.0;
    for (int64_t j = 0; j < k.to - k.from; j++) {
        const float logit = z[j] + bias, m = line == k.from + j ? logit : -logit;
        sum += (double)(log1pf(expf(-fabsf(m))) + fmaxf(-m, 0.0f));
    }
    return sum;
}

void CPU(siglip_fwd)(const kin_call *c)
{
    const float scale = expf(*(const float *)c->in[2].ptr);
    const int64_t lines = c->in[0].dim[0], others = c->in[1].dim[0], tiles = pieces_of(lines, LINES);
    double *losses = c->scratch, sum = 0.0;
    const int threads = threads_for(c->dev, tiles);
    PARALLEL_TASKS
    for (int64_t t = 0; t < tiles; t++) {
        const span line = piece(lines, LINES, t);
        float *z = room_of(c->dev);
        for (int64_t i = line.from; i < line.to; i++) losses[i] = 0.0;
        for (int64_t j = 0; j < pieces_of(others, ACROSS); j++) {
            const span k = piece(others, ACROSS, j);
            products(c, false, line, k, scale, z);
            for (int64_t i = line.from; i < line.to; i++)
                losses[i] += line_loss(c, i, k, z + (i - line.from) * ACROSS);
        }
    }
    for (int64_t i = 0; i < lines; i++) sum += losses[i];
    *(float *)c->out[0].ptr = (float)(sum / (double)lines);
}

/* d loss / d logit = (sigmoid(logit) - [i = j]) / N. sum: of gradient times scaled product, of gradients. */
static void gradient(const kin_call *c, bool down, int64_t line, span k, float *z, double *sum)
{
    const float bias = *(const float *)c->in[3].ptr;
    const float d = *(const float *)c->dout[0].ptr / (float)c->in[0].dim[0];
    const int64_t n = k.to - k.from;
    const float own = line >= k.from && line < k.to ? z[line - k.from] : 0.0f;
    double products_sum = 0.0, gradients = 0.0;
    (void)down;
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t left = n - j;
        const vf scaled = vread(z + j, left), zero = vset(0.0f);
        vwrite(z + j, vset(d) * vsigmoid(scaled + vset(bias)), left);
        const vf g = vread_or(z + j, left, zero);
        gradients += (double)vsum(g);
        products_sum += (double)vsum(g * scaled);
    }
    if (line >= k.from && line < k.to) {
        /* -d sigmoid(-logit), not d (sigmoid(logit) - 1): nothing cancels. */
        const float was = z[line - k.from], g = -d / (1.0f + expf(own + bias));
        z[line - k.from] = g;
        gradients += (double)g - (double)was;
        products_sum += ((double)g - (double)was) * (double)own;
    }
    sum[0] += products_sum;
    sum[1] += gradients;
}

void CPU(siglip_bwd)(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0];
    if (no_cotangent(c, 4)) return;
    double *sums = c->scratch;
    spread(c, expf(*(const float *)c->in[2].ptr), 0.0f, gradient, sums, wanted(c, 2) || wanted(c, 3));
    if (wanted(c, 2)) put(c->din[2].ptr, (float)total(sums, rows, 0), adds(c, 2));
    if (wanted(c, 3)) put(c->din[3].ptr, (float)total(sums, rows, 1), adds(c, 3));
}
