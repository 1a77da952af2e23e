/* op_checks: what is asked of every op on every backend; test_table.c and test_cuda.c ask it. False, and
 * op_trouble() says what differs. */
#ifndef KIN_OP_CHECKS_H
#define KIN_OP_CHECKS_H
#include "tests/op_case.h"

/* Outputs and gradients of all samples as truth_of gives them, for every set of cotangents. op_worst() after
 * it: of this op. */
bool op_parity(kin_op op, kin_backend *b, kin_backend *truth_of, double tol, double grad_tol);
/* '+=' is '=' plus what was there. truth_of: where the sum is held. */
bool op_accumulates(op_case *c, kin_backend *truth_of);
/* Every subset of the gradients has the bits that it has among all. */
bool op_subsets_agree(op_case *all, op_case *some);
/* A sample of the batch, run alone. */
bool op_alone_agrees(const op_case *one, const op_case *many, int64_t sample);
bool op_same_bits(const op_case *got, const op_case *want, const char *when);

#endif
