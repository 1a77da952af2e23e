#include "tools/base64.h"

#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(kin_ctx *cx, const uint8_t *bytes, int64_t size)
{
    char *text = kin_alloc(cx, size / 3 + 2, 4), *at = text;
    for (int64_t i = 0; text && i < size; i += 3) {
        const int64_t left = size - i;
        const uint32_t v = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                           (left > 2 ? bytes[i + 2] : 0u);
        *at++ = letters[v >> 18];
        *at++ = letters[v >> 12 & 63];
        *at++ = left > 1 ? letters[v >> 6 & 63] : '=';
        *at++ = left > 2 ? letters[v & 63] : '=';
    }
    if (at) *at = 0;
    return text;
}

uint8_t *base64_decode(kin_ctx *cx, const char *text, int64_t *size)
{
    uint8_t *bytes = kin_alloc(cx, (int64_t)strlen(text) / 4 + 1, 3), *at = bytes;
    uint32_t v = 0;
    int bits = 0;
    for (; bytes && *text && *text != '='; text++) {
        const char *letter = strchr(letters, *text);
        if (!letter) {
            kin_fail(cx, KIN_FORMAT, "'%c' is no letter of base64", *text);
            free(bytes);
            return NULL;
        }
        v = v << 6 | (uint32_t)(letter - letters);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        *at++ = (uint8_t)(v >> bits & 255);
    }
    *size = at - bytes;
    return bytes;
}
