#include "train/explain.h"

#include <math.h>
#include <stdlib.h>

#include "train/judge_fused.h"

/* A layer's weights [queries, H, keys] of one pair, and what is where in it. */
typedef struct view {
    const float *w;
    int64_t queries, heads, keys; /* keys: row length */
    int64_t first;                /* the picture's first key */
    int64_t tokens, classes;      /* of the picture; class tokens come first */
} view;

bool kin_explains_words(const kin_model_cfg *m)
{
    return kin_fusions[m->fusion.kind].rows;
}

/* The rows of the last layer that nobody reads are not there (nn/fusion_joint.c). */
static bool last_is_cut(const kin_model_cfg *m)
{
    const kin_fusion_row *f = &kin_fusions[m->fusion.kind];
    return f->patches && !f->experts && !m->heads.mlm && !m->heads.mim;
}

static kin_status choose(kin_ctx *cx, const kin_model_cfg *m, int64_t layer, kin_explained *out)
{
    const bool words = kin_explains_words(m), pool = !words && m->vision.pool == KIN_POOLING_ATTENTION;
    const kin_fusion_row *f = &kin_fusions[m->fusion.kind];
    if (!words && m->vision.pool == KIN_POOLING_MEAN)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "nothing in this model looks at a picture: its image tower takes the mean of all "
                        "patches, and its fusion (%s) sees only that; train one with fusion xattn, or with a "
                        "class token or attention pool",
                        f->name);
    out->words = words;
    out->layers = pool ? 1 : words ? m->fusion.trunk.layers : m->vision.trunk.layers;
    out->at = layer ? layer : out->layers - (words && last_is_cut(m) && out->layers > 1);
    if (out->at > out->layers)
        return kin_fail(cx, KIN_ARG, "layer %lld: the %s has %lld", (long long)layer,
                        words  ? "fusion"
                        : pool ? "attention pool"
                               : "image tower",
                        (long long)out->layers);
    if (out->layers == 0) return kin_fail(cx, KIN_UNSUPPORTED, "the image tower has no attention: 0 layers");
    out->layer = pool ? kin_strdup(cx, "visual.attn_pool.attn")
                      : kin_sprintf(cx, "%s.resblocks.%lld.%s", words ? "fusion" : "visual.transformer",
                                    (long long)out->at - 1, words && !f->patches ? "cross" : "attn");
    return cx->status;
}

static kin_status add_look(kin_ctx *cx, kin_explained *e, char *word)
{
    if (!word) return cx->status;
    e->word[e->looks++] = word;
    return KIN_OK;
}

/* The mean of queries from .. to - 1 as look `at`. */
static void average(const view *v, kin_explained *e, int64_t at, int64_t from, int64_t to)
{
    const int64_t patches = v->tokens - v->classes;
    const double share = 1.0 / (double)((to - from) * v->heads);
    double seen = 0.0;
    for (int64_t p = 0; p < patches; p++) {
        double sum = 0.0;
        for (int64_t row = from * v->heads; row < to * v->heads; row++)
            sum += (double)v->w[row * v->keys + v->first + v->classes + p];
        e->map[at * patches + p] = (float)(sum * share);
        seen += sum * share;
    }
    e->rest[at] = (float)fmax(0.0, 1.0 - seen);
}

/* Query `first` is the text's first token. */
static kin_status words(kin_ctx *cx, const view *v, const kin_tokenizer *t, const int32_t *ids, int64_t n,
                        int64_t first, kin_explained *e)
{
    for (int64_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && !kin_tokenizer_ends_word(t, ids[to - 1]); to++) continue;
        average(v, e, e->looks, first + from, first + to);
        const bool special = ids[from] == kin_tokenizer_start(t) || ids[from] == kin_tokenizer_end(t);
        KIN_TRY(add_look(cx, e,
                         special ? kin_strdup(cx, ids[from] == kin_tokenizer_end(t) ? "(end)" : "(start)")
                                 : kin_tokenizer_decode(cx, t, ids + from, to - from)));
    }
    return KIN_OK;
}

static kin_status looks(kin_ctx *cx, const kin_session *s, const view *v, const int32_t *ids, int64_t n,
                        kin_explained *e)
{
    const bool patches = kin_fusions[s->model->cfg.fusion.kind].patches;
    const int64_t most = n + 1;
    e->rows = kin_vision_rows(&s->model->cfg.vision);
    e->columns = kin_vision_columns(&s->model->cfg.vision);
    e->word = kin_alloc0(cx, most, sizeof *e->word);
    e->map = kin_alloc(cx, most * e->rows * e->columns, sizeof *e->map);
    e->rest = kin_alloc(cx, most, sizeof *e->rest);
    if (cx->status != KIN_OK) return cx->status;
    if (!e->words || patches) {
        average(v, e, 0, 0, 1); /* the class token, the pool's query, the pair's own row: always the first */
        KIN_TRY(add_look(cx, e, kin_strdup(cx, e->words ? "(pair)" : "(picture)")));
    }
    const int64_t before = patches ? 1 + v->tokens : 0;
    if (!e->words || v->queries == 1) return KIN_OK;
    return words(cx, v, s->model->tokenizer, ids, n, before, e);
}

static kin_status read_weights(kin_ctx *cx, const kin_session *s, const kin_program *p, const int32_t *ids,
                               int64_t n, kin_explained *e)
{
    const kin_model_cfg *m = &s->model->cfg;
    kin_tensor t = {0};
    KIN_TRY(kin_program_attention(cx, p, e->layer, &t));
    float *w = t.ptr = kin_alloc(cx, kin_count(&t), sizeof *w);
    if (w && kin_program_attention(cx, p, e->layer, &t) == KIN_OK) {
        const view v = {.w = w,
                        .queries = t.dim[0],
                        .heads = t.dim[1],
                        .keys = t.dim[2],
                        .first = kin_fusions[m->fusion.kind].patches,
                        .tokens = kin_vision_tokens(&m->vision),
                        .classes = m->vision.class_token};
        looks(cx, s, &v, ids, n, e);
    }
    free(w);
    return cx->status;
}

static kin_status of_pair(kin_ctx *cx, kin_session *s, const uint8_t *pixels, const char *text,
                          kin_explained *e)
{
    const kin_objective head = s->model->cfg.heads.itm ? KIN_ITM : KIN_CLS;
    const int32_t first = 0;
    kin_fused_judge j;
    float *logit = NULL;
    if (kin_fused_judge_open(cx, &j, &s->embedder, head) == KIN_OK)
        logit = kin_alloc(cx, j.width, sizeof *logit);
    if (logit && kin_fused_judge_pairs(cx, &j, pixels, 1, &text, 1, &first, &first, 1, logit) == KIN_OK) {
        e->answered = head == KIN_ITM;
        if (e->answered) e->match = 1.0 / (1.0 + exp((double)logit[0] - (double)logit[1]));
        read_weights(cx, s, j.program, j.ids, j.off[1], e);
    }
    free(logit);
    kin_fused_judge_close(&j);
    return cx->status;
}

static kin_status of_picture(kin_ctx *cx, kin_session *s, const uint8_t *pixels, kin_explained *e)
{
    float *row = kin_alloc(cx, s->model->cfg.embed_dim, sizeof *row);
    if (row && kin_embed_images(cx, &s->embedder, pixels, 1, row) == KIN_OK) {
        const kin_program *p =
            kin_programs_get(cx, &s->programs, KIN_TASK_IMAGES, false, s->embedder.batch, 0, 0);
        if (p) read_weights(cx, s, p, NULL, 0, e);
    }
    free(row);
    return cx->status;
}

kin_status kin_explain(kin_ctx *cx, kin_session *s, const uint8_t *pixels, const char *text, int64_t layer,
                       kin_explained *out)
{
    *out = (kin_explained){0};
    KIN_TRY(choose(cx, &s->model->cfg, layer, out));
    if (out->words && !text)
        return kin_fail(cx, KIN_ARG, "this model's words look at the picture: a text is needed");
    const char *const kept[] = {out->layer, NULL};
    s->programs.keep.attention = kept;
    const kin_status rc = out->words ? of_pair(cx, s, pixels, text, out) : of_picture(cx, s, pixels, out);
    s->programs.keep.attention = NULL;
    return rc;
}

void kin_explained_free(kin_explained *e)
{
    for (int64_t i = 0; i < e->looks; i++) free(e->word[i]);
    free(e->word);
    free(e->map);
    free(e->rest);
    free(e->layer);
    *e = (kin_explained){0};
}
