#include "train/wiring.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

/* What a draw is for: the second word of its counter. */
enum { DRAW_PICTURE = 1, DRAW_TEXT, DRAW_WORD, DRAW_PATCH, DRAW_MISSING };

static double unit(uint64_t key, int64_t index, uint32_t what, uint32_t more, int word)
{
    uint32_t u[4];
    kin_philox(key, (uint32_t)index, what, more, 0x77697265, u); /* "wire" */
    return (double)kin_unit(u[word]);
}

static int64_t vision_tokens(const kin_wiring *w)
{
    return kin_vision_tokens(&w->model->vision);
}

static const kin_fusion_row *fusion_of(const kin_wiring *w)
{
    return &kin_fusions[w->model->fusion.kind];
}

static int64_t image_bytes(const kin_wiring *w)
{
    return kin_image_bytes(&w->model->vision);
}

static kin_status check(kin_ctx *cx, const kin_wiring *w)
{
    const kin_model_cfg *m = w->model;
    for (int k = 0; k < KIN_OBJECTIVES; k++)
        if (w->cfg.want.head[k] && !kin_objectives[k].has(m))
            return k == KIN_ITC
                       ? kin_fail(cx, KIN_ARG,
                                  "loss.itc compares embeddings, and fusion %s makes none: loss.itc = 0",
                                  fusion_of(w)->name)
                       : kin_fail(cx, KIN_ARG,
                                  "loss.%s is asked for, but the model (fusion %s) has nothing that it "
                                  "is of",
                                  kin_objectives[k].name, fusion_of(w)->name);
    if (w->cfg.hard && !fusion_of(w)->towers)
        return kin_fail(
            cx, KIN_ARG,
            "itm-negatives = hard draws by similarity, and fusion %s has no embeddings to compare; "
            "itm-negatives = random",
            fusion_of(w)->name);
    if (w->cfg.want.head[KIN_MIM] && m->vision.patch_dropout > 0.0f)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "loss.mim tells hidden patches, and patch-drop takes patches away: one "
                        "of the two");
    if (w->cfg.want.text_made && (w->cfg.drop_text > 0.0 || w->cfg.want.head[KIN_MLM]))
        return kin_fail(cx, KIN_INTERNAL, "texts that are drawn anew were not made before");
    if (w->cfg.want.image_made && w->cfg.want.head[KIN_MIM])
        return kin_fail(cx, KIN_INTERNAL, "pictures that are drawn anew were not made before");
    if (w->cfg.want.head[KIN_MLM] && m->text.vocab < 4)
        return kin_fail(cx, KIN_ARG, "loss.mlm needs words: the vocabulary has %lld",
                        (long long)m->text.vocab);
    return KIN_OK;
}

kin_status kin_wiring_open(kin_ctx *cx, kin_wiring *w, const kin_model_cfg *m, const kin_wiring_cfg *cfg,
                           int64_t pairs, int64_t texts)
{
    *w = (kin_wiring){.model = m, .cfg = *cfg};
    KIN_TRY(check(cx, w));
    const bool *head = cfg->want.head;
    kin_fused_sizes *z = &w->most;
    const int64_t context = m->text.context, each = 1 + vision_tokens(w) + context;
    z->images = pairs * (head[KIN_MIM] ? 2 : 1);
    z->texts = texts + (head[KIN_MLM] ? pairs : 0) + (cfg->drop_text > 0.0 ? 1 : 0);
    z->itc_images = pairs;
    z->itc_texts = texts;
    z->pairs = pairs + (head[KIN_ITM] ? 2 * pairs + texts - pairs : 0) + (head[KIN_MLM] ? pairs : 0) +
               (head[KIN_MIM] ? pairs : 0);
    if (!kin_mul(z->texts, context, &z->tokens) || !kin_mul(z->pairs, each, &z->rows) || z->rows > INT32_MAX)
        return kin_fail(cx, KIN_ARG, "%lld pairs of up to %lld rows are too large for one step",
                        (long long)z->pairs, (long long)each);
    z->vision_rows = z->text_rows = z->rows;
    z->words = pairs * context;
    z->patches = pairs * vision_tokens(w);
    if (head[KIN_MIM]) w->images = kin_alloc(cx, z->images, (size_t)image_bytes(w));
    int32_t **const of_pairs[] = {&w->pair_images, &w->pair_texts, &w->itm_labels, &w->class_labels};
    int32_t **const of_rows[] = {&w->row_texts, &w->row_images, &w->row_kinds, &w->vision_rows,
                                 &w->text_rows, &w->vision_of,  &w->text_of};
    for (size_t i = 0; i < sizeof of_pairs / sizeof *of_pairs; i++)
        *of_pairs[i] = kin_alloc(cx, z->pairs, sizeof(int32_t));
    for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows; i++)
        *of_rows[i] = kin_alloc(cx, z->rows, sizeof(int32_t));
    w->ids = kin_alloc(cx, z->tokens, sizeof *w->ids);
    w->off = kin_alloc(cx, z->texts + 1, sizeof *w->off);
    w->row_off = kin_alloc(cx, z->pairs + 1, sizeof *w->row_off);
    w->itc_images = kin_alloc(cx, z->itc_images, sizeof *w->itc_images);
    w->itc_texts = kin_alloc(cx, z->itc_texts, sizeof *w->itc_texts);
    w->word_rows = kin_alloc(cx, z->words, sizeof *w->word_rows);
    w->word_labels = kin_alloc(cx, z->words, sizeof *w->word_labels);
    w->patch_rows = kin_alloc(cx, z->patches, sizeof *w->patch_rows);
    w->patch_sources = kin_alloc(cx, z->patches, sizeof *w->patch_sources);
    w->class_targets = kin_alloc(cx, z->pairs * kin_max64(1, m->heads.classes), sizeof *w->class_targets);
    w->weight = kin_alloc(cx, kin_max64(1, texts), sizeof *w->weight);
    return cx->status;
}

void kin_wiring_close(kin_wiring *w)
{
    void *const all[] = {w->images,        w->ids,           w->off,        w->pair_images, w->pair_texts,
                         w->row_off,       w->row_texts,     w->row_images, w->row_kinds,   w->vision_rows,
                         w->text_rows,     w->vision_of,     w->text_of,    w->itc_images,  w->itc_texts,
                         w->itm_labels,    w->class_labels,  w->word_rows,  w->word_labels, w->patch_rows,
                         w->patch_sources, w->class_targets, w->weight};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    *w = (kin_wiring){0};
}

/* ---- pairs ---- */

static int64_t add_pair(kin_wiring *w, int64_t image, int64_t text, int itm)
{
    const int64_t p = w->now.pairs++, classes = w->model->heads.classes;
    w->pair_images[p] = (int32_t)image;
    w->pair_texts[p] = (int32_t)text;
    w->itm_labels[p] = itm;
    w->class_labels[p] = -1;
    for (int64_t k = 0; k < classes; k++) w->class_targets[p * classes + k] = -1.0f;
    return p;
}

static int64_t add_text(kin_wiring *w, const int32_t *ids, int64_t n)
{
    const int64_t t = w->now.texts++;
    memcpy(w->ids + w->off[t], ids, (size_t)n * sizeof *ids);
    w->off[t + 1] = w->off[t] + (int32_t)n;
    w->now.tokens = w->off[t + 1];
    return t;
}

static bool equal_texts(const kin_pairs *p, int64_t i, int64_t j)
{
    const int64_t n = p->off[i + 1] - p->off[i];
    return n == p->off[j + 1] - p->off[j] &&
           memcmp(p->ids + p->off[i], p->ids + p->off[j], (size_t)n * sizeof *p->ids) == 0;
}

/* One of w->weight [n] in proportion to it; -1: all are 0. */
static int64_t drawn(const kin_wiring *w, int64_t n, double u)
{
    double all = 0.0, sum = 0.0;
    int64_t last = -1;
    for (int64_t k = 0; k < n; k++) all += w->weight[k];
    for (int64_t k = 0; k < n; k++) {
        if (w->weight[k] <= 0.0) continue;
        sum += w->weight[k];
        last = k;
        if (sum > u * all) break;
    }
    return last;
}

static double cosine(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t k = 0; k < n; k++) sum += (double)a[k] * (double)b[k];
    return sum;
}

/* For caption i another picture (or for picture i another caption): softmax over those that may be. */
static int64_t other(kin_wiring *w, const kin_pairs *p, int64_t i, const float *own, const float *others,
                     double scale, double u)
{
    const int64_t e = w->model->embed_dim;
    double most = -INFINITY;
    for (int64_t k = 0; k < p->n; k++) {
        w->weight[k] = own ? scale * cosine(own + i * e, others + k * e, e) : 0.0;
        if (k == i || equal_texts(p, i, k))
            w->weight[k] = -INFINITY;
        else
            most = fmax(most, w->weight[k]);
    }
    for (int64_t k = 0; k < p->n; k++) w->weight[k] = isinf(w->weight[k]) ? 0.0 : exp(w->weight[k] - most);
    return drawn(w, p->n, u);
}

static void false_pairs(kin_wiring *w, const kin_pairs *p, uint64_t key, const float *image,
                        const float *text, double scale)
{
    for (int64_t k = 0; p->image_of && k < p->texts - p->n; k++)
        if (p->image_of[k] >= 0) add_pair(w, p->image_of[k], p->n + k, 0);
    for (int64_t i = 0; i < p->n; i++) {
        const int64_t k = other(w, p, i, text, image, scale, unit(key, i, DRAW_PICTURE, 0, 0));
        if (k >= 0) add_pair(w, k, i, 0);
    }
    for (int64_t i = 0; i < p->n; i++) {
        const int64_t k = other(w, p, i, image, text, scale, unit(key, i, DRAW_TEXT, 0, 0));
        if (k >= 0) add_pair(w, i, k, 0);
    }
}

/* ---- what is hidden ---- */

/* Caption i with words hidden; their places in the new text are kept in word_rows until rows are known. */
static void mask_text(kin_wiring *w, const kin_pairs *p, int64_t i, uint64_t key)
{
    const int64_t n = p->off[i + 1] - p->off[i], first = w->now.words;
    const int64_t t = add_text(w, p->ids + p->off[i], n);
    int32_t *ids = w->ids + w->off[t];
    int64_t least = -1;
    double lowest = 2.0;
    for (int64_t j = 1; j + 1 < n; j++) {
        const double u = unit(key, i, DRAW_WORD, (uint32_t)j, 0);
        if (u < lowest) {
            lowest = u;
            least = j;
        }
    }
    for (int64_t j = 1; j + 1 < n; j++) {
        if (unit(key, i, DRAW_WORD, (uint32_t)j, 0) >= w->cfg.mlm_rate && j != least) continue;
        const double how = unit(key, i, DRAW_WORD, (uint32_t)j, 1),
                     which = unit(key, i, DRAW_WORD, (uint32_t)j, 2);
        w->word_labels[w->now.words] = ids[j];
        w->word_rows[w->now.words++] = (int32_t)j;
        if (how < 0.8)
            ids[j] = -1;
        else if (how < 0.9)
            ids[j] = (int32_t)(which * (double)w->model->text.vocab);
    }
    const int64_t pair = add_pair(w, i, t, -1);
    for (int64_t k = first; k < w->now.words; k++)
        w->word_rows[k] += (int32_t)(pair * w->model->text.context);
}

static void hide_patch(const kin_wiring *w, uint8_t *image, int64_t patch)
{
    const kin_vision_cfg *v = &w->model->vision;
    const int64_t across = kin_vision_columns(v), y0 = patch / across * v->patch,
                  x0 = patch % across * v->patch;
    for (int64_t y = y0; y < y0 + v->patch; y++)
        for (int64_t x = x0; x < x0 + v->patch; x++)
            for (int c = 0; c < 3; c++)
                image[(y * v->image_width + x) * 3 + c] = (uint8_t)lrint(255.0 * (double)w->model->mean[c]);
}

/* Picture i with patches hidden; patch_rows keep pair and patch until rows are known. */
static void mask_image(kin_wiring *w, const kin_pairs *p, int64_t i, uint64_t key)
{
    const int64_t patches = kin_vision_patches(&w->model->vision), at = w->now.images++;
    uint8_t *image = w->images + at * image_bytes(w);
    memcpy(image, p->images + i * image_bytes(w), (size_t)image_bytes(w));
    const int64_t pair = add_pair(w, at, i, -1);
    int64_t hidden = 0;
    for (int64_t k = 0; k < patches; k++) {
        if (unit(key, i, DRAW_PATCH, (uint32_t)k, 0) >= w->cfg.mim_rate && !(k + 1 == patches && !hidden))
            continue;
        hidden++;
        hide_patch(w, image, k);
        w->patch_sources[w->now.patches] = (int32_t)(i * patches + k);
        w->patch_rows[w->now.patches++] = (int32_t)(pair * patches + k);
    }
}

/* ---- rows ---- */

static void add_row(kin_wiring *w, int64_t text, int64_t image, int kind)
{
    const int64_t f = w->now.rows++;
    w->row_texts[f] = (int32_t)text;
    w->row_images[f] = (int32_t)image;
    w->row_kinds[f] = kind;
    w->vision_of[f] = w->text_of[f] = -1;
    if (kind == 1) {
        w->vision_of[f] = (int32_t)w->now.vision_rows;
        w->vision_rows[w->now.vision_rows++] = (int32_t)f;
    } else {
        w->text_of[f] = (int32_t)w->now.text_rows;
        w->text_rows[w->now.text_rows++] = (int32_t)f;
    }
}

static void make_rows(kin_wiring *w)
{
    const int64_t k = vision_tokens(w);
    const bool patches = fusion_of(w)->patches;
    w->row_off[0] = 0;
    for (int64_t p = 0; p < w->now.pairs; p++) {
        const int64_t image = w->pair_images[p], text = w->pair_texts[p];
        if (patches) add_row(w, -1, -1, 0);
        for (int64_t j = 0; patches && image < w->now.images && j < k; j++) add_row(w, -1, image * k + j, 1);
        for (int64_t j = w->off[text]; j < w->off[text + 1]; j++) add_row(w, j, -1, 2);
        w->row_off[p + 1] = (int32_t)w->now.rows;
    }
}

/* From pair and place to the row. */
static void place_masked(kin_wiring *w)
{
    const int64_t k = vision_tokens(w), context = w->model->text.context;
    const int64_t patches = kin_vision_patches(&w->model->vision);
    for (int64_t i = 0; i < w->now.words; i++) {
        const int64_t p = w->word_rows[i] / context, j = w->word_rows[i] % context, t = w->pair_texts[p];
        const int64_t first = w->row_off[p + 1] - (w->off[t + 1] - w->off[t]); /* texts come last */
        w->word_rows[i] = (int32_t)(first + j);
    }
    for (int64_t i = 0; i < w->now.patches; i++) {
        const int64_t p = w->patch_rows[i] / patches, j = w->patch_rows[i] % patches;
        w->patch_rows[i] = (int32_t)(w->row_off[p] + 1 + (k - patches) + j);
    }
}

static void begin(kin_wiring *w, const kin_pairs *p)
{
    w->now = (kin_fused_sizes){.images = p->n};
    w->off[0] = 0;
    for (int64_t i = 0; i < p->texts; i++) add_text(w, p->ids + p->off[i], p->off[i + 1] - p->off[i]);
    w->pixels = p->images;
    w->image_features = p->image_features;
    w->text_features = p->text_features;
    w->image_states = p->image_states;
    w->text_states = p->text_states;
}

static void finish(kin_wiring *w)
{
    for (int64_t i = 0; i < w->now.itc_images; i++) w->itc_images[i] = (int32_t)i;
    for (int64_t i = 0; i < w->now.itc_texts; i++) w->itc_texts[i] = (int32_t)i;
    if (!fusion_of(w)->rows) return;
    make_rows(w);
    place_masked(w);
}

/* ---- the whole ---- */

static void true_pair(kin_wiring *w, const kin_pairs *p, int64_t i, uint64_t key, int64_t nothing)
{
    const double u = unit(key, i, DRAW_MISSING, 0, 0);
    const bool no_image = u < w->cfg.drop_image,
               no_text = !no_image && u < w->cfg.drop_image + w->cfg.drop_text;
    const int64_t classes = w->model->heads.classes;
    const int64_t pair =
        add_pair(w, no_image ? w->most.images : i, no_text ? nothing : i, no_image || no_text ? -1 : 1);
    if (!w->cfg.want.head[KIN_CLS]) return;
    w->class_labels[pair] = p->labels[i];
    if (!w->model->heads.many) return;
    for (int64_t k = 0; k < classes; k++)
        w->class_targets[pair * classes + k] = p->targets          ? p->targets[i * classes + k]
                                               : k == p->labels[i] ? 1.0f
                                                                   : 0.0f;
}

kin_status kin_wiring_make(kin_ctx *cx, kin_wiring *w, const kin_pairs *p, uint64_t key, const float *image,
                           const float *text, double scale)
{
    const bool *head = w->cfg.want.head;
    if (p->n < 1 || p->n > w->most.itc_images || p->texts > w->most.itc_texts || p->texts < p->n)
        return kin_fail(cx, KIN_SHAPE,
                        "a batch of %lld pairs and %lld captions; the step was made for %lld and %lld",
                        (long long)p->n, (long long)p->texts, (long long)w->most.itc_images,
                        (long long)w->most.itc_texts);
    if (head[KIN_CLS] && !p->labels)
        return kin_fail(cx, KIN_ARG, "loss.cls needs labels, and the training data has none");
    begin(w, p);
    w->now.itc_images = head[KIN_ITC] ? p->n : 0;
    w->now.itc_texts = head[KIN_ITC] ? p->texts : 0;
    int64_t nothing = -1;
    if (w->cfg.drop_text > 0.0)
        nothing = add_text(w, (const int32_t[]){p->ids[0], p->ids[p->off[1] - 1]}, 2); /* its two ends */
    bool pairs = false;
    for (int k = KIN_ITM; k < KIN_OBJECTIVES; k++) pairs |= head[k];
    if (pairs)
        for (int64_t i = 0; i < p->n; i++) true_pair(w, p, i, key, nothing);
    if (head[KIN_ITM]) false_pairs(w, p, key, w->cfg.hard ? image : NULL, w->cfg.hard ? text : NULL, scale);
    for (int64_t i = 0; head[KIN_MLM] && i < p->n; i++) mask_text(w, p, i, key);
    if (head[KIN_MIM]) {
        memcpy(w->images, p->images, (size_t)(p->n * image_bytes(w)));
        w->pixels = w->images;
        for (int64_t i = 0; i < p->n; i++) mask_image(w, p, i, key);
    }
    for (int64_t i = 0; i < w->now.pairs; i++) /* one past the end, wherever the end is */
        if (w->pair_images[i] == w->most.images) w->pair_images[i] = (int32_t)w->now.images;
    finish(w);
    return KIN_OK;
}

kin_status kin_wiring_score(kin_ctx *cx, kin_wiring *w, const kin_pairs *p, const int32_t *pair_image,
                            const int32_t *pair_text, int64_t pairs)
{
    if (p->n > w->most.images || p->texts > w->most.texts || pairs > w->most.pairs)
        return kin_fail(cx, KIN_SHAPE,
                        "%lld pairs of %lld pictures and %lld texts; room is for %lld, %lld, %lld",
                        (long long)pairs, (long long)p->n, (long long)p->texts, (long long)w->most.pairs,
                        (long long)w->most.images, (long long)w->most.texts);
    begin(w, p);
    for (int64_t i = 0; i < pairs; i++) add_pair(w, pair_image[i], pair_text[i], -1);
    finish(w);
    return KIN_OK;
}

kin_status kin_wiring_each(const kin_wiring *w, kin_wire_fn each, void *user)
{
    const kin_fused_sizes *z = &w->now;
    const struct {
        const char *name;
        const void *host;
        int64_t count, size;
    } all[] = {
        {"images", w->pixels, z->images, image_bytes(w)},
        {"image features", w->image_features, z->images, w->model->embed_dim * (int64_t)sizeof(float)},
        {"text features", w->text_features, z->texts, w->model->embed_dim * (int64_t)sizeof(float)},
        {"image states", w->image_states, z->images,
         vision_tokens(w) * kin_states_width(w->model, false) * (int64_t)sizeof(float)},
        {"text states", w->text_states, z->tokens, kin_states_width(w->model, true) * (int64_t)sizeof(float)},
        {"ids", w->ids, z->tokens, 4},
        {"off", w->off, z->texts + 1, 4},
        {"itc images", w->itc_images, z->itc_images, 4},
        {"itc texts", w->itc_texts, z->itc_texts, 4},
        {"pair images", w->pair_images, z->pairs, 4},
        {"pair texts", w->pair_texts, z->pairs, 4},
        {"row off", w->row_off, z->pairs + 1, 4},
        {"row texts", w->row_texts, z->rows, 4},
        {"row images", w->row_images, z->rows, 4},
        {"row kinds", w->row_kinds, z->rows, 4},
        {"vision rows", w->vision_rows, z->vision_rows, 4},
        {"text rows", w->text_rows, z->text_rows, 4},
        {"vision of", w->vision_of, z->rows, 4},
        {"text of", w->text_of, z->rows, 4},
        {"itm labels", w->itm_labels, z->pairs, 4},
        {"class labels", w->class_labels, z->pairs, 4},
        {"class targets", w->class_targets, z->pairs, 4 * kin_max64(1, w->model->heads.classes)},
        {"word rows", w->word_rows, z->words, 4},
        {"word labels", w->word_labels, z->words, 4},
        {"patch rows", w->patch_rows, z->patches, 4},
        {"patch sources", w->patch_sources, z->patches, 4},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        KIN_TRY(each(user, all[i].name, all[i].host, all[i].count * all[i].size));
    return KIN_OK;
}
