#include "kernels/ref/ref.h"

/* Position of each row inside its sequence, visited in order. */
#define EACH_ROW(c, off, fixed, rows, b, s, m)                                                               \
    for (int64_t b = 0; b < sequences(off, fixed, rows); b++)                                                \
        for (int64_t m = sequence(off, fixed, b).from, s = m; m < sequence(off, fixed, b).to; m++)

static int64_t fixed_of(const kin_call *c)
{
    const kin_embedding_attr *a = c->attr;
    return a->t > 0 ? a->t : kin_max64(1, c->in[0].dim[0]); /* no positions: any cut will do */
}

void REF(embedding_fwd)(const kin_call *c)
{
    const int32_t *ids = c->in[0].ptr;
    const int64_t width = c->in[1].dim[1], vocab = c->in[1].dim[0],
                  positions = kin_absent(&c->in[2]) ? 0 : c->in[2].dim[0];
    EACH_ROW(c, &c->in[3], fixed_of(c), c->in[0].dim[0], b, start, m)
    for (int64_t k = 0; k < width; k++) {
        double v = ids[m] >= 0 && ids[m] < vocab ? (double)get(&c->in[1], ids[m] * width + k) : 0.0;
        if (m - start < positions) v += (double)get(&c->in[2], (m - start) * width + k);
        set(&c->out[0], m * width + k, v);
    }
}

void REF(embedding_bwd)(const kin_call *c)
{
    const int32_t *ids = c->in[0].ptr;
    const int64_t width = c->in[1].dim[1], vocab = c->in[1].dim[0],
                  positions = kin_absent(&c->in[2]) ? 0 : c->in[2].dim[0];
    if (wanted(c, 1)) clear(c, 1);
    if (wanted(c, 2)) clear(c, 2);
    EACH_ROW(c, &c->in[3], fixed_of(c), c->in[0].dim[0], b, start, m)
    for (int64_t k = 0; k < width; k++) {
        const double dy = (double)cotangent(c, 0, m * width + k);
        if (wanted(c, 1) && ids[m] >= 0 && ids[m] < vocab) add(&c->din[1], ids[m] * width + k, dy);
        if (wanted(c, 2) && m - start < positions) add(&c->din[2], (m - start) * width + k, dy);
    }
}

/* Row r of sample b of the sequence, r < n a class token; position index of a patch row. */
static int64_t position(const kin_call *c, int64_t b, int64_t n, int64_t r)
{
    const kin_tokens_attr *a = c->attr;
    const int32_t *keep = c->in[3].ptr;
    return r < n ? r : n + (kin_absent(&c->in[3]) ? r - n : keep[b * a->k + r - n]);
}

void REF(tokens_fwd)(const kin_call *c)
{
    const kin_tokens_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], n = kin_absent(&c->in[1]) ? 0 : c->in[1].dim[0], t = n + a->k;
    for (int64_t m = 0; m < c->out[0].dim[0]; m++) {
        const int64_t b = m / t, r = m % t;
        for (int64_t k = 0; k < width; k++) {
            double v = r < n ? (double)get(&c->in[1], r * width + k)
                             : (double)get(&c->in[0], (b * a->k + r - n) * width + k);
            if (!kin_absent(&c->in[2])) v += (double)get(&c->in[2], position(c, b, n, r) * width + k);
            set(&c->out[0], m * width + k, v);
        }
    }
}

void REF(tokens_bwd)(const kin_call *c)
{
    const kin_tokens_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], n = kin_absent(&c->in[1]) ? 0 : c->in[1].dim[0], t = n + a->k;
    if (wanted(c, 1)) clear(c, 1);
    if (wanted(c, 2)) clear(c, 2);
    for (int64_t m = 0; m < c->out[0].dim[0]; m++) {
        const int64_t b = m / t, r = m % t;
        for (int64_t k = 0; k < width; k++) {
            const double dy = (double)cotangent(c, 0, m * width + k);
            if (r >= n && wanted(c, 0)) put(c, 0, (b * a->k + r - n) * width + k, dy);
            if (r < n && wanted(c, 1)) add(&c->din[1], r * width + k, dy);
            if (wanted(c, 2)) add(&c->din[2], position(c, b, n, r) * width + k, dy);
        }
    }
}

void REF(repeat_fwd)(const kin_call *c)
{
    const int64_t size = kin_count(&c->in[0]);
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++) set(&c->out[0], k, (double)get(&c->in[0], k % size));
}

void REF(repeat_bwd)(const kin_call *c)
{
    const int64_t size = kin_count(&c->in[0]);
    for (int64_t k = 0; k < size && wanted(c, 0); k++) {
        double s = 0.0;
        for (int64_t m = k; m < kin_count(&c->out[0]); m += size) s += (double)cotangent(c, 0, m);
        put(c, 0, k, s);
    }
}
