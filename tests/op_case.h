/* op_case: one case of one op on one backend, with guard zones around every buffer, poisoned outputs and inputs
 * that are pure functions of the case. What tests/test_table.c generates its tests from. */
#ifndef KIN_OP_CASE_H
#define KIN_OP_CASE_H
#include "core/backend.h"

typedef struct op_case {
    kin_backend *b;
    kin_op op;
    const kin_op_row *row;
    kin_sample s;
    kin_shape out_shape[KIN_MAX_OUT];
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT], dout[KIN_MAX_OUT], din[KIN_MAX_IN];
    void *scratch;
    int64_t scratch_bytes;
} op_case;

/* False past the last sample. Fails the running test when the shape rule refuses its own sample. */
bool op_case_open(op_case *c, kin_backend *b, kin_op op, int sample, int64_t batch);
void op_case_close(op_case *c);

/* Poisons the outputs, runs, then checks guards and that no input changed. */
void op_case_forward(op_case *c);
/* Gradients of the inputs in `wanted`, stored, or added to what is there for those in `acc`; cotangents of the
 * outputs in `given`. Only what the op says that backward reads is reachable. */
void op_case_backward(op_case *c, uint32_t wanted, uint32_t acc, uint32_t given);
void op_case_poison_din(op_case *c);

uint32_t op_case_diff(const op_case *c);    /* inputs that are there, real and differentiable */
uint32_t op_case_carries(const op_case *c); /* outputs that are there and may carry a gradient */

double op_value(const kin_tensor *t, int64_t k);
void op_set(const kin_tensor *t, int64_t k, double v);
/* max |a - b| / max |b| over two tensors of equal count (first n elements; n < 0: all); 1 when a is not finite
 * where b is. */
double op_error(const kin_tensor *a, const kin_tensor *b, int64_t n);
bool op_same_bits(const kin_tensor *a, const kin_tensor *b);
/* Value k of a stream: a standard normal rounded to f32. */
double op_normal(uint64_t stream, int64_t k);

#endif
