/* The product of one thread: B is packed, a block that stays in the second cache at a time, into panels two
 * vectors wide; strips of ROWS rows of A, in the first cache, pass over them (Goto & van de Geijn, "Anatomy
 * of high-performance matrix multiplication", 2008). What the caller wants of the result next (bias,
 * activation) happens to each strip while it is there. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#if defined(__AVX512F__)
enum { ROWS = 12 };
#else
enum { ROWS = 6 };
#endif
enum {
    PANEL = 2 * LANES,
    DEPTH = 384,                                   /* longest sum in registers */
    GROUP = 48 / ROWS,                             /* strips of A packed at once: three cache lines a step */
    STRIPS = GROUP * ROWS * DEPTH,                 /* floats of them */
    LINE = 16,  /* floats of a cache line */
    AHEAD = 12, /* rows: strides are too long for the processor's own prefetching */
    BLOCK = KIN_CPU_PACK / 2 / (int)sizeof(float), /* floats of packed B at a time */
};

/* r rows by `vectors` vectors: rows of A lie rs apart, their elements ks apart. */
typedef struct tile {
    int64_t k;
    const float *a;
    int64_t rs, ks;
    const float *b; /* a packed panel */
    float *c;
    int64_t ldc, n; /* columns that are there */
    float alpha;
    bool add;
} tile;

__attribute__((always_inline)) static inline void micro(const tile *t, const int r, const int vectors,
                                                        const int64_t rs, const int64_t ks)
{
    vf sum[ROWS][2];
    for (int i = 0; i < r; i++) sum[i][0] = sum[i][1] = vset(0.0f);
    const float *a = t->a, *b = t->b;
    for (int64_t k = 0; k < t->k; k++, a += ks, b += vectors * LANES) {
        const vf b0 = vload(b), b1 = vectors > 1 ? vload(b + LANES) : b0;
#pragma GCC unroll 12
        for (int i = 0; i < r; i++) {
            const vf x = vset(a[i * rs]);
            sum[i][0] = vfma(x, b0, sum[i][0]);
            if (vectors > 1) sum[i][1] = vfma(x, b1, sum[i][1]);
        }
    }
    const vf alpha = vset(t->alpha);
#pragma GCC unroll 12
    for (int i = 0; i < r; i++)
        for (int v = 0; v < vectors; v++) {
            float *c = t->c + i * t->ldc + v * LANES;
            const int64_t n = t->n - v * LANES;
            vf y = sum[i][v] * alpha;
            if (t->add) y += vread(c, n);
            vwrite(c, y, n);
        }
}

#define MICRO(r)                                                                                             \
    static void rows_##r(const tile *t)                                                                      \
    {                                                                                                        \
        if (t->n > LANES)                                                                                    \
            micro(t, r, 2, t->rs, 1);                                                                        \
        else                                                                                                 \
            micro(t, r, 1, t->rs, 1);                                                                        \
    }                                                                                                        \
    static void packed_##r(const tile *t)                                                                    \
    {                                                                                                        \
        if (t->n > LANES)                                                                                    \
            micro(t, r, 2, 1, r);                                                                            \
        else                                                                                                 \
            micro(t, r, 1, 1, r);                                                                            \
    }
#if defined(__AVX512F__)
#define EACH_MICRO(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define EACH_MICRO(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif
EACH_MICRO(MICRO)

typedef void tile_fn(const tile *t);
#define ROWS_OF(r) rows_##r,
#define PACKED_OF(r) packed_##r,
static tile_fn *const by_rows[ROWS] = {EACH_MICRO(ROWS_OF)}, *const by_packed[ROWS] = {EACH_MICRO(PACKED_OF)};

/* Four rows of four floats turned: to[j * step + i] = from[i * ld + j]. */
typedef float four __attribute__((vector_size(16)));
typedef int32_t pick __attribute__((vector_size(16)));

static inline void turn4(const float *from, int64_t ld, float *to, int64_t step)
{
    four r[4];
    for (int i = 0; i < 4; i++) memcpy(&r[i], from + i * ld, sizeof r[i]);
    const four a = __builtin_shuffle(r[0], r[1], (pick){0, 4, 1, 5}),
               b = __builtin_shuffle(r[2], r[3], (pick){0, 4, 1, 5}),
               c = __builtin_shuffle(r[0], r[1], (pick){2, 6, 3, 7}),
               d = __builtin_shuffle(r[2], r[3], (pick){2, 6, 3, 7});
    r[0] = __builtin_shuffle(a, b, (pick){0, 1, 4, 5});
    r[1] = __builtin_shuffle(a, b, (pick){2, 3, 6, 7});
    r[2] = __builtin_shuffle(c, d, (pick){0, 1, 4, 5});
    r[3] = __builtin_shuffle(c, d, (pick){2, 3, 6, 7});
    for (int i = 0; i < 4; i++) memcpy(to + i * step, &r[i], sizeof r[i]);
}

/* A panel of `width` floats a step, n of them there, from rows of op(B)^T = b. */
static void pack_turned(const float *b, int64_t ldb, int64_t n, int64_t k, float *to, int64_t width)
{
    int64_t j = 0;
    for (; j + 4 <= n; j += 4) {
        int64_t i = 0;
        for (; i + 4 <= k; i += 4) turn4(b + j * ldb + i, ldb, to + i * width + j, width);
        for (; i < k; i++)
            for (int64_t l = 0; l < 4; l++) to[i * width + j + l] = b[(j + l) * ldb + i];
    }
    for (; j < width; j++)
        for (int64_t i = 0; i < k; i++) to[i * width + j] = j < n ? b[j * ldb + i] : 0.0f;
}

static void pack_straight(const float *b, int64_t ldb, int64_t n, int64_t k, float *to, int64_t width)
{
    for (int64_t i = 0; i < k; i++, b += ldb, to += width)
        for (int64_t j = 0; j < width; j += LANES) vstore(to + j, n > j ? vread(b + j, n - j) : vset(0.0f));
}

static int64_t panel_width(int64_t columns)
{
    return columns > LANES ? PANEL : LANES;
}

static void finish(const product *p, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
    for (int64_t i = row; i < row + rows; i++) {
        float *c = p->c + i * p->ldc + column;
        if (p->bias)
            for (int64_t j = 0; j < columns; j += LANES)
                vwrite(c + j, vread(c + j, columns - j) + vread(p->bias + column + j, columns - j),
                       columns - j);
        if (p->z) memcpy(p->z + i * p->ldc + column, c, (size_t)columns * sizeof *c);
        if (p->act != KIN_ACT_none) CPU(act_row)(p->act, columns, c, c);
    }
}

/* `strips` strips of a turned A, whose rows follow one another in memory: rows at[s] .. at[s + 1] - 1. A step
 * of the sum touches its cache lines once for all strips, not once for each. */
static void pack_strips(const product *p, const int64_t *at, int64_t strips, int64_t k0, int64_t depth,
                        float *to)
{
    const float *a = p->a + k0 * p->lda;
    /* ROWS floats are copied for a strip of one fewer too: the next step overwrites what is too much. */
    const bool even = p->lda >= ROWS && (at[strips] - at[0]) / strips >= ROWS - 1;
    int64_t k = 0;
    for (; k < depth - 1 && even; k++, a += p->lda) {
        for (int64_t i = at[0]; i < at[strips] && k + AHEAD < depth; i += LINE)
            __builtin_prefetch(a + AHEAD * p->lda + i);
        for (int64_t s = 0; s < strips; s++)
            memcpy(to + (at[s] - at[0]) * depth + k * (at[s + 1] - at[s]), a + at[s], ROWS * sizeof *a);
    }
    for (; k < depth; k++, a += p->lda)
        for (int64_t s = 0; s < strips; s++) {
            const int64_t rows = at[s + 1] - at[s];
            memcpy(to + (at[s] - at[0]) * depth + k * rows, a + at[s], (size_t)rows * sizeof *a);
        }
}

/* All rows over one packed block of B: columns column .. +columns, sums k0 .. +depth. */
static void sweep(const product *p, const float *b, float *strips, int64_t k0, int64_t depth, int64_t column,
                  int64_t columns)
{
    const bool last = k0 + depth == p->k, first = k0 == 0;
    const int64_t all = pieces_of(p->m, ROWS);
    int64_t at[GROUP + 1]; /* where each strip of a group begins; they differ by a row at most */
    for (int64_t s = 0; s < all; s++) {
        const int64_t in = s % GROUP, group = kin_min64(GROUP, all - s);
        for (int64_t i = 0; i <= group && in == 0; i++) at[i] = (s + i) * p->m / all;
        const int64_t row = at[in], rows = at[in + 1] - row;
        tile t = {.k = depth, .rs = p->lda, .ldc = p->ldc, .alpha = p->alpha, .add = p->add || !first};
        if (p->ta) {
            if (in == 0) pack_strips(p, at, group, k0, depth, strips);
            t.a = strips + (row - at[0]) * depth;
        } else {
            t.a = p->a + row * p->lda + k0;
        }
        for (int64_t j = 0; j < columns; j += PANEL) {
            t.b = b + j * depth;
            t.c = p->c + row * p->ldc + column + j;
            t.n = kin_min64(PANEL, columns - j);
            if (p->ta)
                by_packed[rows - 1](&t);
            else
                by_rows[rows - 1](&t);
        }
        if (last && (p->bias || p->z || p->act != KIN_ACT_none)) finish(p, row, rows, column, columns);
    }
}

static void nothing_to_sum(const product *p)
{
    for (int64_t i = 0; i < p->m && !p->add; i++) memset(p->c + i * p->ldc, 0, (size_t)p->n * sizeof *p->c);
    finish(p, 0, p->m, 0, p->n);
}

void CPU(gemm)(const void *dev, const product *p)
{
    if (p->m < 1 || p->n < 1) return;
    if (p->k < 1) {
        nothing_to_sum(p);
        return;
    }
    float *strips = (float *)((char *)room_of(dev) + KIN_CPU_ROOM), *packed = strips + STRIPS;
    const int64_t parts = pieces_of(p->k, DEPTH), deepest = pieces_of(p->k, parts);
    const int64_t widest = BLOCK / deepest / PANEL * PANEL;
    for (int64_t column = 0; column < p->n; column += widest) {
        const int64_t columns = kin_min64(widest, p->n - column);
        for (int64_t part = 0; part < parts; part++) {
            const int64_t k0 = part * p->k / parts, depth = (part + 1) * p->k / parts - k0;
            for (int64_t j = 0; j < columns; j += PANEL) {
                const int64_t n = kin_min64(PANEL, columns - j);
                const float *b = p->tb ? p->b + (column + j) * p->ldb + k0 : p->b + k0 * p->ldb + column + j;
                (p->tb ? pack_turned : pack_straight)(b, p->ldb, n, depth, packed + j * depth,
                                                      panel_width(n));
            }
            sweep(p, packed, strips, k0, depth, column, columns);
        }
    }
}

/* Tiles of a product: of its shape alone. A tile packs the part of B that it needs, which is worth hundreds
 * of rows; few rows are cut by columns. */
typedef struct grid {
    int64_t rows, columns, down, across; /* of a tile; how many */
} grid;

static grid grid_of(int64_t m, int64_t n)
{
    enum { MOST = 512, LEAST = 192, NARROW = 96, ENOUGH = 32, FEW = 8 };
    int64_t down = kin_max64(1, pieces_of(m, MOST));
    const int64_t across = kin_max64(1, kin_min64(n / NARROW, pieces_of(ENOUGH, down)));
    if (down * across < FEW) down = kin_max64(down, kin_min64(m / LEAST, pieces_of(FEW, across)));
    grid g = {.rows = pieces_of(pieces_of(m, down), ROWS) * ROWS,
              .columns = pieces_of(pieces_of(n, across), PANEL) * PANEL};
    g.down = pieces_of(m, g.rows);
    g.across = pieces_of(n, g.columns);
    return g;
}

/* A tile by OpenBLAS, whose sizes are int: of those a tile has no more than a matrix has rows. */
static void by_blas(const kin_cpu_dev *d, const product *p)
{
    d->sgemm(KIN_BLAS_ROWS, p->ta ? KIN_BLAS_TURNED : KIN_BLAS_PLAIN,
             p->tb ? KIN_BLAS_TURNED : KIN_BLAS_PLAIN, (int)p->m, (int)p->n, (int)p->k, p->alpha, p->a,
             (int)p->lda, p->b, (int)p->ldb, p->add ? 1.0f : 0.0f, p->c, (int)p->ldc);
    finish(p, 0, p->m, 0, p->n);
}

static bool wants_blas(const kin_cpu_dev *d, const product *p)
{
    const int64_t most = kin_max64(p->k, kin_max64(p->lda, kin_max64(p->ldb, p->ldc)));
    return d->sgemm && p->k > 0 && most <= INT32_MAX &&
           (d->always || kin_blas_is_faster(p->ta, p->tb, p->m, p->n, p->k));
}

void CPU(gemm_tiles)(const void *dev, const product *p)
{
    if (p->m < 1 || p->n < 1) return;
    const bool blas = wants_blas(dev, p);
    const grid g = grid_of(p->m, p->n);
    const int threads = threads_for(dev, g.down * g.across);
    PARALLEL_TASKS
    for (int64_t i = 0; i < g.down * g.across; i++) {
        const span r = piece(p->m, g.rows, i / g.across), c = piece(p->n, g.columns, i % g.across);
        product t = *p;
        t.m = r.to - r.from;
        t.n = c.to - c.from;
        t.a += p->ta ? r.from : r.from * p->lda;
        t.b += p->tb ? c.from * p->ldb : c.from;
        t.c += r.from * p->ldc + c.from;
        if (p->z) t.z += r.from * p->ldc + c.from;
        if (p->bias) t.bias += c.from;
        if (blas)
            by_blas(dev, &t);
        else
            CPU(gemm)(dev, &t);
    }
}
