/* Attention, one sequence and head at a time: blocks of queries against blocks of keys, the scores in the
 * thread's own room, products by gemm straight from where q, k and v lie. More keys than a block are joined
 * as they come (Milakov & Gimelshein, "Online normalizer calculation for softmax", 2018). */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum { QUERIES = 128, KEYS = 1024 };

/* Where q, k and v lie: element (row, head, d) is ptr[row * stride + head * d + ...]. */
typedef struct operand {
    const float *ptr;
    float *grad; /* NULL: not wanted */
    bool add;
    int64_t stride;
} operand;

typedef struct view {
    operand q, k, v;
    int64_t heads, groups, d;
    const kin_attention_attr *attr;
} view;

static operand operand_of(const kin_call *c, int input, int64_t stride, int64_t at)
{
    operand o = {.ptr = (const float *)c->in[input].ptr + at, .stride = stride};
    if (c->din && wanted(c, input)) {
        o.grad = (float *)c->din[input].ptr + at;
        o.add = adds(c, input);
    }
    return o;
}

static view view_of(const kin_call *c)
{
    const int64_t h = c->out[0].dim[1], d = c->out[0].dim[2];
    view w = {.heads = h, .groups = h, .d = d, .attr = c->attr};
    if (kin_absent(&c->in[1])) {
        w.q = operand_of(c, 0, 3 * h * d, 0);
        w.k = operand_of(c, 0, 3 * h * d, h * d);
        w.v = operand_of(c, 0, 3 * h * d, 2 * h * d);
        return w;
    }
    const bool packed = kin_absent(&c->in[2]);
    const int64_t g = w.groups = c->in[1].dim[packed ? 2 : 1];
    w.q = operand_of(c, 0, h * d, 0);
    w.k = operand_of(c, 1, packed ? 2 * g * d : g * d, 0);
    w.v = packed ? operand_of(c, 1, 2 * g * d, g * d) : operand_of(c, 2, g * d, 0);
    return w;
}

static span keys_of(const kin_call *c, int64_t b)
{
    const kin_attention_attr *a = c->attr;
    const bool same = kin_absent(&c->in[1]);
    return sequence(same ? &c->in[3] : &c->in[4], same ? a->tq : a->tk, b);
}

/* One sequence and query head, and the block of queries and keys in hand. */
typedef struct job {
    const view *w;
    const void *dev;
    const float *q, *k, *v; /* of the head */
    float *o, *lse;         /* forward: results; backward: what forward left */
    int64_t queries, keys;  /* of the sequence */
    int64_t i0, n, j0, m;   /* queries i0 .. +n, keys j0 .. +m */
    float *s;               /* [n, m] */
} job;

/* Keys that query i sees. */
static int64_t seen(const job *t, int64_t i)
{
    if (!t->w->attr->causal) return t->keys;
    return kin_max64(0, kin_min64(t->keys, i + 1 + t->keys - t->queries));
}

/* Of the block of keys. */
static int64_t seen_here(const job *t, int64_t i)
{
    return kin_max64(0, kin_min64(t->m, seen(t, t->i0 + i) - t->j0));
}

static void scores(const job *t)
{
    CPU(gemm)
    (t->dev, &(product){.tb = true,
                        .m = t->n,
                        .n = t->m,
                        .k = t->w->d,
                        .alpha = t->w->attr->scale,
                        .a = t->q + t->i0 * t->w->q.stride,
                        .lda = t->w->q.stride,
                        .b = t->k + t->j0 * t->w->k.stride,
                        .ldb = t->w->k.stride,
                        .c = t->s,
                        .ldc = t->m});
}

static float most_of(const float *s, int64_t n)
{
    const vf none = vset(-INFINITY);
    vf most = none;
    for (int64_t j = 0; j < n; j += LANES) most = vmax(most, vread_or(s + j, n - j, none));
    return vmost(most);
}

/* s = e^(s - shift) over the n that are seen and 0 to the end of the row; their sum. */
static float exponentials(float *s, int64_t n, int64_t end, float shift)
{
    const vf by = vset(shift), none = vset(-INFINITY);
    vf sum = vset(0.0f);
    for (int64_t j = 0; j < end; j += LANES) {
        const vf e = j < n ? vexp(vread_or(s + j, n - j, none) - by) : vset(0.0f);
        sum += e;
        vwrite(s + j, e, end - j);
    }
    return vsum(sum);
}

/* Rows of scores become weights relative to the largest score yet, most[i]; sum[i] is that of the weights.
 * What earlier blocks of keys gave is brought to the new scale. */
static void join_block(const job *t, float *most, float *sum)
{
    const int64_t d = t->w->d, step = t->w->heads * d;
    for (int64_t i = 0; i < t->n; i++) {
        float *row = t->s + i * t->m, *o = t->o + (t->i0 + i) * step;
        const int64_t n = seen_here(t, i);
        const float top = n ? fmaxf(most[i], most_of(row, n)) : most[i];
        const float old = t->j0 && top > -INFINITY ? expf(most[i] - top) : 1.0f;
        sum[i] = (t->j0 ? sum[i] * old : 0.0f) + exponentials(row, n, t->m, top);
        for (int64_t k = 0; k < d && t->j0 && old != 1.0f; k++) o[k] *= old;
        most[i] = top;
    }
}

static void outputs(const job *t)
{
    CPU(gemm)
    (t->dev, &(product){.add = t->j0 > 0,
                        .m = t->n,
                        .n = t->w->d,
                        .k = t->m,
                        .alpha = 1.0f,
                        .a = t->s,
                        .lda = t->m,
                        .b = t->v + t->j0 * t->w->v.stride,
                        .ldb = t->w->v.stride,
                        .c = t->o + t->i0 * t->w->heads * t->w->d,
                        .ldc = t->w->heads * t->w->d});
}

static void head_fwd(job *t)
{
    const int64_t h = t->w->heads, d = t->w->d;
    float most[QUERIES], sum[QUERIES];
    for (t->i0 = 0; t->i0 < t->queries; t->i0 += QUERIES) {
        t->n = kin_min64(QUERIES, t->queries - t->i0);
        for (int64_t i = 0; i < t->n; i++) {
            most[i] = -INFINITY;
            sum[i] = 0.0f;
            if (!t->keys) memset(t->o + (t->i0 + i) * h * d, 0, (size_t)d * sizeof *t->o);
        }
        const int64_t last = seen(t, t->i0 + t->n - 1);
        for (t->j0 = 0; t->j0 < kin_max64(last, kin_min64(1, t->keys)); t->j0 += KEYS) {
            t->m = kin_min64(KEYS, kin_max64(1, last) - t->j0);
            scores(t);
            join_block(t, most, sum);
            outputs(t);
        }
        for (int64_t i = 0; i < t->n; i++) {
            float *o = t->o + (t->i0 + i) * h * d;
            t->lse[(t->i0 + i) * h] = sum[i] > 0.0f ? most[i] + logf(sum[i]) : -INFINITY;
            const float share = sum[i] > 0.0f ? 1.0f / sum[i] : 0.0f;
            for (int64_t k = 0; k < d; k++) o[k] *= share;
        }
    }
}

static job job_of(const kin_call *c, const view *w, int64_t b, int64_t h)
{
    const int64_t g = h / (w->heads / w->groups), d = w->d;
    const span q = sequence(&c->in[3], w->attr->tq, b), k = keys_of(c, b);
    return (job){.w = w,
                 .dev = c->dev,
                 .q = w->q.ptr + q.from * w->q.stride + h * d,
                 .k = w->k.ptr + k.from * w->k.stride + g * d,
                 .v = w->v.ptr + k.from * w->v.stride + g * d,
                 .o = (float *)c->out[0].ptr + (q.from * w->heads + h) * d,
                 .lse = (float *)c->out[1].ptr + q.from * w->heads + h,
                 .queries = q.to - q.from,
                 .keys = k.to - k.from,
                 .s = room_of(c->dev)};
}

void CPU(attention_fwd)(const kin_call *c)
{
    const view w = view_of(c);
    const int64_t n = sequences(&c->in[3], w.attr->tq, c->in[0].dim[0]) * w.heads;
    const int threads = threads_for(c->dev, n);
    PARALLEL_TASKS
    for (int64_t i = 0; i < n; i++) {
        job t = job_of(c, &w, i / w.heads, i % w.heads);
        head_fwd(&t);
    }
}

/* Rows of w begin `step` apart; block j0 of their keys, and zeros up to `end`. */
static void block_weights(const job *t, float *w, int64_t step, int64_t end)
{
    for (int64_t i = 0; i < t->n; i++) {
        float *to = w + (t->i0 + i) * step + t->j0;
        const int64_t n = seen_here(t, i);
        const vf lse = vset(n ? t->lse[(t->i0 + i) * t->w->heads] : 0.0f), none = vset(-INFINITY);
        for (int64_t j = 0; j < end - t->j0; j += LANES) {
            const vf p = j < n ? vexp(vread_or(t->s + i * t->m + j, n - j, none) - lse) : vset(0.0f);
            vwrite(to + j, p, end - t->j0 - j);
        }
    }
}

static void head_weights(job *t, float *w, int64_t room)
{
    for (t->i0 = 0; t->i0 < t->queries; t->i0 += QUERIES) {
        t->n = kin_min64(QUERIES, t->queries - t->i0);
        for (t->j0 = 0; t->j0 < room; t->j0 += KEYS) {
            t->m = kin_max64(0, kin_min64(KEYS, t->keys - t->j0));
            if (t->m) scores(t);
            block_weights(t, w, t->w->heads * room, kin_min64(room, t->j0 + KEYS));
        }
    }
}

void CPU(attention_weights)(const kin_fn_call *f)
{
    kin_tensor in[5], out[2];
    const kin_call c = kin_as_attention(f, in, out);
    const view w = view_of(&c);
    const int64_t n = sequences(&in[3], w.attr->tq, in[0].dim[0]) * w.heads, room = f->t[5].dim[2];
    const int threads = threads_for(c.dev, n);
    PARALLEL_TASKS
    for (int64_t i = 0; i < n; i++) {
        job t = job_of(&c, &w, i / w.heads, i % w.heads);
        const int64_t row = t.lse - (const float *)out[1].ptr; /* of the first query, with its head */
        head_weights(&t, (float *)f->t[5].ptr + row * room, room);
    }
}

/* ---- backward ----
 * p_ij = e^(s_ij - lse_i), dp = dO v^T, delta_i = dO_i . O_i, ds = p (dp - delta) scale,
 * dq = ds k, dk = ds^T q, dv = p^T dO */

typedef struct back {
    job t;
    const float *d_o;
    float *dq, *dk, *dv, *ds;
    float delta[QUERIES];
} back;

static void zero_rows(float *p, int64_t rows, int64_t width, int64_t stride)
{
    for (int64_t i = 0; i < rows; i++) memset(p + i * stride, 0, (size_t)width * sizeof *p);
}

static void deltas(back *b)
{
    const job *t = &b->t;
    const int64_t d = t->w->d, step = t->w->heads * d;
    for (int64_t i = 0; i < t->n; i++) {
        const float *o = t->o + (t->i0 + i) * step, *d_o = b->d_o + (t->i0 + i) * step;
        vf sum = vset(0.0f);
        for (int64_t k = 0; k < d; k += LANES) sum = vfma(vread(o + k, d - k), vread(d_o + k, d - k), sum);
        b->delta[i] = vsum(sum);
    }
}

/* s becomes p, ds = p (dp - delta) scale. */
static void score_gradients(back *b)
{
    const job *t = &b->t;
    const vf scale = vset(t->w->attr->scale), none = vset(-INFINITY);
    for (int64_t i = 0; i < t->n; i++) {
        float *s = t->s + i * t->m, *ds = b->ds + i * t->m;
        const int64_t n = seen_here(t, i);
        const vf lse = vset(n ? t->lse[(t->i0 + i) * t->w->heads] : 0.0f), delta = vset(b->delta[i]);
        for (int64_t j = 0; j < t->m; j += LANES) {
            const vf p = j < n ? vexp(vread_or(s + j, n - j, none) - lse) : vset(0.0f);
            vwrite(s + j, p, t->m - j);
            vwrite(ds + j, p * (vread(ds + j, t->m - j) - delta) * scale, t->m - j);
        }
    }
}

static void block_bwd(back *b)
{
    const job *t = &b->t;
    const view *w = t->w;
    const int64_t step = w->heads * w->d;
    const float *d_o = b->d_o + t->i0 * step;
    product p = {.alpha = 1.0f, .add = true};
    scores(t);
    CPU(gemm)
    (t->dev, &(product){.tb = true,
                        .m = t->n,
                        .n = t->m,
                        .k = w->d,
                        .alpha = 1.0f,
                        .a = d_o,
                        .lda = step,
                        .b = t->v + t->j0 * w->v.stride,
                        .ldb = w->v.stride,
                        .c = b->ds,
                        .ldc = t->m});
    score_gradients(b);
    p.n = w->d;
    if (b->dq) {
        p.m = t->n, p.k = t->m, p.a = b->ds, p.lda = t->m;
        p.b = t->k + t->j0 * w->k.stride, p.ldb = w->k.stride;
        p.c = b->dq + t->i0 * w->q.stride, p.ldc = w->q.stride;
        CPU(gemm)(t->dev, &p);
    }
    p.ta = true, p.m = t->m, p.k = t->n, p.lda = t->m;
    if (b->dk) {
        p.a = b->ds, p.b = t->q + t->i0 * w->q.stride, p.ldb = w->q.stride;
        p.c = b->dk + t->j0 * w->k.stride, p.ldc = w->k.stride;
        CPU(gemm)(t->dev, &p);
    }
    if (b->dv) {
        p.a = t->s, p.b = d_o, p.ldb = step;
        p.c = b->dv + t->j0 * w->v.stride, p.ldc = w->v.stride;
        CPU(gemm)(t->dev, &p);
    }
}

static void head_bwd(back *b)
{
    job *t = &b->t;
    const int64_t keys = QUERIES * KEYS;
    b->ds = t->s + keys;
    for (t->i0 = 0; t->i0 < t->queries; t->i0 += QUERIES) {
        t->n = kin_min64(QUERIES, t->queries - t->i0);
        const int64_t last = seen(t, t->i0 + t->n - 1);
        deltas(b);
        for (t->j0 = 0; t->j0 < last; t->j0 += KEYS) {
            t->m = kin_min64(KEYS, last - t->j0);
            block_bwd(b);
        }
    }
}

/* One sequence and key head: all query heads that read it, in order. */
static void group_bwd(const kin_call *c, const view *w, int64_t b, int64_t g)
{
    const int64_t d = w->d, each = w->heads / w->groups;
    const span q = sequence(&c->in[3], w->attr->tq, b), k = keys_of(c, b);
    for (int64_t h = g * each; h < (g + 1) * each; h++) {
        back t = {.t = job_of(c, w, b, h),
                  .d_o = (const float *)c->dout[0].ptr + (q.from * w->heads + h) * d};
        if (w->q.grad) t.dq = w->q.grad + q.from * w->q.stride + h * d;
        if (w->k.grad) t.dk = w->k.grad + k.from * w->k.stride + g * d;
        if (w->v.grad) t.dv = w->v.grad + k.from * w->v.stride + g * d;
        if (t.dq && !w->q.add) zero_rows(t.dq, q.to - q.from, d, w->q.stride);
        if (t.dk && !w->k.add && h == g * each) zero_rows(t.dk, k.to - k.from, d, w->k.stride);
        if (t.dv && !w->v.add && h == g * each) zero_rows(t.dv, k.to - k.from, d, w->v.stride);
        head_bwd(&t);
    }
}

void CPU(attention_bwd)(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    const view w = view_of(c);
    const int64_t n = sequences(&c->in[3], w.attr->tq, c->in[0].dim[0]) * w.groups;
    const int threads = threads_for(c->dev, n);
    PARALLEL_TASKS
    for (int64_t i = 0; i < n; i++) group_bwd(c, &w, i / w.groups, i % w.groups);
}
