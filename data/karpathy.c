/* Karpathy's dataset_*.json (Karpathy & Fei-Fei 2015): pictures with splits and sentences. The pictures lie
 * in tars beside it (by the name of a member), or under its folder as FILEPATH/FILENAME, FILENAME or
 * images/FILENAME. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/json.h"
#include "data/dataset.h"
#include "data/tar.h"

#define JSON_LIMIT ((int64_t)1 << 30)

typedef struct place {
    char *name; /* base name of a member */
    int32_t source;
    int64_t at, size;
} place;

typedef struct places {
    place *list;
    int64_t count, room;
} places;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const place *)a)->name, ((const place *)b)->name);
}

static kin_status add_members(kin_ctx *cx, places *p, int32_t source, const kin_tar_index *index)
{
    for (int64_t i = 0; i < index->count; i++) {
        const kin_tar_member *m = &index->member[i];
        if (!kin_picture_name(m->name)) continue;
        if (p->count == p->room) {
            const int64_t room = p->room ? 2 * p->room : 1024;
            place *grown = kin_regrow(cx, p->list, room, sizeof *grown);
            if (!grown) return cx->status;
            p->list = grown;
            p->room = room;
        }
        const char *slash = strrchr(m->name, '/');
        char *name = kin_strdup(cx, slash ? slash + 1 : m->name);
        if (!name) return cx->status;
        p->list[p->count++] = (place){name, source, m->offset, m->size};
    }
    return KIN_OK;
}

/* All tars of the folder. */
static kin_status find_places(kin_ctx *cx, kin_dataset *d, const char *folder, places *p)
{
    char *pattern = kin_sprintf(cx, "%s/*.tar", folder);
    if (!pattern) return cx->status;
    glob_t found = {0};
    const int rc = glob(pattern, 0, NULL, &found);
    free(pattern);
    if (rc) return KIN_OK;
    for (size_t i = 0; i < found.gl_pathc && cx->status == KIN_OK; i++) {
        const int32_t source = kin_dataset_source(cx, d, found.gl_pathv[i]);
        if (source < 0) break;
        kin_tar_index index = {0};
        if (kin_tar_index_build(cx, found.gl_pathv[i], d->source[source].bytes, d->source[source].size,
                                &index) == KIN_OK)
            add_members(cx, p, source, &index);
        kin_tar_index_free(&index);
    }
    globfree(&found);
    if (p->count) qsort(p->list, (size_t)p->count, sizeof *p->list, by_name);
    return cx->status;
}

/* The path of a picture's own file, or NULL: owned by the caller. */
static char *find_file(kin_ctx *cx, const char *folder, const char *filepath, const char *filename)
{
    const char *const under[] = {filepath, ".", "images", "Images"};
    for (size_t i = 0; i < sizeof under / sizeof *under; i++) {
        if (!under[i]) continue;
        char *path = strcmp(under[i], ".") == 0 ? kin_sprintf(cx, "%s/%s", folder, filename)
                                                : kin_sprintf(cx, "%s/%s/%s", folder, under[i], filename);
        if (!path || access(path, R_OK) == 0) return path;
        free(path);
    }
    return NULL;
}

static bool wanted_split(const char *have, const char *want)
{
    if (strcmp(want, "all") == 0 || !*want) return true;
    return strcmp(have, want) == 0 || (strcmp(want, "train") == 0 && strcmp(have, "restval") == 0);
}

static kin_status read_image(kin_ctx *cx, kin_dataset *d, const char *folder, const places *p,
                             const json_t *v)
{
    const char *filename = kin_json_string(cx, v, "filename", NULL);
    if (!filename) return kin_fail(cx, KIN_FORMAT, "\"filename\" is missing");
    union {
        const char *in;
        char *out;
    } u = {.in = filename};
    const place want = {.name = u.out};
    const place *at = p->count ? bsearch(&want, p->list, (size_t)p->count, sizeof want, by_name) : NULL;
    char *path = at ? NULL : find_file(cx, folder, kin_json_string(cx, v, "filepath", NULL), filename);
    if (!at && !path) {
        d->skipped++;
        return cx->status;
    }
    if (at)
        kin_dataset_item(cx, d, filename, at->source, at->at, at->size);
    else
        kin_dataset_item(cx, d, path, -1, 0, 0);
    free(path);
    KIN_TRY(cx->status);
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(v, "sentences"), i, s)
    {
        const json_t *raw = json_object_get(s, "raw");
        if (!json_is_string(raw)) return kin_fail(cx, KIN_FORMAT, "%s: a sentence has no \"raw\"", filename);
        KIN_TRY(kin_dataset_caption(cx, d, json_string_value(raw), (int64_t)json_string_length(raw)));
    }
    if (d->item[d->items - 1].captions == 0) {
        d->items--;
        d->skipped++;
    }
    return KIN_OK;
}

/* Do any pictures belong to this split? Says which splits there are when none do. */
static kin_status check_split(kin_ctx *cx, const char *path, const json_t *images, const char *split)
{
    char there[200] = "";
    size_t i;
    const json_t *v;
    json_array_foreach(images, i, v)
    {
        const char *s = json_string_value(json_object_get(v, "split"));
        if (!s || wanted_split(s, split)) return KIN_OK;
        const size_t n = strlen(there);
        if (!strstr(there, s)) snprintf(there + n, sizeof there - n, "%s%s", n ? ", " : "", s);
    }
    return kin_fail(cx, KIN_ARG, "%s: no picture is in split '%s'; there are: %s", path, split, there);
}

kin_status kin_karpathy_read(kin_ctx *cx, kin_dataset *d, const char *path, const char *split)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? kin_sprintf(cx, "%.*s", (int)(slash - path), path) : kin_strdup(cx, ".");
    json_t *j = folder ? kin_json_load(cx, path, JSON_LIMIT) : NULL;
    const json_t *images = json_object_get(j, "images");
    places p = {0};
    if (j && !json_is_array(images))
        kin_fail(cx, KIN_FORMAT, "%s: no \"images\" list in it: not one of Karpathy's files", path);
    if (cx->status == KIN_OK) check_split(cx, path, images, split);
    if (cx->status == KIN_OK) find_places(cx, d, folder, &p);
    size_t i;
    const json_t *v;
    json_array_foreach(images, i, v)
    {
        if (cx->status != KIN_OK) break;
        const char *s = json_string_value(json_object_get(v, "split"));
        if (s && !wanted_split(s, split)) continue;
        if (read_image(cx, d, folder, &p, v) != KIN_OK) kin_within(cx, "%s: images[%zu]", path, i);
    }
    for (int64_t k = 0; k < p.count; k++) free(p.list[k].name);
    free(p.list);
    json_decref(j);
    free(folder);
    return cx->status;
}
