#include "kernels/ref/ref.h"

const kin_kernel REF(ops)[KIN_OP_COUNT] = {
#define KIN_OP(name, nin, nout, attr, reads, diff) [KIN_OP_##name] = {REF(name##_fwd), REF(name##_bwd)},
#include "core/ops.def"
#undef KIN_OP
};

const kin_fn_kernel REF(fns)[KIN_FN_COUNT] = {
#define KIN_FN(name, tensors, attr) [KIN_FN_##name] = REF(name),
#include "core/fns.def"
#undef KIN_FN
};
