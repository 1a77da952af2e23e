#include "core/op_shape.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_target_attr *a = attr;
    if (!kin_real_of(&in[0], 2) || in[0].rank != 2 || !kin_is(&in[1], KIN_F32, 2) ||
        !kin_same_rows(&in[0], &in[1]) || in[0].dim[1] != in[1].dim[1])
        return kin_misfit(cx, "z", &in[0], "q", &in[1], "they must be [N, V], q in f32");
    if (kin_has(&in[2]) && (!kin_is(&in[2], KIN_I32, 1) || !kin_same_rows(&in[0], &in[2])))
        return kin_misfit(cx, "z", &in[0], "which", &in[2], "there must be one i32 a row");
    if (a->kind < KIN_TARGET_CE || a->kind > KIN_TARGET_MSE)
        return kin_fail(cx, KIN_ARG, "no kind %d of target", a->kind);
    out[0] = kin_fixed(KIN_F32, 0);
    if (a->kind == KIN_TARGET_CE) out[1] = kin_leading(&in[0], KIN_F32, 1);
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    cost->flops = 0.0;
    cost->bytes = 4.0 * (double)kin_count(&c->in[0]) * (backward ? 3.0 : 2.0);
}

static int64_t scratch(const kin_call *c, bool backward)
{
    return backward ? 0 : kin_part(c->in[0].dim[0] * 16) + 256;
}

static uint32_t reads(const kin_shape *in, const void *attr)
{
    const kin_target_attr *a = attr;
    (void)in;
    return IN(0) | IN(1) | IN(2) | (a->kind == KIN_TARGET_CE ? OUT(1) : 0);
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {
        "ce", "bce", "mse", "ce, some ignored", "bce, some ignored", "ce, all ignored", "wide", "mse, some"};
    static const kin_target_attr attr[] = {{KIN_TARGET_CE}, {KIN_TARGET_BCE}, {KIN_TARGET_MSE},
                                           {KIN_TARGET_CE}, {KIN_TARGET_BCE}, {KIN_TARGET_CE},
                                           {KIN_TARGET_CE}, {KIN_TARGET_MSE}};
    if (i >= KIN_CASES(attr)) return false;
    const int64_t width = i == 6 ? 301 : 9;
    kin_case(s, label[i], &attr[i], sizeof attr[i], false);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, 3 + batch, width), KIN_FILL_NORMAL, 2.0);
    /* Normal targets: about half of the rows start below 0 and are ignored. */
    const bool some = i == 2 || i == 3 || i == 4 || i == 7;
    kin_case_in(s, 1, kin_fixed(KIN_F32, 2, 3 + batch, width), some ? KIN_FILL_NORMAL : KIN_FILL_CONST,
                some     ? 1.0
                : i == 5 ? -1.0
                         : 1.0 / (double)width);
    if (i == 7) kin_case_in(s, 2, kin_fixed(KIN_I32, 1, 3 + batch), KIN_FILL_IDS, -4.0);
    return true;
}

const kin_op_def kin_op_target = {"target", shape, cost, scratch, reads, sample, 0};
