#include "core/op_loss.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    (void)attr;
    KIN_TRY(kin_check_pairs(cx, &in[0], &in[1], NULL, false));
    /* The row symbols may differ (pictures and texts): the caller of a run keeps their live counts equal. */
    if (in[0].dim[0] != in[1].dim[0])
        return kin_misfit(cx, "a", &in[0], "b", &in[1], "they must have equal rows");
    out[0] = kin_fixed(KIN_F32, 0);
    out[1] = kin_leading(&in[0], KIN_I32, 1);
    out[2] = kin_leading(&in[1], KIN_I32, 1);
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    const double n = (double)c->in[0].dim[0], e = (double)c->in[0].dim[1];
    cost->flops = backward ? 0.0 : 2.0 * n * n * e;
    cost->bytes = 8.0 * n * e;
}

static int64_t scratch(const kin_call *c, bool backward)
{
    return backward ? 0 : kin_part(c->in[0].dim[0] * 16) + 256;
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {"plain", "no hinge", "one pair", "tiles"};
    static const kin_triplet_attr attr[] = {{0.2f}, {-10.0f}, {0.2f}, {0.3f}};
    static const int64_t n[] = {6, 4, 1, 150};
    if (i >= KIN_CASES(attr)) return false;
    kin_case(s, label[i], &attr[i], sizeof attr[i], false);
    kin_pairs_case(s, n[i] + batch - 1, n[i] + batch - 1, 8);
    return true;
}

const kin_op_def kin_op_triplet = {"triplet", shape, cost, scratch, NULL, sample, 0};
