#include "core/op_shape.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_pool_attr *a = attr;
    const kin_shape *x = &in[0], *off = &in[1];
    if (!kin_real_of(x, 2) || x->rank != 2)
        return kin_misfit(cx, "x", x, NULL, NULL, "it must be [sum T, C]");
    if (a->mode < KIN_POOL_FIRST || a->mode > KIN_POOL_MEAN)
        return kin_fail(cx, KIN_ARG, "no pooling %d", a->mode);
    if (kin_has(off)) {
        if (!kin_is(off, KIN_I32, 1)) return kin_misfit(cx, "off", off, NULL, NULL, "it must be [B+1] i32");
        out[0] = kin_per_sequence(off, x->dtype, x->dim[1]);
        return KIN_OK;
    }
    out[0] = *x;
    if (a->t < 1 || !kin_scale_rows(&out[0], 1, a->t))
        return kin_misfit(cx, "x", x, NULL, NULL, "neither offsets nor a length that divides its rows");
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    (void)backward;
    cost->flops = 0.0;
    cost->bytes = 4.0 * (double)kin_count(&c->in[0]);
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int mode;
        int64_t t;
    } list[] = {{"first", KIN_POOL_FIRST, 4},      {"last", KIN_POOL_LAST, 4},
                {"mean", KIN_POOL_MEAN, 5},        {"first fixed", KIN_POOL_FIRST, -3},
                {"last fixed", KIN_POOL_LAST, -3}, {"mean fixed", KIN_POOL_MEAN, -2}};
    if (i >= KIN_CASES(list)) return false;
    const int64_t t = list[i].t;
    const kin_pool_attr a = {.mode = list[i].mode, .t = t < 0 ? -t : 0};
    kin_case(s, list[i].label, &a, sizeof a, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, t < 0 ? -t * batch : kin_sample_total(batch, t), (int64_t)11),
                KIN_FILL_NORMAL, 1.0);
    if (t > 0) kin_case_in(s, 1, kin_fixed(KIN_I32, 1, batch + 1), KIN_FILL_OFFSETS, (double)t);
    return true;
}

const kin_op_def kin_op_pool = {"pool", shape, cost, NULL, NULL, sample, 0};
