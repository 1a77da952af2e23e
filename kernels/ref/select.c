#include "kernels/ref/ref.h"

/* Both axes as one case: `outer` blocks of `na` then `nb` elements. */
typedef struct layout {
    int64_t outer, na, nb;
} layout;

static layout join(const kin_tensor *a, const kin_tensor *b, int axis)
{
    if (axis == 0) return (layout){1, kin_count(a), kin_count(b)};
    return (layout){kin_rows(a), kin_cols(a), kin_cols(b)};
}

void REF(concat_fwd)(const kin_call *c)
{
    const kin_axis_attr *a = c->attr;
    const layout l = join(&c->in[0], &c->in[1], a->axis);
    for (int64_t o = 0, k = 0; o < l.outer; o++) {
        for (int64_t i = 0; i < l.na; i++) set(&c->out[0], k++, (double)get(&c->in[0], o * l.na + i));
        for (int64_t i = 0; i < l.nb; i++) set(&c->out[0], k++, (double)get(&c->in[1], o * l.nb + i));
    }
}

void REF(concat_bwd)(const kin_call *c)
{
    const kin_axis_attr *a = c->attr;
    const layout l = join(&c->in[0], &c->in[1], a->axis);
    for (int64_t o = 0, k = 0; o < l.outer; o++) {
        for (int64_t i = 0; i < l.na; i++, k++)
            if (wanted(c, 0)) put(c, 0, o * l.na + i, (double)cotangent(c, 0, k));
        for (int64_t i = 0; i < l.nb; i++, k++)
            if (wanted(c, 1)) put(c, 1, o * l.nb + i, (double)cotangent(c, 0, k));
    }
}

/* Element k of the slice lies at this element of the input. */
static int64_t origin(const kin_call *c, int64_t k)
{
    const kin_axis_attr *a = c->attr;
    const int64_t width = kin_cols(&c->in[0]);
    if (a->axis == 0) return k + a->start * (kin_count(&c->in[0]) / c->in[0].dim[0]);
    return k / a->count * width + a->start + k % a->count;
}

void REF(slice_fwd)(const kin_call *c)
{
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++)
        set(&c->out[0], k, (double)get(&c->in[0], origin(c, k)));
}

void REF(slice_bwd)(const kin_call *c)
{
    if (!wanted(c, 0)) return;
    clear(c, 0);
    for (int64_t k = 0; k < kin_count(&c->out[0]); k++)
        add(&c->din[0], origin(c, k), (double)cotangent(c, 0, k));
}

void REF(take_fwd)(const kin_call *c)
{
    const int32_t *idx = c->in[1].ptr;
    const int64_t width = c->in[0].dim[1];
    for (int64_t m = 0; m < c->out[0].dim[0]; m++)
        for (int64_t k = 0; k < width; k++)
            set(&c->out[0], m * width + k,
                idx[m] >= 0 && idx[m] < c->in[0].dim[0] ? (double)get(&c->in[0], idx[m] * width + k) : 0.0);
}

void REF(take_bwd)(const kin_call *c)
{
    const int32_t *idx = c->in[1].ptr;
    const int64_t width = c->in[0].dim[1];
    if (!wanted(c, 0)) return;
    clear(c, 0);
    for (int64_t m = 0; m < c->out[0].dim[0]; m++)
        for (int64_t k = 0; k < width && idx[m] >= 0 && idx[m] < c->in[0].dim[0]; k++)
            add(&c->din[0], idx[m] * width + k, (double)cotangent(c, 0, m * width + k));
}
