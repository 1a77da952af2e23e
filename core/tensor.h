/* tensor: dtypes, and a contiguous row-major array of rank <= 6. No strides: a tensor is its bytes.
 *
 * kin_tensor is what kernels see: exact live sizes and a pointer. kin_shape is what graphs know before
 * anything runs: the same, but the leading dimension may hang on a row symbol (see core/graph.h). */
#ifndef KIN_TENSOR_H
#define KIN_TENSOR_H
#include "core/base.h"

/*            name  bytes  safetensors name */
#define KIN_DTYPE_MAP(X) \
    X(F32, 4, "F32")     \
    X(F64, 8, "F64")     \
    X(BF16, 2, "BF16")   \
    X(F16, 2, "F16")     \
    X(I32, 4, "I32")     \
    X(I64, 8, "I64")     \
    X(I8, 1, "I8")       \
    X(U8, 1, "U8")

typedef enum kin_dtype {
#define X(name, bytes, text) KIN_##name,
    KIN_DTYPE_MAP(X)
#undef X
    KIN_DTYPE_COUNT
} kin_dtype;

enum { KIN_MAX_RANK = 6 };

typedef struct kin_tensor {
    void *ptr;
    kin_dtype dtype;
    int rank; /* -1: absent (an optional input or output that is not there) */
    int64_t dim[KIN_MAX_RANK];
} kin_tensor;

typedef struct kin_shape {
    kin_dtype dtype;
    int rank; /* -1: absent */
    int64_t dim[KIN_MAX_RANK];
    int sym;          /* row symbol of dim[0], or -1: dim[0] is fixed */
    int64_t mul, add; /* dim[0] = mul * rows(sym) + add; dim[0] holds the value at the symbol's capacity */
} kin_shape;

size_t kin_dtype_size(kin_dtype t);
const char *kin_dtype_name(kin_dtype t);
bool kin_dtype_is_real(kin_dtype t); /* F32 F64 BF16 F16 */

static inline bool kin_absent(const kin_tensor *t) { return t->rank < 0; }
static inline int64_t kin_count(const kin_tensor *t)
{
    int64_t n = t->rank < 0 ? 0 : 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}
/* Last dimension (1 for a scalar), and the product of all before it. */
static inline int64_t kin_cols(const kin_tensor *t) { return t->rank > 0 ? t->dim[t->rank - 1] : 1; }
static inline int64_t kin_rows(const kin_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < t->rank; i++) n *= t->dim[i];
    return n;
}

#define KIN_ABSENT ((kin_shape){.rank = -1, .sym = -1})
/* A fixed shape, e.g. kin_fixed(KIN_F32, 2, 5, 7). At most 6 sizes. */
kin_shape kin_fixed(kin_dtype dtype, int rank, ...);
/* "[sum T, 512]"-like text of a shape for messages, e.g. "[32,77,512] f32"; returns buffer. */
const char *kin_shape_text(const kin_shape *s, char buffer[96]);
/* Checked element count and byte size at capacity; false when they do not fit in 63 bits. */
bool kin_shape_bytes(const kin_shape *s, int64_t *bytes);
kin_tensor kin_shape_tensor(const kin_shape *s, void *ptr); /* at capacity */

/* bf16 and f16 conversions, round to nearest even; NaN stays NaN. */
float kin_from_bf16(uint16_t h);
uint16_t kin_to_bf16(float f);
float kin_from_f16(uint16_t h);
uint16_t kin_to_f16(float f);

#endif
