/* safetensors: named tensors in one file (huggingface/safetensors): u64 little-endian header length, JSON
 * header {"name":{"dtype","shape","data_offsets":[begin,end]},..., "__metadata__":{string: string}}, data.
 *
 * Everything is checked while loading, before any use: header length, UTF-8 JSON that begins with '{', known
 * dtype, rank, product of the shape (overflow), offsets inside the file, no hole and no overlap, no name
 * twice, at most KIN_ST_MAX_TENSORS. Bytes after the last tensor are accepted with a warning (real files
 * have them). Data may be unaligned in foreign files: read it through kin_st_read, or memcpy. */
#ifndef KIN_SAFETENSORS_H
#define KIN_SAFETENSORS_H
#include "core/tensor.h"

enum { KIN_ST_MAX_TENSORS = 65536, KIN_ST_MAX_HEADER = 100000000 };

typedef struct kin_st_entry {
    const char *name;
    const char *dtype_name;  /* as in the file: "F32", "BF16", "BOOL", ... */
    kin_dtype dtype;         /* KIN_DTYPE_COUNT: valid, but not one of kin's (I16, BOOL, F8_E4M3, ...) */
    int rank;
    int64_t dim[KIN_MAX_RANK];
    int64_t count, bytes;    /* elements, and bytes in the file */
    const uint8_t *data;     /* little-endian, row-major, any alignment; owned by the kin_st */
} kin_st_entry;

typedef struct kin_st kin_st; /* an open file; entries sorted by name */

/* Opens (maps) a file read-only; NULL on failure. The mapping sees later changes of the file: kin replaces
 * files by rename and never writes into one. */
kin_st *kin_st_open(kin_ctx *cx, const char *path);
/* The same over bytes that the caller keeps alive until kin_st_close; `what` names them in messages. */
kin_st *kin_st_parse(kin_ctx *cx, const char *what, const void *data, int64_t size);
void kin_st_close(kin_st *st);

int64_t kin_st_size(const kin_st *st); /* number of tensors */
const kin_st_entry *kin_st_at(const kin_st *st, int64_t i);
const kin_st_entry *kin_st_find(const kin_st *st, const char *name); /* NULL: not there */
/* A value of __metadata__, or NULL. kin_st_meta_at walks it: false past the end. */
const char *kin_st_meta(const kin_st *st, const char *key);
bool kin_st_meta_at(const kin_st *st, int64_t i, const char **key, const char **value);
/* Copies an entry into out[count], converting F64, F16, BF16, F8_E4M3 and F8_E5M2 to float; other dtypes are
 * KIN_UNSUPPORTED. `count` must be the entry's. */
kin_status kin_st_read_f32(kin_ctx *cx, const kin_st_entry *e, float *out, int64_t count);

/* Streaming writer: declare all tensors, then give the data in any number of calls per tensor, in the
 * order of kin_st_writer_at (dtype size descending, then name, as the reference implementation writes).
 * The header is padded so that data starts at a multiple of 64. Nothing appears under `path` before
 * kin_st_writer_finish: it writes PATH.tmp, fsyncs, renames, fsyncs the folder. */
typedef struct kin_st_writer kin_st_writer;
kin_st_writer *kin_st_writer_new(kin_ctx *cx, const char *path);
/* Declares a tensor / a metadata entry (a "format" of "pt" is added when none is given). */
kin_status kin_st_writer_add(kin_ctx *cx, kin_st_writer *w, const char *name, kin_dtype dtype, int rank,
                             const int64_t *dim);
kin_status kin_st_writer_meta(kin_ctx *cx, kin_st_writer *w, const char *key, const char *value);
/* Ends the declarations and writes the header. After it, kin_st_writer_at(i) names the i-th tensor of the
 * file, or NULL past the last. */
kin_status kin_st_writer_begin(kin_ctx *cx, kin_st_writer *w);
const char *kin_st_writer_at(const kin_st_writer *w, int64_t i);
/* The next `size` bytes of data; KIN_ARG when they are more than was declared. */
kin_status kin_st_writer_data(kin_ctx *cx, kin_st_writer *w, const void *data, int64_t size);
/* KIN_ARG when data is missing. The writer is freed in any case, and on failure the temporary removed. */
kin_status kin_st_writer_finish(kin_ctx *cx, kin_st_writer *w);
void kin_st_writer_abandon(kin_st_writer *w); /* frees and removes the temporary; NULL is allowed */

/* All at once, from tensors in memory. */
typedef struct kin_st_tensor {
    const char *name;
    kin_tensor tensor;
} kin_st_tensor;
kin_status kin_st_save(kin_ctx *cx, const char *path, const kin_st_tensor *tensors, int64_t n,
                       const char *const *meta /* key, value, ..., NULL; or NULL */);

#endif
