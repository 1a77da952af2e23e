#include "tests/step_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden_step.h"

/* The model of tests/golden/step_golden.py. */
static const char model_json[] = "{\"embed_dim\": 24, \"init_logit_scale\": 2.0,"
                                 " \"vision_cfg\": {\"image_size\": 16, \"layers\": 2, \"width\": 32, "
                                 "\"head_width\": 16, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 10, \"vocab_size\": 20, \"width\": 32, "
                                 "\"heads\": 2, \"layers\": 2}}";

const int step_lengths[B] = {3, 7, 10, 4};

void step_open(step_rig *r, kin_backend *backend, step_variant how)
{
    *r = (step_rig){.backend = backend};
    kin_model_cfg cfg;
    const char *model = how.model ? how.model : model_json;
    json_t *json = kin_json_parse(&r->cx, "model", model, strlen(model));
    assert_int_equal(kin_model_cfg_read(&r->cx, "model", json, &cfg), KIN_OK);
    json_decref(json);
    for (int i = 0; i < 3; i++) {
        cfg.mean[i] = 0.5f;
        cfg.std[i] = 0.25f;
    }
    const kin_loss_row *loss = kin_loss_find("infonce");
    r->params = kin_params_new(&r->cx);
    assert_int_equal(kin_register_weights(&r->cx, r->params, &cfg, loss), KIN_OK);
    if (how.freeze) assert_true(kin_params_freeze(r->params, how.freeze) > 0);
    assert_int_equal(kin_params_alloc(&r->cx, r->params, backend, true, how.distill != 0), KIN_OK);
    golden_weights(r->params);
    if (how.distill) golden_average(r->params);
    r->programs = (kin_programs){.cfg = cfg,
                                 .recompute = how.recompute,
                                 .loss = loss,
                                 .params = r->params,
                                 .backend = backend,
                                 .loss_cfg = {.captions = how.captions, .distill = how.distill}};
    const int64_t batch = how.batch ? how.batch : B, texts = how.texts ? how.texts : batch;
    assert_int_equal(kin_stepper_open(&r->cx, &r->stepper, &r->programs, batch, texts, how.chunk), KIN_OK);
    r->stepper.alpha = how.alpha;
}

void step_close(step_rig *r)
{
    kin_stepper_close(&r->stepper);
    kin_programs_close(&r->programs);
    kin_params_free(r->params);
    kin_backend_close(r->backend);
}

static uint8_t images[MOST * S * S * 3];
static int32_t ids[3 * MOST * T], off[3 * MOST + 1];

kin_pairs step_pairs(int64_t n, int64_t texts)
{
    for (int64_t i = 0; i < n * S * S * 3; i++) images[i] = (uint8_t)((7 * i + i / 5) % 256);
    for (int64_t b = 0; b < texts; b++) {
        const int length = step_lengths[b % B];
        int32_t *to = ids + off[b];
        for (int j = 0; j < length; j++)
            to[j] = j == 0 ? 18 : j == length - 1 ? 19 : 1 + (5 * j + 3 * (int)b) % 17;
        off[b + 1] = off[b] + length;
    }
    return (kin_pairs){.n = n, .texts = texts, .images = images, .ids = ids, .off = off};
}

double step_run(step_rig *r, const kin_pairs *p)
{
    double loss;
    const kin_status rc = kin_stepper_run(&r->cx, &r->stepper, p, 77, &loss);
    if (rc != KIN_OK) fail_msg("%s", r->cx.message);
    return loss;
}

double step_element(const step_rig *r, const void *base, int64_t i)
{
    return r->backend->real == KIN_F64 ? ((const double *)base)[i] : (double)((const float *)base)[i];
}

double step_gradients_differ(const step_rig *a, const step_rig *b)
{
    double worst = 0.0;
    for (int i = 0; i < a->params->count; i++) {
        const void *x = kin_param_grad(a->params, i), *y = kin_param_grad(b->params, i);
        double most = 1e-300, differ = 0.0;
        for (int64_t k = 0; k < a->params->param[i].count; k++) {
            most = fmax(most, fabs(step_element(a, x, k)));
            differ = fmax(differ, fabs(step_element(a, x, k) - step_element(b, y, k)));
        }
        worst = fmax(worst, differ / most);
    }
    return worst;
}

kin_backend *step_ref64(void)
{
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_ref(&cx, KIN_F64);
    assert_non_null(b);
    return b;
}

kin_backend *step_cpu(int threads)
{
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_cpu(&cx, threads, NULL);
    assert_non_null(b);
    return b;
}

/* The step_embeddings of the golden batch, by the programs that evaluation uses. */
void step_embeddings(step_rig *r, const kin_pairs *p, bool text, double *out)
{
    kin_program *prog = kin_programs_get(&r->cx, &r->programs, text ? KIN_TASK_TEXTS : KIN_TASK_IMAGES, false,
                                         B, B, p->off[B]);
    assert_non_null(prog);
    double room[B * E];
    kin_run run = {0};
    if (text) {
        kin_program_bind(&r->cx, prog, "ids", ids);
        kin_program_bind(&r->cx, prog, "off", off);
    } else {
        kin_program_bind(&r->cx, prog, "images", images);
    }
    kin_program_bind(&r->cx, prog, "embedding", room);
    kin_run_rows(prog, &run, "images", B);
    kin_run_rows(prog, &run, "texts", B);
    kin_run_rows(prog, &run, "tokens", p->off[B]);
    assert_int_equal(kin_program_run(&r->cx, prog, &run), KIN_OK);
    for (int i = 0; i < B * E; i++) out[i] = step_element(r, room, i);
}
