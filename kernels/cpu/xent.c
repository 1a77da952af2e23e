#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

static int64_t counted(const kin_call *c)
{
    const int32_t *labels = c->in[1].ptr;
    int64_t n = 0;
    for (int64_t i = 0; i < c->in[0].dim[0]; i++) n += labels[i] >= 0;
    return n;
}

static float row_lse(const float *z, int64_t width)
{
    const vf none = vset(-INFINITY);
    vf most = none, sum = vset(0.0f);
    for (int64_t k = 0; k < width; k += LANES) most = vmax(most, vread_or(z + k, width - k, none));
    const float top = vmost(most);
    for (int64_t k = 0; k < width; k += LANES) sum += vexp(vread_or(z + k, width - k, none) - vset(top));
    return top + logf(vsum(sum));
}

/* Losses of the rows wait in scratch to be added in order. */
void CPU(xent_fwd)(const kin_call *c)
{
    const kin_xent_attr *a = c->attr;
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1], n = counted(c);
    const int32_t *labels = c->in[1].ptr;
    const float *z = c->in[0].ptr;
    float *lse = c->out[1].ptr;
    double *losses = c->scratch, sum = 0.0;
    const int threads = threads_for(c->dev, rows);
    PARALLEL_FOR
    for (int64_t i = 0; i < rows; i++) {
        const float *row = z + i * width;
        const double eps = (double)a->smoothing;
        double mean = 0.0;
        lse[i] = row_lse(row, width);
        losses[i] = 0.0;
        if (labels[i] < 0) continue;
        for (int64_t k = 0; k < width && a->smoothing != 0.0f; k++) mean += (double)row[k];
        const double own = labels[i] < width ? (1.0 - eps) * ((double)lse[i] - (double)row[labels[i]]) : 0.0;
        losses[i] = own + eps * ((double)lse[i] - mean / (double)width);
    }
    for (int64_t i = 0; i < rows; i++) sum += losses[i];
    *(float *)c->out[0].ptr = n ? (float)(sum / (double)n) : 0.0f;
}

void CPU(xent_bwd)(const kin_call *c)
{
    const kin_xent_attr *a = c->attr;
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1], n = counted(c);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const int32_t *labels = c->in[1].ptr;
    const float *z = c->in[0].ptr, *lse = c->out[1].ptr;
    const float d = *(const float *)c->dout[0].ptr / (float)kin_max64(1, n),
                spread = a->smoothing / (float)width;
    float *dz = c->din[0].ptr;
    const bool add = adds(c, 0);
    const int threads = threads_for(c->dev, rows);
    PARALLEL_FOR
    for (int64_t i = 0; i < rows; i++) {
        const float *row = z + i * width;
        float *to = dz + i * width;
        const vf shift = vset(lse[i]), by = vset(labels[i] < 0 ? 0.0f : d);
        for (int64_t k = 0; k < width; k += LANES) {
            vf v = by * (vexp(vread(row + k, width - k) - shift) - vset(spread));
            if (add) v += vread(to + k, width - k);
            vwrite(to + k, v, width - k);
        }
        if (labels[i] >= 0 && labels[i] < width) to[labels[i]] -= d * (1.0f - a->smoothing);
    }
}
