#include "core/op_loss.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    (void)attr;
    KIN_TRY(kin_check_pairs(cx, &in[0], &in[1], &in[2], false));
    if (in[3].rank != 0) return kin_misfit(cx, "the bias", &in[3], NULL, NULL, "it must be a scalar");
    out[0] = kin_fixed(KIN_F32, 0);
    return KIN_OK;
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {"plain", "hard negatives", "tiles", "wide"};
    static const int64_t n[] = {5, 3, 140, 1}, m[] = {5, 7, 150, 1}, e[] = {8, 8, 8, 1200};
    if (i >= KIN_CASES(label)) return false;
    kin_case(s, label[i], NULL, 0, false);
    kin_pairs_case(s, n[i] + batch - 1, m[i] + batch - 1, e[i]);
    kin_case_in(s, 2, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, 1.5);
    kin_case_in(s, 3, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, -2.0);
    return true;
}

const kin_op_def kin_op_siglip = {"siglip", shape, kin_pairs_cost, kin_pairs_scratch, NULL, sample, 0};
