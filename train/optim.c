#include "train/optim.h"

#include <math.h>

enum { SUM_BYTES = 64 };

kin_status kin_optim_open(kin_ctx *cx, kin_optim *o, kin_params *p, const kin_optim_cfg *cfg)
{
    *o = (kin_optim){.cfg = *cfg, .params = p, .sum = p->backend->alloc(p->backend, SUM_BYTES)};
    return o->sum ? KIN_OK : kin_fail(cx, KIN_NOMEM, "out of memory for the optimiser");
}

void kin_optim_close(kin_optim *o)
{
    if (o->sum) o->params->backend->release(o->params->backend, o->sum, SUM_BYTES);
    *o = (kin_optim){0};
}

static kin_tensor flat(const kin_params *p, void *ptr, int64_t count)
{
    return (kin_tensor){.ptr = ptr, .dtype = p->backend->real, .rank = 1, .dim = {count}};
}

static double norm_of(kin_optim *o)
{
    kin_backend *b = o->params->backend;
    double total = 0.0;
    for (int g = 0; g < KIN_GROUP_COUNT; g++) {
        const kin_flat *f = &o->params->flat[g];
        if (!f->grad || !f->count) continue;
        kin_tensor t[2] = {flat(o->params, f->grad, f->count),
                           {.ptr = o->sum, .dtype = KIN_F64, .rank = 1, .dim = {1}}};
        b->fns[KIN_FN_sumsq](&(kin_fn_call){.t = t, .dev = b->dev});
        double part;
        b->download(b, &part, o->sum, sizeof part);
        total += part;
    }
    return sqrt(total);
}

static kin_status clamp_scale(kin_ctx *cx, kin_optim *o)
{
    const int i = kin_params_find(o->params, "logit_scale");
    if (i < 0 || o->params->param[i].frozen) return KIN_OK;
    float v;
    KIN_TRY(kin_param_get(cx, o->params, i, false, &v));
    const float most = (float)log(o->cfg.scale_max);
    if (v <= most && v >= 0.0f) return KIN_OK;
    v = v > most ? most : 0.0f;
    if (o->params->backend->real == KIN_F32) {
        o->params->backend->upload(o->params->backend, kin_param_value(o->params, i), &v, sizeof v);
        return KIN_OK;
    }
    const double wide = (double)v;
    o->params->backend->upload(o->params->backend, kin_param_value(o->params, i), &wide, sizeof wide);
    return KIN_OK;
}

kin_status kin_optim_update(kin_ctx *cx, kin_optim *o, double lr, double *norm)
{
    kin_backend *b = o->params->backend;
    const kin_optim_cfg *c = &o->cfg;
    *norm = norm_of(o);
    if (!isfinite(*norm))
        return kin_fail(cx, KIN_NUMERIC,
                        "the gradient is not finite (norm %g): the weights are unchanged; a lower "
                        "learning rate or a longer warm-up usually helps",
                        *norm);
    o->step++;
    kin_adamw_attr a = {
        .lr = (float)lr, .beta1 = (float)c->beta1, .beta2 = (float)c->beta2, .eps = (float)c->eps};
    a.bias1 = (float)(1.0 - pow(c->beta1, (double)o->step));
    a.bias2 = (float)(1.0 - pow(c->beta2, (double)o->step));
    a.grad_scale = c->clip > 0.0 && *norm > c->clip ? (float)(c->clip / *norm) : 1.0f;
    const kin_ema_attr ema = {.decay = (float)c->ema};
    for (int g = 0; g < KIN_GROUP_COUNT; g++) {
        const kin_flat *f = &o->params->flat[g];
        if (!f->grad || !f->count) continue;
        a.wd = g == KIN_GROUP_DECAY ? (float)c->wd : 0.0f;
        kin_tensor t[5] = {flat(o->params, f->value, f->count), flat(o->params, f->grad, f->count),
                           flat(o->params, f->m, f->count), flat(o->params, f->v, f->count),
                           flat(o->params, f->copy, f->count)};
        t[4].dtype = KIN_BF16;
        if (!f->copy) t[4].rank = -1;
        b->fns[KIN_FN_adamw](&(kin_fn_call){.t = t, .attr = &a, .dev = b->dev});
        if (!f->ema) continue;
        kin_tensor e[2] = {flat(o->params, f->ema, f->count), t[0]};
        b->fns[KIN_FN_ema](&(kin_fn_call){.t = e, .attr = &ema, .dev = b->dev});
    }
    return clamp_scale(cx, o);
}
