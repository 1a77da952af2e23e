#include "core/rng.h"
#include "kernels/ref/ref.h"

/* Where element (row, column) of the patches lies in the image. */
static int64_t pixel(const kin_call *c, int64_t row, int64_t column, int64_t *channel)
{
    const kin_patchify_attr *a = c->attr;
    const kin_tensor *x = &c->in[0];
    const int64_t across = x->dim[2] / a->p, patches = x->dim[1] / a->p * across;
    const int64_t b = row / patches, py = row % patches / across, px = row % patches % across;
    *channel = column / (a->p * a->p);
    const int64_t y = py * a->p + column % (a->p * a->p) / a->p, z = px * a->p + column % a->p;
    return ((b * x->dim[1] + y) * x->dim[2] + z) * x->dim[3] + *channel;
}

void REF(patchify_fwd)(const kin_call *c)
{
    const kin_patchify_attr *a = c->attr;
    const int64_t width = c->out[0].dim[1];
    const uint8_t *bytes = c->in[0].ptr;
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++) {
        int64_t ch;
        const int64_t at = pixel(c, k / width, k % width, &ch);
        double v = c->in[0].dtype == KIN_U8 ? (double)bytes[at] / 255.0 : (double)get(&c->in[0], at);
        if (a->normalise) v = (v - (double)a->mean[ch]) / (double)a->std[ch];
        set(&c->out[0], k, v);
    }
}

void REF(patchify_bwd)(const kin_call *c)
{
    const kin_patchify_attr *a = c->attr;
    const int64_t width = c->out[0].dim[1];
    for (int64_t k = 0; k < kin_count(&c->out[0]) && wanted(c, 0); k++) {
        int64_t ch;
        const int64_t at = pixel(c, k / width, k % width, &ch);
        put(c, 0, at, (double)cotangent(c, 0, k) / (a->normalise ? (double)a->std[ch] : 1.0));
    }
}

/* Kept: patch i is among the `keep` smallest by (draw, index). */
static bool kept(const kin_call *c, int64_t sample, int64_t i)
{
    const kin_patch_drop_attr *a = c->attr;
    uint32_t w[4];
    kin_philox(c->rng_key, (uint32_t)sample, (uint32_t)(i / 4), 0, 0, w);
    const uint32_t mine = w[i % 4];
    int64_t before = 0;
    for (int64_t j = 0; j < a->patches; j++) {
        kin_philox(c->rng_key, (uint32_t)sample, (uint32_t)(j / 4), 0, 0, w);
        before += w[j % 4] < mine || (w[j % 4] == mine && j < i);
    }
    return before < a->keep;
}

void REF(patch_drop_fwd)(const kin_call *c)
{
    const kin_patch_drop_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], samples = c->in[0].dim[0] / a->patches;
    int32_t *idx = c->out[1].ptr;
    int64_t m = 0;
    for (int64_t b = 0; b < samples; b++)
        for (int64_t i = 0; i < a->patches; i++) {
            if (!kept(c, c->sample0 + b, i)) continue;
            idx[m] = (int32_t)i;
            for (int64_t k = 0; k < width; k++)
                set(&c->out[0], m * width + k, (double)get(&c->in[0], (b * a->patches + i) * width + k));
            m++;
        }
}

void REF(patch_drop_bwd)(const kin_call *c)
{
    const kin_patch_drop_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1];
    const int32_t *idx = c->out[1].ptr;
    if (!wanted(c, 0)) return;
    clear(c, 0);
    for (int64_t m = 0; m < c->out[0].dim[0]; m++)
        for (int64_t k = 0; k < width; k++)
            add(&c->din[0], (m / a->keep * a->patches + idx[m]) * width + k,
                (double)cotangent(c, 0, m * width + k));
}
