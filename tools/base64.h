/* base64 (RFC 4648, with padding). */
#ifndef KIN_BASE64_H
#define KIN_BASE64_H
#include "core/base.h"

/* The text of `size` bytes; the caller frees it. NULL on failure. */
char *base64_encode(kin_ctx *cx, const uint8_t *bytes, int64_t size);
/* The bytes of a text; *size of them, the caller frees them. KIN_FORMAT for what is no base64. */
uint8_t *base64_decode(kin_ctx *cx, const char *text, int64_t *size);

#endif
