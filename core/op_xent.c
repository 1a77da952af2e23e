#include "core/op_shape.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_xent_attr *a = attr;
    if (!kin_real_of(&in[0], 2) || in[0].rank != 2 || !kin_is(&in[1], KIN_I32, 1) ||
        !kin_same_rows(&in[0], &in[1]))
        return kin_misfit(cx, "z", &in[0], "labels", &in[1], "they must be [N, V] and [N] i32");
    if (!(a->smoothing >= 0.0f && a->smoothing < 1.0f))
        return kin_fail(cx, KIN_ARG, "a label smoothing of %g: it must be in [0, 1)", (double)a->smoothing);
    out[0] = kin_fixed(KIN_F32, 0);
    out[1] = kin_leading(&in[0], KIN_F32, 1);
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    cost->flops = 0.0;
    cost->bytes = 4.0 * (double)kin_count(&c->in[0]) * (backward ? 2.0 : 1.0);
}

static int64_t scratch(const kin_call *c, bool backward)
{
    return backward ? 0 : kin_part(c->in[0].dim[0] * 16) + 256;
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {"plain", "smoothing", "some ignored", "all ignored"};
    static const kin_xent_attr attr[] = {{0.0f}, {0.1f}, {0.0f}, {0.1f}};
    if (i >= KIN_CASES(attr)) return false;
    kin_case(s, label[i], &attr[i], sizeof attr[i], false);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, 3 + batch, (int64_t)9), KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 1, kin_fixed(KIN_I32, 1, 3 + batch), i == 3 ? KIN_FILL_CONST : KIN_FILL_IDS,
                i == 3   ? -1.0
                : i == 2 ? -9.0
                         : 9.0);
    return true;
}

const kin_op_def kin_op_xent = {"xent", shape, cost, scratch, NULL, sample, 0};
