/* The CUDA backend and the one symbol that the plug-in exports. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/gpu.h"

void kin_cuda_note(kin_cuda_dev *d, cudaError_t e, const char *what)
{
    if (e == cudaSuccess || d->status != KIN_OK) return;
    d->status = e == cudaErrorMemoryAllocation ? KIN_NOMEM : KIN_INTERNAL;
    snprintf(d->trouble, sizeof d->trouble, "%s on %s: %s", what, d->name, cudaGetErrorString(e));
}

static kin_cuda_dev *dev(kin_backend *b)
{
    return (kin_cuda_dev *)b->dev;
}

static void *alloc(kin_backend *b, int64_t bytes)
{
    void *p = nullptr;
    if (bytes < 0 || cudaMalloc(&p, bytes ? (size_t)bytes : 1) != cudaSuccess) {
        cudaGetLastError(); /* the caller says what it was for */
        return nullptr;
    }
    zero(dev(b), p, bytes);
    dev(b)->fresh = true;
    return p;
}

static void release(kin_backend *b, void *p, int64_t bytes)
{
    (void)bytes;
    kin_cuda_note(dev(b), cudaFree(p), "cudaFree");
}

static int64_t room(kin_backend *b)
{
    size_t left = 0, all = 0;
    kin_cuda_note(dev(b), cudaMemGetInfo(&left, &all), "cudaMemGetInfo");
    return (int64_t)left;
}

static void upload(kin_backend *b, void *to, const void *from, int64_t bytes)
{
    if (bytes > 0)
        kin_cuda_note(dev(b),
                      cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyHostToDevice, dev(b)->stream),
                      "copying to the GPU");
}

static void sync(kin_backend *b)
{
    kin_cuda_note(dev(b), cudaStreamSynchronize(dev(b)->stream), "waiting for the GPU");
}

static void fill(kin_backend *b, void *to, int byte, int64_t bytes)
{
    if (bytes > 0)
        kin_cuda_note(dev(b), cudaMemsetAsync(to, byte, (size_t)bytes, dev(b)->stream), "cudaMemsetAsync");
}

static void download(kin_backend *b, void *to, const void *from, int64_t bytes)
{
    if (bytes > 0)
        kin_cuda_note(dev(b),
                      cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyDeviceToHost, dev(b)->stream),
                      "copying from the GPU");
    sync(b);
}

static __global__ void backend_swap(int64_t count, float *a, float *b)
{
    for (EACH(k, count)) {
        const float v = a[k];
        a[k] = b[k];
        b[k] = v;
    }
}

static void swap(kin_backend *b, void *x, void *y, int64_t bytes)
{
    RUN(dev(b), dim3(blocks_for(bytes / 4, KIN_CUDA_BLOCK)), dim3(KIN_CUDA_BLOCK), 0, backend_swap, bytes / 4,
        (float *)x, (float *)y);
}

static kin_status check(kin_ctx *cx, kin_backend *b)
{
    const kin_cuda_dev *d = dev(b);
    return d->status == KIN_OK ? KIN_OK : kin_fail(cx, d->status, "%s", d->trouble);
}

static void close(kin_backend *b)
{
    kin_cuda_dev *d = dev(b);
    if (d->blas) cublasDestroy(d->blas);
    kin_cuda_uploads_close(d);
    if (d->stream) cudaStreamDestroy(d->stream);
    cudaFree(d->workspace);
    cudaFree(d->tile);
    cudaFree(d->sums);
    free(d);
}

static bool take(void **p, size_t bytes)
{
    return cudaMalloc(p, bytes) == cudaSuccess;
}

static bool open_device(kin_cuda_dev *d)
{
    return cudaSetDevice(0) == cudaSuccess &&
           cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking) == cudaSuccess &&
           kin_cuda_uploads_open(d) && take(&d->workspace, KIN_CUDA_WORKSPACE) &&
           take((void **)&d->tile, sizeof(float) * KIN_CUDA_TILE * KIN_CUDA_TILE) &&
           take((void **)&d->sums, sizeof(double) * KIN_CUDA_SUMS) &&
           cublasCreate(&d->blas) == CUBLAS_STATUS_SUCCESS &&
           cublasSetStream(d->blas, d->stream) == CUBLAS_STATUS_SUCCESS &&
           cublasSetWorkspace(d->blas, d->workspace, KIN_CUDA_WORKSPACE) == CUBLAS_STATUS_SUCCESS;
}

static kin_backend *open_backend(kin_ctx *cx)
{
    int count = 0;
    const cudaError_t e = cudaGetDeviceCount(&count);
    if (e != cudaSuccess || count < 1) {
        kin_fail(cx, KIN_UNSUPPORTED, "device = cuda: there is no NVIDIA GPU that can be used here (%s)",
                 e == cudaSuccess ? "none was found" : cudaGetErrorString(e));
        return nullptr;
    }
    kin_cuda_dev *d = (kin_cuda_dev *)kin_alloc0(cx, 1, sizeof *d);
    if (!d) return nullptr;
    kin_backend *b = &d->backend;
    b->dev = d;
    cudaDeviceProp p;
    if (cudaGetDeviceProperties(&p, 0) != cudaSuccess || p.major < 8 || !open_device(d)) {
        const cudaError_t why = cudaGetLastError();
        if (why == cudaSuccess)
            kin_fail(cx, KIN_UNSUPPORTED,
                     "device = cuda: %s is too old; a GPU of compute capability 8.0 or more is "
                     "needed",
                     p.name);
        else
            kin_fail(cx, why == cudaErrorMemoryAllocation ? KIN_NOMEM : KIN_UNSUPPORTED,
                     "device = cuda: %s cannot be used: %s", p.name, cudaGetErrorString(why));
        close(b);
        return nullptr;
    }
    snprintf(d->name, sizeof d->name, "cuda (%.50s)", p.name);
    b->name = d->name;
    b->real = KIN_F32;
    b->ops = kin_cuda_ops;
    b->fns = kin_cuda_fns;
    b->host = false;
    b->alloc = alloc;
    b->release = release;
    b->room = room;
    b->upload = upload;
    b->download = download;
    b->swap = swap;
    b->sync = sync;
    b->fill = fill;
    b->check = check;
    kin_cuda_recordings_open(d);
    b->close = close;
    return b;
}

extern "C" {
extern __attribute__((visibility("default"))) const kin_plugin kin_plugin_v1;
const kin_plugin kin_plugin_v1 = {KIN_PLUGIN_ABI, kin_ops_hash(), "cuda", open_backend};
}
