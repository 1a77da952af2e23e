/* fn_case: one case of one row of core/fns.def on one backend: memory poisoned, guards around every tensor,
 * the same values on every backend. */
#ifndef KIN_FN_CASE_H
#define KIN_FN_CASE_H
#include "tests/op_case.h"

enum { FN_TENSORS = 6 };
typedef struct fn_case {
    kin_backend *b;
    kin_fn fn;
    int sample, tensors;
    kin_tensor t[FN_TENSORS];
    int64_t bytes[FN_TENSORS];
} fn_case;

/* Makes the case and runs it; guards are looked at. False past the last sample. */
bool fn_case_run(fn_case *c, kin_backend *b, kin_fn fn, int sample);
void fn_case_close(fn_case *c);

/* Fail the running test: real values differ by more than tol of them, or any others at all; any bits differ.
 * `when` says how it was run. */
void fn_case_agree(const fn_case *got, const fn_case *want, double tol, const char *when);
void fn_case_same_bits(const fn_case *got, const fn_case *want, const char *when);

#endif
