#include "kernels/ref/pairs.h"

static bool positive(const kin_call *c, int64_t i, int64_t j)
{
    const kin_infonce_attr *a = c->attr;
    if (kin_absent(&c->in[3])) return i == kin_infonce_row(j, c->in[0].dim[0], a->more);
    const int32_t *ga = c->in[3].ptr, *gb = c->in[4].ptr;
    return gb[j] >= 0 && ga[i] == gb[j];
}

/* A line of the logits: row i (down false) or column j. How many positives it has. */
static int64_t positives(const kin_call *c, int64_t line, bool down)
{
    const int64_t n = c->in[down ? 0 : 1].dim[0];
    int64_t count = 0;
    for (int64_t k = 0; k < n; k++) count += down ? positive(c, k, line) : positive(c, line, k);
    return count;
}

static int64_t counted(const kin_call *c, bool down)
{
    int64_t n = 0;
    for (int64_t k = 0; k < c->in[down ? 1 : 0].dim[0]; k++) n += positives(c, k, down) > 0;
    return n;
}

static double scale_of(const kin_call *c)
{
    return exp((double)get(&c->in[2], 0));
}

static double logit(const kin_call *c, int64_t line, int64_t k, bool down)
{
    return scale_of(c) * (down ? product(c, k, line) : product(c, line, k));
}

/* Target of cell k of a line: (1 - eps) / P on positives, eps / length everywhere. */
static double target(const kin_call *c, int64_t line, int64_t k, bool down, int64_t p)
{
    const kin_infonce_attr *a = c->attr;
    const int64_t n = c->in[down ? 0 : 1].dim[0];
    const bool hit = down ? positive(c, k, line) : positive(c, line, k);
    return (hit ? (1.0 - (double)a->smoothing) / (double)p : 0.0) + (double)a->smoothing / (double)n;
}

static double line_loss(const kin_call *c, int64_t line, bool down)
{
    const int64_t n = c->in[down ? 0 : 1].dim[0], p = positives(c, line, down);
    double most = -(double)INFINITY, sum = 0.0, loss = 0.0;
    for (int64_t k = 0; k < n; k++) most = fmax(most, logit(c, line, k, down));
    for (int64_t k = 0; k < n; k++) sum += exp(logit(c, line, k, down) - most);
    const double lse = most + log(sum);
    set(&c->out[down ? 2 : 1], line, lse);
    for (int64_t k = 0; k < n && p; k++)
        loss += target(c, line, k, down, p) * (lse - logit(c, line, k, down));
    return loss;
}

void REF(infonce_fwd)(const kin_call *c)
{
    double loss = 0.0;
    for (int down = 0; down < 2; down++) {
        double sum = 0.0;
        for (int64_t k = 0; k < c->in[down].dim[0]; k++) sum += line_loss(c, k, down);
        const int64_t lines = counted(c, down);
        if (lines) loss += 0.5 * sum / (double)lines;
    }
    set(&c->out[0], 0, loss);
}

/* What backward needs per line, once: positives of each row and column, and how many lines have any. Scratch:
 * [2] counts, [N] rows, [M] columns, then a row of E for spread. */
static double *prepare(const kin_call *c)
{
    const int64_t n = c->in[0].dim[0], m = c->in[1].dim[0];
    double *p = c->scratch;
    p[0] = (double)counted(c, false);
    p[1] = (double)counted(c, true);
    for (int64_t i = 0; i < n; i++) p[2 + i] = (double)positives(c, i, false);
    for (int64_t j = 0; j < m; j++) p[2 + n + j] = (double)positives(c, j, true);
    return p + 2 + n + m;
}

/* d loss / d logit_ij = (softmax_row - target_row) / 2R + (softmax_column - target_column) / 2C, over the
 * lines that have a positive. */
static double logit_gradient(const kin_call *c, int64_t i, int64_t j)
{
    const double *p = c->scratch, z = logit(c, i, j, false);
    const int64_t pi = (int64_t)p[2 + i], pj = (int64_t)p[2 + c->in[0].dim[0] + j];
    double d = 0.0;
    if (pi) d += (exp(z - (double)get(&c->out[1], i)) - target(c, i, j, false, pi)) / (2.0 * p[0]);
    if (pj) d += (exp(z - (double)get(&c->out[2], j)) - target(c, j, i, true, pj)) / (2.0 * p[1]);
    return d * (double)cotangent(c, 0, 0);
}

static double cell(const kin_call *c, int64_t i, int64_t j)
{
    return logit_gradient(c, i, j) * scale_of(c);
}

void REF(infonce_bwd)(const kin_call *c)
{
    spread(c, cell, prepare(c));
    double dscale = 0.0;
    for (int64_t i = 0; i < c->in[0].dim[0] && wanted(c, 2); i++)
        for (int64_t j = 0; j < c->in[1].dim[0]; j++)
            dscale += logit_gradient(c, i, j) * logit(c, i, j, false);
    if (wanted(c, 2)) put(c, 2, 0, dscale);
}
