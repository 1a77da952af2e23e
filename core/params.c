#include "core/params.h"

#include <math.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

enum { ALIGN = 32, COPY = 2 }; /* elements: 64 bytes of bf16; bytes of one */

kin_params *kin_params_new(kin_ctx *cx)
{
    kin_params *p = kin_alloc0(cx, 1, sizeof *p);
    if (p) p->stamp = 1;
    return p;
}

void kin_params_free(kin_params *p)
{
    if (!p) return;
    for (int i = 0; i < p->count; i++) free(p->param[i].name);
    if (p->arena) p->backend->release(p->backend, p->arena, p->bytes);
    free(p->param);
    free(p->region);
    free(p);
}

int kin_params_find(const kin_params *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->param[i].name, name) == 0) return i;
    return -1;
}

int kin_params_add(kin_ctx *cx, kin_params *p, const char *name, const kin_shape *shape, kin_init init)
{
    int i = kin_params_find(p, name);
    if (i >= 0) {
        const kin_shape *have = &p->param[i].shape;
        if (have->rank == shape->rank && memcmp(have->dim, shape->dim, sizeof have->dim) == 0) return i;
        char a[96], b[96];
        kin_fail(cx, KIN_SHAPE, "parameter '%s' is used as %s and as %s", name, kin_shape_text(have, a),
                 kin_shape_text(shape, b));
        return -1;
    }
    if (p->arena) {
        kin_fail(cx, KIN_INTERNAL, "parameter '%s' was added after the weights were allocated", name);
        return -1;
    }
    int64_t bytes;
    if (shape->rank < 0 || shape->sym >= 0 || shape->dtype != KIN_F32 || !kin_shape_bytes(shape, &bytes)) {
        char a[96];
        kin_fail(cx, KIN_SHAPE, "parameter '%s': %s is not a fixed f32 shape", name,
                 kin_shape_text(shape, a));
        return -1;
    }
    if (p->count == p->room) {
        const int room = p->room ? 2 * p->room : 64;
        kin_param *grown = kin_regrow(cx, p->param, room, sizeof *grown);
        if (!grown) return -1;
        p->param = grown;
        p->room = room;
    }
    kin_param *n = &p->param[p->count];
    *n = (kin_param){.name = kin_strdup(cx, name), .shape = *shape, .init = init, .count = bytes / 4};
    return n->name ? p->count++ : -1;
}

int kin_params_region(kin_ctx *cx, kin_params *p, int param, int64_t start, int64_t rows)
{
    const kin_param *q = &p->param[param];
    const int64_t all = q->shape.rank > 0 ? q->shape.dim[0] : 1;
    if (start < 0 || rows < 1 || start > all - rows) {
        kin_fail(cx, KIN_SHAPE, "parameter '%s' has %lld rows: there are no rows %lld to %lld", q->name,
                 (long long)all, (long long)start, (long long)(start + rows - 1));
        return -1;
    }
    for (int i = 0; i < p->regions; i++) {
        const kin_region *r = &p->region[i];
        if (r->param != param) continue;
        if (r->start == start && r->rows == rows) return i;
        if (r->start < start + rows && start < r->start + r->rows) {
            kin_fail(cx, KIN_INTERNAL, "parameter '%s': rows %lld..%lld and %lld..%lld overlap", q->name,
                     (long long)r->start, (long long)(r->start + r->rows), (long long)start,
                     (long long)(start + rows));
            return -1;
        }
    }
    if (p->regions == p->region_room) {
        const int room = p->region_room ? 2 * p->region_room : 64;
        kin_region *grown = kin_regrow(cx, p->region, room, sizeof *grown);
        if (!grown) return -1;
        p->region = grown;
        p->region_room = room;
    }
    p->region[p->regions] = (kin_region){.param = param, .start = start, .rows = rows};
    return p->regions++;
}

int kin_params_freeze(kin_params *p, const char *glob)
{
    int n = 0;
    for (int i = 0; i < p->count; i++)
        if (fnmatch(glob, p->param[i].name, 0) == 0) {
            p->param[i].frozen = true;
            n++;
        }
    return n;
}

/* The arrays that group g keeps, in arena order. */
static int arrays_of(kin_group g, bool training, bool ema)
{
    if (!training) return 1;
    return g == KIN_GROUP_FROZEN ? 1 : 4 + ema;
}

/* Groups that have matrices. */
static bool has_copy(const kin_params *p, kin_group g)
{
    return p->precision != KIN_F32 && g != KIN_GROUP_PLAIN;
}

int64_t kin_params_plan(kin_params *p, size_t real_size, bool training, bool ema)
{
    for (int g = 0; g < KIN_GROUP_COUNT; g++) p->flat[g].count = 0;
    for (int i = 0; i < p->count; i++) {
        kin_param *q = &p->param[i];
        q->group = q->frozen ? KIN_GROUP_FROZEN : q->shape.rank >= 2 ? KIN_GROUP_DECAY : KIN_GROUP_PLAIN;
        q->offset = p->flat[q->group].count;
        p->flat[q->group].count += (q->count + ALIGN - 1) / ALIGN * ALIGN;
    }
    int64_t bytes = 0;
    for (int g = 0; g < KIN_GROUP_COUNT; g++)
        bytes += p->flat[g].count * ((int64_t)real_size * arrays_of((kin_group)g, training, ema) +
                                     (has_copy(p, (kin_group)g) ? COPY : 0));
    return bytes;
}

kin_status kin_params_alloc(kin_ctx *cx, kin_params *p, kin_backend *b, bool training, bool ema)
{
    const size_t real = kin_dtype_size(b->real);
    p->backend = b;
    p->bytes = kin_params_plan(p, real, training, ema);
    char *at = p->arena = b->alloc(b, p->bytes);
    if (!at)
        return kin_fail(cx, KIN_NOMEM, "out of memory: %lld bytes for weights%s were refused",
                        (long long)p->bytes, training ? ", gradients and optimiser state" : "");
    for (int g = 0; g < KIN_GROUP_COUNT; g++) {
        kin_flat *f = &p->flat[g];
        void **array[] = {&f->value, &f->grad, &f->m, &f->v, &f->ema};
        for (int k = 0; k < arrays_of((kin_group)g, training, ema); k++) {
            *array[k] = at;
            at += f->count * (int64_t)real;
        }
        f->copy = has_copy(p, (kin_group)g) ? at : NULL;
        if (f->copy) at += f->count * COPY;
    }
    return KIN_OK;
}

void kin_params_borrow(kin_params *p, kin_backend *b, kin_param_at value, void *user)
{
    p->backend = b;
    for (int i = 0; i < p->count; i++) p->param[i].outside = value(user, i);
}

static void *element(const kin_params *p, void *base, const kin_param *q, int64_t extra)
{
    return base ? (char *)base + (q->offset + extra) * (int64_t)kin_dtype_size(p->backend->real) : NULL;
}

/* `extra` elements into a parameter's value. Kernels only read weights, borrowed ones too. */
static void *value_at(const kin_params *p, const kin_param *q, int64_t extra)
{
    return q->outside ? kin_only_read((const float *)q->outside + extra)
                      : element(p, p->flat[q->group].value, q, extra);
}

void *kin_param_value(const kin_params *p, int i)
{
    return value_at(p, &p->param[i], 0);
}

void *kin_param_grad(const kin_params *p, int i)
{
    return element(p, p->flat[p->param[i].group].grad, &p->param[i], 0);
}

void *kin_param_ema(const kin_params *p, int i)
{
    return element(p, p->flat[p->param[i].group].ema, &p->param[i], 0);
}

static int64_t row_size(const kin_param *q)
{
    return q->shape.rank > 0 && q->shape.dim[0] > 0 ? q->count / q->shape.dim[0] : q->count;
}

kin_dtype kin_param_read_as(const kin_params *p, int i)
{
    return p->param[i].shape.rank >= 2 ? p->precision : KIN_F32;
}

void *kin_region_value(const kin_params *p, int region)
{
    const kin_region *r = &p->region[region];
    const kin_param *q = &p->param[r->param];
    const int64_t from = r->start * row_size(q);
    if (kin_param_read_as(p, r->param) == KIN_F32) return value_at(p, q, from);
    return (char *)p->flat[q->group].copy + (q->offset + from) * COPY;
}

void kin_params_refresh(kin_params *p)
{
    static const kin_cast_attr attr = {.dtype = KIN_BF16};
    for (int g = 0; g < KIN_GROUP_COUNT && p->stale; g++) {
        const kin_flat *f = &p->flat[g];
        if (!f->copy || !f->count) continue;
        const kin_tensor from = {.ptr = f->value, .dtype = p->backend->real, .rank = 1, .dim = {f->count}};
        const kin_tensor to = {.ptr = f->copy, .dtype = KIN_BF16, .rank = 1, .dim = {f->count}};
        p->backend->ops[KIN_OP_cast].fwd(
            &(kin_call){.in = &from, .out = &to, .attr = &attr, .dev = p->backend->dev});
    }
    p->stale = false;
}

void *kin_region_grad(const kin_params *p, int region)
{
    const kin_region *r = &p->region[region];
    const kin_param *q = &p->param[r->param];
    return element(p, p->flat[q->group].grad, q, r->start * row_size(q));
}

/* Host f32 <-> backend real, through a small buffer when the two differ. */
static kin_status put(kin_ctx *cx, kin_params *p, void *to, const float *values, int64_t count)
{
    if (p->backend->real == KIN_F32) {
        p->backend->upload(p->backend, to, values, count * 4);
        return KIN_OK;
    }
    double *wide = kin_alloc(cx, count, sizeof *wide);
    if (!wide) return cx->status;
    for (int64_t i = 0; i < count; i++) wide[i] = (double)values[i];
    p->backend->upload(p->backend, to, wide, count * 8);
    free(wide);
    return KIN_OK;
}

kin_status kin_param_set(kin_ctx *cx, kin_params *p, int i, const float *values)
{
    if (p->param[i].outside)
        return kin_fail(cx, KIN_INTERNAL, "parameter '%s' is borrowed: only read", p->param[i].name);
    p->stale = true;
    KIN_TRY(put(cx, p, kin_param_value(p, i), values, p->param[i].count));
    void *ema = kin_param_ema(p, i);
    return ema ? put(cx, p, ema, values, p->param[i].count) : KIN_OK;
}

kin_status kin_param_part(kin_ctx *cx, const kin_params *p, int i, bool ema, int64_t from, int64_t count,
                          float *values)
{
    const void *all = ema && kin_param_ema(p, i) ? kin_param_ema(p, i) : kin_param_value(p, i);
    const char *at = (const char *)all + from * (int64_t)kin_dtype_size(p->backend->real);
    if (p->backend->real == KIN_F32) {
        p->backend->download(p->backend, values, at, count * 4);
        return kin_backend_check(cx, p->backend);
    }
    double *wide = kin_alloc(cx, count, sizeof *wide);
    if (!wide) return cx->status;
    p->backend->download(p->backend, wide, at, count * 8);
    for (int64_t k = 0; k < count; k++) values[k] = (float)wide[k];
    free(wide);
    return KIN_OK;
}

static double grid(const kin_param *q, int64_t k)
{
    const int64_t rows = q->shape.dim[0], width = q->shape.dim[1], column = k % width, quarter = width / 4;
    const int64_t down = q->init.rows, across = q->init.columns, at = k / width - (rows - down * across);
    if (at < 0 || quarter < 1) return 0.0;
    const bool x = column < 2 * quarter;
    const double place = (double)(x ? at % across : at / across), side = (double)(x ? across : down);
    const double octave = (double)(column % quarter) / (double)quarter;
    const double angle = place * 3.14159265358979324 / side * pow(side, octave);
    return column / quarter % 2 ? cos(angle) : sin(angle);
}

kin_status kin_param_get(kin_ctx *cx, const kin_params *p, int i, bool ema, float *values)
{
    return kin_param_part(cx, p, i, ema, 0, p->param[i].count, values);
}

static void draw(const kin_param *q, uint64_t seed, float *values)
{
    kin_rng r = kin_rng_new(kin_key(seed, kin_fnv(KIN_FNV, q->name, strlen(q->name)), 0x1417));
    for (int64_t k = 0; k < q->count; k++) {
        double x = q->init.arg;
        if (q->init.kind == KIN_INIT_NORMAL) x *= kin_rng_normal(&r);
        if (q->init.kind == KIN_INIT_GRID) x *= grid(q, k);
        if (q->init.kind == KIN_INIT_UNIFORM) x *= 2.0 * (double)kin_rng_unit(&r) - 1.0;
        values[k] = (float)x;
    }
}

kin_status kin_params_init(kin_ctx *cx, kin_params *p, uint64_t seed)
{
    int64_t most = 0;
    for (int i = 0; i < p->count; i++) most = kin_max64(most, p->param[i].count);
    float *values = kin_alloc(cx, most, sizeof *values);
    if (!values) return cx->status;
    kin_status rc = KIN_OK;
    for (int i = 0; i < p->count && rc == KIN_OK; i++) {
        draw(&p->param[i], seed, values);
        rc = kin_param_set(cx, p, i, values);
    }
    free(values);
    return rc;
}

void kin_params_swap_ema(kin_params *p)
{
    for (int g = 0; g < KIN_GROUP_COUNT; g++) {
        const kin_flat *f = &p->flat[g];
        if (f->ema)
            p->backend->swap(p->backend, f->value, f->ema,
                             f->count * (int64_t)kin_dtype_size(p->backend->real));
    }
    p->stale = true;
}

void kin_params_begin(kin_params *p)
{
    p->stamp++;
}

kin_status kin_params_finish(kin_ctx *cx, kin_params *p)
{
    static const char zeros[4096];
    for (int i = 0; i < p->regions; i++) {
        kin_region *r = &p->region[i];
        const kin_param *q = &p->param[r->param];
        char *grad = kin_region_grad(p, i);
        if (!grad || r->stamp == p->stamp) continue;
        int64_t left = r->rows * row_size(q) * (int64_t)kin_dtype_size(p->backend->real);
        for (; left > 0; left -= 4096, grad += 4096)
            p->backend->upload(p->backend, grad, zeros, kin_min64(left, 4096));
        r->stamp = p->stamp;
    }
    return cx->status;
}
