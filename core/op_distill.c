#include "core/op_loss.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_distill_attr *a = attr;
    KIN_TRY(kin_check_pairs(cx, &in[0], &in[1], &in[2], false));
    KIN_TRY(kin_check_pairs(cx, &in[3], &in[4], &in[5], false));
    if (!kin_same_rows(&in[0], &in[3]) || !kin_same_rows(&in[1], &in[4]))
        return kin_misfit(cx, "the teacher's a", &in[3], "b", &in[4],
                          "they must have as many rows as the student's");
    if (a->more < 0) return kin_fail(cx, KIN_ARG, "%d more positives a row: not below 0", a->more);
    if (in[1].dim[0] / (1 + a->more) < in[0].dim[0])
        return kin_misfit(cx, "a", &in[0], "b", &in[1], "every row of a needs %d of b", 1 + a->more);
    out[0] = kin_fixed(KIN_F32, 0);
    out[1] = kin_leading(&in[0], KIN_F32, 2, (int64_t)2);
    out[2] = kin_leading(&in[1], KIN_F32, 2, (int64_t)2);
    return KIN_OK;
}

/* Both products each time, and two more for each gradient. */
static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    const double cells = (double)c->in[0].dim[0] * (double)c->in[1].dim[0];
    kin_pairs_cost(c, backward, cost);
    cost->flops += 2.0 * cells * (double)c->in[3].dim[1];
    cost->bytes += 4.0 * (double)(kin_count(&c->in[3]) + kin_count(&c->in[4]));
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t n, m, e, f;
        int more;
        double scale, teacher;
    } list[] = {{"plain", 5, 5, 8, 8, 0, 1.7, 1.7},
                {"hard negatives", 4, 9, 8, 8, 0, 1.7, 2.2},
                {"a wider teacher", 4, 4, 5, 12, 0, 1.0, 0.0},
                {"one pair", 1, 1, 4, 4, 0, 1.7, 1.7},
                {"tiles", 150, 170, 16, 16, 0, 2.0, 2.5},
                {"two captions, negatives", 3, 9, 6, 6, 1, 1.7, 1.2},
                {"captions over tiles", 88, 266, 8, 8, 2, 1.7, 1.7},
                {"a sure teacher", 40, 300, 8, 8, 0, 1.0, 4.5}};
    if (i >= KIN_CASES(list)) return false;
    const kin_distill_attr a = {.more = list[i].more};
    const int64_t n = list[i].n + batch - 1, m = list[i].m + (batch - 1) * (1 + list[i].more);
    kin_case(s, list[i].label, &a, sizeof a, false);
    kin_pairs_case(s, n, m, list[i].e);
    kin_case_in(s, 2, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, list[i].scale);
    kin_case_in(s, 3, kin_fixed(KIN_F32, 2, n, list[i].f), KIN_FILL_UNIT, 1.0);
    kin_case_in(s, 4, kin_fixed(KIN_F32, 2, m, list[i].f), KIN_FILL_UNIT, 1.0);
    kin_case_in(s, 5, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, list[i].teacher);
    return true;
}

const kin_op_def kin_op_distill = {"distill", shape, cost, kin_pairs_scratch, NULL, sample, 0};
