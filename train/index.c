#include "train/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"

enum { NAMES_LIMIT = 1 << 30 };

bool kin_index_named(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".npy") == 0;
}

static char *names_path(kin_ctx *cx, const char *path)
{
    return kin_sprintf(cx, "%s.txt", path);
}

static kin_status read_names(kin_ctx *cx, kin_index *x, const char *path)
{
    uint8_t *bytes;
    int64_t size, n = 0;
    KIN_TRY(kin_read_file(cx, path, NAMES_LIMIT, &bytes, &size));
    x->text = (char *)bytes; /* ends with a NUL */
    x->name = kin_alloc(cx, x->n + 1, sizeof *x->name);
    if (!x->name) return cx->status;
    for (char *p = x->text, *end = x->text + size; p < end; n++) {
        char *stop = memchr(p, '\n', (size_t)(end - p));
        if (n < x->n) x->name[n] = p;
        if (!stop) stop = end;
        *stop = '\0';
        p = stop + 1;
    }
    if (n == x->n) return KIN_OK;
    return kin_fail(cx, KIN_FORMAT, "%s has %lld names, and the embeddings beside it %lld rows", path,
                    (long long)n, (long long)x->n);
}

kin_status kin_index_open(kin_ctx *cx, kin_index *x, const char *path)
{
    *x = (kin_index){0};
    KIN_TRY(kin_npy_load(cx, path, &x->npy));
    if (x->npy.type != KIN_NPY_F32 || x->npy.rank != 2 || x->npy.count == 0)
        return kin_fail(cx, KIN_FORMAT, "%s: not embeddings: a float32 array [rows, width] is needed", path);
    x->rows = x->npy.data;
    x->n = x->npy.dim[0];
    x->width = x->npy.dim[1];
    char *names = names_path(cx, path);
    if (names && access(names, F_OK) != 0)
        kin_fail(cx, KIN_IO,
                 "%s: the names of its rows, one a line, should be in %s, which is not there; kin "
                 "embed writes both",
                 path, names);
    else if (names)
        read_names(cx, x, names);
    free(names);
    return cx->status;
}

void kin_index_close(kin_index *x)
{
    kin_npy_free(&x->npy);
    free(x->name);
    free(x->text);
    *x = (kin_index){0};
}

static kin_status save_names(kin_ctx *cx, const char *path, const char *const *name, int64_t n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    for (int64_t i = 0; f && i < n; i++) {
        for (const char *p = name[i]; *p; p++) fputc(*p == '\n' ? ' ' : *p, f);
        fputc('\n', f);
    }
    const bool bad = !f || ferror(f);
    if ((f && fclose(f) != 0) || bad)
        kin_fail(cx, KIN_NOMEM, "%s: out of memory for names", path);
    else
        kin_write_file(cx, path, text, (int64_t)size);
    free(text);
    return cx->status;
}

kin_status kin_index_save(kin_ctx *cx, const char *path, const float *rows, const char *const *name,
                          int64_t n, int64_t width)
{
    KIN_TRY(kin_npy_save(cx, path, KIN_NPY_F32, 2, (int64_t[]){n, width}, rows));
    char *names = names_path(cx, path);
    if (names) save_names(cx, names, name, n);
    free(names);
    return cx->status;
}
