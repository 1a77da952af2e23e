/* Convolution as products with the picture's windows laid out in rows ("im2col"), a tile of rows at a time in
 * the thread's own room. Groups, depthwise among them, and windows too large for the room are loops. */
#include "kernels/cpu/cpu.h"

enum { PARTS = 8, ROOM = KIN_CPU_ROOM / (int)sizeof(float), MOST_ROWS = 256 };

typedef struct conv {
    int64_t hi, wi, ci, ho, wo, co, kh, kw, depth, stride, pad, window,
        rows; /* depth: channels of a filter */
} conv;

static conv conv_of(const kin_call *c)
{
    const kin_conv2d_attr *a = c->attr;
    const int64_t *x = c->in[0].dim, *w = c->in[1].dim, *y = c->out[0].dim;
    return (conv){.hi = x[1],
                  .wi = x[2],
                  .ci = x[3],
                  .ho = y[1],
                  .wo = y[2],
                  .co = w[0],
                  .kh = w[1],
                  .kw = w[2],
                  .depth = w[3],
                  .stride = a->stride,
                  .pad = a->pad,
                  .window = w[1] * w[2] * w[3],
                  .rows = y[0] * y[1] * y[2]};
}

static bool by_products(const kin_call *c, const conv *v)
{
    const kin_conv2d_attr *a = c->attr;
    return a->groups == 1 && v->window <= ROOM;
}

static int64_t rows_a_tile(const conv *v)
{
    return kin_max64(1, kin_min64(MOST_ROWS, ROOM / kin_max64(1, v->window)));
}

/* First column, first row of the window of output row m, and its picture. */
typedef struct place {
    int64_t b, y, x;
} place;

static place place_of(const conv *v, int64_t m)
{
    return (place){m / (v->ho * v->wo), m / v->wo % v->ho * v->stride - v->pad,
                   m % v->wo * v->stride - v->pad};
}

/* Windows from .. to - 1 of the picture in rows; outside of it zeros. back: rows are added to the picture. */
static void windows(const conv *v, span s, float *picture, float *rows, bool back)
{
    for (int64_t m = s.from; m < s.to; m++) {
        const place p = place_of(v, m);
        for (int64_t ky = 0; ky < v->kh; ky++)
            for (int64_t kx = 0; kx < v->kw; kx++, rows += v->ci) {
                const int64_t y = p.y + ky, x = p.x + kx;
                const bool inside = y >= 0 && x >= 0 && y < v->hi && x < v->wi;
                float *at = inside ? picture + ((p.b * v->hi + y) * v->wi + x) * v->ci : NULL;
                if (!back && inside)
                    memcpy(rows, at, (size_t)v->ci * sizeof *rows);
                else if (!back)
                    memset(rows, 0, (size_t)v->ci * sizeof *rows);
                for (int64_t k = 0; k < v->ci && back && inside; k++) at[k] += rows[k];
            }
    }
}

typedef struct meet {
    bool inside;
    int64_t x, w; /* first of `depth` elements of the input and of the filter */
} meet;

static meet meet_of(const conv *v, int64_t groups, int64_t m, int64_t co, int64_t ky, int64_t kx)
{
    const place p = place_of(v, m);
    const int64_t y = p.y + ky, x = p.x + kx;
    return (meet){.inside = y >= 0 && x >= 0 && y < v->hi && x < v->wi,
                  .x = ((p.b * v->hi + y) * v->wi + x) * v->ci + co / (v->co / groups) * v->depth,
                  .w = ((co * v->kh + ky) * v->kw + kx) * v->depth};
}

/* What the loops do where an output, an input and a weight meet. */
typedef enum direction { FORWARD, TO_INPUT, TO_WEIGHT } direction;

static void loops(const kin_call *c, const conv *v, span s, direction way, float *y, float *x, float *w)
{
    const kin_conv2d_attr *a = c->attr;
    for (int64_t m = s.from; m < s.to; m++)
        for (int64_t i = 0; i < v->co * v->kh * v->kw; i++) {
            const int64_t co = i / (v->kh * v->kw);
            const meet t = meet_of(v, a->groups, m, co, i / v->kw % v->kh, i % v->kw);
            if (!t.inside) continue;
            float *at = &y[m * v->co + co];
            for (int64_t k = 0; k < v->depth; k++) {
                if (way == FORWARD)
                    *at += x[t.x + k] * w[t.w + k];
                else if (way == TO_INPUT)
                    x[t.x + k] += *at * w[t.w + k];
                else
                    w[t.w + k] += *at * x[t.x + k];
            }
        }
}

static void biases(const kin_call *c, const conv *v, span s)
{
    const float *bias = kin_absent(&c->in[2]) ? NULL : c->in[2].ptr;
    float *y = c->out[0].ptr;
    for (int64_t m = s.from; m < s.to; m++)
        for (int64_t n = 0; n < v->co; n++) y[m * v->co + n] = bias ? bias[n] : 0.0f;
}

void CPU(conv2d_fwd)(const kin_call *c)
{
    const conv v = conv_of(c);
    const bool products = by_products(c, &v);
    const int64_t size = rows_a_tile(&v), tiles = pieces_of(v.rows, size);
    const int threads = threads_for(c->dev, tiles);
    PARALLEL_TASKS
    for (int64_t i = 0; i < tiles; i++) {
        const span s = piece(v.rows, size, i);
        float *y = c->out[0].ptr;
        if (!products) {
            biases(c, &v, s);
            loops(c, &v, s, FORWARD, y, c->in[0].ptr, c->in[1].ptr);
            continue;
        }
        float *rows = room_of(c->dev);
        windows(&v, s, c->in[0].ptr, rows, false);
        CPU(gemm)
        (c->dev, &(product){.tb = true,
                            .m = s.to - s.from,
                            .n = v.co,
                            .k = v.window,
                            .alpha = 1.0f,
                            .a = rows,
                            .lda = v.window,
                            .b = c->in[1].ptr,
                            .ldb = v.window,
                            .c = y + s.from * v.co,
                            .ldc = v.co,
                            .bias = kin_absent(&c->in[2]) ? NULL : c->in[2].ptr});
    }
}

/* Pictures are independent: one owner each. */
static void to_input(const kin_call *c, const conv *v)
{
    const int64_t size = rows_a_tile(v), each = v->ho * v->wo, count = c->in[0].dim[0];
    const bool products = by_products(c, v);
    float *dy = c->dout[0].ptr, *dx = c->din[0].ptr;
    const int threads = threads_for(c->dev, count);
    PARALLEL_TASKS
    for (int64_t b = 0; b < count; b++)
        for (int64_t from = b * each; from < (b + 1) * each; from += size) {
            const span s = {from, kin_min64((b + 1) * each, from + size)};
            if (!products) {
                loops(c, v, s, TO_INPUT, dy, dx, c->in[1].ptr);
                continue;
            }
            float *rows = room_of(c->dev);
            CPU(gemm)
            (c->dev, &(product){.m = s.to - s.from,
                                .n = v->window,
                                .k = v->co,
                                .alpha = 1.0f,
                                .a = dy + s.from * v->co,
                                .lda = v->co,
                                .b = c->in[1].ptr,
                                .ldb = v->window,
                                .c = rows,
                                .ldc = v->window});
            windows(v, s, dx, rows, true);
        }
}

/* Sums over eight parts of the rows, added in order. */
static void to_weight(const kin_call *c, const conv *v)
{
    const int64_t size = rows_a_tile(v), count = v->co * v->window;
    const bool products = by_products(c, v);
    float *dy = c->dout[0].ptr, *sums = c->scratch, *dw = c->din[1].ptr;
    const int threads = threads_for(c->dev, PARTS);
    memset(sums, 0, (size_t)(PARTS * count) * sizeof *sums);
    PARALLEL_TASKS
    for (int64_t i = 0; i < PARTS; i++) {
        const int64_t end = (i + 1) * v->rows / PARTS;
        for (int64_t from = i * v->rows / PARTS; from < end; from += size) {
            const span s = {from, kin_min64(end, from + size)};
            if (!products) {
                loops(c, v, s, TO_WEIGHT, dy, c->in[0].ptr, sums + i * count);
                continue;
            }
            float *rows = room_of(c->dev);
            windows(v, s, c->in[0].ptr, rows, false);
            CPU(gemm)
            (c->dev, &(product){.ta = true,
                                .add = true,
                                .m = v->co,
                                .n = v->window,
                                .k = s.to - s.from,
                                .alpha = 1.0f,
                                .a = dy + s.from * v->co,
                                .lda = v->co,
                                .b = rows,
                                .ldb = v->window,
                                .c = sums + i * count,
                                .ldc = v->window});
        }
    }
    for (int64_t k = 0; k < count; k++) {
        float sum = 0.0f;
        for (int64_t i = 0; i < PARTS; i++) sum += sums[i * count + k];
        put(&dw[k], sum, adds(c, 1));
    }
}

static void to_bias(const kin_call *c, const conv *v)
{
    const int64_t chunks = kin_chunks(v->rows);
    const float *dy = c->dout[0].ptr;
    float *sums = (float *)c->scratch + (PARTS * v->co * v->window + 15) / 16 * 16, *db = c->din[2].ptr;
    const int threads = threads_for(c->dev, chunks);
    memset(sums, 0, (size_t)(chunks * v->co) * sizeof *sums);
    PARALLEL_FOR
    for (int64_t i = 0; i < chunks; i++) {
        const span s = chunk(v->rows, i);
        for (int64_t m = s.from; m < s.to; m++)
            for (int64_t n = 0; n < v->co; n++) sums[i * v->co + n] += dy[m * v->co + n];
    }
    for (int64_t n = 0; n < v->co; n++) {
        float sum = 0.0f;
        for (int64_t i = 0; i < chunks; i++) sum += sums[i * v->co + n];
        put(&db[n], sum, adds(c, 2));
    }
}

void CPU(conv2d_bwd)(const kin_call *c)
{
    const conv v = conv_of(c);
    if (no_cotangent(c, 3)) return;
    clear(c, 0);
    if (wanted(c, 0)) to_input(c, &v);
    if (wanted(c, 1)) to_weight(c, &v);
    if (wanted(c, 2)) to_bias(c, &v);
}
