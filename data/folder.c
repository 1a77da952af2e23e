/* Folder: a.jpg with a.txt beside it, sub-folders too, in order of their names. */
#include <fts.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

enum { TEXT_LIMIT = 1 << 20 };

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static kin_status read_picture(kin_ctx *cx, kin_dataset *d, const char *path)
{
    const char *dot = strrchr(path, '.');
    char *beside = kin_sprintf(cx, "%.*s.txt", (int)(dot - path), path);
    uint8_t *text = NULL;
    int64_t size = 0;
    if (!beside) return cx->status;
    const bool there = kin_read_file(cx, beside, TEXT_LIMIT, &text, &size) == KIN_OK;
    free(beside);
    if (!there) { /* a picture without a caption */
        kin_clear(cx);
        if (d->bare) return kin_dataset_item(cx, d, path, -1, 0, 0);
        d->skipped++;
        return KIN_OK;
    }
    kin_dataset_item(cx, d, path, -1, 0, 0);
    if (cx->status == KIN_OK)
        kin_dataset_caption(cx, d, (const char *)text, (int64_t)strnlen((const char *)text, (size_t)size));
    free(text);
    if (cx->status == KIN_OK && d->item[d->items - 1].captions == 0 && !d->bare) {
        d->items--;
        d->skipped++;
    }
    return cx->status;
}

kin_status kin_folder_read(kin_ctx *cx, kin_dataset *d, const char *path)
{
    char *copy = kin_strdup(cx, path);
    if (!copy) return cx->status;
    char *roots[] = {copy, NULL};
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    for (FTSENT *e; walk && cx->status == KIN_OK && (e = fts_read(walk));)
        if (e->fts_info == FTS_F && kin_picture_name(e->fts_name)) read_picture(cx, d, e->fts_path);
    if (walk) fts_close(walk);
    free(copy);
    if (!walk) return kin_fail(cx, KIN_IO, "%s: the folder cannot be read", path);
    return cx->status;
}
