/* image: decoding by content, never by extension. JPEG by libjpeg-turbo (ISLOW, fancy upsampling: bit-exact
 * with Pillow), PNG by libspng or, without it, stb_image (PNG only, capped), WebP by libwebp when built with
 * it. Output is always RGB as Pillow's convert("RGB") gives it: grey is repeated, alpha is dropped, CMYK
 * converted. EXIF orientation is not applied (as in open_clip and Pillow's open): models were trained on
 * pictures as they are stored. For photo search there is kin_image_upright. */
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
/* The same with fewer pixels where a decoder has them cheaper: each 8 x 8 block of a JPEG is transformed to 8
 * / shrink pixels a side (2, 4 or 8; as Pillow's draft), sides rounded up. The pixels differ from those of
 * the whole picture made smaller. Other kinds of picture, and shrink 1: decoded whole. */
kin_status kin_image_decode_small(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size,
                                  int64_t max_pixels, int shrink, kin_image *out);
/* Width and height as the header says, nothing decoded; false where there is none that kin reads. */
bool kin_image_measure(const uint8_t *bytes, int64_t size, int64_t *width, int64_t *height);
/* "JPEG", "PNG" or "WebP" by content, NULL for all else; and the same only when the name says another of
 * them. */
const char *kin_image_kind(const uint8_t *bytes, int64_t size);
const char *kin_image_misnamed(const char *name, const uint8_t *bytes, int64_t size);
/* Says so: "photo.jpg is a PNG file (content sniffed) - read as PNG." */
void kin_image_tell_misnamed(kin_ctx *cx, const char *name, const char *kind);

/* The orientation that a JPEG's EXIF data asks for: 1 (none) to 8; 1 when there is none to be read. */
int kin_image_orientation(const uint8_t *bytes, int64_t size);
/* Turns and mirrors as Pillow's ImageOps.exif_transpose. */
kin_status kin_image_upright(kin_ctx *cx, kin_image *image, int orientation);

kin_status kin_image_load(kin_ctx *cx, const char *path, kin_image *out); /* file, default limits */
/* PNG bytes of an image (stb_image_write); *bytes is malloc'ed. */
kin_status kin_image_encode_png(kin_ctx *cx, const kin_image *image, uint8_t **bytes, int64_t *size);
kin_status kin_image_save_png(kin_ctx *cx, const char *path, const kin_image *image);
void kin_image_free(kin_image *image);

#endif
