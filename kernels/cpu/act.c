#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

/* Activations as x times a share in [0, 1]: gelu_tanh is 0.5 (1 + tanh u) = sigmoid(2u). */
static inline vf share(int kind, vf x)
{
    vf e;
    switch (kind) {
    case KIN_ACT_gelu: return vphi(x, &e);
    case KIN_ACT_gelu_tanh:
        return vsigmoid(x * vfma(x * x, vset(2.0f * 0.79788456f * 0.044715f), vset(2.0f * 0.79788456f)));
    case KIN_ACT_quick_gelu: return vsigmoid(vset(1.702f) * x);
    case KIN_ACT_silu: return vsigmoid(x);
    case KIN_ACT_relu: return vless(vset(0.0f), x, vset(1.0f), vset(0.0f));
    default: return vset(1.0f);
    }
}

/* d act/dx = share + x share' */
static inline vf slope(int kind, vf x)
{
    const vf one = vset(1.0f);
    vf e, s;
    switch (kind) {
    case KIN_ACT_gelu: s = vphi(x, &e); return vfma(x * vset(0.39894228f), e, s);
    case KIN_ACT_gelu_tanh:
        s = share(kind, x);
        return vfma(x * s * (one - s),
                    vfma(x * x, vset(6.0f * 0.79788456f * 0.044715f), vset(2.0f * 0.79788456f)), s);
    case KIN_ACT_quick_gelu: s = share(kind, x); return vfma(x * s * (one - s), vset(1.702f), s);
    case KIN_ACT_silu: s = share(kind, x); return vfma(x * s, one - s, s);
    case KIN_ACT_sigmoid: s = vsigmoid(x); return s * (one - s);
    case KIN_ACT_tanh: s = vsigmoid(vset(2.0f) * x); return vset(4.0f) * s * (one - s);
    default: return share(kind, x);
    }
}

__attribute__((always_inline)) static inline void acts(int kind, int64_t n, const float *x, float *y)
{
    for (int64_t k = 0; k < n; k += LANES) {
        vf v = vread(x + k, n - k);
        if (kind == KIN_ACT_relu)
            v = vmax(v, vset(0.0f));
        else if (kind == KIN_ACT_sigmoid)
            v = vsigmoid(v);
        else if (kind == KIN_ACT_tanh)
            v = vfma(vset(2.0f), vsigmoid(vset(2.0f) * v), vset(-1.0f));
        else
            v *= share(kind, v);
        vwrite(y + k, v, n - k);
    }
}

__attribute__((always_inline)) static inline void slopes(int kind, int64_t n, const float *x, const float *dy,
                                                         float *dx, bool add)
{
    for (int64_t k = 0; k < n; k += LANES) {
        vf d = vread(dy + k, n - k) * slope(kind, vread(x + k, n - k));
        if (add) d += vread(dx + k, n - k);
        vwrite(dx + k, d, n - k);
    }
}

/* One loop for each kind, so that the choice is made outside of it. */
void CPU(act_row)(int kind, int64_t n, const float *x, float *y)
{
    switch (kind) {
#define X(name)                                                                                              \
    case KIN_ACT_##name: acts(KIN_ACT_##name, n, x, y); break;
        KIN_ACT_MAP(X)
#undef X
    }
}

void CPU(slope_row)(int kind, int64_t n, const float *x, const float *dy, float *dx, bool add)
{
    switch (kind) {
#define X(name)                                                                                              \
    case KIN_ACT_##name: slopes(KIN_ACT_##name, n, x, dy, dx, add); break;
        KIN_ACT_MAP(X)
#undef X
    }
}

enum { PIECE = 16384 };

void CPU(act_fwd)(const kin_call *c)
{
    const kin_act_attr *a = c->attr;
    const int64_t count = kin_count(&c->in[0]), pieces = pieces_of(count, PIECE);
    const float *x = c->in[0].ptr;
    float *y = c->out[0].ptr;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        CPU(act_row)(a->kind, s.to - s.from, x + s.from, y + s.from);
    }
}

void CPU(act_bwd)(const kin_call *c)
{
    const kin_act_attr *a = c->attr;
    const int64_t count = kin_count(&c->in[0]), pieces = pieces_of(count, PIECE);
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const float *x = c->in[0].ptr, *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        CPU(slope_row)(a->kind, s.to - s.from, x + s.from, dy + s.from, dx + s.from, adds(c, 0));
    }
}
