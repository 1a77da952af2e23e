/* image: decoding by content, never by extension. JPEG by libjpeg-turbo (ISLOW, fancy upsampling: bit-exact
 * with Pillow), PNG by libspng or, without it, stb_image (PNG only, capped), WebP by libwebp when built with
 * it. Output is always RGB as Pillow's convert("RGB") gives it: grey is repeated, alpha is dropped, CMYK
 * converted. EXIF orientation is not applied (as in open_clip). */
#ifndef KIN_IMAGE_H
#define KIN_IMAGE_H
#include "core/base.h"

#define KIN_MAX_IMAGE_PIXELS 25000000 /* open_clip's --max-image-pixels */

typedef struct kin_image {
    uint8_t *pixels; /* [height, width, 3] RGB, owned */
    int64_t width, height;
} kin_image;

/* `what` names the image in messages. The header is checked against max_pixels before memory is taken. */
kin_status kin_image_decode(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size,
                            int64_t max_pixels, kin_image *out);
kin_status kin_image_load(kin_ctx *cx, const char *path, kin_image *out); /* file, default limits */
/* PNG bytes of an image (stb_image_write); *bytes is malloc'ed. */
kin_status kin_image_encode_png(kin_ctx *cx, const kin_image *image, uint8_t **bytes, int64_t *size);
kin_status kin_image_save_png(kin_ctx *cx, const char *path, const kin_image *image);
void kin_image_free(kin_image *image);

#endif
