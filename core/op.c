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

uint32_t kin_op_stored(kin_op op)
{
    static const uint32_t stored[KIN_OP_COUNT] = {
        [KIN_OP_linear] = IN(0) | IN(1),
        [KIN_OP_attention] = IN(0) | IN(1) | IN(2),
        [KIN_OP_layernorm] = IN(0) | IN(1),
        [KIN_OP_rmsnorm] = IN(0) | IN(1),
        [KIN_OP_embedding] = IN(1) | IN(2),
        [KIN_OP_tokens] = IN(0) | IN(1) | IN(2),
        [KIN_OP_repeat] = IN(0),
        [KIN_OP_patch_drop] = IN(0),
        [KIN_OP_conv2d] = IN(0) | IN(1),
        [KIN_OP_act] = IN(0),
        [KIN_OP_add] = IN(0) | IN(1),
        [KIN_OP_mul] = IN(0) | IN(1),
        [KIN_OP_scale] = IN(0),
        [KIN_OP_dropout] = IN(0),
        [KIN_OP_cast] = IN(0),
        [KIN_OP_pool] = IN(0),
        [KIN_OP_batchnorm] = IN(0),
        [KIN_OP_l2norm] = IN(0),
        [KIN_OP_concat] = IN(0) | IN(1),
        [KIN_OP_slice] = IN(0),
        [KIN_OP_take] = IN(0),
        [KIN_OP_xent] = IN(0),
    };
    return stored[op];
}

bool kin_op_draws(kin_op op)
{
    return op == KIN_OP_dropout || op == KIN_OP_patch_drop;
}

kin_status kin_op_types(kin_ctx *cx, kin_op op, const kin_shape *in)
{
    const kin_op_row *row = kin_op_get(op);
    const kin_shape *first = NULL;
    for (int i = 0; i < row->nin; i++) {
        const kin_shape *s = &in[i];
        if (s->rank < 0 || !kin_dtype_is_real(s->dtype)) continue;
        const bool stored = (kin_op_stored(op) & IN(i)) != 0;
        const kin_dtype must = stored && first ? first->dtype : stored ? s->dtype : KIN_F32;
        if (stored && !first) first = s;
        if (s->dtype != must)
            return kin_fail(cx, KIN_SHAPE, "input %d is %s, it must be %s", i, kin_dtype_name(s->dtype),
                            kin_dtype_name(must));
    }
    return KIN_OK;
}

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
