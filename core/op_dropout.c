#include "core/op_shape.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_dropout_attr *a = attr;
    const kin_shape *x = &in[0], *off = &in[1];
    if (!kin_real_of(x, 2) || x->rank != 2)
        return kin_misfit(cx, "x", x, NULL, NULL, "it must be [sum T, C]");
    if (!(a->p >= 0.0f && a->p < 1.0f))
        return kin_fail(cx, KIN_ARG, "a dropout of %g: it must be in [0, 1)", (double)a->p);
    if (kin_has(off) && !kin_is(off, KIN_I32, 1))
        return kin_misfit(cx, "off", off, NULL, NULL, "it must be [B+1] i32");
    if (!kin_has(off) && (a->t < 1 || x->dim[0] % a->t))
        return kin_misfit(cx, "x", x, NULL, NULL, "neither offsets nor a length that divides its rows");
    out[0] = *x;
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    (void)backward;
    cost->flops = 0.0;
    cost->bytes = 8.0 * (double)kin_count(&c->out[0]);
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t t; /* positive: longest of ragged; negative: fixed */
        float p;
        int per_sample;
    } list[] = {{"elements", 5, 0.3f, 0},
                {"elements fixed", -3, 0.5f, 0},
                {"samples", 4, 0.4f, 1},
                {"samples fixed", -2, 0.25f, 1},
                {"nothing", 3, 0.0f, 0}};
    if (i >= KIN_CASES(list)) return false;
    const int64_t t = list[i].t;
    const kin_dropout_attr a = {.p = list[i].p, .per_sample = list[i].per_sample, .t = t < 0 ? -t : 0};
    kin_case(s, list[i].label, &a, sizeof a, true);
    s->sample0 = 3 * i;
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, t < 0 ? -t * batch : kin_sample_total(batch, t), (int64_t)13),
                KIN_FILL_NORMAL, 1.0);
    if (t > 0) kin_case_in(s, 1, kin_fixed(KIN_I32, 1, batch + 1), KIN_FILL_OFFSETS, (double)t);
    return true;
}

const kin_op_def kin_op_dropout = {"dropout", shape, cost, NULL, NULL, sample, 0};
