#include "tests/golden_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/rng.h"
#include "train/optim.h"

static uint64_t name_of(const kin_param *p)
{
    return kin_fnv(KIN_FNV, p->name, strlen(p->name));
}

void golden_weights(kin_params *params)
{
    static const char *const gains[] = {"ln_1.weight",    "ln_2.weight",     "ln_pre.weight",
                                        "ln_post.weight", "ln_final.weight", "ln_cross.weight",
                                        "mlm.ln.weight"};
    kin_ctx cx = {0};
    for (int i = 0; i < params->count; i++) {
        const kin_param *p = &params->param[i];
        float *v = malloc((size_t)p->count * sizeof *v);
        const uint64_t h = name_of(p) % 101;
        double base = 0.0;
        for (size_t k = 0; k < sizeof gains / sizeof *gains; k++) {
            const size_t n = strlen(p->name), m = strlen(gains[k]);
            if (n >= m && strcmp(p->name + n - m, gains[k]) == 0) base = 1.0;
        }
        for (int64_t k = 0; k < p->count; k++)
            v[k] = (float)(base + ((double)((h + 37 * (uint64_t)k) % 101) - 50.0) / 256.0);
        if (strcmp(p->name, "logit_scale") == 0) v[0] = 2.0f;
        assert_int_equal(kin_param_set(&cx, params, i, v), KIN_OK);
        free(v);
    }
}

static double element(const kin_params *p, const void *base, int64_t i)
{
    return p->backend->real == KIN_F64 ? ((const double *)base)[i] : (double)((const float *)base)[i];
}

void golden_average(kin_params *params)
{
    for (int i = 0; i < params->count; i++) {
        const kin_param *p = &params->param[i];
        const uint64_t h = name_of(p) % 101;
        void *average = kin_param_ema(params, i);
        for (int64_t k = 0; k < p->count; k++) {
            const double v = element(params, kin_param_value(params, i), k) *
                             (1.0 + 0.25 * ((double)(((uint64_t)k + h) % 5) - 2.0));
            if (params->backend->real == KIN_F64)
                ((double *)average)[k] = v;
            else
                ((float *)average)[k] = (float)v;
        }
    }
}

golden_file golden_open(const char *path)
{
    kin_ctx cx = {0};
    uint8_t *bytes;
    int64_t size;
    assert_int_equal(kin_read_file(&cx, path, 1 << 20, &bytes, &size), KIN_OK);
    return (golden_file){(double *)(void *)bytes, (double *)(void *)(bytes + size), bytes};
}

double golden_take(golden_file *g)
{
    assert_true(g->at < g->end);
    return *g->at++;
}

uint64_t golden_hash(golden_file *g)
{
    uint64_t hash;
    const double bits = golden_take(g);
    memcpy(&hash, &bits, sizeof hash);
    return hash;
}

void close_to(double have, double want, double tolerance, const char *what)
{
    if (!(fabs(have - want) <= tolerance * fmax(1.0, fabs(want))))
        fail_msg("%s: %.12g, PyTorch has %.12g", what, have, want);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const kin_param *const *)a)->name, (*(const kin_param *const *)b)->name);
}

/* "sum of v[i] cos(i)", and the sum of |v[i]|. */
static double mixed(const kin_params *p, const void *v, int64_t n, double *total)
{
    double sum = 0.0;
    *total = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += element(p, v, i) * cos((double)i);
        *total += fabs(element(p, v, i));
    }
    return sum;
}

static void first_of(golden_file *g, const kin_params *p, const kin_param *q, const void *v, double tolerance)
{
    for (int k = 0; k < 8; k++) {
        const double want = golden_take(g);
        if (k < q->count) close_to(element(p, v, k), want, tolerance, q->name);
    }
}

void golden_parameters(golden_file *g, kin_params *p, double tolerance)
{
    kin_ctx cx = {0};
    kin_optim o;
    double norm, total;
    const kin_param *order[200];
    /* Exact in f32, like the script's. */
    const kin_optim_cfg cfg = {
        .beta1 = 0.875, .beta2 = 0.96875, .eps = 0x1p-10, .wd = 0.25, .clip = 0.0, .scale_max = 100.0};
    assert_int_equal(kin_optim_open(&cx, &o, p, &cfg), KIN_OK);
    assert_int_equal(kin_optim_update(&cx, &o, 0x1p-7, &norm), KIN_OK);
    assert_true(p->count <= 200);
    for (int i = 0; i < p->count; i++) order[i] = &p->param[i];
    qsort(order, (size_t)p->count, sizeof *order, by_name);
    for (int i = 0; i < p->count; i++) {
        const kin_param *q = order[i];
        const int index = (int)(q - p->param);
        const void *grad = kin_param_grad(p, index), *value = kin_param_value(p, index);
        assert_true(golden_hash(g) == name_of(q));
        const double want_mixed = golden_take(g), want_total = golden_take(g);
        close_to(mixed(p, grad, q->count, &total), want_mixed, tolerance * fmax(1.0, want_total), q->name);
        close_to(total, want_total, tolerance * 10.0, q->name);
        first_of(g, p, q, grad, tolerance);
        const double after = golden_take(g), have = mixed(p, value, q->count, &total);
        close_to(have, after, tolerance * fmax(1.0, total), q->name);
        first_of(g, p, q, value, tolerance);
    }
    assert_true(g->at == g->end);
    free(g->memory);
    kin_optim_close(&o);
}
