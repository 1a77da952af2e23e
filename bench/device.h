/* device: what a device with memory of its own can do, measured through kin's own rows: products as cuBLAS
 * makes them (linear without bias is one call), and a copy (cast of f32 to f32). For bench programs. */
#ifndef KIN_BENCH_DEVICE_H
#define KIN_BENCH_DEVICE_H
#include "core/backend.h"

/* Seconds of one of `times` calls that run one after another; the best of three rounds after one that is not
 * counted. */
static inline double device_seconds(kin_backend *b, void (*kernel)(const kin_call *), const kin_call *c,
                                    int times)
{
    double best = 1e30;
    for (int round = 0; round < 4; round++) {
        b->sync(b);
        const double began = kin_now();
        for (int i = 0; i < times; i++) kernel(c);
        b->sync(b);
        const double spent = (kin_now() - began) / times;
        if (round > 0 && spent < best) best = spent;
    }
    return best;
}

/* Multiply-adds of a square product of 8192, two operations each, per second. */
static inline double device_flops(kin_backend *b, kin_dtype t)
{
    enum { SIDE = 8192, TIMES = 10 };
    const int64_t bytes = (int64_t)SIDE * SIDE * (int64_t)kin_dtype_size(t);
    static const kin_linear_attr attr = {0};
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT];
    void *p[3];
    for (int i = 0; i < 3; i++) p[i] = b->alloc(b, bytes);
    for (int i = 0; i < KIN_MAX_IN; i++) in[i] = (kin_tensor){.rank = -1};
    for (int i = 0; i < KIN_MAX_OUT; i++) out[i] = (kin_tensor){.rank = -1};
    in[0] = (kin_tensor){p[0], t, 2, {SIDE, SIDE}};
    in[1] = (kin_tensor){p[1], t, 2, {SIDE, SIDE}};
    out[0] = (kin_tensor){p[2], t, 2, {SIDE, SIDE}};
    const kin_call c = {.in = in, .out = out, .attr = &attr, .dev = b->dev};
    const double seconds =
        p[0] && p[1] && p[2] ? device_seconds(b, b->ops[KIN_OP_linear].fwd, &c, TIMES) : 1e30;
    for (int i = 0; i < 3; i++)
        if (p[i]) b->release(b, p[i], bytes);
    return 2.0 * SIDE * SIDE * SIDE / seconds;
}

/* Bytes read and written per second by a copy of a gibibyte. */
static inline double device_bandwidth(kin_backend *b)
{
    enum { COUNT = 1 << 28, TIMES = 10 };
    static const kin_cast_attr attr = {.dtype = KIN_F32};
    void *from = b->alloc(b, COUNT * 4LL), *to = b->alloc(b, COUNT * 4LL);
    const kin_tensor in = {from, KIN_F32, 1, {COUNT}}, out = {to, KIN_F32, 1, {COUNT}};
    const kin_call c = {.in = &in, .out = &out, .attr = &attr, .dev = b->dev};
    const double seconds = from && to ? device_seconds(b, b->ops[KIN_OP_cast].fwd, &c, TIMES) : 1e30;
    if (from) b->release(b, from, COUNT * 4LL);
    if (to) b->release(b, to, COUNT * 4LL);
    return 8.0 * COUNT / seconds;
}
#endif
