#include "core/rng.h"

#include <math.h>

uint64_t kin_key(uint64_t key, uint64_t a, uint64_t b)
{
    uint32_t o[4];
    kin_philox(key ^ 0x6b696e6b6579ull, (uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32),
    o);
    return (uint64_t)o[0] | (uint64_t)o[1] << 32;
}

kin_rng kin_rng_new(uint64_t key)
{
    return (kin_rng){.key = key};
}

uint32_t kin_rng_u32(kin_rng *r)
{
    if (r->left == 0) {
        kin_philox(r->key, (uint32_t)r->counter, (uint32_t)(r->counter >> 32), 0, 0, r->buffer);
        r->counter++;
        r->left = 4;
    }
    return r->buffer[4 - r->left--];
}

uint32_t kin_rng_below(kin_rng *r, uint32_t n)
{
    uint32_t reject = (uint32_t)(-n) % n; /* 2^32 mod n: draws below it would favour small values */
    for (;;) {
        uint64_t m = (uint64_t)kin_rng_u32(r) * n;
        if ((uint32_t)m >= reject) return (uint32_t)(m >> 32);
    }
}

float kin_rng_unit(kin_rng *r)
{
    return kin_unit(kin_rng_u32(r));
}

double kin_rng_normal(kin_rng *r)
{
    double u = ((double)kin_rng_u32(r) + 1.0) * 0x1p-32, v = (double)kin_rng_u32(r) * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void kin_rng_permutation(kin_rng *r, uint32_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) p[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = kin_rng_below(r, i), t = p[i - 1];
        p[i - 1] = p[j];
        p[j] = t;
    }
}
