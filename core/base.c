#include "core/base.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *kin_status_name(kin_status s)
{
    switch (s) {
#define X(code, value, text)                                                                                 \
    case KIN_##code: return text;
        KIN_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

kin_status kin_fail(kin_ctx *cx, kin_status code, const char *format, ...)
{
    if (cx->status != KIN_OK) return code;
    cx->status = code;
    va_list args;
    va_start(args, format);
    vsnprintf(cx->message, sizeof cx->message, format, args);
    va_end(args);
    return code;
}

kin_status kin_within(kin_ctx *cx, const char *format, ...)
{
    char where[512], old[sizeof cx->message];
    va_list args;
    va_start(args, format);
    vsnprintf(where, sizeof where, format, args);
    va_end(args);
    memcpy(old, cx->message, sizeof old);
    int n = snprintf(cx->message, sizeof cx->message, "%s: ", where);
    if (n >= 0 && (size_t)n < sizeof cx->message) {
        size_t room = sizeof cx->message - (size_t)n - 1, len = strnlen(old, sizeof old - 1);
        memcpy(cx->message + n, old, len < room ? len : room);
        cx->message[(size_t)n + (len < room ? len : room)] = 0;
    }
    return cx->status;
}

void kin_clear(kin_ctx *cx)
{
    cx->status = KIN_OK;
    cx->message[0] = 0;
}

void kin_log(kin_ctx *cx, kin_level level, const char *format, ...)
{
    if (!cx->log) return;
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    cx->log(cx->log_user, level, message);
}

bool kin_mul(int64_t a, int64_t b, int64_t *out)
{
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, out);
}

bool kin_sum(int64_t a, int64_t b, int64_t *out)
{
    return a >= 0 && b >= 0 && !__builtin_add_overflow(a, b, out);
}

static bool bytes_of(kin_ctx *cx, int64_t count, size_t size, size_t *bytes)
{
    int64_t total;
    if (!kin_mul(count, (int64_t)size, &total)) {
        kin_fail(cx, KIN_NOMEM, "cannot allocate %lld x %zu bytes: the product does not fit",
                 (long long)count, size);
        return false;
    }
    *bytes = total ? (size_t)total : 1;
    return true;
}

void *kin_alloc(kin_ctx *cx, int64_t count, size_t size)
{
    size_t bytes;
    if (!bytes_of(cx, count, size, &bytes)) return NULL;
    void *p = malloc(bytes);
    if (!p) kin_fail(cx, KIN_NOMEM, "out of memory: %zu bytes were refused", bytes);
    return p;
}

void *kin_alloc0(kin_ctx *cx, int64_t count, size_t size)
{
    size_t bytes;
    if (!bytes_of(cx, count, size, &bytes)) return NULL;
    void *p = calloc(1, bytes);
    if (!p) kin_fail(cx, KIN_NOMEM, "out of memory: %zu bytes were refused", bytes);
    return p;
}

void *kin_regrow(kin_ctx *cx, void *old, int64_t count, size_t size)
{
    size_t bytes;
    if (!bytes_of(cx, count, size, &bytes)) return NULL;
    void *p = realloc(old, bytes);
    if (!p) kin_fail(cx, KIN_NOMEM, "out of memory: %zu bytes were refused", bytes);
    return p;
}

char *kin_strdup(kin_ctx *cx, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = kin_alloc(cx, (int64_t)n, 1);
    if (p) memcpy(p, s, n);
    return p;
}

char *kin_sprintf(kin_ctx *cx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : kin_alloc(cx, (int64_t)n + 1, 1);
    if (!p) {
        kin_fail(cx, KIN_INTERNAL, "cannot format '%s'", format);
        return NULL;
    }
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return p;
}

kin_status kin_read_file(kin_ctx *cx, const char *path, int64_t limit, uint8_t **data, int64_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
    kin_status rc = KIN_OK;
    uint8_t *buffer = NULL;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        rc = kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        rc = kin_fail(cx, KIN_IO, "%s: not a regular file", path);
    } else if (st.st_size > limit) {
        rc = kin_fail(cx, KIN_FORMAT, "%s: %lld bytes, more than the %lld allowed here", path,
                      (long long)st.st_size, (long long)limit);
    } else if (!(buffer = kin_alloc(cx, (int64_t)st.st_size + 1, 1))) {
        rc = KIN_NOMEM;
    }
    int64_t have = 0;
    while (rc == KIN_OK && have < st.st_size) {
        ssize_t n = read(fd, buffer + have, (size_t)(st.st_size - have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
        if (n == 0) break; /* it shrank while we read: what is there is what we have */
        if (n > 0) have += n;
    }
    close(fd);
    if (rc != KIN_OK) {
        free(buffer);
        return rc;
    }
    buffer[have] = 0;
    *data = buffer;
    *size = have;
    return KIN_OK;
}

kin_status kin_make_dirs(kin_ctx *cx, const char *path)
{
    if (!*path) return kin_fail(cx, KIN_ARG, "cannot make a folder without a name");
    char *p = kin_strdup(cx, path);
    if (!p) return cx->status;
    kin_status rc = KIN_OK;
    for (char *s = p + 1; rc == KIN_OK; s++) {
        if (*s != '/' && *s != 0) continue;
        char c = *s;
        *s = 0;
        if (mkdir(p, 0755) != 0 && errno != EEXIST)
            rc = kin_fail(cx, KIN_IO, "cannot make folder %s: %s", p, strerror(errno));
        *s = c;
        if (c == 0) break;
    }
    struct stat st;
    if (rc == KIN_OK && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        rc = kin_fail(cx, KIN_IO, "%s: not a folder", path);
    free(p);
    return rc;
}

double kin_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int kin_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

uint64_t kin_fnv(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++) h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

int kin_edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    int row[32];
    if (n > 31 || m > 31) return 99;
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            const int changed = diagonal + (a[i - 1] != b[j - 1]);
            const int shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = changed < shorter + 1 ? changed : shorter + 1;
        }
    }
    return row[m];
}
