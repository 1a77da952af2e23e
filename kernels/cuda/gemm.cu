#include "kernels/cuda/gpu.h"

static cudaDataType blas_type(kin_dtype t)
{
    return t == KIN_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

/* cuBLAS is column-major: a row-major C is its C^T = op(B)^T op(A)^T. */
void kin_cuda_gemm(kin_cuda_dev *d, const product &p)
{
    const int64_t most = 2147483647;
    if (p.m <= 0 || p.n <= 0) return;
    if (p.m > most || p.n > most || p.k > most || p.lda > most || p.ldb > most || p.ldc > most) {
        kin_cuda_note(d, cudaErrorInvalidValue, "a product with a side of 2^31 or more");
        return;
    }
    if (p.k == 0) { /* nothing is added up */
        if (!p.add && p.ldc == p.n) zero(d, p.c, p.m * p.n * (int64_t)kin_dtype_size(p.out));
        return;
    }
    const float one = 1.0f, beta = p.add ? 1.0f : 0.0f;
    const cudaDataType in = blas_type(p.in), out = blas_type(p.out);
    const cublasStatus_t s =
        cublasGemmEx(d->blas, p.tb ? CUBLAS_OP_T : CUBLAS_OP_N, p.ta ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p.n,
                     (int)p.m, (int)p.k, &one, p.b, in, (int)p.ldb, p.a, in, (int)p.lda, &beta, p.c, out,
                     (int)p.ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    if (s != CUBLAS_STATUS_SUCCESS) kin_cuda_note(d, cudaErrorInvalidValue, "cublasGemmEx");
}
