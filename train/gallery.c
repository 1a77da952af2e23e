#include "train/gallery.h"

#include <stdlib.h>
#include <string.h>

bool kin_gallery_fits(const kin_fused_judge *j)
{
    return kin_fusions[j->model.fusion.kind].towers && j->width <= 2;
}

int64_t kin_gallery_bytes(const kin_fused_judge *j, const kin_dataset *d)
{
    const bool rows = kin_has_states(&j->model);
    const int64_t image = rows ? kin_states_of(&j->model) : j->model.embed_dim;
    const int64_t text =
        rows ? j->model.text.context * kin_states_width(&j->model, true) : j->model.embed_dim;
    int64_t images, texts, bytes;
    if (!kin_mul(d->items, image, &images) || !kin_mul(d->captions, text, &texts) ||
        !kin_mul(images + texts, (int64_t)sizeof(float), &bytes))
        return INT64_MAX;
    return bytes;
}

static kin_status look_at_all(kin_ctx *cx, kin_gallery *g)
{
    kin_embedder *e = g->judge->embedder;
    const int64_t items = g->data->items, width = g->judge->model.embed_dim;
    if (!g->rows) return kin_embed_pictures(cx, e, g->data, 0, items, g->image, NULL);
    float *embedding = kin_alloc(cx, e->batch * width, sizeof *embedding); /* not asked for here */
    for (int64_t from = 0; embedding && from < items && cx->status == KIN_OK; from += e->batch)
        kin_embed_picture_states(cx, e, g->data, from, kin_min64(e->batch, items - from), embedding,
                                 g->image + from * g->image_row, NULL);
    free(embedding);
    return cx->status;
}

static kin_status read_all(kin_ctx *cx, kin_gallery *g)
{
    kin_embedder *e = g->judge->embedder;
    const int64_t captions = g->data->captions;
    if (!g->rows) return kin_embed_texts(cx, e, g->data->caption, captions, g->text);
    for (int64_t from = 0; from < captions; from += e->batch) {
        const int64_t n = kin_min64(e->batch, captions - from), first = g->off[from];
        const int64_t tokens = g->off[from + n] - first;
        kin_run run = {0};
        kin_program *prog =
            kin_programs_get(cx, e->programs, KIN_TASK_TEXT_STATES, false, 0, e->batch, tokens);
        if (!prog) return cx->status;
        for (int64_t i = 0; i <= n; i++) g->question_off[i] = (int32_t)(g->off[from + i] - first);
        KIN_TRY(kin_programs_input(cx, e->programs, prog, "ids", g->ids + first,
                                   tokens * (int64_t)sizeof *g->ids));
        KIN_TRY(kin_programs_input(cx, e->programs, prog, "off", g->question_off,
                                   (n + 1) * (int64_t)sizeof *g->question_off));
        kin_run_rows(prog, &run, "texts", n);
        kin_run_rows(prog, &run, "tokens", tokens);
        KIN_TRY(kin_program_bind(cx, prog, "states", g->text + first * g->text_row));
        KIN_TRY(kin_programs_run(cx, e->programs, prog, &run));
    }
    return KIN_OK;
}

static kin_status encode(kin_ctx *cx, kin_gallery *g)
{
    const int64_t context = g->judge->model.text.context, captions = g->data->captions;
    g->ids = kin_alloc(cx, captions * context, sizeof *g->ids);
    g->off = kin_alloc(cx, captions + 1, sizeof *g->off);
    if (cx->status != KIN_OK) return cx->status;
    g->off[0] = 0;
    for (int64_t c = 0; c < captions; c++) {
        const int64_t n = kin_tokenizer_encode(cx, g->judge->embedder->model->tokenizer, g->data->caption[c],
                                               context, g->ids + g->off[c]);
        if (n < 0) return cx->status;
        g->off[c + 1] = g->off[c] + n;
    }
    return KIN_OK;
}

kin_status kin_gallery_open(kin_ctx *cx, kin_gallery *g, kin_fused_judge *j, const kin_dataset *d)
{
    const double began = kin_now();
    const int64_t batch = j->embedder->batch, context = j->model.text.context;
    const bool rows = kin_has_states(&j->model);
    *g = (kin_gallery){.judge = j,
                       .data = d,
                       .rows = rows,
                       .image_row = rows ? kin_states_of(&j->model) : j->model.embed_dim,
                       .text_row = rows ? kin_states_width(&j->model, true) : j->model.embed_dim};
    const kin_backend *b = j->embedder->programs->backend;
    if (!b->host || b->real != KIN_F32)
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: a gallery is kept in the processor's memory, in f32",
                        b->name);
    KIN_TRY(encode(cx, g));
    g->image = kin_alloc(cx, d->items * g->image_row, sizeof *g->image);
    g->text =
        kin_alloc(cx, kin_max64(1, rows ? g->off[d->captions] : d->captions) * g->text_row, sizeof *g->text);
    g->images = kin_alloc(cx, batch * g->image_row, sizeof *g->images);
    g->texts = kin_alloc(cx, batch * (rows ? context : 1) * g->text_row, sizeof *g->texts);
    g->question_ids = kin_alloc(cx, batch * context, sizeof *g->question_ids);
    g->question_off = kin_alloc(cx, batch + 1, sizeof *g->question_off);
    g->which = kin_alloc(cx, 2 * batch, sizeof *g->which);
    if (cx->status == KIN_OK && look_at_all(cx, g) == KIN_OK) read_all(cx, g);
    g->seconds = kin_now() - began;
    return cx->status;
}

void kin_gallery_close(kin_gallery *g)
{
    free(g->image);
    free(g->text);
    free(g->ids);
    free(g->off);
    free(g->images);
    free(g->texts);
    free(g->question_ids);
    free(g->question_off);
    free(g->which);
    *g = (kin_gallery){0};
}

static void add_picture(kin_gallery *g, int64_t item, kin_pairs *p)
{
    const size_t row = (size_t)g->image_row;
    memcpy(g->images + (size_t)p->n++ * row, g->image + (size_t)item * row, row * sizeof *g->images);
}

static void add_text(kin_gallery *g, int64_t caption, kin_pairs *p)
{
    const size_t from = (size_t)g->off[caption], n = (size_t)(g->off[caption + 1] - g->off[caption]);
    const size_t at = (size_t)g->question_off[p->texts], row = (size_t)g->text_row;
    const size_t to_row = g->rows ? at : (size_t)p->texts, from_row = g->rows ? from : (size_t)caption;
    memcpy(g->question_ids + at, g->ids + from, n * sizeof *g->ids);
    memcpy(g->texts + to_row * row, g->text + from_row * row, (g->rows ? n : 1) * row * sizeof *g->texts);
    g->question_off[++p->texts] = (int32_t)(at + n);
}

/* n pairs, at most a batch: neighbours that share a picture or a text share its rows. */
static kin_status ask(kin_ctx *cx, kin_gallery *g, const int64_t *image, const int64_t *text, int64_t n,
                      float *out)
{
    const int64_t batch = g->judge->embedder->batch;
    int32_t *images = g->which, *texts = g->which + batch;
    kin_pairs p = {.ids = g->question_ids, .off = g->question_off};
    *(g->rows ? &p.image_states : &p.image_features) = g->images;
    *(g->rows ? &p.text_states : &p.text_features) = g->texts;
    g->question_off[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || image[i] != image[i - 1]) add_picture(g, image[i], &p);
        if (i == 0 || text[i] != text[i - 1]) add_text(g, text[i], &p);
        images[i] = (int32_t)p.n - 1;
        texts[i] = (int32_t)p.texts - 1;
    }
    return kin_fused_judge_run(cx, g->judge, &p, images, texts, n, out);
}

kin_status kin_gallery_ask(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text, int64_t n,
                           float *out)
{
    kin_gallery *g = self;
    const int64_t batch = g->judge->embedder->batch, width = g->judge->width;
    float *logits = kin_alloc(cx, batch * width, sizeof *logits);
    for (int64_t from = 0; logits && from < n && cx->status == KIN_OK; from += batch) {
        const int64_t now = kin_min64(batch, n - from);
        if (ask(cx, g, image + from, text + from, now, logits) != KIN_OK) break;
        for (int64_t i = 0; i < now; i++)
            out[from + i] = width == 2 ? logits[2 * i + 1] - logits[2 * i] : logits[i];
    }
    free(logits);
    return cx->status;
}
