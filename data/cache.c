#include "data/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    HEAD = 1 << 16, /* bytes of a file in which its size is looked for first */
    SAMPLES = 8     /* pictures decoded to say how long all will take */
};

static const char magic[8] = {'k', 'i', 'n', 'p', 'i', 'c', 's', '1'};

typedef struct header {
    char magic[8];
    uint64_t key;
    int64_t items, bytes;
    uint64_t digest; /* of the index */
    char zero[24];
} header;

typedef struct entry {
    int64_t at;
    int32_t width, height; /* kept; 0: nothing is */
    int32_t full_width, full_height;
} entry;

struct kin_cache {
    kin_cache_cfg cfg;
    bool memory;
    uint64_t key;
    char *path;
    uint8_t *bytes; /* the mapped whole; NULL: not made */
    int64_t size;
    /* while it is made */
    entry *index;
    int64_t next;
    pthread_mutex_t lock;
    kin_ctx trouble;
};

/* ---- what it is of ------------------------------------------------------------------------------ */

static bool whole(const kin_cache *c)
{
    return c->cfg.augment.crop_min < 1.0;
}

static kin_status digest_file(kin_ctx *cx, const char *path, uint64_t *h)
{
    struct stat st;
    if (stat(path, &st) != 0) return kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
    const int64_t of[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    *h = kin_fnv(kin_fnv(*h, path, strlen(path) + 1), of, sizeof of);
    return KIN_OK;
}

/* A file that is not there has no time of change, and is left to the decoder to complain about. */
static kin_status make_key(kin_ctx *cx, kin_cache *c)
{
    const kin_dataset *d = c->cfg.data;
    const kin_preprocess *p = &c->cfg.preprocess;
    const int64_t of[] = {p->height, p->width, p->interpolation, p->mode,
                          p->fill,   whole(c), c->cfg.side,      d->items};
    uint64_t h = kin_fnv(kin_fnv(KIN_FNV, magic, sizeof magic), of, sizeof of);
    for (int64_t i = 0; i < d->sources; i++) {
        const kin_source *s = &d->source[i];
        if (s->made) /* a pure function of its name */
            h = kin_fnv(h, s->path, strlen(s->path) + 1);
        else
            KIN_TRY(digest_file(cx, s->path, &h));
    }
    for (int64_t i = 0; i < d->items; i++) {
        const kin_item *item = &d->item[i];
        const int64_t place[] = {item->source, item->at, item->size};
        kin_ctx mine = {0};
        if (item->source < 0) digest_file(&mine, item->name, &h);
        h = kin_fnv(kin_fnv(h, item->name, strlen(item->name) + 1), place, sizeof place);
    }
    c->key = h;
    return KIN_OK;
}

/* ---- what it costs ------------------------------------------------------------------------------ */

/* A picture's size out of the beginning of its file, or of all of it. */
static bool size_of(const kin_dataset *d, int64_t item, int64_t *width, int64_t *height)
{
    const kin_item *it = &d->item[item];
    uint8_t head[HEAD];
    kin_ctx cx = {0};
    if (it->source < 0) {
        const int fd = open(it->name, O_RDONLY | O_CLOEXEC);
        const ssize_t n = fd >= 0 ? read(fd, head, sizeof head) : 0;
        if (fd >= 0) close(fd);
        if (n > 0 && kin_image_measure(head, n, width, height)) return true;
    }
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    if (kin_dataset_bytes(&cx, d, item, &bytes, &size, &own) != KIN_OK) return false;
    const bool known = kin_image_measure(bytes, size, width, height);
    free(own);
    return known;
}

static int64_t align(int64_t n)
{
    return (n + 63) / 64 * 64;
}

/* Kept sides of a picture: the model's, or its own made small. */
static void kept(const kin_cache *c, entry *e)
{
    const int64_t w = e->full_width, h = e->full_height, least = kin_min64(w, h), side = c->cfg.side;
    e->width = whole(c) ? e->full_width : (int32_t)c->cfg.preprocess.width;
    e->height = whole(c) ? e->full_height : (int32_t)c->cfg.preprocess.height;
    if (!whole(c) || least <= side) return;
    e->width = (int32_t)(w == least ? side : kin_max64(1, (w * side + least / 2) / least));
    e->height = (int32_t)(h == least ? side : kin_max64(1, (h * side + least / 2) / least));
}

static kin_status measure(kin_ctx *cx, kin_cache *c)
{
    const kin_dataset *d = c->cfg.data;
    c->index = kin_alloc0(cx, d->items, sizeof *c->index);
    if (!c->index) return cx->status;
    c->size = align((int64_t)sizeof(header) + d->items * (int64_t)sizeof(entry));
    for (int64_t i = 0; i < d->items; i++) {
        entry *e = &c->index[i];
        int64_t w, h, pixels;
        if (!size_of(d, i, &w, &h) || !kin_mul(w, h, &pixels) || pixels > KIN_MAX_IMAGE_PIXELS) continue;
        e->full_width = (int32_t)w;
        e->full_height = (int32_t)h;
        kept(c, e);
        e->at = c->size;
        if (!kin_sum(c->size, align((int64_t)e->width * e->height * 3), &c->size))
            return kin_fail(cx, KIN_ARG, "the cache of %lld pictures is too large", (long long)d->items);
    }
    return KIN_OK;
}

/* ---- one picture -------------------------------------------------------------------------------- */

static kin_status shrink_into(kin_ctx *cx, const kin_cache *c, const kin_image *in, const entry *e,
                              uint8_t *out)
{
    const kin_preprocess *p = &c->cfg.preprocess;
    const kin_rect all = {0, 0, in->width, in->height};
    if (in->width != e->full_width || in->height != e->full_height)
        return kin_fail(cx, KIN_FORMAT, "its header says another size than its pixels have");
    if (!whole(c)) return kin_preprocess_image(cx, p, in, out);
    return kin_resize(cx, in, all, e->width, e->height, p->interpolation, out);
}

static kin_status make_picture(kin_ctx *cx, const kin_cache *c, int64_t item, uint8_t *out)
{
    const kin_dataset *d = c->cfg.data;
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    kin_image image = {0};
    KIN_TRY(kin_dataset_bytes(cx, d, item, &bytes, &size, &own));
    kin_status rc = kin_image_decode(cx, d->item[item].name, bytes, size, KIN_MAX_IMAGE_PIXELS, &image);
    free(own);
    if (rc == KIN_OK) rc = shrink_into(cx, c, &image, &c->index[item], out);
    kin_image_free(&image);
    return rc;
}

static bool of_data(kin_status s)
{
    return s == KIN_FORMAT || s == KIN_UNSUPPORTED || s == KIN_IO;
}

/* Takes item after item until none is left or something is wrong that is not a picture. */
static void *work(void *arg)
{
    kin_cache *c = arg;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        const int64_t i = c->trouble.status == KIN_OK ? c->next++ : c->cfg.data->items;
        pthread_mutex_unlock(&c->lock);
        if (i >= c->cfg.data->items) return NULL;
        entry *e = &c->index[i];
        kin_ctx mine = {0};
        if (e->width == 0 || make_picture(&mine, c, i, c->bytes + e->at) == KIN_OK) continue;
        e->width = e->height = 0; /* the loader will say what is wrong with it */
        if (of_data(mine.status)) continue;
        pthread_mutex_lock(&c->lock);
        if (c->trouble.status == KIN_OK) c->trouble = mine;
        pthread_mutex_unlock(&c->lock);
    }
}

static int64_t threads_of(const kin_cache *c)
{
    const int64_t most = c->cfg.threads > 0 ? c->cfg.threads : sysconf(_SC_NPROCESSORS_ONLN);
    return kin_max64(1, kin_min64(most, c->cfg.data->items));
}

static kin_status make_all(kin_ctx *cx, kin_cache *c)
{
    const int64_t threads = threads_of(c);
    pthread_t *thread = kin_alloc(cx, threads, sizeof *thread);
    int64_t n = 0;
    if (!thread) return cx->status;
    c->next = 0;
    pthread_mutex_init(&c->lock, NULL);
    while (n < threads - 1 && pthread_create(&thread[n], NULL, work, c) == 0) n++;
    work(c);
    while (n > 0) pthread_join(thread[--n], NULL);
    pthread_mutex_destroy(&c->lock);
    free(thread);
    if (c->trouble.status != KIN_OK) return kin_fail(cx, c->trouble.status, "%s", c->trouble.message);
    const header h = {.key = c->key,
                      .items = c->cfg.data->items,
                      .bytes = c->size,
                      .digest = kin_fnv(KIN_FNV, c->index, (size_t)c->cfg.data->items * sizeof *c->index)};
    memcpy(c->bytes, &h, sizeof h);
    memcpy(c->bytes, magic, sizeof magic);
    memcpy(c->bytes + sizeof h, c->index, (size_t)c->cfg.data->items * sizeof *c->index);
    return KIN_OK;
}

/* Seconds that making all will take, by those of a few. */
static double foresee(const kin_cache *c)
{
    const int64_t items = c->cfg.data->items, step = kin_max64(1, items / SAMPLES);
    double spent = 0.0;
    int64_t made = 0;
    for (int64_t i = 0; i < items; i += step) {
        const entry *e = &c->index[i];
        kin_ctx mine = {0};
        uint8_t *out = e->width ? kin_alloc(&mine, (int64_t)e->width * e->height, 3) : NULL;
        const double began = kin_now();
        if (out && make_picture(&mine, c, i, out) == KIN_OK) made++;
        spent += kin_now() - began;
        free(out);
    }
    return made ? spent / (double)made * (double)items / (double)threads_of(c) : 0.0;
}

static void tell_cost(kin_ctx *cx, const kin_cache *c, int64_t room)
{
    char what[64], there[64] = "";
    if (whole(c))
        snprintf(what, sizeof what, "shortest side %lld at most", (long long)c->cfg.side);
    else
        snprintf(what, sizeof what, "%lld x %lld, as the model sees them", (long long)c->cfg.preprocess.width,
                 (long long)c->cfg.preprocess.height);
    if (room > 0) snprintf(there, sizeof there, " (%.1f MB are free there)", (double)room / 1e6);
    kin_log(cx, KIN_INFO, "cache: %lld pictures decoded once, %s: %.1f MB in %s%s, about %.1f s",
            (long long)c->cfg.data->items, what, (double)c->size / 1e6, c->memory ? "memory" : c->path, there,
            foresee(c));
}

/* ---- in memory ---------------------------------------------------------------------------------- */

static kin_status in_memory(kin_ctx *cx, kin_cache *c)
{
    const int64_t room = c->cfg.memory;
    KIN_TRY(measure(cx, c));
    if (c->cfg.look) return KIN_OK;
    if (room > 0 && c->size > room)
        return kin_fail(cx, KIN_NOMEM,
                        "cache = memory: it takes %.1f MB and %.1f MB are free; give a folder, a smaller "
                        "cache-side, or none",
                        (double)c->size / 1e6, (double)room / 1e6);
    void *p = mmap(NULL, (size_t)c->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return kin_fail(cx, KIN_NOMEM, "cache = memory: %.1f MB: %s", (double)c->size / 1e6, strerror(errno));
    c->bytes = p;
    tell_cost(cx, c, room);
    return make_all(cx, c);
}

/* ---- in a file ---------------------------------------------------------------------------------- */

/* Is it what it should be, to the last byte of its index? */
static bool sound(const kin_cache *c, const kin_map *map)
{
    const int64_t items = c->cfg.data->items, from = (int64_t)sizeof(header) + items * (int64_t)sizeof(entry);
    header h;
    if (map->size < from) return false;
    memcpy(&h, map->bytes, sizeof h);
    const entry *index = (const entry *)(const void *)(map->bytes + sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.key != c->key || h.items != items ||
        h.bytes != map->size || h.digest != kin_fnv(KIN_FNV, index, (size_t)items * sizeof *index))
        return false;
    for (int64_t i = 0; i < items; i++) {
        const entry *e = &index[i];
        int64_t n;
        if (e->width == 0) continue;
        if (e->width < 0 || e->height < 1 || e->at < from || !kin_mul(e->width, e->height, &n) ||
            n > map->size / 3 || e->at > map->size - 3 * n)
            return false;
    }
    return true;
}

/* Maps the finished file if there is one that is sound. */
static bool find(kin_ctx *cx, kin_cache *c)
{
    kin_ctx mine = {0};
    kin_map map;
    if (access(c->path, F_OK) != 0 || kin_map_open(&mine, c->path, &map) != KIN_OK) return false;
    if (!map.bytes || !sound(c, &map)) {
        kin_log(cx, KIN_WARN, "cache: %s is damaged or cut short: it is made again", c->path);
        kin_map_close(&map);
        return false;
    }
    c->bytes = kin_only_read(map.bytes);
    c->size = map.size;
    kin_log(cx, KIN_INFO, "cache: %s, %.1f MB, made before", c->path, (double)c->size / 1e6);
    return true;
}

/* The file under its unfinished name, locked: who waited for another run's lock holds what has got its name
 * or was given up in the meantime, and looks again. -1: failed. */
static int lock_unfinished(kin_ctx *cx, const char *path)
{
    for (;;) {
        struct stat held, there;
        const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &held) != 0) {
            kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
            if (fd >= 0) close(fd);
            return -1;
        }
        if (stat(path, &there) == 0 && there.st_ino == held.st_ino) return fd;
        close(fd);
    }
}

static kin_status fill(kin_ctx *cx, kin_cache *c, int fd, const char *unfinished)
{
    struct statvfs v;
    const int64_t room = fstatvfs(fd, &v) == 0 ? (int64_t)v.f_bavail * (int64_t)v.f_frsize : 0;
    const int failed = ftruncate(fd, 0) != 0 ? errno
                       : c->size > room      ? ENOSPC
                                             : posix_fallocate(fd, 0, c->size);
    if (failed)
        return kin_fail(cx, KIN_IO,
                        "cache: %s takes %.1f MB, %.1f MB are free there: %s; another folder, a smaller "
                        "cache-side, or none",
                        c->path, (double)c->size / 1e6, (double)room / 1e6, strerror(failed));
    void *p = mmap(NULL, (size_t)c->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return kin_fail(cx, KIN_IO, "%s: cannot be mapped: %s", c->path, strerror(errno));
    c->bytes = p;
    tell_cost(cx, c, room);
    KIN_TRY(make_all(cx, c));
    if (msync(p, (size_t)c->size, MS_SYNC) != 0 || fsync(fd) != 0 || rename(unfinished, c->path) != 0)
        return kin_fail(cx, KIN_IO, "%s: %s", c->path, strerror(errno));
    return KIN_OK;
}

static kin_status in_file(kin_ctx *cx, kin_cache *c)
{
    c->path = kin_sprintf(cx, "%s/kin-%016llx.pictures", c->cfg.where, (unsigned long long)c->key);
    if (!c->path || find(cx, c)) return cx->status;
    KIN_TRY(measure(cx, c));
    if (c->cfg.look) return KIN_OK;
    KIN_TRY(kin_make_dirs(cx, c->cfg.where));
    char *unfinished = kin_sprintf(cx, "%s.tmp", c->path);
    const int fd = unfinished ? lock_unfinished(cx, unfinished) : -1;
    if (fd >= 0) {
        if (access(c->path, F_OK) != 0 || !find(cx, c)) fill(cx, c, fd, unfinished);
        unlink(unfinished); /* where it did not get its name */
        close(fd);
    }
    free(unfinished);
    return cx->status;
}

/* ---- the door ----------------------------------------------------------------------------------- */

kin_cache *kin_cache_open(kin_ctx *cx, const kin_cache_cfg *cfg)
{
    kin_cache *c = kin_alloc0(cx, 1, sizeof *c);
    if (!c) return NULL;
    const double began = kin_now();
    c->cfg = *cfg;
    c->memory = strcmp(cfg->where, "memory") == 0;
    if (!whole(c)) c->cfg.side = 0;
    if (whole(c) && c->cfg.side == 0)
        c->cfg.side = (int64_t)ceil((double)kin_max64(cfg->preprocess.height, cfg->preprocess.width) /
                                    sqrt(cfg->augment.crop_min));
    if (make_key(cx, c) == KIN_OK) c->memory ? in_memory(cx, c) : in_file(cx, c);
    if (cx->status != KIN_OK) {
        kin_cache_close(c);
        return NULL;
    }
    if (c->bytes && c->index) kin_log(cx, KIN_INFO, "cache: made in %.1f s", kin_now() - began);
    free(c->index);
    c->index = NULL;
    return c;
}

void kin_cache_close(kin_cache *c)
{
    if (!c) return;
    if (c->bytes) munmap(c->bytes, (size_t)c->size);
    free(c->index);
    free(c->path);
    free(c);
}

bool kin_cache_get(const kin_cache *c, int64_t item, kin_image *out, int64_t *width, int64_t *height)
{
    if (!c->bytes) return false;
    const entry *e = (const entry *)(const void *)(c->bytes + sizeof(header)) + item;
    if (e->width == 0) return false;
    *out = (kin_image){c->bytes + e->at, e->width, e->height};
    *width = e->full_width;
    *height = e->full_height;
    return true;
}

kin_cache_cost kin_cache_costs(const kin_cache *c)
{
    return (kin_cache_cost){.bytes = c->size,
                            .side = c->cfg.side,
                            .memory = c->memory,
                            .ready = c->bytes != NULL,
                            .mapped = c->bytes,
                            .path = c->path};
}
