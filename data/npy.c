#include "data/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "arrays are read and written as they lie in memory");

static const char magic[] = "\x93NUMPY\x01";
enum { HEADER_MAX = 65535 };
static const int64_t FILE_MAX = (int64_t)1 << 36;

static const struct {
    const char *descr;
    int bytes;
} types[KIN_NPY_TYPE_COUNT] = {
#define X(name, bytes, descr) [KIN_NPY_##name] = {descr, bytes},
    KIN_NPY_MAP(X)
#undef X
};

size_t kin_npy_type_size(kin_npy_type t)
{
    return (size_t)types[t].bytes;
}

/* The header is a Python dict literal with three known keys; this reads just that, in any order. */
typedef struct reader {
    const char *at, *end;
} reader;

static void skip_space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n')) r->at++;
}

static bool take(reader *r, char c)
{
    skip_space(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static bool take_word(reader *r, const char *word)
{
    const size_t n = strlen(word);
    skip_space(r);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0) return false;
    r->at += n;
    return true;
}

/* 'text' or "text", no escapes; at most 15 characters. */
static bool take_string(reader *r, char text[16])
{
    const char quote = take(r, '\'') ? '\'' : take(r, '"') ? '"' : 0;
    size_t n = 0;
    while (quote && r->at < r->end && *r->at != quote && n < 15) text[n++] = *r->at++;
    text[n] = 0;
    return quote && r->at < r->end && *r->at++ == quote;
}

static bool take_shape(reader *r, kin_npy *out)
{
    if (!take(r, '(')) return false;
    for (out->rank = 0; !take(r, ')'); out->rank++) {
        if (out->rank == KIN_NPY_MAX_RANK) return false;
        int64_t n = 0;
        int digits = 0;
        skip_space(r);
        for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, digits++)
            if (!kin_mul(n, 10, &n) || !kin_sum(n, *r->at - '0', &n)) return false;
        if (!digits) return false;
        out->dim[out->rank] = n;
        if (!take(r, ',') && (skip_space(r), r->at == r->end || *r->at != ')')) return false;
    }
    return true;
}

static kin_status read_dict(kin_ctx *cx, const char *what, reader *r, kin_npy *out)
{
    unsigned seen = 0;
    char key[16], descr[16] = "";
    bool fortran = false, good = take(r, '{');
    while (good && !take(r, '}')) {
        unsigned bit = 0;
        good = take_string(r, key) && take(r, ':');
        if (good && strcmp(key, "descr") == 0) {
            bit = 1;
            good = take_string(r, descr);
        } else if (good && strcmp(key, "fortran_order") == 0) {
            bit = 2;
            fortran = take_word(r, "True");
            good = fortran || take_word(r, "False");
        } else if (good && strcmp(key, "shape") == 0) {
            bit = 4;
            good = take_shape(r, out);
        }
        good = good && bit && !(seen & bit);
        seen |= bit;
        if (good && !take(r, ',')) {
            good = take(r, '}');
            break;
        }
    }
    skip_space(r);
    if (!good || seen != 7 || r->at != r->end)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: the npy header is malformed, or has a type or rank kin does not read", what);
    if (fortran && out->rank > 1)
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: the array is in Fortran order; save it in C order", what);
    for (int t = 0; t < KIN_NPY_TYPE_COUNT; t++) {
        if (strcmp(descr, types[t].descr) != 0) continue;
        out->type = (kin_npy_type)t;
        return KIN_OK;
    }
    return kin_fail(cx, KIN_UNSUPPORTED, "%s: arrays of type '%s' are not read", what, descr);
}

/* Checks the header against the bytes that are there; *at is where the data begins. */
static kin_status read_header(kin_ctx *cx, const char *what, const uint8_t *p, int64_t size, kin_npy *out,
                              int64_t *at, int64_t *bytes)
{
    *out = (kin_npy){.count = 1};
    const int64_t prefix = size > 6 && p[6] == 2 ? 12 : 10;
    if (size < prefix || memcmp(p, magic, 6) != 0 || (p[6] != 1 && p[6] != 2) || p[7] != 0)
        return kin_fail(cx, KIN_FORMAT, "%s: not an npy file of version 1.0 or 2.0", what);
    int64_t header = p[8] | p[9] << 8;
    if (prefix == 12) header |= (int64_t)p[10] << 16 | (int64_t)p[11] << 24;
    if (header > size - prefix || header > HEADER_MAX)
        return kin_fail(cx, KIN_FORMAT, "%s: a header of %lld bytes in a file of %lld", what,
                        (long long)header, (long long)size);
    reader r = {(const char *)p + prefix, (const char *)p + prefix + header};
    KIN_TRY(read_dict(cx, what, &r, out));
    *at = prefix + header;
    bool fits = true;
    for (int i = 0; i < out->rank; i++) fits = fits && kin_mul(out->count, out->dim[i], &out->count);
    if (!fits || !kin_mul(out->count, types[out->type].bytes, bytes) || *bytes != size - *at)
        return kin_fail(cx, KIN_FORMAT, "%s: %lld bytes of data do not fit the shape of the header", what,
                        (long long)(size - *at));
    return KIN_OK;
}

kin_status kin_npy_parse(kin_ctx *cx, const char *what, const void *data, int64_t size, kin_npy *out)
{
    int64_t at, bytes;
    KIN_TRY(read_header(cx, what, data, size, out, &at, &bytes));
    out->data = kin_alloc(cx, bytes, 1);
    if (!out->data) return cx->status;
    memcpy(out->data, (const uint8_t *)data + at, (size_t)bytes);
    return KIN_OK;
}

kin_status kin_npy_load(kin_ctx *cx, const char *path, kin_npy *out)
{
    *out = (kin_npy){0};
    uint8_t *file;
    int64_t size, at, bytes;
    KIN_TRY(kin_read_file(cx, path, FILE_MAX, &file, &size));
    const kin_status rc = read_header(cx, path, file, size, out, &at, &bytes);
    if (rc == KIN_OK)
        out->data = memmove(file, file + at, (size_t)bytes);
    else
        free(file);
    return rc;
}

void kin_npy_free(kin_npy *a)
{
    free(a->data);
    *a = (kin_npy){0};
}

kin_status kin_npy_save(kin_ctx *cx, const char *path, kin_npy_type type, int rank, const int64_t *dim,
                        const void *data)
{
    if (rank < 0 || rank > KIN_NPY_MAX_RANK) return kin_fail(cx, KIN_ARG, "%s: rank %d", path, rank);
    char shape[KIN_NPY_MAX_RANK * 22 + 2] = "", header[512];
    int64_t bytes = types[type].bytes;
    size_t n = 0;
    for (int i = 0; i < rank; i++) {
        if (!kin_mul(bytes, dim[i], &bytes))
            return kin_fail(cx, KIN_SHAPE, "%s: the array is too large", path);
        const char *after = i + 1 < rank ? ", " : rank == 1 ? "," : "";
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%lld%s", (long long)dim[i], after);
    }
    memcpy(header, magic, 8);
    const int used =
        10 + snprintf(header + 10, sizeof header - 10,
                      "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", types[type].descr, shape);
    const int padded = (used + 1 + 63) / 64 * 64;
    header[8] = (char)((padded - 10) & 255);
    header[9] = (char)((padded - 10) >> 8);
    memset(header + used, ' ', (size_t)(padded - used));
    header[padded - 1] = '\n';
    uint8_t *file;
    int64_t total;
    if (!kin_sum(bytes, padded, &total)) return kin_fail(cx, KIN_SHAPE, "%s: the array is too large", path);
    file = kin_alloc(cx, total, 1);
    if (!file) return cx->status;
    memcpy(file, header, (size_t)padded);
    if (bytes > 0) memcpy(file + padded, data, (size_t)bytes);
    const kin_status rc = kin_write_file(cx, path, file, total);
    free(file);
    return rc;
}
