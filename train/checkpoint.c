#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/crc32c.h"
#include "core/file.h"
#include "core/safetensors.h"

/* Names of the regular files of a folder, sorted; entries are freed by the caller. */
static int regular(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static kin_status each_file(kin_ctx *cx, const char *folder,
                            kin_status (*visit)(kin_ctx *cx, const char *path, const char *name, void *user),
                            void *user)
{
    struct dirent **entry;
    const int n = scandir(folder, &entry, regular, alphasort);
    if (n < 0) return kin_fail(cx, KIN_IO, "%s: %s", folder, strerror(errno));
    kin_status rc = KIN_OK;
    for (int i = 0; i < n; i++) {
        char *path = kin_sprintf(cx, "%s/%s", folder, entry[i]->d_name);
        if (!path) rc = cx->status;
        if (rc == KIN_OK) rc = visit(cx, path, entry[i]->d_name, user);
        free(path);
        free(entry[i]);
    }
    free(entry);
    return rc;
}

static void add_crc(void *user, const void *bytes, size_t size)
{
    uint32_t *crc = user;
    *crc = kin_crc32c(*crc, bytes, size);
}

static kin_status crc_of(kin_ctx *cx, const char *path, uint32_t *crc)
{
    *crc = 0;
    return kin_read_parts(cx, path, add_crc, crc);
}

static kin_status note_crc(kin_ctx *cx, const char *path, const char *name, void *user)
{
    uint32_t crc;
    KIN_TRY(crc_of(cx, path, &crc));
    json_object_set_new(user, name, json_integer(crc));
    return KIN_OK;
}

/* The flat arrays of the optimiser by parameter: "m.visual.proj", ... in the writer's own order. */
typedef struct moment {
    char *name;
    float *at;
    int param;
} moment;

static int64_t list_moments(kin_ctx *cx, const kin_params *p, moment *list)
{
    int64_t n = 0;
    for (int i = 0; i < p->count; i++) {
        const kin_param *q = &p->param[i];
        const kin_flat *f = &p->flat[q->group];
        const struct {
            const char *prefix;
            void *base;
        } part[] = {{"m", f->m}, {"v", f->v}, {"ema", f->ema}};
        for (int k = 0; k < 3; k++) {
            if (!part[k].base) continue;
            list[n] = (moment){kin_sprintf(cx, "%s.%s", part[k].prefix, q->name),
                               (float *)part[k].base + q->offset, i};
            if (!list[n++].name) break;
        }
    }
    return n;
}

static void free_moments(moment *list, int64_t n)
{
    for (int64_t i = 0; i < n; i++) free(list[i].name);
    free(list);
}

/* A host buffer that holds the largest parameter. */
static float *room_for(kin_ctx *cx, const kin_params *p)
{
    int64_t most = 1;
    for (int i = 0; i < p->count; i++) most = kin_max64(most, p->param[i].count);
    return kin_alloc(cx, most, sizeof(float));
}

static const moment *named(const moment *list, int64_t n, const char *name)
{
    int64_t i = 0;
    while (i < n && strcmp(list[i].name, name) != 0) i++;
    return i < n ? &list[i] : NULL;
}

static kin_status write_moments(kin_ctx *cx, const kin_params *p, kin_st_writer *w, const moment *list,
                                int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const kin_shape *s = &p->param[list[i].param].shape;
        KIN_TRY(kin_st_writer_add(cx, w, list[i].name, KIN_F32, s->rank, s->dim));
    }
    KIN_TRY(kin_st_writer_begin(cx, w));
    float *room = room_for(cx, p);
    const char *name;
    kin_status rc = cx->status;
    for (int64_t k = 0; rc == KIN_OK && (name = kin_st_writer_at(w, k)); k++) {
        const moment *m = named(list, n, name);
        const int64_t bytes = p->param[m->param].count * (int64_t)sizeof *room;
        p->backend->download(p->backend, room, m->at, bytes);
        rc = kin_st_writer_data(cx, w, room, bytes);
    }
    free(room);
    return rc == KIN_OK ? kin_backend_check(cx, p->backend) : rc;
}

static kin_status save_moments(kin_ctx *cx, const kin_params *p, const char *path)
{
    moment *list = kin_alloc0(cx, 3 * (int64_t)p->count, sizeof *list);
    if (!list) return cx->status;
    const int64_t n = list_moments(cx, p, list);
    kin_st_writer *w = cx->status == KIN_OK ? kin_st_writer_new(cx, path) : NULL;
    kin_status rc = w ? write_moments(cx, p, w, list, n) : cx->status;
    if (rc == KIN_OK)
        rc = kin_st_writer_finish(cx, w);
    else
        kin_st_writer_abandon(w);
    free_moments(list, n);
    return rc;
}

static kin_status load_moments(kin_ctx *cx, const kin_params *p, const char *path)
{
    kin_st *st = kin_st_open(cx, path);
    moment *list = st ? kin_alloc0(cx, 3 * (int64_t)p->count, sizeof *list) : NULL;
    float *room = list ? room_for(cx, p) : NULL;
    const int64_t n = room ? list_moments(cx, p, list) : 0;
    for (int64_t i = 0; i < n && cx->status == KIN_OK; i++) {
        const kin_st_entry *e = kin_st_find(st, list[i].name);
        if (!e || e->count != p->param[list[i].param].count)
            kin_fail(cx, KIN_FORMAT,
                     "%s: %s is missing or of another shape: the run was made with other options", path,
                     list[i].name);
        else if (kin_st_read_f32(cx, e, room, e->count) == KIN_OK)
            p->backend->upload(p->backend, list[i].at, room, e->count * (int64_t)sizeof *room);
    }
    free(room);
    free_moments(list, n);
    kin_st_close(st);
    return cx->status;
}

static kin_status fill(kin_ctx *cx, const char *folder, const kin_model *m, const kin_optim *o,
                       const kin_state *state)
{
    KIN_TRY(kin_model_save(cx, m, folder, state == NULL));
    if (!state) return KIN_OK;
    char *path = kin_sprintf(cx, "%s/training.safetensors", folder);
    if (path) save_moments(cx, m->params, path);
    free(path);
    json_t *files = json_object();
    if (cx->status == KIN_OK) each_file(cx, folder, note_crc, files);
    json_t *json = json_pack("{s:I, s:I, s:f, s:I, s:O, s:o}", "step", (json_int_t)state->step, "updates",
                             (json_int_t)o->step, "best", state->best, "best_step",
                             (json_int_t)state->best_step, "loader", state->loader, "files", files);
    path = kin_sprintf(cx, "%s/training.json", folder);
    if (cx->status == KIN_OK && json && path) kin_json_save(cx, path, json);
    json_decref(json);
    free(path);
    return cx->status;
}

static kin_status remove_file(kin_ctx *cx, const char *path, const char *name, void *user)
{
    (void)name;
    (void)user;
    return unlink(path) == 0 ? KIN_OK : kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
}

static kin_status remove_folder(kin_ctx *cx, const char *folder)
{
    if (access(folder, F_OK) != 0) return KIN_OK;
    KIN_TRY(each_file(cx, folder, remove_file, NULL));
    return rmdir(folder) == 0 ? KIN_OK : kin_fail(cx, KIN_IO, "%s: %s", folder, strerror(errno));
}

/* The new folder takes the old one's place in one step; the old one, now under the new one's name, goes. */
static kin_status exchange(kin_ctx *cx, const char *fresh, const char *place)
{
    if (access(place, F_OK) != 0) {
        if (rename(fresh, place) == 0) return KIN_OK;
        return kin_fail(cx, KIN_IO, "%s: %s", place, strerror(errno));
    }
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, place, RENAME_EXCHANGE) != 0)
        return kin_fail(cx, KIN_IO, "%s: %s (the checkpoint is complete in %s)", place, strerror(errno),
                        fresh);
    return remove_folder(cx, fresh);
}

kin_status kin_checkpoint_save(kin_ctx *cx, const char *run, const char *name, const kin_model *m,
                               const kin_optim *o, const kin_state *state)
{
    char *place = kin_sprintf(cx, "%s/%s", run, name), *fresh = kin_sprintf(cx, "%s/%s.new", run, name);
    kin_status rc = place && fresh ? remove_folder(cx, fresh) : cx->status;
    if (rc == KIN_OK) rc = kin_make_dirs(cx, fresh);
    if (rc == KIN_OK) rc = fill(cx, fresh, m, o, state);
    if (rc == KIN_OK) rc = exchange(cx, fresh, place);
    free(place);
    free(fresh);
    return rc;
}

static kin_status check_files(kin_ctx *cx, const char *folder, const json_t *files)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)files, name, value)
    {
        if (strchr(name, '/')) return kin_fail(cx, KIN_FORMAT, "%s: a file called '%s'", folder, name);
        char *path = kin_sprintf(cx, "%s/%s", folder, name);
        uint32_t crc = 0;
        if (path) crc_of(cx, path, &crc);
        free(path);
        if (cx->status != KIN_OK) return cx->status;
        if ((json_int_t)crc != json_integer_value(value))
            return kin_fail(cx, KIN_FORMAT, "%s/%s is damaged: its CRC-32C is %08x, it was written with %08x",
                            folder, name, crc, (unsigned)json_integer_value(value));
    }
    return KIN_OK;
}

static kin_status load_from(kin_ctx *cx, const char *folder, const json_t *json, kin_model *m, kin_optim *o,
                            kin_state *state)
{
    KIN_TRY(check_files(cx, folder, json_object_get(json, "files")));
    char *weights = kin_sprintf(cx, "%s/model.safetensors", folder);
    char *moments = kin_sprintf(cx, "%s/training.safetensors", folder);
    /* Weights first: setting a weight also sets its average, which the moments file then corrects. */
    if (weights && moments && kin_model_weights(cx, m->params, weights) == KIN_OK)
        load_moments(cx, m->params, moments);
    free(weights);
    free(moments);
    KIN_TRY(cx->status);
    state->step = kin_json_int(cx, json, "step", 0, 0, INT64_MAX);
    o->step = kin_json_int(cx, json, "updates", 0, 0, INT64_MAX);
    state->best = kin_json_real(cx, json, "best", -1.0);
    state->best_step = kin_json_int(cx, json, "best_step", 0, 0, INT64_MAX);
    json_decref(state->loader);
    state->loader = json_incref(json_object_get(json, "loader"));
    return cx->status;
}

kin_status kin_checkpoint_load(kin_ctx *cx, const char *run, kin_model *m, kin_optim *o, kin_state *state)
{
    char *folder = kin_sprintf(cx, "%s/last", run);
    char *path = folder ? kin_sprintf(cx, "%s/training.json", folder) : NULL;
    json_t *json = path ? kin_json_load(cx, path, 64 << 20) : NULL;
    const kin_status rc = json ? load_from(cx, folder, json, m, o, state) : cx->status;
    json_decref(json);
    free(path);
    free(folder);
    return rc;
}

static void add_hash(void *user, const void *bytes, size_t size)
{
    uint64_t *hash = user;
    *hash = kin_fnv(*hash, bytes, size);
}

static kin_status mix(kin_ctx *cx, const char *path, const char *name, void *user)
{
    add_hash(user, name, strlen(name) + 1);
    return kin_read_parts(cx, path, add_hash, user);
}

kin_status kin_checkpoint_hash(kin_ctx *cx, const char *folder, uint64_t *hash)
{
    *hash = KIN_FNV;
    return each_file(cx, folder, mix, hash);
}
