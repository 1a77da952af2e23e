#include "nn/loss.h"

#include <math.h>
#include <string.h>

#include "nn/linear.h"

static kin_val logit_scale(kin_graph *g, const kin_model_cfg *m)
{
    return kin_weight(g, "logit_scale", kin_init_const(m->logit_scale), 0);
}

static int more_captions(const kin_loss_cfg *c)
{
    return c->captions > 1 ? c->captions - 1 : 0;
}

static kin_val infonce(kin_graph *g, const kin_model_cfg *m, const kin_loss_cfg *c, kin_val images,
                       kin_val texts)
{
    const kin_infonce_attr attr = {.smoothing = c->smoothing, .more = more_captions(c)};
    return kin_op1(g, infonce, "loss", &attr, images, texts, logit_scale(g, m));
}

static kin_val distill(kin_graph *g, const kin_model_cfg *m, const kin_loss_cfg *c, kin_val images,
                       kin_val texts, kin_val teacher_images, kin_val teacher_texts)
{
    const kin_distill_attr attr = {.more = more_captions(c)};
    const kin_val scale = logit_scale(g, m);
    return kin_op1(g, distill, "distill", &attr, images, texts, scale, teacher_images, teacher_texts, scale);
}

static double infonce_chance(const kin_loss_cfg *c, int64_t n, int64_t m)
{
    (void)c;
    return 0.5 * (log((double)m) + log((double)n));
}

static kin_val siglip(kin_graph *g, const kin_model_cfg *m, const kin_loss_cfg *c, kin_val images,
                      kin_val texts)
{
    (void)c;
    const kin_val bias = kin_weight(g, "logit_bias", kin_init_const(m->has_bias ? m->logit_bias : -10.0), 0);
    return kin_op1(g, siglip, "loss", NULL, images, texts, logit_scale(g, m), bias);
}

/* The best constant answer: sigmoid(logit) = 1/M for every cell. */
static double siglip_chance(const kin_loss_cfg *c, int64_t n, int64_t m)
{
    (void)c;
    (void)n;
    const double p = 1.0 / (double)m;
    return m > 1 ? -log(p) - (double)(m - 1) * log1p(-p) : 0.0;
}

static kin_val triplet(kin_graph *g, const kin_model_cfg *m, const kin_loss_cfg *c, kin_val images,
                       kin_val texts)
{
    (void)m;
    return kin_op1(g, triplet, "loss", &((kin_triplet_attr){.margin = c->margin}), images, texts);
}

static double triplet_chance(const kin_loss_cfg *c, int64_t n, int64_t m)
{
    (void)m;
    return n > 1 ? 2.0 * (double)c->margin : 0.0;
}

const kin_loss_row kin_losses[] = {
    {"infonce", true, true, infonce, distill, infonce_chance},
    {"siglip", true, false, siglip, NULL, siglip_chance},
    {"triplet", false, false, triplet, NULL, triplet_chance},
    {NULL, false, false, NULL, NULL, NULL},
};

const kin_loss_row *kin_loss_find(const char *name)
{
    for (const kin_loss_row *r = kin_losses; r->name; r++)
        if (strcmp(r->name, name) == 0) return r;
    return NULL;
}
