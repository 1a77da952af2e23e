/* resize_pass: the two passes of a resize, in plain C and in vectors of the processor; private to
 * data/resize*.c and to the test that compares them. All give the same bits: sums are of 32-bit integers,
 * modulo 2^32. */
#ifndef KIN_RESIZE_PASS_H
#define KIN_RESIZE_PASS_H
#include "data/resize.h"

enum { KIN_RESIZE_BITS = 22 }; /* of weights after the point */

/* Where each output position reads, and with what weights: position x takes first[x] .. first[x] + count[x] -
 * 1 by weight[x * room + i]. `room` is a multiple of 4; weights from count on are 0. `high` and `low` are the
 * weights once more in 16-bit halves: high * 65536 + low, both signed. */
typedef struct kin_taps {
    int64_t outputs, room;
    int32_t *first, *count, *weight;
    int16_t *high, *low;
} kin_taps;

/* Rows of 8-bit RGB pixels, `step` bytes apart, first and out's likewise.
 *   across: out [rows, outputs] of rows that may be read up to kin_taps_reach bytes, past their own end too
 *   down:   out [outputs, n bytes] of rows of n bytes */
typedef struct kin_resize_pass {
    const char *isa;
    bool (*supported)(void);
    void (*across)(const kin_taps *t, const uint8_t *in, int64_t step, int64_t rows, uint8_t *out,
                   int64_t out_step);
    void (*down)(const kin_taps *t, const uint8_t *in, int64_t step, int64_t n, uint8_t *out,
                 int64_t out_step);
} kin_resize_pass;

extern const kin_resize_pass kin_resize_plain;
#if defined(__x86_64__)
extern const kin_resize_pass kin_resize_avx2;
#endif

static inline uint8_t kin_resize_clip(int32_t sum)
{
    const int32_t v = sum >> KIN_RESIZE_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* kin_resize_part by the passes of choice. */
kin_status kin_resize_by(kin_ctx *cx, const kin_resize_pass *pass, const kin_image *in, kin_rect from,
                         int64_t width, int64_t height, kin_rect part, kin_filter filter, uint8_t *pixels);

#endif
