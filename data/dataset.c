#include "data/dataset.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/gzip.h"
#include "data/image.h"

enum { BLOCK = 1 << 20, FILE_LIMIT = 1 << 28, UNPACKED_LIMIT = 1 << 30 };

/* Strings live in blocks that never move. */
typedef struct kin_text_block {
    struct kin_text_block *next;
    int64_t used, room;
    char bytes[];
} kin_text_block;

const char *kin_dataset_text(kin_ctx *cx, kin_dataset *d, const char *text, int64_t size)
{
    if (!d->text || d->text->room - d->text->used <= size) {
        const int64_t room = kin_max64(BLOCK, size + 1);
        kin_text_block *b = kin_alloc(cx, (int64_t)sizeof *b + room, 1);
        if (!b) return NULL;
        *b = (kin_text_block){.next = d->text, .room = room};
        d->text = b;
    }
    char *to = d->text->bytes + d->text->used;
    memcpy(to, text, (size_t)size);
    to[size] = '\0';
    d->text->used += size + 1;
    return to;
}

void *kin_roomy(kin_ctx *cx, void *array, int64_t count, int64_t *room, size_t size)
{
    if (count < *room) return array;
    const int64_t grown = *room ? 2 * *room : 256;
    void *p = kin_regrow(cx, array, grown, size);
    if (p) *room = grown;
    return p;
}

kin_status kin_dataset_item(kin_ctx *cx, kin_dataset *d, const char *name, int32_t source, int64_t at,
                            int64_t size)
{
    kin_item *grown = kin_roomy(cx, d->item, d->items, &d->item_room, sizeof *grown);
    if (!grown) return cx->status;
    d->item = grown;
    const char *copy = kin_dataset_text(cx, d, name, (int64_t)strlen(name));
    if (!copy) return cx->status;
    d->item[d->items++] = (kin_item){
        .name = copy, .source = source, .at = at, .size = size, .caption = d->captions, .swap = d->swaps};
    return KIN_OK;
}

kin_status kin_dataset_caption_of(kin_ctx *cx, kin_dataset *d, int64_t item, const char *text, int64_t size)
{
    while (size > 0 && strchr(" \t\r\n", text[size - 1])) size--;
    while (size > 0 && strchr(" \t\r\n", *text)) {
        text++;
        size--;
    }
    if (size == 0) return KIN_OK; /* blank: not a caption */
    const char **grown = kin_roomy(cx, d->caption, d->captions, &d->caption_room, sizeof *grown);
    if (!grown) return cx->status;
    d->caption = grown;
    int64_t *of = kin_roomy(cx, d->item_of, d->captions, &d->item_of_room, sizeof *of);
    if (!of) return cx->status;
    d->item_of = of;
    const char *copy = kin_dataset_text(cx, d, text, size);
    if (!copy) return cx->status;
    d->item_of[d->captions] = item;
    d->caption[d->captions++] = copy;
    d->item[item].captions++;
    d->ungrouped |= item != d->items - 1;
    return KIN_OK;
}

kin_status kin_dataset_caption(kin_ctx *cx, kin_dataset *d, const char *text, int64_t size)
{
    return kin_dataset_caption_of(cx, d, d->items - 1, text, size);
}

/* Items that have captions, or all of them, close ranks; their captions by counting. */
kin_status kin_dataset_group(kin_ctx *cx, kin_dataset *d)
{
    const char **caption = kin_alloc(cx, kin_max64(1, d->captions), sizeof *caption);
    kin_label *label = d->label ? kin_alloc(cx, kin_max64(1, d->captions), sizeof *label) : NULL;
    int64_t *moved = kin_alloc(cx, kin_max64(1, d->items), sizeof *moved);
    int64_t kept = 0, at = 0;
    for (int64_t i = 0; cx->status == KIN_OK && i < d->items; i++) {
        if (d->item[i].captions == 0 && !d->bare) {
            if (kin_dataset_skip(cx, d, d->item[i].name, KIN_LACK_CAPTION) != KIN_OK) break;
            continue;
        }
        moved[i] = kept;
        d->item[kept] = d->item[i];
        d->item[kept].caption = at;
        at += d->item[kept].captions;
        d->item[kept++].captions = 0; /* counted again below */
    }
    if (cx->status == KIN_OK) {
        for (int64_t c = 0; c < d->captions; c++) {
            kin_item *it = &d->item[moved[d->item_of[c]]];
            if (label) label[it->caption + it->captions] = d->label[c];
            caption[it->caption + it->captions++] = d->caption[c];
        }
        for (int64_t i = 0; i < kept; i++)
            for (int64_t c = 0; c < d->item[i].captions; c++) d->item_of[d->item[i].caption + c] = i;
        if (d->captions) memcpy(d->caption, caption, (size_t)d->captions * sizeof *caption);
        if (label && d->captions) memcpy(d->label, label, (size_t)d->captions * sizeof *label);
        d->items = kept;
        d->ungrouped = false;
    }
    free(caption);
    free(label);
    free(moved);
    return cx->status;
}

kin_status kin_dataset_swap(kin_ctx *cx, kin_dataset *d, const char *kind, const char *caption,
                            const char *swapped)
{
    kin_swap *grown = kin_roomy(cx, d->swap, d->swaps, &d->swap_room, sizeof *grown);
    if (!grown) return cx->status;
    d->swap = grown;
    kin_swap s = {kin_dataset_text(cx, d, kind, (int64_t)strlen(kind)),
                  kin_dataset_text(cx, d, caption, (int64_t)strlen(caption)),
                  kin_dataset_text(cx, d, swapped, (int64_t)strlen(swapped))};
    if (cx->status != KIN_OK) return cx->status;
    d->swap[d->swaps++] = s;
    d->item[d->items - 1].swaps++;
    return KIN_OK;
}

kin_status kin_dataset_skip(kin_ctx *cx, kin_dataset *d, const char *name, kin_lack lack)
{
    d->lacking[lack]++;
    if (d->skipped++ >= KIN_SKIPS_NAMED) return KIN_OK;
    const char *copy = kin_dataset_text(cx, d, name, (int64_t)strlen(name));
    if (copy) d->skip[d->skipped - 1] = (kin_skip){copy, lack};
    return cx->status;
}

void kin_dataset_form(kin_ctx *cx, kin_dataset *d, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->form = kin_dataset_text(cx, d, text, (int64_t)strlen(text));
}

static void close_source(kin_source *s)
{
    if (s->own)
        free(s->own);
    else
        kin_map_close(&s->map);
    free(s->path);
}

/* Takes over a map or bytes in memory, which it frees when it cannot. */
static int32_t add_source(kin_ctx *cx, kin_dataset *d, const char *path, kin_source new)
{
    kin_source *grown = kin_roomy(cx, d->source, d->sources, &d->source_room, sizeof *grown);
    if (grown) d->source = grown;
    new.path = grown ? kin_strdup(cx, path) : NULL;
    if (!new.path) {
        close_source(&new);
        return -1;
    }
    d->source[d->sources] = new;
    return (int32_t)d->sources++;
}

int32_t kin_dataset_made(kin_ctx *cx, kin_dataset *d, const char *of, uint8_t *bytes, int64_t size)
{
    return add_source(cx, d, of, (kin_source){.own = bytes, .map = {bytes, size}, .made = true});
}

int32_t kin_dataset_source(kin_ctx *cx, kin_dataset *d, const char *path)
{
    kin_map map;
    if (kin_map_open(cx, path, &map) != KIN_OK) return -1;
    if (!kin_is_gzip(map.bytes, map.size)) return add_source(cx, d, path, (kin_source){.map = map});
    uint8_t *bytes;
    int64_t size;
    const kin_status rc = kin_gunzip(cx, path, map.bytes, map.size, UNPACKED_LIMIT, &bytes, &size);
    kin_map_close(&map);
    return rc == KIN_OK ? add_source(cx, d, path, (kin_source){.own = bytes, .map = {bytes, size}}) : -1;
}

static bool named(const char *name, const char *const *known)
{
    const char *dot = strrchr(name, '.');
    for (; dot && *known; known++)
        if (strcasecmp(dot, *known) == 0) return true;
    return false;
}

bool kin_picture_name(const char *name)
{
    static const char *const known[] = {".jpg", ".jpeg", ".png", ".webp", NULL};
    return named(name, known);
}

bool kin_foreign_picture_name(const char *name)
{
    static const char *const known[] = {".gif",  ".bmp", ".tif", ".tiff", ".heic", ".heif",
                                        ".avif", ".jp2", ".jxl", ".dng",  ".cr2",  NULL};
    return named(name, known);
}

bool kin_ends(const char *s, const char *with)
{
    const size_t n = strlen(s), k = strlen(with);
    return n >= k && strcasecmp(s + n - k, with) == 0;
}

char *kin_folder_of(kin_ctx *cx, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? kin_sprintf(cx, "%.*s", slash == path ? 1 : (int)(slash - path), path)
                 : kin_strdup(cx, ".");
}

bool kin_split_wanted(const kin_dataset_cfg *cfg, const char *have)
{
    const char *want = cfg->split;
    if (!have || !want || !*want || strcmp(want, "all") == 0) return true;
    const size_t n = strlen(have);
    for (const char *at = want; *at; at += *at == ',') { /* "dev,hidden" */
        const size_t length = strcspn(at, ",");
        if (length == n && strncmp(at, have, n) == 0) return true;
        at += length;
    }
    return strcmp(want, "train") == 0 && strcmp(have, "restval") == 0 && !cfg->no_restval;
}

void kin_split_note(char *list, size_t room, const char *split)
{
    const size_t n = strlen(split);
    if (n == 0) return;
    for (const char *at = list; (at = strstr(at, split)); at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ',' || !at[n])) return;
    const size_t used = strlen(list);
    snprintf(list + used, room - used, "%s%s", used ? ", " : "", split);
}

typedef kin_status (*text_reader)(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text,
                                  const kin_dataset_cfg *cfg);

static kin_status read_benchmark(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text,
                                 const kin_dataset_cfg *cfg)
{
    (void)cfg;
    return kin_benchmark_read(cx, d, path, text);
}

static text_reader reader_of(const char *path)
{
    static const struct {
        const char *end;
        text_reader read;
    } known[] = {
        {".json", kin_annotations_read},   {".jsonl", kin_annotations_read},
        {".ndjson", kin_annotations_read}, {"_karpathy.txt", read_benchmark},
        {".csv", kin_table_read},          {".tsv", kin_table_read},
        {".txt", kin_table_read},          {".token", kin_table_read},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (kin_ends(path, known[i].end)) return known[i].read;
    return NULL;
}

/* CLIP_benchmark's root: the shards of a split lie in its folder. NULL: not one. */
static char *benchmark_shards(kin_ctx *cx, const char *path, const char *split)
{
    const char *const tries[] = {split && strcmp(split, "train") == 0 ? "train" : "test", "."};
    for (size_t i = 0; i < 2; i++) {
        char *count = kin_sprintf(cx, "%s/%s/nshards.txt", path, tries[i]);
        const bool there = count && access(count, R_OK) == 0;
        free(count);
        if (there) return kin_sprintf(cx, "%s/%s/*.tar", path, tries[i]);
    }
    return NULL;
}

/* A folder with archives is shards, one with pictures is a folder. */
static kin_status read_folder(kin_ctx *cx, kin_dataset *d, const char *path, const kin_dataset_cfg *cfg)
{
    char *shards = benchmark_shards(cx, path, cfg->split);
    if (!shards && cx->status == KIN_OK) shards = kin_sprintf(cx, "%s/*.tar", path);
    if (!shards) return cx->status;
    const kin_status rc = kin_webdataset_read(cx, d, shards);
    free(shards);
    if (rc == KIN_OK || rc == KIN_NOMEM || d->sources) return rc;
    kin_clear(cx);
    return kin_folder_read(cx, d, path);
}

static kin_status read_any(kin_ctx *cx, kin_dataset *d, const char *path, const kin_dataset_cfg *cfg)
{
    struct stat st;
    const text_reader read = reader_of(path);
    if (strncmp(path, "scenes:", 7) == 0) return kin_scenes_read(cx, d, path + 7, cfg);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return read_folder(cx, d, path, cfg);
    if (!read) return kin_webdataset_read(cx, d, path);
    kin_map text;
    KIN_TRY(kin_map_open(cx, path, &text));
    if (text.size)
        read(cx, d, path, &text, cfg);
    else
        kin_fail(cx, KIN_FORMAT, "%s: it is empty", path);
    kin_map_close(&text);
    return cx->status;
}

/* Says what was passed over, once, with the first name of each reason. */
static void tell_skipped(kin_ctx *cx, const kin_dataset *d, const char *path)
{
    static const char *const why[KIN_LACKS] = {"not there", "without a caption",
                                               "of a kind that kin does not read (JPEG, PNG, WebP)",
                                               "without a label that can be read"};
    for (int k = 0; k < KIN_LACKS; k++) {
        for (int64_t i = 0; i < kin_min64(d->skipped, KIN_SKIPS_NAMED) && d->lacking[k]; i++) {
            if ((int)d->skip[i].lack != k) continue;
            kin_log(cx, KIN_WARN, "%s: %lld %s%s left out, %s (first %s)", path, (long long)d->lacking[k],
                    k == KIN_LACK_LABEL ? "row" : "picture", d->lacking[k] == 1 ? "" : "s", why[k],
                    d->skip[i].name);
            break;
        }
    }
}

/* A table or a JSON file in a folder that has no captions of its own is probably what was meant. */
static char *better(kin_ctx *cx, const char *folder)
{
    static const char *const patterns[] = {"dataset_*.json",
                                           "annotations/captions_*.json",
                                           "*.jsonl",
                                           "*.csv",
                                           "*.tsv",
                                           "captions*.txt",
                                           "../*.csv",
                                           "../*.tsv",
                                           "../dataset_*.json"};
    char *hint = NULL;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && !hint; i++) {
        char *pattern = kin_sprintf(cx, "%s/%s", folder, patterns[i]);
        glob_t found = {0};
        if (pattern && glob(pattern, 0, NULL, &found) == 0)
            hint = kin_sprintf(cx, "; did you mean %s?", found.gl_pathv[0]);
        globfree(&found);
        free(pattern);
    }
    return hint;
}

static kin_status no_items(kin_ctx *cx, const kin_dataset *d, const char *path)
{
    if (d->skipped == 0)
        return kin_fail(cx, KIN_FORMAT, "%s: no picture%s in it", path, d->bare ? "" : " with a caption");
    const kin_skip *first = &d->skip[0];
    if (d->lacking[KIN_LACK_PICTURE] == d->skipped)
        return kin_fail(cx, KIN_IO,
                        "%s: not one of its %lld pictures is there; %s was looked for beside it and in the "
                        "folders there",
                        path, (long long)d->skipped, first->name);
    if (d->lacking[KIN_LACK_FORMAT] == d->skipped)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "%s: %lld pictures, all of a kind that kin does not read; convert them to JPEG, PNG "
                        "or WebP; the first is %s",
                        path, (long long)d->skipped, first->name);
    if (d->lacking[KIN_LACK_CAPTION] == d->skipped) {
        char *hint = better(cx, path);
        kin_fail(
            cx, KIN_FORMAT,
            "%s: %lld pictures, but not one has a caption; a photo.jpg wants a photo.txt beside it or a row "
            "in a table%s",
            path, (long long)d->skipped, hint ? hint : "");
        free(hint);
        return cx->status;
    }
    return kin_fail(cx, KIN_FORMAT, "%s: no picture%s in it (%lld samples were passed over, the first %s)",
                    path, d->bare ? "" : " with a caption", (long long)d->skipped, first->name);
}

kin_dataset *kin_dataset_open_as(kin_ctx *cx, const char *path, const kin_dataset_cfg *cfg)
{
    kin_dataset *d = kin_alloc0(cx, 1, sizeof *d);
    if (!d) return NULL;
    d->bare = cfg->bare;
    d->twins = cfg->twins;
    if (d->bare && kin_picture_name(path)) {
        kin_dataset_form(cx, d, "one picture");
        kin_dataset_item(cx, d, path, -1, 0, 0);
    } else {
        read_any(cx, d, path, cfg);
    }
    const bool pairs = cfg->labels == KIN_LABELS_PAIRS;
    if (cx->status == KIN_OK && d->label && (pairs || !d->classes)) kin_dataset_labelled(cx, d, pairs);
    if (cx->status == KIN_OK && d->ungrouped) kin_dataset_group(cx, d);
    if (cx->status == KIN_OK && d->items == 0) no_items(cx, d, path);
    if (cx->status == KIN_OK && d->classes == 0 && cfg->labels == KIN_LABELS_MUST)
        kin_fail(cx, KIN_ARG, "%s: it has no labels; a table needs a column 'label' (--csv-label-key NAME)",
                 path);
    if (cx->status == KIN_OK) {
        tell_skipped(cx, d, path);
        return d;
    }
    kin_dataset_close(d);
    return NULL;
}

kin_dataset *kin_dataset_open(kin_ctx *cx, const char *path, const char *split, bool twins)
{
    const kin_dataset_cfg cfg = {.split = split, .twins = twins};
    return kin_dataset_open_as(cx, path, &cfg);
}

kin_dataset *kin_pictures_open(kin_ctx *cx, const char *path)
{
    const kin_dataset_cfg cfg = {.bare = true};
    return kin_dataset_open_as(cx, path, &cfg);
}

void kin_dataset_close(kin_dataset *d)
{
    if (!d) return;
    for (int64_t i = 0; i < d->sources; i++) close_source(&d->source[i]);
    for (kin_text_block *b = d->text, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(d->item);
    free(d->caption);
    free(d->item_of);
    free(d->swap);
    free(d->label);
    free(d->soft);
    free(d->class_name);
    free(d->source);
    free(d);
}

kin_status kin_dataset_drop(kin_ctx *cx, kin_dataset *d, const bool *drop)
{
    int64_t items = 0, captions = 0, swaps = 0;
    for (int64_t i = 0; i < d->items; i++) {
        kin_item it = d->item[i];
        if (drop[i]) {
            KIN_TRY(kin_dataset_skip(cx, d, it.name, KIN_LACK_PICTURE));
            continue;
        }
        if (it.captions)
            memmove(&d->caption[captions], &d->caption[it.caption], (size_t)it.captions * sizeof *d->caption);
        if (d->label && it.captions)
            memmove(&d->label[captions], &d->label[it.caption], (size_t)it.captions * sizeof *d->label);
        for (int64_t c = 0; c < it.captions; c++) d->item_of[captions + c] = items;
        if (it.swaps) memmove(&d->swap[swaps], &d->swap[it.swap], (size_t)it.swaps * sizeof *d->swap);
        it.caption = captions;
        it.swap = swaps;
        captions += it.captions;
        swaps += it.swaps;
        d->item[items++] = it;
    }
    d->items = items;
    d->captions = captions;
    d->swaps = swaps;
    return KIN_OK;
}

kin_status kin_dataset_bytes(kin_ctx *cx, const kin_dataset *d, int64_t item, const uint8_t **bytes,
                             int64_t *size, uint8_t **own)
{
    const kin_item *it = &d->item[item];
    *own = NULL;
    if (it->source >= 0) {
        *bytes = d->source[it->source].map.bytes + it->at;
        *size = it->size;
        return KIN_OK;
    }
    KIN_TRY(kin_read_file(cx, it->name, FILE_LIMIT, own, size));
    *bytes = *own;
    return KIN_OK;
}
