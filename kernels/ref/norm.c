#include "kernels/ref/ref.h"

/* The normalised value's source: the kept sum when there is a residual, else the input. */
static const kin_tensor *source(const kin_call *c)
{
    return kin_absent(&c->in[1]) ? &c->in[0] : &c->out[1];
}

static void residual(const kin_call *c)
{
    if (kin_absent(&c->in[1])) return;
    for (int64_t k = 0; k < kin_count(&c->in[0]); k++)
        set(&c->out[1], k, (double)(get(&c->in[0], k) + get(&c->in[1], k)));
}

void REF(layernorm_fwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t width = kin_cols(&c->in[0]);
    residual(c);
    const kin_tensor *s = source(c);
    for (int64_t m = 0; m < kin_rows(&c->in[0]); m++) {
        double mean = 0.0, var = 0.0;
        for (int64_t k = 0; k < width; k++) mean += (double)get(s, m * width + k);
        mean /= (double)width;
        for (int64_t k = 0; k < width; k++) {
            const double d = (double)get(s, m * width + k) - mean;
            var += d * d;
        }
        const double rstd = 1.0 / sqrt(var / (double)width + (double)a->eps);
        set(&c->out[2], m, mean);
        set(&c->out[3], m, rstd);
        for (int64_t k = 0; k < width; k++) {
            const double beta = kin_absent(&c->in[3]) ? 0.0 : (double)get(&c->in[3], k);
            set(&c->out[0], m * width + k,
                ((double)get(s, m * width + k) - mean) * rstd * (double)get(&c->in[2], k) + beta);
        }
    }
}

void REF(rmsnorm_fwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t width = kin_cols(&c->in[0]);
    residual(c);
    const kin_tensor *s = source(c);
    for (int64_t m = 0; m < kin_rows(&c->in[0]); m++) {
        double square = 0.0;
        for (int64_t k = 0; k < width; k++)
            square += (double)get(s, m * width + k) * (double)get(s, m * width + k);
        const double rstd = 1.0 / sqrt(square / (double)width + (double)a->eps);
        set(&c->out[2], m, rstd);
        for (int64_t k = 0; k < width; k++)
            set(&c->out[0], m * width + k, (double)get(s, m * width + k) * rstd * (double)get(&c->in[2], k));
    }
}

/* Row m: with n = (s - mean) rstd and e = dy gamma,  ds = rstd (e - mean(e) - n mean(e n)); rmsnorm has no
 * mean(e). */
static void row_bwd(const kin_call *c, int64_t m, double mean, double rstd, bool centred)
{
    const kin_tensor *s = source(c);
    const int64_t width = kin_cols(&c->in[0]);
    double sum = 0.0, product = 0.0;
    for (int64_t k = 0; k < width; k++) {
        const double e = (double)cotangent(c, 0, m * width + k) * (double)get(&c->in[2], k);
        sum += e;
        product += e * ((double)get(s, m * width + k) - mean) * rstd;
    }
    sum /= (double)width;
    product /= (double)width;
    for (int64_t k = 0; k < width; k++) {
        const double n = ((double)get(s, m * width + k) - mean) * rstd;
        const double e = (double)cotangent(c, 0, m * width + k) * (double)get(&c->in[2], k);
        const double through = kin_absent(&c->in[1]) ? 0.0 : (double)cotangent(c, 1, m * width + k);
        const double ds = rstd * (e - (centred ? sum : 0.0) - n * product) + through;
        for (int i = 0; i < 2; i++)
            if (wanted(c, i)) put(c, i, m * width + k, ds);
    }
}

static void weights_bwd(const kin_call *c, int mean_out, int rstd_out)
{
    const kin_tensor *s = source(c);
    const int64_t width = kin_cols(&c->in[0]), rows = kin_rows(&c->in[0]);
    for (int64_t k = 0; k < width; k++) {
        double dgamma = 0.0, dbeta = 0.0;
        for (int64_t m = 0; m < rows; m++) {
            const double mean = mean_out < 0 ? 0.0 : (double)get(&c->out[mean_out], m);
            const double dy = (double)cotangent(c, 0, m * width + k);
            dgamma += dy * ((double)get(s, m * width + k) - mean) * (double)get(&c->out[rstd_out], m);
            dbeta += dy;
        }
        if (wanted(c, 2)) put(c, 2, k, dgamma);
        if (mean_out >= 0 && wanted(c, 3)) put(c, 3, k, dbeta);
    }
}

void REF(layernorm_bwd)(const kin_call *c)
{
    for (int64_t m = 0; m < kin_rows(&c->in[0]); m++)
        row_bwd(c, m, (double)get(&c->out[2], m), (double)get(&c->out[3], m), true);
    weights_bwd(c, 2, 3);
}

void REF(rmsnorm_bwd)(const kin_call *c)
{
    for (int64_t m = 0; m < kin_rows(&c->in[0]); m++) row_bwd(c, m, 0.0, (double)get(&c->out[2], m), false);
    weights_bwd(c, -1, 2);
}

void REF(l2norm_fwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t width = kin_cols(&c->in[0]);
    for (int64_t m = 0; m < kin_rows(&c->in[0]); m++) {
        double square = 0.0;
        for (int64_t k = 0; k < width; k++)
            square += (double)get(&c->in[0], m * width + k) * (double)get(&c->in[0], m * width + k);
        const double inv = 1.0 / fmax(sqrt(square), (double)a->eps);
        set(&c->out[1], m, inv);
        for (int64_t k = 0; k < width; k++)
            set(&c->out[0], m * width + k, (double)get(&c->in[0], m * width + k) * inv);
    }
}

/* dx = inv (dy - y (y . dy)); below eps the divisor is a constant and the second term is not there. */
void REF(l2norm_bwd)(const kin_call *c)
{
    const kin_norm_attr *a = c->attr;
    const int64_t width = kin_cols(&c->in[0]);
    for (int64_t m = 0; m < kin_rows(&c->in[0]) && wanted(c, 0); m++) {
        const real inv = get(&c->out[1], m);
        double dot = 0.0;
        for (int64_t k = 0; k < width; k++)
            dot += (double)get(&c->out[0], m * width + k) * (double)cotangent(c, 0, m * width + k);
        if (inv >= (real)1 / (real)a->eps) dot = 0.0;
        for (int64_t k = 0; k < width; k++)
            put(c, 0, m * width + k,
                (double)inv *
                    ((double)cotangent(c, 0, m * width + k) - (double)get(&c->out[0], m * width + k) * dot));
    }
}
