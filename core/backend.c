#include "core/backend.h"

enum { AT_ONCE = 512 };

kin_status kin_download_floats(kin_ctx *cx, kin_backend *b, const void *from, int64_t count, float *out)
{
    double wide[AT_ONCE];
    if (b->real == KIN_F32) b->download(b, out, from, count * (int64_t)sizeof *out);
    for (int64_t i = 0; b->real == KIN_F64 && i < count; i += AT_ONCE) {
        const int64_t n = kin_min64(AT_ONCE, count - i);
        b->download(b, wide, (const double *)from + i, n * (int64_t)sizeof *wide);
        for (int64_t k = 0; k < n; k++) out[i + k] = (float)wide[k];
    }
    return kin_backend_check(cx, b);
}

void kin_upload_floats(kin_backend *b, void *to, const float *from, int64_t count)
{
    double wide[AT_ONCE];
    if (b->real == KIN_F32) b->upload(b, to, from, count * (int64_t)sizeof *from);
    for (int64_t i = 0; b->real == KIN_F64 && i < count; i += AT_ONCE) {
        const int64_t n = kin_min64(AT_ONCE, count - i);
        for (int64_t k = 0; k < n; k++) wide[k] = (double)from[i + k];
        b->upload(b, (double *)to + i, wide, n * (int64_t)sizeof *wide);
    }
}
