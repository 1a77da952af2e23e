#include "train/session.h"

#include <math.h>

kin_status kin_session_open(kin_ctx *cx, kin_session *s, const char *folder, int threads, int64_t batch)
{
    *s = (kin_session){.backend = kin_backend_cpu(cx, threads, NULL)};
    if (!s->backend) return cx->status;
    s->model = kin_model_load(cx, folder, s->backend);
    if (!s->model) return cx->status;
    s->programs = (kin_programs){.cfg = s->model->cfg, .params = s->model->params, .backend = s->backend};
    return kin_embedder_open(cx, &s->embedder, s->model, &s->programs, batch);
}

void kin_session_close(kin_session *s)
{
    if (s->model) {
        kin_embedder_close(&s->embedder);
        kin_programs_close(&s->programs);
    }
    kin_model_free(s->model);
    kin_backend_close(s->backend);
    *s = (kin_session){0};
}

static bool scalar(kin_ctx *cx, const kin_session *s, const char *name, float *value)
{
    const int i = kin_params_find(s->model->params, name);
    return i >= 0 && kin_param_get(cx, s->model->params, i, false, value) == KIN_OK;
}

double kin_session_scale(kin_ctx *cx, const kin_session *s)
{
    float v = 0.0f;
    scalar(cx, s, "logit_scale", &v);
    return exp((double)v);
}

bool kin_session_bias(kin_ctx *cx, const kin_session *s, double *bias)
{
    float v = 0.0f;
    const bool there = scalar(cx, s, "logit_bias", &v);
    *bias = (double)v;
    return there;
}
