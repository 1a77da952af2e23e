/* image_codec: one decoder a file; private to data/image*.c. Each checks the header with kin_image_room
 * before it takes memory, and leaves `out` empty on failure. `shrink` (1, 2, 4 or 8) is for those
 * that can: kin_image_decode_small. */
#ifndef KIN_IMAGE_CODEC_H
#define KIN_IMAGE_CODEC_H
#include "data/image.h"

/* Takes memory for width x height pixels if they are positive and at most max_pixels. */
kin_status kin_image_room(kin_ctx *cx, int64_t width, int64_t height, int64_t max_pixels, kin_image *out);

kin_status kin_decode_jpeg(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                           kin_image *out);
kin_status kin_decode_png(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                          kin_image *out);
kin_status kin_decode_webp(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                           kin_image *out);

#endif
