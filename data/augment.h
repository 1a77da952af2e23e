/* augment: random pictures for training, a pure function of a key. In this order: random resized crop
 * (instead of resize and centre crop), horizontal flip, colour jitter, grey, erasing. The distributions are
 * torchvision's (RandomResizedCrop, ColorJitter, RandomGrayscale, RandomErasing); the draws are kin's own. */
#ifndef KIN_AUGMENT_H
#define KIN_AUGMENT_H
#include "data/preprocess.h"

typedef struct kin_augment {
    double crop_min; /* area of the crop in [crop_min, 1], aspect 3/4 .. 4/3; 1: no random crop */
    double flip;     /* probability */
    double jitter;   /* brightness, contrast, saturation in [1 - j, 1 + j], hue in [-j/4, j/4] turns */
    double grey;     /* probability */
    double erase;    /* probability: a rectangle of 2 to 33 % becomes the mean colour */
} kin_augment;

/* in: a picture of width x height, or the same with fewer pixels (decoded small, or kept so); the crop is
 * drawn of width x height in any case. out [S, S, 3] */
kin_status kin_augment_image(kin_ctx *cx, const kin_preprocess *p, const kin_augment *a, uint64_t key,
                             const kin_image *in, int64_t width, int64_t height, uint8_t *out);
/* How much smaller the picture may be decoded (1, 2, 4 or 8: kin_image_decode_small) so that what this key
 * takes of it still has S pixels a side. */
int kin_augment_shrink(const kin_preprocess *p, const kin_augment *a, uint64_t key, int64_t width,
                       int64_t height);

#endif
