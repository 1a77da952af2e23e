#include "train/embed.h"

#include <stdlib.h>
#include <string.h>

kin_status kin_embedder_open(kin_ctx *cx, kin_embedder *e, const kin_model *model, kin_programs *programs,
                             int64_t batch)
{
    const kin_model_cfg *m = &model->cfg;
    kin_backend *b = programs->backend;
    *e = (kin_embedder){.model = model, .programs = programs, .batch = batch};
    e->io_bytes = batch * m->embed_dim * (int64_t)kin_dtype_size(b->real);
    e->pixels = kin_alloc(cx, batch * kin_image_bytes(&m->vision), 1);
    e->ids = kin_alloc(cx, batch * m->text.context, sizeof *e->ids);
    e->off = kin_alloc(cx, batch + 1, sizeof *e->off);
    e->io = b->alloc(b, e->io_bytes);
    if (!e->io) kin_fail(cx, KIN_NOMEM, "out of memory: %lld bytes for embeddings", (long long)e->io_bytes);
    return cx->status;
}

void kin_embedder_close(kin_embedder *e)
{
    if (e->io) e->programs->backend->release(e->programs->backend, e->io, e->io_bytes);
    if (e->states) e->programs->backend->release(e->programs->backend, e->states, e->states_bytes);
    free(e->pixels);
    free(e->ids);
    free(e->off);
    *e = (kin_embedder){0};
}

/* Runs a bound program over n rows and brings its result home. */
static kin_status finish(kin_ctx *cx, kin_embedder *e, kin_program *p, const kin_run *run, int64_t n,
                         float *out)
{
    KIN_TRY(kin_program_bind(cx, p, "embedding", e->io));
    KIN_TRY(kin_programs_run(cx, e->programs, p, run));
    return kin_download_floats(cx, e->programs->backend, e->io, n * e->model->cfg.embed_dim, out);
}

/* A batch of texts as ids; NULL or the program for so many. */
static kin_program *text_program(kin_ctx *cx, kin_embedder *e, const char *const *text, int64_t n)
{
    const int64_t context = e->model->cfg.text.context;
    e->off[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t length =
            kin_tokenizer_encode(cx, e->model->tokenizer, text[i], context, e->ids + e->off[i]);
        if (length < 0) return NULL;
        e->off[i + 1] = e->off[i] + (int32_t)length;
    }
    return kin_programs_get(cx, e->programs, KIN_TASK_TEXTS, false, 0, e->batch, e->off[n]);
}

static kin_program *image_program(kin_ctx *cx, kin_embedder *e, bool states)
{
    return kin_programs_get(cx, e->programs, states ? KIN_TASK_IMAGE_STATES : KIN_TASK_IMAGES, false,
                            e->batch, 0, 0);
}

int64_t kin_states_of(const kin_model_cfg *m)
{
    return kin_vision_tokens(&m->vision) * kin_states_width(m, false);
}

static kin_status room_for_states(kin_ctx *cx, kin_embedder *e)
{
    kin_backend *b = e->programs->backend;
    if (e->states) return KIN_OK;
    e->states_bytes = e->batch * kin_states_of(&e->model->cfg) * (int64_t)kin_dtype_size(b->real);
    e->states = b->alloc(b, e->states_bytes);
    return e->states ? KIN_OK
                     : kin_fail(cx, KIN_NOMEM, "out of memory: %lld bytes for rows of pictures",
                                (long long)e->states_bytes);
}

kin_status kin_embedder_prepare(kin_ctx *cx, kin_embedder *e, const char *const *text, int64_t n)
{
    image_program(cx, e, false);
    for (int64_t i = 0; i < n && cx->status == KIN_OK; i += e->batch)
        text_program(cx, e, text + i, kin_min64(e->batch, n - i));
    return cx->status;
}

static kin_status run_images(kin_ctx *cx, kin_embedder *e, const uint8_t *images, int64_t n, float *out,
                             float *states)
{
    kin_run run = {0};
    kin_program *p = image_program(cx, e, states != NULL);
    if (!p) return cx->status;
    KIN_TRY(
        kin_programs_input(cx, e->programs, p, "images", images, n * kin_image_bytes(&e->model->cfg.vision)));
    kin_run_rows(p, &run, "images", n);
    if (!states) return finish(cx, e, p, &run, n, out);
    KIN_TRY(room_for_states(cx, e));
    KIN_TRY(kin_program_bind(cx, p, "states", e->states));
    KIN_TRY(finish(cx, e, p, &run, n, out));
    return kin_download_floats(cx, e->programs->backend, e->states, n * kin_states_of(&e->model->cfg),
                               states);
}

kin_status kin_embed_images(kin_ctx *cx, kin_embedder *e, const uint8_t *images, int64_t n, float *out)
{
    const int64_t bytes = kin_image_bytes(&e->model->cfg.vision);
    for (int64_t i = 0; i < n; i += e->batch) {
        const int64_t now = kin_min64(e->batch, n - i);
        memcpy(e->pixels, images + i * bytes, (size_t)(now * bytes));
        KIN_TRY(run_images(cx, e, e->pixels, now, out + i * e->model->cfg.embed_dim, NULL));
    }
    return KIN_OK;
}

static kin_status run_texts(kin_ctx *cx, kin_embedder *e, const char *const *text, int64_t n, float *out)
{
    kin_run run = {0};
    kin_program *p = text_program(cx, e, text, n);
    if (!p) return cx->status;
    KIN_TRY(kin_programs_input(cx, e->programs, p, "ids", e->ids, e->off[n] * (int64_t)sizeof *e->ids));
    KIN_TRY(kin_programs_input(cx, e->programs, p, "off", e->off, (n + 1) * (int64_t)sizeof *e->off));
    kin_run_rows(p, &run, "texts", n);
    kin_run_rows(p, &run, "tokens", e->off[n]);
    return finish(cx, e, p, &run, n, out);
}

kin_status kin_embed_texts(kin_ctx *cx, kin_embedder *e, const char *const *text, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i += e->batch)
        KIN_TRY(run_texts(cx, e, text + i, kin_min64(e->batch, n - i), out + i * e->model->cfg.embed_dim));
    return KIN_OK;
}

/* kind: what the picture is, when its name says something else; else NULL. */
static kin_status read_picture(kin_ctx *cx, const kin_embedder *e, const kin_dataset *d, int64_t item,
                               uint8_t *pixels, const char **kind)
{
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    kin_image image = {0};
    *kind = NULL;
    KIN_TRY(kin_dataset_bytes(cx, d, item, &bytes, &size, &own));
    *kind = kin_image_misnamed(d->item[item].name, bytes, size);
    kin_status rc = kin_image_decode(cx, d->item[item].name, bytes, size, KIN_MAX_IMAGE_PIXELS, &image);
    const int orientation = e->upright ? kin_image_orientation(bytes, size) : 1;
    free(own);
    if (rc == KIN_OK) rc = kin_image_upright(cx, &image, orientation);
    if (rc == KIN_OK) rc = kin_preprocess_image(cx, &e->model->preprocess, &image, pixels);
    kin_image_free(&image);
    return rc;
}

/* The first picture of some whose name says another kind than its content. */
typedef struct misnamed {
    int64_t item; /* -1: none */
    const char *kind;
} misnamed;

/* Decodes item[i], or from + i, i < n; the errors of threads become the caller's in the order of the
 * pictures. */
static kin_status read_some(kin_ctx *cx, const kin_embedder *e, const kin_dataset *d, const int64_t *item,
                            int64_t from, int64_t n, uint8_t *pixels, bool *bad, misnamed *m)
{
    const int64_t bytes = kin_image_bytes(&e->model->cfg.vision);
    int64_t worst = n, named = n;
    kin_ctx first = {0};
    *m = (misnamed){.item = -1};
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i++) {
        kin_ctx mine = {0};
        const char *kind;
        const int64_t which = item ? item[i] : from + i;
        const bool failed = read_picture(&mine, e, d, which, pixels + i * bytes, &kind) != KIN_OK;
        if (kind && !failed) {
#pragma omp critical(kin_read_pictures)
            if (i < named) {
                named = i;
                *m = (misnamed){which, kind};
            }
        }
        if (failed) memset(pixels + i * bytes, 0, (size_t)bytes);
        if (bad) bad[i] = failed;
        if (!failed || (bad && mine.status != KIN_NOMEM)) continue;
#pragma omp critical(kin_read_pictures)
        if (i < worst) {
            worst = i;
            first = mine;
        }
    }
    return first.status == KIN_OK ? KIN_OK : kin_fail(cx, first.status, "%s", first.message);
}

kin_status kin_read_pictures(kin_ctx *cx, const kin_embedder *e, const kin_dataset *d, const int64_t *item,
                             int64_t n, uint8_t *pixels)
{
    misnamed m;
    return read_some(cx, e, d, item, 0, n, pixels, NULL, &m);
}

static kin_status read_pictures(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, int64_t from, int64_t n,
                                bool *bad)
{
    misnamed m;
    const kin_status rc = read_some(cx, e, d, NULL, from, n, e->pixels, bad, &m);
    if (m.item >= 0 && e->told != d) {
        e->told = d;
        kin_image_tell_misnamed(cx, d->item[m.item].name, m.kind);
    }
    return rc;
}

kin_status kin_embed_picture_states(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, int64_t from,
                                    int64_t n, float *out, float *states, bool *bad)
{
    const int64_t width = e->model->cfg.embed_dim, all = states ? kin_states_of(&e->model->cfg) : 0;
    for (int64_t i = 0; i < n; i += e->batch) {
        const int64_t now = kin_min64(e->batch, n - i);
        KIN_TRY(read_pictures(cx, e, d, from + i, now, bad ? bad + i : NULL));
        KIN_TRY(run_images(cx, e, e->pixels, now, out + i * width, states ? states + i * all : NULL));
        for (int64_t k = 0; bad && k < now; k++)
            if (bad[i + k]) memset(out + (i + k) * width, 0, (size_t)width * sizeof *out);
    }
    return KIN_OK;
}

kin_status kin_embed_pictures(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, int64_t from, int64_t n,
                              float *out, bool *bad)
{
    return kin_embed_picture_states(cx, e, d, from, n, out, NULL, bad);
}

/* What a broken picture's error is; it is read once more for that. */
static kin_ctx why_broken(kin_embedder *e, const kin_dataset *d, int64_t item)
{
    kin_ctx mine = {0};
    const char *kind;
    read_picture(&mine, e, d, item, e->pixels, &kind);
    return mine;
}

kin_status kin_embed_readable(kin_ctx *cx, kin_embedder *e, kin_dataset *d, float *out, float *states)
{
    const size_t row = (size_t)e->model->cfg.embed_dim,
                 all = states ? (size_t)kin_states_of(&e->model->cfg) : 0;
    bool *bad = kin_alloc0(cx, d->items, sizeof *bad);
    int64_t first = -1, kept = 0;
    if (bad) kin_embed_picture_states(cx, e, d, 0, d->items, out, states, bad);
    for (int64_t i = 0; cx->status == KIN_OK && i < d->items; i++) {
        if (bad[i] && first < 0) first = i;
        if (bad[i] || kept++ == i) continue;
        memcpy(out + (size_t)(kept - 1) * row, out + (size_t)i * row, row * sizeof *out);
        if (states) memcpy(states + (size_t)(kept - 1) * all, states + (size_t)i * all, all * sizeof *states);
    }
    const kin_ctx why = first >= 0 && cx->status == KIN_OK ? why_broken(e, d, first) : (kin_ctx){0};
    if (cx->status == KIN_OK && kept == 0)
        kin_fail(cx, KIN_FORMAT, "not one of %lld pictures can be read; the first: %.600s",
                 (long long)d->items, why.message);
    if (cx->status == KIN_OK && first >= 0) {
        kin_log(cx, KIN_WARN,
                "%lld of %lld pictures cannot be read and are left out with their captions: %.600s",
                (long long)(d->items - kept), (long long)d->items, why.message);
        kin_dataset_drop(cx, d, bad);
    }
    free(bad);
    return cx->status;
}
