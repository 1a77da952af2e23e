#include "core/op_shape.h"

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    cost->flops = 0.0;
    cost->bytes = 4.0 * (double)kin_count(&c->out[0]) * (backward ? 3.0 : 2.0);
}

/* ---- act ---- */

static kin_status act_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_act_attr *a = attr;
    if (!kin_real_of(&in[0], 0)) return kin_misfit(cx, "x", &in[0], NULL, NULL, "it must be real");
    if (a->kind < 0 || a->kind >= KIN_ACT_COUNT) return kin_fail(cx, KIN_ARG, "no activation %d", a->kind);
    out[0] = in[0];
    return KIN_OK;
}

static bool act_sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {
#define X(name) #name,
        KIN_ACT_MAP(X)
#undef X
    };
    if (i >= KIN_ACT_COUNT) return false;
    const kin_act_attr a = {.kind = i};
    kin_case(s, label[i], &a, sizeof a, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 3, batch, (int64_t)3, (int64_t)37), KIN_FILL_NORMAL, 2.5);
    return true;
}

const kin_op_def kin_op_act = {"act", act_shape, cost, NULL, NULL, act_sample, 0};

/* ---- add ---- */

static kin_status add_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    (void)attr;
    if (!kin_real_of(&in[0], 0) || !kin_same(&in[0], &in[1]))
        return kin_misfit(cx, "a", &in[0], "b", &in[1], "they must be equal");
    out[0] = in[0];
    return KIN_OK;
}

static bool add_sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {"plain", "large"};
    static const int64_t width[] = {21, 5003};
    if (i >= KIN_CASES(label)) return false;
    kin_case(s, label[i], NULL, 0, true);
    for (int k = 0; k < 2; k++)
        kin_case_in(s, k, kin_fixed(KIN_F32, 2, batch, width[i]), KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_add = {"add", add_shape, cost, NULL, NULL, add_sample, 0};

/* ---- mul: as add ---- */

const kin_op_def kin_op_mul = {"mul", add_shape, cost, NULL, NULL, add_sample, 0};

/* ---- scale ---- */

static kin_status scale_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    (void)attr;
    if (!kin_real_of(&in[0], 1) || in[1].rank != 1 || in[1].dim[0] != kin_width(&in[0]))
        return kin_misfit(cx, "x", &in[0], "g", &in[1], "g must be one factor a channel");
    out[0] = in[0];
    return KIN_OK;
}

static int64_t scale_scratch(const kin_call *c, bool backward)
{
    const int64_t r = kin_real_size(&c->out[0]);
    return backward ? kin_part(kin_chunks(kin_rows(&c->in[0])) * kin_cols(&c->in[0]) * r) + 256 : 0;
}

static bool scale_sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {"plain", "many rows"};
    static const int64_t rows[] = {3, 100}, width[] = {19, 7};
    if (i >= KIN_CASES(label)) return false;
    kin_case(s, label[i], NULL, 0, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 3, batch, rows[i], width[i]), KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 1, kin_fixed(KIN_F32, 1, width[i]), KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_scale = {"scale", scale_shape, cost, scale_scratch, NULL, scale_sample, 0};

/* ---- cast ---- */

static kin_status cast_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_cast_attr *a = attr;
    if (!kin_real_of(&in[0], 0) || a->dtype < 0 || a->dtype >= KIN_DTYPE_COUNT ||
        !kin_dtype_is_real((kin_dtype)a->dtype) || a->dtype == KIN_F64)
        return kin_misfit(cx, "x", &in[0], NULL, NULL, "casts are between f32, bf16 and f16");
    out[0] = in[0];
    out[0].dtype = (kin_dtype)a->dtype;
    return KIN_OK;
}

static bool cast_sample(int i, int64_t batch, kin_sample *s)
{
    static const kin_dtype to[] = {KIN_F32, KIN_BF16, KIN_F16};
    static const char *const label[] = {"f32", "bf16", "f16"};
    if (i >= KIN_CASES(to)) return false;
    const kin_cast_attr a = {.dtype = (int)to[i]};
    kin_case(s, label[i], &a, sizeof a, true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, batch, (int64_t)35), KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_cast = {"cast", cast_shape, cost, NULL, NULL, cast_sample, 0};
