/* One block a picture, in place. Averages first, each in a pass that computes the stages before it anew and
 * writes nothing; then one pass of pairs of mirrored groups, so that a flip needs no second picture. */
#include "kernels/cuda/reduce.cuh"

enum { BLOCK = 512 };

/* N pixels side by side; four are three words. */
template <int N> struct group {
    int32_t v[N][3];
};

__device__ static inline void take(const uint8_t *p, group<1> &g)
{
    for (int c = 0; c < 3; c++) g.v[0][c] = p[c];
}
__device__ static inline void give(uint8_t *p, const group<1> &g)
{
    for (int c = 0; c < 3; c++) p[c] = (uint8_t)g.v[0][c];
}
__device__ static inline void take(const uint8_t *p, group<4> &g)
{
    for (int w = 0; w < 3; w++) {
        const uint32_t word = ((const uint32_t *)p)[w];
        for (int k = 0; k < 4; k++) g.v[(4 * w + k) / 3][(4 * w + k) % 3] = (int32_t)(word >> 8 * k & 255);
    }
}
__device__ static inline void give(uint8_t *p, const group<4> &g)
{
    for (int w = 0; w < 3; w++) {
        uint32_t word = 0;
        for (int k = 0; k < 4; k++) word |= (uint32_t)g.v[(4 * w + k) / 3][(4 * w + k) % 3] << 8 * k;
        ((uint32_t *)p)[w] = word;
    }
}

__device__ static inline int32_t rounded(int32_t v)
{
    v = (v < 0 ? 0 : v) >> 16;
    return v > 255 ? 255 : v;
}

/* The first `stages` of them. */
template <int N>
__device__ static inline void change(const kin_augmentation &a, const int32_t *mean, int stages, group<N> &g)
{
    for (int k = 0; k < stages; k++) {
        const int32_t *m = a.stage[k].m, more = mean[k] + 32768;
        for (int i = 0; i < N; i++) {
            const int32_t r = g.v[i][0], y = g.v[i][1], b = g.v[i][2];
            for (int c = 0; c < 3; c++)
                g.v[i][c] = rounded(m[3 * c] * r + m[3 * c + 1] * y + m[3 * c + 2] * b + more);
        }
    }
}

/* Pixels x .. x + N - 1 of row y: what is erased of them. */
template <int N>
__device__ static inline void erase(const kin_augmentation &a, int32_t x, int32_t y, group<N> &g)
{
    if (y < a.y0 || y >= a.y1) return;
    for (int i = 0; i < N; i++)
        if (x + i >= a.x0 && x + i < a.x1)
            for (int c = 0; c < 3; c++) g.v[i][c] = a.colour[c];
}

template <int N> __device__ static inline void mirror(group<N> &g)
{
    for (int i = 0; i < N / 2; i++)
        for (int c = 0; c < 3; c++) {
            const int32_t t = g.v[i][c];
            g.v[i][c] = g.v[N - 1 - i][c];
            g.v[N - 1 - i][c] = t;
        }
}

/* width is a multiple of N; both at most 4096. */
template <int N>
__global__ void __launch_bounds__(BLOCK)
    augment_pixels(int32_t height, int32_t width, uint8_t *pictures, const kin_augmentation *drawn)
{
    SHARED(kin_augmentation, a, [1]);
    SHARED(int32_t, mean, [KIN_AUGMENT_STAGES]);
    SHARED(int64_t, room, [32]);
    const int32_t count = height * width, across = width / N, first = (int32_t)threadIdx.x;
    uint8_t *p = pictures + (int64_t)blockIdx.x * count * 3;
    group<N> g, h;
    for (int i = first; i < KIN_AUGMENT_WORDS; i += BLOCK)
        ((int32_t *)&a[0])[i] = ((const int32_t *)(drawn + blockIdx.x))[i];
    __syncthreads();
    for (int k = 0; k < a[0].stages; k++) {
        int64_t sum = 0;
        for (int32_t i = first; a[0].stage[k].grey && i < count / N; i += BLOCK) {
            take(p + i * 3 * N, g);
            change(a[0], &mean[0], k, g);
            for (int j = 0; j < N; j++) sum += kin_augment_grey(g.v[j][0], g.v[j][1], g.v[j][2]);
        }
        if (a[0].stage[k].grey) sum = block_sum(sum, &room[0]);
        if (first == 0) mean[k] = (int32_t)(a[0].stage[k].grey * ((sum + count / 2) / count) / 65536);
        __syncthreads();
    }
    const int32_t half = a[0].flip ? (across + 1) / 2 : across;
    for (int32_t i = first; i < half * height; i += BLOCK) {
        const int32_t y = i / half, x = i % half, other = across - 1 - x;
        uint8_t *left = p + (y * across + x) * 3 * N, *right = p + (y * across + other) * 3 * N;
        take(left, g);
        change(a[0], &mean[0], a[0].stages, g);
        if (a[0].flip) {
            take(right, h);
            change(a[0], &mean[0], a[0].stages, h);
            mirror(g);
            mirror(h);
            erase(a[0], other * N, y, g);
            give(right, g);
            g = h;
        }
        erase(a[0], x * N, y, g);
        give(left, g);
    }
}

void kin_cuda_augment(const kin_fn_call *c)
{
    const int32_t height = (int32_t)c->t[0].dim[1], width = (int32_t)c->t[0].dim[2];
    const dim3 grid((unsigned)c->t[0].dim[0]), block(BLOCK);
    uint8_t *pictures = ptr<uint8_t>(c->t[0]);
    const kin_augmentation *drawn = ptr<const kin_augmentation>(c->t[1]);
    if (width % 4 == 0)
        RUN((kin_cuda_dev *)c->dev, grid, block, 0, augment_pixels<4>, height, width, pictures, drawn);
    else
        RUN((kin_cuda_dev *)c->dev, grid, block, 0, augment_pixels<1>, height, width, pictures, drawn);
}
