/* A picture's size out of its first bytes, nothing decoded: JPEG (ITU-T T.81 B.2.2), PNG (IHDR), WebP (RFC
 * 9649: VP8X, VP8L, VP8). */
#include <string.h>

#include "data/image.h"

static int64_t big16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static int64_t big32(const uint8_t *p)
{
    return big16(p) << 16 | big16(p + 2);
}

static int64_t little(const uint8_t *p, int bytes)
{
    int64_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}

/* The first frame header: segments FF, marker, two bytes of length. */
static bool of_jpeg(const uint8_t *b, int64_t size, int64_t *width, int64_t *height)
{
    for (int64_t at = 2; at + 9 <= size && b[at] == 0xff;) {
        const unsigned marker = b[at + 1];
        if (marker == 0xff) { /* padding */
            at++;
            continue;
        }
        const bool frame =
            marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (frame) {
            *height = big16(b + at + 5);
            *width = big16(b + at + 7);
            return true;
        }
        if (marker == 0xda || big16(b + at + 2) < 2) return false;
        at += 2 + big16(b + at + 2);
    }
    return false;
}

static bool of_png(const uint8_t *b, int64_t size, int64_t *width, int64_t *height)
{
    if (size < 24 || memcmp(b + 12, "IHDR", 4) != 0) return false;
    *width = big32(b + 16);
    *height = big32(b + 20);
    return true;
}

static bool of_webp(const uint8_t *b, int64_t size, int64_t *width, int64_t *height)
{
    if (size < 30) return false;
    if (memcmp(b + 12, "VP8X", 4) == 0) {
        *width = little(b + 24, 3) + 1;
        *height = little(b + 27, 3) + 1;
    } else if (memcmp(b + 12, "VP8L", 4) == 0) {
        const int64_t bits = little(b + 21, 4);
        *width = (bits & 0x3fff) + 1;
        *height = (bits >> 14 & 0x3fff) + 1;
    } else if (memcmp(b + 12, "VP8 ", 4) == 0) {
        *width = little(b + 26, 2) & 0x3fff;
        *height = little(b + 28, 2) & 0x3fff;
    } else {
        return false;
    }
    return true;
}

bool kin_image_measure(const uint8_t *bytes, int64_t size, int64_t *width, int64_t *height)
{
    const char *kind = kin_image_kind(bytes, size);
    if (!kind) return false;
    const bool known = *kind == 'J'   ? of_jpeg(bytes, size, width, height)
                       : *kind == 'P' ? of_png(bytes, size, width, height)
                                      : of_webp(bytes, size, width, height);
    return known && *width > 0 && *height > 0;
}
