/* resize: 8-bit RGB resampling, bit-exact with Pillow's Image.resize (two passes, horizontal first, 22-bit
 * fixed-point weights, antialiased when shrinking; Pillow src/libImaging/Resample.c). * Pillow 13 takes the
 * vertical pass first where a picture becomes wider and lower at once; kin keeps to the order of all versions
 * before. */
#ifndef KIN_RESIZE_H
#define KIN_RESIZE_H
#include "data/image.h"

typedef enum kin_filter { KIN_BICUBIC, KIN_BILINEAR } kin_filter; /* a = -0.5; triangle */

/* The rectangle [x0, x1) x [y0, y1) of `in`, as from a crop of it (nothing outside is read), resized to
 * width x height into pixels [height, width, 3]. KIN_ARG for empty sizes or a rectangle not inside. */
typedef struct kin_rect {
    int64_t x0, y0, x1, y1;
} kin_rect;
kin_status kin_resize(kin_ctx *cx, const kin_image *in, kin_rect from, int64_t width, int64_t height,
                      kin_filter filter, uint8_t *pixels);

#endif
