/* cuemu's own tests: right kernels give right results in every order of threads, wrong ones are reported. A
 * fault ends the process, so each wrong kernel runs in a child whose report is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

#include <cublas_v2.h>
#include <tensor.h>

static cudaStream_t stream;

static int setup(void **)
{
    return cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess ? 0 : 1;
}

static int teardown(void **)
{
    return cudaStreamDestroy(stream) == cudaSuccess ? 0 : 1;
}

template <class T> static T *device(int64_t n)
{
    void *p;
    assert_int_equal(cudaMalloc(&p, (size_t)n * sizeof(T)), cudaSuccess);
    return (T *)p;
}

template <class T> static void to_device(T *to, const T *from, int64_t n)
{
    assert_int_equal(cudaMemcpyAsync(to, from, (size_t)n * sizeof(T), cudaMemcpyHostToDevice, stream),
                     cudaSuccess);
}

template <class T> static void to_host(T *to, const T *from, int64_t n)
{
    assert_int_equal(cudaMemcpyAsync(to, from, (size_t)n * sizeof(T), cudaMemcpyDeviceToHost, stream),
                     cudaSuccess);
}

enum { ORDERS = 4 };
static void set_order(int i)
{
    cuemu_set(i < 2 ? i : 2, (uint64_t)i, 1, 0);
}

/* ---- right kernels ---- */

/* The sum of n values over a block, by a tree in shared memory, then by shuffles. */
static __global__ void tree_sum(int n, const float *x, float *out)
{
    DYN_SHARED(float, room);
    const int t = (int)threadIdx.x;
    room[t] = t < n ? x[t] : 0.0f;
    for (int half = (int)blockDim.x / 2; half >= 32; half /= 2) {
        __syncthreads();
        if (t < half) room[t] += room[t + half];
    }
    __syncthreads();
    if (t >= 32) return;
    float v = room[t];
    for (int by = 16; by > 0; by /= 2) v += __shfl_down_sync(0xffffffffu, v, by);
    if (t == 0) *out = v;
}

static void barriers_and_shuffles(void **)
{
    float x[200], sum = 0.0f, got;
    for (int i = 0; i < 200; i++) sum += x[i] = (float)(i % 17);
    float *in = device<float>(200), *out = device<float>(1);
    for (int i = 0; i < ORDERS; i++) {
        set_order(i);
        to_device(in, x, 200);
        LAUNCH(tree_sum, 1, 256, 256 * sizeof(float), stream, 200, in, out);
        to_host(&got, out, 1);
        assert_true(got == sum);
    }
    cudaFree(in);
    cudaFree(out);
}

/* Half-warps do different numbers of operations, then the whole warp meets. */
static __global__ void masks(int *out)
{
    const int lane = (int)threadIdx.x;
    int v = lane;
    if (lane < 16)
        for (int by = 8; by > 0; by /= 2) v += __shfl_xor_sync(0x0000ffffu, v, by);
    const unsigned odd = __ballot_sync(0xffffffffu, lane & 1);
    const int first = __shfl_sync(0xffffffffu, v, 0), up = __shfl_up_sync(0xffffffffu, lane, 1);
    out[lane] = first + __popc(odd) * 1000 + up * 100000 + __any_sync(0xffffffffu, lane == 40) +
                __all_sync(0xffffffffu, lane < 32) * 100;
}

static void parts_of_a_warp(void **)
{
    int got[32];
    int *out = device<int>(32);
    for (int i = 0; i < ORDERS; i++) {
        set_order(i);
        LAUNCH(masks, 1, 32, 0, stream, out);
        to_host(got, out, 32);
        for (int k = 0; k < 32; k++) assert_int_equal(got[k], 120 + 16100 + (k ? k - 1 : 0) * 100000);
    }
    cudaFree(out);
}

static __global__ void grid_numbers(int *out)
{
    const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] += (int)(block * 100 + thread);
    atomicAdd(out + 2 * 3 * 2 * 3 * 2 * 2, 1);
}

static void three_dimensions_and_atomics(void **)
{
    enum { COUNT = 12 * 12 };
    int got[COUNT + 1];
    int *out = device<int>(COUNT + 1);
    set_order(3);
    cudaMemsetAsync(out, 0, sizeof got, stream);
    LAUNCH(grid_numbers, dim3(2, 3, 2), dim3(3, 2, 2), 0, stream, out);
    to_host(got, out, COUNT + 1);
    for (int i = 0; i < COUNT; i++) assert_int_equal(got[i], i / 12 * 100 + i % 12);
    assert_int_equal(got[COUNT], COUNT);
    assert_int_equal(cuemu_launches("grid_numbers"), 1);
    cudaFree(out);
}

static __global__ void unwritten(const float *x, int *out)
{
    SHARED(float, room, [8]);
    DYN_SHARED(float, more);
    out[threadIdx.x] = isnan(room[threadIdx.x]) && isnan(more[threadIdx.x]) && isnan(x[threadIdx.x]);
    room[threadIdx.x] = more[threadIdx.x] = 1.0f; /* the next block finds NaN again */
}

static void what_nobody_wrote_is_no_number(void **)
{
    int got[8];
    float *x = device<float>(8);
    int *out = device<int>(8);
    set_order(0);
    LAUNCH(unwritten, 3, 8, 8 * sizeof(float), stream, x, out);
    to_host(got, out, 8);
    for (int i = 0; i < 8; i++) assert_int_equal(got[i], 1);
    cudaFree(x);
    cudaFree(out);
}

static __global__ void fill(int n, int v, int *out)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) out[i] = v;
}

/* Work waits for who waits for it; what is in pinned memory is read as late as a GPU may. */
static void streams_are_lazy(void **)
{
    set_order(0);
    cudaStream_t other;
    cudaEvent_t ready;
    void *p;
    assert_int_equal(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming), cudaSuccess);
    assert_int_equal(cudaMallocHost(&p, 2 * sizeof(int)), cudaSuccess);
    int *pinned = (int *)p, *out = device<int>(1), pageable = 5;
    pinned[0] = pinned[1] = -1;
    LAUNCH(fill, 1, 1, 0, other, 1, 7, out);
    cudaMemcpyAsync(pinned, out, sizeof(int), cudaMemcpyDeviceToHost, other);
    cudaEventRecord(ready, other);
    assert_int_equal(pinned[0], -1); /* a missing wait shows */
    cudaStreamWaitEvent(stream, ready, 0);
    cudaStreamSynchronize(stream);
    assert_int_equal(pinned[0], 7);

    pinned[1] = 1;
    cudaMemcpyAsync(out, pinned + 1, sizeof(int), cudaMemcpyHostToDevice, stream);
    pinned[1] = 2; /* too early */
    to_host(&pageable, out, 1);
    assert_int_equal(pageable, 2);
    cudaMemcpyAsync(out, &pageable, sizeof(int), cudaMemcpyHostToDevice, stream);
    pageable = 9; /* allowed: it was staged */
    cudaMemcpyAsync(pinned, out, sizeof(int), cudaMemcpyDeviceToHost, stream);
    cudaEventRecord(ready, stream);
    cudaEventSynchronize(ready);
    assert_int_equal(pinned[0], 2);
    cudaFree(out);
    cudaFreeHost(p);
    cudaEventDestroy(ready);
    cudaStreamDestroy(other);
}

static void products(void **)
{
    enum { M = 5, N = 7, K = 11 };
    float a[M * K], b[K * N], c[M * N], got[M * N];
    cublasHandle_t h;
    assert_int_equal(cublasCreate(&h), CUBLAS_STATUS_SUCCESS);
    cublasSetStream(h, stream);
    float *da = device<float>(M * K), *db = device<float>(K * N), *dc = device<float>(M * N);
    for (int i = 0; i < M * K; i++) a[i] = (float)(i * 7 % 13 - 6);
    for (int i = 0; i < K * N; i++) b[i] = (float)(i * 5 % 11 - 5);
    for (int i = 0; i < M * N; i++) c[i] = (float)(i % 3);
    to_device(da, a, M * K);
    to_device(db, b, K * N);
    const float alpha = 2.0f, beta = 3.0f;
    for (int form = 0; form < 4; form++) {
        const int ta = form & 1, tb = form >> 1;
        to_device(dc, c, M * N);
        assert_int_equal(cublasGemmEx(h, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, M, N,
                                      K, &alpha, da, CUDA_R_32F, ta ? K : M, db, CUDA_R_32F, tb ? N : K,
                                      &beta, dc, CUDA_R_32F, M, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                         CUBLAS_STATUS_SUCCESS);
        to_host(got, dc, M * N);
        for (int j = 0; j < N; j++)
            for (int i = 0; i < M; i++) {
                float sum = 0.0f;
                for (int k = 0; k < K; k++)
                    sum += a[ta ? i * K + k : k * M + i] * b[tb ? k * N + j : j * K + k];
                assert_true(got[j * M + i] == alpha * sum + beta * c[j * M + i]);
            }
    }
    assert_int_equal(cublasGemmEx(h, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &alpha, da, CUDA_R_32F, M - 1, db,
                                  CUDA_R_32F, K, &beta, dc, CUDA_R_32F, M, CUBLAS_COMPUTE_32F,
                                  CUBLAS_GEMM_DEFAULT),
                     CUBLAS_STATUS_INVALID_VALUE);
    cudaFree(da);
    cudaFree(db);
    cudaFree(dc);
    cublasDestroy(h);
}

static void bf16_rounds_to_even(void **)
{
    static const struct {
        float in, out;
    } list[] = {
        {1.0f, 1.0f}, {1.00390625f, 1.0f}, {1.01171875f, 1.015625f}, {-1.004f, -1.0078125f}, {0.0f, 0.0f}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        assert_true(__bfloat162float(__float2bfloat16(list[i].in)) == list[i].out);
    assert_true(isnan(__bfloat162float(__float2bfloat16(NAN))));
}

/* d [16, 8] = a [16, 16] b [16, 8]; b comes through shared memory by copies in the background, and is turned
 * there. */
static __global__ void tensor_matrices(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *out)
{
    SHARED(__nv_bfloat16, room, [16][8]);
    const int lane = (int)threadIdx.x, row = lane / 4, column = lane % 4 * 2;
    if (lane < 16) copy_16(room[lane], b + lane * 8, true);
    copies_mark();
    copies_wait<0>();
    __syncthreads();
    uint32_t x[4], y[2];
    for (int i = 0; i < 4; i++) memcpy(&x[i], a + (row + i % 2 * 8) * 16 + column + i / 2 * 8, sizeof x[i]);
    load_turned(y, room[lane % 16]);
    float d[4] = {0.0f};
    tensor_product(d, x, y);
    for (int i = 0; i < 4; i++) out[(row + i / 2 * 8) * 8 + column + i % 2] = d[i];
}

static void products_of_tensor_cores(void **)
{
    __nv_bfloat16 a[256], b[128], *da = device<__nv_bfloat16>(256), *db = device<__nv_bfloat16>(128);
    float got[128], *out = device<float>(128);
    for (int i = 0; i < 256; i++) a[i] = __float2bfloat16((float)(i * 7 % 23 - 11));
    for (int i = 0; i < 128; i++) b[i] = __float2bfloat16((float)(i * 5 % 19 - 9));
    for (int i = 0; i < ORDERS; i++) {
        cuemu_set(i < 2 ? i : 2, (uint64_t)i, i > 0, 0);
        to_device(da, a, 256);
        to_device(db, b, 128);
        LAUNCH(tensor_matrices, 2, 32, 0, stream, da, db, out);
        to_host(got, out, 128);
        for (int m = 0; m < 16; m++)
            for (int n = 0; n < 8; n++) {
                float sum = 0.0f;
                for (int k = 0; k < 16; k++)
                    sum += __bfloat162float(a[m * 16 + k]) * __bfloat162float(b[k * 8 + n]);
                assert_true(got[m * 8 + n] == sum);
            }
    }
    cudaFree(da);
    cudaFree(db);
    cudaFree(out);
}

/* Group by group; zeros where nothing is copied; not before the wait. */
static __global__ void copies_in_groups(const float *x, float *out)
{
    SHARED(float4, room, [3]);
    for (int i = 0; i < 3; i++) {
        copy_16(&room[i], x + 4 * i, i != 1);
        copies_mark();
    }
    copies_wait<1>();
    for (int i = 0; i < 3; i++) out[i] = room[i].x;
    copies_wait<0>();
    out[3] = room[2].x;
}

static void copies_land_when_waited_for(void **)
{
    const float x[12] = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0};
    float got[4], *in = device<float>(12), *out = device<float>(4);
    set_order(0);
    to_device(in, x, 12);
    LAUNCH(copies_in_groups, 1, 1, 0, stream, in, out);
    to_host(got, out, 4);
    assert_true(got[0] == 1.0f && got[1] == 0.0f && isnan(got[2]) && got[3] == 3.0f);
    cudaFree(in);
    cudaFree(out);
}

/* ---- what CUDA reports as an error, not as a crash ---- */

static void limits_of_a_launch(void **)
{
    int *out = device<int>(1);
    LAUNCH(fill, 1, 1025, 0, stream, 1, 1, out);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    LAUNCH(fill, dim3(1, 65536), 1, 0, stream, 1, 1, out);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    LAUNCH(fill, 0, 1, 0, stream, 1, 1, out);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    LAUNCH(fill, 1, 1, 49 << 10, stream, 1, 1, out);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    cudaFuncSetAttribute(fill, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10);
    LAUNCH(fill, 1, 1, 49 << 10, stream, 1, 1, out);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    cudaFree(out);
}

static void memory_ends(void **)
{
    void *p;
    cuemu_set(0, 0, 1, 1 << 20);
    assert_int_equal(cudaMalloc(&p, 2 << 20), cudaErrorMemoryAllocation);
    assert_int_equal(cudaMalloc(&p, 1 << 19), cudaSuccess);
    cudaFree(p);
    cudaGetLastError();
    cuemu_set(0, 0, 1, 0);
}

static void copies_are_checked(void **)
{
    int host[4] = {0}, *out = device<int>(2);
    assert_int_equal(cudaMemcpyAsync(out, host, sizeof host, cudaMemcpyHostToDevice, stream),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpyAsync(host, host, 4, cudaMemcpyDeviceToHost, stream), cudaErrorInvalidValue);
    cudaGetLastError();
    cudaFree(out);
}

/* ---- wrong kernels ---- */

/* Runs `wrong` in a child; what it said must contain `report`. */
static void must_report(void (*wrong)(), const char *report)
{
    int pipes[2];
    char said[2048];
    assert_int_equal(pipe(pipes), 0);
    fflush(nullptr);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int number : {SIGABRT, SIGSEGV}) signal(number, SIG_DFL); /* cmocka catches them */
        dup2(pipes[1], 2);
        wrong();
        cudaDeviceSynchronize();
        _exit(0);
    }
    close(pipes[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof said - 1 && (got = read(pipes[0], said + n, sizeof said - 1 - n)) > 0;)
        n += (size_t)got;
    said[n] = 0;
    close(pipes[0]);
    int status;
    waitpid(child, &status, 0);
    if (!strstr(said, report) || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        fail_msg("expected '%s', got: %s", report, said);
}

static __global__ void add_read(int n, const int *more, int *to)
{
    to[0] += n + more[0];
}

/* What is recorded runs when it is launched, with the arguments it was recorded with and memory as it is
 * then. */
static void recordings_are_replayed(void **)
{
    int got, more = 10;
    int *where = device<int>(1), *sum = device<int>(1);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    set_order(0);
    cudaMemsetAsync(sum, 0, sizeof *sum, stream);
    to_device(where, &more, 1);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    int n = 1;
    LAUNCH(add_read, 1, 1, 0, stream, n, where, sum);
    LAUNCH(add_read, 1, 1, 0, stream, 100, where, sum);
    n = 5;
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    cudaGraphDestroy(graph);
    to_host(&got, sum, 1);
    assert_int_equal(got, 0);
    assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
    more = 20;
    to_device(where, &more, 1);
    assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
    to_host(&got, sum, 1);
    assert_int_equal(got, 101 + 2 * 10 + 101 + 2 * 20);
    cudaGraphExecDestroy(exec);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    cudaGetLastError();
    cudaFree(where);
    cudaFree(sum);
}

/* Of two streams the second one's copies may come before what the first still has to do, unless they wait. */
static void a_hasty_stream_overtakes(void **)
{
    int got, *pinned;
    int *x = device<int>(1), *y = device<int>(1);
    cudaStream_t other;
    cudaEvent_t read;
    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&read, cudaEventDisableTiming);
    cudaMallocHost((void **)&pinned, sizeof *pinned);
    for (int waits = 0; waits < 2; waits++) {
        cuemu_set(2, 2, 2, 0);
        *pinned = 1;
        cudaMemcpyAsync(x, pinned, sizeof *x, cudaMemcpyHostToDevice, other);
        cudaMemsetAsync(y, 0, sizeof *y, stream);
        LAUNCH(add_read, 1, 1, 0, stream, 0, x, y);
        cudaEventRecord(read, stream);
        if (waits) cudaStreamWaitEvent(other, read, 0);
        *pinned = 2;
        cudaMemcpyAsync(x, pinned, sizeof *x, cudaMemcpyHostToDevice, other);
        to_host(&got, y, 1);
        assert_int_equal(got, waits ? 1 : 2);
    }
    cudaStreamDestroy(other);
    cudaEventDestroy(read);
    cudaFreeHost(pinned);
    cudaFree(x);
    cudaFree(y);
}

static __global__ void two_barriers(int *out)
{
    if (threadIdx.x < 8)
        __syncthreads();
    else
        __syncthreads();
    out[0] = 1;
}

static __global__ void barrier_and_shuffle(int *out)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        out[0] = __shfl_sync(0xffffffffu, 1, 0);
    __syncthreads();
}

static __global__ void shuffle_with_the_ended(int *out)
{
    if (threadIdx.x == 3) return;
    out[0] = __shfl_sync(0xffffffffu, 1, 0);
}

static __global__ void writes_around(int *out, int64_t at)
{
    out[at] = 1;
}

struct hidden {
    int64_t n;
    int *p;
};

static __global__ void takes_a_struct(hidden h)
{
    *h.p = (int)h.n;
}

static __global__ void too_much_shared(int *out)
{
    SHARED(char, room, [50 << 10]);
    out[0] = room[0];
}

static __global__ void never_waits(const float *x)
{
    SHARED(float4, room, [1]);
    copy_16(&room[0], x, true);
    copies_mark();
}

static __global__ void half_a_product(float *out)
{
    uint32_t x[4] = {0};
    float d[4] = {0.0f};
    if (threadIdx.x < 16) return;
    tensor_product(d, x, x);
    out[0] = d[0];
}

static __global__ void crooked_copy(const float *x)
{
    SHARED(float4, room, [1]);
    copy_16(&room[0], x + 1, true);
}

static int *host_int()
{
    static int *p = (int *)malloc(sizeof *p);
    return p;
}

static void wrong_kernels_are_reported(void **)
{
    set_order(0);
    must_report([] { LAUNCH(two_barriers, 1, 16, 0, stream, device<int>(1)); }, "divergent barrier");
    must_report([] { LAUNCH(barrier_and_shuffle, 1, 64, 0, stream, device<int>(1)); },
                "different __syncthreads");
    must_report([] { LAUNCH(shuffle_with_the_ended, 1, 32, 0, stream, device<int>(1)); }, "lane");
    must_report([] { LAUNCH(fill, 1, 1, 0, stream, 1, 1, host_int()); }, "kernel fill: argument 2 holds");
    must_report(
        [] {
            LAUNCH(takes_a_struct, 1, 1, 0, stream, hidden{1, host_int()});
        },
        "is not a device pointer");
    must_report([] { LAUNCH(writes_around, 1, 1, 0, stream, device<int>(4), (int64_t)4); }, "written after");
    must_report([] { LAUNCH(writes_around, 1, 1, 0, stream, device<int>(4), (int64_t)-1); },
                "written before");
    must_report([] { LAUNCH(writes_around, 1, 1, 0, stream, device<int>(4), (int64_t)1500); },
                "is not part of an allocation");
    must_report([] { LAUNCH(too_much_shared, 1, 1, 0, stream, device<int>(1)); }, "48 KiB are the most");
    must_report([] { LAUNCH(never_waits, 1, 1, 0, stream, device<float>(4)); }, "has not waited for");
    must_report([] { LAUNCH(half_a_product, 1, 32, 0, stream, device<float>(4)); }, "lane");
    must_report([] { LAUNCH(crooked_copy, 1, 1, 0, stream, device<float>(8)); }, "not 16-byte aligned");
    must_report([] { *(volatile int *)device<int>(4) = 1; }, "host code touches device memory");
    must_report(
        [] {
            cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
            cudaMemcpyAsync(device<int>(1), host_int(), sizeof(int), cudaMemcpyHostToDevice, stream);
        },
        "not pinned is recorded");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_and_shuffles),
        cmocka_unit_test(parts_of_a_warp),
        cmocka_unit_test(three_dimensions_and_atomics),
        cmocka_unit_test(what_nobody_wrote_is_no_number),
        cmocka_unit_test(streams_are_lazy),
        cmocka_unit_test(products),
        cmocka_unit_test(bf16_rounds_to_even),
        cmocka_unit_test(products_of_tensor_cores),
        cmocka_unit_test(copies_land_when_waited_for),
        cmocka_unit_test(limits_of_a_launch),
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(copies_are_checked),
        cmocka_unit_test(recordings_are_replayed),
        cmocka_unit_test(a_hasty_stream_overtakes),
        cmocka_unit_test(wrong_kernels_are_reported),
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
