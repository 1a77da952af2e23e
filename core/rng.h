/* rng: counter-based random numbers, Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011; the constants and known answers of Random123). A draw is a pure function of
 * (key, counter): recomputed, re-chunked and re-threaded work draws the same numbers. */
#ifndef KIN_RNG_H
#define KIN_RNG_H
#include "core/base.h"

/* out = Philox(counter, key). */
KIN_ANYWHERE void kin_philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                             uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* [0, 1), 24 bits: exact in float, so float and double kernels take the same side of p. */
KIN_ANYWHERE float kin_unit(uint32_t u)
{
    return (float)(u >> 8) * 0x1p-24f;
}

/* A key for a named use: keys of different (a, b) are unrelated. */
uint64_t kin_key(uint64_t key, uint64_t a, uint64_t b);

/* A sequential stream over one key, for host code (initialisation, shuffles, augmentation). */
typedef struct kin_rng {
    uint64_t key, counter;
    uint32_t buffer[4];
    int left;
} kin_rng;

kin_rng kin_rng_new(uint64_t key);
uint32_t kin_rng_u32(kin_rng *r);
uint32_t kin_rng_below(kin_rng *r, uint32_t n); /* uniform in [0, n), unbiased; n > 0 */
float kin_rng_unit(kin_rng *r);                 /* [0, 1) */
double kin_rng_normal(kin_rng *r);              /* mean 0, variance 1 (Box-Muller) */
/* Fisher-Yates: p becomes a permutation of 0 .. n-1. */
void kin_rng_permutation(kin_rng *r, uint32_t *p, uint32_t n);

#endif
