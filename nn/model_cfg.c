#include "nn/model_cfg.h"

#include <math.h>
#include <string.h>

#include "nn/fusion.h"

/* Keys of open_clip that are read, and those that may stand there as long as they say nothing new. */
static const char *const vision_keys[] = {
    "layers",        "width",     "head_width", "mlp_ratio",     "patch_size", "image_size",
    "patch_dropout", "pool_type", "no_ln_pre",  "ls_init_value", NULL};
static const char *const text_keys[] = {"context_length", "vocab_size", "width",          "heads",
                                        "layers",         "mlp_ratio",  "no_causal_mask", "pool_type",
                                        "ls_init_value",  NULL};
static const char *const kin_vision_keys[] = {"class_token", "dropout",   "drop_path", "norm",
                                              "eps",         "stem",      "act",       "pos_init",
                                              "stem_blocks", "stem_norm", NULL};
static const char *const kin_text_keys[] = {"kind", "dropout", "drop_path", "norm", "eps", "act", NULL};
static const char *const top_keys[] = {"embed_dim",       "vision_cfg",  "text_cfg",
                                       "quick_gelu",      "custom_text", "init_logit_scale",
                                       "init_logit_bias", "kin_cfg",     NULL};
static const char *const fusion_keys[] = {
    "kind",    "width",     "heads",   "layers", "mlp_ratio", "norm",        "eps",           "act",
    "dropout", "drop_path", "combine", "hidden", "gated",     "pair_layers", "ls_init_value", NULL};
static const char *const head_keys[] = {"itm", "mlm", "mim", "classes", "many", "names", NULL};
static const char *const kin_top_keys[] = {"vision", "text", "fusion", "heads", NULL};

static bool listed(const char *const *list, const char *key)
{
    while (*list && strcmp(*list, key) != 0) list++;
    return *list != NULL;
}

/* A key that is false, null or empty switches nothing on. */
static bool says_nothing(const json_t *v)
{
    return json_is_false(v) || json_is_null(v) || (json_is_object(v) && json_object_size(v) == 0) ||
           (json_is_string(v) && !*json_string_value(v));
}

static kin_status only(kin_ctx *cx, const char *what, const char *section, const json_t *object,
                       const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (listed(known, key) || says_nothing(value)) continue;
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "%s: %s'%s' is not something kin's towers do; remove it, or choose a "
                        "model without it",
                        what, section, key);
    }
    return KIN_OK;
}

static kin_status choice(kin_ctx *cx, const char *what, const char *key, const char *text,
                         const char *const *names, int *out)
{
    char list[256] = "";
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return KIN_OK;
        }
        strncat(list, i ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, names[i], sizeof list - strlen(list) - 1);
    }
    return kin_fail(cx, KIN_UNSUPPORTED, "%s: %s is '%s'; kin knows %s", what, key, text, list);
}

static const char *const act_names[] = {
#define X(name) #name,
    KIN_ACT_MAP(X)
#undef X
        NULL};

static float fraction(kin_ctx *cx, const char *what, const json_t *o, const char *key, double below)
{
    const double v = kin_json_real(cx, o, key, 0.0);
    if (!(v >= 0.0 && v < below))
        kin_fail(cx, KIN_FORMAT, "%s: %s is %g; it must be at least 0 and below %g", what, key, v, below);
    return (float)v;
}

/* The part that both towers share; head count is read by the caller. */
static kin_status read_trunk(kin_ctx *cx, const char *what, const json_t *open, const json_t *kin, bool quick,
                             kin_trunk_cfg *t)
{
    static const char *const norms[] = {"layernorm", "rmsnorm", NULL};
    t->width = kin_json_int(cx, open, "width", t->width, 8, 65536);
    t->layers = kin_json_int(cx, open, "layers", t->layers, 0, 1024);
    const double ratio = kin_json_real(cx, open, "mlp_ratio", 4.0);
    if (!(ratio >= 0.25 && ratio <= 64.0))
        return kin_fail(cx, KIN_FORMAT, "%s: mlp_ratio is %g; it must lie between 0.25 and 64", what, ratio);
    t->mlp = (int64_t)((double)t->width * ratio);
    t->ls_init = (float)kin_json_real(cx, open, "ls_init_value", 0.0);
    t->eps = (float)kin_json_real(cx, kin, "eps", 1e-5);
    t->dropout = fraction(cx, what, kin, "dropout", 1.0);
    t->drop_path = fraction(cx, what, kin, "drop_path", 1.0);
    int norm = 0;
    KIN_TRY(choice(cx, what, "norm", kin_json_string(cx, kin, "norm", "layernorm"), norms, &norm));
    t->rms = norm == 1;
    return choice(cx, what, "act", kin_json_string(cx, kin, "act", quick ? "quick_gelu" : "gelu"), act_names,
                  &t->act);
}

static kin_status check_heads(kin_ctx *cx, const char *what, const kin_trunk_cfg *t)
{
    if (cx->status != KIN_OK) return cx->status;
    if (t->heads < 1 || t->width % t->heads || t->width / t->heads % 8 || t->width / t->heads > 128)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "%s: width %lld in %lld heads: a head must be a multiple of 8 wide, at most 128",
                        what, (long long)t->width, (long long)t->heads);
    return KIN_OK;
}

static kin_status read_stem(kin_ctx *cx, const char *what, const json_t *kin, kin_vision_cfg *v)
{
    const json_t *stem = json_object_get(kin, "stem");
    if (!stem) return KIN_OK;
    int64_t side = 1;
    for (size_t i = 0; json_is_array(stem) && i < json_array_size(stem); i++) {
        const json_int_t channels = json_integer_value(json_array_get(stem, i));
        if (v->stems == KIN_MAX_STEM || channels < 1 || channels > 8192) break;
        v->stem[v->stems++] = channels;
        side *= 2;
    }
    if (!v->stems || (size_t)v->stems != json_array_size(stem) || side != v->patch)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: stem must list the channels of 1 to %d convolutions of stride 2, and 2 to "
                        "the power of their number must be patch_size (%lld)",
                        what, KIN_MAX_STEM, (long long)v->patch);
    static const char *const norms[] = {"pixel", "map", "batch", NULL};
    int norm = 0;
    KIN_TRY(choice(cx, what, "kin_cfg.vision.stem_norm", kin_json_string(cx, kin, "stem_norm", "pixel"),
                   norms, &norm));
    v->stem_norm = (kin_stem_norm)norm;
    const json_t *blocks = json_object_get(kin, "stem_blocks");
    for (size_t i = 0; blocks && i < (size_t)v->stems; i++) {
        const json_t *count = json_array_get(blocks, i);
        if (json_array_size(blocks) != (size_t)v->stems || !json_is_integer(count) ||
            json_integer_value(count) < 0 || json_integer_value(count) > 64)
            return kin_fail(cx, KIN_FORMAT,
                            "%s: stem_blocks must list as many numbers of blocks, 0 to 64, as stem lists "
                            "convolutions (%d)",
                            what, v->stems);
        v->stem_blocks[i] = json_integer_value(count);
    }
    return KIN_OK;
}

enum { MOST_SIDE = 4096 };

/* One number or [height, width]. */
static kin_status read_size(kin_ctx *cx, const char *what, const json_t *open, kin_vision_cfg *v)
{
    const json_t *size = json_object_get(open, "image_size");
    if (!json_is_array(size)) {
        v->image_height = v->image_width = kin_json_int(cx, open, "image_size", 224, 1, MOST_SIDE);
        return cx->status;
    }
    const json_int_t h = json_integer_value(json_array_get(size, 0)),
                     w = json_integer_value(json_array_get(size, 1));
    if (json_array_size(size) != 2 || h < 1 || w < 1 || h > MOST_SIDE || w > MOST_SIDE)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: image_size must be a number of pixels or [height, width], each from 1 to %d",
                        what, MOST_SIDE);
    v->image_height = h;
    v->image_width = w;
    return KIN_OK;
}

static kin_status read_vision(kin_ctx *cx, const char *what, const json_t *open, const json_t *kin,
                              bool quick, kin_vision_cfg *v)
{
    static const char *const pools[] = {"tok", "avg", "map", NULL};
    static const kin_pooling pooling[] = {KIN_POOLING_CLS, KIN_POOLING_MEAN, KIN_POOLING_ATTENTION};
    KIN_TRY(only(cx, what, "vision_cfg.", open, vision_keys));
    KIN_TRY(only(cx, what, "kin_cfg.vision.", kin, kin_vision_keys));
    v->trunk.width = 768;
    v->trunk.layers = 12;
    KIN_TRY(read_trunk(cx, what, open, kin, quick, &v->trunk));
    const int64_t head = kin_json_int(cx, open, "head_width", 64, 1, 128);
    v->trunk.heads = v->trunk.width % head ? 0 : v->trunk.width / head;
    KIN_TRY(check_heads(cx, what, &v->trunk));
    KIN_TRY(read_size(cx, what, open, v));
    v->patch = kin_json_int(cx, open, "patch_size", 16, 1, 512);
    v->ln_pre = !kin_json_bool(cx, open, "no_ln_pre", false);
    v->patch_dropout = fraction(cx, what, open, "patch_dropout", 1.0);
    v->class_token = kin_json_bool(cx, kin, "class_token", true);
    static const char *const places[] = {"normal", "grid", NULL};
    int pool = 0, place = 0;
    KIN_TRY(choice(cx, what, "kin_cfg.vision.pos_init", kin_json_string(cx, kin, "pos_init", "normal"),
                   places, &place));
    v->pos_grid = place == 1;
    KIN_TRY(choice(cx, what, "vision_cfg.pool_type", kin_json_string(cx, open, "pool_type", "tok"), pools,
                   &pool));
    v->pool = pooling[pool];
    if (cx->status != KIN_OK) return cx->status;
    if (v->image_height % v->patch || v->image_width % v->patch)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "%s: image_size %lld x %lld is not a multiple of patch_size %lld", what,
                        (long long)v->image_height, (long long)v->image_width, (long long)v->patch);
    if (v->pool == KIN_POOLING_CLS && !v->class_token)
        return kin_fail(cx, KIN_FORMAT, "%s: pool_type tok reads the class token, but class_token is false",
                        what);
    if (v->pool == KIN_POOLING_MEAN && v->class_token)
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: pool_type avg needs kin_cfg.vision.class_token = false",
                        what);
    if (v->pos_grid && v->trunk.width % 4)
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: pos_init grid needs a width of a multiple of 4, not %lld",
                        what, (long long)v->trunk.width);
    return read_stem(cx, what, kin, v);
}

static kin_status read_text(kin_ctx *cx, const char *what, const json_t *open, const json_t *kin, bool quick,
                            kin_text_cfg *t)
{
    static const char *const pools[] = {"argmax", "eos", "last", "avg", NULL};
    static const char *const kinds[] = {"transformer", "bag_of_words", NULL};
    KIN_TRY(only(cx, what, "text_cfg.", open, text_keys));
    KIN_TRY(only(cx, what, "kin_cfg.text.", kin, kin_text_keys));
    t->trunk.width = 512;
    t->trunk.layers = 12;
    t->trunk.text_init = true;
    KIN_TRY(read_trunk(cx, what, open, kin, quick, &t->trunk));
    t->trunk.heads = kin_json_int(cx, open, "heads", 8, 1, 1024);
    t->trunk.causal = !kin_json_bool(cx, open, "no_causal_mask", false);
    t->context = kin_json_int(cx, open, "context_length", 77, 3, 4096);
    t->vocab = kin_json_int(cx, open, "vocab_size", 49408, 3, 4 << 20);
    int pool = 0, kind = 0;
    KIN_TRY(choice(cx, what, "text_cfg.pool_type", kin_json_string(cx, open, "pool_type", "argmax"), pools,
                   &pool));
    KIN_TRY(
        choice(cx, what, "kin_cfg.text.kind", kin_json_string(cx, kin, "kind", "transformer"), kinds, &kind));
    t->pool = pool == 3 ? KIN_POOLING_MEAN : KIN_POOLING_EOT;
    t->kind = (kin_text_kind)kind;
    return t->kind == KIN_TEXT_TRANSFORMER ? check_heads(cx, what, &t->trunk) : cx->status;
}

static kin_status read_fusion(kin_ctx *cx, const char *what, const json_t *kin, bool quick, kin_model_cfg *m)
{
    static const char *const combines[] = {"linear", "mlp", "gated", "bilinear", "average", NULL};
    kin_fusion_cfg *f = &m->fusion;
    KIN_TRY(only(cx, what, "kin_cfg.fusion.", kin, fusion_keys));
    KIN_TRY(choice(cx, what, "kin_cfg.fusion.kind", kin_json_string(cx, kin, "kind", "none"),
                   kin_fusion_names(), &f->kind));
    f->trunk.width = m->text.trunk.width;
    f->trunk.layers = 2;
    f->trunk.text_init = true;
    KIN_TRY(read_trunk(cx, what, kin, kin, quick, &f->trunk));
    f->trunk.heads = kin_json_int(cx, kin, "heads", m->text.trunk.heads, 1, 1024);
    f->hidden = kin_json_int(cx, kin, "hidden", m->embed_dim, 1, 65536);
    f->gated = kin_json_bool(cx, kin, "gated", false);
    f->pair_layers = kin_json_int(cx, kin, "pair_layers", f->trunk.layers / 2, 0, f->trunk.layers);
    KIN_TRY(choice(cx, what, "kin_cfg.fusion.combine", kin_json_string(cx, kin, "combine", "mlp"), combines,
                   &f->late));
    if (!kin_fusions[f->kind].rows) return cx->status;
    if (m->text.kind != KIN_TEXT_TRANSFORMER)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "%s: fusion %s attends to the rows of a text, and a bag of words has none; take a "
                        "transformer, or fusion late",
                        what, kin_fusions[f->kind].name);
    return check_heads(cx, what, &f->trunk);
}

static kin_status read_heads(kin_ctx *cx, const char *what, const json_t *kin, kin_model_cfg *m)
{
    kin_heads_cfg *h = &m->heads;
    const char *fusion = kin_fusions[m->fusion.kind].name;
    KIN_TRY(only(cx, what, "kin_cfg.heads.", kin, head_keys));
    h->itm = kin_json_bool(cx, kin, "itm", false);
    h->mlm = kin_json_bool(cx, kin, "mlm", false);
    h->mim = kin_json_bool(cx, kin, "mim", false);
    h->classes = kin_json_int(cx, kin, "classes", 0, 0, 1 << 20);
    h->many = kin_json_bool(cx, kin, "many", false);
    const json_t *names = json_object_get(kin, "names");
    if (names && (!json_is_array(names) || (int64_t)json_array_size(names) != h->classes))
        return kin_fail(cx, KIN_FORMAT, "%s: kin_cfg.heads.names must list the names of its %lld classes",
                        what, (long long)h->classes);
    if (cx->status != KIN_OK) return cx->status;
    if (!m->fusion.kind && (h->itm || h->mlm || h->mim || h->classes))
        return kin_fail(
            cx, KIN_FORMAT,
            "%s: heads look at fused pairs, and this model has no fusion; set kin_cfg.fusion.kind", what);
    if ((h->mlm || h->mim) && !kin_fusions[m->fusion.kind].rows)
        return kin_fail(
            cx, KIN_UNSUPPORTED,
            "%s: fusion %s makes one vector of a pair, so there are no masked words or patches to tell; "
            "heads mlm and mim need xattn, joint, mmt or experts",
            what, fusion);
    if (h->mim && !kin_fusions[m->fusion.kind].patches)
        return kin_fail(
            cx, KIN_UNSUPPORTED,
            "%s: fusion %s has no rows of the picture, so it cannot tell masked patches; head mim needs "
            "joint, mmt or experts",
            what, fusion);
    if (h->classes == 1 && !h->many)
        return kin_fail(cx, KIN_FORMAT,
                        "%s: one class alone is always right; two are the least (or many = true)", what);
    return KIN_OK;
}

kin_status kin_model_cfg_read(kin_ctx *cx, const char *what, const json_t *json, kin_model_cfg *out)
{
    const json_t *vision = json_object_get(json, "vision_cfg"), *text = json_object_get(json, "text_cfg");
    const json_t *kin = json_object_get(json, "kin_cfg");
    *out = (kin_model_cfg){.mean = {0.48145466f, 0.4578275f, 0.40821073f},
                           .std = {0.26862954f, 0.26130258f, 0.27577711f}};
    if (!json_is_object(json) || !json_is_object(vision) || !json_is_object(text))
        return kin_fail(cx, KIN_FORMAT,
                        "%s: a model config is an object with embed_dim, vision_cfg and text_cfg", what);
    KIN_TRY(only(cx, what, "", json, top_keys));
    KIN_TRY(only(cx, what, "kin_cfg.", kin, kin_top_keys));
    const bool quick = kin_json_bool(cx, json, "quick_gelu", false);
    out->embed_dim = kin_json_int(cx, json, "embed_dim", 512, 1, 65536);
    out->custom_text = kin_json_bool(cx, json, "custom_text", false);
    out->logit_scale = kin_json_real(cx, json, "init_logit_scale", 2.659260036932778); /* ln(1/0.07) */
    out->has_bias = json_is_number(json_object_get(json, "init_logit_bias"));
    out->logit_bias = kin_json_real(cx, json, "init_logit_bias", 0.0);
    KIN_TRY(read_vision(cx, what, vision, json_object_get(kin, "vision"), quick, &out->vision));
    KIN_TRY(read_text(cx, what, text, json_object_get(kin, "text"), quick, &out->text));
    KIN_TRY(read_fusion(cx, what, json_object_get(kin, "fusion"), quick, out));
    KIN_TRY(read_heads(cx, what, json_object_get(kin, "heads"), out));
    return cx->status;
}

static json_t *member(json_t *object, const char *key)
{
    json_t *have = json_object_get(object, key);
    if (have) return have;
    json_object_set_new(object, key, json_object());
    return json_object_get(object, key);
}

kin_status kin_model_cfg_override(kin_ctx *cx, json_t *json, const char *path, const char *value)
{
    const bool vision = strncmp(path, "vision.", 7) == 0, text = strncmp(path, "text.", 5) == 0;
    const bool fusion = strncmp(path, "fusion.", 7) == 0, heads = strncmp(path, "heads.", 6) == 0;
    json_t *to = json;
    const char *key = path;
    if (vision || text) {
        key = path + (vision ? 7 : 5);
        const bool open = listed(vision ? vision_keys : text_keys, key);
        if (!open && !listed(vision ? kin_vision_keys : kin_text_keys, key))
            return kin_fail(cx, KIN_ARG, "model.%s: there is no such key", path);
        to = open ? member(json, vision ? "vision_cfg" : "text_cfg")
                  : member(member(json, "kin_cfg"), vision ? "vision" : "text");
    } else if (fusion || heads) {
        key = path + (fusion ? 7 : 6);
        if (!listed(fusion ? fusion_keys : head_keys, key))
            return kin_fail(cx, KIN_ARG, "model.%s: there is no such key", path);
        to = member(member(json, "kin_cfg"), fusion ? "fusion" : "heads");
    } else if (!listed(top_keys, key)) {
        return kin_fail(cx, KIN_ARG,
                        "model.%s: there is no such key (sections are model.vision.*, model.text.*, "
                        "model.fusion.* and model.heads.*)",
                        path);
    }
    json_t *parsed = json_loads(value, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!parsed) parsed = json_string(value);
    if (!parsed || json_object_set_new(to, key, parsed) != 0)
        return kin_fail(cx, KIN_ARG, "model.%s: '%s' is not text in UTF-8", path, value);
    return KIN_OK;
}

bool kin_reads_rows(const kin_model_cfg *m)
{
    return kin_fusions[m->fusion.kind].rows;
}

int64_t kin_image_bytes(const kin_vision_cfg *c)
{
    return c->image_height * c->image_width * 3;
}

int64_t kin_vision_rows(const kin_vision_cfg *c)
{
    return c->image_height / c->patch;
}

int64_t kin_vision_columns(const kin_vision_cfg *c)
{
    return c->image_width / c->patch;
}

int64_t kin_vision_patches(const kin_vision_cfg *c)
{
    return kin_vision_rows(c) * kin_vision_columns(c);
}

int64_t kin_vision_tokens(const kin_vision_cfg *c)
{
    int64_t patches = kin_vision_patches(c);
    if (c->trunk.training && c->patch_dropout > 0.0f)
        patches = kin_max64(1, llround((double)patches * (1.0 - (double)c->patch_dropout)));
    return patches + c->class_token;
}
