#include "kernels/ref/ref.h"

static real sigmoid(real x)
{
    return (real)1 / ((real)1 + R(exp)(-x));
}

static real phi(real x) /* density of the standard normal */
{
    return (real)0.39894228040143267794 * R(exp)((real)-0.5 * x * x);
}

static real tanh_argument(real x)
{
    return (real)0.79788456080286535588 * (x + (real)0.044715 * x * x * x);
}

real REF(act)(int kind, real x)
{
    switch (kind) {
    case KIN_ACT_gelu: return (real)0.5 * x * R(erfc)(-x * (real)0.70710678118654752440);
    case KIN_ACT_gelu_tanh: return (real)0.5 * x * ((real)1 + R(tanh)(tanh_argument(x)));
    case KIN_ACT_quick_gelu: return x * sigmoid((real)1.702 * x);
    case KIN_ACT_silu: return x * sigmoid(x);
    case KIN_ACT_relu: return x > 0 ? x : 0;
    case KIN_ACT_sigmoid: return sigmoid(x);
    case KIN_ACT_tanh: return R(tanh)(x);
    default: return x;
    }
}

real REF(act_slope)(int kind, real x)
{
    switch (kind) {
    case KIN_ACT_gelu: return (real)0.5 * R(erfc)(-x * (real)0.70710678118654752440) + x * phi(x);
    case KIN_ACT_gelu_tanh: {
        const real t = R(tanh)(tanh_argument(x));
        const real inner = (real)0.79788456080286535588 * ((real)1 + (real)(3 * 0.044715) * x * x);
        return (real)0.5 * ((real)1 + t) + (real)0.5 * x * ((real)1 - t * t) * inner;
    }
    case KIN_ACT_quick_gelu: {
        const real s = sigmoid((real)1.702 * x);
        return s + (real)1.702 * x * s * ((real)1 - s);
    }
    case KIN_ACT_silu: {
        const real s = sigmoid(x);
        return s + x * s * ((real)1 - s);
    }
    case KIN_ACT_relu: return x > 0 ? 1 : 0;
    case KIN_ACT_sigmoid: return sigmoid(x) * ((real)1 - sigmoid(x));
    case KIN_ACT_tanh: return (real)1 - R(tanh)(x) * R(tanh)(x);
    default: return 1;
    }
}

void REF(act_fwd)(const kin_call *c)
{
    const kin_act_attr *a = c->attr;
    for (int64_t k = 0; k < kin_count(&c->in[0]); k++)
        set(&c->out[0], k, REF(act)(a->kind, get(&c->in[0], k)));
}

void REF(act_bwd)(const kin_call *c)
{
    const kin_act_attr *a = c->attr;
    if (!wanted(c, 0)) return;
    for (int64_t k = 0; k < kin_count(&c->in[0]); k++)
        put(c, 0, k, (double)(cotangent(c, 0, k) * REF(act_slope)(a->kind, get(&c->in[0], k))));
}
