/* augment: what is done to the pixels of one training picture behind its crop. Drawn by data/augment.h,
 * applied by the row `augment` of core/fns.def on the processor or, to pictures uploaded as they are, on the
 * GPU. All of it is integers, so the same draw gives the same bytes by whichever kernel. */
#ifndef KIN_CORE_AUGMENT_H
#define KIN_CORE_AUGMENT_H
#include "core/base.h"

/* Brightness, contrast, saturation and hue in any order, then grey. */
enum { KIN_AUGMENT_STAGES = 5 };

/* One change of all colours, each channel by a row of m: clip((m . (r, g, b) + mean) / 65536), a half rounded
 * up. mean = grey * G / 65536, towards zero, where G is the average of kin_augment_grey over the picture as
 * the stages before left it, a half rounded up; grey 0: no average is needed. Neither the |m| of a row nor
 * |grey| sum to more than 32 * 65536. */
typedef struct kin_augment_stage {
    int32_t m[9], grey;
} kin_augment_stage;

/* First the flip, then the stages, then the rectangle. A row of KIN_AUGMENT_WORDS i32. */
typedef struct kin_augmentation {
    int32_t flip;           /* 1: left and right change places */
    int32_t x0, y0, x1, y1; /* columns x0 .. x1 - 1 of rows y0 .. y1 - 1 of what comes out get one colour */
    int32_t colour[3];      /* 0 .. 255 */
    int32_t stages;         /* how many there are */
    kin_augment_stage stage[KIN_AUGMENT_STAGES];
} kin_augmentation;
enum { KIN_AUGMENT_WORDS = sizeof(kin_augmentation) / sizeof(int32_t) };

/* ITU-R 601 as Pillow's L, in 65536ths. */
KIN_ANYWHERE int32_t kin_augment_grey(int32_t r, int32_t g, int32_t b)
{
    return 19595 * r + 38470 * g + 7471 * b;
}

#endif
