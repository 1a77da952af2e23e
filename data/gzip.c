#include "data/gzip.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { GZIP = 16 + MAX_WBITS, PIECE = 1 << 16 };

bool kin_is_gzip(const uint8_t *bytes, int64_t size)
{
    return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

/* Takes pieces until the input ends; *out grows as there is need, never beyond the limit. */
static kin_status inflate_all(kin_ctx *cx, z_stream *z, int64_t limit, uint8_t **out, int64_t *have)
{
    int64_t room = 0;
    for (;;) {
        if (*have + PIECE > room) {
            room = kin_min64(limit + PIECE, kin_max64(4 * PIECE, 2 * room)) + PIECE;
            uint8_t *grown = kin_regrow(cx, *out, room + 1, 1);
            if (!grown) return cx->status;
            *out = grown;
        }
        z->next_out = *out + *have;
        z->avail_out = PIECE;
        const int code = inflate(z, Z_NO_FLUSH);
        *have += PIECE - (int64_t)z->avail_out;
        if (*have > limit)
            return kin_fail(cx, KIN_UNSUPPORTED, "it unpacks to more than %lld bytes", (long long)limit);
        if (code == Z_STREAM_END) {
            if (z->avail_in == 0) return KIN_OK;
            if (inflateReset(z) != Z_OK) return kin_fail(cx, KIN_INTERNAL, "zlib could not be reset");
        } else if (code != Z_OK) {
            return kin_fail(cx, code == Z_MEM_ERROR ? KIN_NOMEM : KIN_FORMAT, "a damaged gzip file: %s",
                            z->msg ? z->msg : "it is cut");
        }
    }
}

kin_status kin_gunzip(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size, int64_t limit,
                      uint8_t **out, int64_t *out_size)
{
    *out = NULL;
    *out_size = 0;
    if (size > UINT32_MAX) return kin_fail(cx, KIN_UNSUPPORTED, "%s: packed files are at most 4 GiB", what);
    z_stream z = {.next_in = (z_const Bytef *)bytes, .avail_in = (uInt)size};
    if (inflateInit2(&z, GZIP) != Z_OK) return kin_fail(cx, KIN_NOMEM, "%s: out of memory", what);
    const kin_status rc = inflate_all(cx, &z, limit, out, out_size);
    inflateEnd(&z);
    if (rc == KIN_OK) {
        (*out)[*out_size] = '\0';
        return KIN_OK;
    }
    free(*out);
    *out = NULL;
    return kin_within(cx, "%s", what);
}

uint8_t *kin_zlib_pack(const uint8_t *bytes, int64_t size, int level, int64_t *out_size)
{
    uLongf n = compressBound((uLong)size);
    uint8_t *out = malloc(n);
    if (out && compress2(out, &n, bytes, (uLong)size, level) == Z_OK) {
        *out_size = (int64_t)n;
        return out;
    }
    free(out);
    return NULL;
}
