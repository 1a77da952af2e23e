#include "core/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/json.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie in the file");

/* Dtypes of the format that are whole bytes; the ones kin computes with are in core/tensor.h. */
static const struct {
    const char *name;
    int bytes;
    kin_dtype dtype;
} dtypes[] = {
#define X(name, bytes, text) {text, bytes, KIN_##name},
    KIN_DTYPE_MAP(X)
#undef X
        {"I16", 2, KIN_DTYPE_COUNT},
    {"U16", 2, KIN_DTYPE_COUNT},
    {"U32", 4, KIN_DTYPE_COUNT},
    {"U64", 8, KIN_DTYPE_COUNT},
    {"BOOL", 1, KIN_DTYPE_COUNT},
    {"F8_E4M3", 1, KIN_DTYPE_COUNT},
    {"F8_E5M2", 1, KIN_DTYPE_COUNT},
};

struct kin_st {
    json_t *header;     /* owns the names */
    const json_t *meta; /* of header, or NULL */
    kin_st_entry *entries;
    int64_t count;
    void *map; /* of kin_st_open */
    size_t map_size;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const kin_st_entry *)a)->name, ((const kin_st_entry *)b)->name);
}

/* Position in the file; tensors without bytes come before the one that begins where they stand. */
static int by_place(const void *a, const void *b)
{
    const kin_st_entry *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The tree of a header costs far more memory than its text: refuse, before parsing, more structure than
 * KIN_ST_MAX_TENSORS entries can have (a '{', two '[', at most a dozen ','). */
static bool within_limits(const uint8_t *p, int64_t size)
{
    int64_t objects = 0, others = 0;
    bool quoted = false;
    for (int64_t i = 0; i < size; i++) {
        if (quoted && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            quoted = !quoted;
        else if (!quoted && p[i] == '{')
            objects++;
        else if (!quoted && (p[i] == '[' || p[i] == ','))
            others++;
    }
    return objects <= KIN_ST_MAX_TENSORS + 2 && others <= 16 * (int64_t)KIN_ST_MAX_TENSORS;
}

static kin_status read_entry(kin_ctx *cx, const char *what, const char *name, const json_t *value,
                             const uint8_t *data, int64_t data_size, kin_st_entry *e)
{
    const json_t *shape = json_object_get(value, "shape");
    const json_t *offsets = json_object_get(value, "data_offsets");
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    if (!dtype || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: tensor '%s' needs a \"dtype\", a \"shape\" and two \"data_offsets\"", what,
                        name);
    *e = (kin_st_entry){.name = name, .count = 1};
    int bytes = 0;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtype, dtypes[i].name) != 0) continue;
        e->dtype_name = dtypes[i].name;
        e->dtype = dtypes[i].dtype;
        bytes = dtypes[i].bytes;
    }
    if (!bytes) return kin_fail(cx, KIN_UNSUPPORTED, "%s: tensor '%s' has dtype '%s'", what, name, dtype);
    if (json_array_size(shape) > KIN_MAX_RANK)
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: tensor '%s' has %zu dimensions, more than %d", what, name,
                        json_array_size(shape), KIN_MAX_RANK);
    e->rank = (int)json_array_size(shape);
    for (int i = 0; i < e->rank; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        e->dim[i] = json_integer_value(d);
        if (!json_is_integer(d) || e->dim[i] < 0 || !kin_mul(e->count, e->dim[i], &e->count))
            return kin_fail(cx, KIN_FORMAT, "%s: tensor '%s' has an impossible shape", what, name);
    }
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    const int64_t begin = json_integer_value(from), end = json_integer_value(to);
    if (!json_is_integer(from) || !json_is_integer(to) || begin < 0 || end < begin || end > data_size)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: tensor '%s' has data_offsets %lld to %lld, but there are %lld bytes", what, name,
                        (long long)begin, (long long)end, (long long)data_size);
    if (!kin_mul(e->count, bytes, &e->bytes) || e->bytes != end - begin)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: tensor '%s' has %lld bytes, not what its shape and dtype %s need", what, name,
                        (long long)(end - begin), dtype);
    e->data = data + begin;
    return KIN_OK;
}

static kin_status read_header(kin_ctx *cx, const char *what, const uint8_t *file, int64_t size, kin_st *st)
{
    uint64_t n;
    if (size < 8) return kin_fail(cx, KIN_FORMAT, "%s: %d bytes are no safetensors file", what, (int)size);
    memcpy(&n, file, 8);
    if (n > KIN_ST_MAX_HEADER || (int64_t)n > size - 8)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: a header of %llu bytes, but the file has %lld and the limit is %d", what,
                        (unsigned long long)n, (long long)size, KIN_ST_MAX_HEADER);
    const int64_t length = (int64_t)n, data_size = size - 8 - length;
    const uint8_t *text = file + 8, *data = text + length;
    if (length < 2 || text[0] != '{')
        return kin_fail(cx, KIN_FORMAT, "%s: not a safetensors file (no '{' after the length)", what);
    if (!within_limits(text, length))
        return kin_fail(cx, KIN_FORMAT, "%s: the header has more than %d tensors", what, KIN_ST_MAX_TENSORS);
    st->header = kin_json_parse(cx, what, text, (size_t)length);
    if (!st->header) return cx->status;

    const char *name;
    json_t *value;
    st->meta = json_object_get(st->header, "__metadata__");
    if (st->meta && !json_is_object(st->meta))
        return kin_fail(cx, KIN_FORMAT, "%s: \"__metadata__\" is not an object", what);
    json_object_foreach((json_t *)st->meta, name, value)
    {
        if (!json_is_string(value))
            return kin_fail(cx, KIN_FORMAT, "%s: \"__metadata__\": '%s' is not a string", what, name);
    }
    const int64_t entries = (int64_t)json_object_size(st->header) - (st->meta ? 1 : 0);
    st->entries = kin_alloc(cx, entries, sizeof *st->entries);
    if (!st->entries) return cx->status;
    json_object_foreach(st->header, name, value)
    {
        if (value == st->meta) continue;
        KIN_TRY(read_entry(cx, what, name, value, data, data_size, &st->entries[st->count]));
        st->count++;
    }

    qsort(st->entries, (size_t)st->count, sizeof *st->entries, by_place);
    const uint8_t *next = data;
    for (int64_t i = 0; i < st->count; i++) {
        const kin_st_entry *e = &st->entries[i];
        if (e->data != next)
            return kin_fail(cx, KIN_FORMAT, "%s: tensor '%s' begins at %lld, but the one before ends at %lld",
                            what, e->name, (long long)(e->data - data), (long long)(next - data));
        next += e->bytes;
    }
    if (next != data + data_size)
        kin_log(cx, KIN_WARN, "%s: %lld bytes after the last tensor are ignored", what,
                (long long)(data + data_size - next));
    qsort(st->entries, (size_t)st->count, sizeof *st->entries, by_name);
    return KIN_OK;
}

kin_st *kin_st_parse(kin_ctx *cx, const char *what, const void *data, int64_t size)
{
    kin_st *st = kin_alloc0(cx, 1, sizeof *st);
    if (st && read_header(cx, what, data, size, st) != KIN_OK) {
        kin_st_close(st);
        return NULL;
    }
    return st;
}

kin_st *kin_st_open(kin_ctx *cx, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0) {
        kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    void *map = MAP_FAILED;
    if (!S_ISREG(s.st_mode) || s.st_size < 8)
        kin_fail(cx, KIN_FORMAT, "%s: not a safetensors file", path);
    else if ((map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        kin_fail(cx, KIN_IO, "%s: cannot map it: %s", path, strerror(errno));
    close(fd);
    if (map == MAP_FAILED) return NULL;
    kin_st *st = kin_st_parse(cx, path, map, (int64_t)s.st_size);
    if (!st) {
        munmap(map, (size_t)s.st_size);
        return NULL;
    }
    st->map = map;
    st->map_size = (size_t)s.st_size;
    return st;
}

void kin_st_close(kin_st *st)
{
    if (!st) return;
    if (st->map) munmap(st->map, st->map_size);
    json_decref(st->header);
    free(st->entries);
    free(st);
}

int64_t kin_st_size(const kin_st *st)
{
    return st->count;
}

const kin_st_entry *kin_st_at(const kin_st *st, int64_t i)
{
    return i >= 0 && i < st->count ? &st->entries[i] : NULL;
}

const kin_st_entry *kin_st_find(const kin_st *st, const char *name)
{
    const kin_st_entry key = {.name = name};
    return bsearch(&key, st->entries, (size_t)st->count, sizeof key, by_name);
}

const char *kin_st_meta(const kin_st *st, const char *key)
{
    return json_string_value(json_object_get(st->meta, key));
}

bool kin_st_meta_at(const kin_st *st, int64_t i, const char **key, const char **value)
{
    json_t *meta = (json_t *)st->meta;
    void *at = json_object_iter(meta);
    while (at && i-- > 0) at = json_object_iter_next(meta, at);
    if (!at) return false;
    *key = json_object_iter_key(at);
    *value = json_string_value(json_object_iter_value(at));
    return true;
}

/* 4 exponent bits (bias 7), 3 of mantissa, no infinity, NaN is all ones (Micikevicius et al. 2022). */
static float from_e4m3(uint8_t b)
{
    const int exponent = b >> 3 & 15, mantissa = b & 7;
    float f = exponent ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9);
    if ((b & 0x7f) == 0x7f) f = NAN;
    return b & 0x80 ? -f : f;
}

kin_status kin_st_read_f32(kin_ctx *cx, const kin_st_entry *e, float *out, int64_t count)
{
    if (count != e->count)
        return kin_fail(cx, KIN_ARG, "tensor '%s' has %lld elements, not %lld", e->name, (long long)e->count,
                        (long long)count);
    const uint8_t *p = e->data;
    const bool e4m3 = strcmp(e->dtype_name, "F8_E4M3") == 0, e5m2 = strcmp(e->dtype_name, "F8_E5M2") == 0;
    if (e->dtype == KIN_F32) {
        if (count > 0) memcpy(out, p, (size_t)count * 4);
    } else if (e->dtype == KIN_F64) {
        for (int64_t i = 0; i < count; i++) {
            double d;
            memcpy(&d, p + 8 * i, 8);
            out[i] = (float)d;
        }
    } else if (e->dtype == KIN_F16 || e->dtype == KIN_BF16) {
        for (int64_t i = 0; i < count; i++) {
            uint16_t h;
            memcpy(&h, p + 2 * i, 2);
            out[i] = e->dtype == KIN_F16 ? kin_from_f16(h) : kin_from_bf16(h);
        }
    } else if (e4m3 || e5m2) {
        /* E5M2 is the upper half of an f16. */
        for (int64_t i = 0; i < count; i++)
            out[i] = e4m3 ? from_e4m3(p[i]) : kin_from_f16((uint16_t)(p[i] << 8));
    } else {
        return kin_fail(cx, KIN_UNSUPPORTED, "tensor '%s' is %s, which does not convert to F32", e->name,
                        e->dtype_name);
    }
    return KIN_OK;
}
