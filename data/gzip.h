/* gzip: whole compressed files (RFC 1952) in memory, and zlib streams (RFC 1950), by zlib. */
#ifndef KIN_GZIP_H
#define KIN_GZIP_H
#include "core/base.h"

/* Do these bytes begin like a gzip file? */
bool kin_is_gzip(const uint8_t *bytes, int64_t size);
/* Unpacks all members of `bytes` into *out (malloc'ed, a NUL behind the last byte), at most `limit` bytes;
 * `what` names the file in messages. */
kin_status kin_gunzip(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size, int64_t limit,
                      uint8_t **out, int64_t *out_size);
/* A zlib stream of `size` bytes, malloc'ed; NULL without memory. level: 1 (fast) to 9. */
uint8_t *kin_zlib_pack(const uint8_t *bytes, int64_t size, int level, int64_t *out_size);

#endif
