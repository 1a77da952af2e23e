#include "data/augment.h"

#include <math.h>

/* [*from, *to) of `had` samples, where there are `has` of the same picture. */
static void map(int64_t *from, int64_t *to, int64_t had, int64_t has)
{
    if (had == has) return;
    const double ratio = (double)has / (double)had;
    *from = kin_min64(has - 1, (int64_t)nearbyint((double)*from * ratio));
    *to = kin_min64(has, kin_max64(*from + 1, (int64_t)nearbyint((double)*to * ratio)));
}

int kin_augment_shrink(const kin_preprocess *p, const kin_augment *a, uint64_t key, int64_t width,
                       int64_t height)
{
    kin_augmentation unused;
    const kin_rect from = kin_augment_draw(p, a, key, width, height, &unused);
    const int64_t w = from.x1 - from.x0, h = from.y1 - from.y0;
    const bool longest = a->crop_min >= 1.0 && p->mode == KIN_RESIZE_LONGEST;
    for (int shrink = 8; shrink > 1; shrink /= 2) {
        const bool across = w / shrink >= p->width, down = h / shrink >= p->height;
        if ((across && down) || (longest && (across || down))) return shrink;
    }
    return 1;
}

kin_status kin_augment_image(kin_ctx *cx, const kin_preprocess *p, const kin_augment *a, uint64_t key,
                             const kin_image *in, int64_t width, int64_t height, uint8_t *out,
                             kin_augmentation *drawn)
{
    kin_rect from = kin_augment_draw(p, a, key, width, height, drawn);
    if (a->crop_min >= 1.0) return kin_preprocess_image(cx, p, in, out);
    map(&from.x0, &from.x1, width, in->width);
    map(&from.y0, &from.y1, height, in->height);
    return kin_resize(cx, in, from, p->width, p->height, p->interpolation, out);
}
