/* golden: values of an independent f64 implementation, per op (T11).
 *
 * tests/golden/table.bin: for each op and sample in table order (op_case_batch): u64 hash of the inputs, u32
 * number of arrays, then each: u32 count, f64[min(count, GOLDEN_MOST)], f64 sum over all of v[k] cos(k):
 * outputs that carry a gradient, then gradients of the differentiable inputs. Made by
 * tests/golden/table_golden.py. */
#ifndef KIN_GOLDEN_H
#define KIN_GOLDEN_H
#include "tests/op_case.h"

enum { GOLDEN_MOST = 256 };

/* False, with op_trouble(), when the case (already run forward and backward on ref64) differs. */
bool golden_agrees(const op_case *c);
/* Writes all cases as JSON lines. Returns 0, or 1 on failure. */
int golden_dump(kin_backend *ref64, const char *path);

#endif
