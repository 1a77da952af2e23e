#include "train/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/safetensors.h"
#include "nn/stretch.h"
#include "train/programs.h"
#include "train/shared.h"

enum { JSON_LIMIT = 16 << 20 };

static char *config_of(kin_ctx *cx, const char *folder)
{
    return kin_sprintf(cx, "%s/open_clip_config.json", folder);
}

bool kin_model_is_folder(const char *name)
{
    kin_ctx quiet = {0};
    char *path = config_of(&quiet, name);
    const bool is = path && access(path, R_OK) == 0;
    free(path);
    return is;
}

/* A model config, bare or inside a folder's file. */
static json_t *json_in(kin_ctx *cx, const char *file)
{
    json_t *whole = kin_json_load(cx, file, JSON_LIMIT), *inner = json_object_get(whole, "model_cfg");
    if (!inner) return whole;
    json_incref(inner);
    json_decref(whole);
    return inner;
}

/* The file that a model name stands for: of a folder, itself, or one that comes with kin. */
static char *file_of(kin_ctx *cx, const char *name)
{
    if (kin_model_is_folder(name)) return config_of(cx, name);
    if (access(name, R_OK) == 0 && strchr(name, '.')) return kin_sprintf(cx, "%s", name);
    return kin_shared_find(cx, "model", "models", name, ".json");
}

json_t *kin_model_json(kin_ctx *cx, const char *name)
{
    char *path = file_of(cx, name);
    json_t *json = path ? json_in(cx, path) : NULL;
    free(path);
    return json;
}

kin_model *kin_model_new(kin_ctx *cx, json_t *json, kin_tokenizer *tokenizer,
                         const kin_preprocess *preprocess, const kin_loss_row *loss)
{
    kin_model *m = kin_alloc0(cx, 1, sizeof *m);
    if (!m) {
        json_decref(json);
        kin_tokenizer_free(tokenizer);
        return NULL;
    }
    m->json = json;
    m->tokenizer = tokenizer;
    m->preprocess = *preprocess;
    m->params = kin_params_new(cx);
    json_t *text = json_object_get(json, "text_cfg");
    if (tokenizer && text)
        json_object_set_new(text, "vocab_size", json_integer(kin_tokenizer_vocab_size(tokenizer)));
    if (m->params && kin_model_cfg_read(cx, "model", json, &m->cfg) == KIN_OK) {
        m->preprocess.height = m->cfg.vision.image_height;
        m->preprocess.width = m->cfg.vision.image_width;
        memcpy(m->cfg.mean, preprocess->mean, sizeof m->cfg.mean);
        memcpy(m->cfg.std, preprocess->std, sizeof m->cfg.std);
        if (kin_register_weights(cx, m->params, &m->cfg, loss) == KIN_OK) return m;
    }
    kin_model_free(m);
    return NULL;
}

void kin_model_free(kin_model *m)
{
    if (!m) return;
    json_decref(m->json);
    kin_tokenizer_free(m->tokenizer);
    kin_params_free(m->params);
    kin_st_close(m->weights);
    free(m);
}

/* The tensor of parameter i, of its shape; NULL: an error. */
static const kin_st_entry *find_weight(kin_ctx *cx, const kin_params *p, int i, const kin_st *file,
                                       const char *name)
{
    const kin_param *q = &p->param[i];
    const kin_st_entry *e = kin_st_find(file, q->name);
    char want[96], have[96];
    if (!e) {
        kin_fail(cx, KIN_FORMAT, "%s: tensor %s is missing; the model config belongs to another model?", name,
                 q->name);
        return NULL;
    }
    kin_shape shape = {.rank = e->rank, .sym = -1};
    memcpy(shape.dim, e->dim, sizeof shape.dim);
    if (e->count != q->count || e->rank != q->shape.rank ||
        memcmp(e->dim, q->shape.dim, (size_t)e->rank * 8) != 0) {
        kin_fail(cx, KIN_SHAPE, "%s: tensor %s is %s, the model config says %s: it belongs to another model?",
                 name, q->name, kin_shape_text(&shape, have), kin_shape_text(&q->shape, want));
        return NULL;
    }
    return e;
}

static kin_status read_entry(kin_ctx *cx, kin_params *p, int i, const kin_st_entry *e)
{
    float *values = kin_alloc(cx, e->count, sizeof *values);
    if (!values) return cx->status;
    kin_status rc = kin_st_read_f32(cx, e, values, e->count);
    if (rc == KIN_OK) rc = kin_param_set(cx, p, i, values);
    free(values);
    return rc;
}

static kin_status read_weight(kin_ctx *cx, kin_params *p, int i, const kin_st *file, const char *name)
{
    const kin_st_entry *e = find_weight(cx, p, i, file, name);
    return e ? read_entry(cx, p, i, e) : cx->status;
}

kin_status kin_model_weights(kin_ctx *cx, kin_params *p, const char *file)
{
    kin_st *st = kin_st_open(cx, file);
    if (!st) return cx->status;
    kin_status rc = KIN_OK;
    for (int i = 0; i < p->count && rc == KIN_OK; i++) rc = read_weight(cx, p, i, st, file);
    kin_st_close(st);
    return rc;
}

/* Positions of a text tower that come in another number. */
static kin_status read_positions(kin_ctx *cx, kin_params *p, int i, const kin_st_entry *e)
{
    const int64_t n = e->dim[0], m = p->param[i].shape.dim[0], width = e->dim[1];
    float *in = kin_alloc(cx, e->count, sizeof *in), *out = kin_alloc(cx, p->param[i].count, sizeof *out);
    if (in && out && kin_st_read_f32(cx, e, in, e->count) == KIN_OK) {
        kin_stretch_positions(in, n, m, width, out);
        kin_param_set(cx, p, i, out);
    }
    free(in);
    free(out);
    return cx->status;
}

static bool other_positions(const kin_model *m, const kin_param *q, const kin_st_entry *e)
{
    const char *name = m->cfg.custom_text ? "text.positional_embedding" : "positional_embedding";
    return e && strcmp(q->name, name) == 0 && e->rank == 2 && e->dim[1] == q->shape.dim[1] &&
           e->dim[0] >= 2 && e->dim[0] != q->shape.dim[0];
}

static bool fits(const kin_param *q, const kin_st_entry *e)
{
    return e && e->count == q->count && e->rank == q->shape.rank &&
           memcmp(e->dim, q->shape.dim, (size_t)e->rank * 8) == 0;
}

/* One transformer over both begins as the image tower's, block by block, where the folder has towers (ViLT,
 * Kim et al. 2021); a block that is not there, or has another shape, stays as it is. */
static const kin_st_entry *tower_block(const kin_model *m, const kin_param *q, const kin_st *st)
{
    static const char blocks[] = "fusion.resblocks.";
    char name[160];
    if (kin_fusions[m->cfg.fusion.kind].towers || strncmp(q->name, blocks, sizeof blocks - 1) != 0)
        return NULL;
    snprintf(name, sizeof name, "visual.transformer.resblocks.%s", q->name + sizeof blocks - 1);
    const kin_st_entry *e = kin_st_find(st, name);
    return fits(q, e) ? e : NULL;
}

/* Of fusion and heads a folder has what it has: towers alone are a beginning too, and so is a head of other
 * classes. */
static bool may_be_new(const kin_param *q, const kin_st_entry *e)
{
    const bool later = strncmp(q->name, "fusion.", 7) == 0 || strncmp(q->name, "heads.", 6) == 0;
    if (!later) return !e && strcmp(q->name, "logit_bias") == 0;
    return !fits(q, e);
}

kin_status kin_model_start(kin_ctx *cx, kin_model *m, const char *folder)
{
    kin_params *p = m->params;
    char *file = kin_sprintf(cx, "%s/model.safetensors", folder);
    kin_st *st = file ? kin_st_open(cx, file) : NULL;
    for (int i = 0; st && i < p->count && cx->status == KIN_OK; i++) {
        const kin_st_entry *e = kin_st_find(st, p->param[i].name);
        const kin_st_entry *block = e ? NULL : tower_block(m, &p->param[i], st);
        if (other_positions(m, &p->param[i], e))
            read_positions(cx, p, i, e);
        else if (block)
            read_entry(cx, p, i, block);
        else if (!may_be_new(&p->param[i], e))
            read_weight(cx, p, i, st, file);
    }
    kin_st_close(st);
    free(file);
    return cx->status;
}

kin_status kin_model_preprocess(kin_ctx *cx, const char *name, kin_preprocess *p)
{
    char *path = file_of(cx, name);
    json_t *whole = path ? kin_json_load(cx, path, JSON_LIMIT) : NULL;
    json_t *prep = json_object_get(whole, "preprocess_cfg");
    if (prep) kin_preprocess_from_json(cx, prep, p);
    json_decref(whole);
    free(path);
    return cx->status;
}

static kin_model *open_folder(kin_ctx *cx, const char *folder)
{
    if (!kin_model_is_folder(folder)) {
        kin_fail(cx, KIN_IO,
                 "%s: not a model folder (it has no open_clip_config.json); a training run's are "
                 "RUN/best and RUN/last",
                 folder);
        return NULL;
    }
    kin_preprocess pre = kin_preprocess_default();
    json_t *cfg = kin_model_json(cx, folder);
    if (cfg) kin_model_preprocess(cx, folder, &pre);
    kin_tokenizer *tokenizer = cx->status == KIN_OK ? kin_tokenizer_load(cx, folder) : NULL;
    const char *loss = json_is_number(json_object_get(cfg, "init_logit_bias")) ? "siglip" : "infonce";
    if (tokenizer) return kin_model_new(cx, cfg, tokenizer, &pre, kin_loss_find(loss));
    json_decref(cfg);
    return NULL;
}

/* Every weight as kernels on this machine read it: no copy is needed. */
static bool mappable(kin_ctx *cx, const kin_model *m, const kin_st *file, const char *name)
{
    const uint16_t one = 1;
    bool good = *(const uint8_t *)&one == 1; /* little-endian, as the file */
    for (int i = 0; i < m->params->count && cx->status == KIN_OK; i++) {
        const kin_st_entry *e = find_weight(cx, m->params, i, file, name);
        good = good && e && e->dtype == KIN_F32 && (uintptr_t)e->data % sizeof(float) == 0;
    }
    return good && cx->status == KIN_OK;
}

static const void *weight_at(void *user, int i)
{
    const kin_model *m = user;
    return kin_st_find(m->weights, m->params->param[i].name)->data;
}

static kin_status bind_weights(kin_ctx *cx, kin_model *m, const char *file, kin_backend *b)
{
    m->weights = kin_st_open(cx, file);
    if (!m->weights) return cx->status;
    if (b->host && b->real == KIN_F32 && mappable(cx, m, m->weights, file)) {
        kin_params_borrow(m->params, b, weight_at, m);
        return KIN_OK;
    }
    kin_st_close(m->weights);
    m->weights = NULL;
    KIN_TRY(cx->status);
    KIN_TRY(kin_params_alloc(cx, m->params, b, false, false));
    return kin_model_weights(cx, m->params, file);
}

kin_model *kin_model_load(kin_ctx *cx, const char *folder, kin_backend *b)
{
    kin_model *m = open_folder(cx, folder);
    if (!m) return NULL;
    char *file = kin_sprintf(cx, "%s/model.safetensors", folder);
    const bool bound = file && bind_weights(cx, m, file, b) == KIN_OK;
    free(file);
    if (bound) return m;
    kin_model_free(m);
    return NULL;
}

/* One tensor's data, a part at a time: saving takes no memory to speak of. */
static kin_status save_weight(kin_ctx *cx, const kin_params *p, int i, bool ema, kin_st_writer *w)
{
    float part[4096];
    const int64_t most = sizeof part / sizeof *part, count = p->param[i].count;
    for (int64_t from = 0; from < count; from += most) {
        const int64_t n = kin_min64(most, count - from);
        KIN_TRY(kin_param_part(cx, p, i, ema, from, n, part));
        KIN_TRY(kin_st_writer_data(cx, w, part, n * 4));
    }
    return KIN_OK;
}

static kin_status save_weights(kin_ctx *cx, const kin_params *p, const char *folder, bool ema)
{
    char *path = kin_sprintf(cx, "%s/model.safetensors", folder);
    kin_st_writer *w = path ? kin_st_writer_new(cx, path) : NULL;
    free(path);
    if (!w) return cx->status;
    for (int i = 0; i < p->count; i++)
        kin_st_writer_add(cx, w, p->param[i].name, KIN_F32, p->param[i].shape.rank, p->param[i].shape.dim);
    kin_status rc = kin_st_writer_begin(cx, w);
    const char *name;
    for (int64_t k = 0; rc == KIN_OK && (name = kin_st_writer_at(w, k)); k++)
        rc = save_weight(cx, p, kin_params_find(p, name), ema, w);
    if (rc == KIN_OK) return kin_st_writer_finish(cx, w);
    kin_st_writer_abandon(w);
    return rc;
}

static kin_status save_json(kin_ctx *cx, const char *folder, const char *name, json_t *value)
{
    char *path = kin_sprintf(cx, "%s/%s", folder, name);
    const kin_status rc =
        path && value ? kin_json_save(cx, path, value) : kin_fail(cx, KIN_NOMEM, "out of memory");
    free(path);
    json_decref(value);
    return rc;
}

kin_status kin_model_save(kin_ctx *cx, const kin_model *m, const char *folder, bool ema)
{
    KIN_TRY(save_weights(cx, m->params, folder, ema));
    KIN_TRY(kin_tokenizer_save(cx, m->tokenizer, folder));
    KIN_TRY(save_json(cx, folder, "preprocessor_config.json", kin_preprocess_to_hf(&m->preprocess)));
    return save_json(cx, folder, "open_clip_config.json",
                     json_pack("{s:O, s:o}", "model_cfg", m->json, "preprocess_cfg",
                               kin_preprocess_to_json(&m->preprocess)));
}
