/* EXIF orientation (EXIF 2.3, TIFF 6.0): the one tag of IFD0 that changes how a picture is seen. */
#include <stdlib.h>
#include <string.h>

#include "data/image.h"

enum { ORIENTATION = 0x0112, SHORT = 3 };

static unsigned read16(const uint8_t *p, bool big)
{
    return big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static uint64_t read32(const uint8_t *p, bool big)
{
    return big ? (uint64_t)read16(p, true) << 16 | read16(p + 2, true)
               : (uint64_t)read16(p + 2, false) << 16 | read16(p, false);
}

/* From a TIFF header: 1 when there is no such tag. */
static int of_tiff(const uint8_t *t, int64_t size)
{
    if (size < 8) return 1;
    const bool big = t[0] == 'M';
    if (memcmp(t, big ? "MM\0*" : "II*\0", 4) != 0) return 1;
    const int64_t at = (int64_t)read32(t + 4, big);
    if (at > size - 2) return 1;
    const int64_t count = read16(t + at, big);
    for (int64_t i = 0; i < count && at + 2 + 12 * (i + 1) <= size; i++) {
        const uint8_t *e = t + at + 2 + 12 * i;
        if (read16(e, big) != ORIENTATION || read16(e + 2, big) != SHORT) continue;
        const unsigned v = read16(e + 8, big);
        return v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

int kin_image_orientation(const uint8_t *bytes, int64_t size)
{
    if (size < 4 || bytes[0] != 0xff || bytes[1] != 0xd8) return 1;
    /* Segments FF, marker, two bytes of length, until the picture itself begins. */
    for (int64_t at = 2; at + 4 <= size && bytes[at] == 0xff;) {
        const unsigned marker = bytes[at + 1];
        if (marker == 0xff) { /* padding */
            at++;
            continue;
        }
        const int64_t length = read16(bytes + at + 2, true);
        if (marker == 0xda || length < 2 || at + 2 + length > size) break;
        if (marker == 0xe1 && length >= 8 && memcmp(bytes + at + 4, "Exif\0\0", 6) == 0)
            return of_tiff(bytes + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

kin_status kin_image_upright(kin_ctx *cx, kin_image *image, int orientation)
{
    if (orientation < 2 || orientation > 8) return KIN_OK;
    const int64_t w = image->width, h = image->height;
    const bool lies = orientation >= 5; /* width and height change places */
    const int64_t ow = lies ? h : w, oh = lies ? w : h;
    uint8_t *out = kin_alloc(cx, w * h, 3);
    if (!out) return cx->status;
    const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    for (int64_t y = 0; y < oh; y++) {
        for (int64_t x = 0; x < ow; x++) {
            int64_t sx = lies ? y : x, sy = lies ? x : y; /* of the stored picture */
            if (flip_x) sx = w - 1 - sx;
            if (flip_y) sy = h - 1 - sy;
            memcpy(out + (y * ow + x) * 3, image->pixels + (sy * w + sx) * 3, 3);
        }
    }
    free(image->pixels);
    *image = (kin_image){out, ow, oh};
    return KIN_OK;
}
