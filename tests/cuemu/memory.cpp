/* Device memory lies in pages of its own, between pages that nobody may touch, and is closed while host code
 * runs. It is filled with 0xff (NaN) when allocated, and the bytes around an allocation are watched. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <map>

#include <cuda_runtime.h>

namespace cuemu
{
enum { PAGE = 4096, EDGE = 64 };
size_t capacity = (size_t)4 << 30;
static size_t used;
static int depth;

struct block {
    size_t bytes, mapped; /* mapped: without the guard pages */
    char *pages;
};
static std::map<const char *, block> device;
static std::map<const char *, size_t> host_pinned;
static cudaError_t last;

static const std::pair<const char *const, block> *find(const void *p)
{
    auto it = device.upper_bound((const char *)p);
    if (it == device.begin()) return nullptr;
    --it;
    return (const char *)p < it->second.pages + it->second.mapped ? &*it : nullptr;
}

bool on_device(const void *p, size_t bytes)
{
    const auto *b = find(p);
    if (!b) return false;
    const size_t at = (size_t)((const char *)p - b->first);
    return at <= b->second.bytes && bytes <= b->second.bytes - at;
}

bool pinned(const void *p)
{
    auto it = host_pinned.upper_bound((const char *)p);
    return it != host_pinned.begin() && (--it, (const char *)p < it->first + it->second);
}

static void protect(int how)
{
    for (const auto &b : device) mprotect(b.second.pages, b.second.mapped, how);
}

opened::opened()
{
    if (depth++ == 0) protect(PROT_READ | PROT_WRITE);
}

opened::~opened()
{
    check_edges();
    if (--depth == 0) protect(PROT_NONE);
}

static bool is_edge(const char *p)
{
    for (int i = 0; i < EDGE; i++)
        if (p[i] != (char)0xee) return false;
    return true;
}

void check_edges()
{
    for (const auto &b : device) {
        const char *end = b.first + b.second.bytes;
        if (!is_edge(b.first - EDGE) || !is_edge(end))
            fault("device memory was written %s an allocation of %zu bytes",
                  is_edge(end) ? "before" : "after", b.second.bytes);
    }
}

/* A touch of closed device memory, or of a guard page. */
static struct sigaction before;
static void on_fault(int number, siginfo_t *info, void *context)
{
    const char *at = (const char *)info->si_addr;
    if (find(at) && depth == 0) {
        fprintf(stderr, "cuemu: host code touches device memory at %p\n", info->si_addr);
        abort();
    }
    if (depth && (find(at + PAGE) || find(at - PAGE)))
        fault("memory at %p is not part of an allocation", (const void *)at);
    sigaction(number, &before, nullptr);
    (void)context; /* the instruction runs again, and ends as it would have */
}

/* At every allocation: a test harness may have taken the signal in between. */
static void catch_faults()
{
    struct sigaction a;
    sigaction(SIGSEGV, nullptr, &a);
    if ((a.sa_flags & SA_SIGINFO) && a.sa_sigaction == on_fault) return;
    before = a;
    memset(&a, 0, sizeof a);
    a.sa_sigaction = on_fault;
    a.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &a, nullptr);
}

void check_argument(const char *kernel, int index, const void *argument, size_t bytes)
{
    for (size_t i = 0; i + sizeof(uintptr_t) <= bytes; i += sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, (const char *)argument + i, sizeof word);
        if (word >> 44 < 5 || word >> 47) continue; /* no address of this process */
        unsigned char in_memory;
        if (on_device((const void *)word, 0) ||
            mincore((void *)(word & ~(uintptr_t)(PAGE - 1)), 1, &in_memory))
            continue; /* or it is padding, or two numbers */
        fprintf(stderr, "cuemu: kernel %s: argument %d holds %p, which is not a device pointer\n", kernel,
                index, (const void *)word);
        abort();
    }
}
} // namespace cuemu

using namespace cuemu;

static cudaError_t failed(cudaError_t e)
{
    return last = e;
}

cudaError_t cudaGetLastError()
{
    const cudaError_t e = last;
    last = cudaSuccess;
    return e;
}

void cuemu_fail(cudaError_t e);
void cuemu_fail(cudaError_t e)
{
    last = e;
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    }
    return "unknown error";
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = getenv("CUEMU_NO_DEVICE") ? 0 : 1;
    return *count ? cudaSuccess : failed(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int index)
{
    return index == 0 ? cudaSuccess : failed(cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    memset(p, 0, sizeof *p);
    strcpy(p->name, "an emulated GPU");
    p->totalGlobalMem = capacity;
    p->major = 8;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    *free = used < capacity ? capacity - used : 0;
    *total = capacity;
    return cudaSuccess;
}

/* [guard page][... EDGE][bytes][EDGE ...][guard page], 256-byte aligned as cudaMalloc's. */
cudaError_t cudaMalloc(void **p, size_t bytes)
{
    *p = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (used > capacity || bytes > capacity - used) return failed(cudaErrorMemoryAllocation);
    catch_faults();
    const size_t mapped = (256 + bytes + EDGE + PAGE - 1) / PAGE * PAGE;
    void *all =
        mmap(nullptr, mapped + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return failed(cudaErrorMemoryAllocation);
    char *pages = (char *)all + PAGE, *at = pages + 256;
    mprotect(pages, mapped, PROT_READ | PROT_WRITE);
    memset(at - EDGE, 0xee, EDGE);
    memset(at, 0xff, bytes);
    memset(at + bytes, 0xee, EDGE);
    if (depth == 0) mprotect(pages, mapped, PROT_NONE);
    device[at] = {bytes, mapped, pages};
    used += bytes;
    *p = at;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    if (!p) return cudaSuccess;
    cudaDeviceSynchronize();
    const auto it = device.find((const char *)p);
    if (it == device.end()) return failed(cudaErrorInvalidValue);
    used -= it->second.bytes;
    munmap(it->second.pages - PAGE, it->second.mapped + 2 * PAGE);
    device.erase(it);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    *p = malloc(bytes ? bytes : 1);
    if (!*p) return failed(cudaErrorMemoryAllocation);
    host_pinned[(const char *)*p] = bytes;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    cudaDeviceSynchronize();
    host_pinned.erase((const char *)p);
    free(p);
    return cudaSuccess;
}

/* From memory that is not pinned a copy is taken now; into it, the copy is over when the call returns. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t s)
{
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (bytes == 0) return cudaSuccess;
    if ((to_device ? !on_device(to, bytes) : on_device(to, 1)) ||
        (from_device ? !on_device(from, bytes) : on_device(from, 1)))
        return failed(cudaErrorInvalidValue);
    const bool pageable = (!from_device && !pinned(from)) || (!to_device && !pinned(to));
    if (recording(s) && pageable)
        fault("a copy of memory that is not pinned is recorded: a replay would read or write it whenever it "
              "comes");
    if (!from_device && !pinned(from)) {
        void *staged = malloc(bytes);
        if (!staged) return failed(cudaErrorMemoryAllocation);
        memcpy(staged, from, bytes);
        enqueue(s, [=] {
            const opened d;
            memcpy(to, staged, bytes);
            free(staged);
        });
        return cudaSuccess;
    }
    enqueue(s, [=] {
        const opened d;
        memmove(to, from, bytes);
    });
    if (!to_device && !pinned(to)) return cudaStreamSynchronize(s);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s)
{
    if (bytes == 0) return cudaSuccess;
    if (!on_device(p, bytes)) return failed(cudaErrorInvalidValue);
    enqueue(s, [=] {
        const opened d;
        memset(p, value, bytes);
    });
    return cudaSuccess;
}
