#include "data/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "data/sampler.h"

enum {
    TRIES = 16, /* other pictures read in the place of one that cannot be */
    WALK = 4096 /* pairs looked at for that */
};

/* One batch on its way. Row r is pair[r]; its texts are r, more_at(r) + k and negatives_at(r) + j. */
typedef struct slot {
    int64_t number;
    double epochs;
    uint32_t *pair;
    uint8_t *images;            /* [batch, S, S, 3] */
    kin_augmentation *drawn;    /* [batch] */
    int32_t *ids;               /* [texts_of, context] */
    int32_t *lengths;           /* [texts_of] 0: none */
    bool *bad;                  /* [batch] */
    int64_t taken, made, holes; /* rows; those that could not be read */
    bool done;                  /* all made, holes filled as far as can be */
    /* The sampler's state behind this batch. */
    int64_t epoch, position, waits, room;
    uint32_t *waiting;
} slot;

/* Texts of a batch laid end to end. */
typedef struct packed {
    int32_t *ids, *off;
    uint32_t *pair;    /* [batch] */
    int32_t *image_of; /* [batch * negatives] */
} packed;

struct kin_loader {
    kin_loader_cfg cfg;
    kin_sampler sampler;
    slot *slots;
    int64_t ring;    /* slots */
    int64_t drawn;   /* batches begun since opening */
    int64_t given;   /* batches given out */
    int64_t threads; /* running */
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t work, ready; /* for the threads; for the caller */
    bool stop;
    const char *misnamed, *kind; /* a picture's name and what it is */
    bool told_misnamed;
    kin_ctx trouble;     /* first error of a thread that is not a bad picture */
    kin_ctx first_bad;   /* the newest bad picture's message */
    int64_t skipped;     /* so far, by the threads */
    int64_t known, told; /* when the caller last looked; when it last was told */
    json_t *start;       /* the state before the first batch */
    double waited;
    packed given_out[2]; /* of the batch given out and of the one that was looked at, by turns */
    bool peeked;         /* the next one is packed already, as `next` */
    kin_batch next;
};

static int64_t row_bytes(const kin_loader *l)
{
    return l->cfg.blind ? 1 : kin_preprocess_bytes(&l->cfg.preprocess);
}

/* Captions of a picture beyond the pair's own. */
static int64_t more(const kin_loader *l)
{
    return l->cfg.captions > 1 ? l->cfg.captions - 1 : 0;
}

static int64_t texts_of(const kin_loader *l)
{
    return l->cfg.batch * (1 + more(l) + l->cfg.negatives);
}

static int64_t more_at(const kin_loader *l, int64_t row)
{
    return l->cfg.batch + row * more(l);
}

static int64_t negatives_at(const kin_loader *l, int64_t row)
{
    return more_at(l, l->cfg.batch) + row * l->cfg.negatives;
}

/* Chooses the next batch into a free slot; the lock is held. */
static kin_status draw(kin_ctx *cx, kin_loader *l, slot *s)
{
    const kin_sampler *p = &l->sampler;
    KIN_TRY(kin_sampler_draw(cx, &l->sampler, l->cfg.batch, s->pair));
    s->number = p->batches - 1;
    s->epochs = (double)p->epoch + (double)p->position / (double)p->pairs;
    s->epoch = p->epoch;
    s->position = p->position;
    if (p->waits > s->room) {
        uint32_t *grown = kin_regrow(cx, s->waiting, p->waits, sizeof *grown);
        if (!grown) return cx->status;
        s->waiting = grown;
        s->room = p->waits;
    }
    s->waits = p->waits;
    if (p->waits) memcpy(s->waiting, p->waiting, (size_t)p->waits * sizeof *s->waiting);
    s->taken = s->made = s->holes = 0;
    s->done = false;
    return KIN_OK;
}

static kin_status encode(kin_ctx *cx, const kin_loader *l, slot *s, int64_t text, const char *words)
{
    const int64_t n =
        kin_tokenizer_encode(cx, l->cfg.tokenizer, words, l->cfg.context, s->ids + text * l->cfg.context);
    if (n < 0) return cx->status;
    s->lengths[text] = (int32_t)n;
    return KIN_OK;
}

/* Other captions of the picture, each as often as any other, from a drawn one on. */
static kin_status encode_more(kin_ctx *cx, const kin_loader *l, slot *s, int64_t row, uint64_t key)
{
    const kin_dataset *d = l->cfg.data;
    const kin_item *item = &d->item[d->item_of[s->pair[row]]];
    const int64_t own = s->pair[row] - item->caption, others = kin_max64(1, item->captions - 1);
    kin_rng r = kin_rng_new(kin_key(key, 2, 0));
    const int64_t from = kin_rng_below(&r, (uint32_t)others);
    for (int64_t k = 0; k < more(l); k++) {
        const int64_t step = item->captions > 1 ? 1 + (from + k) % others : 0;
        const int64_t caption = item->caption + (own + step) % item->captions;
        KIN_TRY(encode(cx, l, s, more_at(l, row) + k, d->caption[caption]));
    }
    return KIN_OK;
}

/* The false twins of this very caption, from a drawn one on. A false sentence of another form than the true
 * one would be told apart by its form. */
static kin_status encode_negatives(kin_ctx *cx, const kin_loader *l, slot *s, int64_t row, uint64_t key)
{
    const kin_dataset *d = l->cfg.data;
    const kin_item *item = &d->item[d->item_of[s->pair[row]]];
    const char *caption = d->caption[s->pair[row]];
    const int64_t first = negatives_at(l, row);
    int64_t have = 0;
    kin_rng r = kin_rng_new(kin_key(key, 1, 0));
    const int64_t from = item->swaps ? kin_rng_below(&r, (uint32_t)item->swaps) : 0;
    for (int64_t k = 0; k < item->swaps && have < l->cfg.negatives; k++) {
        const kin_swap *swap = &d->swap[item->swap + (from + k) % item->swaps];
        if (strcmp(swap->caption, caption) == 0) KIN_TRY(encode(cx, l, s, first + have++, swap->swapped));
    }
    for (; have < l->cfg.negatives; have++) s->lengths[first + have] = 0;
    return KIN_OK;
}

/* The first picture whose name says another kind than its content, for the caller to be told. */
static void note_misnamed(kin_loader *l, const char *name, const char *kind)
{
    pthread_mutex_lock(&l->lock);
    if (!l->misnamed) {
        l->misnamed = name;
        l->kind = kind;
    }
    pthread_mutex_unlock(&l->lock);
}

static kin_status make_picture(kin_ctx *cx, kin_loader *l, slot *s, int64_t row, uint64_t key)
{
    const kin_dataset *d = l->cfg.data;
    const kin_preprocess *p = &l->cfg.preprocess;
    const kin_augment *a = &l->cfg.augment;
    const int64_t item = d->item_of[s->pair[row]];
    kin_augmentation *drawn = &s->drawn[row];
    uint8_t *to = s->images + row * row_bytes(l), *own;
    const uint8_t *bytes;
    int64_t size, width, height;
    int shrink = 1;
    kin_image image = {0};
    if (l->cfg.cache && kin_cache_get(l->cfg.cache, item, &image, &width, &height))
        return kin_augment_image(cx, p, a, kin_key(key, 0, 0), &image, width, height, to, drawn);
    KIN_TRY(kin_dataset_bytes(cx, d, item, &bytes, &size, &own));
    const char *kind = kin_image_misnamed(d->item[item].name, bytes, size);
    if (kind) note_misnamed(l, d->item[item].name, kind);
    if (l->cfg.scaled && kin_image_measure(bytes, size, &width, &height))
        shrink = kin_augment_shrink(p, a, kin_key(key, 0, 0), width, height);
    kin_status rc =
        kin_image_decode_small(cx, d->item[item].name, bytes, size, KIN_MAX_IMAGE_PIXELS, shrink, &image);
    free(own);
    if (shrink == 1) {
        width = image.width;
        height = image.height;
    }
    if (rc == KIN_OK) rc = kin_augment_image(cx, p, a, kin_key(key, 0, 0), &image, width, height, to, drawn);
    kin_image_free(&image);
    return rc;
}

/* The crop, and what else was drawn, done here or left to do. */
static kin_status make_pixels(kin_ctx *cx, kin_loader *l, slot *s, int64_t row, uint64_t key)
{
    const kin_augmenter *by = l->cfg.augmenter;
    if (l->cfg.blind) return KIN_OK;
    KIN_TRY(make_picture(cx, l, s, row, key));
    if (by && kin_augment_changes(&l->cfg.augment))
        by->change(by->self, s->images + row * row_bytes(l), l->cfg.preprocess.height,
                   l->cfg.preprocess.width, &s->drawn[row]);
    return KIN_OK;
}

static kin_status make_texts(kin_ctx *cx, const kin_loader *l, slot *s, int64_t row, uint64_t key)
{
    KIN_TRY(encode(cx, l, s, row, l->cfg.data->caption[s->pair[row]]));
    if (more(l) > 0) KIN_TRY(encode_more(cx, l, s, row, key));
    return encode_negatives(cx, l, s, row, key);
}

static uint64_t row_key(const kin_loader *l, const slot *s, int64_t row)
{
    return kin_key(kin_key(l->cfg.seed, 0x726f77, (uint64_t)s->number), (uint64_t)row, 0);
}

static void make_row(kin_ctx *cx, kin_loader *l, slot *s, int64_t row)
{
    const uint64_t key = row_key(l, s, row);
    kin_clear(cx);
    s->bad[row] = make_pixels(cx, l, s, row, key) != KIN_OK;
    if (!s->bad[row]) make_texts(cx, l, s, row, key);
}

static bool data_error(kin_status s)
{
    return s == KIN_FORMAT || s == KIN_UNSUPPORTED || s == KIN_IO;
}

/* Is this item in the batch, in any row and among those tried instead? */
static bool in_batch(const kin_loader *l, const slot *s, int64_t item, const int64_t *tried, int64_t tries)
{
    for (int64_t r = 0; r < l->cfg.batch; r++)
        if (l->cfg.data->item_of[s->pair[r]] == item) return true;
    for (int64_t i = 0; i < tries; i++)
        if (tried[i] == item) return true;
    return false;
}

/* Puts other pairs in the place of those whose pictures cannot be read, so that the batch keeps its size:
 * drawn by (seed, batch, row), walking on from there past pictures that the batch has. What finds nothing
 * stays out (small data). Done by one thread when all rows are through: the same at any number of threads. */
static void replace_bad(kin_ctx *cx, kin_loader *l, slot *s)
{
    const kin_dataset *d = l->cfg.data;
    for (int64_t row = 0; row < l->cfg.batch; row++) {
        int64_t tried[TRIES] = {0}, tries = 0;
        if (!s->bad[row]) continue;
        kin_rng r =
            kin_rng_new(kin_key(kin_key(l->cfg.seed, 0x7370617265, (uint64_t)s->number), (uint64_t)row, 0));
        const int64_t from = kin_rng_below(&r, (uint32_t)d->captions);
        const uint32_t own = s->pair[row];
        for (int64_t k = 0; k < kin_min64(d->captions, WALK) && tries < TRIES && s->bad[row]; k++) {
            const int64_t pair = (from + k) % d->captions;
            if (in_batch(l, s, d->item_of[pair], tried, tries)) continue;
            tried[tries++] = d->item_of[pair];
            s->pair[row] = (uint32_t)pair;
            make_row(cx, l, s, row);
            if (cx->status != KIN_OK && !data_error(cx->status)) return;
            if (s->bad[row]) s->pair[row] = own;
        }
        kin_clear(cx);
    }
}

/* The slot and row that a thread should make next; NULL when there is none. The lock is held. */
static slot *next_row(kin_ctx *cx, kin_loader *l, int64_t *row)
{
    slot *s = l->drawn > 0 ? &l->slots[(l->drawn - 1) % l->ring] : NULL;
    if (!s || s->taken == l->cfg.batch) {
        /* The batch that the caller holds keeps its slot. */
        const int64_t held = l->given > 0 ? 1 : 0;
        if (l->drawn - l->given + held >= l->ring) return NULL;
        s = &l->slots[l->drawn % l->ring];
        if (draw(cx, l, s) != KIN_OK) return NULL;
        l->drawn++;
    }
    *row = s->taken++;
    return s;
}

static void *work(void *arg)
{
    kin_loader *l = arg;
    kin_ctx cx = {0};
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        int64_t row = 0;
        slot *s = next_row(&cx, l, &row);
        if (!s && cx.status == KIN_OK) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        if (s) {
            pthread_mutex_unlock(&l->lock);
            make_row(&cx, l, s, row);
            pthread_mutex_lock(&l->lock);
            s->made++;
            if (s->bad[row]) {
                l->skipped++;
                s->holes++;
                l->first_bad = cx;
            }
            if (data_error(cx.status)) kin_clear(&cx);
            if (s->made == l->cfg.batch && s->holes > 0) {
                pthread_mutex_unlock(&l->lock);
                replace_bad(&cx, l, s);
                pthread_mutex_lock(&l->lock);
            }
            s->done = s->made == l->cfg.batch;
            if (s->done) pthread_cond_signal(&l->ready);
        }
        if (cx.status != KIN_OK) {
            if (l->trouble.status == KIN_OK) l->trouble = cx;
            l->stop = true;
            pthread_cond_signal(&l->ready);
        }
        kin_clear(&cx);
    }
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void free_slot(slot *s)
{
    free(s->pair);
    free(s->images);
    free(s->drawn);
    free(s->ids);
    free(s->lengths);
    free(s->bad);
    free(s->waiting);
}

static kin_status make_slot(kin_ctx *cx, const kin_loader *l, slot *s)
{
    const int64_t texts = texts_of(l);
    s->pair = kin_alloc(cx, l->cfg.batch, sizeof *s->pair);
    s->ids = kin_alloc(cx, texts * l->cfg.context, sizeof *s->ids);
    s->lengths = kin_alloc(cx, texts, sizeof *s->lengths);
    s->bad = kin_alloc(cx, l->cfg.batch, sizeof *s->bad);
    return cx->status;
}

static kin_status open_sampler(kin_ctx *cx, kin_loader *l, const json_t *state)
{
    const kin_dataset *d = l->cfg.data;
    KIN_TRY(kin_sampler_open(cx, &l->sampler, d->item_of, d->captions, d->items, l->cfg.seed));
    return state ? kin_sampler_resume(cx, &l->sampler, state) : KIN_OK;
}

static kin_status open_loader(kin_ctx *cx, kin_loader *l, const json_t *state)
{
    const kin_dataset *d = l->cfg.data;
    int64_t ids = 0;
    if (l->cfg.batch > d->items)
        return kin_fail(cx, KIN_ARG,
                        "a batch of %lld needs as many different pictures; the training data has %lld",
                        (long long)l->cfg.batch, (long long)d->items);
    if (!kin_mul(texts_of(l), l->cfg.context, &ids) || ids > INT32_MAX)
        return kin_fail(cx, KIN_ARG, "a batch of %lld texts of up to %lld ids is too large",
                        (long long)texts_of(l), (long long)l->cfg.context);
    KIN_TRY(open_sampler(cx, l, state));
    const kin_sampler *p = &l->sampler;
    l->start = kin_sampler_state(p->pairs, p->seed, p->batches, p->epoch, p->position, p->waiting, p->waits);
    if (!l->start) return kin_fail(cx, KIN_NOMEM, "out of memory");
    l->ring = l->cfg.ahead + 1;
    l->slots = kin_alloc0(cx, l->ring, sizeof *l->slots);
    for (int i = 0; i < 2; i++)
        l->given_out[i] = (packed){.ids = kin_alloc(cx, ids, sizeof(int32_t)),
                                   .off = kin_alloc(cx, texts_of(l) + 1, sizeof(int32_t)),
                                   .pair = kin_alloc(cx, l->cfg.batch, sizeof(uint32_t)),
                                   .image_of = kin_alloc(cx, texts_of(l), sizeof(int32_t))};
    KIN_TRY(cx->status);
    for (int64_t i = 0; i < l->ring; i++) {
        KIN_TRY(make_slot(cx, l, &l->slots[i]));
        l->slots[i].images = kin_alloc(cx, l->cfg.batch, (size_t)row_bytes(l));
        l->slots[i].drawn = kin_alloc(cx, l->cfg.batch, sizeof *l->slots[i].drawn);
    }
    const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t threads = l->cfg.threads > 0 ? l->cfg.threads : kin_max64(1, kin_min64(8, cores / 2));
    l->thread = kin_alloc(cx, threads, sizeof *l->thread);
    KIN_TRY(cx->status);
    for (; l->threads < threads; l->threads++)
        if (pthread_create(&l->thread[l->threads], NULL, work, l) != 0) break;
    if (l->threads == 0) return kin_fail(cx, KIN_IO, "the loader's threads could not be started");
    return KIN_OK;
}

kin_loader *kin_loader_open(kin_ctx *cx, const kin_loader_cfg *cfg, const json_t *state)
{
    kin_loader *l = kin_alloc0(cx, 1, sizeof *l);
    if (!l) return NULL;
    l->cfg = *cfg;
    l->cfg.ahead = kin_max64(1, cfg->ahead);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    if (open_loader(cx, l, state) == KIN_OK) return l;
    kin_loader_close(l);
    return NULL;
}

void kin_loader_close(kin_loader *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int64_t i = 0; i < l->threads; i++) pthread_join(l->thread[i], NULL);
    for (int64_t i = 0; l->slots && i < l->ring; i++) free_slot(&l->slots[i]);
    kin_sampler_close(&l->sampler);
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    json_decref(l->start);
    free(l->slots);
    free(l->thread);
    for (int i = 0; i < 2; i++) {
        free(l->given_out[i].ids);
        free(l->given_out[i].off);
        free(l->given_out[i].pair);
        free(l->given_out[i].image_of);
    }
    free(l);
}

static void append(const kin_loader *l, const packed *p, const slot *s, int64_t text, kin_batch *out)
{
    const int32_t n = s->lengths[text], at = p->off[out->texts];
    memcpy(p->ids + at, s->ids + text * l->cfg.context, (size_t)n * sizeof *p->ids);
    p->off[++out->texts] = at + n;
}

/* Closes the gaps of what could not be read, and lays texts end to end. */
static void pack(const kin_loader *l, slot *s, kin_batch *out)
{
    const packed *p = &l->given_out[s->number & 1];
    const bool left = !l->cfg.blind && !l->cfg.augmenter && kin_augment_changes(&l->cfg.augment);
    *out = (kin_batch){.images = l->cfg.blind ? NULL : s->images,
                       .drawn = left ? s->drawn : NULL,
                       .ids = p->ids,
                       .off = p->off,
                       .pair = p->pair,
                       .image_of = p->image_of,
                       .number = s->number,
                       .epochs = s->epochs};
    p->off[0] = 0;
    for (int64_t r = 0; r < l->cfg.batch; r++) {
        if (s->bad[r]) continue;
        if (out->n != r)
            memcpy(s->images + out->n * row_bytes(l), s->images + r * row_bytes(l), (size_t)row_bytes(l));
        s->drawn[out->n] = s->drawn[r];
        p->pair[out->n++] = s->pair[r];
        append(l, p, s, r, out);
    }
    for (int64_t r = 0; r < l->cfg.batch; r++)
        for (int64_t k = 0; k < more(l) && !s->bad[r]; k++) {
            p->image_of[out->texts - out->n] = -1;
            append(l, p, s, more_at(l, r) + k, out);
        }
    int32_t image = 0;
    for (int64_t r = 0; r < l->cfg.batch; r++) {
        if (s->bad[r]) continue;
        for (int64_t j = 0; j < l->cfg.negatives; j++) {
            const int64_t text = negatives_at(l, r) + j;
            if (s->lengths[text] <= 0) continue;
            p->image_of[out->texts - out->n] = image;
            append(l, p, s, text, out);
        }
        image++;
    }
}

kin_status kin_loader_next(kin_ctx *cx, kin_loader *l, kin_batch *out)
{
    const double began = kin_now();
    pthread_mutex_lock(&l->lock);
    slot *s = &l->slots[l->given % l->ring];
    l->given++; /* frees the slot of the batch before */
    pthread_cond_broadcast(&l->work);
    while (!l->stop && !(l->drawn >= l->given && s->done)) pthread_cond_wait(&l->ready, &l->lock);
    const kin_ctx trouble = l->trouble, bad = l->first_bad;
    const int64_t skipped = l->known = l->skipped;
    const char *misnamed = l->told_misnamed ? NULL : l->misnamed, *kind = l->kind;
    l->told_misnamed |= misnamed != NULL;
    pthread_mutex_unlock(&l->lock);
    l->waited += kin_now() - began;
    if (trouble.status != KIN_OK) return kin_fail(cx, trouble.status, "%s", trouble.message);
    if (!l->peeked) pack(l, s, &l->next);
    l->peeked = false;
    *out = l->next;
    if (misnamed) kin_image_tell_misnamed(cx, misnamed, kind);
    if (skipped > 0 && (l->told == 0 || skipped / 1000 > l->told / 1000)) {
        kin_log(cx, KIN_WARN, "a picture is left out: %s (%lld so far); another one stands in for it",
                bad.message, (long long)skipped);
        l->told = skipped;
    }
    if (out->n == 0)
        return kin_fail(cx, KIN_FORMAT, "not one picture of a batch of %lld could be read; the last: %s",
                        (long long)l->cfg.batch, bad.message);
    return KIN_OK;
}

bool kin_loader_peek(kin_loader *l, kin_batch *out)
{
    pthread_mutex_lock(&l->lock);
    slot *s = &l->slots[l->given % l->ring];
    const bool there = l->drawn > l->given && s->done && l->trouble.status == KIN_OK;
    pthread_mutex_unlock(&l->lock);
    if (there && !l->peeked) pack(l, s, &l->next);
    l->peeked = there;
    if (there) *out = l->next;
    return there;
}

static kin_status foresee(kin_ctx *cx, kin_loader *l, slot *s, int64_t batches, kin_lengths_fn each,
                          void *user)
{
    for (int64_t i = 0; i < batches; i++) {
        KIN_TRY(draw(cx, l, s));
        for (int64_t row = 0; row < l->cfg.batch; row++)
            KIN_TRY(make_texts(cx, l, s, row, row_key(l, s, row)));
        int64_t texts = l->cfg.batch; /* missing negatives leave no gap */
        for (int64_t k = texts; k < texts_of(l); k++)
            if (s->lengths[k] > 0) s->lengths[texts++] = s->lengths[k];
        each(user, s->lengths, texts);
    }
    return KIN_OK;
}

kin_status kin_loader_foresee(kin_ctx *cx, const kin_loader_cfg *cfg, const json_t *state, int64_t batches,
                              kin_lengths_fn each, void *user)
{
    kin_loader l = {.cfg = *cfg};
    slot s = {0};
    if (open_sampler(cx, &l, state) == KIN_OK && make_slot(cx, &l, &s) == KIN_OK)
        foresee(cx, &l, &s, batches, each, user);
    free_slot(&s);
    kin_sampler_close(&l.sampler);
    return cx->status;
}

json_t *kin_loader_state(const kin_loader *l)
{
    if (l->given == 0) return json_incref(l->start);
    const slot *s = &l->slots[(l->given - 1) % l->ring];
    return kin_sampler_state(l->sampler.pairs, l->sampler.seed, s->number + 1, s->epoch, s->position,
                             s->waiting, s->waits);
}

double kin_loader_waited(const kin_loader *l)
{
    return l->waited;
}

int64_t kin_loader_skipped(const kin_loader *l)
{
    return l->known;
}

int64_t kin_loader_bytes(const kin_loader *l)
{
    const int64_t texts = texts_of(l), ids = texts * l->cfg.context * (int64_t)sizeof(int32_t);
    const int64_t pictures = l->cfg.batch * (row_bytes(l) + (int64_t)sizeof(kin_augmentation));
    return l->ring * (pictures + ids) + 2 * ids;
}
