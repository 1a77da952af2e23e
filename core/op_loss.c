#include "core/op_loss.h"

kin_status kin_check_pairs(kin_ctx *cx, const kin_shape *a, const kin_shape *b, const kin_shape *scalar,
                           bool groups)
{
    if (!kin_real_of(a, 2) || a->rank != 2 || b->rank != 2 || a->dim[1] != b->dim[1])
        return kin_misfit(cx, "a", a, "b", b, "they must be [N, E] and [M, E]");
    if (!groups && b->dim[0] < a->dim[0])
        return kin_misfit(cx, "a", a, "b", b, "every row of a needs its own row of b");
    if (scalar && scalar->rank != 0)
        return kin_misfit(cx, "the logit scale", scalar, NULL, NULL, "it must be a scalar");
    return KIN_OK;
}

/* Backward computes the logits again: storing them would take N x M. */
void kin_pairs_cost(const kin_call *c, bool backward, kin_cost *cost)
{
    const double n = (double)c->in[0].dim[0], m = (double)c->in[1].dim[0], e = (double)c->in[0].dim[1];
    const int products = backward ? 1 + kin_wants(c, 0) + kin_wants(c, 1) : 1;
    cost->flops = 2.0 * n * m * e * products;
    cost->bytes = 4.0 * (n + m) * e * (backward ? 2.0 : 1.0);
}

int64_t kin_pairs_scratch(const kin_call *c, bool backward)
{
    (void)backward;
    return kin_part((4 * (c->in[0].dim[0] + c->in[1].dim[0]) + c->in[0].dim[1] + 1024) * 8) + 256;
}

void kin_pairs_case(kin_sample *s, int64_t n, int64_t m, int64_t e)
{
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, n, e), KIN_FILL_UNIT, 1.0);
    kin_case_in(s, 1, kin_fixed(KIN_F32, 2, m, e), KIN_FILL_UNIT, 1.0);
}
