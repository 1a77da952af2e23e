/* stretch: a text tower's learned positions for longer texts than it was trained on (Long-CLIP, Zhang et al.
 * 2024): the first ones, which most texts use, stay as they are, the rest are interpolated linearly.
 *   out[p] = in[p]                                  for p < k
 *   out[p] = in[x] at x = k + (p - k) (n - k) / (m - k), linear between neighbours and beyond the last
 * with k = kin_stretch_kept(n). 77 -> 248 gives Long-CLIP's own numbers. Texts of at most k tokens keep their
 * embeddings to the bit. */
#ifndef KIN_STRETCH_H
#define KIN_STRETCH_H
#include "core/base.h"

int64_t kin_stretch_kept(int64_t n); /* 20; half of n where n is below 40 */
/* in [n, C] -> out [m, C], n >= 2; m <= n: the first m rows. */
void kin_stretch_positions(const float *in, int64_t n, int64_t m, int64_t C, float *out);

#endif
