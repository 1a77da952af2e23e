/* backend: one place that computes. Kernels, memory and threads behind one struct of pointers; the
 * rest of kin never asks which one it is. Each backend's constructor lives in its own folder. */
#ifndef KIN_BACKEND_H
#define KIN_BACKEND_H
#include "core/op.h"

/* What was sent: from where it landed to where it is used, both of the device. */
typedef struct kin_sent {
    void *to;
    const void *from;
    int64_t bytes;
} kin_sent;

typedef struct kin_backend kin_backend;
struct kin_backend {
    const char *name;         /* "ref32", "ref64", "cpu-avx512", ... */
    kin_dtype real;           /* what F32 values are stored as: KIN_F32, or KIN_F64 in ref64 */
    const kin_kernel *ops;    /* [KIN_OP_COUNT] */
    const kin_fn_kernel *fns; /* [KIN_FN_COUNT] */
    void *dev;                /* passed to every kernel */
    bool host;                /* kernels work on host memory: what lies there need not be uploaded */
    /* Memory that kernels may use, zeroed, 64-byte aligned, huge pages where there are; NULL on failure. */
    void *(*alloc)(kin_backend *b, int64_t bytes);
    void (*release)(kin_backend *b, void *p, int64_t bytes);
    int64_t (*room)(kin_backend *b); /* bytes that alloc still has; NULL: whatever the system gives */
    void (*upload)(kin_backend *b, void *to, const void *from, int64_t bytes);   /* host -> device */
    void (*download)(kin_backend *b, void *to, const void *from, int64_t bytes); /* device -> host, waits */
    void (*swap)(kin_backend *b, void *x, void *y, int64_t bytes); /* both of the device; multiples of 4 */
    void (*sync)(kin_backend *b);
    /* Sets memory, in order with what is computed. NULL: launches cost nothing here, programs work on the
     * live rows alone. */
    void (*fill)(kin_backend *b, void *to, int byte, int64_t bytes);
    /* What has failed on the device since it was opened, as far as is known without waiting; NULL: nothing
     * can. */
    kin_status (*check)(kin_ctx *cx, kin_backend *b);
    void (*close)(kin_backend *b);
    /* Inputs that go up while the last ones are computed on; NULL where kernels work on host memory. A turn
     * begins (most: bytes that it sends at most, 256 a piece). What is sent is copied away from `from` at
     * once, and goes to `to`, where it only lands: to have it, send_use copies it to where it is computed on,
     * in order with that, and `to` is free for the next turn as soon as those copies are made. */
    void (*send_begin)(kin_backend *b, int64_t most);
    void (*send)(kin_backend *b, void *to, const void *from, int64_t bytes);
    void (*send_use)(kin_backend *b, const kin_sent *sent, int count);
    /* NULL, or: kernels called between record (true) and recorded do not run, and are kept; replay runs them,
     * again and again, with the arguments they were called with. recorded: NULL when they cannot be kept,
     * then they never run, and check says why. */
    bool (*record)(kin_backend *b);
    void *(*recorded)(kin_backend *b);
    void (*replay)(kin_backend *b, void *recording);
    void (*forget)(kin_backend *b, void *recording);
};

/* The scalar specification, in float (KIN_F32) or double (KIN_F64). One thread. */
kin_backend *kin_backend_ref(kin_ctx *cx, kin_dtype real);
/* OpenMP, AVX-512 / AVX2 / plain by what the processor has (isa NULL) or as named; threads 0: all cores.
 * isa: "avx512", "avx2", "plain". KIN_UNSUPPORTED when the processor cannot. */
kin_backend *kin_backend_cpu(kin_ctx *cx, int threads, const char *isa);
/* Whose matrix products a cpu backend uses: "own"; "openblas" (KIN_UNSUPPORTED where it is not installed);
 * "auto", as it is opened (and all that another backend knows): OpenBLAS where kernels/cpu/gemm_table.def
 * says that it is faster. */
kin_status kin_backend_cpu_blas(kin_ctx *cx, kin_backend *b, const char *blas);
static inline void kin_backend_close(kin_backend *b)
{
    if (b) b->close(b);
}

static inline kin_status kin_backend_check(kin_ctx *cx, kin_backend *b)
{
    return b->check ? b->check(cx, b) : KIN_OK;
}

/* F32 values of the device as floats on the host, also where they are stored as f64 (core/backend.c). Waits.
 */
kin_status kin_download_floats(kin_ctx *cx, kin_backend *b, const void *from, int64_t count, float *out);
/* The other way. */
void kin_upload_floats(kin_backend *b, void *to, const float *from, int64_t count);

/* Host memory for arenas: mmap, MADV_HUGEPAGE. Shared by the CPU backends (core/arena.c). NULL also where
 * more is asked for than the machine could give: pages are only taken when they are touched, and then there
 * would be no sentence but a killed process. */
void *kin_pages_alloc(int64_t bytes);
void kin_pages_free(void *p, int64_t bytes);
void kin_pages_swap(kin_backend *b, void *x, void *y, int64_t bytes);
int64_t kin_pages_mapped(int64_t bytes); /* what an arena of so many bytes takes of the address space */
/* Bytes that could be taken now, swap too, at most what the cgroup leaves; 0: not known. */
int64_t kin_memory_available(void);
/* What a cgroup (version 2, its folder) leaves: its limit less what it holds, cached files not counted since
 * they give way; at least 1. INT64_MAX: no limit. */
int64_t kin_memory_of_group(const char *dir);
int64_t kin_pages_resident(const void *p, int64_t bytes); /* how much of it lies in memory now; p NULL: 0 */

#endif
