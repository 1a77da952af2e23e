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
struct graph {
    std::vector<std::function<void()>> work;
    bool broken; /* something came that no graph can hold */
};
struct stream {
    std::deque<std::function<void()>> work;
    int64_t sent, done;
    graph *recording; /* not NULL: what comes is written down, not done */
    bool first;       /* of all streams */
};
struct event {
    stream *on;
    int64_t at;
};

static order_kind order = ASCENDING;
static int lazy = 1;
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
    if (s->done == until) return;
    const opened device; /* no host code runs in between */
    while (s->done < until) {
        const std::function<void()> next = std::move(s->work.front());
        s->work.pop_front();
        s->done++;
        next();
    }
}

bool is_lazy()
{
    return lazy != 0;
}

bool recording(const stream *s)
{
    return s->recording != nullptr;
}

void drain_all()
{
    for (stream *s : streams) drain(s, s->sent);
}

void enqueue(stream *s, std::function<void()> work)
{
    if (s->recording) {
        s->recording->work.push_back(std::move(work));
        return;
    }
    s->work.push_back(std::move(work));
    s->sent++;
    if (!lazy || (lazy == 2 && !s->first)) drain(s, s->sent);
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
    *s = new stream();
    (*s)->first = streams.empty();
    streams.push_back(*s);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    drain(s, s->sent);
    streams.erase(std::find(streams.begin(), streams.end(), s));
    delete s;
    return cudaSuccess;
}

/* While a stream is recorded nobody may wait for it: the recording is lost, as in CUDA. */
static cudaError_t not_recorded(stream *s)
{
    if (!s->recording) return cudaSuccess;
    s->recording->broken = true;
    cuemu_fail(cudaErrorStreamCaptureUnsupported);
    return cudaErrorStreamCaptureUnsupported;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    const cudaError_t e = not_recorded(s);
    if (e == cudaSuccess) drain(s, s->sent);
    return e;
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

/* Events inside a recording would be forks of it, which kin has none of. */
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    const cudaError_t failed = not_recorded(s);
    if (failed == cudaSuccess) *e = {s, s->sent};
    return failed;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    if (e->on) drain(e->on, e->at);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    const event now = *e;
    const cudaError_t failed = not_recorded(s);
    if (failed == cudaSuccess && now.on) enqueue(s, [now] { drain(now.on, now.at); });
    return failed;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    if (s->recording) return cudaErrorInvalidValue;
    s->recording = new graph();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    *g = s->recording;
    s->recording = nullptr;
    if (!*g) return cudaErrorInvalidValue;
    if (!(*g)->broken) return cudaSuccess;
    delete *g;
    *g = nullptr;
    return cudaErrorStreamCaptureInvalidated;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long)
{
    launches["cudaGraphInstantiate"]++;
    *e = new graph(*g);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t s)
{
    const cudaError_t failed = not_recorded(s);
    if (failed != cudaSuccess) return failed;
    launches["cudaGraphLaunch"]++;
    for (const auto &each : g->work) enqueue(s, each);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete g;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g)
{
    delete g;
    return cudaSuccess;
}

void cuemu_set(int how, uint64_t seed, int is_lazy, int64_t memory)
{
    drain_all();
    order = (order_kind)how;
    random_state = seed * 2 + 1;
    lazy = is_lazy;
    capacity = memory > 0 ? (size_t)memory : (size_t)4 << 30;
}

int64_t cuemu_launches(const char *name)
{
    const auto it = launches.find(name);
    return it == launches.end() ? 0 : it->second;
}
