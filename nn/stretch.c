#include "nn/stretch.h"

#include <string.h>

int64_t kin_stretch_kept(int64_t n)
{
    return kin_min64(20, n / 2);
}

void kin_stretch_positions(const float *in, int64_t n, int64_t m, int64_t C, float *out)
{
    const int64_t kept = m > n ? kin_stretch_kept(n) : m;
    memcpy(out, in, (size_t)(kept * C) * sizeof *out);
    for (int64_t p = kept; p < m; p++) {
        const double x = (double)kept + (double)((p - kept) * (n - kept)) / (double)(m - kept);
        const int64_t i = kin_min64((int64_t)x, n - 2);
        const double f = x - (double)i; /* above 1 beyond the last */
        for (int64_t c = 0; c < C; c++)
            out[p * C + c] = (float)((1.0 - f) * (double)in[i * C + c] + f * (double)in[(i + 1) * C + c]);
    }
}
