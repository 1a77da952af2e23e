#include "kernels/cpu/cpu.h"

void CPU(linear_fwd)(const kin_call *c)
{
    const kin_linear_attr *a = c->attr;
    const int64_t depth = kin_cols(&c->in[0]), width = kin_cols(&c->out[0]);
    const bool keep = !kin_absent(&c->out[1]) && c->out[1].ptr;
    CPU(gemm_tiles)
    (c->dev, &(product){.tb = !a->w_kn,
                        .m = kin_rows(&c->in[0]),
                        .n = width,
                        .k = depth,
                        .alpha = 1.0f,
                        .a = c->in[0].ptr,
                        .lda = depth,
                        .b = c->in[1].ptr,
                        .ldb = a->w_kn ? width : depth,
                        .c = c->out[0].ptr,
                        .ldc = width,
                        .bias = kin_absent(&c->in[2]) ? NULL : c->in[2].ptr,
                        .z = keep ? c->out[1].ptr : NULL,
                        .act = a->act});
}

/* dz = dy act'(z) (without an activation it is dy itself), and its sums over each chunk of rows. */
static void slopes(const kin_call *c, float *dz, float *sums)
{
    const kin_linear_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->out[0]), chunks = kin_chunks(rows);
    const float *dy = c->dout[0].ptr, *z = dz ? c->out[1].ptr : NULL;
    const int threads = threads_for(c->dev, chunks);
    if (!dz && !wanted(c, 2)) return;
    PARALLEL_FOR
    for (int64_t i = 0; i < chunks; i++) {
        float *restrict sum = sums + i * width;
        const span s = chunk(rows, i);
        memset(sum, 0, (size_t)width * sizeof *sum);
        for (int64_t m = s.from; m < s.to; m++) {
            if (dz) CPU(slope_row)(a->act, width, z + m * width, dy + m * width, dz + m * width, false);
            const float *row = (dz ? dz : dy) + m * width;
            for (int64_t n = 0; n < width && wanted(c, 2); n++) sum[n] += row[n];
        }
    }
}

static void bias_bwd(const kin_call *c, const float *sums)
{
    const int64_t width = kin_cols(&c->out[0]), chunks = kin_chunks(kin_rows(&c->in[0]));
    float *db = c->din[2].ptr;
    for (int64_t n = 0; n < width; n++) {
        float sum = 0.0f;
        for (int64_t i = 0; i < chunks; i++) sum += sums[i * width + n];
        put(&db[n], sum, adds(c, 2));
    }
}

void CPU(linear_bwd)(const kin_call *c)
{
    const kin_linear_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), depth = kin_cols(&c->in[0]), width = kin_cols(&c->out[0]);
    if (no_cotangent(c, 3)) return;
    float *dz = a->act != KIN_ACT_none ? c->scratch : NULL;
    float *sums = (float *)c->scratch + (dz ? (rows * width + 15) / 16 * 16 : 0);
    slopes(c, dz, sums);
    const float *d = dz ? dz : c->dout[0].ptr, *x = c->in[0].ptr;
    if (wanted(c, 2)) bias_bwd(c, sums);
    if (wanted(c, 0)) /* dx = dz W */
        CPU(gemm_tiles)
        (c->dev, &(product){.tb = a->w_kn != 0,
                            .add = adds(c, 0),
                            .m = rows,
                            .n = depth,
                            .k = width,
                            .alpha = 1.0f,
                            .a = d,
                            .lda = width,
                            .b = c->in[1].ptr,
                            .ldb = a->w_kn ? width : depth,
                            .c = c->din[0].ptr,
                            .ldc = depth});
    if (wanted(c, 1)) /* dW = dz^T x, or its transpose: each tile sums over all rows */
        CPU(gemm_tiles)
        (c->dev, &(product){.ta = true,
                            .add = adds(c, 1),
                            .m = a->w_kn ? depth : width,
                            .n = a->w_kn ? width : depth,
                            .k = rows,
                            .alpha = 1.0f,
                            .a = a->w_kn ? x : d,
                            .lda = a->w_kn ? depth : width,
                            .b = a->w_kn ? d : x,
                            .ldb = a->w_kn ? width : depth,
                            .c = c->din[1].ptr,
                            .ldc = a->w_kn ? width : depth});
}
