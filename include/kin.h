/* kin: pictures and words in one space. The public C interface: plain types only, usable from other
 * languages.
 *
 *   kin *k = kin_open("run/best", 0);
 *   if (kin_error(k)) ...                          // a sentence: what is wrong, where, what to do
 *   float *e = malloc(2 * kin_embedding_width(k) * sizeof *e);
 *   const char *texts[] = {"a red ring", "a blue star"};
 *   if (kin_embed_text(k, texts, 2, e)) puts(kin_error(k));
 *   kin_close(k);
 *
 * Embeddings are rows of kin_embedding_width f32 numbers of length 1: their dot product is the cosine. A
 * handle is used by one thread at a time; any number of handles may exist. Functions that return int return 0
 * when all went well. */
#ifndef KIN_H
#define KIN_H
#ifdef __cplusplus
extern "C" {
#endif
#include <stddef.h>
#include <stdint.h>

typedef struct kin kin;

const char *kin_version(void); /* "0.1.0" */

/* Opens a model folder (RUN/best, RUN/last). threads 0: all cores. NULL only when there is no memory for a
 * handle: look at kin_error. Close it in any case. */
kin *kin_open(const char *folder, int threads);
void kin_close(kin *k);

/* The first error since the last call that went well; NULL: none. Belongs to the handle. */
const char *kin_error(const kin *k);

int64_t kin_embedding_width(const kin *k); /* numbers of an embedding */
int64_t kin_image_size(const kin *k);      /* pixels along a side of what the model sees */
double kin_scale(const kin *k);            /* p = softmax(scale * cosine) over candidates */

/* out [n, width] */
int kin_embed_text(kin *k, const char *const *texts, int64_t n, float *out);
/* Files: JPEG, PNG, WebP. The first that cannot be read is an error. */
int kin_embed_files(kin *k, const char *const *paths, int64_t n, float *out);
/* A picture in memory: RGB, 8 bits, [height, width, 3]; resized and cropped as the model wants it. */
int kin_embed_pixels(kin *k, const uint8_t *rgb, int64_t width, int64_t height, float *out);

#ifdef __cplusplus
}
#endif
#endif
