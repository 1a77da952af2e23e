/* base: status codes, the error and log context, checked sizes, memory.
 *
 * The library never prints, exits or aborts. Everything that can fail takes a kin_ctx and returns a
 * kin_status (or NULL); the first error sticks in the context with its message until kin_clear. */
#ifndef KIN_BASE_H
#define KIN_BASE_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIN_VERSION "0.1.0"

/*            code          value  what it means */
#define KIN_STATUS_MAP(X)                                                     \
    X(OK, 0, "ok")                                                            \
    X(ARG, 1, "bad argument")            /* the caller's mistake */           \
    X(SHAPE, 2, "shapes do not fit")                                          \
    X(NOMEM, 3, "out of memory")                                              \
    X(IO, 4, "input or output failed")   /* the operating system said no */   \
    X(FORMAT, 5, "malformed data")       /* bytes from outside are wrong */   \
    X(UNSUPPORTED, 6, "not supported")                                        \
    X(NUMERIC, 7, "not a number")        /* NaN or Inf where none may be */   \
    X(INTERNAL, 8, "internal error")     /* a bug in kin */

typedef enum kin_status {
#define X(code, value, text) KIN_##code = value,
    KIN_STATUS_MAP(X)
#undef X
} kin_status;

const char *kin_status_name(kin_status s);

typedef enum kin_level { KIN_DEBUG, KIN_INFO, KIN_WARN } kin_level;
typedef void (*kin_log_fn)(void *user, kin_level level, const char *message);

/* One context per thread of use: where errors and notices go. Zero-initialised is valid (silent). */
typedef struct kin_ctx {
    kin_status status; /* the first error since kin_clear, or KIN_OK */
    char message[1024];
    kin_log_fn log; /* NULL: notices are dropped */
    void *log_user;
} kin_ctx;

/* Records an error and returns its code. The first error wins; later ones are its consequences. */
kin_status kin_fail(kin_ctx *cx, kin_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "prefix: " before the message of the error already recorded (where it happened). */
kin_status kin_within(kin_ctx *cx, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kin_clear(kin_ctx *cx);
void kin_log(kin_ctx *cx, kin_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define KIN_TRY(expression)                                     \
    do {                                                        \
        kin_status kin_try_status = (expression);               \
        if (kin_try_status != KIN_OK) return kin_try_status;    \
    } while (0)

/* *out = a * b or a + b; false when the result does not fit or an operand is negative. */
bool kin_mul(int64_t a, int64_t b, int64_t *out);
bool kin_sum(int64_t a, int64_t b, int64_t *out);

/* malloc/calloc/realloc of count * size bytes, checked; NULL and KIN_NOMEM in cx on failure.
 * kin_alloc0 zeroes. kin_regrow keeps the old block valid when it fails. Free with free(). */
void *kin_alloc(kin_ctx *cx, int64_t count, size_t size);
void *kin_alloc0(kin_ctx *cx, int64_t count, size_t size);
void *kin_regrow(kin_ctx *cx, void *old, int64_t count, size_t size);
char *kin_strdup(kin_ctx *cx, const char *s);
/* Formatted string, owned by the caller; NULL on failure. */
char *kin_sprintf(kin_ctx *cx, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whole file into memory (NUL after the last byte, not counted), at most `limit` bytes. */
kin_status kin_read_file(kin_ctx *cx, const char *path, int64_t limit, uint8_t **data, int64_t *size);
/* mkdir -p */
kin_status kin_make_dirs(kin_ctx *cx, const char *path);

/* Letters to change, add or remove between two words (Levenshtein): for "did you mean". Words of more than 31
 * characters count as far. */
int kin_edit_distance(const char *a, const char *b);

double kin_now(void); /* monotonic seconds */
int kin_cores(void);   /* processors that this process may run on */

/* For pointers in structs that serve reading and writing, and here are only read through. */
static inline void *kin_only_read(const void *p)
{
    union {
        const void *in;
        void *out;
    } u;
    u.in = p;
    return u.out;
}

/* What CUDA kernels use too. */
#ifdef __CUDACC__
#define KIN_ANYWHERE __host__ __device__ static inline
#else
#define KIN_ANYWHERE static inline
#endif

static inline int64_t kin_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t kin_max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* FNV-1a, 64 bit; start with KIN_FNV. Names and digests that need no cryptography. */
#define KIN_FNV 0xcbf29ce484222325ull
uint64_t kin_fnv(uint64_t h, const void *data, size_t size);

#endif
