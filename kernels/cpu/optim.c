#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

enum { PIECE = 16384, CHUNK = 65536 };

typedef struct adam {
    vf scale, b1, b2, c1, c2, size, bias2, eps, decay;
} adam;

static void adamw(const adam *a, float *p, const float *g, float *m, float *v, int64_t n)
{
    for (int64_t k = 0; k < n; k += LANES) {
        const int64_t left = n - k;
        const vf grad = vread(g + k, left) * a->scale, old = vread(p + k, left),
                 m1 = vfma(a->b1, vread(m + k, left), a->c1 * grad),
                 v1 = vfma(a->b2, vread(v + k, left), a->c2 * grad * grad);
        vwrite(m + k, m1, left);
        vwrite(v + k, v1, left);
        vwrite(p + k, old - a->decay * old - a->size * m1 / (vsqrt(v1 / a->bias2) + a->eps), left);
    }
}

void CPU(adamw)(const kin_fn_call *c)
{
    const kin_adamw_attr *o = c->attr;
    const int64_t count = kin_count(&c->t[0]), pieces = pieces_of(count, PIECE);
    float *p = c->t[0].ptr, *m = c->t[2].ptr, *v = c->t[3].ptr;
    const float *g = c->t[1].ptr;
    uint16_t *copy = kin_absent(&c->t[4]) ? NULL : c->t[4].ptr;
    const adam a = {.scale = vset(o->grad_scale),
                    .b1 = vset(o->beta1),
                    .b2 = vset(o->beta2),
                    .c1 = vset(1.0f - o->beta1),
                    .c2 = vset(1.0f - o->beta2),
                    .size = vset(o->lr / o->bias1),
                    .bias2 = vset(o->bias2),
                    .eps = vset(o->eps),
                    .decay = vset(o->lr * o->wd)};
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        adamw(&a, p + s.from, g + s.from, m + s.from, v + s.from, s.to - s.from);
        for (int64_t k = s.from; k < s.to && copy; k++) copy[k] = kin_to_bf16(p[k]);
    }
}

void CPU(ema)(const kin_fn_call *c)
{
    const kin_ema_attr *a = c->attr;
    const float keep = a->decay, take = 1.0f - keep;
    const int64_t count = kin_count(&c->t[0]), pieces = pieces_of(count, PIECE);
    float *e = c->t[0].ptr;
    const float *p = c->t[1].ptr;
    const int threads = threads_for(c->dev, pieces);
    PARALLEL_FOR
    for (int64_t i = 0; i < pieces; i++) {
        const span s = piece(count, PIECE, i);
        for (int64_t k = s.from; k < s.to; k++) e[k] = keep * e[k] + take * p[k];
    }
}

/* Eight sums side by side, added in a fixed order. */
static double squares(const float *x, int64_t n)
{
    double sum[8] = {0.0}, total = 0.0;
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int i = 0; i < 8; i++) sum[i] += (double)x[k + i] * (double)x[k + i];
    for (; k < n; k++) sum[k % 8] += (double)x[k] * (double)x[k];
    for (int i = 0; i < 8; i++) total += sum[i];
    return total;
}

/* Partial sums wait in the first thread's room: as many chunks at a time as fit. */
void CPU(sumsq)(const kin_fn_call *c)
{
    const int64_t count = kin_count(&c->t[0]), chunks = pieces_of(count, CHUNK),
                  fits = KIN_CPU_ROOM / (int64_t)sizeof(double);
    const float *x = c->t[0].ptr;
    double *sums = room_of(c->dev), total = 0.0, *out = c->t[1].ptr;
    const int threads = threads_for(c->dev, chunks);
    for (int64_t first = 0; first < chunks; first += fits) {
        const int64_t last = kin_min64(chunks, first + fits);
        PARALLEL_FOR
        for (int64_t i = first; i < last; i++) {
            const span s = piece(count, CHUNK, i);
            sums[i - first] = squares(x + s.from, s.to - s.from);
        }
        for (int64_t i = first; i < last; i++) total += sums[i - first];
    }
    *out = total;
}
