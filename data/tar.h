/* tar: POSIX ustar archives, read by offset from a mapped file and written in order.
 *
 * Reads ustar, GNU long names ('L') and PAX path and size records ('x'); base-256 sizes. Only regular
 * files are members: links, devices and folders are passed over; names that are absolute or contain
 * ".." are refused by name. Every size is checked against the bytes left before it is used. */
#ifndef KIN_TAR_H
#define KIN_TAR_H
#include "core/base.h"

typedef struct kin_tar_member {
    char *name;     /* owned by the index */
    int64_t offset; /* of the data, from the start of the archive */
    int64_t size;
} kin_tar_member;

typedef struct kin_tar_index {
    kin_tar_member *member;
    int64_t count;
} kin_tar_index;

/* Index of an archive in memory; `what` names it in messages. Free with kin_tar_index_free. */
kin_status kin_tar_index_build(kin_ctx *cx, const char *what, const uint8_t *bytes, int64_t size,
                               kin_tar_index *out);
void kin_tar_index_free(kin_tar_index *index);

/* Writer: members with mode 0644, owner 0, mtime 0, so that equal content gives equal bytes. Written to
 * PATH.tmp and renamed when closed; kin_tar_abandon removes it. Names over 100 bytes use the prefix. */
typedef struct kin_tar_writer kin_tar_writer;
kin_tar_writer *kin_tar_create(kin_ctx *cx, const char *path);
kin_status kin_tar_add(kin_ctx *cx, kin_tar_writer *w, const char *name, const void *data, int64_t size);
kin_status kin_tar_close(kin_ctx *cx, kin_tar_writer *w); /* frees w whatever it returns */
void kin_tar_abandon(kin_tar_writer *w);

#endif
