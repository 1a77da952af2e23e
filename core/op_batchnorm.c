#include "core/op_shape.h"

static kin_status shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    const kin_shape *x = &in[0], *gamma = &in[1], *mean = &in[3], *var = &in[4];
    (void)attr;
    if (!kin_real_of(x, 1)) return kin_misfit(cx, "x", x, NULL, NULL, "it must be [..., C]");
    if (gamma->rank != 1 || gamma->dim[0] != kin_width(x))
        return kin_misfit(cx, "x", x, "gamma", gamma, "%lld != %lld", (long long)kin_width(x),
                          (long long)kin_width(gamma));
    if (!kin_same(&in[2], gamma)) return kin_misfit(cx, "gamma", gamma, "beta", &in[2], "they must be equal");
    if (kin_has(mean) != kin_has(var) || (kin_has(mean) && !(kin_same(mean, gamma) && kin_same(var, gamma))))
        return kin_misfit(cx, "mean", mean, "var", var, "both must be as gamma, or absent");
    out[0] = in[0];
    if (!kin_has(mean)) out[1] = out[2] = *gamma;
    return KIN_OK;
}

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    const bool given = !kin_absent(&c->in[3]);
    cost->flops = 0.0;
    cost->bytes = 4.0 * (double)kin_count(&c->in[0]) * ((given ? 2.0 : 3.0) + (backward ? 2.0 : 0.0));
}

/* Two sums a channel: of each chunk of rows, and of all. */
static int64_t scratch(const kin_call *c, bool backward)
{
    (void)backward;
    return kin_part((kin_chunks(kin_rows(&c->in[0])) + 1) * 2 * kin_cols(&c->in[0]) *
                    kin_real_size(&c->out[0])) +
           256;
}

static uint32_t reads(const kin_shape *in, const void *attr)
{
    (void)attr;
    return IN(0) | IN(1) | (kin_has(&in[3]) ? IN(3) | IN(4) : OUT(1) | OUT(2));
}

static bool sample(int i, int64_t batch, kin_sample *s)
{
    static const char *const label[] = {"plain", "narrow", "wide", "many rows", "given", "given, wide"};
    static const kin_norm_attr attr = {1e-5f};
    static const int64_t rows[] = {5, 7, 3, 300, 3, 90}, width[] = {16, 3, 45, 24, 19, 40};
    if (i >= KIN_CASES(rows)) return false;
    kin_case(s, label[i], &attr, sizeof attr, i >= 4); /* statistics of the batch depend on all of it */
    kin_case_in(s, 0, kin_fixed(KIN_F32, 3, batch, rows[i], width[i]), KIN_FILL_NORMAL, 1.0);
    for (int k = 1; k < (i >= 4 ? 5 : 3); k++)
        kin_case_in(s, k, kin_fixed(KIN_F32, 1, width[i]), k == 4 ? KIN_FILL_CONST : KIN_FILL_NORMAL, 1.0);
    return true;
}

const kin_op_def kin_op_batchnorm = {"batchnorm", shape, cost, scratch, reads, sample, 0};
