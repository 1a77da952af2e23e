#include "kernels/cpu/pairs.h"
#include "kernels/cpu/simd.h"

/* Scratch, in doubles: the lines' losses or sums [2 (N + M)], their positives [N + M]. */
static double *positives_of(const kin_call *c)
{
    return (double *)c->scratch + 2 * (c->in[0].dim[0] + c->in[1].dim[0]);
}

static bool positive(const kin_call *c, bool down, int64_t line, int64_t k)
{
    const kin_infonce_attr *a = c->attr;
    if (kin_absent(&c->in[3]))
        return (down ? k : line) == kin_infonce_row(down ? line : k, c->in[0].dim[0], a->more);
    const int32_t *ga = c->in[3].ptr, *gb = c->in[4].ptr;
    const int32_t i = ga[down ? k : line], j = gb[down ? line : k];
    return j >= 0 && i == j;
}

/* How many positives each line has, rows first; the number of rows and columns that have any. */
static void count_positives(const kin_call *c, double *p, int64_t counted[2])
{
    const kin_infonce_attr *a = c->attr;
    for (int down = 0; down < 2; down++) {
        const int64_t lines = c->in[down].dim[0], others = c->in[1 - down].dim[0];
        const int threads = threads_for(c->dev, pieces_of(lines, LINES));
        PARALLEL_FOR
        for (int64_t i = 0; i < lines; i++) {
            p[i] = 0.0;
            if (kin_absent(&c->in[3]))
                p[i] = !down ? 1.0 + a->more : kin_infonce_row(i, others, a->more) < others ? 1.0 : 0.0;
            else
                for (int64_t k = 0; k < others; k++) p[i] += positive(c, down, i, k);
        }
        counted[down] = 0;
        for (int64_t i = 0; i < lines; i++) counted[down] += p[i] > 0.0;
        p += lines;
    }
}

/* What is known of a line so far: its largest logit, sum of e^(z - most), sum of z, of z over positives. */
typedef struct line_sum {
    double sum, all, hits;
    float most;
} line_sum;

static void take_in(const kin_call *c, bool down, int64_t line, span k, const float *z, line_sum *s)
{
    const kin_infonce_attr *a = c->attr;
    const int64_t n = k.to - k.from;
    const vf none = vset(-INFINITY);
    vf most = none, sum = vset(0.0f), all = vset(0.0f);
    for (int64_t j = 0; j < n; j += LANES) most = vmax(most, vread_or(z + j, n - j, none));
    const float top = fmaxf(s->most, vmost(most));
    for (int64_t j = 0; j < n; j += LANES) sum += vexp(vread_or(z + j, n - j, none) - vset(top));
    for (int64_t j = 0; j < n && a->smoothing != 0.0f; j += LANES) all += vread(z + j, n - j);
    s->sum = s->sum * exp((double)s->most - (double)top) + (double)vsum(sum);
    s->most = top;
    s->all += (double)vsum(all);
    if (kin_absent(&c->in[3]) && (down || a->more == 0)) { /* a column's one row, a row's one column */
        const int64_t hit = down ? kin_infonce_row(line, c->in[0].dim[0], a->more) : line;
        if (hit >= k.from && hit < k.to) s->hits += (double)z[hit - k.from];
        return;
    }
    for (int64_t j = 0; j < n; j++)
        if (positive(c, down, line, k.from + j)) s->hits += (double)z[j];
}

/* Targets of a line sum to 1, so its loss is lse - sum target z. */
static double line_loss(const kin_call *c, const line_sum *s, double lse, double positives, int64_t others)
{
    const kin_infonce_attr *a = c->attr;
    const double eps = (double)a->smoothing;
    if (positives == 0.0) return 0.0;
    return lse - (1.0 - eps) * s->hits / positives - eps * s->all / (double)others;
}

void CPU(infonce_fwd)(const kin_call *c)
{
    const float scale = expf(*(const float *)c->in[2].ptr);
    double *losses = c->scratch, *p = positives_of(c), loss = 0.0;
    int64_t counted[2];
    count_positives(c, p, counted);
    for (int down = 0; down < 2; down++) {
        const int64_t lines = c->in[down].dim[0], others = c->in[1 - down].dim[0];
        const int64_t tiles = pieces_of(lines, LINES);
        float *lse = c->out[down ? 2 : 1].ptr;
        const int threads = threads_for(c->dev, tiles);
        PARALLEL_TASKS
        for (int64_t t = 0; t < tiles; t++) {
            const span line = piece(lines, LINES, t);
            float *z = room_of(c->dev);
            line_sum sums[LINES];
            for (int64_t i = 0; i < LINES; i++) sums[i] = (line_sum){.most = -INFINITY};
            for (int64_t j = 0; j < pieces_of(others, ACROSS); j++) {
                const span k = piece(others, ACROSS, j);
                products(c, down, line, k, scale, z);
                for (int64_t i = line.from; i < line.to; i++)
                    take_in(c, down, i, k, z + (i - line.from) * ACROSS, &sums[i - line.from]);
            }
            for (int64_t i = line.from; i < line.to; i++) {
                const line_sum *s = &sums[i - line.from];
                const double l = (double)s->most + log(s->sum);
                lse[i] = (float)l;
                losses[i] = line_loss(c, s, l, p[i], others);
            }
        }
        double sum = 0.0;
        for (int64_t i = 0; i < lines; i++) sum += losses[i];
        if (counted[down]) loss += 0.5 * sum / (double)counted[down];
        p += lines;
    }
    *(float *)c->out[0].ptr = (float)loss;
}

/* d loss / d logit = (softmax_row - target_row) / 2R + (softmax_column - target_column) / 2C, over lines that
 * have a positive; R and C lie before the scratch's end (see bwd). */
static void gradient(const kin_call *c, bool down, int64_t line, span k, float *z, double *sum)
{
    const kin_infonce_attr *a = c->attr;
    const int64_t n = k.to - k.from, lines = c->in[down].dim[0], others = c->in[1 - down].dim[0];
    const double *p = positives_of(c), *counted = p + lines + others;
    const double *mine = down ? p + c->in[0].dim[0] : p, *theirs = down ? p : p + c->in[0].dim[0];
    const float *my_lse = c->out[down ? 2 : 1].ptr, *their_lse = c->out[down ? 1 : 2].ptr;
    const float d = *(const float *)c->dout[0].ptr, eps = a->smoothing;
    const float by = mine[line] > 0.0 ? d / (float)(2.0 * counted[down ? 1 : 0]) : 0.0f;
    const float across = d / (float)(2.0 * fmax(1.0, counted[down ? 0 : 1]));
    float g[ACROSS];
    for (int64_t j = 0; j < n; j++) {
        const bool any = theirs[k.from + j] > 0.0;
        const bool hit = positive(c, down, line, k.from + j);
        const float mine_t = eps / (float)others + (hit ? (1.0f - eps) / (float)mine[line] : 0.0f);
        const float their_t = eps / (float)lines + (hit ? (1.0f - eps) / (float)theirs[k.from + j] : 0.0f);
        g[j] = -by * mine_t - (any ? across * their_t : 0.0f);
    }
    const vf shift = vset(my_lse[line]), vby = vset(by);
    double s = 0.0;
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t left = n - j;
        const vf logit = vread(z + j, left);
        float factor[LANES];
        for (int64_t i = 0; i < LANES; i++)
            factor[i] = i < left && theirs[k.from + j + i] > 0.0 ? across : 0.0f;
        const vf v = vread(g + j, left) + vby * vexp(logit - shift) +
                     vload(factor) * vexp(logit - vread(their_lse + k.from + j, left));
        s += (double)vsum(vread_or(z + j, left, vset(0.0f)) * v);
        vwrite(z + j, v, left);
    }
    sum[0] += s;
}

void CPU(infonce_bwd)(const kin_call *c)
{
    const int64_t rows = c->in[0].dim[0], columns = c->in[1].dim[0];
    if (no_cotangent(c, 3)) return;
    double *sums = c->scratch, *p = positives_of(c);
    int64_t counted[2];
    count_positives(c, p, counted);
    p[rows + columns] = (double)counted[0];
    p[rows + columns + 1] = (double)counted[1];
    spread(c, expf(*(const float *)c->in[2].ptr), 0.0f, gradient, sums, wanted(c, 2));
    if (wanted(c, 2)) put(c->din[2].ptr, (float)total(sums, rows, 0), adds(c, 2));
}
