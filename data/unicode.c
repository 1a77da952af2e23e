#include "data/unicode.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

static bool space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == 32 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

kin_char_class kin_char_class_of(int32_t c)
{
    if (c < 128) {
        if ((c | 32) >= 'a' && (c | 32) <= 'z') return KIN_CHAR_LETTER;
        if (c >= '0' && c <= '9') return KIN_CHAR_NUMBER;
        return space(c) ? KIN_CHAR_SPACE : KIN_CHAR_OTHER;
    }
    if (space(c)) return KIN_CHAR_SPACE;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return KIN_CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return KIN_CHAR_NUMBER;
    default: return KIN_CHAR_OTHER;
    }
}

int32_t kin_char_at(const char *p, const char *end, int *length)
{
    if ((unsigned char)*p < 128) {
        *length = 1;
        return *p;
    }
    utf8proc_int32_t c;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)p, end - p, &c);
    *length = n > 0 ? (int)n : 1;
    return n > 0 ? c : 0xfffd;
}

/* Valid UTF-8 of any bytes: at most three times as long. */
static char *repaired(kin_ctx *cx, const char *text, int64_t size)
{
    char *out = kin_alloc(cx, 3 * size + 1, 1);
    if (!out) return NULL;
    char *to = out;
    for (const char *p = text, *end = text + size; p < end;) {
        int n;
        const int32_t c = kin_char_at(p, end, &n);
        if (c == 0) /* ends no text here */
            to += utf8proc_encode_char(0xfffd, (utf8proc_uint8_t *)to);
        else
            to += utf8proc_encode_char(c, (utf8proc_uint8_t *)to);
        p += n;
    }
    *to = '\0';
    return out;
}

/* Lower case of one code point into to (room for 8 bytes); its bytes. */
static int64_t lower(int32_t c, char *to)
{
    if (c < 128) {
        *to = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        return 1;
    }
    if (c == 0x130) { /* I with a dot: the one code point whose lower case is two */
        memcpy(to, "i\xcc\x87", 3);
        return 3;
    }
    return utf8proc_encode_char(utf8proc_tolower(c), (utf8proc_uint8_t *)to);
}

char *kin_text_normalise(kin_ctx *cx, const char *text, int64_t size, int64_t *out_size)
{
    bool ascii = true;
    for (int64_t i = 0; i < size && ascii; i++) ascii = (unsigned char)text[i] - 1u < 127u;
    char *valid = NULL, *composed = NULL;
    const char *from = text;
    if (!ascii) {
        valid = repaired(cx, text, size);
        composed = valid ? (char *)utf8proc_NFC((const utf8proc_uint8_t *)valid) : NULL;
        if (valid && !composed)
            kin_fail(cx, KIN_NOMEM, "out of memory for a text of %lld bytes", (long long)size);
        free(valid);
        if (!composed) return NULL;
        from = composed;
        size = (int64_t)strlen(composed);
    }
    /* Lower case is at most 3 bytes for 2, or 3 for 2 (U+0130, U+023A, U+023E). */
    char *out = kin_alloc(cx, 2 * size + 8, 1), *to = out;
    bool blank = false;
    for (const char *p = from, *end = from + size; out && p < end;) {
        int n;
        const int32_t c = kin_char_at(p, end, &n);
        p += n;
        if (!space(c)) {
            to += lower(c, to);
            blank = false;
        } else if (!blank) {
            *to++ = ' ';
            blank = true;
        }
    }
    if (out) {
        *to = '\0';
        *out_size = to - out;
    }
    free(composed);
    return out;
}
