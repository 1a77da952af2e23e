#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct kin_file {
    int fd;
    kin_status status; /* of the first write that failed */
    char *path, *temporary;
};

static void release(kin_file *f)
{
    free(f->path);
    free(f->temporary);
    free(f);
}

kin_file *kin_file_new(kin_ctx *cx, const char *path)
{
    kin_file *f = kin_alloc0(cx, 1, sizeof *f);
    if (!f) return NULL;
    f->path = kin_strdup(cx, path);
    f->temporary = f->path ? kin_sprintf(cx, "%s.tmp", path) : NULL;
    f->fd = f->temporary ? open(f->temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644) : -1;
    if (f->fd >= 0) return f;
    if (f->temporary) kin_fail(cx, KIN_IO, "%s: %s", f->temporary, strerror(errno));
    release(f);
    return NULL;
}

kin_status kin_file_check(kin_ctx *cx, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return kin_fail(cx, KIN_IO, "%s: it is a folder; a file is to be written", path);
    kin_file *f = kin_file_new(cx, path);
    kin_file_abandon(f);
    return f ? KIN_OK : kin_within(cx, "%s cannot be written", path);
}

kin_status kin_file_write(kin_ctx *cx, kin_file *f, const void *data, int64_t size)
{
    const uint8_t *p = data;
    while (f->status == KIN_OK && size > 0) {
        const ssize_t n = write(f->fd, p, (size_t)size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) f->status = kin_fail(cx, KIN_IO, "%s: %s", f->temporary, strerror(errno));
        p += n > 0 ? n : 0;
        size -= n > 0 ? n : 0;
    }
    return f->status;
}

static kin_status sync_folder(kin_ctx *cx, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? kin_sprintf(cx, "%.*s", (int)(slash - path) + 1, path) : kin_strdup(cx, ".");
    if (!folder) return cx->status;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    kin_status rc = KIN_OK;
    if (fd < 0 || fsync(fd) != 0) rc = kin_fail(cx, KIN_IO, "%s: %s", folder, strerror(errno));
    if (fd >= 0) close(fd);
    free(folder);
    return rc;
}

kin_status kin_file_finish(kin_ctx *cx, kin_file *f)
{
    kin_status rc = f->status;
    if (rc == KIN_OK && fsync(f->fd) != 0) rc = kin_fail(cx, KIN_IO, "%s: %s", f->temporary, strerror(errno));
    const int closed = close(f->fd);
    f->fd = -1;
    if (rc == KIN_OK && closed != 0) rc = kin_fail(cx, KIN_IO, "%s: %s", f->temporary, strerror(errno));
    if (rc == KIN_OK && rename(f->temporary, f->path) != 0)
        rc = kin_fail(cx, KIN_IO, "%s: %s", f->path, strerror(errno));
    if (rc != KIN_OK)
        unlink(f->temporary);
    else
        rc = sync_folder(cx, f->path);
    release(f);
    return rc;
}

void kin_file_abandon(kin_file *f)
{
    if (!f) return;
    close(f->fd);
    unlink(f->temporary);
    release(f);
}

kin_status kin_write_file(kin_ctx *cx, const char *path, const void *data, int64_t size)
{
    kin_file *f = kin_file_new(cx, path);
    if (!f) return cx->status;
    kin_file_write(cx, f, data, size);
    return kin_file_finish(cx, f);
}

kin_status kin_map_open(kin_ctx *cx, const char *path, kin_map *map)
{
    *map = (kin_map){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        kin_fail(cx, KIN_IO, "%s: not a file", path);
    } else if (st.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED)
            kin_fail(cx, KIN_IO, "%s: cannot be mapped: %s", path, strerror(errno));
        else
            *map = (kin_map){bytes, st.st_size};
    }
    if (fd >= 0) close(fd);
    return cx->status;
}

void kin_map_close(kin_map *map)
{
    union {
        const uint8_t *in;
        void *out;
    } u = {.in = map->bytes};
    if (u.in) munmap(u.out, (size_t)map->size);
    *map = (kin_map){0};
}

kin_status kin_read_parts(kin_ctx *cx, const char *path, kin_part_fn part, void *user)
{
    char bytes[1 << 16];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) != 0) {
        if (n > 0) part(user, bytes, (size_t)n);
        if (n < 0 && errno != EINTR) {
            kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
            break;
        }
    }
    close(fd);
    return n == 0 ? KIN_OK : cx->status;
}
