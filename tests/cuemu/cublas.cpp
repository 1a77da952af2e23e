#include <cublas_v2.h>

#include <vector>

struct cuemu_cublas {
    cudaStream_t stream;
};

cublasStatus_t cublasCreate(cublasHandle_t *h)
{
    *h = new cuemu_cublas();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t h)
{
    delete h;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t h, cudaStream_t s)
{
    h->stream = s;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *workspace, size_t bytes)
{
    return cuemu::on_device(workspace, bytes) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static float element(const void *p, cudaDataType t, int64_t k)
{
    return t == CUDA_R_32F ? ((const float *)p)[k] : __bfloat162float(((const __nv_bfloat16 *)p)[k]);
}

/* Rows of op(A) one after the other, so that the inner loop runs over memory. */
static std::vector<float> rows_of(const void *p, cudaDataType t, bool turned, int rows, int k, int ld)
{
    std::vector<float> v((size_t)rows * (size_t)k);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < k; j++)
            v[(size_t)i * (size_t)k + (size_t)j] =
                element(p, t, turned ? (int64_t)i * ld + j : (int64_t)j * ld + i);
    return v;
}

struct problem {
    bool ta, tb;
    int m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const void *a, *b;
    void *c;
    cudaDataType at, ct;
};

static void run(const problem &p)
{
    const cuemu::opened device;
    const std::vector<float> a = rows_of(p.a, p.at, p.ta, p.m, p.k, p.lda),
                             b = rows_of(p.b, p.at, !p.tb, p.n, p.k, p.ldb);
    for (int j = 0; j < p.n; j++)
        for (int i = 0; i < p.m; i++) {
            const float *x = a.data() + (size_t)i * (size_t)p.k, *y = b.data() + (size_t)j * (size_t)p.k;
            float sum[8] = {0.0f}, total = 0.0f;
            for (int k = 0; k < p.k; k++) sum[k % 8] += x[k] * y[k];
            for (float each : sum) total += each;
            const int64_t at = (int64_t)j * p.ldc + i;
            const float v = p.alpha * total + (p.beta != 0.0f ? p.beta * element(p.c, p.ct, at) : 0.0f);
            if (p.ct == CUDA_R_32F)
                ((float *)p.c)[at] = v;
            else
                ((__nv_bfloat16 *)p.c)[at] = __float2bfloat16(v);
        }
}

cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                            const void *alpha, const void *a, cudaDataType at, int lda, const void *b,
                            cudaDataType bt, int ldb, const void *beta, void *c, cudaDataType ct, int ldc,
                            cublasComputeType_t, cublasGemmAlgo_t)
{
    const int least_a = ta == CUBLAS_OP_T ? k : m, least_b = tb == CUBLAS_OP_T ? n : k;
    const bool types = at == bt && (ct == at || ct == CUDA_R_32F);
    if (m < 0 || n < 0 || k < 0 || lda < least_a || ldb < least_b || ldc < m || lda < 1 || ldb < 1 ||
        ldc < 1 || !types)
        return CUBLAS_STATUS_INVALID_VALUE;
    const void *const pointer[3] = {a, b, c};
    for (int i = 0; i < 3; i++) cuemu::check_argument("cublasGemmEx", i, &pointer[i], sizeof pointer[i]);
    const problem p = {ta == CUBLAS_OP_T,     tb == CUBLAS_OP_T,    m, n, k, lda, ldb, ldc,
                       *(const float *)alpha, *(const float *)beta, a, b, c, at,  ct};
    cuemu::enqueue(h->stream, [p] { run(p); });
    return CUBLAS_STATUS_SUCCESS;
}
