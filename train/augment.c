#include "train/augment.h"

void kin_augment_pictures(kin_backend *b, void *pictures, const void *drawn, int64_t n, int64_t height,
                          int64_t width)
{
    kin_tensor t[] = {{pictures, KIN_U8, 4, {n, height, width, 3}},
                      {kin_only_read(drawn), KIN_I32, 2, {n, KIN_AUGMENT_WORDS}}};
    b->fns[KIN_FN_augment](&(kin_fn_call){.t = t, .dev = b->dev});
}

static void change(void *self, uint8_t *picture, int64_t height, int64_t width, const kin_augmentation *drawn)
{
    kin_augment_pictures(self, picture, drawn, 1, height, width);
}

kin_augmenter kin_augmenter_of(kin_backend *b)
{
    return (kin_augmenter){change, b};
}
