/* Inputs go up on a stream of their own, out of pinned memory, while the last ones are still computed on.
 * They land beside those and are copied over them, by the device, when it is their turn, so that what
 * computes finds them in one place (a recording holds it). Two turns of pinned memory alternate. Events order
 * the host's writing, the copies up and the copies over. */
#include <string.h>

#include "kernels/cuda/gpu.h"

enum { ALIGNED = 256 };

static kin_cuda_dev *dev(kin_backend *b)
{
    return (kin_cuda_dev *)b->dev;
}

static void make_room(kin_cuda_dev *d, kin_cuda_turn *t, int64_t most)
{
    if (t->bytes >= most) return;
    cudaFreeHost(t->pinned);
    t->bytes = 0;
    t->pinned = nullptr;
    const cudaError_t e = cudaMallocHost((void **)&t->pinned, (size_t)most);
    kin_cuda_note(d, e, "pinned memory for inputs");
    if (e == cudaSuccess) t->bytes = most;
}

static void begin(kin_backend *b, int64_t most)
{
    kin_cuda_dev *d = dev(b);
    kin_cuda_note(d, cudaEventRecord(d->turn[d->now].copied, d->uploads), "cudaEventRecord");
    if (d->fresh) b->sync(b); /* new memory is zeroed on the other stream */
    d->fresh = false;
    d->now = !d->now;
    kin_cuda_turn *t = &d->turn[d->now];
    /* The host waits for the copies out of this turn's pinned memory; the copies for what has landed to be
     * taken. */
    kin_cuda_note(d, cudaEventSynchronize(t->copied), "waiting for copies to the GPU");
    kin_cuda_note(d, cudaStreamWaitEvent(d->uploads, d->taken, 0), "cudaStreamWaitEvent");
    make_room(d, t, most);
    t->used = 0;
}

static void send(kin_backend *b, void *to, const void *from, int64_t bytes)
{
    kin_cuda_dev *d = dev(b);
    kin_cuda_turn *t = &d->turn[d->now];
    if (bytes <= 0) return;
    if (bytes > t->bytes - t->used) {
        kin_cuda_note(d, cudaErrorInvalidValue, "more inputs than there is pinned memory for");
        return;
    }
    char *at = t->pinned + t->used;
    memcpy(at, from, (size_t)bytes);
    t->used += kin_min64(t->bytes - t->used, (bytes + ALIGNED - 1) / ALIGNED * ALIGNED);
    kin_cuda_note(d, cudaMemcpyAsync(to, at, (size_t)bytes, cudaMemcpyHostToDevice, d->uploads),
                  "copying to the GPU");
}

static void use(kin_backend *b, const kin_sent *sent, int count)
{
    kin_cuda_dev *d = dev(b);
    kin_cuda_turn *t = &d->turn[d->now];
    kin_cuda_note(d, cudaEventRecord(t->copied, d->uploads), "cudaEventRecord");
    kin_cuda_note(d, cudaStreamWaitEvent(d->stream, t->copied, 0), "cudaStreamWaitEvent");
    for (int i = 0; i < count; i++)
        kin_cuda_note(d,
                      cudaMemcpyAsync(sent[i].to, sent[i].from, (size_t)sent[i].bytes,
                                      cudaMemcpyDeviceToDevice, d->stream),
                      "taking what was sent to the GPU");
    kin_cuda_note(d, cudaEventRecord(d->taken, d->stream), "cudaEventRecord");
}

bool kin_cuda_uploads_open(kin_cuda_dev *d)
{
    for (kin_cuda_turn &t : d->turn)
        if (cudaEventCreateWithFlags(&t.copied, cudaEventDisableTiming) != cudaSuccess) return false;
    d->backend.send_begin = begin;
    d->backend.send = send;
    d->backend.send_use = use;
    return cudaEventCreateWithFlags(&d->taken, cudaEventDisableTiming) == cudaSuccess &&
           cudaStreamCreateWithFlags(&d->uploads, cudaStreamNonBlocking) == cudaSuccess;
}

void kin_cuda_uploads_close(kin_cuda_dev *d)
{
    if (d->uploads) cudaStreamDestroy(d->uploads);
    if (d->taken) cudaEventDestroy(d->taken);
    for (kin_cuda_turn &t : d->turn) {
        if (t.copied) cudaEventDestroy(t.copied);
        cudaFreeHost(t.pinned);
    }
}
