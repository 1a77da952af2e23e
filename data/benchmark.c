/* CLIP_benchmark's flickr30k_{split}_karpathy.txt and flickr8k_{split}_karpathy.txt: a header line, then
 * NAME.jpg,CAPTION split at the first ".jpg," (captions have commas, and no quoting); pictures in order of
 * first appearance. Its COCO files are COCO captions (data/annotations.c). */
#include <string.h>

#include "data/places.h"

static kin_status read_line(kin_ctx *cx, kin_dataset *d, kin_places *p, const char *line, int64_t size)
{
    static const char mark[] = ".jpg,";
    enum { MARK = sizeof mark - 1, NAME = 1024 };
    const char *at = memmem(line, (size_t)size, mark, MARK);
    const int64_t n = at ? at - line + MARK - 1 : 0;
    char name[NAME];
    if (!at || n >= NAME || memchr(line, '\0', (size_t)n))
        return kin_fail(cx, KIN_FORMAT, "NAME.jpg,CAPTION expected");
    memcpy(name, line, (size_t)n);
    name[n] = '\0';
    const int64_t item = kin_places_item(cx, p, NULL, name);
    return item < 0 ? cx->status : kin_dataset_caption_of(cx, d, item, line + n + 1, size - n - 1);
}

kin_status kin_benchmark_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text)
{
    const char *at = (const char *)text->bytes, *end = at + text->size;
    kin_places *p = kin_places_open(cx, d, path, false);
    for (int64_t line = 1; p && at < end && cx->status == KIN_OK; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        int64_t n = (stop ? stop : end) - at;
        const char *next = stop ? stop + 1 : end;
        while (n > 0 && (at[n - 1] == '\r' || at[n - 1] == ' ')) n--;
        /* Text behind a NUL would be hidden. */
        if (n > 0 && line > 1 && read_line(cx, d, p, at, (int64_t)strnlen(at, (size_t)n)) != KIN_OK)
            kin_within(cx, "%s: line %lld", path, (long long)line);
        at = next;
    }
    kin_places_close(p);
    kin_dataset_form(cx, d, "CLIP_benchmark annotations (a header, then NAME.jpg,CAPTION)");
    return cx->status == KIN_OK ? kin_dataset_group(cx, d) : cx->status;
}
