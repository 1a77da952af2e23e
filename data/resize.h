/* resize: 8-bit RGB resampling, bit-exact with Pillow's Image.resize (two passes, 22-bit
 * fixed-point weights, antialiased when shrinking; Pillow src/libImaging/Resample.c). As in Pillow 13 the
 * vertical pass comes first where it removes more than twice as many rows as there are columns to remove:
 * tall pictures, whose pixels differ by a few levels from what Pillow 12 and before make. */
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

/* The same, and then a crop of it to `part`, of which alone the pixels are made: [part's height, part's
 * width, 3]. KIN_ARG for a part that is empty or not inside width x height. */
kin_status kin_resize_part(kin_ctx *cx, const kin_image *in, kin_rect from, int64_t width, int64_t height,
                           kin_rect part, kin_filter filter, uint8_t *pixels);

#endif
