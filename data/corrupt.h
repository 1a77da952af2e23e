/* corrupt: pictures and texts made worse, for asking how much of it a model bears. A corruption has a
 * strength from 0 (the very same bytes) to 1, and is a pure function of (kind, strength, key).
 *
 *   of a picture [h, w, 3] u8
 *     blur      Gaussian, sigma = strength * the shorter side / 8; edges repeat
 *     crop      a window of sides 1 - 0.75 strength of the picture's, at a random place, made large again
 *     color     noise for each channel of each pixel: a sum of four uniforms with standard deviation 96
 * strength cover     a grey rectangle of `strength` of the area, of the picture's proportions, at a random
 * place no-image  with probability strength there is no picture: it is one of the mean colour of a text
 *     shuffle   strength of the words, chosen at random, change places among themselves
 *     drop      strength of the words, chosen at random, are gone
 *     no-text   with probability strength there is no text: it is empty
 *
 * Words are set off by blanks; those around shuffled and dropped words become one. A share of n words is
 * rounded. */
#ifndef KIN_CORRUPT_H
#define KIN_CORRUPT_H
#include "data/image.h"

typedef enum kin_noise {
    KIN_NOISE_BLUR,
    KIN_NOISE_CROP,
    KIN_NOISE_COLOR,
    KIN_NOISE_COVER,
    KIN_NOISE_NO_IMAGE,
    KIN_NOISE_SHUFFLE,
    KIN_NOISE_DROP,
    KIN_NOISE_NO_TEXT,
    KIN_NOISES
} kin_noise;
extern const char *const kin_noise_names[KIN_NOISES];

static inline bool kin_noise_of_image(kin_noise kind)
{
    return kind <= KIN_NOISE_NO_IMAGE;
}
/* Is it absent? Of the two kinds that take a modality away; else false. */
bool kin_noise_absent(kin_noise kind, double strength, uint64_t key);

/* A picture in place; a kind of texts leaves it. mean: RGB, of an absent one. KIN_ARG for a strength outside
 * [0, 1]. */
kin_status kin_corrupt_image(kin_ctx *cx, kin_noise kind, double strength, uint64_t key,
                             const uint8_t mean[3], kin_image *image);
/* A new text, which the caller frees; a kind of pictures copies it. NULL on failure. */
char *kin_corrupt_text(kin_ctx *cx, kin_noise kind, double strength, uint64_t key, const char *text);

#endif
