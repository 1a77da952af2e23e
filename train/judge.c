#include "train/judge.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

static kin_status ask_dual(kin_ctx *cx, void *self, const kin_judged *p, float *out)
{
    kin_embedder *e = self;
    const int64_t width = e->model->cfg.embed_dim;
    float *image = kin_alloc(cx, p->n * width, sizeof *image),
          *text = kin_alloc(cx, p->n * width, sizeof *text);
    if (image && text && kin_embed_images(cx, e, p->images, p->n, image) == KIN_OK &&
        kin_embed_texts(cx, e, p->text, p->n, text) == KIN_OK) {
        for (int64_t i = 0; i < p->n; i++) {
            double sum = 0;
            for (int64_t k = 0; k < width; k++)
                sum += (double)image[i * width + k] * (double)text[i * width + k];
            out[i] = (float)sum;
        }
    }
    free(image);
    free(text);
    return cx->status;
}

kin_judge kin_judge_dual(kin_embedder *e)
{
    return (kin_judge){.self = e, .embedder = e, .width = 1, .ask = ask_dual};
}

static uint64_t key_of(const kin_corruption *c, int64_t which)
{
    return kin_key(c->seed, 0x6e6f697365ull + (uint64_t)c->kind, (uint64_t)which); /* "noise" */
}

kin_status kin_corrupted_pictures(kin_ctx *cx, const kin_embedder *e, const kin_dataset *d,
                                  const kin_corruption *c, const int64_t *item, int64_t n, uint8_t *pixels,
                                  bool *absent)
{
    const kin_preprocess *p = &e->model->preprocess;
    const int64_t bytes = kin_preprocess_bytes(p);
    uint8_t mean[3];
    KIN_TRY(kin_read_pictures(cx, e, d, item, n, pixels));
    for (int k = 0; k < 3; k++) mean[k] = (uint8_t)(p->mean[k] * 255.0f + 0.5f);
    if (absent) memset(absent, 0, (size_t)n * sizeof *absent);
    if (!c || !kin_noise_of_image(c->kind)) return KIN_OK;
    bool failed = false;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i++) {
        kin_ctx mine = {0};
        kin_image image = {pixels + i * bytes, p->width, p->height};
        const uint64_t key = key_of(c, item[i]);
        if (absent) absent[i] = kin_noise_absent(c->kind, c->strength, key);
        if (kin_corrupt_image(&mine, c->kind, c->strength, key, mean, &image) == KIN_OK) continue;
#pragma omp critical(kin_corrupted_pictures)
        if (!failed) kin_fail(cx, mine.status, "%s", mine.message);
        failed = true;
    }
    return cx->status;
}

/* Which of items from .. from + n - 1 cannot be read; the first one's message into *first. */
static kin_status find_bad(kin_ctx *cx, const kin_embedder *e, const kin_dataset *d, const int64_t *item,
                           int64_t from, int64_t n, uint8_t *pixels, bool *bad, kin_ctx *first)
{
    kin_ctx mine = {0};
    if (kin_read_pictures(&mine, e, d, item + from, n, pixels) == KIN_OK) return KIN_OK;
    for (int64_t i = from; i < from + n; i++) {
        kin_clear(&mine);
        bad[i] = kin_read_pictures(&mine, e, d, item + i, 1, pixels) != KIN_OK;
        if (mine.status == KIN_NOMEM) return kin_fail(cx, KIN_NOMEM, "%s", mine.message);
        if (bad[i] && first->status == KIN_OK) *first = mine;
    }
    return KIN_OK;
}

kin_status kin_leave_readable(kin_ctx *cx, const kin_embedder *e, kin_dataset *d)
{
    const int64_t batch = e->batch, items = d->items;
    uint8_t *pixels = kin_alloc(cx, batch * kin_preprocess_bytes(&e->model->preprocess), 1);
    int64_t *item = kin_alloc(cx, items, sizeof *item), count = 0;
    bool *bad = kin_alloc0(cx, items, sizeof *bad);
    kin_ctx first = {0};
    for (int64_t i = 0; cx->status == KIN_OK && i < items; i++) item[i] = i;
    for (int64_t from = 0; cx->status == KIN_OK && from < items; from += batch)
        find_bad(cx, e, d, item, from, kin_min64(batch, items - from), pixels, bad, &first);
    for (int64_t i = 0; cx->status == KIN_OK && i < items; i++) count += bad[i];
    if (count == items && cx->status == KIN_OK)
        kin_fail(cx, KIN_FORMAT, "not one of %lld pictures can be read: %s", (long long)items, first.message);
    if (count > 0 && cx->status == KIN_OK) {
        kin_log(cx, KIN_WARN, "%lld of %lld pictures cannot be read and are left out with their texts: %s",
                (long long)count, (long long)items, first.message);
        kin_dataset_drop(cx, d, bad);
    }
    free(pixels);
    free(item);
    free(bad);
    return cx->status;
}

static kin_status corrupt_text(kin_ctx *cx, const kin_dataset *d, const kin_corruption *c, int64_t caption,
                               char **text, bool *absent)
{
    const bool worse = c && !kin_noise_of_image(c->kind);
    const uint64_t key = worse ? key_of(c, caption) : 0;
    *absent = worse && kin_noise_absent(c->kind, c->strength, key);
    *text = worse ? kin_corrupt_text(cx, c->kind, c->strength, key, d->caption[caption])
                  : kin_strdup(cx, d->caption[caption]);
    return cx->status;
}

static void free_texts(char **text, int64_t n)
{
    for (int64_t i = 0; i < n; i++) free(text[i]);
}

kin_status kin_corrupted_texts(kin_ctx *cx, const kin_dataset *d, const kin_corruption *c, int64_t from,
                               int64_t n, char **text, bool *absent)
{
    for (int64_t i = 0; i < n; i++) {
        bool gone;
        if (corrupt_text(cx, d, c, from + i, &text[i], &gone) != KIN_OK) {
            free_texts(text, i);
            return cx->status;
        }
        if (absent) absent[i] = gone;
    }
    return KIN_OK;
}

/* Room for the pairs of one question. */
typedef struct question {
    uint8_t *pixels;
    char **text;
    int64_t *item, *of; /* the pictures that are looked at, and which of them each pair has */
    bool *no_image, *no_text;
} question;

/* Pairs of one picture come one after the other: it is read once for all of them. From `seen` pictures to
 * those of n pairs, in place: from behind, as no pair has a later picture than its own number. */
static void spread(const question *q, int64_t n, int64_t bytes)
{
    for (int64_t k = n; k-- > 0;) {
        if (q->of[k] == k) continue;
        memcpy(q->pixels + k * bytes, q->pixels + q->of[k] * bytes, (size_t)bytes);
        q->no_image[k] = q->no_image[q->of[k]];
    }
}

static kin_status look(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, const kin_corruption *c,
                       int64_t n, int64_t seen, question *q)
{
    KIN_TRY(kin_corrupted_pictures(cx, j->embedder, d, c, q->item, seen, q->pixels, q->no_image));
    spread(q, n, kin_preprocess_bytes(&j->embedder->model->preprocess));
    return KIN_OK;
}

static kin_status ask(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, const int64_t *caption,
                      const int64_t *item, int64_t from, int64_t n, const kin_corruption *c, question *q,
                      float *out)
{
    int64_t made = 0, seen = 0;
    for (; made < n; made++) {
        const int64_t of = caption ? caption[from + made] : from + made;
        const int64_t picture = item ? item[from + made] : d->item_of[of];
        if (seen == 0 || q->item[seen - 1] != picture) q->item[seen++] = picture;
        q->of[made] = seen - 1;
        if (corrupt_text(cx, d, c, of, &q->text[made], &q->no_text[made]) != KIN_OK) break;
    }
    const kin_judged pairs = {.n = n,
                              .images = q->pixels,
                              .text = (const char *const *)q->text,
                              .no_image = q->no_image,
                              .no_text = q->no_text};
    if (cx->status == KIN_OK && look(cx, j, d, c, n, seen, q) == KIN_OK) j->ask(cx, j->self, &pairs, out);
    free_texts(q->text, made);
    return cx->status;
}

kin_status kin_judge_pairs(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, const int64_t *caption,
                           const int64_t *item, int64_t n, const kin_corruption *c, float *out)
{
    const int64_t batch = j->embedder->batch;
    question q = {.pixels = kin_alloc(cx, batch * kin_preprocess_bytes(&j->embedder->model->preprocess), 1),
                  .text = kin_alloc0(cx, batch, sizeof *q.text),
                  .item = kin_alloc(cx, batch, sizeof *q.item),
                  .of = kin_alloc(cx, batch, sizeof *q.of),
                  .no_image = kin_alloc0(cx, batch, sizeof *q.no_image),
                  .no_text = kin_alloc0(cx, batch, sizeof *q.no_text)};
    for (int64_t from = 0; cx->status == KIN_OK && from < n; from += batch)
        ask(cx, j, d, caption, item, from, kin_min64(batch, n - from), c, &q, out + from * j->width);
    free(q.pixels);
    free(q.text);
    free(q.item);
    free(q.of);
    free(q.no_image);
    free(q.no_text);
    return cx->status;
}
