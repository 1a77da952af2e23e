#include "kernels/cuda/gpu.h"

extern "C" {
const kin_kernel kin_cuda_ops[KIN_OP_COUNT] = {
#define KIN_OP(name, nin, nout, attr, reads, diff) {kin_cuda_##name##_fwd, kin_cuda_##name##_bwd},
#include "core/ops.def"
#undef KIN_OP
};

const kin_fn_kernel kin_cuda_fns[KIN_FN_COUNT] = {
#define KIN_FN(name, tensors, attr) kin_cuda_##name,
#include "core/fns.def"
#undef KIN_FN
};
}
