#include "data/places.h"

#include <dirent.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/tar.h"

enum { FOLDERS = 1024, DEEP = 2 };

/* Names and what they stand for: open addressing, at most half full. */
typedef struct entry {
    const char *name; /* the dataset's own memory */
    int32_t source;   /* of an archive's member */
    int64_t at, size; /* of a member; at: else the item, -1 when it is not there */
} entry;

typedef struct table {
    entry *slot;
    int64_t room, used;
} table;

struct kin_places {
    kin_dataset *d;
    table member, known; /* base names in archives; names asked for */
    char *folder[FOLDERS];
    int64_t folders, last; /* last: where the newest picture was found */
    bool here_first;
    char *home;           /* of the table or the JSON */
    bool unpacked, above; /* packed archives were opened; tars beside the parent were */
};

static entry *find(const table *t, const char *name)
{
    int64_t i = (int64_t)(kin_fnv(KIN_FNV, name, strlen(name)) & (uint64_t)(t->room - 1));
    while (t->slot[i].name && strcmp(t->slot[i].name, name) != 0) i = (i + 1) & (t->room - 1);
    return &t->slot[i];
}

/* The slot of a name, which is there or free to be filled in. */
static entry *slot_of(kin_ctx *cx, table *t, const char *name)
{
    if (2 * t->used >= t->room) {
        table grown = {.room = t->room ? 2 * t->room : 1024, .used = t->used};
        grown.slot = kin_alloc0(cx, grown.room, sizeof *grown.slot);
        if (!grown.slot) return NULL;
        for (int64_t i = 0; i < t->room; i++)
            if (t->slot[i].name) *find(&grown, t->slot[i].name) = t->slot[i];
        free(t->slot);
        *t = grown;
    }
    return find(t, name);
}

static entry *fill(kin_ctx *cx, kin_dataset *d, table *t, entry *e, const char *name, const entry *value)
{
    const char *kept = kin_dataset_text(cx, d, name, (int64_t)strlen(name));
    if (!kept) return NULL;
    *e = *value;
    e->name = kept;
    t->used++;
    return e;
}

static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static kin_status add_archive(kin_ctx *cx, kin_places *p, const char *path)
{
    const int32_t source = kin_dataset_source(cx, p->d, path);
    if (source < 0) return cx->status;
    kin_tar_index index = {0};
    const kin_map *map = &p->d->source[source].map;
    if (kin_tar_index_build(cx, path, map->bytes, map->size, &index) == KIN_OK) {
        for (int64_t i = 0; i < index.count && cx->status == KIN_OK; i++) {
            const kin_tar_member *m = &index.member[i];
            if (!kin_picture_name(m->name)) continue;
            entry *e = slot_of(cx, &p->member, base(m->name));
            if (e && !e->name)
                fill(cx, p->d, &p->member, e, base(m->name), &(entry){NULL, source, m->offset, m->size});
        }
    }
    kin_tar_index_free(&index);
    return cx->status;
}

static kin_status add_folder(kin_ctx *cx, kin_places *p, const char *path, int deep)
{
    if (p->folders == FOLDERS) return KIN_OK;
    p->folder[p->folders] = kin_strdup(cx, path);
    if (!p->folder[p->folders]) return cx->status;
    p->folders++;
    struct dirent **names = NULL;
    const int n = deep > 0 ? scandir(path, &names, NULL, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        if (names[i]->d_type != DT_REG && *names[i]->d_name != '.' && cx->status == KIN_OK) {
            char *inner = kin_sprintf(cx, "%s/%s/.", path, names[i]->d_name);
            if (inner && access(inner, X_OK) == 0) {
                inner[strlen(inner) - 2] = '\0';
                add_folder(cx, p, inner, deep - 1);
            }
            free(inner);
        }
        free(names[i]);
    }
    free(names);
    return cx->status;
}

/* An archive that nobody named: it may have nothing to do with the table, so what is wrong with it is only
 * told. */
static kin_status try_archive(kin_ctx *cx, kin_places *p, const char *path)
{
    kin_ctx quiet = {0};
    add_archive(&quiet, p, path);
    if (quiet.status == KIN_NOMEM) return kin_fail(cx, KIN_NOMEM, "%s", quiet.message);
    if (quiet.status != KIN_OK)
        kin_log(cx, KIN_WARN, "an archive is passed over, looking for pictures: %s", quiet.message);
    return KIN_OK;
}

static kin_status add_archives(kin_ctx *cx, kin_places *p, const char *folder, const char *end,
                               kin_status (*add)(kin_ctx *cx, kin_places *p, const char *path))
{
    char *pattern = kin_sprintf(cx, "%s/*%s", folder, end);
    glob_t found = {0};
    const int rc = pattern ? glob(pattern, 0, NULL, &found) : GLOB_NOMATCH;
    free(pattern);
    if (rc) return cx->status;
    for (size_t i = 0; i < found.gl_pathc && cx->status == KIN_OK; i++) add(cx, p, found.gl_pathv[i]);
    globfree(&found);
    return cx->status;
}

static kin_status look_around(kin_ctx *cx, kin_places *p, const char *folder)
{
    KIN_TRY(add_folder(cx, p, folder, DEEP));
    char *parent = kin_ends(folder, "annotations") ? kin_sprintf(cx, "%s/..", folder) : NULL;
    if (parent) add_folder(cx, p, parent, DEEP);
    free(parent);
    KIN_TRY(cx->status);
    return add_archives(cx, p, folder, ".tar", add_archive);
}

/* When a picture is missing: packed archives there; and when there is none at all, tars one folder up. False:
 * there is nothing more to look at. */
static bool look_further(kin_ctx *cx, kin_places *p)
{
    if (!p->unpacked) {
        p->unpacked = true;
        return add_archives(cx, p, p->home, ".tar.gz", try_archive) == KIN_OK &&
               add_archives(cx, p, p->home, ".tgz", try_archive) == KIN_OK;
    }
    if (p->above || p->d->items > 0) return false;
    p->above = true;
    char *parent = kin_sprintf(cx, "%s/..", p->home);
    if (parent) add_archives(cx, p, parent, ".tar", try_archive);
    free(parent);
    return cx->status == KIN_OK;
}

kin_places *kin_places_open(kin_ctx *cx, kin_dataset *d, const char *file, bool here_first)
{
    kin_places *p = kin_alloc0(cx, 1, sizeof *p);
    if (!p) return NULL;
    p->d = d;
    p->here_first = here_first;
    p->home = kin_folder_of(cx, file);
    if (p->home) look_around(cx, p, p->home);
    if (cx->status == KIN_OK) return p;
    kin_places_close(p);
    return NULL;
}

void kin_places_close(kin_places *p)
{
    if (!p) return;
    for (int64_t i = 0; i < p->folders; i++) free(p->folder[i]);
    free(p->home);
    free(p->member.slot);
    free(p->known.slot);
    free(p);
}

/* FOLDER/UNDER/NAME if it is there; under NULL: FOLDER/NAME. Owned by the caller. */
static char *there(kin_ctx *cx, const char *folder, const char *under, const char *name)
{
    char *path =
        under ? kin_sprintf(cx, "%s/%s/%s", folder, under, name) : kin_sprintf(cx, "%s/%s", folder, name);
    if (path && access(path, R_OK) == 0) return path;
    free(path);
    return NULL;
}

static char *find_file(kin_ctx *cx, kin_places *p, const char *under, const char *name)
{
    char *path = NULL;
    if (*name == '/' || p->here_first) {
        if (access(name, R_OK) == 0) return kin_strdup(cx, name);
        if (*name == '/') return NULL;
    }
    for (int64_t i = 0; under && !path && i < p->folders && cx->status == KIN_OK; i++)
        path = there(cx, p->folder[i], under, name);
    if (!path && p->folders) path = there(cx, p->folder[p->last], NULL, name);
    for (int64_t i = 0; !path && i < p->folders && cx->status == KIN_OK; i++)
        if ((path = there(cx, p->folder[i], NULL, name))) p->last = i;
    if (!path && access(name, R_OK) == 0) path = kin_strdup(cx, name);
    return path;
}

/* A new item, or one passed over: its number, -1 without one. */
static int64_t locate(kin_ctx *cx, kin_places *p, const char *folder, const char *name)
{
    const entry *m;
    char *path;
    do {
        m = p->member.room ? find(&p->member, base(name)) : NULL;
        path = m && m->name ? NULL : find_file(cx, p, folder, name);
    } while (cx->status == KIN_OK && !path && !(m && m->name) && look_further(cx, p));
    if (cx->status != KIN_OK) return -1;
    if (m && m->name)
        kin_dataset_item(cx, p->d, name, m->source, m->at, m->size);
    else if (path)
        kin_dataset_item(cx, p->d, path, -1, 0, 0);
    else if (cx->status == KIN_OK)
        kin_dataset_skip(cx, p->d, name, KIN_LACK_PICTURE);
    const bool found = path || (m && m->name);
    free(path);
    return found && cx->status == KIN_OK ? p->d->items - 1 : -1;
}

int64_t kin_places_item(kin_ctx *cx, kin_places *p, const char *folder, const char *name)
{
    char *full = folder ? kin_sprintf(cx, "%s/%s", folder, name) : kin_strdup(cx, name);
    entry *e = full ? slot_of(cx, &p->known, full) : NULL;
    int64_t item = -1;
    if (e && e->name) {
        item = e->at;
    } else if (e) {
        item = locate(cx, p, folder, name);
        if (cx->status == KIN_OK) fill(cx, p->d, &p->known, e, full, &(entry){.at = item});
    }
    free(full);
    return cx->status == KIN_OK ? item : -1;
}
