#include "train/features.h"

#include <stdlib.h>
#include <string.h>

#include "train/evaluate.h"

bool kin_features_fit(const kin_model *m)
{
    const kin_params *p = m->params;
    if (strcmp(kin_fusions[m->cfg.fusion.kind].name, "late") != 0) return false;
    for (int i = 0; i < p->count; i++) {
        const char *name = p->param[i].name;
        const bool head = strncmp(name, "fusion.", 7) == 0 || strncmp(name, "heads.", 6) == 0;
        if (!p->param[i].frozen && !head && strncmp(name, "logit_", 6) != 0) return false;
    }
    return true;
}

/* Twice: the first time compiles and maps. */
static kin_status time_a_batch(kin_ctx *cx, kin_features *f, kin_embedder *e, const kin_dataset *d)
{
    const int64_t images = kin_min64(e->batch, d->items), texts = kin_min64(e->batch, d->captions);
    float *rows = kin_alloc(cx, e->batch * f->width, sizeof *rows);
    bool *bad = kin_alloc(cx, images, sizeof *bad);
    for (int k = 0; rows && bad && k < 2 && cx->status == KIN_OK; k++) {
        const double began = kin_now();
        kin_embed_pictures(cx, e, d, 0, images, rows, bad);
        const double looked = kin_now();
        if (cx->status == KIN_OK) kin_embed_texts(cx, e, d->caption, texts, rows);
        f->seconds = (looked - began) * (double)d->items / (double)images +
                     (kin_now() - looked) * (double)d->captions / (double)texts;
    }
    free(rows);
    free(bad);
    return cx->status;
}

kin_status kin_features_open(kin_ctx *cx, kin_features *f, kin_embedder *e, kin_dataset *d, int64_t batch,
                             bool look)
{
    const double began = kin_now();
    *f = (kin_features){.width = e->model->cfg.embed_dim};
    f->image_rows = kin_alloc0(cx, batch * f->width, sizeof *f->image_rows);
    f->text_rows = kin_alloc0(cx, batch * f->width, sizeof *f->text_rows);
    if (look) return cx->status == KIN_OK ? time_a_batch(cx, f, e, d) : cx->status;
    if (cx->status == KIN_OK) kin_embed_dataset(cx, e, d, &f->image, &f->text);
    f->seconds = kin_now() - began;
    return cx->status;
}

void kin_features_close(kin_features *f)
{
    free(f->image);
    free(f->text);
    free(f->image_rows);
    free(f->text_rows);
    *f = (kin_features){0};
}

void kin_features_take(kin_features *f, const kin_dataset *d, const uint32_t *caption, int64_t n)
{
    const size_t row = (size_t)f->width;
    if (!f->image) return; /* only looked at */
    for (int64_t i = 0; i < n; i++) {
        memcpy(f->image_rows + (size_t)i * row, f->image + (size_t)d->item_of[caption[i]] * row,
               row * sizeof(float));
        memcpy(f->text_rows + (size_t)i * row, f->text + (size_t)caption[i] * row, row * sizeof(float));
    }
}
