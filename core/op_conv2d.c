#include "core/op_shape.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_conv2d_attr *a = attr;
    const kin_shape *x = &in[0], *w = &in[1], *b = &in[2];
    if (!kin_real_of(x, 4) || x->rank != 4)
        return kin_misfit(cx, "x", x, NULL, NULL, "it must be [B, H, W, C]");
    if (w->rank != 4 || a->groups < 1 || w->dim[3] * a->groups != x->dim[3] || w->dim[0] % a->groups)
        return kin_misfit(cx, "x", x, "w", w, "w must be [Co, kh, kw, C/%lld]", (long long)a->groups);
    if (kin_has(b) && (b->rank != 1 || b->dim[0] != w->dim[0]))
        return kin_misfit(cx, "w", w, "bias", b, "they differ");
    if (a->stride < 1 || a->pad < 0 || x->dim[1] + 2 * a->pad < w->dim[1] ||
        x->dim[2] + 2 * a->pad < w->dim[2])
        return kin_misfit(cx, "x", x, "w", w, "stride %lld, pad %lld: the filter does not fit",
                          (long long)a->stride, (long long)a->pad);
    const int64_t ho = (x->dim[1] + 2 * a->pad - w->dim[1]) / a->stride + 1;
    const int64_t wo = (x->dim[2] + 2 * a->pad - w->dim[2]) / a->stride + 1;
    out[0] = kin_leading(x, x->dtype, 4, ho, wo, w->dim[0]);
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    const double taps = (double)(kin_count(&c->in[1]) / c->in[1].dim[0]);
    const int products = backward ? kin_wants(c, 0) + kin_wants(c, 1) : 1;
    cost->flops = 2.0 * (double)kin_count(&c->out[0]) * taps * products;
    cost->bytes =
        4.0 * (double)(kin_count(&c->in[0]) + kin_count(&c->in[1]) + kin_count(&c->out[0])) * products;
}

static int64_t scratch(const kin_call *c, bool backward)
{
    const int64_t co = c->in[1].dim[0], rows = kin_count(&c->out[0]) / kin_max64(1, co),
                  r = kin_real_size(&c->out[0]);
    return backward ? kin_part(8 * kin_count(&c->in[1]) * r) + kin_part(kin_chunks(rows) * co * r) + 256 : 0;
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t h, w, ci, co, kh, kw;
        kin_conv2d_attr attr;
        bool bias;
    } list[] = {{"3x3 stride 2", 7, 6, 3, 5, 3, 3, {2, 1, 1}, true},
                {"1x1", 4, 4, 6, 4, 1, 1, {1, 0, 1}, false},
                {"depthwise", 5, 5, 6, 6, 3, 3, {1, 1, 6}, true},
                {"two groups", 5, 6, 4, 6, 3, 2, {1, 0, 2}, true},
                {"patches", 8, 8, 3, 7, 4, 4, {4, 0, 1}, false},
                {"wide padding", 3, 3, 2, 3, 3, 3, {1, 2, 1}, false},
                {"many rows", 18, 18, 8, 16, 3, 3, {1, 1, 1}, true}};
    if (i >= KIN_CASES(list)) return false;
    const int64_t ci = list[i].ci, co = list[i].co;
    kin_case(s, list[i].label, &list[i].attr, sizeof list[i].attr, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 4, batch, list[i].h, list[i].w, ci), KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 1, kin_fixed(KIN_F32, 4, co, list[i].kh, list[i].kw, ci / list[i].attr.groups),
                KIN_FILL_NORMAL, 0.5);
    if (list[i].bias) kin_case_in(s, 2, kin_fixed(KIN_F32, 1, co), KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_conv2d = {"conv2d", shape, cost, scratch, NULL, sample, 0};
