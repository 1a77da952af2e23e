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

static bool scalar(kin_ctx *cx, const kin_session *s, const char *name, double *value)
{
    const int i = kin_params_find(s->model->params, name);
    float v = 0.0f;
    const bool there = i >= 0 && kin_param_get(cx, s->model->params, i, false, &v) == KIN_OK;
    *value = (double)v;
    return there;
}

kin_scoring kin_session_scoring(kin_ctx *cx, const kin_session *s)
{
    kin_scoring how;
    scalar(cx, s, "logit_scale", &how.scale);
    how.scale = exp(how.scale);
    how.pairwise = scalar(cx, s, "logit_bias", &how.bias);
    return how;
}

void kin_score(const kin_scoring *how, const float *cosine, int64_t n, float *p)
{
    double most = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, (double)cosine[i]); /* fmax leaves NaN out */
    for (int64_t i = 0; i < n && !how->pairwise; i++)
        if (!isnan(cosine[i])) sum += exp(how->scale * ((double)cosine[i] - most));
    for (int64_t i = 0; i < n; i++) {
        const double x = how->scale * (double)cosine[i];
        p[i] = (float)(how->pairwise ? 1.0 / (1.0 + exp(-x - how->bias)) : exp(x - how->scale * most) / sum);
    }
}
