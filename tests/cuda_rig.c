#include "tests/cuda_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "data/scenes.h"
#include "tests/emulated.h"
#include "tests/scratch.h"

/* With everything random that there is: dropout, stochastic depth, dropped patches. */
static const char model_json[] =
    "{\"embed_dim\": 16,"
    " \"vision_cfg\": {\"image_size\": 32, \"layers\": 2, \"width\": 32, \"head_width\": 16, \"patch_size\": "
    "8,"
    "  \"patch_dropout\": 0.25},"
    " \"text_cfg\": {\"context_length\": 24, \"vocab_size\": 560, \"width\": 32, \"heads\": 2, \"layers\": "
    "2},"
    " \"kin_cfg\": {\"text\": {\"dropout\": 0.1}, \"vision\": {\"drop_path\": 0.2}}}";
static const char options[] = "batch = 8\nlr = 2e-3\nsteps = 5\nlog-every = 1\nema = 0.9\nnegatives = 1\n"
                              "eval-every = 5\neval-batch = 16\nseed = 3\n";

static void on_progress(void *user, const kin_progress *p)
{
    cuda_record *r = user;
    assert_in_range(p->step, 1, MANY);
    r->loss[p->step - 1] = p->loss;
    r->norm[p->step - 1] = p->norm;
    r->flops[p->step - 1] = p->flops;
    r->tokens[p->step - 1] = p->tokens;
    r->steps++;
}

static void on_evaluated(void *user, int64_t step, const json_t *metrics, bool best)
{
    cuda_record *r = user;
    (void)step;
    (void)best;
    r->recall = json_number_value(json_object_get(metrics, "mean_recall"));
}

void cuda_configure(kin_ctx *cx, kin_config *c, const cuda_flag *flags)
{
    static const char *const names[][2] = {
        {"model", "model.json"}, {"train-data", "train"}, {"val-data", "val"}, {"out", "run"}};
    assert_int_equal(kin_config_init(cx, c), KIN_OK);
    assert_int_equal(kin_config_parse(cx, c, "options", options, (int64_t)strlen(options)), KIN_OK);
    for (int i = 0; i < 4; i++) kin_config_set(cx, c, names[i][0], in_scratch(names[i][1]));
    for (; flags->key; flags++) kin_config_set(cx, c, flags->key, flags->value);
    assert_int_equal(cx->status, KIN_OK);
}

kin_status cuda_train(const cuda_flag *flags, cuda_record *r, kin_ctx *cx)
{
    kin_config c;
    kin_trainer t;
    const kin_observer o = {.user = r, .progress = on_progress, .evaluated = on_evaluated};
    *r = (cuda_record){0};
    cuda_configure(cx, &c, flags);
    if (kin_trainer_open(cx, &t, &c) == KIN_OK) kin_trainer_run(cx, &t, &o);
    kin_trainer_close(&t);
    kin_config_free(&c);
    return cx->status;
}

cuda_record cuda_must_train(const cuda_flag *flags)
{
    kin_ctx cx = {0};
    cuda_record r;
    if (cuda_train(flags, &r, &cx) != KIN_OK) fail_msg("%s", cx.message);
    assert_true(r.steps == STEPS || r.steps == MANY);
    return r;
}

void cuda_losses_agree(const cuda_record *a, const cuda_record *b, double tol, const char *what)
{
    assert_int_equal(a->steps, b->steps);
    for (int i = 0; i < a->steps; i++) {
        if (!(fabs(a->loss[i] - b->loss[i]) <= tol * fabs(b->loss[i])))
            fail_msg("%s, step %d: the loss is %.9g on the GPU, %.9g on the processor", what, i + 1,
                     a->loss[i], b->loss[i]);
        if (!(fabs(a->norm[i] - b->norm[i]) <= 10.0 * tol * b->norm[i]))
            fail_msg("%s, step %d: the gradient's norm is %.9g, not %.9g", what, i + 1, a->norm[i],
                     b->norm[i]);
        assert_true(a->flops[i] == b->flops[i]);
    }
}

int cuda_setup(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    if (!open_scratch("cuda")) return -1;
    kin_scenes_cfg c = {.out = in_scratch("train"), .count = 48, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    c = (kin_scenes_cfg){.out = in_scratch("val"), .count = 20, .seed = 2, .size = 32, .split = "val"};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    if (kin_write_file(&cx, in_scratch("model.json"), model_json, (int64_t)strlen(model_json)) != KIN_OK)
        return -1;
    kin_backend *b = emulated_open(&cx); /* sets where plug-ins are looked for */
    kin_backend_close(b);
    return b ? 0 : -1;
}
