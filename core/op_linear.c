#include "core/op_shape.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_linear_attr *a = attr;
    const kin_shape *x = &in[0], *w = &in[1], *b = &in[2];
    if (!kin_real_of(x, 1) || !kin_real_of(w, 2) || w->rank != 2)
        return kin_misfit(cx, "x", x, "w", w, "x must be [..., K], w [N, K]");
    const int64_t k = w->dim[a->w_kn ? 0 : 1], n = w->dim[a->w_kn ? 1 : 0];
    if (kin_width(x) != k)
        return kin_misfit(cx, "x", x, "w", w, "%lld != %lld", (long long)kin_width(x), (long long)k);
    if (kin_has(b) && (b->rank != 1 || b->dim[0] != n))
        return kin_misfit(cx, "w", w, "bias", b, "%lld != %lld", (long long)n, (long long)kin_width(b));
    if (a->act < 0 || a->act >= KIN_ACT_COUNT) return kin_fail(cx, KIN_ARG, "no activation %d", a->act);
    out[0] = *x;
    out[0].dim[x->rank - 1] = n;
    if (a->act != KIN_ACT_none) out[1] = out[0];
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    const double m = (double)kin_rows(&c->in[0]), k = (double)kin_cols(&c->in[0]),
                 n = (double)kin_cols(&c->out[0]);
    const int products = backward ? kin_wants(c, 0) + kin_wants(c, 1) : 1;
    cost->flops = 2.0 * m * n * k * products;
    cost->bytes = 4.0 * (m * k + n * k + m * n) * products;
}

static int64_t scratch(const kin_call *c, bool backward)
{
    const kin_linear_attr *a = c->attr;
    if (!backward) return 0;
    const int64_t rows = kin_rows(&c->in[0]), n = kin_cols(&c->out[0]), r = kin_real_size(&c->out[0]);
    const bool kept = a->act != KIN_ACT_none || c->out[0].dtype == KIN_BF16; /* dz */
    return kin_part((kept ? rows * n : 0) * r) + kin_part(kin_chunks(rows) * n * r) + 256;
}

static uint32_t reads(const kin_shape *in, const void *attr)
{
    const kin_linear_attr *a = attr;
    (void)in;
    return IN(0) | IN(1) | (a->act != KIN_ACT_none ? OUT(1) : 0);
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t m, k, n;
        bool bias;
        kin_linear_attr attr;
    } list[] = {
        {"plain", 3, 5, 7, true, {KIN_ACT_none, 0}},
        {"no bias", 2, 16, 16, false, {KIN_ACT_none, 0}},
        {"w_kn", 4, 6, 9, true, {KIN_ACT_none, 1}},
        {"gelu", 3, 8, 19, true, {KIN_ACT_gelu, 0}},
        {"gelu_tanh", 3, 8, 19, true, {KIN_ACT_gelu_tanh, 0}},
        {"quick_gelu", 3, 8, 19, true, {KIN_ACT_quick_gelu, 0}},
        {"silu w_kn", 3, 8, 19, true, {KIN_ACT_silu, 1}},
        {"relu no bias", 3, 8, 19, false, {KIN_ACT_relu, 0}},
        {"one", 1, 1, 1, true, {KIN_ACT_none, 0}},
        {"many rows", 90, 17, 33, true, {KIN_ACT_gelu, 0}},
        {"many rows w_kn", 70, 40, 24, true, {KIN_ACT_none, 1}},
        {"tiles", 160, 96, 130, true, {KIN_ACT_quick_gelu, 0}},
        {"sigmoid", 3, 8, 19, true, {KIN_ACT_sigmoid, 0}},
        {"tanh", 3, 8, 19, true, {KIN_ACT_tanh, 0}},
        {"tiles across", 3, 8, 200, true, {KIN_ACT_gelu, 0}},
    };
    if (i >= KIN_CASES(list)) return false;
    const int64_t k = list[i].k, n = list[i].n;
    kin_case(s, list[i].label, &list[i].attr, sizeof list[i].attr, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 3, batch, list[i].m, k), KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 1, list[i].attr.w_kn ? kin_fixed(KIN_F32, 2, k, n) : kin_fixed(KIN_F32, 2, n, k),
                KIN_FILL_NORMAL, 0.5);
    if (list[i].bias) kin_case_in(s, 2, kin_fixed(KIN_F32, 1, n), KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_linear = {"linear", shape, cost, scratch, reads, sample, 0};
