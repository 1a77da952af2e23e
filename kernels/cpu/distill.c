#include "kernels/cpu/pairs.h"
#include "kernels/cpu/simd.h"

/* How many lines count: all rows; columns that are of a row. */
static int64_t counted(const kin_call *c, bool down)
{
    const kin_distill_attr *a = c->attr;
    return c->in[0].dim[0] * (down ? 1 + a->more : 1);
}

/* What is known of a line so far: the largest logits; sums of e^(z - most), of the same of the teacher's
 * logits, of the latter times z. */
typedef struct line_sum {
    double sum, teacher, hits;
    float most, teacher_most;
} line_sum;

static void take_in(const float *z, int64_t n, line_sum *s)
{
    const float *t = z + TEACHER;
    const vf none = vset(-INFINITY);
    vf most = none, most_t = none, sum = vset(0.0f), sum_t = vset(0.0f), hits = vset(0.0f);
    for (int64_t j = 0; j < n; j += LANES) {
        most = vmax(most, vread_or(z + j, n - j, none));
        most_t = vmax(most_t, vread_or(t + j, n - j, none));
    }
    const float top = fmaxf(s->most, vmost(most)), top_t = fmaxf(s->teacher_most, vmost(most_t));
    for (int64_t j = 0; j < n; j += LANES) {
        const vf e = vexp(vread_or(t + j, n - j, none) - vset(top_t));
        sum += vexp(vread_or(z + j, n - j, none) - vset(top));
        sum_t += e;
        hits = vfma(e, vread(z + j, n - j), hits);
    }
    const double shrink = exp((double)s->teacher_most - (double)top_t);
    s->sum = s->sum * exp((double)s->most - (double)top) + (double)vsum(sum);
    s->teacher = s->teacher * shrink + (double)vsum(sum_t);
    s->hits = s->hits * shrink + (double)vsum(hits);
    s->most = top;
    s->teacher_most = top_t;
}

void CPU(distill_fwd)(const kin_call *c)
{
    const float scale = expf(*(const float *)c->in[2].ptr), teacher = expf(*(const float *)c->in[5].ptr);
    double *losses = c->scratch, loss = 0.0;
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
            for (int64_t i = 0; i < LINES; i++)
                sums[i] = (line_sum){.most = -INFINITY, .teacher_most = -INFINITY};
            for (int64_t j = 0; j < pieces_of(others, ACROSS); j++) {
                const span k = piece(others, ACROSS, j);
                products(c, down, line, k, scale, z);
                products_of(c, 3, down, line, k, teacher, z + TEACHER);
                for (int64_t i = line.from; i < line.to; i++)
                    take_in(z + (i - line.from) * ACROSS, k.to - k.from, &sums[i - line.from]);
            }
            for (int64_t i = line.from; i < line.to; i++) {
                const line_sum *s = &sums[i - line.from];
                const double l = (double)s->most + log(s->sum);
                lse[2 * i] = (float)l;
                lse[2 * i + 1] = (float)((double)s->teacher_most + log(s->teacher));
                losses[i] = l - s->hits / s->teacher;
            }
        }
        double sum = 0.0;
        for (int64_t i = 0; i < counted(c, down); i++) sum += losses[i];
        loss += 0.5 * sum / (double)counted(c, down);
    }
    *(float *)c->out[0].ptr = (float)loss;
}

/* d loss / d logit = (softmax - the teacher's softmax) of the row / 2 rows + the same of the column / 2
 * columns, over those that count. */
static void gradient(const kin_call *c, bool down, int64_t line, span k, float *z, double *sum)
{
    const int64_t n = k.to - k.from;
    const float *t = z + TEACHER, *mine = (const float *)c->out[down ? 2 : 1].ptr + 2 * line,
                *theirs = (const float *)c->out[down ? 1 : 2].ptr + 2 * k.from;
    const float d = *(const float *)c->dout[0].ptr;
    const vf by = vset(line < counted(c, down) ? d / (float)(2 * counted(c, down)) : 0.0f);
    const float across = d / (float)(2 * counted(c, !down));
    const vf shift = vset(mine[0]), shift_t = vset(mine[1]);
    double s = 0.0;
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t left = n - j;
        float factor[LANES], other[LANES], other_t[LANES];
        for (int64_t i = 0; i < LANES; i++) {
            const int64_t at = i < left ? j + i : j;
            factor[i] = i < left && k.from + at < counted(c, !down) ? across : 0.0f;
            other[i] = theirs[2 * at];
            other_t[i] = theirs[2 * at + 1];
        }
        const vf logit = vread(z + j, left), taught = vread(t + j, left);
        const vf v = by * (vexp(logit - shift) - vexp(taught - shift_t)) +
                     vload(factor) * (vexp(logit - vload(other)) - vexp(taught - vload(other_t)));
        s += (double)vsum(vread_or(z + j, left, vset(0.0f)) * v);
        vwrite(z + j, v, left);
    }
    sum[0] += s;
}

void CPU(distill_bwd)(const kin_call *c)
{
    if (no_cotangent(c, 3)) return;
    double *sums = c->scratch;
    spread(c, expf(*(const float *)c->in[2].ptr), expf(*(const float *)c->in[5].ptr), gradient, sums,
           wanted(c, 2));
    if (wanted(c, 2)) put(c->din[2].ptr, (float)total(sums, c->in[0].dim[0], 0), adds(c, 2));
}
