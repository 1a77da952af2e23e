/* act: activations and their derivatives (core/op.h has the formulas). */
#ifndef KIN_CUDA_ACT_H
#define KIN_CUDA_ACT_H
#include "kernels/cuda/gpu.h"

__device__ static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

__device__ static inline float act_of(int kind, float x)
{
    switch (kind) {
    case KIN_ACT_gelu: return 0.5f * x * erfcf(-x * 0.70710678f);
    case KIN_ACT_gelu_tanh: return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case KIN_ACT_quick_gelu: return x * sigmoid(1.702f * x);
    case KIN_ACT_silu: return x * sigmoid(x);
    case KIN_ACT_relu: return x > 0.0f ? x : 0.0f;
    case KIN_ACT_sigmoid: return sigmoid(x);
    case KIN_ACT_tanh: return tanhf(x);
    default: return x;
    }
}

__device__ static inline float slope_of(int kind, float x)
{
    switch (kind) {
    case KIN_ACT_gelu: return 0.5f * erfcf(-x * 0.70710678f) + x * 0.39894228f * expf(-0.5f * x * x);
    case KIN_ACT_gelu_tanh: {
        const float t = tanhf(0.79788456f * (x + 0.044715f * x * x * x));
        const float inner = 0.79788456f * (1.0f + 3.0f * 0.044715f * x * x);
        return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
    }
    case KIN_ACT_quick_gelu: {
        const float s = sigmoid(1.702f * x);
        return s + 1.702f * x * s * (1.0f - s);
    }
    case KIN_ACT_silu: {
        const float s = sigmoid(x);
        return s + x * s * (1.0f - s);
    }
    case KIN_ACT_relu: return x > 0.0f ? 1.0f : 0.0f;
    case KIN_ACT_sigmoid: return sigmoid(x) * (1.0f - sigmoid(x));
    case KIN_ACT_tanh: return 1.0f - tanhf(x) * tanhf(x);
    default: return 1.0f;
    }
}
#endif
