#include "core/op_shape.h"

static void moves(const kin_call *c, bool backward, kin_cost *cost)
{
    (void)backward;
    cost->flops = 0.0;
    cost->bytes = 8.0 * (double)kin_count(&c->out[0]);
}

static kin_status patchify_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_patchify_attr *a = attr;
    const kin_shape *x = &in[0];
    if (x->rank != 4 || (x->dtype != KIN_U8 && !kin_dtype_is_real(x->dtype)) || x->dim[3] > 4)
        return kin_misfit(cx, "img", x, NULL, NULL, "it must be [B, H, W, C] u8 or real, C at most 4");
    if (a->p < 1 || x->dim[1] % a->p || x->dim[2] % a->p)
        return kin_misfit(cx, "img", x, NULL, NULL, "its sides are not multiples of the patch, %lld",
                          (long long)a->p);
    out[0] = kin_leading(x, KIN_F32, 2, x->dim[3] * a->p * a->p);
    kin_scale_rows(&out[0], (x->dim[1] / a->p) * (x->dim[2] / a->p), 1);
    return KIN_OK;
}

static bool patchify_sample(int i, int64_t batch, kin_sample *s)
{
    static const struct {
        const char *label;
        int64_t h, w, c, p;
        int normalise;
        bool u8;
    } list[] = {{"bytes", 8, 12, 3, 4, 1, true},
                {"reals", 6, 4, 3, 2, 1, false},
                {"plain reals", 3, 3, 1, 3, 0, false},
                {"normalisation alone", 4, 5, 3, 1, 1, true}};
    if (i >= KIN_CASES(list)) return false;
    const kin_patchify_attr a = {.p = list[i].p,
                                 .normalise = list[i].normalise,
                                 .mean = {0.48f, 0.45f, 0.4f, 0.5f},
                                 .std = {0.27f, 0.26f, 0.28f, 0.5f}};
    kin_case(s, list[i].label, &a, sizeof a, true);
    kin_case_in(s, 0, kin_fixed(list[i].u8 ? KIN_U8 : KIN_F32, 4, batch, list[i].h, list[i].w, list[i].c),
                list[i].u8 ? KIN_FILL_U8 : KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_patchify = {"patchify", patchify_shape, moves, NULL, NULL, patchify_sample, 0};

static kin_status drop_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_patch_drop_attr *a = attr;
    const kin_shape *x = &in[0];
    if (!kin_real_of(x, 2) || x->rank != 2 || a->patches < 1 || a->patches > 65536 || x->dim[0] % a->patches)
        return kin_misfit(cx, "x", x, NULL, NULL, "it must be [B*%lld, D]", (long long)a->patches);
    if (a->keep < 1 || a->keep > a->patches)
        return kin_fail(cx, KIN_ARG, "%lld of %lld patches cannot be kept", (long long)a->keep,
                        (long long)a->patches);
    out[0] = *x;
    if (!kin_scale_rows(&out[0], a->keep, a->patches))
        return kin_misfit(cx, "x", x, NULL, NULL, "its rows do not divide");
    out[1] = kin_leading(&out[0], KIN_I32, 1);
    return KIN_OK;
}

static bool drop_sample(int i, int64_t batch, kin_sample *s)
{
    static const kin_patch_drop_attr attr[] = {{9, 4}, {5, 5}, {6, 1}, {300, 130}};
    static const char *const label[] = {"half", "all", "one", "many"};
    if (i >= KIN_CASES(attr)) return false;
    kin_case(s, label[i], &attr[i], sizeof attr[i], true);
    s->sample0 = i;
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, batch * attr[i].patches, (int64_t)5), KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_patch_drop = {"patch_drop", drop_shape, moves, NULL, NULL, drop_sample, 0};
