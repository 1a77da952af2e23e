/* unicode: what tokenizers ask of Unicode: code points, their classes, NFC, lower case (by utf8proc). */
#ifndef KIN_UNICODE_H
#define KIN_UNICODE_H
#include "core/base.h"

typedef enum kin_char_class {
    KIN_CHAR_OTHER,
    KIN_CHAR_LETTER,
    KIN_CHAR_NUMBER,
    KIN_CHAR_SPACE
} kin_char_class;

/* The class of a code point: \p{L}, \p{N}, White_Space, or none of them. */
kin_char_class kin_char_class_of(int32_t c);
/* The code point at p (p < end) and its length in bytes; a byte that begins none is U+FFFD of length 1. */
int32_t kin_char_at(const char *p, const char *end, int *length);

/* NFC, runs of white space to one blank, each code point to lower case: the normalizer of Hugging Face's
 * CLIPTokenizerFast. Invalid bytes become U+FFFD. Owned by the caller. *out_size without the NUL. */
char *kin_text_normalise(kin_ctx *cx, const char *text, int64_t size, int64_t *out_size);

#endif
