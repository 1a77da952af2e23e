#include "core/op_shape.h"

static void cost(const kin_call *c, bool backward, kin_cost *cost)
{
    cost->flops = 0.0;
    cost->bytes = 4.0 * (double)kin_count(&c->out[0]) * (backward ? 4.0 : kin_absent(&c->in[1]) ? 2.0 : 4.0);
}

static int64_t scratch(const kin_call *c, bool backward)
{
    return backward ? kin_part(kin_chunks(kin_rows(&c->in[0])) * 2 * kin_cols(&c->in[0]) *
                               kin_real_size(&c->out[0])) +
                          256
                    : 0;
}

/* x, r?, gamma, beta?: shared by both norms. */
static kin_status check(kin_ctx *cx, const kin_shape *in, const kin_shape *beta)
{
    const kin_shape *x = &in[0], *r = &in[1], *gamma = &in[2];
    if (!kin_real_of(x, 1)) return kin_misfit(cx, "x", x, NULL, NULL, "it must be [..., C]");
    if (kin_has(r) && !kin_same(x, r)) return kin_misfit(cx, "x", x, "the residual", r, "they must be equal");
    if (gamma->rank != 1 || gamma->dim[0] != kin_width(x))
        return kin_misfit(cx, "x", x, "gamma", gamma, "%lld != %lld", (long long)kin_width(x),
                          (long long)kin_width(gamma));
    if (kin_has(beta) && !kin_same(beta, gamma))
        return kin_misfit(cx, "gamma", gamma, "beta", beta, "they must be equal");
    return KIN_OK;
}

static kin_status layernorm_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    (void)attr;
    KIN_TRY(check(cx, in, &in[3]));
    out[0] = in[0];
    if (kin_has(&in[1])) out[1] = in[0];
    out[2] = out[3] = kin_per_row(&in[0]);
    return KIN_OK;
}

static kin_status rmsnorm_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    static const kin_shape none = {.rank = -1};
    (void)attr;
    KIN_TRY(check(cx, in, &none));
    out[0] = in[0];
    if (kin_has(&in[1])) out[1] = in[0];
    out[2] = kin_per_row(&in[0]);
    return KIN_OK;
}

static kin_status l2norm_shape(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out)
{
    (void)attr;
    if (!kin_real_of(&in[0], 1)) return kin_misfit(cx, "x", &in[0], NULL, NULL, "it must be [..., C]");
    out[0] = in[0];
    out[1] = kin_per_row(&in[0]);
    return KIN_OK;
}

/* With a residual the sum is kept and read; without, the input itself. */
static uint32_t layernorm_reads(const kin_shape *in, const void *attr)
{
    (void)attr;
    return (kin_has(&in[1]) ? OUT(1) : IN(0)) | IN(2) | OUT(2) | OUT(3);
}

static uint32_t rmsnorm_reads(const kin_shape *in, const void *attr)
{
    (void)attr;
    return (kin_has(&in[1]) ? OUT(1) : IN(0)) | IN(2) | OUT(2);
}

typedef struct norm_case {
    const char *label;
    int64_t rows, width;
    bool residual, beta;
} norm_case;

static const norm_case cases[] = {{"plain", 3, 16, false, true},     {"residual", 3, 19, true, true},
                                  {"no beta", 2, 7, false, false},   {"residual no beta", 5, 33, true, false},
                                  {"many rows", 70, 24, true, true}, {"narrow", 2, 3, false, true},
                                  {"wide", 2, 530, true, true}};

static bool norm_sample(int i, int64_t batch, kin_sample *s, bool has_beta)
{
    static const kin_norm_attr attr = {1e-5f};
    if (i >= KIN_CASES(cases)) return false;
    const kin_shape x = kin_fixed(KIN_F32, 3, batch, cases[i].rows, cases[i].width);
    kin_case(s, cases[i].label, &attr, sizeof attr, true);
    kin_case_in(s, 0, x, KIN_FILL_NORMAL, 1.0);
    if (cases[i].residual) kin_case_in(s, 1, x, KIN_FILL_NORMAL, 1.0);
    kin_case_in(s, 2, kin_fixed(KIN_F32, 1, cases[i].width), KIN_FILL_NORMAL, 1.0);
    if (has_beta && cases[i].beta)
        kin_case_in(s, 3, kin_fixed(KIN_F32, 1, cases[i].width), KIN_FILL_NORMAL, 1.0);
    return true;
}

static bool layernorm_sample(int i, int64_t batch, kin_sample *s)
{
    return norm_sample(i, batch, s, true);
}

static bool rmsnorm_sample(int i, int64_t batch, kin_sample *s)
{
    return norm_sample(i, batch, s, false);
}

static bool l2norm_sample(int i, int64_t batch, kin_sample *s)
{
    static const kin_norm_attr attr[] = {{1e-12f}, {1e-12f}, {100.0f}}; /* the last: every row is below eps */
    static const char *const label[] = {"plain", "wide", "below eps"};
    static const int64_t width[] = {5, 65, 9};
    if (i >= KIN_CASES(attr)) return false;
    kin_case(s, label[i], &attr[i], sizeof attr[i], true);
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, 2 * batch, width[i]), KIN_FILL_NORMAL, 1.0);
    return true;
}

static void l2norm_cost(const kin_call *c, bool backward, kin_cost *cost)
{
    cost->flops = 0.0;
    cost->bytes = 4.0 * (double)kin_count(&c->out[0]) * (backward ? 3.0 : 2.0);
}

const kin_op_def kin_op_layernorm = {"layernorm",     layernorm_shape,  cost,           scratch,
                                     layernorm_reads, layernorm_sample, OUT(0) | OUT(1)};
const kin_op_def kin_op_rmsnorm = {"rmsnorm",     rmsnorm_shape,  cost,           scratch,
                                   rmsnorm_reads, rmsnorm_sample, OUT(0) | OUT(1)};
const kin_op_def kin_op_l2norm = {"l2norm", l2norm_shape, l2norm_cost, NULL, NULL, l2norm_sample, 0};
