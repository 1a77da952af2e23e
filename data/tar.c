#include "data/tar.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"

enum { BLOCK = 512, NAME_LIMIT = 4096, PAX_LIMIT = 1 << 20 };

/* Where things lie in a header block. */
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257,
    AT_PREFIX = 345
};

/* Octal, padded with blanks and NULs; or base-256 when the top bit is set (GNU). -1: neither, or too large.
 */
static int64_t number(const uint8_t *p, int n)
{
    uint64_t v = 0;
    if (p[0] & 0x80) {
        v = p[0] & 0x7f;
        for (int i = 1; i < n; i++) {
            if (v >> 55) return -1;
            v = v << 8 | p[i];
        }
        return (int64_t)v;
    }
    int i = 0;
    while (i < n && p[i] == ' ') i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v >> 59) return -1;
        v = v << 3 | (uint64_t)(p[i] - '0');
    }
    for (; i < n; i++)
        if (p[i] != ' ' && p[i] != 0) return -1;
    return (int64_t)v;
}

/* The sum of the header's bytes with blanks for the sum itself. */
static int64_t checksum(const uint8_t *h)
{
    int64_t sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : h[i];
    return sum;
}

/* What 'L' and 'x' members say about the next one; 'g', about all, has nothing that matters here. */
typedef struct overrides {
    char *name;
    int64_t size; /* -1: nothing */
} overrides;

static bool decimal(const uint8_t *p, const uint8_t *end, int64_t *out)
{
    int64_t v = 0;
    if (p == end) return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || v > (INT64_MAX - 9) / 10) return false;
        v = v * 10 + (*p - '0');
    }
    *out = v;
    return true;
}

static kin_status set_name(kin_ctx *cx, overrides *o, const uint8_t *p, int64_t n)
{
    free(o->name);
    o->name = kin_sprintf(cx, "%.*s", (int)n, (const char *)p);
    return o->name ? KIN_OK : cx->status;
}

/* PAX records: "LENGTH KEY=VALUE\n", LENGTH counting all of it. */
static kin_status pax(kin_ctx *cx, const uint8_t *p, int64_t size, overrides *o)
{
    const uint8_t *end = p + size;
    while (p < end && *p) {
        const uint8_t *blank = memchr(p, ' ', (size_t)(end - p));
        int64_t length = 0;
        if (!blank || !decimal(p, blank, &length) || length > end - p || length < blank - p + 3 ||
            p[length - 1] != '\n')
            return kin_fail(cx, KIN_FORMAT, "a PAX header is malformed");
        const uint8_t *key = blank + 1, *stop = p + length - 1;
        const uint8_t *equals = memchr(key, '=', (size_t)(stop - key));
        if (!equals) return kin_fail(cx, KIN_FORMAT, "a PAX header is malformed");
        const int64_t n = equals - key, room = stop - equals - 1;
        if (n == 4 && memcmp(key, "path", 4) == 0) {
            if (room < 1 || room > NAME_LIMIT)
                return kin_fail(cx, KIN_FORMAT, "a name of %lld bytes", (long long)room);
            KIN_TRY(set_name(cx, o, equals + 1, room));
        }
        if (n == 4 && memcmp(key, "size", 4) == 0 && !decimal(equals + 1, stop, &o->size))
            return kin_fail(cx, KIN_FORMAT, "a PAX size is malformed");
        p += length;
    }
    return KIN_OK;
}

static char *name_of(kin_ctx *cx, const uint8_t *h)
{
    const bool ustar = memcmp(h + AT_MAGIC, "ustar", 6) == 0; /* with its NUL: GNU's own has a blank there */
    const char *name = (const char *)h + AT_NAME, *prefix = (const char *)h + AT_PREFIX;
    if (ustar && *prefix)
        return kin_sprintf(cx, "%.*s/%.*s", (int)strnlen(prefix, 155), prefix, (int)strnlen(name, 100), name);
    return kin_sprintf(cx, "%.*s", (int)strnlen(name, 100), name);
}

static bool escapes(const char *name)
{
    if (*name == '/') return true;
    for (const char *p = name; (p = strstr(p, "..")); p += 2)
        if ((p == name || p[-1] == '/') && (p[2] == '/' || !p[2])) return true;
    return false;
}

typedef struct reader {
    const uint8_t *bytes;
    int64_t size, at, room;
    overrides next;
    kin_tar_index *out;
} reader;

/* Takes over name. */
static kin_status add_member(kin_ctx *cx, reader *r, char *name, int64_t size)
{
    if (!name) return cx->status;
    if (escapes(name)) {
        kin_fail(cx, KIN_FORMAT, "member '%.200s' points outside of the archive", name);
        free(name);
        return cx->status;
    }
    if (r->out->count == r->room) {
        const int64_t room = r->room ? 2 * r->room : 256;
        kin_tar_member *grown = kin_regrow(cx, r->out->member, room, sizeof *grown);
        if (!grown) {
            free(name);
            return cx->status;
        }
        r->out->member = grown;
        r->room = room;
    }
    r->out->member[r->out->count++] = (kin_tar_member){name, r->at, size};
    return KIN_OK;
}

/* One header and what belongs to it; *done at the end of the archive. */
static kin_status read_one(kin_ctx *cx, reader *r, bool *done)
{
    static const uint8_t zeros[BLOCK];
    const uint8_t *h = r->bytes + r->at;
    if (r->size - r->at < BLOCK) return kin_fail(cx, KIN_FORMAT, "it ends within a header: the file is cut");
    if (memcmp(h, zeros, BLOCK) == 0) {
        *done = true;
        return KIN_OK;
    }
    if (number(h + AT_SUM, 8) != checksum(h))
        return kin_fail(cx, KIN_FORMAT, "the header's checksum is wrong: not a tar, or damaged");
    int64_t size = number(h + AT_SIZE, 12);
    const uint8_t type = h[AT_TYPE];
    const bool extra = type == 'L' || type == 'K' || type == 'x' || type == 'g';
    if (!extra && r->next.size >= 0) size = r->next.size;
    r->at += BLOCK;
    if (size < 0 || size > r->size - r->at)
        return kin_fail(cx, KIN_FORMAT, "a member of %lld bytes where %lld are left", (long long)size,
                        (long long)(r->size - r->at));
    if (extra) {
        if (size > PAX_LIMIT)
            return kin_fail(cx, KIN_FORMAT, "an extended header of %lld bytes", (long long)size);
        const uint8_t *p = r->bytes + r->at;
        if (type == 'L' && size > NAME_LIMIT)
            return kin_fail(cx, KIN_FORMAT, "a name of %lld bytes", (long long)size);
        if (type == 'L') KIN_TRY(set_name(cx, &r->next, p, (int64_t)strnlen((const char *)p, (size_t)size)));
        if (type == 'x') KIN_TRY(pax(cx, p, size, &r->next));
    } else {
        if (type == '0' || type == 0 || type == '7') {
            char *name = r->next.name ? r->next.name : name_of(cx, h);
            r->next.name = NULL;
            const size_t n = name ? strlen(name) : 0;
            if (n && name[n - 1] == '/')
                free(name); /* a folder of old tars */
            else
                KIN_TRY(add_member(cx, r, name, size));
        }
        free(r->next.name);
        r->next = (overrides){.size = -1};
    }
    r->at = kin_min64(r->size, r->at + (size + BLOCK - 1) / BLOCK * BLOCK);
    return KIN_OK;
}

kin_status kin_tar_index_build(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size,
                               kin_tar_index *out)
{
    *out = (kin_tar_index){0};
    reader r = {.bytes = bytes, .size = size, .next = {.size = -1}, .out = out};
    bool done = false;
    /* Without the two zero blocks, an archive ends where the file does. */
    while (!done && cx->status == KIN_OK && (r.at < size || size == 0)) {
        const int64_t at = r.at;
        if (read_one(cx, &r, &done) != KIN_OK) kin_within(cx, "%s: at byte %lld", what, (long long)at);
    }
    free(r.next.name);
    if (cx->status != KIN_OK) kin_tar_index_free(out);
    return cx->status;
}

void kin_tar_index_free(kin_tar_index *index)
{
    for (int64_t i = 0; i < index->count; i++) free(index->member[i].name);
    free(index->member);
    *index = (kin_tar_index){0};
}

struct kin_tar_writer {
    kin_file *file;
};

kin_tar_writer *kin_tar_create(kin_ctx *cx, const char *path)
{
    kin_tar_writer *w = kin_alloc0(cx, 1, sizeof *w);
    if (!w) return NULL;
    w->file = kin_file_new(cx, path);
    if (w->file) return w;
    free(w);
    return NULL;
}

/* Splits a long name into prefix and name at a '/'. */
static bool fit_name(const char *name, uint8_t *h)
{
    const size_t n = strlen(name);
    if (n <= 100) {
        memcpy(h + AT_NAME, name, n);
        return true;
    }
    for (size_t i = n - 1; i > 0; i--) {
        if (name[i] != '/' || i > 155 || n - i - 1 > 100 || n - i - 1 == 0) continue;
        memcpy(h + AT_PREFIX, name, i);
        memcpy(h + AT_NAME, name + i + 1, n - i - 1);
        return true;
    }
    return false;
}

static void octal(uint8_t *to, int digits, uint64_t v)
{
    for (int i = digits - 1; i >= 0; i--, v >>= 3) to[i] = (uint8_t)('0' + (v & 7));
}

kin_status kin_tar_add(kin_ctx *cx, kin_tar_writer *w, const char *name, const void *data, int64_t size)
{
    uint8_t h[BLOCK] = {0};
    static const uint8_t zeros[BLOCK];
    if (!*name || escapes(name) || !fit_name(name, h))
        return kin_fail(cx, KIN_ARG, "'%s' cannot be a member's name", name);
    if (size < 0 || size >= (int64_t)1 << 33)
        return kin_fail(cx, KIN_UNSUPPORTED, "'%s': members are at most 8 GiB", name);
    octal(h + AT_MODE, 7, 0644);
    octal(h + AT_UID, 7, 0);
    octal(h + AT_GID, 7, 0);
    octal(h + AT_SIZE, 11, (uint64_t)size);
    octal(h + AT_MTIME, 11, 0);
    h[AT_TYPE] = '0';
    memcpy(h + AT_MAGIC,
           "ustar\0"
           "00",
           8);
    octal(h + AT_SUM, 6, (uint64_t)checksum(h));
    h[AT_SUM + 7] = ' ';
    const int64_t pad = (BLOCK - size % BLOCK) % BLOCK;
    KIN_TRY(kin_file_write(cx, w->file, h, BLOCK));
    KIN_TRY(kin_file_write(cx, w->file, data, size));
    return kin_file_write(cx, w->file, zeros, pad);
}

kin_status kin_tar_close(kin_ctx *cx, kin_tar_writer *w)
{
    static const uint8_t zeros[2 * BLOCK];
    kin_file_write(cx, w->file, zeros, sizeof zeros);
    const kin_status rc = kin_file_finish(cx, w->file);
    free(w);
    return rc;
}

void kin_tar_abandon(kin_tar_writer *w)
{
    if (!w) return;
    kin_file_abandon(w->file);
    free(w);
}
