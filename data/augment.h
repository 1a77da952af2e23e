/* augment: random pictures for training, a pure function of a key. In this order: random resized crop
 * (instead of resize and centre crop), horizontal flip, colour jitter, grey, erasing. The distributions are
 * torchvision's (RandomResizedCrop, ColorJitter, RandomGrayscale, RandomErasing); the draws are kin's own.
 * Three parts: what is drawn (data/augment_draw.c), the crop (data/augment.c), and the pixels behind it
 * (core/augment.h): integers, so that a processor and a GPU make the same picture. */
#ifndef KIN_AUGMENT_H
#define KIN_AUGMENT_H
#include "core/augment.h"
#include "data/preprocess.h"

typedef struct kin_augment {
    double crop_min; /* area of the crop in [crop_min, 1], aspect 3/4 .. 4/3; 1: no random crop */
    double flip;     /* probability */
    double jitter; /* brightness, contrast, saturation in [1 - j, 1 + j], hue in [-j/4, j/4] turns; j <= 1 */
    double grey;   /* probability */
    double erase;  /* probability: a rectangle of 2 to 33 % becomes the mean colour */
} kin_augment;

/* Who changes pixels: a processor's kernel, for those who see none (train/augment.h). picture [height, width,
 * 3]. */
typedef struct kin_augmenter {
    void (*change)(void *self, uint8_t *picture, int64_t height, int64_t width,
                   const kin_augmentation *drawn);
    void *self;
} kin_augmenter;

/* What this key draws for a picture of width x height: the part of it that is taken (all, without random
 * crops), and what is done to the pixels then. */
kin_rect kin_augment_draw(const kin_preprocess *p, const kin_augment *a, uint64_t key, int64_t width,
                          int64_t height, kin_augmentation *out);
bool kin_augment_changes(const kin_augment *a); /* can anything but a crop be drawn? */

/* in: a picture of width x height, or the same with fewer pixels (decoded small, or kept so); the crop is
 * drawn of width x height in any case. out [H, W, 3]: cropped and resized; what is to be done to its pixels
 * is in drawn. */
kin_status kin_augment_image(kin_ctx *cx, const kin_preprocess *p, const kin_augment *a, uint64_t key,
                             const kin_image *in, int64_t width, int64_t height, uint8_t *out,
                             kin_augmentation *drawn);
/* How much smaller the picture may be decoded (1, 2, 4 or 8: kin_image_decode_small) so that what this key
 * takes of it still has as many pixels as the model sees, down and across. */
int kin_augment_shrink(const kin_preprocess *p, const kin_augment *a, uint64_t key, int64_t width,
                       int64_t height);

#endif
