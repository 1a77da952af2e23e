/* op_case: one case of one op on one backend, with guard zones around every buffer, poisoned outputs and
 * inputs that are pure functions of the case. What tests/test_table.c generates its tests from. */
#ifndef KIN_OP_CASE_H
#define KIN_OP_CASE_H
#include "core/backend.h"

typedef struct op_case {
    kin_backend *b;
    kin_op op;
    const kin_op_row *row;
    int sample;
    int64_t batch;
    kin_sample s;
    kin_shape out_shape[KIN_MAX_OUT];
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT], dout[KIN_MAX_OUT], din[KIN_MAX_IN];
    void *scratch;
    int64_t scratch_bytes;
} op_case;

/* False past the last sample. Fails the running test when the shape rule refuses its own sample.
 * What the fills of kin_sample leave open: IDS of a negative arg are in [-2, |arg|), to have some that count
 * for nothing; GROUPS of arg k != 0 are -1 from row k on. */
bool op_case_open(op_case *c, kin_backend *b, kin_op op, int sample, int64_t batch);
/* The smallest batch with everything in it: ragged ones need four for an empty sequence. */
int64_t op_case_batch(kin_op op, int sample);
/* A case of these shapes and attributes, inputs zero: by hand. */
void op_case_make(op_case *c, kin_backend *b, kin_op op, const kin_sample *s);
/* Sample `sample` of a batched case on its own, with its rows of the cotangents. */
void op_case_alone(op_case *one, const op_case *many, int64_t sample);
void op_case_close(op_case *c);

/* Rows from .. to - 1 of in[i] (out: out[i]) belong to that sample; false: all samples share the tensor. */
bool op_case_rows(const op_case *c, bool out, int i, int64_t sample, int64_t *from, int64_t *to);

/* Poisons the outputs, runs, then checks guards and that no input changed. */
void op_case_forward(op_case *c);
/* Gradients of the inputs in `wanted`, stored, or added to what is there for those in `acc`; cotangents of
 * the outputs in `given`. Only what the op says that backward reads is reachable. */
void op_case_backward(op_case *c, uint32_t wanted, uint32_t acc, uint32_t given);
void op_case_poison_din(op_case *c);
/* Forward, and all gradients by those cotangents into poisoned memory. */
void op_case_both(op_case *c, uint32_t given);

/* One row of core/fns.def, on whatever memory the backend has; `guard` readable bytes lie around each tensor.
 */
void op_fn(kin_backend *b, kin_fn fn, const kin_tensor *t, int tensors, const void *attr, int64_t guard);
kin_dtype op_fn_type(const kin_backend *b, kin_fn fn, int i); /* of its tensor i */

/* From now on cases hold activations and matrices (kin_op_stored) in that type. The f64 reference keeps them
 * in f64, rounded to it: the same numbers. KIN_F32: as their samples say. */
void op_precision(kin_dtype t);

uint32_t op_case_diff(const op_case *c);    /* inputs that are there, real and differentiable */
uint32_t op_case_carries(const op_case *c); /* outputs that are there and may carry a gradient */

double op_value(const kin_tensor *t, int64_t k);
void op_set(const kin_tensor *t, int64_t k, double v);
void op_copy(const kin_tensor *to, const kin_tensor *from); /* equal counts */
/* Value k of a stream: a standard normal rounded to f32. */
double op_normal(uint64_t stream, int64_t k);

/* |got - want| <= tol * (|want| + rms(want) + 0.001) for every element; integers equal, infinities equal. If
 * not: false, and op_trouble() says which op, case, backend, tensor, index and values, for the worst element.
 * `out`: an output, else a gradient. */
bool op_agree(const op_case *c, bool out, int i, const kin_tensor *got, const kin_tensor *want, double tol);
bool op_same(const op_case *c, bool out, int i, const kin_tensor *got, const kin_tensor *want,
             const char *when);
bool op_disagree(const op_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *op_trouble(void);
double
op_worst(void); /* the largest |got - want| / (|want| + rms) that op_agree has seen since the last call */
void op_require(bool ok); /* fails the running test with op_trouble() */

/* T12: from now on that result of that op, on backends of that type, is wrong by one part in a thousand in
 * its largest element. index -1: none. The environment does the same for f32: KIN_MUTANT=op:out0 or op:din1.
 */
void op_mutate(kin_op op, bool out, int index, kin_dtype real);

#endif
