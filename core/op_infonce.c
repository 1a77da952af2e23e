#include "core/op_loss.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_infonce_attr *a = attr;
    const kin_shape *ga = &in[3], *gb = &in[4];
    KIN_TRY(kin_check_pairs(cx, &in[0], &in[1], &in[2], kin_has(ga)));
    if (kin_has(ga) != kin_has(gb))
        return kin_misfit(cx, "ga", ga, "gb", gb, "groups are given for both sides or none");
    if (kin_has(ga) && (!kin_is(ga, KIN_I32, 1) || !kin_is(gb, KIN_I32, 1) || !kin_same_rows(ga, &in[0]) ||
                        !kin_same_rows(gb, &in[1])))
        return kin_misfit(cx, "ga", ga, "gb", gb, "they must be one i32 a row");
    if (!(a->smoothing >= 0.0f && a->smoothing < 1.0f))
        return kin_fail(cx, KIN_ARG, "a label smoothing of %g: it must be in [0, 1)", (double)a->smoothing);
    if (a->more < 0 || (a->more > 0 && kin_has(ga)))
        return kin_fail(cx, KIN_ARG, "%d more positives a row: not below 0, and not beside groups", a->more);
    if (in[1].dim[0] / (1 + a->more) < in[0].dim[0] && !kin_has(ga))
        return kin_misfit(cx, "a", &in[0], "b", &in[1], "every row of a needs %d of b", 1 + a->more);
    out[0] = kin_fixed(KIN_F32, 0);
    out[1] = kin_leading(&in[0], KIN_F32, 1);
    out[2] = kin_leading(&in[1], KIN_F32, 1);
    return KIN_OK;
}

static uint32_t reads(const kin_shape *in, const void *attr)
{
    (void)attr;
    return IN(0) | IN(1) | IN(2) | OUT(1) | OUT(2) | (kin_has(&in[3]) ? IN(3) | IN(4) : 0);
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t n, m, e;
        float smoothing;
        bool groups;
        int more;
    } list[] = {{"plain", 5, 5, 8, 0.0f, false, 0},
                {"smoothing", 4, 4, 5, 0.1f, false, 0},
                {"hard negatives", 4, 9, 8, 0.0f, false, 0},
                {"groups", 6, 6, 8, 0.0f, true, 0},
                {"groups, extra, smoothing", 4, 7, 6, 0.2f, true, 0},
                {"groups, some of none", 7, 6, 5, 0.1f, true, 0},
                {"one pair", 1, 1, 4, 0.0f, false, 0},
                {"wide", 1, 2, 1200, 0.0f, false, 0},
                {"tiles", 150, 170, 16, 0.05f, false, 0},
                {"three captions", 4, 12, 8, 0.0f, false, 2},
                {"two captions, negatives, smoothing", 3, 9, 6, 0.1f, false, 1},
                {"captions over tiles", 88, 266, 8, 0.0f, false, 2}};
    if (i >= KIN_CASES(list)) return false;
    const kin_infonce_attr a = {.smoothing = list[i].smoothing, .more = list[i].more};
    const int64_t n = list[i].n + batch - 1, m = list[i].m + (batch - 1) * (1 + list[i].more);
    kin_case(s, list[i].label, &a, sizeof a, false);
    kin_pairs_case(s, n, m, list[i].e);
    kin_case_in(s, 2, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, 1.7);
    if (list[i].groups) {
        kin_case_in(s, 3, kin_fixed(KIN_I32, 1, n), KIN_FILL_GROUPS, 0.0);
        kin_case_in(s, 4, kin_fixed(KIN_I32, 1, m), KIN_FILL_GROUPS,
                    n > m ? 3.0 : 0.0); /* -1 from row 3 on */
    }
    return true;
}

const kin_op_def kin_op_infonce = {"infonce", shape, kin_pairs_cost, kin_pairs_scratch, reads, sample, 0};
