#include "kernels/cpu/pairs.h"

static double own_product(const kin_call *c, int64_t i)
{
    const int64_t width = c->in[0].dim[1];
    const float *a = c->in[0].ptr, *b = c->in[1].ptr;
    double sum = 0.0;
    for (int64_t k = 0; k < width; k++) sum += (double)a[i * width + k] * (double)b[i * width + k];
    return sum;
}

/* Largest hinge of each line and whose it is: the lowest index among equals, -1 when none is above 0. */
static void hardest(const kin_call *c, bool down, int32_t *who, double *hinges)
{
    const kin_triplet_attr *a = c->attr;
    const int64_t n = c->in[0].dim[0], tiles = pieces_of(n, LINES);
    const int threads = threads_for(c->dev, tiles);
    PARALLEL_TASKS
    for (int64_t t = 0; t < tiles; t++) {
        const span line = piece(n, LINES, t);
        float *z = room_of(c->dev);
        double own[LINES];
        for (int64_t i = line.from; i < line.to; i++) {
            own[i - line.from] = (double)a->margin - own_product(c, i);
            who[i] = -1;
            hinges[i] = 0.0;
        }
        for (int64_t j = 0; j < pieces_of(n, ACROSS); j++) {
            const span k = piece(n, ACROSS, j);
            products(c, down, line, k, 1.0f, z);
            for (int64_t i = line.from; i < line.to; i++) {
                const float *row = z + (i - line.from) * ACROSS;
                for (int64_t x = k.from; x < k.to; x++) {
                    const double hinge = own[i - line.from] + (double)row[x - k.from];
                    if (x == i || !(hinge > hinges[i])) continue;
                    hinges[i] = hinge;
                    who[i] = (int32_t)x;
                }
            }
        }
    }
}

void CPU(triplet_fwd)(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0];
    double *hinges = c->scratch, loss = 0.0;
    for (int down = 0; down < 2; down++) {
        hardest(c, down, c->out[down ? 2 : 1].ptr, hinges);
        for (int64_t i = 0; i < n; i++) loss += hinges[i];
    }
    *(float *)c->out[0].ptr = (float)(loss / (double)n);
}

static void add_row(float *to, const float *rows, int64_t row, int64_t width, float d)
{
    for (int64_t k = 0; k < width; k++) to[k] += d * rows[row * width + k];
}

/* Row x of one side: its own hardest comes nearer, itself goes; and of every line of the other side whose
 * hardest it is, that line. */
void CPU(triplet_bwd)(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0], width = c->in[0].dim[1];
    if (no_cotangent(c, 2)) return;
    const float d = *(const float *)c->dout[0].ptr / (float)n;
    for (int side = 0; side < 2; side++) {
        if (!wanted(c, side)) continue;
        clear(c, side);
        const int32_t *mine = c->out[1 + side].ptr, *theirs = c->out[2 - side].ptr;
        const float *other = c->in[1 - side].ptr;
        float *din = c->din[side].ptr;
        const int threads = threads_for(c->dev, n);
        PARALLEL_FOR
        for (int64_t x = 0; x < n; x++) {
            float *to = din + x * width;
            const int hinges = (mine[x] >= 0) + (theirs[x] >= 0);
            if (mine[x] >= 0) add_row(to, other, mine[x], width, d);
            if (hinges) add_row(to, other, x, width, -d * (float)hinges);
            for (int64_t i = 0; i < n; i++)
                if (theirs[i] == x) add_row(to, other, i, width, d);
        }
    }
}
