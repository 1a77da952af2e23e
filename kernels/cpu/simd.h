/* simd: vectors of LANES floats (16, 8 or 4 by instruction set), with tails, exponential and error function.
 * +, -, * and / are the operators of the compiler's vector types. */
#ifndef KIN_SIMD_H
#define KIN_SIMD_H
#include <float.h>
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { LANES = 16 };
typedef __m512 vf;
#define VF(name) _mm512_##name
static inline __mmask16 tail(int64_t n)
{
    return (__mmask16)((1u << n) - 1u);
}
static inline vf vload_or(const float *p, int64_t n,
                          vf rest) /* the first n < LANES, then the lanes of rest */
{
    return _mm512_mask_loadu_ps(rest, tail(n), p);
}
static inline void vstore_n(float *p, vf v, int64_t n)
{
    _mm512_mask_storeu_ps(p, tail(n), v);
}
static inline vf vless(vf a, vf b, vf yes, vf no) /* a < b ? yes : no, by lane */
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
static inline vf vround(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf vscale2(vf x, vf n) /* x 2^n for whole n in [-126, 127] */
{
    return _mm512_scalef_ps(x, n);
}
static inline float vsum(vf v)
{
    return _mm512_reduce_add_ps(v);
}
static inline float vmost(vf v)
{
    return _mm512_reduce_max_ps(v);
}
#elif defined(__AVX2__)
enum { LANES = 8 };
typedef __m256 vf;
#define VF(name) _mm256_##name
static inline __m256i tail(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf vload_or(const float *p, int64_t n, vf rest)
{
    const __m256i t = tail(n);
    return _mm256_blendv_ps(rest, _mm256_maskload_ps(p, t), _mm256_castsi256_ps(t));
}
static inline void vstore_n(float *p, vf v, int64_t n)
{
    _mm256_maskstore_ps(p, tail(n), v);
}
static inline vf vless(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
static inline vf vround(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf vscale2(vf x, vf n)
{
    const __m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return x * _mm256_castsi256_ps(e);
}
static inline float vsum(vf v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float vmost(vf v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
#else
enum { LANES = 4 };
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
#endif

#if defined(__AVX2__)
static inline vf vset(float x)
{
    return VF(set1_ps)(x);
}
static inline vf vload(const float *p)
{
    return VF(loadu_ps)(p);
}
static inline void vstore(float *p, vf v)
{
    VF(storeu_ps)(p, v);
}
static inline vf vfma(vf a, vf b, vf c) /* a b + c */
{
    return VF(fmadd_ps)(a, b, c);
}
static inline vf vmax(vf a, vf b) /* b where either is not a number */
{
    return VF(max_ps)(a, b);
}
static inline vf vmin(vf a, vf b)
{
    return VF(min_ps)(a, b);
}
static inline vf vsqrt(vf x)
{
    return VF(sqrt_ps)(x);
}
#else
static inline vf vset(float x)
{
    return (vf){x, x, x, x};
}
static inline vf vload(const float *p)
{
    vf v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
static inline void vstore(float *p, vf v)
{
    __builtin_memcpy(p, &v, sizeof v);
}
static inline vf vload_or(const float *p, int64_t n, vf rest)
{
    return (vf){n > 0 ? p[0] : rest[0], n > 1 ? p[1] : rest[1], n > 2 ? p[2] : rest[2], rest[3]};
}
static inline void vstore_n(float *p, vf v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
}
static inline vf vfma(vf a, vf b, vf c)
{
    return a * b + c;
}
static inline vf vpick(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}
static inline vf vless(vf a, vf b, vf yes, vf no)
{
    return vpick(a < b, yes, no);
}
static inline vf vmax(vf a, vf b)
{
    return vpick(a > b, a, b);
}
static inline vf vmin(vf a, vf b)
{
    return vpick(a < b, a, b);
}
static inline vf vsqrt(vf x)
{
    return (vf){__builtin_sqrtf(x[0]), __builtin_sqrtf(x[1]), __builtin_sqrtf(x[2]), __builtin_sqrtf(x[3])};
}
static inline vf vround(vf x) /* |x| < 2^22 */
{
    const vf magic = vset(12582912.0f);
    return (x + magic) - magic;
}
static inline vf vscale2(vf x, vf n)
{
    return x * (vf)((__builtin_convertvector(n, vi) + 127) << 23);
}
static inline float vsum(vf v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}
static inline float vmost(vf v)
{
    const float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
    return a > b ? a : b;
}
#endif

/* Whole vector or tail: n is what is left. */
static inline vf vread(const float *p, int64_t n)
{
    return n >= LANES ? vload(p) : vload_or(p, n, vset(0.0f));
}
static inline void vwrite(float *p, vf v, int64_t n)
{
    if (n >= LANES)
        vstore(p, v);
    else
        vstore_n(p, v, n);
}
static inline vf vread_or(const float *p, int64_t n, vf rest)
{
    return n >= LANES ? vload(p) : vload_or(p, n, rest);
}

/* e^x to 2 units in the last place: x = n ln 2 + r, a polynomial of r, times 2^n. 0 below the least normal
 * number, 2^127.5 where it would be more; NaN stays NaN. The polynomial is fitted for
 * least relative error (5e-11 before rounding). */
static inline vf vexp(vf x)
{
    const vf least = vset(-87.336544f);
    const vf y = vmin(vset(88.37f), vmax(least, x));
    const vf n = vround(y * vset(1.44269504088896341f));
    const vf r = vfma(n, vset(2.12194440e-4f), vfma(n, vset(-0.693359375f), y));
    vf p = vset(1.97902985e-4f);
    p = vfma(p, r, vset(1.39447036e-3f));
    p = vfma(p, r, vset(8.33349734e-3f));
    p = vfma(p, r, vset(4.16662944e-2f));
    p = vfma(p, r, vset(1.66666659e-1f));
    p = vfma(p, r, vset(5.00000007e-1f));
    p = vfma(p, r * r, r + vset(1.0f));
    return vless(x, least, vset(0.0f), vscale2(p, n));
}

static inline vf vsigmoid(vf x)
{
    return vset(1.0f) / (vset(1.0f) + vexp(vset(0.0f) - x));
}

/* Phi(x), and e = e^(-x^2/2) which its density needs. erfc(z) e^(z^2) is a polynomial of t = 1/(1 + pz),
 * fitted over [0, 9.5] for least relative error (1.1e-7; the form of Abramowitz & Stegun 7.1.26). */
static inline vf vphi(vf x, vf *e)
{
    const vf zero = vset(0.0f), one = vset(1.0f);
    const vf z = vmax(x, zero - x) * vset(0.70710678118654752f);
    const vf t = one / vfma(z, vset(0.3275911f), one);
    *e = vexp(x * x * vset(-0.5f));
    vf p = vset(-0.14166195f);
    p = vfma(p, t, vset(0.498876012f));
    p = vfma(p, t, vset(-0.409595807f));
    p = vfma(p, t, vset(0.456557939f));
    p = vfma(p, t, vset(0.0237185976f));
    p = vfma(p, t, vset(0.206397105f));
    p = vfma(p, t, vset(0.180650139f));
    p = vfma(p, t, vset(0.185058073f));
    const vf half = p * t * *e * vset(0.5f);
    return vless(x, zero, half, one - half);
}
#endif
