/* Folder: a.jpg with a.txt (or a.caption) beside it, sub-folders too, in order of their names. When no
 * picture has either, the names of the sub-folders are the captions: golden_retriever/17.jpg. */
#include <fts.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

enum { TEXT_LIMIT = 1 << 20 };

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The text beside a picture, owned by the caller; NULL: there is none. */
static uint8_t *text_beside(kin_ctx *cx, const char *path, int64_t *size)
{
    static const char *const ends[] = {"txt", "caption"};
    uint8_t *text = NULL;
    for (size_t i = 0; i < 2 && !text && cx->status == KIN_OK; i++) {
        char *beside = kin_sprintf(cx, "%.*s.%s", (int)(strrchr(path, '.') - path), path, ends[i]);
        if (!beside) return NULL;
        if (kin_read_file(cx, beside, TEXT_LIMIT, &text, size) != KIN_OK && cx->status == KIN_IO)
            kin_clear(cx);
        free(beside);
    }
    return text;
}

static kin_status read_picture(kin_ctx *cx, kin_dataset *d, const char *path)
{
    int64_t size = 0;
    uint8_t *text = text_beside(cx, path, &size);
    if (cx->status == KIN_OK) kin_dataset_item(cx, d, path, -1, 0, 0);
    if (cx->status == KIN_OK && text)
        kin_dataset_caption(cx, d, (const char *)text, (int64_t)strnlen((const char *)text, (size_t)size));
    free(text);
    return cx->status;
}

/* Every picture's folder says what is on it: "_" is a blank. */
static kin_status name_by_folder(kin_ctx *cx, kin_dataset *d, const char *root)
{
    for (int64_t i = 0; i < d->items; i++) {
        const char *name = d->item[i].name, *end = strrchr(name, '/');
        const char *start = end;
        while (start > name && start[-1] != '/') start--;
        if (!end || (size_t)(end - name) <= strlen(root)) continue; /* in the root itself */
        char *words = kin_sprintf(cx, "%.*s", (int)(end - start), start);
        for (char *p = words; p && *p; p++)
            if (*p == '_') *p = ' ';
        if (words) kin_dataset_caption_of(cx, d, i, words, (int64_t)strlen(words));
        free(words);
        KIN_TRY(cx->status);
    }
    return KIN_OK;
}

kin_status kin_folder_read(kin_ctx *cx, kin_dataset *d, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    char *root = kin_sprintf(cx, "%.*s", (int)n, path);
    if (!root) return cx->status;
    char *roots[] = {root, NULL};
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    for (FTSENT *e; walk && cx->status == KIN_OK && (e = fts_read(walk));) {
        if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
            kin_log(cx, KIN_WARN, "%s: left out, it cannot be read: %s", e->fts_path, strerror(e->fts_errno));
        if (e->fts_info != FTS_F || *e->fts_name == '.') continue; /* hidden: ._x.jpg of other systems */
        if (kin_picture_name(e->fts_name)) read_picture(cx, d, e->fts_path);
        if (kin_foreign_picture_name(e->fts_name)) kin_dataset_skip(cx, d, e->fts_path, KIN_LACK_FORMAT);
    }
    if (walk)
        fts_close(walk);
    else
        kin_fail(cx, KIN_IO, "%s: the folder cannot be read", path);
    kin_dataset_form(cx, d, "folder of pictures, a .txt beside each");
    if (cx->status == KIN_OK && d->captions == 0 && !d->bare) {
        name_by_folder(cx, d, root);
        if (d->captions > 0) {
            kin_dataset_form(cx, d, "folder of pictures, the names of its sub-folders as captions");
            kin_log(cx, KIN_WARN,
                    "%s: no picture has a .txt beside it: the names of the sub-folders are the captions",
                    path);
        }
    }
    free(root);
    return cx->status == KIN_OK ? kin_dataset_group(cx, d) : cx->status;
}
