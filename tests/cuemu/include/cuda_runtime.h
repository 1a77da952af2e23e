/* cuda_runtime: the part of CUDA's language and runtime API that kin uses, on a processor. See ../README.md.
 */
#ifndef CUEMU_CUDA_RUNTIME_H
#define CUEMU_CUDA_RUNTIME_H
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tuple>
#include <type_traits>

#include "tests/cuemu/emulator.h"

/* ---- language ---- */

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#ifndef __restrict__
#define __restrict__ __restrict
#endif

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

#define threadIdx (cuemu::thread())
#define blockIdx (cuemu::grid().block)
#define blockDim (cuemu::grid().threads)
#define gridDim (cuemu::grid().blocks)

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}
#define __expf(x) expf(x)
#define __logf(x) logf(x)

static inline unsigned __float_as_uint(float f)
{
    unsigned u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float __uint_as_float(unsigned u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

/* ---- shared memory: one piece for each place that declares it, poisoned before every block ---- */

#define SHARED(type, name, dims)                                                                             \
    typedef type name##_shared dims;                                                                         \
    static const char name##_place = 0;                                                                      \
    name##_shared &name = *(name##_shared *)cuemu::shared(&name##_place, sizeof(name##_shared))
#define DYN_SHARED(type, name) type *name = (type *)cuemu::dynamic_shared()

/* ---- barriers and warp operations: macros, so that a report can name the place ---- */

#define CUEMU_HERE (cuemu::place{__FILE__, __LINE__})
#define __syncthreads() cuemu::barrier(CUEMU_HERE)
#define __syncwarp(...) ((void)cuemu::meet(cuemu::mask_or_all(__VA_ARGS__), nullptr, 0, CUEMU_HERE))
#define __shfl_sync(mask, v, lane) cuemu::shuffle(mask, v, lane, CUEMU_HERE)
#define __shfl_xor_sync(mask, v, bits) cuemu::shuffle(mask, v, cuemu::lane() ^ (bits), CUEMU_HERE)
#define __shfl_down_sync(mask, v, by)                                                                        \
    cuemu::shuffle(mask, v, cuemu::lane() + (by) < 32 ? cuemu::lane() + (by) : cuemu::lane(), CUEMU_HERE)
#define __shfl_up_sync(mask, v, by)                                                                          \
    cuemu::shuffle(mask, v, cuemu::lane() < (by) ? cuemu::lane() : cuemu::lane() - (by), CUEMU_HERE)
#define __ballot_sync(mask, p) cuemu::ballot(mask, p, CUEMU_HERE)
#define __any_sync(mask, p) (cuemu::ballot(mask, p, CUEMU_HERE) != 0)
#define __all_sync(mask, p) (cuemu::ballot(mask, !(p), CUEMU_HERE) == 0)

/* ---- atomics: on integers alone, for sums of floats would depend on the order ---- */

static inline void __threadfence()
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

template <class T> static inline T atomicAdd(T *p, T v)
{
    static_assert(std::is_integral<T>::value, "atomics on floats give other bits in another order");
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

/* ---- runtime ---- */

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorNoDevice = 100,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901
} cudaError_t;

enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };

typedef cuemu::stream *cudaStream_t;
typedef cuemu::event *cudaEvent_t;
typedef cuemu::graph *cudaGraph_t, *cudaGraphExec_t;

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor;
};

const char *cudaGetErrorString(cudaError_t e);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaMalloc(void **p, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaMallocHost(void **p, size_t bytes);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t s);
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s);
cudaError_t cudaGraphDestroy(cudaGraph_t g);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e);

template <class... P>
static inline cudaError_t cudaFuncSetAttribute(void (*k)(P...), cudaFuncAttribute, int v)
{
    cuemu::allow_shared((const void *)k, (size_t)v);
    return cudaSuccess;
}

/* LAUNCH(kernel, grid, block, shared, stream, arguments...); a template as LAUNCH((k<T>), ...). */
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                                     \
    cuemu_launch(#kernel, kernel, grid, block, shared, stream, __VA_ARGS__)

template <class... P, class... A>
static inline void cuemu_launch(const char *name, void (*k)(P...), dim3 grid, dim3 block, size_t shared,
                                cudaStream_t s, A... a)
{
    std::tuple<P...> args(a...);
    int index = 0;
    std::apply([](P &...each) { (__builtin_clear_padding(&each), ...); },
               args); /* else it looks like pointers */
    std::apply([&](const P &...each) { (cuemu::check_argument(name, index++, &each, sizeof each), ...); },
               args);
    cuemu::launch({name, (const void *)k, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared}, s,
                  [k, args] { std::apply(k, args); });
}

#endif
