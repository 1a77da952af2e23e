/* tensor: products by tensor cores and copies in the background, as compute capability 8.0 has them. The only
 * inline PTX of kin; the emulator (tests/cuemu/include/tensor.h) has the same functions, and checks their
 * use. */
#ifndef KIN_CUDA_TENSOR_H
#define KIN_CUDA_TENSOR_H
#include "kernels/cuda/gpu.h"

#ifdef __CUDACC__

/* Before loops over arrays that must stay in registers. */
#define UNROLL _Pragma("unroll")

/* d [16, 8] += a [16, 16] b [16, 8], by the 32 lanes of a warp. Lane l has
 *   of a: rows l/4 and l/4 + 8; columns 2 (l%4), + 1, and the two 8 further: {row, row + 8, row, row + 8
 * (further)} of b: column l/4; rows 2 (l%4), + 1; 8 further of d: row l/4, columns 2 (l%4), + 1; row l/4 + 8,
 * the same. The lower half of a register comes first. */
__device__ static inline void tensor_product(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Two 8 x 8 matrices of bf16 in shared memory, turned: lanes 0..7 name the rows (16 bytes each) of the
 * first, 8..15 those of the second; lane l gets elements [2 (l%4)][l/4] and [2 (l%4) + 1][l/4] of each. */
__device__ static inline void load_turned(uint32_t r[2], const void *row)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(at)
                 : "memory");
}

/* 16 bytes from global to shared memory in the background, or zeros. What is started before a mark is one
 * group; copies_wait<N> waits for all of this thread's groups but the last N. */
__device__ static inline void copy_16(void *shared, const void *global, bool real)
{
    const unsigned to = (unsigned)__cvta_generic_to_shared(shared), bytes = real ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes)
                 : "memory");
}
__device__ static inline void copies_mark()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N> __device__ static inline void copies_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

#else
#define UNROLL
#include <tensor.h>
#endif

__device__ static inline uint32_t pair_of(float low, float high)
{
    const __nv_bfloat16 a = __float2bfloat16(low), b = __float2bfloat16(high);
    uint16_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return (uint32_t)x | (uint32_t)y << 16;
}

/* Two neighbours; 4-byte aligned. */
__device__ static inline uint32_t pair_at(const __nv_bfloat16 *p)
{
    return *(const uint32_t *)p;
}
#endif
