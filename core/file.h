/* file: a file that appears whole or not at all. Bytes go to PATH.tmp; kin_file_finish fsyncs it, renames it
 * over PATH and fsyncs the folder, so that after a crash PATH is the old file or the new one. */
#ifndef KIN_FILE_H
#define KIN_FILE_H
#include "core/base.h"

typedef struct kin_file kin_file;
kin_file *kin_file_new(kin_ctx *cx, const char *path); /* NULL on failure */
kin_status kin_file_write(kin_ctx *cx, kin_file *f, const void *data, int64_t size);
/* Frees f in any case; on failure (of this or of an earlier write) PATH.tmp is removed, PATH untouched. */
kin_status kin_file_finish(kin_ctx *cx, kin_file *f);
/* All of it at once. */
kin_status kin_write_file(kin_ctx *cx, const char *path, const void *data, int64_t size);
/* Can PATH be written? Asked before long work whose result goes there; leaves nothing behind. */
kin_status kin_file_check(kin_ctx *cx, const char *path);
void kin_file_abandon(kin_file *f); /* frees, removes PATH.tmp; NULL is allowed */

/* Reads a file from end to end, a part at a time: any size in little memory. */
typedef void (*kin_part_fn)(void *user, const void *bytes, size_t size);
kin_status kin_read_parts(kin_ctx *cx, const char *path, kin_part_fn part, void *user);

/* A whole file mapped to be read; bytes is NULL when it is empty. */
typedef struct kin_map {
    const uint8_t *bytes;
    int64_t size;
} kin_map;
kin_status kin_map_open(kin_ctx *cx, const char *path, kin_map *map);
void kin_map_close(kin_map *map); /* of {0} too */

#endif
