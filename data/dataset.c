#include "data/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/image.h"

enum { BLOCK = 1 << 20, FILE_LIMIT = 1 << 28 };

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

/* Makes room for one more element; `at` is the array's pointer. */
static void *roomy(kin_ctx *cx, void *array, int64_t count, int64_t *room, size_t size)
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
    kin_item *grown = roomy(cx, d->item, d->items, &d->item_room, sizeof *grown);
    if (!grown) return cx->status;
    d->item = grown;
    const char *copy = kin_dataset_text(cx, d, name, (int64_t)strlen(name));
    if (!copy) return cx->status;
    d->item[d->items++] = (kin_item){
        .name = copy, .source = source, .at = at, .size = size, .caption = d->captions, .swap = d->swaps};
    return KIN_OK;
}

kin_status kin_dataset_caption(kin_ctx *cx, kin_dataset *d, const char *text, int64_t size)
{
    while (size > 0 && strchr(" \t\r\n", text[size - 1])) size--;
    while (size > 0 && strchr(" \t\r\n", *text)) {
        text++;
        size--;
    }
    if (size == 0) return KIN_OK; /* blank: not a caption */
    const char **grown = roomy(cx, d->caption, d->captions, &d->caption_room, sizeof *grown);
    if (!grown) return cx->status;
    d->caption = grown;
    int64_t *of = roomy(cx, d->item_of, d->captions, &d->item_of_room, sizeof *of);
    if (!of) return cx->status;
    d->item_of = of;
    const char *copy = kin_dataset_text(cx, d, text, size);
    if (!copy) return cx->status;
    d->item_of[d->captions] = d->items - 1;
    d->caption[d->captions++] = copy;
    d->item[d->items - 1].captions++;
    return KIN_OK;
}

kin_status kin_dataset_swap(kin_ctx *cx, kin_dataset *d, const char *kind, const char *caption,
                            const char *swapped)
{
    kin_swap *grown = roomy(cx, d->swap, d->swaps, &d->swap_room, sizeof *grown);
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

int32_t kin_dataset_source(kin_ctx *cx, kin_dataset *d, const char *path)
{
    kin_source *grown = roomy(cx, d->source, d->sources, &d->source_room, sizeof *grown);
    if (!grown) return -1;
    d->source = grown;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st = {0};
    if (file < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
        kin_fail(cx, KIN_IO, "%s: %s", path, file < 0 ? strerror(errno) : "not a file");
        if (file >= 0) close(file);
        return -1;
    }
    void *bytes = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, file, 0) : NULL;
    close(file);
    if (bytes == MAP_FAILED) {
        kin_fail(cx, KIN_IO, "%s: cannot be mapped: %s", path, strerror(errno));
        return -1;
    }
    char *copy = kin_strdup(cx, path);
    if (!copy) {
        if (bytes) munmap(bytes, (size_t)st.st_size);
        return -1;
    }
    d->source[d->sources] = (kin_source){copy, bytes, st.st_size};
    return (int32_t)d->sources++;
}

bool kin_picture_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot) return false;
    static const char *const known[] = {".jpg", ".jpeg", ".png", ".webp"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(dot, known[i]) == 0) return true;
    return false;
}

static bool ends(const char *s, const char *with)
{
    const size_t n = strlen(s), k = strlen(with);
    return n >= k && strcasecmp(s + n - k, with) == 0;
}

/* A folder with archives is shards, one with pictures is a folder. */
static kin_status read_any(kin_ctx *cx, kin_dataset *d, const char *path, const char *split)
{
    struct stat st;
    if (ends(path, ".json")) return kin_karpathy_read(cx, d, path, split);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        char *shards = kin_sprintf(cx, "%s/*.tar", path);
        if (!shards) return cx->status;
        kin_status rc = kin_webdataset_read(cx, d, shards);
        free(shards);
        if (rc == KIN_OK || d->sources) return rc;
        kin_clear(cx);
        return kin_folder_read(cx, d, path);
    }
    return kin_webdataset_read(cx, d, path);
}

static kin_dataset *open_any(kin_ctx *cx, const char *path, const char *split, bool bare, bool twins)
{
    kin_dataset *d = kin_alloc0(cx, 1, sizeof *d);
    if (!d) return NULL;
    d->bare = bare;
    d->twins = twins;
    if (bare && kin_picture_name(path))
        kin_dataset_item(cx, d, path, -1, 0, 0);
    else
        read_any(cx, d, path, split);
    if (cx->status == KIN_OK && d->items == 0)
        kin_fail(cx, KIN_FORMAT, "%s: no picture%s in it (%lld samples were passed over)", path,
                 bare ? "" : " with a caption", (long long)d->skipped);
    if (cx->status == KIN_OK) return d;
    kin_dataset_close(d);
    return NULL;
}

kin_dataset *kin_dataset_open(kin_ctx *cx, const char *path, const char *split, bool twins)
{
    return open_any(cx, path, split ? split : "", false, twins);
}

kin_dataset *kin_pictures_open(kin_ctx *cx, const char *path)
{
    return open_any(cx, path, "", true, false);
}

void kin_dataset_close(kin_dataset *d)
{
    if (!d) return;
    for (int64_t i = 0; i < d->sources; i++) {
        union {
            const uint8_t *in;
            void *out;
        } u = {.in = d->source[i].bytes};
        if (u.in) munmap(u.out, (size_t)d->source[i].size);
        free(d->source[i].path);
    }
    for (kin_text_block *b = d->text, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(d->item);
    free(d->caption);
    free(d->item_of);
    free(d->swap);
    free(d->source);
    free(d);
}

kin_status kin_dataset_bytes(kin_ctx *cx, const kin_dataset *d, int64_t item, const uint8_t **bytes,
                             int64_t *size, uint8_t **own)
{
    const kin_item *it = &d->item[item];
    *own = NULL;
    if (it->source >= 0) {
        *bytes = d->source[it->source].bytes + it->at;
        *size = it->size;
        return KIN_OK;
    }
    KIN_TRY(kin_read_file(cx, it->name, FILE_LIMIT, own, size));
    *bytes = *own;
    return KIN_OK;
}
