#include "kernels/cpu/cpu.h"

const kin_kernel CPU(ops)[KIN_OP_COUNT] = {
#define KIN_OP(name, nin, nout, attr, reads, diff) [KIN_OP_##name] = {CPU(name##_fwd), CPU(name##_bwd)},
#include "core/ops.def"
#undef KIN_OP
};

const kin_fn_kernel CPU(fns)[KIN_FN_COUNT] = {
#define KIN_FN(name, tensors, attr) [KIN_FN_##name] = CPU(name),
#include "core/fns.def"
#undef KIN_FN
};
