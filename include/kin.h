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
 * docs/example.c is a whole program, docs/example.py the same through ctypes. Build with
 * cc example.c $(pkg-config --cflags --libs kin); with kin-static for kin, libkin.a is linked in.
 *
 * Embeddings are rows of kin_embedding_width f32 numbers of length 1: their dot product is the cosine.
 * Weights are mapped from the file, and a tower that is not used is not read. A handle is used by one thread
 * at a time; any number of handles may exist. Functions that return int return 0 when all went well, and else
 * leave a sentence in kin_error; what they then wrote into `out` means nothing. */
#ifndef KIN_H
#define KIN_H
#ifdef __cplusplus
extern "C" {
#endif
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KIN_API __attribute__((visibility("default")))
#else
#define KIN_API
#endif

typedef struct kin kin;

KIN_API const char *kin_version(void); /* "0.1.0" */

/* Opens a model folder (RUN/best, RUN/last). threads 0: all cores. NULL only when there is no memory for a
 * handle: look at kin_error. Close it in any case. */
KIN_API kin *kin_open(const char *folder, int threads);
KIN_API void kin_close(kin *k);

/* The error of the last call that could fail; NULL: it went well. Belongs to the handle. */
KIN_API const char *kin_error(const kin *k);

/* What the model is; all 0 when it could not be opened. */
KIN_API int64_t kin_embedding_width(const kin *k); /* numbers of an embedding */
KIN_API int64_t kin_image_height(const kin *k);    /* pixels of what the model sees */
KIN_API int64_t kin_image_width(const kin *k);
KIN_API int64_t kin_context_length(const kin *k); /* most ids of a text, start and end included */
KIN_API double kin_scale(const kin *k);           /* of cosines: the logit scale, not its logarithm */

/* Ids of a text, start and end included, as the model sees it: cut to kin_context_length. ids has room for
 * that many. Returns how many, -1 on failure. */
KIN_API int64_t kin_tokenize(kin *k, const char *text, int32_t *ids);

/* n texts or pictures; out [n, width]. Any n: they go through the model in batches, and a row is the same
 * alone and among others (within 1e-6). The first picture that cannot be read is an error.
 * Pictures are resized and cropped as the model wants it; EXIF orientation is not applied. */
KIN_API int kin_embed_text(kin *k, const char *const *texts, int64_t n, float *out);
/* Files: JPEG, PNG, WebP, known by content. */
KIN_API int kin_embed_files(kin *k, const char *const *paths, int64_t n, float *out);
/* The same in memory: size[i] bytes of a file. */
KIN_API int kin_embed_encoded(kin *k, const void *const *bytes, const int64_t *size, int64_t n, float *out);
/* One picture: RGB, 8 bits, [height, width, 3]. */
KIN_API int kin_embed_pixels(kin *k, const uint8_t *rgb, int64_t width, int64_t height, float *out);
/* n of them. */
KIN_API int kin_embed_rgb(kin *k, const uint8_t *const *rgb, const int64_t *width, const int64_t *height,
                          int64_t n, float *out);

/* Cosines of n queries [n, width] with m candidates [m, width]; out [n, m]. Sums in f64. */
KIN_API int kin_cosines(kin *k, const float *queries, int64_t n, const float *candidates, int64_t m,
                        float *out);
/* What the model was trained to say of them, out [n, m]: softmax(scale * cosine) over the candidates of each
 * query, which sums to 1; or, of a model trained with the sigmoid loss (SigLIP), the probability of each
 * pair, sigmoid(scale * cosine + bias). */
KIN_API int kin_probabilities(kin *k, const float *queries, int64_t n, const float *candidates, int64_t m,
                              float *out);

#ifdef __cplusplus
}
#endif
#endif
