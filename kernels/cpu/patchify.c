#include "core/rng.h"
#include "kernels/cpu/cpu.h"

/* Pixel (y, x) of channel ch of a patch is element (ch * p + y) * p + x of the patch's row. */
typedef struct patches {
    int64_t p, channels, down, across; /* pixels along a patch; patches along the image */
} patches;

static patches patches_of(const kin_call *c)
{
    const kin_patchify_attr *a = c->attr;
    const kin_tensor *x = &c->in[0];
    return (patches){.p = a->p, .channels = x->dim[3], .down = x->dim[1] / a->p, .across = x->dim[2] / a->p};
}

/* First element in the image of row y of patch `row`. */
static int64_t line_of(const kin_call *c, const patches *w, int64_t row, int64_t y)
{
    const int64_t many = w->down * w->across, b = row / many, py = row % many / w->across,
                  px = row % many % w->across;
    return ((b * c->in[0].dim[1] + py * w->p + y) * c->in[0].dim[2] + px * w->p) * w->channels;
}

static void line_fwd(const kin_call *c, const patches *w, int64_t at, int64_t ch, float *to)
{
    const kin_patchify_attr *a = c->attr;
    const bool bytes = c->in[0].dtype == KIN_U8;
    const float mean = a->normalise ? a->mean[ch] : 0.0f, std = a->normalise ? a->std[ch] : 1.0f;
    const float unit = bytes ? 1.0f / 255.0f : 1.0f;
    const uint8_t *u = (const uint8_t *)c->in[0].ptr + at + ch;
    const float *f = (const float *)c->in[0].ptr + at + ch;
    if (bytes)
        for (int64_t x = 0; x < w->p; x++) to[x] = ((float)u[x * w->channels] * unit - mean) / std;
    else
        for (int64_t x = 0; x < w->p; x++) to[x] = (f[x * w->channels] - mean) / std;
}

void CPU(patchify_fwd)(const kin_call *c)
{
    const patches w = patches_of(c);
    const int64_t rows = c->out[0].dim[0], width = c->out[0].dim[1];
    float *to = c->out[0].ptr;
    const int threads = threads_for(c->dev, rows);
    PARALLEL_FOR
    for (int64_t m = 0; m < rows; m++)
        for (int64_t y = 0; y < w.p; y++) {
            const int64_t at = line_of(c, &w, m, y);
            for (int64_t ch = 0; ch < w.channels; ch++)
                line_fwd(c, &w, at, ch, to + m * width + (ch * w.p + y) * w.p);
        }
}

void CPU(patchify_bwd)(const kin_call *c)
{
    const kin_patchify_attr *a = c->attr;
    const patches w = patches_of(c);
    const int64_t rows = c->out[0].dim[0], width = c->out[0].dim[1];
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const float *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    const int threads = threads_for(c->dev, rows);
    PARALLEL_FOR
    for (int64_t m = 0; m < rows; m++)
        for (int64_t y = 0; y < w.p; y++)
            for (int64_t ch = 0; ch < w.channels; ch++) {
                const float *from = dy + m * width + (ch * w.p + y) * w.p;
                float *to = dx + line_of(c, &w, m, y) + ch;
                const float std = a->normalise ? a->std[ch] : 1.0f;
                for (int64_t x = 0; x < w.p; x++) put(&to[x * w.channels], from[x] / std, adds(c, 0));
            }
}

/* ---- patch_drop ---- */

static uint32_t draw(const kin_call *c, int64_t sample, int64_t i)
{
    uint32_t w[4];
    kin_philox(c->rng_key, (uint32_t)sample, (uint32_t)(i / 4), 0, 0, w);
    return w[i % 4];
}

/* The `keep` smallest (draw, index) of the sample, ascending by index, into idx: the greatest pair that is
 * kept is found bit by bit. */
static void keep_least(const kin_call *c, int64_t sample, int32_t *idx)
{
    const kin_patch_drop_attr *a = c->attr;
    uint64_t *pair = room_of(c->dev), most = 0;
    const int64_t fits = KIN_CPU_ROOM / (int64_t)sizeof *pair;
    const bool held = a->patches <= fits;
    for (int64_t i = 0; held && i < a->patches; i++)
        pair[i] = (uint64_t)draw(c, sample, i) << 32 | (uint64_t)i;
#define PAIR(i) (held ? pair[i] : (uint64_t)draw(c, sample, i) << 32 | (uint64_t)(i))
    for (int bit = 63; bit >= 0;
         bit--) { /* most: the largest number with at most `keep` - 1 pairs below it */
        const uint64_t next = most | 1ull << bit;
        int64_t below = 0;
        for (int64_t i = 0; i < a->patches; i++) below += PAIR(i) < next;
        if (below < a->keep) most = next;
    }
    for (int64_t i = 0, m = 0; i < a->patches && m < a->keep; i++)
        if (PAIR(i) <= most) idx[m++] = (int32_t)i;
#undef PAIR
}

void CPU(patch_drop_fwd)(const kin_call *c)
{
    const kin_patch_drop_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], samples = c->in[0].dim[0] / a->patches;
    const float *x = c->in[0].ptr;
    float *y = c->out[0].ptr;
    int32_t *idx = c->out[1].ptr;
    const int threads = threads_for(c->dev, samples);
    PARALLEL_FOR
    for (int64_t b = 0; b < samples; b++) {
        keep_least(c, c->sample0 + b, idx + b * a->keep);
        for (int64_t m = b * a->keep; m < (b + 1) * a->keep; m++)
            memcpy(y + m * width, x + (b * a->patches + idx[m]) * width, (size_t)width * sizeof *y);
    }
}

void CPU(patch_drop_bwd)(const kin_call *c)
{
    const kin_patch_drop_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], samples = c->in[0].dim[0] / a->patches;
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const int32_t *idx = c->out[1].ptr;
    const float *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    const bool add = adds(c, 0);
    const int threads = threads_for(c->dev, samples);
    PARALLEL_FOR
    for (int64_t b = 0; b < samples; b++) {
        if (!add) memset(dx + b * a->patches * width, 0, (size_t)(a->patches * width) * sizeof *dx);
        for (int64_t m = b * a->keep; m < (b + 1) * a->keep; m++) {
            float *to = dx + (b * a->patches + idx[m]) * width;
            for (int64_t k = 0; k < width; k++) to[k] += dy[m * width + k];
        }
    }
}
