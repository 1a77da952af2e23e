/* step: a model with its stepper and a batch of synthetic pairs, for the programs of bench/ that time whole
 * training steps. */
#ifndef KIN_BENCH_STEP_H
#define KIN_BENCH_STEP_H
#include <stdlib.h>
#include <sys/resource.h>

#include "core/plugin.h"
#include "core/rng.h"
#include "train/model.h"
#include "train/optim.h"
#include "train/step.h"

typedef struct bench {
    kin_ctx cx;
    kin_backend *backend;
    kin_params *params;
    kin_model_cfg cfg;
    kin_programs programs;
    kin_stepper stepper;
    kin_optim optim;
    int64_t batch, texts;
    uint8_t *images;
    int32_t *ids, *off;
} bench;

static double bench_peak_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024.0;
}

/* Of kin_backend_open, like its arguments. */
typedef struct bench_where {
    const char *device;
    int threads;
    const char *isa;
    kin_dtype precision;
} bench_where;

/* captions: of each picture, all its positives. */
static bool open_bench(bench *b, const char *model, int64_t batch, int captions, bench_where where)
{
    *b = (bench){.batch = batch, .texts = batch * captions};
    json_t *json = kin_model_json(&b->cx, model);
    if (!json || kin_model_cfg_read(&b->cx, model, json, &b->cfg) != KIN_OK) return false;
    json_decref(json);
    for (int i = 0; i < 3; i++) b->cfg.mean[i] = b->cfg.std[i] = 0.5f;
    b->backend = kin_backend_open(&b->cx, where.device, where.threads, where.isa);
    if (!b->backend) return false;
    b->params = kin_params_new(&b->cx);
    const kin_loss_row *loss = kin_loss_find("infonce");
    if (b->params) b->params->precision = where.precision;
    if (!b->params || kin_register_weights(&b->cx, b->params, &b->cfg, loss) != KIN_OK ||
        kin_params_alloc(&b->cx, b->params, b->backend, true, false) != KIN_OK ||
        kin_params_init(&b->cx, b->params, 1) != KIN_OK)
        return false;
    b->programs = (kin_programs){.cfg = b->cfg,
                                 .loss = loss,
                                 .loss_cfg = {.captions = captions},
                                 .params = b->params,
                                 .backend = b->backend,
                                 .replay = true};
    const kin_optim_cfg optim = {
        .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .wd = 0.2, .clip = 1.0, .scale_max = 100.0};
    return kin_optim_open(&b->cx, &b->optim, b->params, &optim) == KIN_OK &&
           kin_stepper_open(&b->cx, &b->stepper, &b->programs, batch, b->texts, 0) == KIN_OK;
}

/* Lengths as bench/step_torch.py draws them. */
static void make_batch(bench *b, int32_t tokens)
{
    const int64_t pixels = b->batch * kin_image_bytes(&b->cfg.vision);
    b->images = malloc((size_t)pixels);
    b->ids = malloc((size_t)(b->texts * 77) * sizeof *b->ids);
    b->off = malloc((size_t)(b->texts + 1) * sizeof *b->off);
    for (int64_t i = 0; i < pixels; i++) b->images[i] = (uint8_t)(i * 31 + i / 97);
    b->off[0] = 0;
    for (int64_t i = 0; i < b->texts; i++) {
        const int32_t length = tokens ? tokens : (int32_t)(8 + (i * 7) % 12);
        for (int32_t k = 0; k < length; k++)
            b->ids[b->off[i] + k] = (int32_t)((i * 131 + k * 17) % (b->cfg.text.vocab - 1));
        b->off[i + 1] = b->off[i] + length;
    }
}

static void close_bench(bench *b)
{
    free(b->images);
    free(b->ids);
    free(b->off);
    kin_stepper_close(&b->stepper);
    kin_programs_close(&b->programs);
    kin_optim_close(&b->optim);
    kin_params_free(b->params);
    kin_backend_close(b->backend);
}

static kin_pairs bench_pairs(const bench *b)
{
    return (kin_pairs){.n = b->batch, .texts = b->texts, .images = b->images, .ids = b->ids, .off = b->off};
}

/* As the training loop does: the next batch, here the same, goes up while the device computes. */
static void send_next(void *user)
{
    bench *b = user;
    const kin_pairs p = bench_pairs(b);
    kin_stepper_ahead(&b->stepper, &p);
}

/* One step; false: b->cx says why. */
static bool bench_step(bench *b, uint64_t number)
{
    const kin_pairs p = bench_pairs(b);
    double loss, norm;
    b->stepper.meanwhile = send_next;
    b->stepper.user = b;
    const bool ok = kin_stepper_run(&b->cx, &b->stepper, &p, kin_key(1, 2, number), &loss) == KIN_OK &&
                    kin_optim_update(&b->cx, &b->optim, 1e-4, &norm) == KIN_OK;
    b->backend->sync(b->backend);
    return ok;
}

#endif
