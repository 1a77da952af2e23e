#include "core/tensor.h"

#include <stdio.h>
#include <string.h>

size_t kin_dtype_size(kin_dtype t)
{
    switch (t) {
#define X(name, bytes, text) \
    case KIN_##name: return bytes;
        KIN_DTYPE_MAP(X)
#undef X
    case KIN_DTYPE_COUNT: break;
    }
    return 0;
}

const char *kin_dtype_name(kin_dtype t)
{
    switch (t) {
#define X(name, bytes, text) \
    case KIN_##name: return text;
        KIN_DTYPE_MAP(X)
#undef X
    case KIN_DTYPE_COUNT: break;
    }
    return "?";
}

bool kin_dtype_is_real(kin_dtype t)
{
    return t == KIN_F32 || t == KIN_F64 || t == KIN_BF16 || t == KIN_F16;
}

kin_shape kin_fixed(kin_dtype dtype, int rank, ...)
{
    kin_shape s = {.dtype = dtype, .rank = rank, .sym = -1};
    va_list args;
    va_start(args, rank);
    for (int i = 0; i < rank && i < KIN_MAX_RANK; i++) s.dim[i] = va_arg(args, int64_t);
    va_end(args);
    return s;
}

const char *kin_shape_text(const kin_shape *s, char buffer[96])
{
    if (s->rank < 0) return strcpy(buffer, "absent");
    size_t n = 0;
    buffer[n++] = '[';
    for (int i = 0; i < s->rank; i++)
        n += (size_t)snprintf(buffer + n, 96 - n, "%s%s%lld", i ? "," : "", i == 0 && s->sym >= 0 ? "<=" : "",
                              (long long)s->dim[i] % 1000000000ll);
    snprintf(buffer + n, 96 - n, "]");
    return buffer;
}

bool kin_shape_bytes(const kin_shape *s, int64_t *bytes)
{
    int64_t n = s->rank < 0 ? 0 : (int64_t)kin_dtype_size(s->dtype);
    for (int i = 0; i < s->rank; i++)
        if (!kin_mul(n, s->dim[i], &n)) return false;
    *bytes = n;
    return true;
}

kin_tensor kin_shape_tensor(const kin_shape *s, void *ptr)
{
    kin_tensor t = {.ptr = ptr, .dtype = s->dtype, .rank = s->rank};
    memcpy(t.dim, s->dim, sizeof t.dim);
    return t;
}

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

float kin_from_bf16(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t kin_to_bf16(float f)
{
    uint32_t u = bits_of(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

float kin_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    if (exponent == 31) return float_of(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24 */
        float m = (float)mantissa * 0x1p-24f;
        return sign ? -m : m;
    }
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t kin_to_f16(float f)
{
    uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* rounds to 2^16 or more */
    if (a < 0x38800000u) { /* below 2^-14: let float addition round to a multiple of 2^-24 */
        float r = float_of(a) + 0.5f;
        return (uint16_t)(sign | (bits_of(r) - 0x3f000000u));
    }
    a += 0xfffu + (a >> 13 & 1);
    return (uint16_t)(sign | ((a - 0x38000000u) >> 13));
}
