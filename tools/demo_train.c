/* Stages of the demo: from the configurations' files to a trained model and what it answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "data/scenes.h"
#include "tools/demo.h"
#include "train/shared.h"
#include "train/trainer.h"

enum { SIZE = 32, LEARNED_FROM = 2, LIMIT = 1 << 24 };

static bool exists(const char *path)
{
    return path && access(path, F_OK) == 0;
}

/* Two objects are what relations are learned from (docs/RESULTS.md). Made under another name: a folder that
 * is there is whole. */
static kin_status scenes(kin_ctx *cx, const demo *d, const char *name, const char *split, int64_t count,
                         uint64_t seed, int objects)
{
    char *to = kin_sprintf(cx, "%s/data/%s", d->out, name),
         *made = kin_sprintf(cx, "%s/data/%s.tmp", d->out, name);
    const kin_scenes_cfg cfg = {
        .out = made, .count = count, .seed = seed, .split = split, .size = SIZE, .max_objects = objects};
    if (to && made && !exists(to) && kin_scenes_write(cx, &cfg) == KIN_OK && rename(made, to) != 0)
        kin_fail(cx, KIN_IO, "%s cannot be renamed to %s", made, to);
    free(to);
    free(made);
    return cx->status;
}

kin_status demo_data(kin_ctx *cx, const demo *d)
{
    KIN_TRY(scenes(cx, d, "train", "train", d->scale->scenes, 1, LEARNED_FROM));
    return scenes(cx, d, "gallery", "test", d->scale->gallery, 3, 0);
}

static bool has_fusion(const kin_config *c)
{
    for (int64_t i = 0; i < c->override_count; i++)
        if (strcmp(c->overrides[i].path, "fusion.kind") == 0)
            return strcmp(c->overrides[i].value, "none") != 0;
    return false;
}

/* A configuration of configs/demo; where it may be missing, *there says whether it is. */
static kin_status lay(kin_ctx *cx, kin_config *c, const char *name, const char *ending, bool *there)
{
    kin_ctx own = {0};
    char *file = kin_sprintf(cx, "%s%s", name, ending);
    char *path = file ? kin_shared_find(there ? &own : cx, "config", "demo", file, ".cfg") : NULL;
    if (there) *there = path != NULL;
    if (path) kin_config_load(cx, c, path);
    free(file);
    free(path);
    return cx->status;
}

/* Of a config's data "scenes:TASK,...", so many examples. */
static kin_status count_examples(kin_ctx *cx, kin_config *c, int64_t count)
{
    char *data = kin_sprintf(cx, "%s,count=%lld", c->train_data, (long long)count);
    if (data) kin_config_set(cx, c, "train-data", data);
    free(data);
    return cx->status;
}

static kin_status set_path(kin_ctx *cx, kin_config *c, const char *key, const char *before, const char *after)
{
    char *path = kin_sprintf(cx, "%s/%s", before, after);
    if (path) kin_config_set(cx, c, key, path);
    free(path);
    return cx->status;
}

static const demo_stage *stage_named(const char *name)
{
    const demo_stage *s = demo_stages;
    while (strcmp(s->name, name) != 0) s++;
    return s;
}

/* Towers may be another row's. */
static const demo_row *owner_of(const demo_row *row, const demo_stage *stage)
{
    return !stage->from && row->from ? demo_find_row(row->from) : row;
}

/* The technique's file, the stage's over it, the scale's over both, and, where there is one, the scale's own
 * of this row. *there: has this row such a stage? */
static kin_status options(kin_ctx *cx, const demo *d, const demo_row *row, const demo_stage *stage,
                          int64_t seed, const char *place, kin_config *c, bool *there)
{
    char number[24], from[64], technique[80], ending[32] = "";
    snprintf(technique, sizeof technique, "techniques/%s", row->name);
    if (!stage->labels) snprintf(ending, sizeof ending, "-%s", stage->name);
    KIN_TRY(kin_config_load(cx, c, technique));
    *there = true;
    KIN_TRY(lay(cx, c, stage->name, stage->labels && !has_fusion(c) ? "-dual" : "", there));
    if (!*there) return KIN_OK;
    KIN_TRY(lay(cx, c, d->scale->name, ending, NULL));
    if (stage->labels)
        KIN_TRY(count_examples(cx, c, d->scale->learn));
    else
        KIN_TRY(set_path(cx, c, "train-data", d->out, "data/train"));
    if (stage->from) {
        snprintf(from, sizeof from, "../%s/%s/last", owner_of(row, stage_named(stage->from))->name,
                 stage->from);
        KIN_TRY(set_path(cx, c, "model", place, from));
    }
    bool own;
    char own_ending[40];
    snprintf(own_ending, sizeof own_ending, "-%s", row->name);
    KIN_TRY(lay(cx, c, d->scale->name, own_ending, &own));
    snprintf(number, sizeof number, "%.0f", ceil(stage->share * (double)c->steps));
    KIN_TRY(kin_config_set(cx, c, "steps", number));
    snprintf(number, sizeof number, "%lld", (long long)seed);
    KIN_TRY(kin_config_set(cx, c, "seed", number));
    snprintf(number, sizeof number, "%lld", (long long)d->threads);
    KIN_TRY(kin_config_set(cx, c, "threads", number));
    KIN_TRY(kin_config_set(cx, c, "val-data", ""));
    return set_path(cx, c, "out", place, stage->name);
}

/* Trains, or goes on; *seconds is of all its parts. */
static kin_status train(kin_ctx *cx, const demo *d, kin_config *c, json_t *cell, bool *finished)
{
    char *clock = kin_sprintf(cx, "%s/seconds.json", c->out),
         *begun = kin_sprintf(cx, "%s/last/training.json", c->out);
    double seconds = 0;
    int64_t parameters = 0;
    kin_trainer t = {0};
    if (cx->status == KIN_OK && exists(begun) && exists(clock)) {
        json_t *before = kin_json_load(cx, clock, LIMIT);
        seconds = json_real_value(json_object_get(before, "seconds"));
        json_decref(before);
        if (cx->status == KIN_OK) kin_config_set(cx, c, "resume", c->out);
    }
    const kin_observer o = {.stop = d->stop};
    if (cx->status == KIN_OK && kin_trainer_open(cx, &t, c) == KIN_OK) {
        for (int i = 0; i < t.model->params->count; i++) parameters += t.model->params->param[i].count;
        const double before = kin_now();
        if (t.state.step < t.lr.steps) kin_trainer_run(cx, &t, &o);
        seconds += kin_now() - before;
    }
    if (cx->status == KIN_OK) {
        *finished = t.state.step >= t.lr.steps;
        json_object_set_new(cell, "steps", json_integer(t.state.step));
        json_object_set_new(cell, "seconds", json_real(seconds));
        json_object_set_new(cell, "parameters", json_integer(parameters));
        kin_json_save(cx, clock, cell);
    }
    kin_trainer_close(&t);
    free(clock);
    free(begun);
    return cx->status;
}

/* Notices of a short training are nothing to read here; its error is. */
static kin_status make_cell(kin_ctx *cx, const demo *d, const demo_row *row, const demo_stage *stage,
                            int64_t seed, const char *place, json_t **out)
{
    kin_ctx own = {0};
    kin_config c;
    bool there = false, finished = false;
    json_t *cell = json_object(), *asked = NULL;
    if (kin_config_init(&own, &c) == KIN_OK &&
        options(&own, d, row, stage, seed, place, &c, &there) == KIN_OK && there &&
        train(&own, d, &c, cell, &finished) == KIN_OK && finished) {
        char *last = kin_sprintf(&own, "%s/last", c.out);
        if (last) asked = demo_measure_all(&own, d, stage, last);
        free(last);
    }
    if (asked) json_object_update(cell, asked);
    json_decref(asked);
    kin_config_free(&c);
    if (asked && own.status == KIN_OK) *out = json_incref(cell);
    json_decref(cell);
    if (own.status != KIN_OK)
        return kin_fail(cx, own.status, "%s, %s: %s", row->name, stage->name, own.message);
    return KIN_OK;
}

kin_status demo_cell(kin_ctx *cx, const demo *d, const demo_row *row, const demo_stage *stage, int64_t seed,
                     json_t **cell)
{
    row = owner_of(row, stage);
    char *place = kin_sprintf(cx, "%s/seed-%lld/%s", d->out, (long long)seed, row->name),
         *file = place ? kin_sprintf(cx, "%s/%s.json", place, stage->name) : NULL;
    *cell = NULL;
    if (file && exists(file))
        *cell = kin_json_load(cx, file, LIMIT);
    else if (file && kin_make_dirs(cx, place) == KIN_OK &&
             make_cell(cx, d, row, stage, seed, place, cell) == KIN_OK && *cell)
        kin_json_save(cx, file, *cell);
    free(place);
    free(file);
    if (cx->status == KIN_OK) return KIN_OK;
    json_decref(*cell);
    *cell = NULL;
    return cx->status;
}
