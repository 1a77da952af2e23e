/* WebP by libwebp, when built with it. */
#include "data/image_codec.h"

#ifdef KIN_HAVE_WEBP
#include <webp/decode.h>

kin_status kin_decode_webp(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                           kin_image *out)
{
    (void)shrink;
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(bytes, (size_t)size, &features) != VP8_STATUS_OK)
        return kin_fail(cx, KIN_FORMAT, "a damaged WebP: its header cannot be read");
    if (features.has_animation)
        return kin_fail(cx, KIN_UNSUPPORTED, "an animated WebP; kin reads still ones");
    KIN_TRY(kin_image_room(cx, features.width, features.height, max_pixels, out));
    const int stride = (int)out->width * 3;
    if (!WebPDecodeRGBInto(bytes, (size_t)size, out->pixels, (size_t)(out->height * stride), stride))
        return kin_fail(cx, KIN_FORMAT, "a damaged WebP");
    return KIN_OK;
}
#else
kin_status kin_decode_webp(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                           kin_image *out)
{
    (void)bytes, (void)size, (void)max_pixels, (void)shrink, (void)out;
    return kin_fail(cx, KIN_UNSUPPORTED, "a WebP file, and this kin was built without libwebp");
}
#endif
