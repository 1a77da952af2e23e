#include "kernels/cpu/cpu.h"

/* Rows of n floats, lt and lf apart: to = from, or += . */
static void move(const void *dev, int64_t rows, int64_t n, const float *from, int64_t lf, float *to,
                 int64_t lt, bool add)
{
    if (rows == 1 && n > 65536) { /* one long row: as many */
        const int64_t whole = n / 16384;
        move(dev, whole, 16384, from, 16384, to, 16384, add);
        move(dev, 1, n - whole * 16384, from + whole * 16384, 0, to + whole * 16384, 0, add);
        return;
    }
    const int threads = threads_for(dev, rows * n / 4096);
    PARALLEL_FOR
    for (int64_t m = 0; m < rows; m++) {
        if (!add)
            memcpy(to + m * lt, from + m * lf, (size_t)n * sizeof *to);
        else
            for (int64_t k = 0; k < n; k++) to[m * lt + k] += from[m * lf + k];
    }
}

/* Both axes of concat as one case: `outer` blocks of `na` then `nb` elements. */
typedef struct layout {
    int64_t outer, na, nb;
} layout;

static layout join(const kin_tensor *a, const kin_tensor *b, int axis)
{
    if (axis == 0) return (layout){1, kin_count(a), kin_count(b)};
    return (layout){kin_rows(a), kin_cols(a), kin_cols(b)};
}

void CPU(concat_fwd)(const kin_call *c)
{
    const kin_axis_attr *a = c->attr;
    const layout l = join(&c->in[0], &c->in[1], a->axis);
    float *y = c->out[0].ptr;
    move(c->dev, l.outer, l.na, c->in[0].ptr, l.na, y, l.na + l.nb, false);
    move(c->dev, l.outer, l.nb, c->in[1].ptr, l.nb, y + l.na, l.na + l.nb, false);
}

void CPU(concat_bwd)(const kin_call *c)
{
    const kin_axis_attr *a = c->attr;
    const layout l = join(&c->in[0], &c->in[1], a->axis);
    if (no_cotangent(c, 2)) return;
    const float *dy = c->dout[0].ptr;
    if (wanted(c, 0)) move(c->dev, l.outer, l.na, dy, l.na + l.nb, c->din[0].ptr, l.na, adds(c, 0));
    if (wanted(c, 1)) move(c->dev, l.outer, l.nb, dy + l.na, l.na + l.nb, c->din[1].ptr, l.nb, adds(c, 1));
}

/* A slice as `outer` blocks of `count` of `whole` elements. */
typedef struct part {
    int64_t outer, whole, start, count;
} part;

static part part_of(const kin_call *c)
{
    const kin_axis_attr *a = c->attr;
    const kin_tensor *x = &c->in[0];
    if (a->axis != 0) return (part){kin_rows(x), kin_cols(x), a->start, a->count};
    const int64_t each = x->dim[0] ? kin_count(x) / x->dim[0] : 0;
    return (part){1, kin_count(x), a->start * each, kin_count(&c->out[0])};
}

void CPU(slice_fwd)(const kin_call *c)
{
    const part p = part_of(c);
    move(c->dev, p.outer, p.count, (const float *)c->in[0].ptr + p.start, p.whole, c->out[0].ptr, p.count,
         false);
}

void CPU(slice_bwd)(const kin_call *c)
{
    const part p = part_of(c);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    clear(c, 0);
    move(c->dev, p.outer, p.count, c->dout[0].ptr, p.count, (float *)c->din[0].ptr + p.start, p.whole, true);
}

/* Backward is in embedding.c. */
void CPU(take_fwd)(const kin_call *c)
{
    const int32_t *idx = c->in[1].ptr;
    const int64_t rows = c->out[0].dim[0], width = c->in[0].dim[1], limit = c->in[0].dim[0];
    const float *x = c->in[0].ptr;
    float *y = c->out[0].ptr;
    const int threads = threads_for(c->dev, rows * width / 4096);
    PARALLEL_FOR
    for (int64_t m = 0; m < rows; m++) {
        if (idx[m] >= 0 && idx[m] < limit)
            memcpy(y + m * width, x + idx[m] * width, (size_t)width * sizeof *y);
        else
            memset(y + m * width, 0, (size_t)width * sizeof *y);
    }
}
