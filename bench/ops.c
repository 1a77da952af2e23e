/* ops: every row of both tables at the sizes of a real training step, forward and backward, beside what the
 * machine can do: share of the peak of multiply-adds where the op has any, share of the memory's bandwidth
 * for all. ops [NAME or all [DEVICE [PRECISION]]]. A row without a case here does not compile. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/machine.h"
#include "core/backend.h"
#include "core/op_shape.h"
#include "core/plugin.h"
#include "bench/device.h"
#include "data/augment.h"

/* ViT-B/32 at batch 16 (on a GPU 256), texts of 14 tokens. */
static int64_t B = 16;
enum { T = 50, C = 768, H = 12, D = 64, E = 512, TEXT = 14, V = 49408, SIDE = 224, P = 32, N = 1024 };

#define ATTR(type, ...) &(type){__VA_ARGS__}, sizeof(type)
#define BEGIN(label, ...) kin_case(s, label, __VA_ARGS__, false)
#define REAL(i, rank, ...) kin_case_in(s, i, kin_fixed(KIN_F32, rank, __VA_ARGS__), KIN_FILL_NORMAL, 1.0)
#define INTS(i, count, how, arg) kin_case_in(s, i, kin_fixed(KIN_I32, 1, (int64_t)(count)), how, arg)
#define I(x) ((int64_t)(x))
#define NOTHING &(kin_no_attr){0}, sizeof(kin_no_attr)

static void case_linear(kin_sample *s)
{
    BEGIN("fc1 of B/32", ATTR(kin_linear_attr, .act = KIN_ACT_quick_gelu));
    REAL(0, 2, I(B * T), I(C));
    REAL(1, 2, I(4 * C), I(C));
    REAL(2, 1, I(4 * C));
}

static void case_attention(kin_sample *s)
{
    BEGIN("B/32", ATTR(kin_attention_attr, .scale = 0.125f, .tq = T, .tk = T, .max_tk = T));
    REAL(0, 4, I(B * T), I(3), I(H), I(D));
}

static void case_norm(kin_sample *s, bool beta)
{
    BEGIN("with residual", ATTR(kin_norm_attr, .eps = 1e-5f));
    REAL(0, 2, I(B * T), I(C));
    REAL(1, 2, I(B * T), I(C));
    REAL(2, 1, I(C));
    if (beta) REAL(3, 1, I(C));
}

static void case_layernorm(kin_sample *s)
{
    case_norm(s, true);
}
static void case_rmsnorm(kin_sample *s)
{
    case_norm(s, false);
}

static void case_embedding(kin_sample *s)
{
    BEGIN("words of B/32", ATTR(kin_embedding_attr, .t = TEXT));
    INTS(0, B * TEXT, KIN_FILL_IDS, V);
    REAL(1, 2, I(V), I(E));
    REAL(2, 2, I(77), I(E));
}

static void case_tokens(kin_sample *s)
{
    BEGIN("B/32", ATTR(kin_tokens_attr, .k = T - 1));
    REAL(0, 2, I(B * (T - 1)), I(C));
    REAL(1, 2, I(1), I(C));
    REAL(2, 2, I(T), I(C));
}

static void case_repeat(kin_sample *s)
{
    BEGIN("a query a sample", ATTR(kin_repeat_attr, .per = T));
    REAL(0, 2, I(1), I(C));
    REAL(1, 2, I(B * T), I(C));
}

static void case_patchify(kin_sample *s)
{
    BEGIN("B/32", ATTR(kin_patchify_attr, .p = P, .normalise = 1, .mean = {0.5f, 0.5f, 0.5f, 0.5f},
                       .std = {0.5f, 0.5f, 0.5f, 0.5f}));
    kin_case_in(s, 0, kin_fixed(KIN_U8, 4, I(B), I(SIDE), I(SIDE), I(3)), KIN_FILL_U8, 0.0);
}

static void case_patch_drop(kin_sample *s)
{
    BEGIN("half of B/16's", ATTR(kin_patch_drop_attr, .patches = 196, .keep = 98));
    REAL(0, 2, I(B * 196), I(C));
}

static void case_conv2d(kin_sample *s)
{
    BEGIN("second of a stem", ATTR(kin_conv2d_attr, .stride = 2, .pad = 1, .groups = 1));
    REAL(0, 4, I(B), I(56), I(56), I(48));
    REAL(1, 4, I(96), I(3), I(3), I(48));
    REAL(2, 1, I(96));
}

static void case_act(kin_sample *s)
{
    BEGIN("gelu", ATTR(kin_act_attr, .kind = KIN_ACT_gelu));
    REAL(0, 2, I(B * T), I(4 * C));
}

static void case_add(kin_sample *s)
{
    BEGIN("stream", NOTHING);
    REAL(0, 2, I(B * T), I(C));
    REAL(1, 2, I(B * T), I(C));
}

static void case_scale(kin_sample *s)
{
    BEGIN("LayerScale", NOTHING);
    REAL(0, 2, I(B * T), I(C));
    REAL(1, 1, I(C));
}

static void case_mul(kin_sample *s)
{
    BEGIN("gate", NOTHING);
    REAL(0, 2, I(B * T), I(C));
    REAL(1, 2, I(B * T), I(C));
}

static void case_dropout(kin_sample *s)
{
    BEGIN("a tenth", ATTR(kin_dropout_attr, .p = 0.1f, .t = T));
    REAL(0, 2, I(B * T), I(C));
}

static void case_cast(kin_sample *s)
{
    BEGIN("to bf16", ATTR(kin_cast_attr, .dtype = KIN_BF16));
    REAL(0, 2, I(B * T), I(C));
}

static void case_pool(kin_sample *s)
{
    BEGIN("mean", ATTR(kin_pool_attr, .mode = KIN_POOL_MEAN, .t = T));
    REAL(0, 2, I(B * T), I(C));
}

static void case_batchnorm(kin_sample *s)
{
    BEGIN("a stem's second map", ATTR(kin_norm_attr, .eps = 1e-5f));
    REAL(0, 4, I(B), I(28), I(28), I(96));
    REAL(1, 1, I(96));
    REAL(2, 1, I(96));
}

static void case_l2norm(kin_sample *s)
{
    BEGIN("embeddings", ATTR(kin_norm_attr, .eps = 1e-12f));
    REAL(0, 2, I(N), I(E));
}

static void case_concat(kin_sample *s)
{
    BEGIN("columns", ATTR(kin_axis_attr, .axis = 1));
    REAL(0, 2, I(N), I(E));
    REAL(1, 2, I(N), I(E));
}

static void case_slice(kin_sample *s)
{
    BEGIN("columns", ATTR(kin_axis_attr, .axis = 1, .start = E / 4, .count = E / 2));
    REAL(0, 2, I(N), I(E));
}

static void case_take(kin_sample *s)
{
    BEGIN("rows", NOTHING);
    REAL(0, 2, I(N), I(E));
    INTS(1, N, KIN_FILL_IDS, N);
}

static void case_pairs(kin_sample *s)
{
    kin_case_in(s, 0, kin_fixed(KIN_F32, 2, I(N), I(E)), KIN_FILL_UNIT, 0.0);
    kin_case_in(s, 1, kin_fixed(KIN_F32, 2, I(N), I(E)), KIN_FILL_UNIT, 0.0);
}

static void case_infonce(kin_sample *s)
{
    BEGIN("1024 pairs", ATTR(kin_infonce_attr, .smoothing = 0.0f));
    case_pairs(s);
    kin_case_in(s, 2, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, 3.0);
}

static void case_distill(kin_sample *s)
{
    BEGIN("1024 pairs", ATTR(kin_distill_attr, .more = 0));
    case_pairs(s);
    kin_case_in(s, 2, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, 3.0);
    for (int i = 0; i < 2; i++) kin_case_in(s, 3 + i, kin_fixed(KIN_F32, 2, I(N), I(E)), KIN_FILL_UNIT, 0.0);
    kin_case_in(s, 5, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, 3.0);
}

static void case_siglip(kin_sample *s)
{
    BEGIN("1024 pairs", NOTHING);
    case_pairs(s);
    kin_case_in(s, 2, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, 2.3);
    kin_case_in(s, 3, kin_fixed(KIN_F32, 0), KIN_FILL_CONST, -10.0);
}

static void case_triplet(kin_sample *s)
{
    BEGIN("1024 pairs", ATTR(kin_triplet_attr, .margin = 0.2f));
    case_pairs(s);
}

static void case_xent(kin_sample *s)
{
    BEGIN("words", ATTR(kin_xent_attr, .smoothing = 0.0f));
    REAL(0, 2, I(64), I(V));
    INTS(1, 64, KIN_FILL_IDS, V);
}

static void case_target(kin_sample *s)
{
    BEGIN("soft answers", ATTR(kin_target_attr, .kind = KIN_TARGET_BCE));
    REAL(0, 2, I(64), I(3129));
    kin_case_in(s, 1, kin_fixed(KIN_F32, 2, I(64), I(3129)), KIN_FILL_CONST, 0.25);
}

typedef void case_fn(kin_sample *s);
static case_fn *const cases[] = {
#define KIN_OP(name, nin, nout, attr, reads, diff) case_##name,
#include "core/ops.def"
#undef KIN_OP
};

static void *memory(int64_t bytes)
{
    void *p = kin_pages_alloc(bytes > 0 ? bytes : 1);
    if (p) return p;
    fprintf(stderr, "bench ops: out of memory\n");
    exit(1);
}

static int64_t size_of(const kin_tensor *t)
{
    return kin_count(t) * (int64_t)kin_dtype_size(t->dtype);
}

static void fill(kin_tensor *t, kin_fill how, double arg)
{
    uint32_t r = 12345;
    const double unit = 1.0 / sqrt((double)kin_cols(t));
    for (int64_t k = 0; k < kin_count(t); k++) {
        r = r * 1664525u + 1013904223u;
        const double v = (double)(r >> 8) / (1 << 24) * 2.0 - 1.0;
        if (t->dtype == KIN_U8)
            ((uint8_t *)t->ptr)[k] = (uint8_t)(r >> 24);
        else if (t->dtype == KIN_I32)
            ((int32_t *)t->ptr)[k] = (int32_t)((r >> 8) % (uint32_t)arg);
        else {
            const float f = (float)(how == KIN_FILL_CONST  ? arg
                                    : how == KIN_FILL_UNIT ? 1.7 * v * unit
                                                           : 1.7 * v);
            if (t->dtype == KIN_BF16)
                ((uint16_t *)t->ptr)[k] = kin_to_bf16(f);
            else
                ((float *)t->ptr)[k] = f;
        }
    }
}

/* Filled memory of the host to where the backend computes. */
static void bring(kin_backend *b, kin_tensor *t)
{
    if (kin_absent(t) || !t->ptr || b->host) return;
    const int64_t bytes = size_of(t);
    void *there = b->alloc(b, bytes);
    if (!there) {
        fprintf(stderr, "bench ops: out of memory on %s\n", b->name);
        exit(1);
    }
    b->upload(b, there, t->ptr, bytes);
    b->sync(b);
    kin_pages_free(t->ptr, bytes);
    t->ptr = there;
}

static void drop(kin_backend *b, const kin_tensor *t)
{
    if (kin_absent(t) || !t->ptr) return;
    if (b->host)
        kin_pages_free(t->ptr, size_of(t));
    else
        b->release(b, t->ptr, size_of(t));
}

/* Seconds of one call: the median of at least five, and of a tenth of a second. */
static double timed(kin_backend *b, void (*kernel)(const kin_call *), const kin_call *c)
{
    enum { MOST = 200, TIMES = 20 };
    if (!b->host) return device_seconds(b, kernel, c, TIMES);
    double spent[MOST], all = 0.0;
    int n = 0;
    kernel(c);
    while (n < MOST && (n < 5 || all < 0.1)) {
        const double began = kin_now();
        kernel(c);
        spent[n] = kin_now() - began;
        all += spent[n++];
    }
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && spent[k] < spent[k - 1]; k--) {
            const double t = spent[k];
            spent[k] = spent[k - 1];
            spent[k - 1] = t;
        }
    return spent[n / 2];
}

static void show(double seconds, kin_cost cost, double peak, double bandwidth)
{
    printf(" %9.3f %8.1f %5.1f%% %7.1f %5.1f%%", 1e3 * seconds, cost.flops / seconds / 1e9,
           100.0 * cost.flops / seconds / peak, cost.bytes / seconds / 1e9,
           100.0 * cost.bytes / seconds / bandwidth);
}

/* Bytes of everything that there is, once. */
static double traffic(const kin_tensor *t, int count)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++)
        if (!kin_absent(&t[i]) && t[i].ptr) sum += (double)size_of(&t[i]);
    return sum;
}

static void bench_op(kin_backend *b, kin_op op, kin_dtype precision, double peak, double bandwidth)
{
    const kin_op_row *row = kin_op_get(op);
    kin_ctx cx = {0};
    kin_sample s;
    kin_shape out[KIN_MAX_OUT];
    kin_tensor t[2 * KIN_MAX_IN + 2 * KIN_MAX_OUT];
    kin_tensor *in = t, *o = in + KIN_MAX_IN, *din = o + KIN_MAX_OUT, *dout = din + KIN_MAX_IN;
    const uint32_t carries = row->def->dout ? row->def->dout : OUT(0);
    cases[op](&s);
    for (int i = 0; i < KIN_MAX_IN; i++)
        if ((kin_op_stored(op) & IN(i)) && s.in[i].rank >= 0 && s.in[i].dtype == KIN_F32)
            s.in[i].dtype = precision;
    for (int i = 0; i < KIN_MAX_OUT; i++) out[i] = KIN_ABSENT;
    if (row->def->shape(&cx, s.in, s.attr.bytes, out) != KIN_OK) {
        fprintf(stderr, "bench ops: %s: %s\n", row->def->name, cx.message);
        exit(1);
    }
    for (int i = 0; i < KIN_MAX_IN; i++) {
        in[i] = din[i] = kin_shape_tensor(&s.in[i], NULL);
        if (kin_absent(&in[i])) continue;
        in[i].ptr = memory(size_of(&in[i]));
        fill(&in[i], s.fill[i], s.arg[i]);
        if (!(row->diff & IN(i)) || !kin_dtype_is_real(in[i].dtype)) continue;
        din[i].dtype = KIN_F32; /* gradients are f32 */
        din[i].ptr = memory(size_of(&din[i]));
    }
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        o[i] = dout[i] = kin_shape_tensor(&out[i], NULL);
        if (kin_absent(&o[i])) continue;
        o[i].ptr = memory(size_of(&o[i]));
        if (!(carries & OUT(i))) continue;
        dout[i].dtype = KIN_F32;
        dout[i].ptr = memory(size_of(&dout[i]));
        fill(&dout[i], KIN_FILL_NORMAL, 1.0);
    }
    kin_call c = {
        .in = in, .out = o, .din = din, .dout = dout, .attr = s.attr.bytes, .dev = b->dev, .rng_key = 1};
    int64_t scratch = 64;
    for (int pass = 0; pass < 2 && row->def->scratch; pass++)
        scratch = kin_max64(scratch, row->def->scratch(&c, pass != 0));
    kin_tensor room = {memory(scratch), KIN_U8, 1, {scratch}};
    for (int i = 0; i < 2 * KIN_MAX_IN + 2 * KIN_MAX_OUT; i++) bring(b, &t[i]);
    bring(b, &room);
    c.scratch = room.ptr;
    kin_cost cost = {0}, back = {0};
    row->def->cost(&c, false, &cost);
    row->def->cost(&c, true, &back);
    if (!b->host) {
        cost.bytes = traffic(t, KIN_MAX_IN + KIN_MAX_OUT);
        back.bytes = traffic(t, 2 * KIN_MAX_IN + 2 * KIN_MAX_OUT);
    }
    printf("%-11s %-17s", row->def->name, s.label);
    show(timed(b, b->ops[op].fwd, &c), cost, peak, bandwidth);
    show(timed(b, b->ops[op].bwd, &c), back, peak, bandwidth);
    printf("\n");
    drop(b, &room);
    for (int i = 0; i < 2 * KIN_MAX_IN + 2 * KIN_MAX_OUT; i++) drop(b, &t[i]);
}

/* The second table: over as many values as a B/32's image tower has, and over a batch of pictures. */
enum { FLAT = 86 << 20, FN_TENSORS = 6 };

typedef struct fn_case {
    const char *label;
    kin_tensor t[FN_TENSORS];
    union {
        kin_adamw_attr adamw;
        kin_ema_attr ema;
        kin_attention_attr attention;
    } attr;
    double bytes; /* least traffic */
} fn_case;

static void flat(fn_case *c, int tensors, double bytes)
{
    c->label = "86 M values";
    c->bytes = bytes * FLAT;
    for (int i = 0; i < tensors; i++) c->t[i] = (kin_tensor){.dtype = KIN_F32, .rank = 1, .dim = {FLAT}};
}

static void fn_adamw(fn_case *c) /* no copy is kept on the processor */
{
    flat(c, 4, 28.0);
    c->attr.adamw = (kin_adamw_attr){1e-4f, 0.9f, 0.98f, 1e-6f, 0.2f, 0.1f, 0.02f, 1.0f};
}

static void fn_ema(fn_case *c)
{
    flat(c, 2, 12.0);
    c->attr.ema.decay = 0.999f;
}

static void fn_sumsq(fn_case *c)
{
    flat(c, 1, 4.0);
    c->t[1] = (kin_tensor){.dtype = KIN_F64, .rank = 1, .dim = {1}};
}

static void fn_augment(fn_case *c)
{
    c->label = "all, B/32";
    c->t[0] = (kin_tensor){.dtype = KIN_U8, .rank = 4, .dim = {B, SIDE, SIDE, 3}};
    c->t[1] = (kin_tensor){.dtype = KIN_I32, .rank = 2, .dim = {B, KIN_AUGMENT_WORDS}};
    c->bytes = 2.0 * (double)size_of(&c->t[0]);
}

static void fn_attention_weights(fn_case *c) /* all weights of a layer */
{
    kin_sample s;
    case_attention(&s);
    c->label = s.label;
    c->t[0] = kin_shape_tensor(&s.in[0], NULL);
    c->t[4] = (kin_tensor){NULL, KIN_F32, 2, {B * T, H}};
    c->t[5] = (kin_tensor){NULL, KIN_F32, 3, {B * T, H, T}};
    memcpy(&c->attr, s.attr.bytes, sizeof c->attr.attention);
    c->bytes = traffic(c->t, FN_TENSORS);
}

static void draw_all(kin_tensor *t)
{
    const kin_augment all = {.crop_min = 1.0, .flip = 0.5, .jitter = 0.4, .grey = 0.2, .erase = 0.25};
    const kin_preprocess p = kin_preprocess_default();
    kin_augmentation *a = t->ptr;
    for (int64_t i = 0; i < t->dim[0]; i++) kin_augment_draw(&p, &all, (uint64_t)i, SIDE, SIDE, a + i);
}

static const struct {
    const char *name;
    void (*make)(fn_case *c);
} fns[] = {
#define KIN_FN(name, tensors, attr) {#name, fn_##name},
#include "core/fns.def"
#undef KIN_FN
};

static void bench_fn(kin_backend *b, kin_fn fn, double bandwidth)
{
    fn_case c = {0};
    for (int i = 0; i < FN_TENSORS; i++) c.t[i].rank = -1;
    fns[fn].make(&c);
    for (int i = 0; i < FN_TENSORS; i++) {
        if (kin_absent(&c.t[i])) continue;
        c.t[i].ptr = memory(size_of(&c.t[i]));
        if (c.t[i].dtype == KIN_I32) draw_all(&c.t[i]);
        bring(b, &c.t[i]);
    }
    const kin_fn_call call = {.t = c.t, .attr = &c.attr, .dev = b->dev};
    double best = 1e30;
    for (int k = 0; k < 6; k++) {
        const double began = kin_now();
        b->fns[fn](&call);
        b->sync(b);
        if (kin_now() - began < best) best = kin_now() - began;
    }
    printf("%-11s %-17s %9.3f %23.1f %5.1f%%\n", fns[fn].name, c.label, 1e3 * best, c.bytes / best / 1e9,
           100.0 * c.bytes / best / bandwidth);
    for (int i = 0; i < FN_TENSORS; i++) drop(b, &c.t[i]);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 && strcmp(argv[1], "all") != 0 ? argv[1] : NULL;
    const kin_dtype precision = argc > 3 && strcmp(argv[3], "bf16") == 0 ? KIN_BF16 : KIN_F32;
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_open(&cx, argc > 2 ? argv[2] : "cpu", 0, NULL);
    if (!b) {
        fprintf(stderr, "bench ops: %s\n", cx.message);
        return 1;
    }
    const int threads = omp_get_num_procs();
    const double peak = b->host ? machine_flops(threads) : device_flops(b, precision),
                 bandwidth = b->host ? machine_bandwidth(threads) : device_bandwidth(b);
    if (b->host)
        printf("%s, %d threads, peak %.0f GFLOP/s, reading %.1f GB/s; caches make small operands faster than "
               "that\n",
               b->name, threads, peak / 1e9, bandwidth / 1e9);
    else
        printf("%s, %s: products of 8192 by cuBLAS %.0f GFLOP/s, copying %.0f GB/s\n", b->name,
               kin_dtype_name(precision), peak / 1e9, bandwidth / 1e9);
    if (!b->host) B = 256;
    printf("%-29s %9s %8s %6s %7s %6s %9s %8s %6s %7s %6s\n", "", "fwd ms", "GFLOP/s", "peak", "GB/s", "read",
           "bwd ms", "GFLOP/s", "peak", "GB/s", "read");
    for (int op = 0; op < KIN_OP_COUNT; op++)
        if (!only || strcmp(only, kin_op_get((kin_op)op)->def->name) == 0)
            bench_op(b, (kin_op)op, precision, peak, bandwidth);
    for (int fn = 0; fn < KIN_FN_COUNT; fn++)
        if (!only || strcmp(only, fns[fn].name) == 0) bench_fn(b, (kin_fn)fn, bandwidth);
    kin_backend_close(b);
    return 0;
}
