/* pairs: what the contrastive losses share. A line is a row of the logits (a_i against all b) or a column
 * (b_j against all a). Lines are worked off in tiles, each against the other side in tiles: a logit is there
 * only while its tile is. */
#ifndef KIN_CPU_PAIRS_H
#define KIN_CPU_PAIRS_H
#include "kernels/cpu/cpu.h"

enum { LINES = 96, ACROSS = 256 }; /* of a tile: 96 KiB of logits */
enum { TEACHER = LINES * ACROSS }; /* where those of a teacher lie beside them */

/* z [lines, ACROSS]: alpha times the products of these lines with others k.from .. k.to - 1, of inputs a and
 * a + 1. */
static inline void products_of(const kin_call *c, int a, bool down, span line, span k, float alpha, float *z)
{
    const int64_t width = c->in[a].dim[1];
    const float *lines = c->in[down ? a + 1 : a].ptr, *others = c->in[down ? a : a + 1].ptr;
    CPU(gemm)
    (c->dev, &(product){.tb = true,
                        .m = line.to - line.from,
                        .n = k.to - k.from,
                        .k = width,
                        .alpha = alpha,
                        .a = lines + line.from * width,
                        .lda = width,
                        .b = others + k.from * width,
                        .ldb = width,
                        .c = z,
                        .ldc = ACROSS});
}

static inline void products(const kin_call *c, bool down, span line, span k, float alpha, float *z)
{
    products_of(c, 0, down, line, k, alpha, z);
}

/* From logits z of one line with k.from .. k.to - 1 to the gradients of these logits, in place. sum [2]: what
 * the loss adds up along the line. */
typedef void (*gradient_fn)(const kin_call *c, bool down, int64_t line, span k, float *z, double *sum);

/* Gradients of a and b from those of the logits (scale times the products). sums [rows, 2] is written along
 * the rows. teacher: logits of inputs 3 and 4 times this lie at z + TEACHER; 0: there are none. */
static inline void spread(const kin_call *c, float scale, float teacher, gradient_fn gradient, double *sums,
                          bool sums_wanted)
{
    const int64_t width = c->in[0].dim[1];
    for (int down = 0; down < 2; down++) {
        if (!wanted(c, down) && (down || !sums_wanted)) continue;
        const int64_t lines = c->in[down].dim[0], others = c->in[1 - down].dim[0];
        const int64_t tiles = pieces_of(lines, LINES);
        float *to = c->din[down].ptr;
        const int threads = threads_for(c->dev, tiles);
        PARALLEL_TASKS
        for (int64_t t = 0; t < tiles; t++) {
            const span line = piece(lines, LINES, t);
            float *z = room_of(c->dev);
            double unused[2];
            for (int64_t i = line.from; i < line.to && !down; i++) sums[2 * i] = sums[2 * i + 1] = 0.0;
            for (int64_t j = 0; j < pieces_of(others, ACROSS); j++) {
                const span k = piece(others, ACROSS, j);
                products(c, down, line, k, scale, z);
                if (teacher > 0.0f) products_of(c, 3, down, line, k, teacher, z + TEACHER);
                for (int64_t i = line.from; i < line.to; i++)
                    gradient(c, down, i, k, z + (i - line.from) * ACROSS, down ? unused : sums + 2 * i);
                if (to) CPU(gemm)
                (c->dev, &(product){.add = j > 0 || adds(c, down),
                                    .m = line.to - line.from,
                                    .n = width,
                                    .k = k.to - k.from,
                                    .alpha = scale,
                                    .a = z,
                                    .lda = ACROSS,
                                    .b = (const float *)c->in[1 - down].ptr + k.from * width,
                                    .ldb = width,
                                    .c = to + line.from * width,
                                    .ldc = width});
            }
        }
    }
}

static inline double total(const double *sums, int64_t rows, int which)
{
    double s = 0.0;
    for (int64_t i = 0; i < rows; i++) s += sums[2 * i + which];
    return s;
}
#endif
