/* cpu: the fast kernels for processors. Every file here but once_*.c is compiled once per instruction set
 * (KIN_ISA: plain, avx2, avx512) and the best that the processor has is chosen when kin runs.
 *
 * Work is cut by shape alone and reduced in fixed order, so results have the same bits at any thread count.
 * No kernel allocates: what is not in kin_call.scratch lies in the thread's own room. All real tensors are
 * f32 here; cast is the door to bf16 and f16. */
#ifndef KIN_CPU_H
#define KIN_CPU_H
#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/op.h"
#include "kernels/cpu/blas.h"

enum { KIN_CPU_ROOM = 4 << 20, KIN_CPU_PACK = 1 << 20 }; /* bytes a thread: for kernels, for gemm */

typedef struct kin_cpu_dev {
    int threads;
    char *room;         /* threads * (KIN_CPU_ROOM + KIN_CPU_PACK) bytes */
    kin_sgemm_fn sgemm; /* OpenBLAS's, NULL: own products alone */
    bool always;        /* not only where the table says that it is faster */
} kin_cpu_dev;

#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    void kin_cpu_plain_##name##_fwd(const kin_call *c);                                                      \
    void kin_cpu_plain_##name##_bwd(const kin_call *c);                                                      \
    void kin_cpu_avx2_##name##_fwd(const kin_call *c);                                                       \
    void kin_cpu_avx2_##name##_bwd(const kin_call *c);                                                       \
    void kin_cpu_avx512_##name##_fwd(const kin_call *c);                                                     \
    void kin_cpu_avx512_##name##_bwd(const kin_call *c);
#include "core/ops.def"
#undef KIN_OP
#define KIN_FN(name, tensors, attr)                                                                          \
    void kin_cpu_plain_##name(const kin_fn_call *c);                                                         \
    void kin_cpu_avx2_##name(const kin_fn_call *c);                                                          \
    void kin_cpu_avx512_##name(const kin_fn_call *c);
#include "core/fns.def"
#undef KIN_FN

extern const kin_kernel kin_cpu_plain_ops[KIN_OP_COUNT], kin_cpu_avx2_ops[KIN_OP_COUNT],
    kin_cpu_avx512_ops[KIN_OP_COUNT];
extern const kin_fn_kernel kin_cpu_plain_fns[KIN_FN_COUNT], kin_cpu_avx2_fns[KIN_FN_COUNT],
    kin_cpu_avx512_fns[KIN_FN_COUNT];

#ifdef KIN_ISA
#define KIN_CPU_JOIN(isa, name) kin_cpu_##isa##_##name
#define KIN_CPU_NAME(isa, name) KIN_CPU_JOIN(isa, name)
#define CPU(name) KIN_CPU_NAME(KIN_ISA, name)

/* for (i ...) over pieces of work that touch nothing of each other; `threads` must be in scope. Which thread
 * takes which piece never shows in the results. */
#define PARALLEL_FOR _Pragma("omp parallel for schedule(static) num_threads(threads)")
#define PARALLEL_TASKS _Pragma("omp parallel for schedule(dynamic, 1) num_threads(threads)")

/* Threads worth waking for that many pieces. */
static inline int threads_for(const void *dev, int64_t pieces)
{
    const kin_cpu_dev *d = dev;
    return (int)kin_max64(1, kin_min64(d->threads, pieces));
}

/* The calling thread's room of KIN_CPU_ROOM bytes. */
static inline void *room_of(const void *dev)
{
    const kin_cpu_dev *d = dev;
    return d->room + omp_get_thread_num() * (int64_t)(KIN_CPU_ROOM + KIN_CPU_PACK);
}

/* Piece i of n of `total`, in whole multiples of `grain`. */
typedef struct span {
    int64_t from, to;
} span;

static inline int64_t pieces_of(int64_t total, int64_t size)
{
    return (total + size - 1) / size;
}

static inline span piece(int64_t total, int64_t size, int64_t i)
{
    return (span){i * size, kin_min64(total, (i + 1) * size)};
}

static inline span chunk(int64_t rows, int64_t i) /* of kin_chunks(rows) */
{
    const int64_t n = kin_chunks(rows);
    return (span){i * rows / n, (i + 1) * rows / n};
}

/* Rows from .. to - 1 are sequence b. */
static inline span sequence(const kin_tensor *off, int64_t fixed, int64_t b)
{
    if (kin_absent(off)) return (span){b * fixed, (b + 1) * fixed};
    const int32_t *o = off->ptr;
    return (span){o[b], o[b + 1]};
}

static inline int64_t sequences(const kin_tensor *off, int64_t fixed, int64_t rows)
{
    return kin_absent(off) ? rows / fixed : off->dim[0] - 1;
}

static inline bool wanted(const kin_call *c, int i)
{
    return c->din[i].ptr != NULL;
}

static inline bool adds(const kin_call *c, int i)
{
    return (c->acc & IN(i)) != 0;
}

/* For gradients that are scattered, or have no cotangent: zero, unless they are added to. */
static inline void clear(const kin_call *c, int i)
{
    if (wanted(c, i) && !adds(c, i)) memset(c->din[i].ptr, 0, (size_t)kin_count(&c->din[i]) * sizeof(float));
}

/* True, and everything wanted cleared, when no gradient arrives at output 0. */
static inline bool no_cotangent(const kin_call *c, int inputs)
{
    if (c->dout[0].ptr) return false;
    for (int i = 0; i < inputs; i++) clear(c, i);
    return true;
}

static inline void put(float *to, float v, bool add)
{
    *to = add ? *to + v : v;
}

/* Rows of a pointwise piece: about 16 Ki elements. */
static inline int64_t rows_a_piece(int64_t width)
{
    return kin_max64(1, 16384 / kin_max64(1, width));
}

/* gemm.c: one thread's product, C [m, n] = alpha op(A) op(B) (+ C when add), op(A) is [m, k]; ta: A lies as
 * [k, m], tb: B lies as [n, k]. */
typedef struct product {
    bool ta, tb, add;
    int64_t m, n, k;
    float alpha;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float *c;
    int64_t ldc;
    /* Then, on what was just computed: c += bias; z = c; c = act(c). Any may be missing. */
    const float *bias;
    float *z; /* with c's rows */
    int act;
} product;
void CPU(gemm)(const void *dev, const product *p);
/* The same in tiles over the threads, each by this or by OpenBLAS (once_blas.c). */
void CPU(gemm_tiles)(const void *dev, const product *p);

/* act.c: rows of n. dx (+)= dy * act'(x). */
void CPU(act_row)(int kind, int64_t n, const float *x, float *y);
void CPU(slope_row)(int kind, int64_t n, const float *x, const float *dy, float *dx, bool add);
#endif
#endif
