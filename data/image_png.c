/* PNG: libspng, or stb_image where it is missing. Written by stb_image_write in both cases. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "data/gzip.h"
#include "data/image_codec.h"

#ifdef KIN_HAVE_SPNG
#include <spng.h>
#else
enum { MOST_BYTES = 64 << 20 }; /* stb_image decodes all it is told to */
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#endif
/* For stb_image_write, whose own compressor takes several times zlib's time and makes larger files. It frees
 * what it gets with free. */
static unsigned char *compressed(unsigned char *data, int size, int *out_size, int quality)
{
    enum { LEVEL = 3 }; /* the highest ones take twice the time for a few per cent */
    int64_t n = 0;
    unsigned char *out = kin_zlib_pack(data, size, LEVEL, &n);
    (void)quality;
    *out_size = (int)n;
    return out;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wdouble-promotion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#define STBIW_ZLIB_COMPRESS compressed
#include <stb/stb_image_write.h>
#ifndef KIN_HAVE_SPNG
#include <stb/stb_image.h>
#endif
#pragma GCC diagnostic pop

#ifdef KIN_HAVE_SPNG
static kin_status fail_png(kin_ctx *cx, int code)
{
    return kin_fail(cx, code == SPNG_EMEM ? KIN_NOMEM : KIN_FORMAT, "a damaged PNG: %s", spng_strerror(code));
}

static kin_status decode(kin_ctx *cx, spng_ctx *png, const uint8_t *bytes, int64_t size, int64_t max_pixels,
                         kin_image *out)
{
    enum { MOST_CHUNK = 16 << 20 };
    struct spng_ihdr header;
    size_t room;
    int code = spng_set_png_buffer(png, bytes, (size_t)size);
    if (!code) code = spng_set_chunk_limits(png, MOST_CHUNK, 2 * MOST_CHUNK);
    if (!code) code = spng_get_ihdr(png, &header);
    if (code) return fail_png(cx, code);
    KIN_TRY(kin_image_room(cx, header.width, header.height, max_pixels, out));
    /* Any kind of PNG to 8-bit RGB: palettes looked up, grey repeated, alpha dropped, 16 bits to their
     * upper 8. */
    code = spng_decoded_image_size(png, SPNG_FMT_RGB8, &room);
    if (!code && (int64_t)room != out->width * out->height * 3) code = SPNG_EOVERFLOW;
    if (!code) code = spng_decode_image(png, out->pixels, room, SPNG_FMT_RGB8, 0);
    return code ? fail_png(cx, code) : KIN_OK;
}

kin_status kin_decode_png(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                          kin_image *out)
{
    (void)shrink;
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return kin_fail(cx, KIN_NOMEM, "out of memory for a PNG");
    const kin_status rc = decode(cx, png, bytes, size, max_pixels, out);
    spng_ctx_free(png);
    return rc;
}
#else
kin_status kin_decode_png(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                          kin_image *out)
{
    (void)shrink;
    int w, h, channels;
    if (size > INT32_MAX || !stbi_info_from_memory(bytes, (int)size, &w, &h, &channels))
        return kin_fail(cx, KIN_FORMAT, "a damaged PNG: its header cannot be read");
    KIN_TRY(kin_image_room(cx, w, h, kin_min64(max_pixels, MOST_BYTES / 4), out));
    uint8_t *pixels = stbi_load_from_memory(bytes, (int)size, &w, &h, &channels, 3);
    if (!pixels) return kin_fail(cx, KIN_FORMAT, "a damaged PNG: %s", stbi_failure_reason());
    memcpy(out->pixels, pixels, (size_t)(out->width * out->height * 3));
    free(pixels);
    return KIN_OK;
}
#endif

/* What kin writes are drawings: as they are, their lines pack smaller than as differences, and
 * stb_image_write would try five ways a line. Its switch is a global. */
static void choose_no_filter(void)
{
    stbi_write_force_png_filter = 0;
}

kin_status kin_image_encode_png(kin_ctx *cx, const kin_image *image, uint8_t **bytes, int64_t *size)
{
    if (image->width < 1 || image->height < 1 || image->width * image->height > KIN_MAX_IMAGE_PIXELS)
        return kin_fail(cx, KIN_ARG, "a picture of %lld x %lld pixels cannot be written",
                        (long long)image->width, (long long)image->height);
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int length = 0;
    pthread_once(&once, choose_no_filter);
    *bytes = stbi_write_png_to_mem(image->pixels, (int)image->width * 3, (int)image->width,
                                   (int)image->height, 3, &length);
    if (!*bytes) return kin_fail(cx, KIN_NOMEM, "out of memory for a PNG");
    *size = length;
    return KIN_OK;
}
