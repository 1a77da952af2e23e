#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/plugin.h"

kin_dataset_cfg kin_data_cfg(const kin_config *c, const char *split)
{
    return (kin_dataset_cfg){.split = split,
                             .no_restval = !c->restval,
                             .separator = c->csv_separator,
                             .image_key = c->csv_img_key,
                             .caption_key = c->csv_caption_key};
}

static kin_status open_data(kin_ctx *cx, kin_trainer *t)
{
    const kin_config *c = t->cfg;
    if (!*c->train_data)
        return kin_fail(cx, KIN_ARG,
                        "train-data is not set: shards ('DIR/{000..009}.tar'), a CSV, a JSON or a folder");
    kin_dataset_cfg d = kin_data_cfg(c, c->train_split);
    d.twins = c->negatives > 0;
    d.labels = c->loss_cls > 0.0 ? KIN_LABELS_MUST : KIN_LABELS_PAIRS;
    t->train = kin_dataset_open_as(cx, c->train_data, &d);
    if (!t->train) return kin_within(cx, "training data");
    d.split = c->val_split;
    d.twins = false;
    if (*c->val_data) t->val = kin_dataset_open_as(cx, c->val_data, &d);
    if (t->val && t->train->classes > 0)
        kin_dataset_classes(cx, t->val, t->train->class_name, t->train->classes);
    return cx->status == KIN_OK ? KIN_OK : kin_within(cx, "validation data");
}

/* The run's own on resume, the named one, or one learned from the captions. */
static kin_tokenizer *open_tokenizer(kin_ctx *cx, kin_trainer *t, int64_t vocab)
{
    const kin_config *c = t->cfg;
    if (*c->resume) {
        char *last = kin_sprintf(cx, "%s/last", c->resume);
        kin_tokenizer *tokenizer = last ? kin_tokenizer_load(cx, last) : NULL;
        free(last);
        return tokenizer;
    }
    if (*c->tokenizer) return kin_tokenizer_load(cx, c->tokenizer);
    if (kin_model_is_folder(c->model)) return kin_tokenizer_load(cx, c->model);
    return kin_tokenizer_train(cx, t->train->caption, t->train->captions, c->vocab > 0 ? c->vocab : vocab);
}

static kin_status override(kin_ctx *cx, json_t *json, const char *path, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    return kin_model_cfg_override(cx, json, path, text);
}

/* What the options name; of a run that is carried on its own, where that is gone. */
static json_t *named_json(kin_ctx *cx, const kin_config *c)
{
    if (!*c->model) {
        kin_fail(cx, KIN_ARG, "model is not set: a name of configs/models, a JSON file or a model folder");
        return NULL;
    }
    if (!*c->resume) return kin_model_json(cx, c->model);
    char *last = kin_sprintf(cx, "%s/last", c->resume);
    json_t *json = NULL;
    kin_ctx quiet = {0};
    if (last && kin_model_is_folder(last)) {
        json = kin_model_json(&quiet, c->model);
        if (!json) json = kin_model_json(cx, last);
    } else
        kin_fail(cx, KIN_IO,
                 "%s: no checkpoint to go on from (there is no %s/last): the run ended before its first one; "
                 "start it again without --resume",
                 c->resume, c->resume);
    free(last);
    return json;
}

/* Does the run ask more of pairs than similar embeddings? */
static bool asks_pairs(const kin_config *c)
{
    return c->loss_itm > 0.0 || c->loss_mlm > 0.0 || c->loss_mim > 0.0 || c->loss_cls > 0.0;
}

/* The heads that the losses are of. */
static kin_status add_heads(kin_ctx *cx, const kin_config *c, const kin_dataset *d, json_t *json)
{
    char classes[32];
    if (c->loss_itm > 0.0) KIN_TRY(kin_model_cfg_override(cx, json, "heads.itm", "true"));
    if (c->loss_mlm > 0.0) KIN_TRY(kin_model_cfg_override(cx, json, "heads.mlm", "true"));
    if (c->loss_mim > 0.0) KIN_TRY(kin_model_cfg_override(cx, json, "heads.mim", "true"));
    if (c->loss_cls <= 0.0) return KIN_OK;
    json_t *names = json_array();
    for (int64_t k = 0; k < d->classes; k++)
        if (json_array_append_new(names, json_string(d->class_name[k])) != 0)
            kin_fail(cx, KIN_FORMAT, "label '%.60s' of the training data is not UTF-8", d->class_name[k]);
    char *list = json_dumps(names, JSON_COMPACT);
    json_decref(names);
    snprintf(classes, sizeof classes, "%lld", (long long)d->classes);
    kin_model_cfg_override(cx, json, "heads.classes", classes);
    if (list) kin_model_cfg_override(cx, json, "heads.names", list);
    free(list);
    return cx->status;
}

/* The model's JSON with everything that the options say about it. */
static json_t *model_json(kin_ctx *cx, const kin_config *c, const kin_dataset *d)
{
    json_t *json = named_json(cx, c);
    if (!json) return NULL;
    for (int64_t i = 0; i < c->override_count && cx->status == KIN_OK; i++)
        kin_model_cfg_override(cx, json, c->overrides[i].path, c->overrides[i].value);
    if (c->context > 0) override(cx, json, "text.context_length", (double)c->context);
    if (c->patch_drop > 0.0) override(cx, json, "vision.patch_dropout", c->patch_drop);
    if (c->scale_init > 0.0) override(cx, json, "init_logit_scale", log(c->scale_init));
    if (strcmp(c->loss, "siglip") == 0 && !json_object_get(json, "init_logit_bias"))
        override(cx, json, "init_logit_bias", -10.0);
    add_heads(cx, c, d, json);
    if (cx->status == KIN_OK) return json;
    json_decref(json);
    return NULL;
}

static kin_augment augment_of(const kin_config *c)
{
    return (kin_augment){
        .crop_min = c->crop_min, .flip = c->flip, .jitter = c->jitter, .grey = c->grey, .erase = c->erase};
}

/* Towers that make the same of a picture, of a text, in every step: nothing of them learns, nothing is drawn.
 * A teacher looks at pixels. */
static kin_steady steady(const kin_trainer *t)
{
    const kin_config *c = t->cfg;
    const kin_vision_cfg *v = &t->model->cfg.vision;
    const kin_trunk_cfg *text = &t->model->cfg.text.trunk;
    const kin_augment a = augment_of(c);
    kin_steady s = kin_features_fit(t->model);
    if (a.crop_min < 1.0 || kin_augment_changes(&a) || v->patch_dropout > 0.0f || v->trunk.dropout > 0.0f ||
        v->trunk.drop_path > 0.0f || c->loss_mim > 0.0)
        s.images = false;
    if (text->dropout > 0.0f || text->drop_path > 0.0f || c->negatives > 0 || c->captions > 1 ||
        c->drop_text > 0.0 || c->loss_mlm > 0.0)
        s.texts = false;
    s.texts = s.texts && s.images;
    if (c->distill > 0.0 && !s.texts) s.images = false;
    return s;
}

/* What they make of the data is kept where there is room for it, and for the rest of the run. */
static kin_status settle_features(kin_ctx *cx, kin_trainer *t, kin_steady *of)
{
    const double need = (double)kin_features_bytes(t->model, t->train, *of),
                 have = (double)kin_memory_available();
    if (of->images && of->texts && t->cfg->distill > 0.0)
        return kin_fail(cx, KIN_ARG, "distill = %g, but no tower learns: there is nothing to teach",
                        t->cfg->distill);
    if (!of->images || have <= 0.0 || need <= 0.75 * have) return KIN_OK;
    kin_log(
        cx, KIN_INFO,
        "the tower of pictures does not learn, but what it makes of all of them takes %.1f GiB, and %.1f are "
        "free: it runs in every step",
        need / 1073741824.0, have / 1073741824.0);
    *of = (kin_steady){0};
    return KIN_OK;
}

static kin_status open_features(kin_ctx *cx, kin_trainer *t, kin_steady of)
{
    kin_embedder e = {0};
    t->features = kin_alloc0(cx, 1, sizeof *t->features);
    if (t->features && kin_embedder_open(cx, &e, t->model, &t->programs, t->cfg->eval_batch) == KIN_OK)
        kin_features_open(cx, t->features, &e, t->train, t->cfg->batch, of, t->cfg->dry_run);
    kin_embedder_close(&e);
    KIN_TRY(cx->status);
    if (t->cfg->dry_run) return KIN_OK;
    if (of.texts)
        kin_log(cx, KIN_INFO,
                "no tower learns: %lld pictures and %lld texts were embedded once (%.1f s), steps read "
                "embeddings",
                (long long)t->train->items, (long long)t->train->captions, t->features->seconds);
    else
        kin_log(
            cx, KIN_INFO,
            "the tower of pictures does not learn: it ran once over %lld pictures (%.1f s, %.1f MiB), steps "
            "read what it made of them",
            (long long)t->train->items, t->features->seconds,
            (double)kin_features_bytes(t->model, t->train, of) / 1048576.0);
    return KIN_OK;
}

/* Steps over pairs: where more is asked of them than similar embeddings, and where only the tower of texts
 * runs. */
static kin_status open_pairs(kin_ctx *cx, kin_trainer *t)
{
    const kin_config *c = t->cfg;
    const kin_model_cfg *m = &t->model->cfg;
    const bool automatic = strcmp(c->itm_negatives, "auto") == 0;
    if (t->val && t->val->classes == 0 && !kin_fusions[m->fusion.kind].towers)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "the evaluation data has no labels, and fusion %s makes no embeddings to search by: "
                        "labelled val-data, or none",
                        kin_fusions[m->fusion.kind].name);
    const bool alone = !asks_pairs(c);
    if (alone && (c->loss_itc != 1.0 || c->drop_image > 0.0 || c->drop_text > 0.0))
        return kin_fail(cx, KIN_ARG,
                        "loss.itc, drop-image and drop-text are of runs with loss.itm, loss.mlm, loss.mim or "
                        "loss.cls, and none of these is above 0");
    kin_steady made = steady(t);
    if (alone && !made.images) return KIN_OK;
    const bool chunks = alone && t->stepper.chunk < t->stepper.batch;
    KIN_TRY(settle_features(cx, t, &made));
    if (chunks) made.texts = false; /* of a batch in chunks pictures alone come made */
    t->stepper.image_made = made.images;
    if (chunks && made.images && !*c->resume) KIN_TRY(open_features(cx, t, made));
    if (chunks || (alone && !made.images)) return KIN_OK;
    if (c->loss_cls > 0.0) t->labels = kin_alloc(cx, c->batch, sizeof *t->labels);
    if (c->loss_cls > 0.0 && m->heads.many)
        t->targets = kin_alloc(cx, c->batch * m->heads.classes, sizeof *t->targets);
    if (made.images && !*c->resume) KIN_TRY(open_features(cx, t, made));
    const kin_fused_cfg f = {
        .wiring = {.want = {.image_made = made.images, .text_made = made.texts},
                   .hard = c->loss_itm > 0.0 && (automatic ? kin_fusions[m->fusion.kind].towers
                                                           : strcmp(c->itm_negatives, "hard") == 0),
                   .mlm_rate = c->mlm_rate,
                   .mim_rate = c->mim_rate,
                   .drop_image = c->drop_image,
                   .drop_text = c->drop_text},
        .weight = {[KIN_ITC] = c->loss_itc,
                   [KIN_ITM] = c->loss_itm,
                   [KIN_MLM] = c->loss_mlm,
                   [KIN_MIM] = c->loss_mim,
                   [KIN_CLS] = c->loss_cls}};
    return kin_stepper_fuse(cx, &t->stepper, &f);
}

kin_pairs kin_trainer_pairs(kin_trainer *t, const kin_batch *b)
{
    const int64_t classes = t->train->classes;
    for (int64_t i = 0; t->labels && i < b->n; i++) {
        t->labels[i] = t->train->label[b->pair[i]].label;
        if (t->targets) kin_dataset_target(t->train, b->pair[i], t->targets + i * classes);
    }
    if (t->features) kin_features_take(t->features, t->train, b->pair, b->n);
    return (kin_pairs){.n = b->n,
                       .texts = b->texts,
                       .images = b->images,
                       .drawn = b->drawn,
                       .ids = b->ids,
                       .off = b->off,
                       .image_of = b->image_of,
                       .image_features = t->features ? t->features->image_rows : NULL,
                       .image_states = t->features ? t->features->state_rows : NULL,
                       .text_features = t->features ? t->features->text_rows : NULL,
                       .labels = t->labels,
                       .targets = t->targets};
}

/* What is said of pictures: of a run that goes on, by the model that it has. */
static kin_status open_preprocess(kin_ctx *cx, const kin_config *c, kin_preprocess *p)
{
    *p = kin_preprocess_default();
    if (!*c->resume) return kin_model_preprocess(cx, c->model, p);
    char *last = kin_sprintf(cx, "%s/last", c->resume);
    if (last) kin_model_preprocess(cx, last, p);
    free(last);
    return cx->status;
}

static kin_status open_model(kin_ctx *cx, kin_trainer *t)
{
    json_t *json = model_json(cx, t->cfg, t->train);
    if (!json) return cx->status;
    const int64_t vocab =
        kin_json_int(cx, json_object_get(json, "text_cfg"), "vocab_size", 49408, 1, 1 << 24);
    kin_tokenizer *tokenizer = cx->status == KIN_OK ? open_tokenizer(cx, t, vocab) : NULL;
    if (!tokenizer) {
        json_decref(json);
        return cx->status;
    }
    kin_preprocess pre;
    open_preprocess(cx, t->cfg, &pre);
    t->model = kin_model_new(cx, json, tokenizer, &pre, t->loss);
    return cx->status;
}

/* Comma-separated globs; each must match something, or it is a typing error. */
static kin_status freeze(kin_ctx *cx, kin_params *p, const char *globs)
{
    while (*globs) {
        const int n = (int)strcspn(globs, ",");
        char *glob = kin_sprintf(cx, "%.*s", n, globs);
        if (!glob) return cx->status;
        const int matched = kin_params_freeze(p, glob);
        if (*glob && matched == 0)
            kin_fail(cx, KIN_ARG, "freeze: no parameter is called '%s'; names are like %s and %s", glob,
                     p->param[0].name, p->param[p->count - 1].name);
        free(glob);
        KIN_TRY(cx->status);
        globs += n + (globs[n] == ',');
    }
    return KIN_OK;
}

static int64_t total_steps(const kin_trainer *t)
{
    if (t->cfg->steps > 0) return t->cfg->steps;
    return (int64_t)ceil(t->cfg->epochs * (double)t->train->captions / (double)t->cfg->batch);
}

static kin_status open_schedule(kin_ctx *cx, kin_trainer *t)
{
    const kin_config *c = t->cfg;
    t->lr = (kin_lr){.base = c->lr, .min = c->min_lr, .warmup = c->warmup, .steps = total_steps(t)};
    if (t->lr.steps < 1)
        return kin_fail(cx, KIN_ARG, "neither steps nor epochs is set: how long is the run?");
    const double steps = (double)t->lr.steps;
    if (c->warmup > 1.0) t->lr.warmup = c->warmup / steps;
    if (t->lr.warmup >= 1.0) {
        const double asked = t->lr.warmup * steps;
        t->lr.warmup = 0.1;
        kin_log(
            cx, KIN_WARN,
            "warm-up %.0f ≥ total %.0f steps: learning rate would never exceed %.3g %% of %g. Using %.0f.",
            asked, steps, 100.0 * fmin(1.0, steps / asked), c->lr, round(0.1 * steps));
    } else if (t->lr.warmup >= 1.0 / 3.0)
        kin_log(cx, KIN_WARN,
                "warm-up is %.0f %% of the run: the learning rate is at its peak only after that",
                t->lr.warmup * 100.0);
    return kin_lr_kind_of(cx, c->schedule, &t->lr.kind);
}

/* From a trained model: its weights, but a logit scale that is asked for. */
static kin_status start(kin_ctx *cx, kin_trainer *t)
{
    kin_params *p = t->model->params;
    const int scale = kin_params_find(p, "logit_scale");
    const float first = (float)log(fmax(1e-6, t->cfg->scale_init));
    KIN_TRY(kin_model_start(cx, t->model, t->cfg->model));
    if (t->cfg->scale_init > 0.0 && scale >= 0) KIN_TRY(kin_param_set(cx, p, scale, &first));
    return KIN_OK;
}

static kin_status check_distill(kin_ctx *cx, const kin_trainer *t)
{
    const kin_config *c = t->cfg;
    if (c->ema <= 0.0)
        return kin_fail(cx, KIN_ARG,
                        "distill = %g takes its targets from the averaged weights, and ema = 0 keeps none; "
                        "ema = 0.995, say",
                        c->distill);
    if (!t->loss->distill)
        return kin_fail(cx, KIN_ARG, "distill = %g, but loss %s has no soft targets; use loss = infonce",
                        c->distill, c->loss);
    if (c->loss_itc <= 0.0)
        return kin_fail(cx, KIN_ARG, "distill = %g softens the targets of loss.itc, and loss.itc = 0",
                        c->distill);
    return KIN_OK;
}

static kin_distill distill_of(const kin_config *c)
{
    if (c->distill <= 0.0) return KIN_DISTILL_NONE;
    return strcmp(c->distill_from, "texts") == 0 ? KIN_DISTILL_TEXTS : KIN_DISTILL_TOWERS;
}

/* Who changes pixels: a GPU, once they are there; else the loader. Patches are hidden (mim) by the host in
 * finished pictures. */
static kin_status open_augment(kin_ctx *cx, kin_trainer *t)
{
    const kin_config *c = t->cfg;
    const kin_augment a = augment_of(c);
    const bool host = t->backend->host, masked = t->stepper.fused && t->stepper.fused->wiring.images;
    if (!kin_augment_changes(&a)) return KIN_OK;
    t->programs.augments = !host && !masked;
    if (t->programs.augments) return KIN_OK;
    t->pixels = kin_backend_cpu(cx, 1, !host || strcmp(c->isa, "auto") == 0 ? NULL : c->isa);
    if (t->pixels) t->augmenter = kin_augmenter_of(t->pixels);
    return cx->status;
}

static kin_status open_compute(kin_ctx *cx, kin_trainer *t)
{
    const kin_config *c = t->cfg;
    if (c->negatives > 0 && !t->loss->more_texts)
        return kin_fail(cx, KIN_ARG,
                        "negatives = %lld, but loss %s has no use for captions without a picture",
                        (long long)c->negatives, c->loss);
    if (c->captions > 1 && !t->loss->captions)
        return kin_fail(cx, KIN_ARG,
                        "captions = %lld, but loss %s takes one caption a picture; use loss = infonce",
                        (long long)c->captions, c->loss);
    if (c->distill > 0.0) KIN_TRY(check_distill(cx, t));
    t->backend =
        kin_backend_open(cx, c->device, (int)c->threads, strcmp(c->isa, "auto") == 0 ? NULL : c->isa);
    if (!t->backend || kin_backend_cpu_blas(cx, t->backend, c->blas) != KIN_OK) return cx->status;
    kin_params *p = t->model->params;
    if (strcmp(c->precision, "bf16") == 0) p->precision = KIN_BF16;
    if (p->precision != KIN_F32 && t->backend->host)
        return kin_fail(cx, KIN_ARG,
                        "precision = %s is for device = cuda; a processor computes in f32, and faster",
                        c->precision);
    KIN_TRY(freeze(cx, p, c->freeze));
    KIN_TRY(kin_params_alloc(cx, p, t->backend, true, c->ema > 0.0));
    KIN_TRY(kin_params_init(cx, p, (uint64_t)c->seed));
    if (!*c->resume && kin_model_is_folder(c->model)) KIN_TRY(start(cx, t));
    const kin_optim_cfg optim = {.beta1 = c->beta1,
                                 .beta2 = c->beta2,
                                 .eps = c->eps,
                                 .wd = c->wd,
                                 .clip = c->clip,
                                 .ema = c->ema,
                                 .scale_max = c->scale_max};
    KIN_TRY(kin_optim_open(cx, &t->optim, p, &optim));
    t->programs = (kin_programs){
        .cfg = t->model->cfg,
        .recompute = c->recompute,
        .replay = c->graphs,
        .loss = t->loss,
        .loss_cfg = {.distill = distill_of(c),
                     .smoothing = (float)c->smoothing,
                     .margin = (float)c->margin,
                     .captions = (int)c->captions},
        .params = p,
        .backend = t->backend,
    };
    const int64_t texts = c->batch * (c->captions + c->negatives);
    KIN_TRY(kin_stepper_open(cx, &t->stepper, &t->programs, c->batch, texts, c->chunk));
    t->stepper.alpha = c->distill;
    KIN_TRY(open_pairs(cx, t));
    KIN_TRY(open_augment(cx, t));
    if (t->val) KIN_TRY(kin_embedder_open(cx, &t->embedder, t->model, &t->programs, c->eval_batch));
    return KIN_OK;
}

const char *kin_trainer_keep(const kin_trainer *t)
{
    const bool labelled = t->val && t->val->classes > 0;
    return labelled && !kin_config_given(t->cfg, "keep") ? "accuracy" : t->cfg->keep;
}

kin_loader_cfg kin_trainer_loader(const kin_trainer *t)
{
    const kin_config *c = t->cfg;
    return (kin_loader_cfg){.data = t->train,
                            .tokenizer = t->model->tokenizer,
                            .preprocess = t->model->preprocess,
                            .augment = augment_of(c),
                            .augmenter = t->pixels ? &t->augmenter : NULL,
                            .cache = t->cache,
                            .scaled = strcmp(c->decode, "scaled") == 0,
                            .batch = c->batch,
                            .context = t->model->cfg.text.context,
                            .captions = c->captions,
                            .negatives = c->negatives,
                            .blind = t->features != NULL,
                            .threads = c->loader_threads,
                            .ahead = c->ahead,
                            .seed = (uint64_t)c->seed};
}

static kin_status open_cache(kin_ctx *cx, kin_trainer *t)
{
    const kin_config *c = t->cfg;
    if (!*c->cache || t->features) return KIN_OK; /* steps that read features read no pictures */
    const kin_loader_cfg l = kin_trainer_loader(t);
    const kin_cache_cfg cfg = {.data = t->train,
                               .preprocess = l.preprocess,
                               .augment = l.augment,
                               .where = c->cache,
                               .side = c->cache_side,
                               .threads = c->threads,
                               .memory = kin_memory_available(),
                               .look = c->dry_run || c->sanity};
    t->cache = kin_cache_open(cx, &cfg);
    return cx->status;
}

static kin_status open_loader(kin_ctx *cx, kin_trainer *t)
{
    KIN_TRY(open_cache(cx, t));
    const kin_loader_cfg cfg = kin_trainer_loader(t);
    t->loader = kin_loader_open(cx, &cfg, t->state.loader);
    return cx->status;
}

kin_status kin_trainer_open(kin_ctx *cx, kin_trainer *t, const kin_config *cfg)
{
    const bool elsewhere = *cfg->resume && !kin_config_given(cfg, "out");
    *t = (kin_trainer){.cfg = cfg, .state = {.best = -1.0}, .loss = kin_loss_find(cfg->loss)};
    t->out = kin_strdup(cx, elsewhere ? cfg->resume : cfg->out);
    KIN_TRY(cx->status);
    KIN_TRY(open_data(cx, t));
    KIN_TRY(open_schedule(cx, t));
    KIN_TRY(open_model(cx, t));
    KIN_TRY(open_compute(cx, t));
    if (*cfg->resume) {
        KIN_TRY(kin_checkpoint_load(cx, cfg->resume, t->model, &t->optim, &t->state));
        kin_log(cx, KIN_INFO, "going on from step %lld of %s", (long long)t->state.step, cfg->resume);
        if (t->stepper.image_made) {
            const bool texts = t->stepper.fused && t->stepper.fused->cfg.wiring.want.text_made;
            KIN_TRY(open_features(cx, t, (kin_steady){.images = true, .texts = texts}));
        }
    }
    return open_loader(cx, t);
}

void kin_trainer_close(kin_trainer *t)
{
    kin_loader_close(t->loader);
    kin_backend_close(t->pixels);
    kin_cache_close(t->cache);
    kin_embedder_close(&t->embedder);
    kin_stepper_close(&t->stepper);
    kin_optim_close(&t->optim);
    if (t->backend) kin_programs_close(&t->programs);
    kin_model_free(t->model);
    kin_backend_close(t->backend);
    kin_dataset_close(t->train);
    kin_dataset_close(t->val);
    json_decref(t->state.loader);
    free(t->out);
    if (t->features) kin_features_close(t->features);
    free(t->features);
    free(t->labels);
    free(t->targets);
    *t = (kin_trainer){0};
}
