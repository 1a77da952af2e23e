/* machine: what this processor can do, measured: the roof that kernels are compared with. */
#ifndef KIN_MACHINE_H
#define KIN_MACHINE_H
#include <stdlib.h>
#include <string.h>

#include "core/base.h"

/* Independent chains of multiply-adds in registers, as wide as the compiler's vectors of this function can
 * be. */
#define MACHINE_CHAINS(name, lanes, attribute)                                                               \
    attribute static inline float name(int64_t n)                                                            \
    {                                                                                                        \
        typedef float v __attribute__((vector_size(4 * lanes)));                                             \
        v s[12];                                                                                             \
        for (int i = 0; i < 12; i++) s[i] = (v){0} + (float)i;                                               \
        const v a = (v){0} + 0.999f, b = (v){0} + 0.001f;                                                    \
        for (int64_t k = 0; k < n; k++)                                                                      \
            _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) s[i] = s[i] * a + b;                       \
        float sum = 0.0f;                                                                                    \
        for (int i = 0; i < 12; i++) sum += s[i][0];                                                         \
        return sum;                                                                                          \
    }
#if defined(__x86_64__)
MACHINE_CHAINS(machine_chains_512, 16, __attribute__((target("avx512f,prefer-vector-width=512"))))
MACHINE_CHAINS(machine_chains_256, 8, __attribute__((target("avx2,fma"))))
#endif
MACHINE_CHAINS(machine_chains_128, 4, )

static inline float machine_chains(int64_t n, int *lanes)
{
#if defined(__x86_64__)
    *lanes = 16;
    if (__builtin_cpu_supports("avx512f")) return machine_chains_512(n);
    *lanes = 8;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return machine_chains_256(n);
#endif
    *lanes = 4;
    return machine_chains_128(n);
}

/* Multiply-adds of registers alone, all threads: f32 operations per second; the best of five. */
static inline double machine_flops(int threads)
{
    enum { N = 20000000 };
    double best = 0.0;
    volatile float sink = 0.0f;
    for (int round = 0; round < 5; round++) {
        int lanes = 1;
        const double began = kin_now();
#pragma omp parallel num_threads(threads)
        {
            int mine;
            sink = machine_chains(N, &mine);
#pragma omp critical
            lanes = mine;
        }
        const double rate = 2.0 * 12.0 * N * lanes * threads / (kin_now() - began);
        if (rate > best) best = rate;
    }
    (void)sink;
    return best;
}

/* Sum of n floats, n a multiple of 64, in chains enough that no addition waits for the one before. */
static inline float machine_sum(const float *p, int64_t n)
{
    typedef float v __attribute__((vector_size(16), aligned(4)));
    v s[16] = {{0}};
    for (int64_t k = 0; k < n; k += 64)
        _Pragma("GCC unroll 16") for (int i = 0; i < 16; i++) s[i] += *(const v *)(p + k + 4 * i);
    for (int i = 1; i < 16; i++) s[0] += s[i];
    return s[0][0] + s[0][1] + s[0][2] + s[0][3];
}

/* Reading 512 MiB, all threads, in bytes per second; the best of five. */
static inline double machine_bandwidth(int threads)
{
    enum { COUNT = 1 << 27 };
    float *p = malloc((size_t)COUNT * sizeof *p);
    double best = 0.0;
    volatile float sink = 0.0f;
    if (!p) return 0.0;
    memset(p, 0, (size_t)COUNT * sizeof *p);
    for (int round = 0; round < 5; round++) {
        const double began = kin_now();
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int piece = 0; piece < 64; piece++) {
            sink = machine_sum(p + (int64_t)piece * (COUNT / 64), COUNT / 64);
        }
        const double rate = 4.0 * COUNT / (kin_now() - began);
        if (rate > best) best = rate;
    }
    (void)sink;
    free(p);
    return best;
}
#endif
