#include "kernels/cuda/gpu.h"

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
        if (!p.add && p.ldc == p.n) zero(d, p.c, p.m * p.n * 4);
        return;
    }
    const float one = 1.0f, beta = p.add ? 1.0f : 0.0f;
    const cublasStatus_t s =
        cublasGemmEx(d->blas, p.tb ? CUBLAS_OP_T : CUBLAS_OP_N, p.ta ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p.n,
                     (int)p.m, (int)p.k, &one, p.b, CUDA_R_32F, (int)p.ldb, p.a, CUDA_R_32F, (int)p.lda,
                     &beta, p.c, CUDA_R_32F, (int)p.ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    if (s != CUBLAS_STATUS_SUCCESS) kin_cuda_note(d, cudaErrorInvalidValue, "cublasGemmEx");
}
