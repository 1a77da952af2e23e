/* WebDataset: tar shards whose consecutive members of one prefix are a sample. */
#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/json.h"
#include "data/dataset.h"
#include "data/tar.h"

typedef struct sample {
    const kin_tar_member *picture, *text, *json;
    bool lines; /* each line of the text is a caption */
} sample;

/* Length of the key: up to the first dot of the base name (webdataset's rule); -1 without a dot. */
static int64_t key_length(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *dot = strchr(slash ? slash + 1 : name, '.');
    return dot ? dot - name : -1;
}

/* Is this a caption of the last item? */
static bool said(const kin_dataset *d, const char *caption)
{
    const kin_item *it = &d->item[d->items - 1];
    for (int64_t i = it->caption; i < it->caption + it->captions; i++)
        if (strcmp(d->caption[i], caption) == 0) return true;
    return false;
}

static kin_status read_json(kin_ctx *cx, kin_dataset *d, const char *what, const uint8_t *bytes, int64_t size,
                            bool texts)
{
    json_t *j = kin_json_parse(cx, what, bytes, (size_t)size);
    if (!j) return cx->status;
    size_t i;
    const json_t *v;
    json_array_foreach(json_object_get(j, "captions"), i, v)
    {
        if (json_is_string(v))
            kin_dataset_caption(cx, d, json_string_value(v), (int64_t)json_string_length(v));
    }
    json_array_foreach(json_object_get(j, "swaps"), i, v)
    {
        const char *caption = kin_json_string(cx, v, "caption", NULL);
        const char *swapped = kin_json_string(cx, v, "swapped", NULL);
        if (!caption || !swapped) continue;
        kin_dataset_swap(cx, d, kin_json_string(cx, v, "kind", "swap"), caption, swapped);
        if (d->twins && cx->status == KIN_OK && !said(d, caption))
            kin_dataset_caption(cx, d, caption, (int64_t)strlen(caption));
    }
    /* img2dataset's: one "caption", when there is nothing else. */
    const json_t *one = json_object_get(j, "caption");
    if (json_is_string(one) && d->item[d->items - 1].captions == 0 && !texts)
        kin_dataset_caption(cx, d, json_string_value(one), (int64_t)json_string_length(one));
    json_decref(j);
    return cx->status;
}

static kin_status finish(kin_ctx *cx, kin_dataset *d, int32_t source, const sample *s)
{
    if (!s->picture && !s->text && !s->json) return KIN_OK;
    if (!s->picture)
        return kin_dataset_skip(cx, d, s->text ? s->text->name : s->json->name, KIN_LACK_PICTURE);
    if (!s->text && !s->json && !d->bare) return kin_dataset_skip(cx, d, s->picture->name, KIN_LACK_CAPTION);
    const uint8_t *bytes = d->source[source].map.bytes;
    KIN_TRY(kin_dataset_item(cx, d, s->picture->name, source, s->picture->offset, s->picture->size));
    if (s->json) {
        char *what = kin_sprintf(cx, "%s: %s", d->source[source].path, s->json->name);
        if (!what) return cx->status;
        read_json(cx, d, what, bytes + s->json->offset, s->json->size, s->text != NULL);
        free(what);
        KIN_TRY(cx->status);
    }
    if (s->text && d->item[d->items - 1].captions == 0) {
        /* A NUL inside would hide the rest of the text. */
        const char *text = (const char *)bytes + s->text->offset;
        const int64_t size = (int64_t)strnlen(text, (size_t)s->text->size);
        for (int64_t at = 0, n; at < size; at += n + 1) {
            const char *end = s->lines ? memchr(text + at, '\n', (size_t)(size - at)) : NULL;
            n = end ? end - text - at : size - at;
            KIN_TRY(kin_dataset_caption(cx, d, text + at, n));
        }
    }
    if (d->item[d->items - 1].captions == 0 && !d->bare) {
        d->swaps = d->item[d->items - 1].swap;
        d->items--;
        return kin_dataset_skip(cx, d, s->picture->name, KIN_LACK_CAPTION);
    }
    return KIN_OK;
}

static kin_status read_members(kin_ctx *cx, kin_dataset *d, int32_t source, const kin_tar_index *index,
                               bool lines)
{
    sample now = {.lines = lines};
    const char *key = NULL;
    int64_t length = -1;
    for (int64_t i = 0; i < index->count; i++) {
        const kin_tar_member *m = &index->member[i];
        const int64_t n = key_length(m->name);
        if (n < 0) continue;
        const char *suffix = m->name + n + 1;
        const kin_tar_member **slot = kin_picture_name(m->name)         ? &now.picture
                                      : strcasecmp(suffix, "txt") == 0  ? &now.text
                                      : strcasecmp(suffix, "json") == 0 ? &now.json
                                                                        : NULL;
        const bool same = key && n == length && memcmp(key, m->name, (size_t)n) == 0;
        if (!same || (slot && *slot)) { /* a repeated suffix starts a new sample, as in open_clip */
            KIN_TRY(finish(cx, d, source, &now));
            now = (sample){.lines = lines};
        }
        key = m->name;
        length = n;
        if (slot) *slot = m;
    }
    return finish(cx, d, source, &now);
}

static kin_status read_shard(kin_ctx *cx, kin_dataset *d, const char *path)
{
    const int32_t source = kin_dataset_source(cx, d, path);
    if (source < 0) return cx->status;
    kin_tar_index index = {0};
    KIN_TRY(kin_tar_index_build(cx, path, d->source[source].map.bytes, d->source[source].map.size, &index));
    char *folder = kin_folder_of(cx, path);
    char *count = folder ? kin_sprintf(cx, "%s/nshards.txt", folder) : NULL;
    const bool lines = count && access(count, R_OK) == 0; /* CLIP_benchmark's own */
    const kin_status rc = count ? read_members(cx, d, source, &index, lines) : cx->status;
    free(folder);
    free(count);
    kin_tar_index_free(&index);
    return rc;
}

/* What a list of shards came to: files that a range names and that are not there are counted. */
typedef struct listing {
    int64_t named, missing;
    char first[256]; /* missing, its base name */
} listing;

static kin_status read_glob(kin_ctx *cx, kin_dataset *d, const char *pattern, bool range, listing *l)
{
    glob_t found = {0};
    const int rc = glob(pattern, 0, NULL, &found);
    l->named++;
    if (rc == GLOB_NOMATCH && range) {
        const char *slash = strrchr(pattern, '/');
        if (l->missing++ == 0) snprintf(l->first, sizeof l->first, "%s", slash ? slash + 1 : pattern);
        return KIN_OK;
    }
    if (rc == GLOB_NOMATCH) return kin_fail(cx, KIN_IO, "%s: there is no such file", pattern);
    if (rc) return kin_fail(cx, KIN_IO, "%s: its folder cannot be read", pattern);
    for (size_t i = 0; i < found.gl_pathc && cx->status == KIN_OK; i++) read_shard(cx, d, found.gl_pathv[i]);
    globfree(&found);
    return cx->status;
}

/* {000..012} and {a,b}, one pair of braces at a time, the rest by recursion. */
static kin_status read_braces(kin_ctx *cx, kin_dataset *d, const char *text, bool range, listing *l)
{
    enum { MOST = 1000000 };
    const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : NULL;
    if (open && !close)
        return kin_fail(cx, KIN_ARG, "%s: '{' without '}'; in a shell, put the list in quotes", text);
    if (!close) return read_glob(cx, d, text, range, l);
    const int before = (int)(open - text), inside = (int)(close - open - 1);
    char *end;
    const long long from = strtoll(open + 1, &end, 10);
    if (isdigit((unsigned char)open[1]) && strncmp(end, "..", 2) == 0) {
        const int width = (int)(end - open - 1);
        const long long to = strtoll(end + 2, &end, 10);
        if (end != close || to < from || to - from >= MOST)
            return kin_fail(cx, KIN_ARG, "%s: {%.*s} is not a range like {000..012}", text, inside, open + 1);
        for (long long i = from; i <= to && cx->status == KIN_OK; i++) {
            char *one = kin_sprintf(cx, "%.*s%0*lld%s", before, text, width, i, close + 1);
            if (one) read_braces(cx, d, one, true, l);
            free(one);
        }
        return cx->status;
    }
    for (const char *at = open + 1; at <= close && cx->status == KIN_OK;) {
        const int n = (int)strcspn(at, ",}");
        char *one = kin_sprintf(cx, "%.*s%.*s%s", before, text, n, at, close + 1);
        if (one) read_braces(cx, d, one, true, l);
        free(one);
        at += n + 1;
    }
    return cx->status;
}

static kin_status read_list(kin_ctx *cx, kin_dataset *d, const char *text)
{
    listing l = {0};
    KIN_TRY(read_braces(cx, d, text, false, &l));
    if (l.missing == 0) return KIN_OK;
    if (l.missing == l.named)
        return kin_fail(cx, KIN_IO, "shard list '%s' matched none of %lld files (first missing %s)", text,
                        (long long)l.named, l.first);
    kin_log(cx, KIN_WARN, "shard list '%s' matched %lld of %lld files (first missing %s)", text,
            (long long)(l.named - l.missing), (long long)l.named, l.first);
    return KIN_OK;
}

kin_status kin_webdataset_read(kin_ctx *cx, kin_dataset *d, const char *path)
{
    for (const char *at = path; cx->status == KIN_OK;) {
        const char *next = strstr(at, "::");
        char *one = kin_sprintf(cx, "%.*s", next ? (int)(next - at) : (int)strlen(at), at);
        if (one) read_list(cx, d, one);
        free(one);
        if (!next) break;
        at = next + 2;
    }
    if (cx->status != KIN_OK) return cx->status;
    kin_dataset_form(cx, d, "WebDataset, %lld tar shard%s", (long long)d->sources,
                     d->sources == 1 ? "" : "s");
    return cx->status;
}
