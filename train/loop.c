#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "train/evaluate.h"
#include "train/memory.h"
#include "train/metrics.h"
#include "train/tfevents.h"
#include "train/watch.h"

/* What one run of the loop carries along. */
typedef struct loop {
    kin_trainer *t;
    const kin_observer *o;
    kin_metrics *metrics;
    kin_tfevents *events;
    kin_watch watch;
    uint64_t *digest;     /* [batch] scratch of kin_count_duplicates */
    double since, waited; /* time and loader's waiting at the last progress */
    int64_t pairs;        /* since then */
    double started;
    int64_t first; /* the step that the loop began after */
    int64_t saved; /* step of the last checkpoint, -1: none by this loop */
} loop;

static kin_status save(kin_ctx *cx, loop *l)
{
    kin_trainer *t = l->t;
    if (l->saved == t->state.step) return KIN_OK;
    json_decref(t->state.loader);
    t->state.loader = kin_loader_state(t->loader);
    KIN_TRY(kin_checkpoint_save(cx, t->out, "last", t->model, &t->optim, &t->state));
    l->saved = t->state.step;
    return KIN_OK;
}

static double logit_scale(kin_ctx *cx, const kin_trainer *t)
{
    const int i = kin_params_find(t->model->params, "logit_scale");
    float v = 0.0f;
    if (i >= 0) kin_param_get(cx, t->model->params, i, false, &v);
    return exp((double)v);
}

/* One line of metrics.jsonl, and the same numbers for TensorBoard. Takes over the object. */
static kin_status record(kin_ctx *cx, loop *l, json_t *line)
{
    const int64_t step = l->t->state.step;
    const json_t *eval = json_object_get(line, "eval");
    if (line) kin_tfevents_write(cx, l->events, eval ? "val" : "train", step, eval ? eval : line);
    return kin_metrics_write(cx, l->metrics, line);
}

static kin_status report(kin_ctx *cx, loop *l, const kin_pairs *pairs, const kin_batch *batch, double loss,
                         double lr, double norm)
{
    kin_trainer *t = l->t;
    const double now = kin_now(), passed = now - l->since, waited = kin_loader_waited(t->loader);
    const int64_t done = t->state.step;
    const kin_fused_stepper *fused = t->stepper.fused;
    const double each = (now - l->started) / (double)(done - l->first);
    kin_progress p = {
        .step = done,
        .steps = t->lr.steps,
        .epochs = batch->epochs,
        .loss = loss,
        .chance = kin_stepper_chance(&t->stepper, pairs->n, pairs->texts),
        .lr = lr,
        .norm = norm,
        .scale = logit_scale(cx, t),
        .pairs_per_s = (double)l->pairs / passed,
        .data_share = (waited - l->waited) / passed,
        .seconds_left = each * (double)(t->lr.steps - done),
        .flops = t->stepper.flops,
        .pairs = pairs->n,
        .tokens = pairs->off[pairs->texts],
    };
    KIN_TRY(kin_stepper_spread(cx, &t->stepper, pairs, &p.spread));
    if (!fused || fused->cfg.weight[KIN_ITC] > 0.0) /* to others they are no trouble */
        kin_count_duplicates(pairs, kin_image_bytes(&t->model->cfg.vision), l->digest, &p.same_captions,
                             &p.same_pictures);
    l->since = now;
    l->waited = waited;
    l->pairs = 0;
    if (l->o && l->o->progress) l->o->progress(l->o->user, &p);
    kin_watch_progress(cx, &l->watch, t, &p, passed);
    json_t *line =
        json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "step",
                  (json_int_t)p.step, "epoch", p.epochs, "loss", p.loss, "chance", p.chance, "lr", p.lr,
                  "grad_norm", p.norm, "logit_scale", p.scale, "pairs_per_s", p.pairs_per_s, "data_share",
                  p.data_share, "flops", p.flops, "image_cosine", p.spread.image, "text_cosine",
                  p.spread.text, "pair_cosine", p.spread.pair, "same_captions", (json_int_t)p.same_captions,
                  "same_pictures", (json_int_t)p.same_pictures, "tokens", (json_int_t)p.tokens);
    for (int k = 0; fused && k < KIN_OBJECTIVES; k++) {
        char name[16];
        snprintf(name, sizeof name, "loss_%s", kin_objectives[k].name);
        if (fused->cfg.weight[k] > 0.0) json_object_set_new(line, name, json_real(fused->loss[k]));
    }
    return record(cx, l, line);
}

/* The number that decides what is best; KIN_ARG names those there are. */
static kin_status kept(kin_ctx *cx, const loop *l, const json_t *metrics, double *value)
{
    const char *want = kin_trainer_keep(l->t), *key;
    const json_t *v = json_object_get(metrics, want);
    if (json_is_number(v)) {
        *value = json_number_value(v);
        return KIN_OK;
    }
    char names[500] = "";
    json_t *each;
    json_object_foreach((json_t *)metrics, key, each)
    {
        const size_t n = strlen(names);
        if (json_is_number(each)) snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", key);
    }
    return kin_fail(cx, KIN_ARG, "keep = %s: the evaluation has no such metric; it has %s", want, names);
}

static kin_status evaluate(kin_ctx *cx, loop *l)
{
    kin_trainer *t = l->t;
    const double began = kin_now();
    kin_params_swap_ema(t->model->params);
    json_t *metrics = kin_evaluate(cx, &t->embedder, t->val, NULL);
    kin_params_swap_ema(t->model->params);
    if (!metrics) return kin_within(cx, "evaluation after step %lld", (long long)t->state.step);
    double value = 0.0;
    bool best = false;
    if (kept(cx, l, metrics, &value) == KIN_OK && value > t->state.best) {
        best = true;
        t->state.best = value;
        t->state.best_step = t->state.step;
        kin_checkpoint_save(cx, t->out, "best", t->model, &t->optim, NULL);
    }
    if (cx->status == KIN_OK)
        record(cx, l, json_pack("{s:I, s:O}", "step", (json_int_t)t->state.step, "eval", metrics));
    kin_watch_evaluated(&l->watch, value);
    if (cx->status == KIN_OK && l->o && l->o->evaluated)
        l->o->evaluated(l->o->user, t->state.step, metrics, best);
    json_decref(metrics);
    /* Not part of training's own pace. */
    const double spent = kin_now() - began;
    l->since += spent;
    l->started += spent;
    return cx->status;
}

static bool due(int64_t step, int64_t every)
{
    return every > 0 && step % every == 0;
}

static bool stops(const loop *l)
{
    const kin_trainer *t = l->t;
    return t->state.step >= t->lr.steps || (l->o && l->o->stop && *l->o->stop) ||
           (t->cfg->stop_at > 0 && t->state.step >= t->cfg->stop_at);
}

/* Takes the step once more, looking at everything that it writes; the weights are still those before it. */
static kin_status find_nan(kin_ctx *cx, loop *l, const kin_pairs *pairs, uint64_t key, double lr)
{
    kin_trainer *t = l->t;
    kin_ctx found = {0};
    double loss;
    const long long step = (long long)t->state.step + 1;
    char saved[300];
    kin_clear(cx);
    t->stepper.check = true;
    kin_stepper_run(&found, &t->stepper, pairs, key, &loss);
    t->stepper.check = false;
    if (l->saved > 0)
        snprintf(saved, sizeof saved,
                 "last good checkpoint step %lld: --resume %.120s --lr %g goes on from it",
                 (long long)l->saved, t->out, lr / 3.0);
    else
        snprintf(saved, sizeof saved,
                 "no checkpoint yet: a lower --lr (%g was used), a longer --warmup or --clip 1", lr);
    if (found.status == KIN_OK)
        return kin_fail(
            cx, KIN_NUMERIC,
            "the loss or the gradient of step %lld is no number, but the same step taken once more has "
            "none in it: memory or processor may be faulty; %s",
            step, saved);
    return kin_fail(cx, found.status, "%s at step %lld; %s", found.message, step, saved);
}

/* The next batch goes up while the device computes this one, if the loader has it by now. */
static void send_next(void *user)
{
    kin_trainer *t = user;
    kin_batch b;
    if (t->backend->host || !kin_loader_peek(t->loader, &b)) return;
    const kin_pairs pairs = {
        .n = b.n, .texts = b.texts, .images = b.images, .drawn = b.drawn, .ids = b.ids, .off = b.off};
    kin_stepper_ahead(&t->stepper, &pairs);
}

static kin_status one_step(kin_ctx *cx, loop *l)
{
    kin_trainer *t = l->t;
    kin_batch batch;
    KIN_TRY(kin_loader_next(cx, t->loader, &batch));
    const kin_pairs pairs = kin_trainer_pairs(t, &batch);
    const double lr = kin_lr_at(&t->lr, t->state.step);
    const uint64_t key = kin_key((uint64_t)t->cfg->seed, 0x73746570, (uint64_t)t->state.step);
    double loss, norm;
    t->stepper.alpha = t->cfg->distill * kin_lr_warmed(&t->lr, t->state.step);
    KIN_TRY(kin_stepper_run(cx, &t->stepper, &pairs, key, &loss));
    if (!isfinite(loss)) return find_nan(cx, l, &pairs, key, lr);
    const kin_status updated = kin_optim_update(cx, &t->optim, lr, &norm);
    if (updated == KIN_NUMERIC) return find_nan(cx, l, &pairs, key, lr);
    KIN_TRY(updated);
    t->state.step++;
    l->pairs += batch.n;
    if (due(t->state.step, t->cfg->log_every) || t->state.step == l->first + 1 || stops(l))
        KIN_TRY(report(cx, l, &pairs, &batch, loss, lr, norm));
    return KIN_OK;
}

static kin_status run(kin_ctx *cx, loop *l)
{
    kin_trainer *t = l->t;
    while (!stops(l)) {
        const kin_status rc = one_step(cx, l);
        if (rc == KIN_NUMERIC) return rc;
        if (rc != KIN_OK)
            return kin_within(cx, "step %lld (the last checkpoint is of step %lld)",
                              (long long)t->state.step + 1, (long long)(l->saved < 0 ? 0 : l->saved));
        const bool over = t->state.step >= t->lr.steps;
        if (t->val && (over || due(t->state.step, t->cfg->eval_every))) KIN_TRY(evaluate(cx, l));
        if (due(t->state.step, t->cfg->save_every)) KIN_TRY(save(cx, l));
    }
    KIN_TRY(save(cx, l));
    /* Without an evaluation nothing is known to be better than the last. */
    if (!t->val && t->state.step >= t->lr.steps)
        KIN_TRY(kin_checkpoint_save(cx, t->out, "best", t->model, &t->optim, NULL));
    return KIN_OK;
}

static kin_status start(kin_ctx *cx, loop *l)
{
    kin_trainer *t = l->t;
    KIN_TRY(kin_make_dirs(cx, t->out));
    char *config = kin_sprintf(cx, "%s/config.cfg", t->out),
         *lines = kin_sprintf(cx, "%s/metrics.jsonl", t->out);
    if (config && lines && kin_config_save(cx, t->cfg, config) == KIN_OK)
        l->metrics = kin_metrics_open(cx, lines, t->state.step);
    if (l->metrics) l->events = kin_tfevents_open(cx, t->out, t->state.step);
    if (l->events && t->state.step == 0) kin_watch_captions(cx, t);
    l->digest = kin_alloc(cx, t->cfg->batch, sizeof *l->digest);
    free(config);
    free(lines);
    return cx->status;
}

kin_status kin_trainer_run(kin_ctx *cx, kin_trainer *t, const kin_observer *o)
{
    const double now = kin_now();
    loop l = {.t = t,
              .o = o,
              .since = now,
              .started = now,
              .first = t->state.step,
              .saved = *t->cfg->resume ? t->state.step : -1,
              .watch = {.last_kept = -1.0}};
    kin_status rc = start(cx, &l);
    t->stepper.meanwhile = send_next;
    t->stepper.user = t;
    if (rc == KIN_OK) rc = kin_memory_settle(cx, t);
    if (rc == KIN_OK) rc = run(cx, &l);
    if (rc == KIN_OK) kin_watch_end(cx, &l.watch, t);
    kin_tfevents_close(l.events);
    kin_metrics_close(l.metrics);
    free(l.digest);
    return rc;
}
