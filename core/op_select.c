#include "core/op_shape.h"

static void moves(const kin_call *c, bool backward, kin_cost *cost)
{
    (void)backward;
    cost->flops = 0.0;
    cost->bytes = 8.0 * (double)kin_count(&c->out[0]);
}

/* ---- concat ---- */

static kin_status concat_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_axis_attr *a = attr;
    const kin_shape *x = &in[0], *y = &in[1];
    if (!kin_real_of(x, 1) || y->rank != x->rank || y->dtype != x->dtype ||
        (a->axis != 0 && a->axis != x->rank - 1))
        return kin_misfit(cx, "a", x, "b", y, "equal ranks, joined along the first or the last axis");
    for (int i = 0; i < x->rank; i++)
        if (i != a->axis && x->dim[i] != y->dim[i])
            return kin_misfit(cx, "a", x, "b", y, "they differ in size %d", i);
    out[0] = *x;
    if (a->axis == 0) {
        /* At most one side may follow a row symbol, or both the same one. */
        if (x->sym >= 0 && y->sym >= 0 && x->sym != y->sym)
            return kin_misfit(cx, "a", x, "b", y, "their rows follow different counts");
        out[0].sym = x->sym >= 0 ? x->sym : y->sym;
        out[0].mul = (x->sym >= 0 ? x->mul : 0) + (y->sym >= 0 ? y->mul : 0);
        out[0].add = (x->sym >= 0 ? x->add : x->dim[0]) + (y->sym >= 0 ? y->add : y->dim[0]);
    } else if (!kin_same_rows(x, y)) {
        return kin_misfit(cx, "a", x, "b", y, "they differ in rows");
    }
    out[0].dim[a->axis] = x->dim[a->axis] + y->dim[a->axis];
    return KIN_OK;
}

static bool concat_sample(int i, int64_t batch, kin_sample *s)
{
    static const kin_axis_attr attr[] = {{.axis = 0}, {.axis = 2}, {.axis = 1}};
    static const char *const label[] = {"rows", "channels", "channels of a matrix"};
    if (i >= KIN_CASES(attr)) return false;
    kin_case(s, label[i], &attr[i], sizeof attr[i], i > 0);
    const int64_t b = i == 0 ? batch + 1 : batch;
    kin_case_in(s, 0,
                i == 2 ? kin_fixed(KIN_F32, 2, batch, (int64_t)3)
                       : kin_fixed(KIN_F32, 3, batch, (int64_t)2, (int64_t)5),
                KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 1,
                i == 2 ? kin_fixed(KIN_F32, 2, b, (int64_t)18)
                       : kin_fixed(KIN_F32, 3, b, (int64_t)2, (int64_t)(i == 0 ? 5 : 7)),
                KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_concat = {"concat", concat_shape, moves, NULL, NULL, concat_sample, 0};

/* ---- slice ---- */

static kin_status slice_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_axis_attr *a = attr;
    const kin_shape *x = &in[0];
    if (!kin_real_of(x, 1) || (a->axis != 0 && a->axis != x->rank - 1))
        return kin_misfit(cx, "x", x, NULL, NULL, "it is cut along the first or the last axis");
    if (a->axis == 0 && x->sym >= 0)
        return kin_misfit(cx, "x", x, NULL, NULL, "rows of a live count cannot be cut; use take");
    if (a->start < 0 || a->count < 1 || a->start > x->dim[a->axis] - a->count)
        return kin_misfit(cx, "x", x, NULL, NULL, "it has no %lld..%lld", (long long)a->start,
                          (long long)(a->start + a->count - 1));
    out[0] = *x;
    out[0].dim[a->axis] = a->count;
    return KIN_OK;
}

static bool slice_sample(int i, int64_t batch, kin_sample *s)
{
    static const kin_axis_attr attr[] = {{0, 1, 2}, {2, 3, 4}, {2, 0, 7}};
    static const char *const label[] = {"rows", "channels", "whole"};
    if (i >= KIN_CASES(attr)) return false;
    kin_case(s, label[i], &attr[i], sizeof attr[i], i > 0);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 3, i == 0 ? batch + 3 : batch, (int64_t)2, (int64_t)7),
                KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_slice = {"slice", slice_shape, moves, NULL, NULL, slice_sample, 0};

/* ---- take ---- */

static kin_status take_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    (void)attr;
    if (!kin_real_of(&in[0], 2) || in[0].rank != 2 || !kin_is(&in[1], KIN_I32, 1))
        return kin_misfit(cx, "x", &in[0], "idx", &in[1], "x must be [R, C], idx [M] i32");
    out[0] = kin_leading(&in[1], in[0].dtype, 2, in[0].dim[1]);
    return KIN_OK;
}

static int64_t take_scratch(const kin_call *c, bool backward)
{
    return backward ? kin_part((c->in[0].dim[0] + 1 + c->in[1].dim[0]) * 4) + 256 : 0;
}

static bool take_sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {"repeats", "out of range", "negative"};
    if (i >= KIN_CASES(label)) return false;
    kin_case(s, label[i], NULL, 0, false);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, (int64_t)5, (int64_t)9), KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 1, kin_fixed(KIN_I32, 1, 3 * batch), KIN_FILL_IDS, i == 0 ? 5.0 : i == 1 ? 8.0 : -5.0);
    return true;
}

const kin_op_def kin_op_take = {"take", take_shape, moves, take_scratch, NULL, take_sample, 0};
