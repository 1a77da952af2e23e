#include "kernels/ref/ref.h"

typedef struct column {
    double mean, rstd;
} column;

static column column_of(const kin_call *c, int64_t k)
{
    const kin_norm_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    double mean = 0.0, var = 0.0;
    if (!kin_absent(&c->in[3])) {
        mean = (double)get(&c->in[3], k);
        var = (double)get(&c->in[4], k);
    } else if (rows > 0) {
        for (int64_t m = 0; m < rows; m++) mean += (double)get(&c->in[0], m * width + k);
        mean /= (double)rows;
        for (int64_t m = 0; m < rows; m++) {
            const double d = (double)get(&c->in[0], m * width + k) - mean;
            var += d * d;
        }
        var /= (double)rows;
    }
    return (column){mean, 1.0 / sqrt(var + (double)a->eps)};
}

void REF(batchnorm_fwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    for (int64_t k = 0; k < width; k++) {
        const column w = column_of(c, k);
        for (int64_t m = 0; m < rows; m++)
            set(&c->out[0], m * width + k,
                ((double)get(&c->in[0], m * width + k) - w.mean) * w.rstd * (double)get(&c->in[1], k) +
                    (double)get(&c->in[2], k));
        if (!kin_absent(&c->in[3])) continue;
        set(&c->out[1], k, w.mean);
        set(&c->out[2], k, 1.0 / (w.rstd * w.rstd) - (double)a->eps);
    }
}

/* With n = (x - mean) rstd:  dgamma = sum(dy n), dbeta = sum(dy); dx = gamma rstd dy, and where the
 * statistics are those of x, gamma rstd (dy - mean(dy) - n mean(dy n)). */
void REF(batchnorm_bwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t rows = kin_rows(&c->in[0]), width = kin_cols(&c->in[0]);
    const bool given = !kin_absent(&c->in[3]);
    for (int64_t k = 0; k < width; k++) {
        const double mean = (double)get(given ? &c->in[3] : &c->out[1], k),
                     rstd = 1.0 / sqrt((double)get(given ? &c->in[4] : &c->out[2], k) + (double)a->eps);
        double sum = 0.0, product = 0.0;
        for (int64_t m = 0; m < rows; m++) {
            const double dy = (double)cotangent(c, 0, m * width + k);
            sum += dy;
            product += dy * ((double)get(&c->in[0], m * width + k) - mean) * rstd;
        }
        for (int64_t m = 0; m < rows && wanted(c, 0); m++) {
            const double n = ((double)get(&c->in[0], m * width + k) - mean) * rstd;
            const double through = given ? 0.0 : (sum + n * product) / (double)rows;
            put(c, 0, m * width + k,
                (double)get(&c->in[1], k) * rstd * ((double)cotangent(c, 0, m * width + k) - through));
        }
        if (wanted(c, 1)) put(c, 1, k, product);
        if (wanted(c, 2)) put(c, 2, k, sum);
    }
}
