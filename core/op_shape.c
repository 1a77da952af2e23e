#include "core/op_shape.h"

#include <stdio.h>
#include <string.h>

kin_status kin_misfit(kin_ctx *cx, const char *a, const kin_shape *as, const char *b, const kin_shape *bs,
                      const char *format, ...)
{
    char why[256], at[96], bt[96];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (!bs) return kin_fail(cx, KIN_SHAPE, "%s is %s: %s", a, kin_shape_text(as, at), why);
    return kin_fail(cx, KIN_SHAPE, "%s is %s, %s is %s: %s", a, kin_shape_text(as, at), b,
                    kin_shape_text(bs, bt), why);
}

bool kin_same_rows(const kin_shape *a, const kin_shape *b)
{
    return a->rank > 0 && b->rank > 0 && a->dim[0] == b->dim[0] && a->sym == b->sym &&
           (a->sym < 0 || (a->mul == b->mul && a->add == b->add));
}

bool kin_same(const kin_shape *a, const kin_shape *b)
{
    if (a->rank != b->rank || a->dtype != b->dtype) return false;
    if (a->rank <= 0) return true;
    return kin_same_rows(a, b) && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

bool kin_has(const kin_shape *s)
{
    return s->rank >= 0;
}

bool kin_is(const kin_shape *s, kin_dtype dtype, int rank)
{
    return s->rank >= 0 && s->dtype == dtype && (rank < 0 || s->rank == rank);
}

bool kin_real_of(const kin_shape *s, int least_rank)
{
    return s->rank >= least_rank && kin_dtype_is_real(s->dtype);
}

int64_t kin_width(const kin_shape *s)
{
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

kin_shape kin_leading(const kin_shape *s, kin_dtype dtype, int rank, ...)
{
    kin_shape r = {.dtype = dtype, .rank = rank, .sym = s->sym, .mul = s->mul, .add = s->add};
    r.dim[0] = s->dim[0];
    va_list args;
    va_start(args, rank);
    for (int i = 1; i < rank && i < KIN_MAX_RANK; i++) r.dim[i] = va_arg(args, int64_t);
    va_end(args);
    return r;
}

bool kin_scale_rows(kin_shape *s, int64_t num, int64_t den)
{
    int64_t rows;
    if (den < 1 || !kin_mul(s->dim[0], num, &rows) || rows % den ||
        (s->sym >= 0 && (s->mul * num % den || s->add * num % den)))
        return false;
    s->dim[0] = rows / den;
    s->mul = s->mul * num / den;
    s->add = s->add * num / den;
    return true;
}

kin_shape kin_per_row(const kin_shape *s)
{
    if (s->rank < 2) return kin_fixed(KIN_F32, 1, (int64_t)1);
    kin_shape r = kin_leading(s, KIN_F32, 1);
    for (int i = 1; i + 1 < s->rank; i++) kin_scale_rows(&r, s->dim[i], 1);
    return r;
}

kin_shape kin_per_sequence(const kin_shape *off, kin_dtype dtype, int64_t width)
{
    kin_shape r = kin_leading(off, dtype, 2, width);
    r.dim[0] -= 1;
    r.add -= 1;
    return r;
}

int64_t kin_sequences_of(const kin_tensor *off, int64_t rows, int64_t fixed)
{
    if (!kin_absent(off)) return off->dim[0] - 1;
    return fixed > 0 ? rows / fixed : 0;
}

bool kin_wants(const kin_call *c, int i)
{
    bool bound = false;
    for (int k = 0; k < KIN_MAX_IN; k++) bound = bound || (!kin_absent(&c->din[k]) && c->din[k].ptr);
    return !kin_absent(&c->din[i]) && (c->din[i].ptr || !bound);
}

void kin_case(kin_sample *s, const char *label, const void *attr, size_t attr_size, bool batched)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < KIN_MAX_IN; i++) s->in[i] = KIN_ABSENT;
    s->label = label;
    s->batched = batched;
    if (attr_size) memcpy(s->attr.bytes, attr, attr_size);
}

void kin_case_in(kin_sample *s, int i, kin_shape shape, kin_fill fill, double arg)
{
    s->in[i] = shape;
    s->fill[i] = fill;
    s->arg[i] = arg;
}
