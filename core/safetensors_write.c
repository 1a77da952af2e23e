#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/safetensors.h"

typedef struct declared {
    char *name;
    kin_dtype dtype;
    int rank;
    int64_t dim[KIN_MAX_RANK], bytes;
    int64_t index; /* order of declaration */
} declared;

struct kin_st_writer {
    kin_file *file;
    char *path;
    json_t *meta;
    declared *tensors;
    int64_t count, capacity;
    int64_t total, written; /* bytes of data */
    bool begun;
};

kin_st_writer *kin_st_writer_new(kin_ctx *cx, const char *path)
{
    kin_st_writer *w = kin_alloc0(cx, 1, sizeof *w);
    if (!w) return NULL;
    w->path = kin_strdup(cx, path);
    w->meta = json_object();
    w->file = w->path && w->meta ? kin_file_new(cx, path) : NULL;
    if (w->file) return w;
    kin_fail(cx, KIN_NOMEM, "%s: out of memory", path);
    kin_st_writer_abandon(w);
    return NULL;
}

static void release(kin_st_writer *w)
{
    for (int64_t i = 0; i < w->count; i++) free(w->tensors[i].name);
    free(w->tensors);
    json_decref(w->meta);
    free(w->path);
    free(w);
}

void kin_st_writer_abandon(kin_st_writer *w)
{
    if (!w) return;
    kin_file_abandon(w->file);
    release(w);
}

kin_status kin_st_writer_add(kin_ctx *cx, kin_st_writer *w, const char *name, kin_dtype dtype, int rank,
                             const int64_t *dim)
{
    if (w->begun || rank < 0 || rank > KIN_MAX_RANK || dtype < 0 || dtype >= KIN_DTYPE_COUNT)
        return kin_fail(cx, KIN_ARG, "%s: tensor '%s' cannot be declared", w->path, name);
    if (w->count == KIN_ST_MAX_TENSORS)
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: more than %d tensors", w->path, KIN_ST_MAX_TENSORS);
    declared d = {.dtype = dtype, .rank = rank, .index = w->count, .bytes = (int64_t)kin_dtype_size(dtype)};
    for (int i = 0; i < rank; i++) {
        d.dim[i] = dim[i];
        if (!kin_mul(d.bytes, dim[i], &d.bytes))
            return kin_fail(cx, KIN_SHAPE, "%s: tensor '%s' is too large", w->path, name);
    }
    if (!kin_sum(w->total, d.bytes, &w->total))
        return kin_fail(cx, KIN_SHAPE, "%s: tensor '%s' is too large", w->path, name);
    if (w->count == w->capacity) {
        const int64_t capacity = w->capacity ? 2 * w->capacity : 64;
        declared *grown = kin_regrow(cx, w->tensors, capacity, sizeof *grown);
        if (!grown) return cx->status;
        w->tensors = grown;
        w->capacity = capacity;
    }
    d.name = kin_strdup(cx, name);
    if (!d.name) return cx->status;
    w->tensors[w->count++] = d;
    return KIN_OK;
}

kin_status kin_st_writer_meta(kin_ctx *cx, kin_st_writer *w, const char *key, const char *value)
{
    json_t *text = json_string(value);
    if (!text) return kin_fail(cx, KIN_ARG, "%s: metadata '%s' is not UTF-8", w->path, key);
    if (json_object_set_new(w->meta, key, text) != 0)
        return kin_fail(cx, KIN_ARG, "%s: metadata '%s' cannot be added", w->path, key);
    return KIN_OK;
}

/* The reference implementation's order: large elements first, so that each tensor is aligned. */
static int by_size(const void *a, const void *b)
{
    const declared *x = a, *y = b;
    const size_t p = kin_dtype_size(x->dtype), q = kin_dtype_size(y->dtype);
    if (p != q) return p > q ? -1 : 1;
    return strcmp(x->name, y->name);
}

static json_t *entry_of(const declared *d, int64_t begin)
{
    json_t *shape = json_array();
    int failed = shape == NULL;
    for (int i = 0; i < d->rank; i++) failed |= json_array_append_new(shape, json_integer(d->dim[i]));
    json_t *e = failed ? NULL
                       : json_pack("{s:s, s:O, s:[I, I]}", "dtype", kin_dtype_name(d->dtype), "shape", shape,
                                   "data_offsets", (json_int_t)begin, (json_int_t)(begin + d->bytes));
    json_decref(shape);
    return e;
}

kin_status kin_st_writer_begin(kin_ctx *cx, kin_st_writer *w)
{
    if (w->begun) return kin_fail(cx, KIN_ARG, "%s: the header is written already", w->path);
    if (!json_object_get(w->meta, "format")) KIN_TRY(kin_st_writer_meta(cx, w, "format", "pt"));
    if (w->count > 0) qsort(w->tensors, (size_t)w->count, sizeof *w->tensors, by_size);
    json_t *header = json_object();
    int failed = json_object_set(header, "__metadata__", w->meta);
    int64_t at = 0;
    for (int64_t i = 0; i < w->count && !failed; i++) {
        const declared *d = &w->tensors[i];
        if (json_object_get(header, d->name)) {
            json_decref(header);
            return kin_fail(cx, KIN_ARG, "%s: tensor '%s' is declared twice", w->path, d->name);
        }
        failed = json_object_set_new(header, d->name, entry_of(d, at));
        at += d->bytes;
    }
    char *text = failed ? NULL : kin_json_text(header, JSON_COMPACT);
    json_decref(header);
    if (!text) return kin_fail(cx, KIN_ARG, "%s: no header: a name is not UTF-8, or out of memory", w->path);

    /* Padded with spaces so that the data begins at a multiple of 64. */
    const uint64_t used = strlen(text), length = (used + 8 + 63) / 64 * 64 - 8;
    char spaces[64];
    memset(spaces, ' ', sizeof spaces);
    kin_status rc = kin_file_write(cx, w->file, &length, 8);
    if (rc == KIN_OK) rc = kin_file_write(cx, w->file, text, (int64_t)used);
    if (rc == KIN_OK) rc = kin_file_write(cx, w->file, spaces, (int64_t)(length - used));
    if (length > KIN_ST_MAX_HEADER)
        rc = kin_fail(cx, KIN_UNSUPPORTED, "%s: a header of %llu bytes", w->path, (unsigned long long)length);
    free(text);
    w->begun = rc == KIN_OK;
    return rc;
}

const char *kin_st_writer_at(const kin_st_writer *w, int64_t i)
{
    return w->begun && i >= 0 && i < w->count ? w->tensors[i].name : NULL;
}

kin_status kin_st_writer_data(kin_ctx *cx, kin_st_writer *w, const void *data, int64_t size)
{
    if (!w->begun || size < 0 || size > w->total - w->written)
        return kin_fail(cx, KIN_ARG, "%s: %lld bytes of data, but only %lld more were declared", w->path,
                        (long long)size, w->begun ? (long long)(w->total - w->written) : 0ll);
    w->written += size;
    return kin_file_write(cx, w->file, data, size);
}

kin_status kin_st_writer_finish(kin_ctx *cx, kin_st_writer *w)
{
    if (!w->begun || w->written != w->total) {
        const kin_status rc = kin_fail(cx, KIN_ARG, "%s: %lld bytes of data were given, %lld declared",
                                       w->path, (long long)w->written, (long long)w->total);
        kin_st_writer_abandon(w);
        return rc;
    }
    const kin_status rc = kin_file_finish(cx, w->file);
    release(w);
    return rc;
}

static kin_status give_all(kin_ctx *cx, kin_st_writer *w, const kin_st_tensor *tensors, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const kin_tensor *t = &tensors[i].tensor;
        KIN_TRY(kin_st_writer_add(cx, w, tensors[i].name, t->dtype, t->rank, t->dim));
    }
    KIN_TRY(kin_st_writer_begin(cx, w));
    for (int64_t i = 0; i < n; i++) {
        const kin_tensor *t = &tensors[w->tensors[i].index].tensor;
        KIN_TRY(kin_st_writer_data(cx, w, t->ptr, kin_count(t) * (int64_t)kin_dtype_size(t->dtype)));
    }
    return KIN_OK;
}

kin_status kin_st_save(kin_ctx *cx, const char *path, const kin_st_tensor *tensors, int64_t n,
                       const char *const *meta)
{
    kin_st_writer *w = kin_st_writer_new(cx, path);
    if (!w) return cx->status;
    kin_status rc = KIN_OK;
    for (; rc == KIN_OK && meta && meta[0]; meta += 2) rc = kin_st_writer_meta(cx, w, meta[0], meta[1]);
    if (rc == KIN_OK) rc = give_all(cx, w, tensors, n);
    if (rc == KIN_OK) return kin_st_writer_finish(cx, w);
    kin_st_writer_abandon(w);
    return rc;
}
