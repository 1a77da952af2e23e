#include "tests/op_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

enum { GUARD = 256 };
static const unsigned char guard_byte = 0xff; /* NaN: what reads around a tensor shows it */

static int64_t bytes_of(const kin_tensor *t)
{
    return kin_count(t) * (int64_t)kin_dtype_size(t->dtype);
}

/* 64-byte aligned, with GUARD bytes before and after. */
static void *guarded(int64_t bytes)
{
    const size_t padded = ((size_t)bytes + 63) / 64 * 64;
    char *p = aligned_alloc(64, padded + 2 * GUARD);
    assert_non_null(p);
    memset(p, guard_byte, padded + 2 * GUARD);
    return p + GUARD;
}

static void unguard(void *p)
{
    if (p) free((char *)p - GUARD);
}

static bool intact(const void *p, int64_t bytes)
{
    const unsigned char *before = (const unsigned char *)p - GUARD, *after = (const unsigned char *)p + bytes;
    bool ok = true;
    for (int i = 0; i < GUARD; i++) ok = ok && before[i] == guard_byte && after[i] == guard_byte;
    return ok;
}

double op_normal(uint64_t stream, int64_t k)
{
    uint32_t w[4];
    kin_philox(stream, (uint32_t)k, (uint32_t)(k >> 32), 0, 77, w);
    const double u = ((double)w[0] + 0.5) * 0x1p-32, v = (double)w[1] * 0x1p-32;
    return (double)(float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

double op_value(const kin_tensor *t, int64_t k)
{
    switch (t->dtype) {
    case KIN_F64: return ((const double *)t->ptr)[k];
    case KIN_F32: return (double)((const float *)t->ptr)[k];
    case KIN_BF16: return (double)kin_from_bf16(((const uint16_t *)t->ptr)[k]);
    case KIN_F16: return (double)kin_from_f16(((const uint16_t *)t->ptr)[k]);
    case KIN_I32: return (double)((const int32_t *)t->ptr)[k];
    case KIN_U8: return (double)((const uint8_t *)t->ptr)[k];
    default: return NAN;
    }
}

void op_set(const kin_tensor *t, int64_t k, double v)
{
    switch (t->dtype) {
    case KIN_F64: ((double *)t->ptr)[k] = v; break;
    case KIN_BF16: ((uint16_t *)t->ptr)[k] = kin_to_bf16((float)v); break;
    default: ((float *)t->ptr)[k] = (float)v; break;
    }
}

static kin_dtype precision = KIN_F32;

void op_precision(kin_dtype t)
{
    precision = t;
}

/* Input i of an op that is kept in `precision`. */
static bool narrow(kin_op op, int i, const kin_shape *s)
{
    return precision != KIN_F32 && (kin_op_stored(op) & IN(i)) && s->rank >= 0 && s->dtype == KIN_F32;
}

static void round_all(const kin_tensor *t)
{
    for (int64_t k = 0; k < kin_count(t); k++)
        op_set(t, k, (double)kin_from_bf16(kin_to_bf16((float)op_value(t, k))));
}

static void fill_unit(kin_tensor *t, uint64_t stream)
{
    const int64_t width = kin_cols(t);
    for (int64_t m = 0; m < kin_rows(t); m++) {
        double s = 0.0;
        for (int64_t k = 0; k < width; k++) s += pow(op_normal(stream, m * width + k), 2.0);
        for (int64_t k = 0; k < width; k++)
            op_set(t, m * width + k, (double)(float)(op_normal(stream, m * width + k) / sqrt(s)));
    }
}

static int32_t id_of(uint64_t stream, int64_t k, double arg)
{
    uint32_t w[4];
    kin_philox(stream, (uint32_t)k, 0, 0, 5, w);
    const uint32_t n = (uint32_t)fabs(arg);
    return arg < 0.0 ? (int32_t)(w[0] % (n + 2)) - 2 : (int32_t)(w[0] % n);
}

static void fill(kin_tensor *t, kin_fill how, double arg, uint64_t stream)
{
    int32_t *ints = t->ptr;
    switch (how) {
    case KIN_FILL_UNIT: fill_unit(t, stream); return;
    case KIN_FILL_OFFSETS:
        for (int64_t k = 0; k < kin_count(t); k++) ints[k] = (int32_t)kin_sample_total(k, (int64_t)arg);
        return;
    default: break;
    }
    for (int64_t k = 0; k < kin_count(t); k++) {
        switch (how) {
        case KIN_FILL_IDS: ints[k] = id_of(stream, k, arg); break;
        case KIN_FILL_U8: ((uint8_t *)t->ptr)[k] = (uint8_t)id_of(stream, k, 256.0); break;
        case KIN_FILL_GROUPS: ints[k] = arg != 0.0 && (double)k >= arg ? -1 : (int32_t)(k / 2); break;
        case KIN_FILL_CONST:
            if (t->dtype == KIN_I32)
                ints[k] = (int32_t)arg;
            else
                op_set(t, k, (double)(float)arg);
            break;
        default: op_set(t, k, (double)(float)(op_normal(stream, k) * (arg == 0.0 ? 1.0 : arg))); break;
        }
    }
}

/* In the f64 reference what is F32 is stored as F64. */
static kin_tensor make(const kin_backend *b, const kin_shape *s, bool grad)
{
    kin_tensor t = kin_shape_tensor(s, NULL);
    if (s->rank < 0) return t;
    if (grad || s->dtype == KIN_F32) t.dtype = b->real;
    t.ptr = guarded(bytes_of(&t));
    return t;
}

static kin_call call_of(op_case *c)
{
    return (kin_call){.in = c->in,
                      .out = c->out,
                      .dout = c->dout,
                      .din = c->din,
                      .attr = c->s.attr.bytes,
                      .scratch = c->scratch,
                      .dev = c->b->dev,
                      .rng_key = 0x1234567,
                      .sample0 = c->s.sample0};
}

void op_case_make(op_case *c, kin_backend *b, kin_op op, const kin_sample *s)
{
    *c = (op_case){.b = b, .op = op, .row = kin_op_get(op), .sample = -1, .s = *s};
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (b->real == KIN_F32 && narrow(op, i, &s->in[i])) c->s.in[i].dtype = precision;
    for (int i = 0; i < KIN_MAX_OUT; i++) c->out_shape[i] = KIN_ABSENT;
    kin_ctx cx = {0};
    if (c->row->def->shape(&cx, c->s.in, c->s.attr.bytes, c->out_shape) != KIN_OK)
        fail_msg("%s '%s': %s", c->row->def->name, c->s.label, cx.message);
    for (int i = 0; i < KIN_MAX_IN; i++) {
        c->in[i] = make(b, &c->s.in[i], false);
        if (c->in[i].ptr) memset(c->in[i].ptr, 0, (size_t)bytes_of(&c->in[i]));
        const bool real =
            c->s.in[i].rank >= 0 && kin_dtype_is_real(c->s.in[i].dtype) && (c->row->diff & IN(i));
        c->din[i] = make(b, real ? &c->s.in[i] : &KIN_ABSENT, true);
    }
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        c->out[i] = make(b, &c->out_shape[i], false);
        const bool carries = c->out_shape[i].rank >= 0 && kin_dtype_is_real(c->out_shape[i].dtype);
        c->dout[i] = make(b, carries ? &c->out_shape[i] : &KIN_ABSENT, true);
        for (int64_t k = 0; c->dout[i].ptr && k < kin_count(&c->dout[i]); k++)
            op_set(&c->dout[i], k, op_normal((uint64_t)(500000 + 100 * (int)op + i), k));
    }
    for (int backward = 0; backward < 2 && c->row->def->scratch; backward++) {
        const kin_call call = call_of(c);
        c->scratch_bytes = kin_max64(c->scratch_bytes, c->row->def->scratch(&call, backward));
    }
    c->scratch = guarded(c->scratch_bytes);
}

bool op_case_open(op_case *c, kin_backend *b, kin_op op, int sample, int64_t batch)
{
    kin_sample s;
    if (!kin_op_get(op)->def->sample(sample, batch, &s)) return false;
    op_case_make(c, b, op, &s);
    c->sample = sample;
    c->batch = batch;
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (c->in[i].ptr) {
            fill(&c->in[i], c->s.fill[i], c->s.arg[i], (uint64_t)(1000 * (int)op + 10 * sample + i));
            if (narrow(op, i, &s.in[i])) round_all(&c->in[i]);
        }
    return true;
}

int64_t op_case_batch(kin_op op, int sample)
{
    kin_sample s;
    if (!kin_op_get(op)->def->sample(sample, 1, &s)) return 2;
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (s.in[i].rank >= 0 && s.fill[i] == KIN_FILL_OFFSETS) return 4;
    return 2;
}

/* Leading size of that tensor in a batch of so many samples. */
static int64_t leading(const op_case *c, bool out, int i, int64_t batch)
{
    kin_sample s;
    kin_shape shape[KIN_MAX_OUT] = {{0}};
    kin_ctx cx = {0};
    c->row->def->sample(c->sample, batch, &s);
    if (out) c->row->def->shape(&cx, s.in, s.attr.bytes, shape);
    const kin_shape *t = out ? &shape[i] : &s.in[i];
    return t->rank > 0 ? t->dim[0] : 1;
}

bool op_case_rows(const op_case *c, bool out, int i, int64_t sample, int64_t *from, int64_t *to)
{
    enum { TRIED = 9 };
    const int64_t unit = leading(c, out, i, 1);
    bool shared = true, even = true;
    for (int64_t b = 1; b < TRIED; b++) {
        shared = shared && leading(c, out, i, b) == unit;
        even = even && leading(c, out, i, b) == unit * b;
    }
    *from = shared ? 0 : unit * sample;
    *to = *from + unit;
    if (shared || even) return !shared;
    for (int k = 0; k < KIN_MAX_IN; k++) { /* ragged: by the offsets that give its sizes */
        if (c->s.in[k].rank < 0 || c->s.fill[k] != KIN_FILL_OFFSETS) continue;
        const int64_t longest = (int64_t)c->s.arg[k];
        bool fits = true;
        for (int64_t b = 1; b < TRIED; b++)
            fits = fits && leading(c, out, i, b) == kin_sample_total(b, longest);
        *from = kin_sample_total(sample, longest);
        *to = kin_sample_total(sample + 1, longest);
        if (fits) return true;
    }
    fail_msg("%s '%s': the rows of %s[%d] follow no sequences", c->row->def->name, c->s.label,
             out ? "out" : "in", i);
    return false;
}

static void copy_rows(const kin_tensor *to, const kin_tensor *from, int64_t row)
{
    const int64_t bytes = kin_count(from) ? bytes_of(from) / from->dim[0] : 0;
    if (kin_count(to)) memcpy(to->ptr, (const char *)from->ptr + row * bytes, (size_t)bytes_of(to));
}

void op_case_alone(op_case *one, const op_case *many, int64_t sample)
{
    kin_sample s = many->s;
    int64_t from[KIN_MAX_IN] = {0}, to;
    s.sample0 += sample;
    for (int i = 0; i < KIN_MAX_IN; i++) {
        if (s.in[i].rank < 1) continue;
        if (s.fill[i] == KIN_FILL_OFFSETS)
            s.in[i].dim[0] = 2;
        else if (op_case_rows(many, false, i, sample, &from[i], &to))
            s.in[i].dim[0] = to - from[i];
    }
    op_case_make(one, many->b, many->op, &s);
    for (int i = 0; i < KIN_MAX_IN; i++) {
        if (s.in[i].rank < 0) continue;
        if (s.fill[i] == KIN_FILL_OFFSETS)
            ((int32_t *)one->in[i].ptr)[1] = (int32_t)kin_sample_length(sample, (int64_t)s.arg[i]);
        else
            copy_rows(&one->in[i], &many->in[i], from[i]);
    }
    for (int o = 0; o < KIN_MAX_OUT; o++) {
        int64_t first;
        if (one->dout[o].ptr && op_case_rows(many, true, o, sample, &first, &to))
            copy_rows(&one->dout[o], &many->dout[o], first);
    }
}

void op_case_close(op_case *c)
{
    for (int i = 0; i < KIN_MAX_IN; i++) {
        unguard(c->in[i].ptr);
        unguard(c->din[i].ptr);
    }
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        unguard(c->out[i].ptr);
        unguard(c->dout[i].ptr);
    }
    unguard(c->scratch);
}

uint32_t op_case_diff(const op_case *c)
{
    uint32_t bits = 0;
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (c->din[i].ptr) bits |= IN(i);
    return bits;
}

uint32_t op_case_carries(const op_case *c)
{
    const uint32_t may = c->row->def->dout ? c->row->def->dout : OUT(0);
    uint32_t bits = 0;
    for (int i = 0; i < KIN_MAX_OUT; i++)
        if (c->dout[i].ptr && (may & OUT(i))) bits |= OUT(i);
    return bits;
}

/* Of everything that a call must leave as it is. */
static uint64_t hash_of(const op_case *c, bool backward)
{
    uint64_t h = KIN_FNV;
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (c->in[i].ptr) h = kin_fnv(h, c->in[i].ptr, (size_t)bytes_of(&c->in[i]));
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        if (backward && c->out[i].ptr) h = kin_fnv(h, c->out[i].ptr, (size_t)bytes_of(&c->out[i]));
        if (c->dout[i].ptr) h = kin_fnv(h, c->dout[i].ptr, (size_t)bytes_of(&c->dout[i]));
    }
    return h;
}

static void check_guards(const op_case *c, const char *when)
{
    const char *name = c->row->def->name, *label = c->s.label;
    for (int i = 0; i < KIN_MAX_IN; i++) {
        if (c->in[i].ptr && !intact(c->in[i].ptr, bytes_of(&c->in[i])))
            fail_msg("%s '%s' on %s, %s: wrote around in[%d]", name, label, c->b->name, when, i);
        if (c->din[i].ptr && !intact(c->din[i].ptr, bytes_of(&c->din[i])))
            fail_msg("%s '%s' on %s, %s: wrote around din[%d]", name, label, c->b->name, when, i);
    }
    for (int i = 0; i < KIN_MAX_OUT; i++)
        if (c->out[i].ptr && !intact(c->out[i].ptr, bytes_of(&c->out[i])))
            fail_msg("%s '%s' on %s, %s: wrote around out[%d]", name, label, c->b->name, when, i);
    if (!intact(c->scratch, c->scratch_bytes))
        fail_msg("%s '%s' on %s, %s: wrote around its scratch", name, label, c->b->name, when);
}

typedef struct mutation {
    kin_op op;
    bool out;
    int index;
    kin_dtype real;
} mutation;

static mutation mutant = {.index = -1};

void op_mutate(kin_op op, bool out, int index, kin_dtype real)
{
    mutant = (mutation){op, out, index, real};
}

static bool hits(const mutation *m, const op_case *c, bool out, int index)
{
    return m->index == index && m->op == c->op && m->out == out && m->real == c->b->real;
}

/* KIN_MUTANT=linear:din1 */
static mutation from_environment(void)
{
    const char *text = getenv("KIN_MUTANT"), *colon = text ? strchr(text, ':') : NULL;
    for (int op = 0; op < KIN_OP_COUNT && colon && strlen(colon) > 4; op++) {
        const char *name = kin_op_get((kin_op)op)->def->name;
        if (strlen(name) == (size_t)(colon - text) && strncmp(name, text, strlen(name)) == 0)
            return (mutation){(kin_op)op, colon[1] == 'o', atoi(colon + 4), KIN_F32};
    }
    return (mutation){.index = -1};
}

static void mutate(const op_case *c, bool out, const kin_tensor *t, int index)
{
    const mutation asked = from_environment();
    if (!hits(&mutant, c, out, index) && !hits(&asked, c, out, index)) return;
    if (kin_count(t) < 1) return;
    int64_t most = 0;
    for (int64_t k = 0; k < kin_count(t); k++)
        if (isfinite(op_value(t, k)) && fabs(op_value(t, k)) > fabs(op_value(t, most))) most = k;
    const double v = op_value(t, most);
    uint16_t *half = t->ptr;
    if (t->dtype == KIN_I32)
        ((int32_t *)t->ptr)[most]--; /* stays in range */
    else if (t->dtype == KIN_BF16 || t->dtype == KIN_F16)
        half[most]++; /* the next one */
    else
        op_set(t, most, v == 0.0 || !isfinite(v) ? 1e-3 : v * 1.001);
}

/* ---- backends with memory of their own: every tensor and its guards go there and come back ---- */

enum { MOST_MIRRORS = 2 * KIN_MAX_IN + 2 * KIN_MAX_OUT + 1 };
typedef struct mirrors {
    kin_backend *b;
    int count;
    struct mirror {
        char *host, *device;
        int64_t bytes;
    } list[MOST_MIRRORS];
} mirrors;

/* Where ptr, with so many bytes after it and `guard` on both sides, is on the device. */
static void *mirror(mirrors *m, void *ptr, int64_t bytes, int64_t guard)
{
    if (!ptr || m->b->host) return ptr;
    struct mirror *one = &m->list[m->count++];
    assert_in_range(m->count, 1, MOST_MIRRORS);
    *one = (struct mirror){.host = (char *)ptr - guard, .bytes = bytes + 2 * guard};
    one->device = m->b->alloc(m->b, one->bytes);
    assert_non_null(one->device);
    m->b->upload(m->b, one->device, one->host, one->bytes);
    return one->device + guard;
}

static void mirror_tensors(mirrors *m, kin_tensor *t, const kin_tensor *from, int count)
{
    for (int i = 0; i < count; i++) {
        t[i] = from[i];
        if (kin_absent(&t[i])) continue;
        t[i].ptr = mirror(m, t[i].ptr, bytes_of(&t[i]), GUARD);
    }
}

static void bring_back(mirrors *m, const char *what)
{
    kin_ctx cx = {0};
    for (int i = 0; i < m->count; i++)
        m->b->download(m->b, m->list[i].host, m->list[i].device, m->list[i].bytes);
    for (int i = 0; i < m->count; i++) m->b->release(m->b, m->list[i].device, m->list[i].bytes);
    if (kin_backend_check(&cx, m->b) != KIN_OK) fail_msg("%s on %s: %s", what, m->b->name, cx.message);
}

static void run(op_case *c, void (*kernel)(const kin_call *c), kin_call call)
{
    mirrors m = {.b = c->b};
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT], dout[KIN_MAX_OUT], din[KIN_MAX_IN];
    mirror_tensors(&m, in, call.in, KIN_MAX_IN);
    mirror_tensors(&m, out, call.out, KIN_MAX_OUT);
    call.in = in;
    call.out = out;
    if (call.dout) {
        mirror_tensors(&m, dout, call.dout, KIN_MAX_OUT);
        mirror_tensors(&m, din, call.din, KIN_MAX_IN);
        call.dout = dout;
        call.din = din;
    }
    call.scratch = mirror(&m, c->scratch, c->scratch_bytes, GUARD);
    kernel(&call);
    bring_back(&m, c->row->def->name);
}

void op_fn(kin_backend *b, kin_fn fn, const kin_tensor *t, int tensors, const void *attr, int64_t guard)
{
    mirrors m = {.b = b};
    kin_tensor there[MOST_MIRRORS];
    for (int i = 0; i < tensors; i++) {
        there[i] = t[i];
        there[i].ptr = mirror(&m, t[i].ptr, bytes_of(&t[i]), guard);
    }
    b->fns[fn](&(kin_fn_call){.t = there, .attr = attr, .dev = b->dev});
    bring_back(&m, kin_fn_name(fn));
}

kin_dtype op_fn_type(const kin_backend *b, kin_fn fn, int i)
{
    if (fn == KIN_FN_sumsq && i == 1) return KIN_F64;
    if (fn == KIN_FN_augment) return i == 0 ? KIN_U8 : KIN_I32;
    return fn == KIN_FN_adamw && i == 4 ? KIN_BF16 : b->real;
}

void op_case_forward(op_case *c)
{
    for (int i = 0; i < KIN_MAX_OUT; i++)
        if (c->out[i].ptr) memset(c->out[i].ptr, 0xff, (size_t)bytes_of(&c->out[i]));
    memset(c->scratch, 0xff, (size_t)c->scratch_bytes);
    const uint64_t before = hash_of(c, false);
    kin_call call = call_of(c);
    call.din = NULL;
    call.dout = NULL;
    run(c, c->b->ops[c->op].fwd, call);
    for (int i = 0; i < KIN_MAX_OUT; i++)
        if (c->out[i].ptr) mutate(c, true, &c->out[i], i);
    check_guards(c, "forward");
    if (hash_of(c, false) != before)
        fail_msg("%s '%s' on %s: forward changed an input", c->row->def->name, c->s.label, c->b->name);
}

void op_case_poison_din(op_case *c)
{
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (c->din[i].ptr) memset(c->din[i].ptr, 0xff, (size_t)bytes_of(&c->din[i]));
}

void op_case_backward(op_case *c, uint32_t wanted, uint32_t acc, uint32_t given)
{
    const kin_op_def *def = c->row->def;
    const uint32_t reads = def->reads ? def->reads(c->s.in, c->s.attr.bytes) : c->row->reads;
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT], dout[KIN_MAX_OUT], din[KIN_MAX_IN];
    for (int i = 0; i < KIN_MAX_IN; i++) {
        in[i] = c->in[i];
        din[i] = c->din[i];
        if (!(reads & IN(i))) in[i].ptr = NULL;
        if (!(wanted & IN(i))) din[i].ptr = NULL;
    }
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        out[i] = c->out[i];
        dout[i] = c->dout[i];
        if (!(reads & OUT(i))) out[i].ptr = NULL;
        if (!(given & OUT(i))) dout[i].ptr = NULL;
    }
    memset(c->scratch, 0xff, (size_t)c->scratch_bytes);
    const uint64_t before = hash_of(c, true);
    kin_call call = call_of(c);
    call.in = in;
    call.out = out;
    call.dout = dout;
    call.din = din;
    call.acc = acc;
    run(c, c->b->ops[c->op].bwd, call);
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (din[i].ptr) mutate(c, false, &c->din[i], i);
    check_guards(c, "backward");
    if (hash_of(c, true) != before)
        fail_msg("%s '%s' on %s: backward changed an input, an output or a cotangent", def->name, c->s.label,
                 c->b->name);
}

void op_case_both(op_case *c, uint32_t given)
{
    op_case_forward(c);
    op_case_poison_din(c);
    op_case_backward(c, op_case_diff(c), 0, given);
}

void op_copy(const kin_tensor *to, const kin_tensor *from)
{
    assert_int_equal(kin_count(to), kin_count(from));
    for (int64_t k = 0; k < kin_count(to); k++)
        if (to->dtype == KIN_I32)
            ((int32_t *)to->ptr)[k] = ((const int32_t *)from->ptr)[k];
        else
            op_set(to, k, op_value(from, k));
}

static char trouble[512];
static double worst_seen;

const char *op_trouble(void)
{
    return trouble;
}

double op_worst(void)
{
    const double w = worst_seen;
    worst_seen = 0.0;
    return w;
}

void op_require(bool ok)
{
    if (!ok) fail_msg("%s", trouble);
}

bool op_disagree(const op_case *c, const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(trouble, sizeof trouble, "%s '%s' on %s: %s", c->row->def->name, c->s.label, c->b->name, text);
    return false;
}

bool op_agree(const op_case *c, bool out, int i, const kin_tensor *got, const kin_tensor *want, double tol)
{
    const int64_t n = kin_count(want);
    double square = 0.0, worst = -1.0;
    int64_t at = 0, finite = 0;
    for (int64_t k = 0; k < n; k++)
        if (isfinite(op_value(want, k))) {
            square += op_value(want, k) * op_value(want, k);
            finite++;
        }
    const double rms = finite ? sqrt(square / (double)finite) : 0.0;
    for (int64_t k = 0; k < n; k++) {
        const double x = op_value(got, k), y = op_value(want, k);
        /* 1e-3: cotangents are of size 1; what is far below it may be a zero that rounding made */
        double e = x == y ? 0.0 : fabs(x - y) / (fabs(y) + rms + 1e-3);
        if (!isfinite(e) || (want->dtype == KIN_I32 && x != y)) e = HUGE_VAL;
        if (e > worst) {
            worst = e;
            at = k;
        }
    }
    if (worst > worst_seen) worst_seen = worst;
    if (worst <= tol) return true;
    return op_disagree(c, "%s[%d][%lld] is %.9g, not %.9g (off by %.3g, allowed %.3g)", out ? "out" : "d in",
                       i, (long long)at, op_value(got, at), op_value(want, at), worst, tol);
}

bool op_same(const op_case *c, bool out, int i, const kin_tensor *got, const kin_tensor *want,
             const char *when)
{
    for (int64_t k = 0; k < kin_count(want); k++) {
        const size_t size = kin_dtype_size(want->dtype);
        if (memcmp((const char *)got->ptr + (size_t)k * size, (const char *)want->ptr + (size_t)k * size,
                   size))
            return op_disagree(c, "%s[%d][%lld] is %.9g, but %.9g %s", out ? "out" : "d in", i, (long long)k,
                               op_value(got, k), op_value(want, k), when);
    }
    return true;
}
