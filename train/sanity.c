#include "train/sanity.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "train/watch.h"

enum { PAIRS = 64, STEPS = 200 };

/* The run's options with everything left out that keeps a model from fitting a few pairs. */
static kin_config few_pairs(const kin_config *cfg, int64_t pairs, double lr, char *nothing, char *constant)
{
    kin_config c = *cfg;
    c.batch = pairs;
    c.chunk = c.negatives = 0;
    c.captions = 1;
    c.lr = lr;
    c.steps = STEPS;
    c.warmup = 0.1;
    c.schedule = constant;
    c.resume = c.val_data = nothing;
    c.crop_min = 1.0;
    c.flip = c.jitter = c.grey = c.erase = c.patch_drop = c.smoothing = c.ema = c.distill = 0.0;
    c.ahead = 1;
    c.loss_itm = c.loss_mlm = c.loss_mim = c.loss_cls = 0.0; /* embeddings are looked at, fusion is not */
    c.loss_itc = 1.0;
    c.drop_image = c.drop_text = 0.0;
    return c;
}

static void no_dropout(kin_model_cfg *m)
{
    m->vision.patch_dropout = 0.0f;
    m->vision.trunk.dropout = m->vision.trunk.drop_path = 0.0f;
    m->text.trunk.dropout = m->text.trunk.drop_path = 0.0f;
}

/* Equal captions (or pictures) share their probability: ln 2 is left of each pair of them. */
static double target(const kin_sanity *s)
{
    const double same = (double)(s->same_captions + s->same_pictures) / (double)s->pairs;
    return 0.05 * s->chance + 2.0 * same * log(2.0);
}

static kin_status step(kin_ctx *cx, kin_trainer *t, const kin_pairs *pairs, kin_sanity *s)
{
    const uint64_t key = kin_key((uint64_t)t->cfg->seed, 0x73616e65, (uint64_t)s->steps); /* "sane" */
    double norm = 0.0;
    KIN_TRY(kin_stepper_run(cx, &t->stepper, pairs, key, &s->last));
    if (s->steps == 0) s->first = s->last;
    const double lr = kin_lr_at(&t->lr, s->steps);
    const kin_status rc = isfinite(s->last) ? kin_optim_update(cx, &t->optim, lr, &norm) : KIN_NUMERIC;
    if (rc == KIN_NUMERIC) {
        kin_clear(cx);
        t->stepper.check = true;
        KIN_TRY(kin_stepper_run(cx, &t->stepper, pairs, key, &s->last));
        return kin_fail(cx, KIN_NUMERIC, "the loss is %g", s->last);
    }
    if (rc == KIN_OK && norm == 0.0)
        return kin_fail(cx, KIN_ARG, "no gradient reaches the weights: is everything frozen (--freeze)?");
    s->steps++;
    return rc;
}

static kin_status overfit(kin_ctx *cx, kin_trainer *t, double seconds, kin_sanity *s)
{
    kin_batch b;
    const kin_fusion_row *fusion = &kin_fusions[t->model->cfg.fusion.kind];
    if (!fusion->towers)
        return kin_fail(cx, KIN_UNSUPPORTED, "--sanity looks at embeddings, and fusion %s makes none",
                        fusion->name);
    no_dropout(&t->programs.cfg);
    KIN_TRY(kin_loader_next(cx, t->loader, &b)); /* and never again: this batch is kept */
    const kin_pairs pairs = kin_trainer_pairs(t, &b);
    s->pairs = b.n;
    s->lr = t->cfg->lr;
    s->chance = t->loss->chance(&t->programs.loss_cfg, b.n, b.texts);
    uint64_t digest[PAIRS];
    kin_count_duplicates(&pairs, kin_image_bytes(&t->model->cfg.vision), digest, &s->same_captions,
                         &s->same_pictures);
    const double began = kin_now();
    while (s->steps < STEPS && s->seconds < seconds && !s->fits) {
        KIN_TRY(step(cx, t, &pairs, s));
        s->seconds = kin_now() - began;
        s->fits = s->last < target(s);
    }
    return kin_stepper_spread(cx, &t->stepper, &pairs, &s->spread);
}

static kin_status attempt(kin_ctx *cx, const kin_config *cfg, int64_t pairs, double lr, double seconds,
                          kin_sanity *s)
{
    char nothing[] = "", constant[] = "constant";
    const kin_config c = few_pairs(cfg, pairs, lr, nothing, constant);
    kin_trainer t;
    *s = (kin_sanity){.lr = lr};
    if (kin_trainer_open(cx, &t, &c) == KIN_OK) overfit(cx, &t, seconds, s);
    kin_trainer_close(&t);
    return cx->status;
}

static kin_status count_pictures(kin_ctx *cx, const kin_config *cfg, int64_t *n)
{
    *n = 0;
    if (!*cfg->train_data) return KIN_OK; /* opening says so */
    const kin_dataset_cfg open = kin_data_cfg(cfg, cfg->train_split);
    kin_dataset *d = kin_dataset_open_as(cx, cfg->train_data, &open);
    if (!d) return kin_within(cx, "training data");
    *n = d->items;
    kin_dataset_close(d);
    return KIN_OK;
}

/* The first attempt failed, with its error in `trouble` if it had one: what is wrong, and would another
 * learning rate do? */
static kin_status diagnose(kin_ctx *cx, const kin_config *cfg, int64_t pairs, double seconds,
                           const kin_sanity *s, const kin_ctx *trouble)
{
    const double rates[] = {0.1 * s->lr, 10.0 * s->lr, 1e-3};
    char how[600];
    if (trouble->status != KIN_OK)
        snprintf(how, sizeof how, "%.500s", trouble->message);
    else
        snprintf(how, sizeof how, "loss %.3f -> %.3f in %lld steps (%.1f s), chance %.3f", s->first, s->last,
                 (long long)s->steps, s->seconds, s->chance);
    for (int i = 0; i < 3; i++) {
        kin_ctx quiet = {0};
        kin_sanity other;
        attempt(&quiet, cfg, pairs, rates[i], seconds, &other);
        if (quiet.status == KIN_OK && other.fits)
            return kin_fail(
                cx, KIN_NUMERIC,
                "%lld pairs are not overfitted with --lr %g: %s; with --lr %g they are (%.3f in %lld "
                "steps)",
                (long long)pairs, s->lr, how, other.lr, other.last, (long long)other.steps);
    }
    const double cosine = fmax(s->spread.image, s->spread.text);
    const char *why = "ten times more or less does not help, nor does 0.001: the model may be too small or "
                      "too deep to learn "
                      "from these pairs, or its options are wrong";
    if (cosine > 0.98)
        why = "all embeddings became the same (collapse), at lower rates as well: --clip 1, a smaller "
              "--scale-init "
              "or another model";
    else if (s->steps < STEPS && trouble->status == KIN_OK)
        why = "the time was too short for this model: fewer pairs (--batch 16) or a smaller model tells more";
    return kin_fail(cx, KIN_NUMERIC, "%lld pairs are not overfitted with --lr %g: %s; %s", (long long)pairs,
                    s->lr, how, why);
}

kin_status kin_sanity_check(kin_ctx *cx, const kin_config *cfg, double seconds, kin_sanity *out)
{
    kin_ctx first = {.log = cx->log, .log_user = cx->log_user};
    int64_t pictures;
    KIN_TRY(count_pictures(cx, cfg, &pictures));
    const int64_t pairs = kin_max64(1, kin_min64(pictures, kin_min64(PAIRS, cfg->batch)));
    const kin_status rc = attempt(&first, cfg, pairs, cfg->lr, seconds, out);
    if (rc != KIN_OK && rc != KIN_NUMERIC) return kin_fail(cx, rc, "%s", first.message);
    if (rc == KIN_OK && out->fits) return KIN_OK;
    return diagnose(cx, cfg, pairs, seconds, out, &first);
}
