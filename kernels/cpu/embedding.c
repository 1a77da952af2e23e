#include "kernels/cpu/cpu.h"

static int64_t fixed_of(const kin_call *c)
{
    const kin_embedding_attr *a = c->attr;
    return a->t > 0 ? a->t : kin_max64(1, c->in[0].dim[0]); /* no positions: any cut will do */
}

static void row_add(float *restrict to, const float *restrict from, int64_t n)
{
    for (int64_t k = 0; k < n; k++) to[k] += from[k];
}

void CPU(embedding_fwd)(const kin_call *c)
{
    const int32_t *ids = c->in[0].ptr;
    const int64_t rows = c->in[0].dim[0], width = c->in[1].dim[1], vocab = c->in[1].dim[0],
                  positions = kin_absent(&c->in[2]) ? 0 : c->in[2].dim[0], fixed = fixed_of(c),
                  count = sequences(&c->in[3], fixed, rows);
    const float *table = c->in[1].ptr, *pos = c->in[2].ptr;
    float *y = c->out[0].ptr;
    const int threads = threads_for(c->dev, count);
    PARALLEL_FOR
    for (int64_t b = 0; b < count; b++) {
        const span s = sequence(&c->in[3], fixed, b);
        for (int64_t m = s.from; m < s.to; m++) {
            float *to = y + m * width;
            if (ids[m] >= 0 && ids[m] < vocab)
                memcpy(to, table + ids[m] * width, (size_t)width * sizeof *to);
            else
                memset(to, 0, (size_t)width * sizeof *to);
            if (m - s.from < positions) row_add(to, pos + (m - s.from) * width, width);
        }
    }
}

/* Rows m of the batch in the order of their ids, equal ids in the order of m: rows of id v are
 * order[start[v]]
 * .. order[start[v + 1] - 1]. Ids out of range are in no list. A counting sort in [V + 1] + [T] integers. */
static const int32_t *sorted(const int32_t *ids, int64_t count, int64_t limit, int32_t *start)
{
    int32_t *order = start + limit + 1;
    memset(start, 0, (size_t)(limit + 1) * sizeof *start);
    for (int64_t m = 0; m < count; m++)
        if (ids[m] >= 0 && ids[m] < limit) start[ids[m]]++;
    int32_t sum = 0;
    for (int64_t v = 0; v <= limit; v++) start[v] = sum += start[v]; /* where v's list ends */
    for (int64_t m = count - 1; m >= 0; m--)
        if (ids[m] >= 0 && ids[m] < limit) order[--start[ids[m]]] = (int32_t)m;
    return order;
}

/* table[v] (+)= the sum of dy over the rows of id v; every row of the table has one owner. */
static void gather(const kin_call *c, const int32_t *ids, int64_t count, int input)
{
    const int64_t limit = c->din[input].dim[0], width = c->din[input].dim[1];
    int32_t *start = c->scratch;
    const int32_t *order = sorted(ids, count, limit, start);
    const float *dy = c->dout[0].ptr;
    float *table = c->din[input].ptr;
    const int64_t grain = rows_a_piece(width), pieces = pieces_of(limit, grain);
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_TASKS
    for (int64_t i = 0; i < pieces; i++) {
        const span part = piece(limit, grain, i);
        for (int64_t v = part.from; v < part.to; v++) {
            float *to = table + v * width;
            if (!adds(c, input)) memset(to, 0, (size_t)width * sizeof *to);
            for (int32_t k = start[v]; k < start[v + 1]; k++) row_add(to, dy + order[k] * width, width);
        }
    }
}

/* Position p gets the sum over the sequences that are long enough. */
static void positions_bwd(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0], positions = c->in[2].dim[0], width = c->in[2].dim[1],
                  fixed = fixed_of(c), count = sequences(&c->in[3], fixed, rows);
    const float *dy = c->dout[0].ptr;
    float *dpos = c->din[2].ptr;
    const int threads = threads_for(c->dev, positions);
    PARALLEL_TASKS
    for (int64_t p = 0; p < positions; p++)
        for (int64_t b = 0; b < count; b++) {
            const span s = sequence(&c->in[3], fixed, b);
            if (s.from + p < s.to) row_add(dpos + p * width, dy + (s.from + p) * width, width);
        }
}

void CPU(embedding_bwd)(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    if (wanted(c, 1)) gather(c, c->in[0].ptr, c->in[0].dim[0], 1);
    if (!wanted(c, 2)) return;
    clear(c, 2);
    positions_bwd(c);
}

/* take's gradient is the embedding's. */
void CPU(take_bwd)(const kin_call *c)
{
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    gather(c, c->in[1].ptr, c->in[1].dim[0], 0);
}

/* ---- tokens ---- */

/* Row of pos that row r of sample b has, with n class tokens. */
static int64_t position(const kin_call *c, int64_t b, int64_t n, int64_t r)
{
    const kin_tokens_attr *a = c->attr;
    const int32_t *keep = c->in[3].ptr;
    return r < n ? r : n + (kin_absent(&c->in[3]) ? r - n : keep[b * a->k + r - n]);
}

void CPU(tokens_fwd)(const kin_call *c)
{
    const kin_tokens_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], n = kin_absent(&c->in[1]) ? 0 : c->in[1].dim[0], t = n + a->k,
                  count = c->out[0].dim[0] / t;
    const float *x = c->in[0].ptr, *cls = c->in[1].ptr, *pos = kin_absent(&c->in[2]) ? NULL : c->in[2].ptr;
    float *y = c->out[0].ptr;
    const int threads = threads_for(c->dev, count);
    PARALLEL_FOR
    for (int64_t b = 0; b < count; b++)
        for (int64_t r = 0; r < t; r++) {
            float *to = y + (b * t + r) * width;
            memcpy(to, r < n ? cls + r * width : x + (b * a->k + r - n) * width, (size_t)width * sizeof *to);
            if (pos) row_add(to, pos + position(c, b, n, r) * width, width);
        }
}

/* Columns from .. to - 1 of the sums over samples, in the order of samples. */
static void tokens_sums(const kin_call *c, int64_t n, span columns)
{
    const kin_tokens_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], t = n + a->k, count = c->out[0].dim[0] / t,
                  wide = columns.to - columns.from;
    const float *dy = (const float *)c->dout[0].ptr + columns.from;
    float *dcls = c->din[1].ptr, *dpos = c->din[2].ptr;
    for (int64_t b = 0; b < count; b++)
        for (int64_t r = 0; r < t; r++) {
            const float *from = dy + (b * t + r) * width;
            if (dcls && r < n) row_add(dcls + r * width + columns.from, from, wide);
            if (dpos) row_add(dpos + position(c, b, n, r) * width + columns.from, from, wide);
        }
}

void CPU(tokens_bwd)(const kin_call *c)
{
    const kin_tokens_attr *a = c->attr;
    const int64_t width = c->in[0].dim[1], n = kin_absent(&c->in[1]) ? 0 : c->in[1].dim[0], t = n + a->k,
                  count = c->out[0].dim[0] / t;
    if (no_cotangent(c, 3)) return;
    const float *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    clear(c, 1);
    clear(c, 2);
    const int64_t strips = pieces_of(width, 64);
    const int threads = threads_for(c->dev, kin_max64(count, strips));
    PARALLEL_FOR
    for (int64_t b = 0; b < (dx ? count : 0); b++) {
        const float *from = dy + (b * t + n) * width;
        float *to = dx + b * a->k * width;
        if (adds(c, 0))
            row_add(to, from, a->k * width);
        else
            memcpy(to, from, (size_t)(a->k * width) * sizeof *to);
    }
    PARALLEL_FOR
    for (int64_t i = 0; i < (wanted(c, 1) || wanted(c, 2) ? strips : 0); i++)
        tokens_sums(c, n, piece(width, 64, i));
}

/* ---- repeat ---- */

void CPU(repeat_fwd)(const kin_call *c)
{
    const int64_t size = kin_count(&c->in[0]), times = size ? kin_count(&c->out[0]) / size : 0;
    float *y = c->out[0].ptr;
    for (int64_t i = 0; i < times; i++) memcpy(y + i * size, c->in[0].ptr, (size_t)size * sizeof *y);
}

void CPU(repeat_bwd)(const kin_call *c)
{
    const int64_t size = kin_count(&c->in[0]), times = size ? kin_count(&c->out[0]) / size : 0;
    if (!wanted(c, 0) || no_cotangent(c, 1)) return;
    const float *dy = c->dout[0].ptr;
    float *dx = c->din[0].ptr;
    clear(c, 0);
    for (int64_t i = 0; i < times; i++) row_add(dx, dy + i * size, size);
}
