/* Writes a split as Karpathy's JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/check.h"

/* The name under which a reader of `folder` finds the picture; owned by the caller. */
static char *name_from(kin_ctx *cx, const kin_item *it, const char *folder)
{
    if (it->source >= 0) {
        const char *slash = strrchr(it->name, '/');
        return kin_strdup(cx, slash ? slash + 1 : it->name);
    }
    char *full = realpath(it->name, NULL);
    if (!full) {
        kin_fail(cx, KIN_IO, "%s: %s", it->name, strerror(errno));
        return NULL;
    }
    const size_t n = strlen(folder);
    char *name = kin_strdup(cx, strncmp(full, folder, n) == 0 && full[n] == '/' ? full + n + 1 : full);
    free(full);
    return name;
}

static json_t *entry(kin_ctx *cx, const kin_dataset *d, int64_t i, const char *split, const char *folder)
{
    const kin_item *it = &d->item[i];
    char *name = name_from(cx, it, folder);
    json_t *sentences = json_array(), *file = name ? json_string(name) : NULL;
    bool good = file != NULL;
    if (name && !file) kin_fail(cx, KIN_FORMAT, "%s: JSON cannot hold a name that is not UTF-8", name);
    free(name);
    for (int64_t k = it->caption; k < it->caption + it->captions; k++) {
        json_t *s = json_pack("{s:s, s:I, s:I}", "raw", d->caption[k], "imgid", (json_int_t)i, "sentid",
                              (json_int_t)k);
        good &= s != NULL;
        json_array_append_new(sentences, s);
    }
    if (!good && cx->status == KIN_OK)
        kin_fail(cx, KIN_FORMAT, "%s: a caption is not UTF-8, which JSON must be", it->name);
    json_t *v = json_pack("{s:o*, s:I, s:s, s:o}", "filename", file, "imgid", (json_int_t)i, "split", split,
                          "sentences", sentences);
    return v;
}

static kin_status beside_tars(kin_ctx *cx, const kin_dataset *d, const char *folder)
{
    for (int64_t i = 0; i < d->sources && cx->status == KIN_OK; i++) {
        char *its = kin_folder_of(cx, d->source[i].path);
        char *full = its ? realpath(its, NULL) : NULL;
        if (full && strcmp(full, folder) != 0)
            kin_fail(cx, KIN_ARG, "the split names pictures in tars: write it into their folder, %s", its);
        free(its);
        free(full);
    }
    return cx->status;
}

kin_status kin_split_save(kin_ctx *cx, const kin_dataset *d, const uint8_t *split, const char *path)
{
    static const char *const names[] = {"train", "val", "test"};
    char *where = kin_folder_of(cx, path), *folder = where ? realpath(where, NULL) : NULL;
    json_t *images = json_array();
    if (where && !folder) kin_fail(cx, KIN_IO, "%s: %s", where, strerror(errno));
    if (folder) beside_tars(cx, d, folder);
    for (int64_t i = 0; i < d->items && cx->status == KIN_OK; i++)
        json_array_append_new(images, entry(cx, d, i, names[split[i]], folder));
    json_t *all = json_pack("{s:s, s:o}", "dataset", "kin", "images", images);
    if (cx->status == KIN_OK) kin_json_save(cx, path, all);
    json_decref(all);
    free(where);
    free(folder);
    return cx->status;
}
