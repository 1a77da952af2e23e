#include "train/features.h"

#include <stdlib.h>
#include <string.h>

kin_steady kin_features_fit(const kin_model *m)
{
    const kin_fusion_row *fusion = &kin_fusions[m->cfg.fusion.kind];
    const kin_params *p = m->params;
    kin_steady s = {.images = fusion->towers && !fusion->experts, .texts = true};
    for (int i = 0; i < p->count; i++) {
        const char *name = p->param[i].name;
        const bool head = strncmp(name, "fusion.", 7) == 0 || strncmp(name, "heads.", 6) == 0 ||
                          strncmp(name, "logit_", 6) == 0;
        if (p->param[i].frozen || head) continue;
        if (strncmp(name, "visual.", 7) == 0)
            s.images = false;
        else
            s.texts = false;
    }
    s.texts = s.texts && s.images && !fusion->rows;
    return s;
}

static int64_t row_of(const kin_model *m)
{
    return kin_has_states(&m->cfg) ? kin_states_of(&m->cfg) : 0;
}

int64_t kin_features_bytes(const kin_model *m, const kin_dataset *d, kin_steady of)
{
    const int64_t row = (m->cfg.embed_dim + row_of(m)) * (int64_t)sizeof(float);
    const int64_t caption = of.texts ? m->cfg.embed_dim * (int64_t)sizeof(float) : 0;
    int64_t images, texts;
    if (!kin_mul(d->items, row, &images) || !kin_mul(d->captions, caption, &texts) ||
        images > INT64_MAX - texts)
        return INT64_MAX;
    return images + texts;
}

/* Twice: the first time compiles and maps. */
static kin_status time_a_batch(kin_ctx *cx, kin_features *f, kin_embedder *e, const kin_dataset *d)
{
    const int64_t images = kin_min64(e->batch, d->items), texts = kin_min64(e->batch, d->captions);
    float *rows = kin_alloc(cx, e->batch * f->width, sizeof *rows);
    float *states = f->row > 0 ? kin_alloc(cx, images * f->row, sizeof *states) : NULL;
    bool *bad = kin_alloc(cx, images, sizeof *bad);
    for (int k = 0; k < 2 && cx->status == KIN_OK; k++) {
        const double began = kin_now();
        kin_embed_picture_states(cx, e, d, 0, images, rows, states, bad);
        const double looked = kin_now();
        if (cx->status == KIN_OK && f->of.texts) kin_embed_texts(cx, e, d->caption, texts, rows);
        f->seconds = (looked - began) * (double)d->items / (double)images +
                     (kin_now() - looked) * (double)d->captions / (double)texts;
    }
    free(rows);
    free(states);
    free(bad);
    return cx->status;
}

static kin_status run_towers(kin_ctx *cx, kin_features *f, kin_embedder *e, kin_dataset *d)
{
    f->image = kin_alloc(cx, d->items * f->width, sizeof *f->image);
    if (f->row > 0) f->states = kin_alloc(cx, d->items * f->row, sizeof *f->states);
    if (cx->status == KIN_OK) kin_embed_readable(cx, e, d, f->image, f->states);
    if (cx->status != KIN_OK || !f->of.texts) return cx->status;
    f->text = kin_alloc(cx, d->captions * f->width, sizeof *f->text);
    return f->text ? kin_embed_texts(cx, e, d->caption, d->captions, f->text) : cx->status;
}

kin_status kin_features_open(kin_ctx *cx, kin_features *f, kin_embedder *e, kin_dataset *d, int64_t batch,
                             kin_steady of, bool look)
{
    const double began = kin_now();
    *f = (kin_features){.of = of, .width = e->model->cfg.embed_dim, .row = row_of(e->model)};
    f->image_rows = kin_alloc0(cx, batch * f->width, sizeof *f->image_rows);
    if (f->row > 0) f->state_rows = kin_alloc0(cx, batch * f->row, sizeof *f->state_rows);
    if (of.texts) f->text_rows = kin_alloc0(cx, batch * f->width, sizeof *f->text_rows);
    KIN_TRY(cx->status);
    if (look) return time_a_batch(cx, f, e, d);
    KIN_TRY(run_towers(cx, f, e, d));
    f->seconds = kin_now() - began;
    return KIN_OK;
}

void kin_features_close(kin_features *f)
{
    float *const all[] = {f->image, f->states, f->text, f->image_rows, f->state_rows, f->text_rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    *f = (kin_features){0};
}

static void take(float *to, const float *from, int64_t i, int64_t at, int64_t row)
{
    memcpy(to + i * row, from + at * row, (size_t)row * sizeof *to);
}

void kin_features_take(kin_features *f, const kin_dataset *d, const uint32_t *caption, int64_t n)
{
    if (!f->image) return; /* only looked at */
    for (int64_t i = 0; i < n; i++) {
        take(f->image_rows, f->image, i, d->item_of[caption[i]], f->width);
        if (f->row > 0) take(f->state_rows, f->states, i, d->item_of[caption[i]], f->row);
        if (f->text) take(f->text_rows, f->text, i, caption[i], f->width);
    }
}
