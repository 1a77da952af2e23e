#include "data/image.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/file.h"
#include "data/image_codec.h"

enum { FILE_LIMIT = 1 << 28 };

kin_status kin_image_room(kin_ctx *cx, int64_t width, int64_t height, int64_t max_pixels, kin_image *out)
{
    int64_t pixels;
    if (width < 1 || height < 1 || !kin_mul(width, height, &pixels) || pixels > max_pixels)
        return kin_fail(cx, KIN_UNSUPPORTED, "%lld x %lld pixels; at most %lld pixels are read",
                        (long long)width, (long long)height, (long long)max_pixels);
    out->pixels = kin_alloc(cx, pixels, 3);
    if (!out->pixels) return cx->status;
    out->width = width;
    out->height = height;
    return KIN_OK;
}

typedef kin_status (*decoder)(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                              kin_image *out);

/* Known by their first bytes, `at` bytes in. Without a decoder: named in the message. */
static const struct {
    const char *name, *magic;
    size_t at, length;
    decoder decode;
} kinds[] = {
    {"a JPEG", "\xff\xd8\xff", 0, 3, kin_decode_jpeg},
    {"a PNG", "\x89PNG\r\n\x1a\n", 0, 8, kin_decode_png},
    {"a WebP", "WEBP", 8, 4, kin_decode_webp},
    {"a GIF", "GIF8", 0, 4, NULL},
    {"a BMP", "BM", 0, 2, NULL},
    {"a TIFF", "II*\0", 0, 4, NULL},
    {"a TIFF", "MM\0*", 0, 4, NULL},
    {"a HEIC or AVIF", "ftyp", 4, 4, NULL},
    {"a PDF", "%PDF", 0, 4, NULL},
    {"an XML or SVG", "<", 0, 1, NULL},
};

const char *kin_image_kind(const uint8_t *bytes, int64_t size)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!kinds[i].decode || (uint64_t)size < kinds[i].at + kinds[i].length) continue;
        if (memcmp(bytes + kinds[i].at, kinds[i].magic, kinds[i].length) == 0) return kinds[i].name + 2;
    }
    return NULL;
}

const char *kin_image_misnamed(const char *name, const uint8_t *bytes, int64_t size)
{
    const char *dot = strrchr(name, '.'), *kind = kin_image_kind(bytes, size);
    if (!dot || !kind) return NULL;
    const char *said = strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 ? "JPEG"
                       : strcasecmp(dot, ".png") == 0                                ? "PNG"
                       : strcasecmp(dot, ".webp") == 0                               ? "WebP"
                                                                                     : kind;
    return strcmp(said, kind) == 0 ? NULL : kind;
}

void kin_image_tell_misnamed(kin_ctx *cx, const char *name, const char *kind)
{
    kin_log(cx, KIN_INFO, "%s is a %s file (content sniffed) - read as %s.", name, kind, kind);
}

static kin_status decode(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                         kin_image *out)
{
    if (size == 0) return kin_fail(cx, KIN_FORMAT, "it is empty");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((uint64_t)size < kinds[i].at + kinds[i].length) continue;
        if (memcmp(bytes + kinds[i].at, kinds[i].magic, kinds[i].length) != 0) continue;
        if (kinds[i].decode) return kinds[i].decode(cx, bytes, size, max_pixels, shrink, out);
        return kin_fail(cx, KIN_UNSUPPORTED, "%s file; kin reads JPEG, PNG and WebP", kinds[i].name);
    }
    return kin_fail(cx, KIN_FORMAT, "not a picture that kin knows (JPEG, PNG, WebP)");
}

kin_status kin_image_decode_small(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size,
                                  int64_t max_pixels, int shrink, kin_image *out)
{
    *out = (kin_image){0};
    if (decode(cx, bytes, size, max_pixels, shrink, out) == KIN_OK) return KIN_OK;
    kin_image_free(out);
    return kin_within(cx, "%s", what);
}

kin_status kin_image_decode(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size,
                            int64_t max_pixels, kin_image *out)
{
    return kin_image_decode_small(cx, what, bytes, size, max_pixels, 1, out);
}

kin_status kin_image_load(kin_ctx *cx, const char *path, kin_image *out)
{
    uint8_t *bytes;
    int64_t size;
    *out = (kin_image){0};
    KIN_TRY(kin_read_file(cx, path, FILE_LIMIT, &bytes, &size));
    const char *kind = kin_image_misnamed(path, bytes, size);
    if (kind) kin_image_tell_misnamed(cx, path, kind);
    const kin_status rc = kin_image_decode(cx, path, bytes, size, KIN_MAX_IMAGE_PIXELS, out);
    free(bytes);
    return rc;
}

kin_status kin_image_save_png(kin_ctx *cx, const char *path, const kin_image *image)
{
    uint8_t *bytes;
    int64_t size;
    KIN_TRY(kin_image_encode_png(cx, image, &bytes, &size));
    const kin_status rc = kin_write_file(cx, path, bytes, size);
    free(bytes);
    return rc;
}

void kin_image_free(kin_image *image)
{
    free(image->pixels);
    *image = (kin_image){0};
}
