#include "kernels/ref/pairs.h"

/* Logit of row i and column j: the student's (inputs 0, 1, 2) or the teacher's (3, 4, 5). */
static double logit(const kin_call *c, bool teacher, int64_t i, int64_t j)
{
    const int a = teacher ? 3 : 0;
    return exp((double)get(&c->in[a + 2], 0)) * product_of(c, a, i, j);
}

static double at(const kin_call *c, bool teacher, int64_t line, int64_t k, bool down)
{
    return down ? logit(c, teacher, k, line) : logit(c, teacher, line, k);
}

/* How many lines count: all rows; columns that are of a row. */
static int64_t counted(const kin_call *c, bool down)
{
    const kin_distill_attr *a = c->attr;
    return c->in[0].dim[0] * (down ? 1 + a->more : 1);
}

static double log_sum(const kin_call *c, bool teacher, int64_t line, bool down)
{
    const int64_t n = c->in[down ? 0 : 1].dim[0];
    double most = -(double)INFINITY, sum = 0.0;
    for (int64_t k = 0; k < n; k++) most = fmax(most, at(c, teacher, line, k, down));
    for (int64_t k = 0; k < n; k++) sum += exp(at(c, teacher, line, k, down) - most);
    return most + log(sum);
}

static double line_loss(const kin_call *c, int64_t line, bool down)
{
    const double mine = log_sum(c, false, line, down), theirs = log_sum(c, true, line, down);
    double loss = 0.0;
    set(&c->out[down ? 2 : 1], 2 * line, mine);
    set(&c->out[down ? 2 : 1], 2 * line + 1, theirs);
    for (int64_t k = 0; k < c->in[down ? 0 : 1].dim[0]; k++)
        loss += exp(at(c, true, line, k, down) - theirs) * (mine - at(c, false, line, k, down));
    return loss;
}

void REF(distill_fwd)(const kin_call *c)
{
    double loss = 0.0;
    for (int down = 0; down < 2; down++) {
        double sum = 0.0;
        for (int64_t k = 0; k < c->in[down].dim[0]; k++) {
            const double l = line_loss(c, k, down);
            if (k < counted(c, down)) sum += l;
        }
        loss += 0.5 * sum / (double)counted(c, down);
    }
    set(&c->out[0], 0, loss);
}

/* d loss / d logit_ij = (softmax - the teacher's softmax) of the row / 2 rows + the same of the column / 2
 * columns, over those that count. */
static double logit_gradient(const kin_call *c, int64_t i, int64_t j)
{
    const double z = logit(c, false, i, j), t = logit(c, true, i, j);
    const kin_tensor *row = &c->out[1], *column = &c->out[2];
    double d = (exp(z - (double)get(row, 2 * i)) - exp(t - (double)get(row, 2 * i + 1))) /
               (2.0 * (double)counted(c, false));
    if (j < counted(c, true))
        d += (exp(z - (double)get(column, 2 * j)) - exp(t - (double)get(column, 2 * j + 1))) /
             (2.0 * (double)counted(c, true));
    return d * (double)cotangent(c, 0, 0);
}

static double cell(const kin_call *c, int64_t i, int64_t j)
{
    return logit_gradient(c, i, j) * exp((double)get(&c->in[2], 0));
}

void REF(distill_bwd)(const kin_call *c)
{
    spread(c, cell, c->scratch);
    double dscale = 0.0;
    for (int64_t i = 0; i < c->in[0].dim[0] && wanted(c, 2); i++)
        for (int64_t j = 0; j < c->in[1].dim[0]; j++)
            dscale += logit_gradient(c, i, j) * logit(c, false, i, j);
    if (wanted(c, 2)) put(c, 2, 0, dscale);
}
