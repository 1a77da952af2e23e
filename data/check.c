#include "data/check.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "data/image.h"
#include "data/unicode.h"

enum { NAMED = 20, BUCKETS = 8 };

/* What reading one picture told. */
typedef struct seen {
    uint64_t digest; /* of the file's bytes */
    int64_t width, height;
    const char *kind, *misnamed;
    bool rotated;
    char *error; /* NULL: it can be read */
} seen;

typedef struct check {
    const kin_dataset *d;
    const kin_check_cfg *cfg;
    seen *image;
    json_t *out;
    int64_t readable;
} check;

static void put(json_t *o, const char *key, int64_t n)
{
    json_object_set_new(o, key, json_integer(n));
}

/* Names in files need not be UTF-8; JSON must be. */
static json_t *text_json(const char *s)
{
    json_t *v = json_string(s);
    if (v) return v;
    kin_ctx quiet = {0};
    int64_t n;
    char *clean = kin_text_normalise(&quiet, s, (int64_t)strlen(s), &n);
    v = json_string(clean ? clean : "?");
    free(clean);
    return v;
}

static kin_status look_at(kin_ctx *cx, const kin_dataset *d, int64_t item, seen *s)
{
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    const char *name = d->item[item].name;
    kin_image image = {0};
    KIN_TRY(kin_dataset_bytes(cx, d, item, &bytes, &size, &own));
    s->digest = kin_fnv(KIN_FNV, bytes, (size_t)size);
    s->kind = kin_image_kind(bytes, size);
    s->misnamed = kin_image_misnamed(name, bytes, size);
    s->rotated = kin_image_orientation(bytes, size) > 1;
    const kin_status rc = kin_image_decode(cx, name, bytes, size, KIN_MAX_IMAGE_PIXELS, &image);
    s->width = image.width;
    s->height = image.height;
    kin_image_free(&image);
    free(own);
    return rc;
}

static kin_status look_at_all(kin_ctx *cx, check *c)
{
    bool memory = true;
#pragma omp parallel for schedule(dynamic, 16)
    for (int64_t i = 0; i < c->d->items; i++) {
        kin_ctx mine = {0};
        if (look_at(&mine, c->d, i, &c->image[i]) == KIN_OK) continue;
        c->image[i].error = strdup(mine.message);
        if (mine.status == KIN_NOMEM || !c->image[i].error) {
#pragma omp atomic write
            memory = false;
        }
    }
    return memory ? KIN_OK : kin_fail(cx, KIN_NOMEM, "out of memory while reading pictures");
}

static int by_number(const void *a, const void *b)
{
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return p < q ? -1 : p > q;
}

/* min, median and max of what was gathered (sorted here). */
static json_t *spread(int64_t *v, int64_t n)
{
    if (n == 0) return json_object();
    qsort(v, (size_t)n, sizeof *v, by_number);
    return json_pack("{s:I, s:I, s:I}", "min", (json_int_t)v[0], "median", (json_int_t)v[n / 2], "max",
                     (json_int_t)v[n - 1]);
}

static kin_status tell_pictures(kin_ctx *cx, check *c)
{
    static const char *const kinds[] = {"JPEG", "PNG", "WebP"};
    int64_t of_kind[3] = {0}, broken = 0, misnamed = 0, rotated = 0;
    json_t *bad = json_array(), *other = json_array(), *kind = json_object();
    int64_t *side = kin_alloc(cx, c->d->items, 2 * sizeof *side);
    if (!side) return cx->status;
    for (int64_t i = 0; i < c->d->items; i++) {
        const seen *s = &c->image[i];
        if (s->error) {
            if (broken++ < NAMED)
                json_array_append_new(bad, json_pack("{s:o, s:o}", "picture", text_json(c->d->item[i].name),
                                                     "error", text_json(s->error)));
            continue;
        }
        side[c->readable] = s->width;
        side[c->d->items + c->readable++] = s->height;
        for (int k = 0; k < 3; k++) of_kind[k] += strcmp(kinds[k], s->kind) == 0;
        rotated += s->rotated;
        if (s->misnamed && misnamed++ < NAMED)
            json_array_append_new(other, json_pack("{s:o, s:s}", "picture", text_json(c->d->item[i].name),
                                                   "kind", s->misnamed));
    }
    put(c->out, "readable", c->readable);
    for (int k = 0; k < 3; k++) put(kind, kinds[k], of_kind[k]);
    json_object_set_new(c->out, "kinds", kind);
    put(c->out, "broken", broken);
    json_object_set_new(c->out, "broken_first", bad);
    put(c->out, "misnamed", misnamed);
    json_object_set_new(c->out, "misnamed_first", other);
    put(c->out, "rotated", rotated);
    json_object_set_new(c->out, "width", spread(side, c->readable));
    json_object_set_new(c->out, "height", spread(side + c->d->items, c->readable));
    free(side);
    return KIN_OK;
}

typedef struct keyed {
    uint64_t key;
    int64_t i;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *p = a, *q = b;
    if (p->key != q->key) return p->key < q->key ? -1 : 1;
    return p->i < q->i ? -1 : p->i > q->i;
}

/* Equal files; and the split, in which they stay together. */
static kin_status tell_equal(kin_ctx *cx, check *c, uint8_t *split)
{
    int64_t n = 0, equal = 0, parts[3] = {0};
    json_t *pairs = json_array();
    keyed *k = kin_alloc(cx, c->d->items, sizeof *k);
    if (!k) return cx->status;
    for (int64_t i = 0; i < c->d->items; i++)
        if (!c->image[i].error) k[n++] = (keyed){c->image[i].digest, i};
    if (n) qsort(k, (size_t)n, sizeof *k, by_key);
    for (int64_t a = 0, b; a < n; a = b) {
        for (b = a + 1; b < n && k[b].key == k[a].key; b++) {
            if (equal++ < NAMED)
                json_array_append_new(pairs, json_pack("[o, o]", text_json(c->d->item[k[a].i].name),
                                                       text_json(c->d->item[k[b].i].name)));
        }
        kin_rng r = kin_rng_new(kin_key(c->cfg->seed, 0x73706c6974, k[a].key));
        const double u = (double)kin_rng_unit(&r);
        const int part = u < c->cfg->held ? 2 : u < 2.0 * c->cfg->held ? 1 : 0;
        parts[part] += b - a;
        for (int64_t i = a; split && i < b; i++) split[k[i].i] = (uint8_t)part;
    }
    put(c->out, "duplicate_images", equal);
    json_object_set_new(c->out, "duplicate_images_first", pairs);
    if (c->d->splits)
        json_object_set_new(c->out, "splits", text_json(c->d->splits));
    else
        json_object_set_new(c->out, "proposed_split",
                            json_pack("{s:I, s:I, s:I}", "train", (json_int_t)parts[0], "val",
                                      (json_int_t)parts[1], "test", (json_int_t)parts[2]));
    free(k);
    return KIN_OK;
}

/* Captions that several pictures have, and those that one picture has twice. Different captions, counted. */
static kin_status tell_duplicates(kin_ctx *cx, check *c, int64_t *different)
{
    const kin_dataset *d = c->d;
    int64_t shared = 0, repeated = 0, listed = 0;
    json_t *first = json_array();
    keyed *k = kin_alloc(cx, kin_max64(1, d->captions), sizeof *k);
    if (!k) return cx->status;
    for (int64_t i = 0; i < d->captions; i++)
        k[i] = (keyed){kin_fnv(KIN_FNV, d->caption[i], strlen(d->caption[i])), i};
    if (d->captions) qsort(k, (size_t)d->captions, sizeof *k, by_key);
    *different = 0;
    for (int64_t a = 0, b; a < d->captions; a = b) {
        int64_t images = 1;
        ++*different;
        for (b = a + 1; b < d->captions && k[b].key == k[a].key; b++) {
            if (d->item_of[k[b].i] == d->item_of[k[b - 1].i])
                repeated++;
            else
                images++;
        }
        if (images < 2) continue;
        shared += images;
        if (listed++ < NAMED)
            json_array_append_new(first, json_pack("{s:o, s:I}", "caption", text_json(d->caption[k[a].i]),
                                                   "images", (json_int_t)images));
    }
    put(c->out, "duplicate_captions", shared);
    json_object_set_new(c->out, "duplicate_captions_first", first);
    put(c->out, "repeated_captions", repeated);
    free(k);
    return KIN_OK;
}

static int64_t words_of(const char *s)
{
    int64_t n = 0;
    while (*(s += strspn(s, " \t\r\n"))) {
        s += strcspn(s, " \t\r\n");
        n++;
    }
    return n;
}

static bool is_utf8(const char *s)
{
    const char *end = s + strlen(s);
    for (int n; s < end; s += n)
        if (kin_char_at(s, end, &n) == 0xfffd && !(n == 3 && memcmp(s, "\xef\xbf\xbd", 3) == 0)) return false;
    return true;
}

static json_t *histogram(const int64_t *sorted, int64_t n)
{
    json_t *list = json_array();
    const int64_t step = (sorted[n - 1] + BUCKETS - 1) / BUCKETS;
    for (int64_t b = 0, at = 0; b < BUCKETS && step > 0 && at < n; b++) {
        const int64_t from = at;
        while (at < n && sorted[at] <= (b + 1) * step) at++;
        json_array_append_new(
            list, json_pack("{s:I, s:I}", "to", (json_int_t)((b + 1) * step), "n", (json_int_t)(at - from)));
    }
    return list;
}

static kin_status tell_lengths(kin_ctx *cx, check *c)
{
    enum { MOST_IDS = 1 << 16 };
    const kin_dataset *d = c->d;
    const kin_tokenizer *t = c->cfg->tokenizer;
    int64_t longest = 0, over = 0, strange = 0,
            *length = kin_alloc(cx, kin_max64(1, d->captions), sizeof *length);
    int32_t *ids = t ? kin_alloc(cx, MOST_IDS, sizeof *ids) : NULL;
    double sum = 0.0;
    for (int64_t i = 0; length && cx->status == KIN_OK && i < d->captions; i++) {
        length[i] = t ? kin_tokenizer_encode(cx, t, d->caption[i], MOST_IDS, ids) : words_of(d->caption[i]);
        if (length[i] > length[longest]) longest = i;
        over += t && length[i] > c->cfg->context;
        strange += !is_utf8(d->caption[i]);
        sum += (double)length[i];
    }
    if (cx->status == KIN_OK) {
        const int64_t n = d->captions;
        json_t *o = json_object();
        json_object_set_new(o, "unit", json_string(t ? "tokens" : "words"));
        put(o, "longest", longest + 1);
        put(o, "max", n ? length[longest] : 0);
        if (n) qsort(length, (size_t)n, sizeof *length, by_number);
        put(o, "min", n ? length[0] : 0);
        json_object_set_new(o, "mean", json_real(n ? sum / (double)n : 0.0));
        put(o, "median", n ? length[n / 2] : 0);
        put(o, "p95", n ? length[n * 95 / 100] : 0);
        if (t) {
            put(o, "context", c->cfg->context);
            put(o, "over", over);
        }
        json_object_set_new(o, "histogram", n ? histogram(length, n) : json_array());
        json_object_set_new(c->out, "lengths", o);
        put(c->out, "not_utf8", strange);
    }
    free(length);
    free(ids);
    return cx->status;
}

static void tell_form(check *c)
{
    static const char *const why[KIN_LACKS] = {"no_picture", "no_caption", "other_format", "no_label"};
    const kin_dataset *d = c->d;
    json_t *skipped = json_object(), *first = json_array();
    int64_t least = d->items ? INT64_MAX : 0, most = 0;
    for (int64_t i = 0; i < d->items; i++) {
        least = kin_min64(least, d->item[i].captions);
        most = kin_max64(most, d->item[i].captions);
    }
    json_object_set_new(c->out, "form", text_json(d->form));
    put(c->out, "images", d->items);
    put(c->out, "captions", d->captions);
    json_object_set_new(c->out, "captions_per_image",
                        json_pack("{s:I, s:f, s:I}", "min", (json_int_t)least, "mean",
                                  (double)d->captions / (double)kin_max64(1, d->items), "max",
                                  (json_int_t)most));
    for (int k = 0; k < KIN_LACKS; k++) put(skipped, why[k], d->lacking[k]);
    for (int64_t i = 0; i < kin_min64(d->skipped, NAMED); i++)
        json_array_append_new(
            first, json_pack("{s:o, s:s}", "name", text_json(d->skip[i].name), "why", why[d->skip[i].lack]));
    json_object_set_new(skipped, "first", first);
    json_object_set_new(c->out, "skipped", skipped);
}

static void tell_preview(check *c)
{
    const kin_dataset *d = c->d;
    const int64_t n = kin_min64(c->cfg->preview, d->items);
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) {
        const kin_item *it = &d->item[i * d->items / n];
        json_t *captions = json_array();
        for (int64_t k = 0; k < it->captions; k++)
            json_array_append_new(captions, text_json(d->caption[it->caption + k]));
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "picture", text_json(it->name), "captions", captions));
    }
    json_object_set_new(c->out, "preview", list);
}

json_t *kin_dataset_check(kin_ctx *cx, const kin_dataset *d, const kin_check_cfg *cfg, uint8_t *split)
{
    check c = {.d = d, .cfg = cfg, .image = kin_alloc0(cx, d->items, sizeof *c.image), .out = json_object()};
    int64_t different = 0;
    if (!c.image || !c.out) kin_fail(cx, KIN_NOMEM, "out of memory for the report");
    if (cx->status == KIN_OK) {
        tell_form(&c);
        look_at_all(cx, &c);
    }
    if (cx->status == KIN_OK) tell_pictures(cx, &c);
    if (cx->status == KIN_OK) tell_equal(cx, &c, split);
    if (cx->status == KIN_OK) tell_duplicates(cx, &c, &different);
    if (cx->status == KIN_OK) tell_lengths(cx, &c);
    if (cx->status == KIN_OK) {
        const bool usable = c.readable >= 2 && different >= 2;
        tell_preview(&c);
        if (d->label) json_object_set_new(c.out, "labels", kin_labels_check(cx, d));
        json_object_set_new(c.out, "usable", json_boolean(usable));
        json_object_set_new(c.out, "verdict",
                            json_string(usable           ? "usable"
                                        : c.readable < 2 ? "not usable: fewer than two pictures can be read"
                                                         : "not usable: all captions are the same"));
    }
    for (int64_t i = 0; c.image && i < d->items; i++) free(c.image[i].error);
    free(c.image);
    if (cx->status == KIN_OK) return c.out;
    json_decref(c.out);
    return NULL;
}
