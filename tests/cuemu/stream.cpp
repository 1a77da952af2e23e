/* Streams are queues of work. Lazy ones run nothing before something waits for it. */
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include <cuda_runtime.h>

namespace cuemu
{
struct stream {
    std::deque<std::function<void()>> work;
    int64_t sent, done;
};
struct event {
    stream *on;
    int64_t at;
};

static order_kind order = ASCENDING;
static bool lazy = true;
static uint64_t random_state = 1;
static std::vector<stream *> streams;
static std::map<std::string, int64_t> launches;
static std::map<const void *, size_t> shared_limits;

void permute(int *v, int n)
{
    if (order == DESCENDING) std::reverse(v, v + n);
    for (int i = n; order == SHUFFLED && i > 1; i--) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        std::swap(v[i - 1], v[(random_state >> 33) % (unsigned)i]);
    }
}

static void drain(stream *s, int64_t until)
{
    while (s->done < until) {
        const std::function<void()> next = std::move(s->work.front());
        s->work.pop_front();
        s->done++;
        next();
    }
}

bool is_lazy()
{
    return lazy;
}

void drain_all()
{
    for (stream *s : streams) drain(s, s->sent);
}

void enqueue(stream *s, std::function<void()> work)
{
    s->work.push_back(std::move(work));
    s->sent++;
    if (!lazy) drain(s, s->sent);
}

void allow_shared(const void *kernel, size_t bytes)
{
    shared_limits[kernel] = bytes;
}

size_t allowed_shared(const void *kernel)
{
    const auto it = shared_limits.find(kernel);
    return it == shared_limits.end() ? 48 << 10 : it->second;
}

/* "(norm_fwd<T, 4>)" is norm_fwd. */
static std::string base_name(const char *text)
{
    const size_t from = strspn(text, "( ");
    return std::string(text + from, strcspn(text + from, "<) "));
}
} // namespace cuemu

void cuemu_fail(cudaError_t e);

namespace cuemu
{
void launch(const launch_shape &l, stream *s, std::function<void()> body)
{
    const triple g = l.blocks, b = l.threads;
    const uint64_t threads = (uint64_t)b.x * b.y * b.z;
    if (threads == 0 || threads > 1024 || b.z > 64 || !g.x || !g.y || !g.z || g.x > 2147483647u ||
        g.y > 65535 || g.z > 65535 || l.shared > allowed_shared(l.kernel) || l.shared > 227 << 10) {
        cuemu_fail(cudaErrorInvalidConfiguration);
        return;
    }
    launches[base_name(l.name)]++;
    enqueue(s, [l, body] { run_grid(l, body); });
}
} // namespace cuemu

using namespace cuemu;

cudaError_t cudaDeviceSynchronize()
{
    drain_all();
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    streams.push_back(*s = new stream());
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    drain(s, s->sent);
    streams.erase(std::find(streams.begin(), streams.end(), s));
    delete s;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    drain(s, s->sent);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = new event();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    delete e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    *e = {s, s->sent};
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    if (e->on) drain(e->on, e->at);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    const event now = *e;
    if (now.on) enqueue(s, [now] { drain(now.on, now.at); });
    return cudaSuccess;
}

void cuemu_set(int how, uint64_t seed, int is_lazy, int64_t memory)
{
    drain_all();
    order = (order_kind)how;
    random_state = seed * 2 + 1;
    lazy = is_lazy != 0;
    capacity = memory > 0 ? (size_t)memory : (size_t)4 << 30;
}

int64_t cuemu_launches(const char *name)
{
    const auto it = launches.find(name);
    return it == launches.end() ? 0 : it->second;
}
