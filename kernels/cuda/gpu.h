/* gpu: what every CUDA kernel of kin is written with. A .cu file includes this and the headers beside it.
 *
 * The sources are compiled by nvcc, and by g++ over the headers of tests/cuemu, which define LAUNCH, SHARED
 * and DYN_SHARED their own way. Kernels are templates over the type T that activations are stored in;
 * arithmetic, statistics and gradients are f32. Sums have a fixed order: no atomics on floats, cuts by shape
 * alone, so the same call gives the same bits. Nothing is allocated and nothing is read back: what a kernel
 * needs to know (offsets, counts, scalars) it reads on the device. Names of kernels are unique over all
 * files. */
#ifndef KIN_CUDA_GPU_H
#define KIN_CUDA_GPU_H
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "core/plugin.h"
#include "core/rng.h"
}

#ifndef LAUNCH
#define LAUNCH(kernel, grid, block, shared, stream, ...) kernel<<<grid, block, shared, stream>>>(__VA_ARGS__)
#define SHARED(type, name, dims) __shared__ type name dims
#define DYN_SHARED(type, name)                                                                               \
    extern __shared__ __align__(16) unsigned char kin_cuda_dynamic_shared[];                                 \
    type *name = (type *)kin_cuda_dynamic_shared
#endif

/* Side of the tiles in which the losses see their logits. */
#ifndef KIN_CUDA_TILE
#define KIN_CUDA_TILE 2048
#endif
#ifndef KIN_CUDA_WORKSPACE
#define KIN_CUDA_WORKSPACE (32 << 20) /* bytes */
#endif
enum { KIN_CUDA_SUMS = 1024 };

/* upload.cu: one of the two turns of inputs. */
typedef struct kin_cuda_turn {
    char *pinned;
    int64_t bytes, used;
    cudaEvent_t copied; /* out of pinned memory */
} kin_cuda_turn;

typedef struct kin_cuda_dev {
    cudaStream_t stream;
    cublasHandle_t blas;
    void *workspace; /* of cuBLAS: fixed, so that its choices are */
    float *tile;     /* [KIN_CUDA_TILE, KIN_CUDA_TILE] */
    double *sums;    /* [KIN_CUDA_SUMS] partial sums */
    kin_backend backend;
    char name[64];
    kin_status status; /* the first failure, and what it says */
    char trouble[256];
    cudaStream_t uploads;
    kin_cuda_turn turn[2];
    cudaEvent_t taken; /* what has landed on the device is where it is used */
    int now;           /* the turn that is being sent */
    bool fresh;        /* memory was taken since the last turn began */
} kin_cuda_dev;

extern "C" {
#define KIN_OP(name, nin, nout, attr, reads, diff)                                                           \
    void kin_cuda_##name##_fwd(const kin_call *c);                                                           \
    void kin_cuda_##name##_bwd(const kin_call *c);
#include "core/ops.def"
#undef KIN_OP
#define KIN_FN(name, tensors, attr) void kin_cuda_##name(const kin_fn_call *c);
#include "core/fns.def"
#undef KIN_FN
extern const kin_kernel kin_cuda_ops[KIN_OP_COUNT];
extern const kin_fn_kernel kin_cuda_fns[KIN_FN_COUNT];
}

/* backend.cu: keeps the first failure. */
void kin_cuda_note(kin_cuda_dev *d, cudaError_t e, const char *what);
/* What they add to d->backend. */
bool kin_cuda_uploads_open(kin_cuda_dev *d); /* upload.cu; close also after a failure */
void kin_cuda_uploads_close(kin_cuda_dev *d);
void kin_cuda_recordings_open(kin_cuda_dev *d); /* record.cu */

/* One launch on the backend's stream; an empty grid is no work. RUN(d, grid, block, shared, kernel, args...).
 */
#define RUN(d, grid, block, shared, kernel, ...)                                                             \
    do {                                                                                                     \
        const dim3 run_grid_ = grid, run_block_ = block;                                                     \
        if (run_grid_.x && run_grid_.y && run_grid_.z) {                                                     \
            LAUNCH(kernel, run_grid_, run_block_, shared, (d)->stream, __VA_ARGS__);                         \
            kin_cuda_note(d, cudaGetLastError(), #kernel);                                                   \
        }                                                                                                    \
    } while (0)

/* ---- host side ---- */

static inline kin_cuda_dev *dev_of(const kin_call *c)
{
    return (kin_cuda_dev *)c->dev;
}

template <class A> static inline const A *attr_of(const kin_call *c)
{
    return (const A *)c->attr;
}

template <class T> static inline T *ptr(const kin_tensor &t)
{
    return t.rank < 0 ? nullptr : (T *)t.ptr;
}

/* What random numbers of a call hang on: by value, or where a replayed call finds it. */
typedef struct drawing {
    const kin_draw *where;
    kin_draw value;
} drawing;

static inline drawing drawing_of(const kin_call *c)
{
    return {c->draw, {c->rng_key, c->sample0}};
}

__device__ static inline kin_draw draw_now(const drawing &d)
{
    return d.where ? *d.where : d.value;
}

static inline bool wanted(const kin_call *c, int i)
{
    return c->din[i].ptr != nullptr;
}

static inline bool adds(const kin_call *c, int i)
{
    return (c->acc & IN(i)) != 0;
}

static inline void zero(kin_cuda_dev *d, void *p, int64_t bytes)
{
    if (bytes > 0) kin_cuda_note(d, cudaMemsetAsync(p, 0, (size_t)bytes, d->stream), "cudaMemsetAsync");
}

/* For gradients that are scattered, or have no cotangent: zero, unless they are added to. */
static inline void clear(const kin_call *c, int i)
{
    if (wanted(c, i) && !adds(c, i)) zero(dev_of(c), c->din[i].ptr, kin_count(&c->din[i]) * 4);
}

/* True, and everything wanted cleared, when no gradient arrives at output 0. */
static inline bool no_cotangent(const kin_call *c, int inputs)
{
    if (c->dout[0].ptr) return false;
    for (int i = 0; i < inputs; i++) clear(c, i);
    return true;
}

static inline unsigned blocks_for(int64_t count, int64_t each)
{
    const int64_t n = (count + each - 1) / each;
    return (unsigned)(n < 2147483647 ? n : 2147483647);
}

template <class T> static inline kin_dtype type_of();
template <> inline kin_dtype type_of<float>()
{
    return KIN_F32;
}
template <> inline kin_dtype type_of<__nv_bfloat16>()
{
    return KIN_BF16;
}

/* Calls f with a zero of the type that t is stored in. */
template <class F> static inline void by_type(const kin_call *c, const kin_tensor &t, F f)
{
    switch (t.dtype) {
    case KIN_F32: f(0.0f); break;
    case KIN_BF16: f(__nv_bfloat16()); break;
    default: kin_cuda_note(dev_of(c), cudaErrorInvalidValue, "activations that are neither f32 nor bf16");
    }
}

/* gemm.cu: row-major C [m, n] = op(A) op(B) (+ C when add), op(A) is [m, k]; ta: A lies as [k, m], tb: B as
 * [n, k]. Sums are f32, whatever A and B (one type), and C, are stored in. */
typedef struct product {
    bool ta, tb, add;
    int64_t m, n, k;
    const void *a;
    int64_t lda;
    const void *b;
    int64_t ldb;
    void *c;
    int64_t ldc;
    kin_dtype in, out; /* f32 (0) or bf16 */
} product;
void kin_cuda_gemm(kin_cuda_dev *d, const product &p);

/* ---- device side ---- */

enum { KIN_CUDA_BLOCK = 256 };

#define EACH(k, count)                                                                                       \
    int64_t k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;                                              \
    k < (count);                                                                                             \
    k += (int64_t)gridDim.x * blockDim.x

__device__ static inline float load(const float *p)
{
    return *p;
}
__device__ static inline float load(const __nv_bfloat16 *p)
{
    return __bfloat162float(*p);
}
__device__ static inline float load(const __half *p)
{
    return __half2float(*p);
}
__device__ static inline float load(const uint8_t *p)
{
    return (float)*p;
}
__device__ static inline void store(float *p, float v)
{
    *p = v;
}
__device__ static inline void store(__nv_bfloat16 *p, float v)
{
    *p = __float2bfloat16(v);
}
__device__ static inline void store(__half *p, float v)
{
    *p = __float2half(v);
}

__device__ static inline void put(float *to, float v, bool add)
{
    *to = add ? *to + v : v;
}

/* Sequences of a ragged batch (off) or of fixed length (off NULL). Rows behind the last one (a replayed call
 * has as many as its bucket) are a sequence of their own, number `count`, which nobody reads: kernels write
 * zeros there. */
typedef struct ragged {
    const int32_t *off;
    int64_t fixed, count, rows;
} ragged;

static inline ragged ragged_of(const kin_tensor &off, int64_t fixed, int64_t rows)
{
    ragged r;
    r.off = ptr<const int32_t>(off);
    r.fixed = fixed;
    r.rows = rows;
    r.count = off.rank < 0 ? (fixed > 0 ? rows / fixed : 0) : off.dim[0] - 1;
    return r;
}

__device__ static inline int64_t start_of(const ragged &r, int64_t b)
{
    if (b > r.count) return r.rows;
    return r.off ? r.off[b] : b * r.fixed;
}

/* Rows that are read of sequence b. */
__device__ static inline int64_t length_of(const ragged &r, int64_t b)
{
    return b < r.count ? start_of(r, b + 1) - start_of(r, b) : 0;
}

/* The sequence that row m belongs to. */
__device__ static inline int64_t sequence_of(const ragged &r, int64_t m)
{
    if (!r.off) return m / r.fixed;
    int64_t low = 0, high = r.count; /* the last one that starts at or before m */
    while (low < high) {
        const int64_t mid = (low + high + 1) / 2;
        if (r.off[mid] <= m)
            low = mid;
        else
            high = mid - 1;
    }
    return low;
}
#endif
