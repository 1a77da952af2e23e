#include <string.h>

#include "core/op.h"

const kin_op_row *kin_op_get(kin_op op)
{
    static const kin_op_row row[KIN_OP_COUNT] = {
#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    [KIN_OP_##name] = {&kin_op_##name, nin, nout, sizeof(attr), reads, diff},
#include "core/ops.def"
#undef KIN_OP
    };
    return &row[op];
}

#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    _Static_assert(sizeof(attr) <= KIN_MAX_ATTR && nin <= KIN_MAX_IN && nout <= KIN_MAX_OUT,                 \
                   #name " is too large");
#include "core/ops.def"
#undef KIN_OP

const char *kin_fn_name(kin_fn fn)
{
    static const char *const name[KIN_FN_COUNT] = {
#define KIN_FN(fn_name, tensors, attr) [KIN_FN_##fn_name] = #fn_name,
#include "core/fns.def"
#undef KIN_FN
    };
    return name[fn];
}

int64_t kin_sample_length(int64_t b, int64_t max)
{
    const int64_t cycle[4] = {max, 1, max > 2 ? 0 : 1, max > 2 ? max - 2 : max};
    return cycle[b % 4];
}

int64_t kin_sample_total(int64_t batch, int64_t max)
{
    int64_t total = 0;
    for (int64_t b = 0; b < batch; b++) total += kin_sample_length(b, max);
    return total;
}
