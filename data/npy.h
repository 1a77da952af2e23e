/* npy: NumPy's array files, versions 1.0 and 2.0, little-endian, C order. Written as 1.0 with the data at a
 * multiple of 64, as numpy.save writes. */
#ifndef KIN_NPY_H
#define KIN_NPY_H
#include "core/base.h"

enum { KIN_NPY_MAX_RANK = 8 };

/*            name  bytes  descr */
#define KIN_NPY_MAP(X) \
    X(F32, 4, "<f4")   \
    X(F64, 8, "<f8")   \
    X(F16, 2, "<f2")   \
    X(I32, 4, "<i4")   \
    X(I64, 8, "<i8")   \
    X(U8, 1, "|u1")

typedef enum kin_npy_type {
#define X(name, bytes, descr) KIN_NPY_##name,
    KIN_NPY_MAP(X)
#undef X
    KIN_NPY_TYPE_COUNT
} kin_npy_type;

typedef struct kin_npy {
    kin_npy_type type;
    int rank; /* 0: a scalar */
    int64_t dim[KIN_NPY_MAX_RANK];
    int64_t count; /* elements */
    void *data;    /* owned by the kin_npy, aligned as malloc aligns */
} kin_npy;

/* Reads a file (or `size` bytes; `what` names them in messages). The header is checked against the bytes
 * that are there before memory is taken. Fortran order and other types are KIN_UNSUPPORTED. */
kin_status kin_npy_load(kin_ctx *cx, const char *path, kin_npy *out);
kin_status kin_npy_parse(kin_ctx *cx, const char *what, const void *data, int64_t size, kin_npy *out);
void kin_npy_free(kin_npy *a);

/* Atomic, like kin_write_file. */
kin_status kin_npy_save(kin_ctx *cx, const char *path, kin_npy_type type, int rank, const int64_t *dim,
                        const void *data);

size_t kin_npy_type_size(kin_npy_type t);

#endif
