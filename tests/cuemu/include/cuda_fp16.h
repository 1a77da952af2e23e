/* cuda_fp16: the processor's own conversions. */
#ifndef CUEMU_CUDA_FP16_H
#define CUEMU_CUDA_FP16_H
#include <cuda_runtime.h>
extern "C" {
#include "core/tensor.h"
}

struct __half {
    uint16_t bits;
};

static inline float __half2float(__half h)
{
    return kin_from_f16(h.bits);
}

static inline __half __float2half(float f)
{
    return {kin_to_f16(f)};
}
#endif
