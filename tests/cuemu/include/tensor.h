/* tensor: what kernels/cuda/tensor.cuh has for GPUs, of the emulator. A product meets all lanes of a warp.
 * Copies in the background land only when they are waited for, or, when streams are not lazy, at once too: a
 * GPU may do either. A thread that ends before it has waited is a fault. */
#ifndef CUEMU_TENSOR_H
#define CUEMU_TENSOR_H
#include <cuda_bf16.h>

namespace cuemu
{
struct copy {
    void *to;
    const void *from; /* NULL: zeros */
};
/* Copies of the thread that calls. */
void copy_later(copy c);
void copies_mark();
bool copies_next(int groups, copy *c); /* takes one that is not of the last so many groups */

static inline float half_of(uint32_t pair, int high)
{
    return __uint_as_float(high ? pair & 0xffff0000u : pair << 16);
}

static inline void product(float d[4], const uint32_t a[4], const uint32_t b[2], place at)
{
    struct operands {
        uint32_t a[4], b[2];
    } mine;
    memcpy(mine.a, a, sizeof mine.a);
    memcpy(mine.b, b, sizeof mine.b);
    if (meet(0xffffffffu, &mine, sizeof mine, at) != 0xffffffffu)
        fault("%s:%d: a product by tensor cores needs all lanes of a warp", at.file, at.line);
    const int l = lane();
    const operands *x[4], *y[2][4]; /* the lanes that have the row l/4, and those of two columns */
    for (int k = 0; k < 4; k++) {
        x[k] = (const operands *)published(l / 4 * 4 + k);
        for (int j = 0; j < 2; j++) y[j][k] = (const operands *)published((l % 4 * 2 + j) * 4 + k);
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++)
            d[i] += half_of(x[k % 8 / 2]->a[i / 2 + k / 8 * 2], k % 2) *
                    half_of(y[i % 2][k % 8 / 2]->b[k / 8], k % 2);
}

static inline void turned(uint32_t r[2], const void *row, place at)
{
    if (meet(0xffffffffu, &row, sizeof row, at) != 0xffffffffu)
        fault("%s:%d: loading matrices needs all lanes of a warp", at.file, at.line);
    if (((uintptr_t)row & 15) != 0 && lane() < 16)
        fault("%s:%d: a matrix's row at %p is not 16-byte aligned", at.file, at.line, row);
    for (int i = 0; i < 2; i++) {
        const uint16_t *const *rows[2];
        for (int k = 0; k < 2; k++) rows[k] = (const uint16_t *const *)published(8 * i + lane() % 4 * 2 + k);
        r[i] = (uint32_t)(*rows[0])[lane() / 4] | (uint32_t)(*rows[1])[lane() / 4] << 16;
    }
    meet(0xffffffffu, nullptr, 0, at); /* nobody overwrites what another lane still reads */
}

static inline void land(const copy &c)
{
    if (c.from)
        memcpy(c.to, c.from, 16);
    else
        memset(c.to, 0, 16);
}

template <int N> static inline void copies_wait()
{
    copy c;
    while (copies_next(N, &c)) land(c);
}
} // namespace cuemu

#define tensor_product(d, a, b) cuemu::product(d, a, b, CUEMU_HERE)
#define load_turned(r, row) cuemu::turned(r, row, CUEMU_HERE)
#define copies_mark() cuemu::copies_mark()
using cuemu::copies_wait;

static inline void copy_16(void *shared, const void *global, bool real)
{
    if ((((uintptr_t)shared | (uintptr_t)global) & 15) != 0)
        cuemu::fault("a copy in the background from %p to %p is not 16-byte aligned", global, shared);
    const cuemu::copy c = {shared, real ? global : nullptr};
    cuemu::copy_later(c);
    if (!cuemu::is_lazy()) cuemu::land(c);
}
#endif
