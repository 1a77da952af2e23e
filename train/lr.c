#include "train/lr.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {
    [KIN_LR_COSINE] = "cosine", [KIN_LR_CONSTANT] = "constant", [KIN_LR_LINEAR] = "linear"};

static int64_t warm_steps(const kin_lr *s)
{
    return llround(s->warmup * (double)s->steps);
}

double kin_lr_warmed(const kin_lr *s, int64_t step)
{
    const int64_t warm = warm_steps(s);
    return step < warm ? (double)(step + 1) / (double)warm : 1.0;
}

double kin_lr_at(const kin_lr *s, int64_t step)
{
    const int64_t warm = warm_steps(s);
    if (step < warm) return s->base * (double)(step + 1) / (double)warm;
    const double t = step < s->steps ? (double)(step - warm) / (double)(s->steps - warm) : 1;
    switch (s->kind) {
    case KIN_LR_COSINE: return s->min + (s->base - s->min) * (1 + cos(3.14159265358979323846 * t)) / 2;
    case KIN_LR_LINEAR: return s->min + (s->base - s->min) * (1 - t);
    default: return s->base;
    }
}

kin_status kin_lr_kind_of(kin_ctx *cx, const char *name, kin_lr_kind *out)
{
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (kin_lr_kind)i;
        return KIN_OK;
    }
    return kin_fail(cx, KIN_ARG, "schedule is \"%s\", it must be cosine, constant or linear", name);
}
