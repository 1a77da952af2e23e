/* emulated: the CUDA backend on this processor (tests/cuemu), loaded as kin loads the real one. */
#ifndef KIN_EMULATED_H
#define KIN_EMULATED_H
#include "core/plugin.h"

/* The plug-in lies in ../cuemu beside the test program. NULL on failure, with the reason in cx. */
kin_backend *emulated_open(kin_ctx *cx);

enum { EMULATED_ORDERS = 4 };
/* Threads and blocks run ascending, descending, or in one of two random orders; streams are lazy in all but
 * the first, and in the third copies overtake what computes wherever they may. Returns the order's name. */
const char *emulated_order(int i);
void emulated_memory(int64_t bytes); /* what the device has; 0: plenty */
/* How many of a list of n cases are run: all in `make test-long` (KIN_LONG is set), else the first few: a
 * step on the emulator takes seconds. */
size_t emulated_some(size_t n, size_t few);
int64_t emulated_launches(const char *kernel); /* so far; "cudaGraphLaunch", "cudaGraphInstantiate" */

#endif
