#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

static bool counts(const kin_call *c, int64_t row)
{
    const kin_target_attr *a = c->attr;
    if (c->in[2].rank >= 0 && ((const int32_t *)c->in[2].ptr)[row] < 0) return false;
    return a->kind == KIN_TARGET_MSE || ((const float *)c->in[1].ptr)[row * c->in[0].dim[1]] >= 0.0f;
}

static int64_t counted(const kin_call *c)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->in[0].dim[0]; i++) n += counts(c, i);
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

/* ce takes q z from the row's lse instead of both from each other: sums of small numbers. */
static double row_loss(int kind, const float *z, const float *q, int64_t width, float lse)
{
    double sum = 0.0, all = 0.0;
    for (int64_t k = 0; k < width; k++) {
        const float d = z[k] - q[k];
        switch (kind) {
        case KIN_TARGET_CE:
            sum += (double)q[k] * ((double)lse - (double)z[k]);
            all += (double)q[k];
            break;
        case KIN_TARGET_BCE:
            sum += (double)(fmaxf(z[k], 0.0f) + log1pf(expf(-fabsf(z[k])))) - (double)q[k] * (double)z[k];
            break;
        default: sum += (double)d * (double)d;
        }
    }
    if (kind == KIN_TARGET_CE) return sum + (1.0 - all) * (double)lse;
    return kind == KIN_TARGET_BCE ? sum : sum / (double)width;
}

/* Losses of the rows wait in scratch to be added in order. */
void CPU(target_fwd)(const kin_call *c)
{
    const kin_target_attr *a = c->attr;
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1], n = counted(c);
    const float *z = c->in[0].ptr, *q = c->in[1].ptr;
    float *lse = c->out[1].ptr;
    double *losses = c->scratch, sum = 0.0;
    const int threads = threads_for(c->dev, rows * width / 512 + 1);
    PARALLEL_FOR
    for (int64_t i = 0; i < rows; i++) {
        float l = 0.0f;
        if (a->kind == KIN_TARGET_CE) lse[i] = l = row_lse(z + i * width, width);
        losses[i] = counts(c, i) ? row_loss(a->kind, z + i * width, q + i * width, width, l) : 0.0;
    }
    for (int64_t i = 0; i < rows; i++) sum += losses[i];
    *(float *)c->out[0].ptr = n ? (float)(sum / (double)n) : 0.0f;
}

void CPU(target_bwd)(const kin_call *c)
{
    const kin_target_attr *a = c->attr;
    const int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1], n = counted(c);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const float *z = c->in[0].ptr, *q = c->in[1].ptr, *lse = c->out[1].ptr;
    const float d = *(const float *)c->dout[0].ptr / (float)kin_max64(1, n);
    float *dz = c->din[0].ptr;
    const bool add = adds(c, 0);
    const int threads = threads_for(c->dev, rows * width / 512 + 1);
    PARALLEL_FOR
    for (int64_t i = 0; i < rows; i++) {
        const vf by = vset(counts(c, i) ? d : 0.0f), shift = vset(lse ? lse[i] : 0.0f);
        for (int64_t k = i * width; k < (i + 1) * width; k += LANES) {
            const int64_t left = (i + 1) * width - k;
            const vf x = vread(z + k, left), t = vread(q + k, left);
            vf v = a->kind == KIN_TARGET_CE    ? vexp(x - shift) - t
                   : a->kind == KIN_TARGET_BCE ? vsigmoid(x) - t
                                               : vset(2.0f / (float)width) * (x - t);
            v *= by;
            if (add) v += vread(dz + k, left);
            vwrite(dz + k, v, left);
        }
    }
}
