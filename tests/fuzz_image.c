/* Any bytes as a picture, then made small. */
#include "data/preprocess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 1 << 18 };
    kin_ctx cx = {0};
    kin_image image;
    uint8_t out[16 * 16 * 3];
    kin_preprocess p = kin_preprocess_default();
    p.height = p.width = 16;
    const int orientation = kin_image_orientation(data, (int64_t)size);
    int64_t width, height;
    kin_image_measure(data, (int64_t)size, &width, &height);
    for (int shrink = 2; shrink <= 8; shrink *= 2) {
        kin_image_decode_small(&cx, "fuzz", data, (int64_t)size, MOST, shrink, &image);
        kin_image_free(&image);
        kin_clear(&cx);
    }
    if (kin_image_decode(&cx, "fuzz", data, (int64_t)size, MOST, &image) != KIN_OK) return 0;
    kin_image_upright(&cx, &image, orientation);
    kin_preprocess_image(&cx, &p, &image, out);
    kin_image_free(&image);
    return 0;
}
