#include "core/backend.h"

uint64_t kin_ops_hash(void)
{
    static const char table[] =
#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
#name " " #nin " " #nout " " #attr " " #reads " " #diff "\n"
#include "core/ops.def"
#undef KIN_OP
#define KIN_FN(name, tensors, attr) #name " " #tensors " " #attr "\n"
#include "core/fns.def"
#undef KIN_FN
        ;
    static const size_t sizes[] = {
#define KIN_OP(name, nin, nout, attr, reads, diff) sizeof(attr),
#include "core/ops.def"
#undef KIN_OP
#define KIN_FN(name, tensors, attr) sizeof(attr),
#include "core/fns.def"
#undef KIN_FN
        sizeof(kin_call),         sizeof(kin_fn_call), sizeof(kin_tensor),
        sizeof(kin_augmentation), sizeof(kin_backend), sizeof(kin_ctx)};
    return kin_fnv(kin_fnv(KIN_FNV, table, sizeof table), sizes, sizeof sizes);
}
