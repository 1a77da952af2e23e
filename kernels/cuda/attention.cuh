/* attention: what its kernels share. */
#ifndef KIN_CUDA_ATTENTION_H
#define KIN_CUDA_ATTENTION_H
#include "kernels/cuda/reduce.cuh"

enum { SIDE = 16 }; /* of the tiles of the plain kernels */
constexpr int64_t TILE = SIDE;

/* Element (row, head, d) of an operand is at row * stride + at + head * width + d. */
struct operand {
    int64_t stride, at;
};

struct attention_args {
    int64_t heads, group, width; /* query heads, query heads a key head, head width */
    int64_t slots;
    float scale;
    bool causal;
    ragged queries, keys;
    operand q, k, v;
};

/* Tiles of `tile` rows of one sequence: which sequence one belongs to is found from the offsets. Those of
 * sequence b begin at slot off[b] / tile + b, which leaves room enough for each (a few slots stay empty);
 * the rows behind the last one come after it. */
static inline int64_t slots_of(const ragged &r, int64_t rows, int64_t tile)
{
    return rows / tile + r.count + 1;
}

static inline attention_args args_of(const kin_call *c, bool by_keys)
{
    const kin_attention_attr *t = attr_of<kin_attention_attr>(c);
    const int64_t h = c->out[0].dim[1], d = c->out[0].dim[2], rows = c->in[0].dim[0];
    attention_args a = {};
    a.heads = h;
    a.group = 1;
    a.width = d;
    a.scale = t->scale;
    a.causal = t->causal != 0;
    a.queries = a.keys = ragged_of(c->in[3], t->tq, rows);
    if (c->in[1].rank < 0) {
        a.q = {3 * h * d, 0};
        a.k = {3 * h * d, h * d};
        a.v = {3 * h * d, 2 * h * d};
    } else {
        const bool packed = c->in[2].rank < 0;
        const int64_t g = c->in[1].dim[packed ? 2 : 1];
        a.group = h / g;
        a.keys = ragged_of(c->in[4], t->tk, c->in[1].dim[0]);
        a.q = {h * d, 0};
        a.k = {packed ? 2 * g * d : g * d, 0};
        a.v = {packed ? 2 * g * d : g * d, packed ? g * d : 0};
    }
    a.slots =
        slots_of(by_keys ? a.keys : a.queries, by_keys && c->in[1].rank >= 0 ? c->in[1].dim[0] : rows, TILE);
    return a;
}

/* The tile of a slot: rows first .. first + rows - 1 of sequence b, the tile's first being `from` within it.
 */
struct place {
    int64_t b, from, rows;
};

__device__ static inline place place_of(const ragged &r, int64_t slot, int64_t tile = TILE)
{
    int64_t low = 0, high = r.count;
    while (low < high) {
        const int64_t mid = (low + high + 1) / 2;
        if (start_of(r, mid) / tile + mid <= slot)
            low = mid;
        else
            high = mid - 1;
    }
    const int64_t start = start_of(r, low), length = start_of(r, low + 1) - start;
    const int64_t from = (slot - start / tile - low) * tile;
    const int64_t left = length - from;
    return {low, from, left < 0 ? 0 : left < tile ? left : tile};
}

/* Keys that query i of tq sees, of tk. */
__device__ static inline int64_t seen(const attention_args &a, int64_t i, int64_t tq, int64_t tk)
{
    if (!a.causal) return tk;
    const int64_t n = i + 1 + tk - tq;
    return n < 0 ? 0 : n < tk ? n : tk;
}

/* attention_tensor.cu: o and lse of bf16 by tensor cores; attention_tensor_back.cu: its gradients. */
void kin_cuda_attention_tensor(const kin_call *c, attention_args a, const __nv_bfloat16 *q,
                               const __nv_bfloat16 *k, const __nv_bfloat16 *v);
struct tensor_back {
    const __nv_bfloat16 *q, *k, *v, *dout; /* dout: rounded for the products */
    const float *lse, *delta;
    float *dq, *dk, *dv; /* NULL: not wanted */
    bool add_q, add_k, add_v;
};
void kin_cuda_attention_tensor_back(const kin_call *c, attention_args a, const tensor_back &b);
#endif
