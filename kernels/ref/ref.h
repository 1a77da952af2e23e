/* ref: the specification. Scalar, obvious, slow; compiled twice from the same text, once with float
 * (kin_ref32_*) and once with double (kin_ref64_*), where tensors marked KIN_F32 hold doubles and say
 * KIN_F64. Every other backend answers to it. Element-wise arithmetic is in `real`; sums are accumulated in
 * double. */
#ifndef KIN_REF_H
#define KIN_REF_H
#include <math.h>

#include "core/op.h"

#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    void kin_ref32_##name##_fwd(const kin_call *c);                                                          \
    void kin_ref32_##name##_bwd(const kin_call *c);                                                          \
    void kin_ref64_##name##_fwd(const kin_call *c);                                                          \
    void kin_ref64_##name##_bwd(const kin_call *c);
#include "core/ops.def"
#undef KIN_OP
#define KIN_FN(name, tensors, attr)                                                                          \
    void kin_ref32_##name(const kin_fn_call *c);                                                             \
    void kin_ref64_##name(const kin_fn_call *c);
#include "core/fns.def"
#undef KIN_FN

extern const kin_kernel kin_ref32_ops[KIN_OP_COUNT], kin_ref64_ops[KIN_OP_COUNT];
extern const kin_fn_kernel kin_ref32_fns[KIN_FN_COUNT], kin_ref64_fns[KIN_FN_COUNT];

#ifdef KIN_REAL
#if KIN_REAL == 64
typedef double real;
#define REF(name) kin_ref64_##name
#define R(function) function
#else
typedef float real;
#define REF(name) kin_ref32_##name
#define R(function) function##f
#endif

/* Element k of a real tensor, whatever it is stored as. */
static inline real get(const kin_tensor *t, int64_t k)
{
    switch (t->dtype) {
    case KIN_F64: return (real)((const double *)t->ptr)[k];
    case KIN_BF16: return (real)kin_from_bf16(((const uint16_t *)t->ptr)[k]);
    case KIN_F16: return (real)kin_from_f16(((const uint16_t *)t->ptr)[k]);
    default: return (real)((const float *)t->ptr)[k];
    }
}

static inline void set(const kin_tensor *t, int64_t k, double v)
{
    switch (t->dtype) {
    case KIN_F64: ((double *)t->ptr)[k] = v; break;
    case KIN_BF16: ((uint16_t *)t->ptr)[k] = kin_to_bf16((float)v); break;
    case KIN_F16: ((uint16_t *)t->ptr)[k] = kin_to_f16((float)v); break;
    default: ((float *)t->ptr)[k] = (float)v; break;
    }
}

/* An output's cotangent: no pointer counts as zeros. */
static inline real cotangent(const kin_call *c, int o, int64_t k)
{
    return c->dout[o].ptr ? get(&c->dout[o], k) : (real)0;
}

static inline bool wanted(const kin_call *c, int i)
{
    return c->din[i].ptr != NULL;
}

/* Stores or adds element k of the gradient of input i; each element is given once. */
static inline void put(const kin_call *c, int i, int64_t k, double v)
{
    set(&c->din[i], k, c->acc & IN(i) ? (double)get(&c->din[i], k) + v : v);
}

/* For gradients that are scattered: zero what is not added to, then add. */
static inline void clear(const kin_call *c, int i)
{
    if (c->acc & IN(i)) return;
    for (int64_t k = 0; k < kin_count(&c->din[i]); k++) set(&c->din[i], k, 0.0);
}

static inline void add(const kin_tensor *t, int64_t k, double v)
{
    set(t, k, (double)get(t, k) + v);
}

/* Rows from .. to - 1 are sequence b. */
typedef struct span {
    int64_t from, to;
} span;

static inline span sequence(const kin_tensor *off, int64_t fixed, int64_t b)
{
    if (kin_absent(off)) return (span){b * fixed, (b + 1) * fixed};
    const int32_t *o = off->ptr;
    return (span){o[b], o[b + 1]};
}

static inline int64_t sequences(const kin_tensor *off, int64_t fixed, int64_t rows)
{
    return kin_absent(off) ? rows / fixed : off->dim[0] - 1;
}

real REF(act)(int kind, real x); /* act.c: activation and its derivative */
real REF(act_slope)(int kind, real x);
#endif
#endif
