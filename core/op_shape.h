/* op_shape: what the shape rules and samples of the op families share. For core/op_*.c only. */
#ifndef KIN_OP_SHAPE_H
#define KIN_OP_SHAPE_H
#include "core/op.h"

/* Fails with "a is SHAPE, b is SHAPE: why" (b may be NULL). */
kin_status kin_misfit(kin_ctx *cx, const char *a, const kin_shape *as, const char *b, const kin_shape *bs,
                      const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Same dtype, rank, sizes and row symbol. */
bool kin_same(const kin_shape *a, const kin_shape *b);
bool kin_same_rows(const kin_shape *a, const kin_shape *b); /* leading size and symbol */
bool kin_is(const kin_shape *s, kin_dtype dtype, int rank); /* rank -1: any */
bool kin_has(const kin_shape *s);                           /* not absent */
bool kin_real_of(const kin_shape *s, int least_rank);       /* f32, bf16, f16 */

int64_t kin_width(const kin_shape *s); /* last size, 1 for a scalar */
/* Leading size and its row symbol kept, the rest replaced. */
kin_shape kin_leading(const kin_shape *s, kin_dtype dtype, int rank, ...);
/* Rows times num / den, the row symbol's mul and add with them; false when it doesn't divide or fit. */
bool kin_scale_rows(kin_shape *s, int64_t num, int64_t den);
/* One f32 per row: the product of all sizes but the last. */
kin_shape kin_per_row(const kin_shape *s);
/* Offsets of B sequences are [B+1]: the shape of one row of width C per sequence. */
kin_shape kin_per_sequence(const kin_shape *off, kin_dtype dtype, int64_t width);

/* Scratch: a part of count elements, rounded up to a cache line. */
static inline int64_t kin_part(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}
static inline int64_t kin_real_size(const kin_tensor *t)
{
    return t->dtype == KIN_F64 ? 8 : 4;
}

/* Sequences of a call: offsets when there are any, else fixed length. Valid when off->ptr is there or absent.
 */
int64_t kin_sequences_of(const kin_tensor *off, int64_t rows, int64_t fixed);

/* Is the gradient of input i computed? Until a program has its memory no pointer says so: all that are there.
 */
bool kin_wants(const kin_call *c, int i);

/* Samples. */
#define KIN_CASES(list) ((int)(sizeof(list) / sizeof((list)[0])))
void kin_case(kin_sample *s, const char *label, const void *attr, size_t attr_size, bool batched);
void kin_case_in(kin_sample *s, int i, kin_shape shape, kin_fill fill, double arg);

#endif
