#include "train/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"

enum { LIMIT = 1 << 30 };

struct kin_metrics {
    FILE *file;
    char *path;
};

/* The lines of `text` up to that step, and whole. */
static kin_status keep_lines(kin_ctx *cx, const char *path, const char *text, int64_t step)
{
    kin_file *f = kin_file_new(cx, path);
    if (!f) return cx->status;
    while (*text) {
        const size_t n = strcspn(text, "\n");
        json_t *line = text[n] ? json_loadb(text, n, 0, NULL) : NULL;
        const json_t *at = json_object_get(line, "step");
        if (json_is_integer(at) && json_integer_value(at) <= step)
            kin_file_write(cx, f, text, (int64_t)n + 1);
        json_decref(line);
        text += n + (text[n] != '\0');
    }
    return kin_file_finish(cx, f);
}

kin_metrics *kin_metrics_open(kin_ctx *cx, const char *path, int64_t step)
{
    kin_metrics *m = kin_alloc0(cx, 1, sizeof *m);
    if (!m) return NULL;
    m->path = kin_strdup(cx, path);
    if (step > 0 && access(path, F_OK) == 0) {
        uint8_t *text = NULL;
        int64_t size;
        if (kin_read_file(cx, path, LIMIT, &text, &size) == KIN_OK)
            keep_lines(cx, path, (const char *)text, step);
        free(text);
    }
    if (cx->status == KIN_OK) {
        m->file = fopen(path, step > 0 ? "ae" : "we");
        if (!m->file) kin_fail(cx, KIN_IO, "%s: %s", path, strerror(errno));
    }
    if (cx->status == KIN_OK) return m;
    kin_metrics_close(m);
    return NULL;
}

kin_status kin_metrics_write(kin_ctx *cx, kin_metrics *m, json_t *line)
{
    const bool ok = line && json_dumpf(line, m->file, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0 &&
                    fputc('\n', m->file) != EOF && fflush(m->file) == 0;
    json_decref(line);
    return ok ? KIN_OK : kin_fail(cx, KIN_IO, "%s: cannot be written: %s", m->path, strerror(errno));
}

void kin_metrics_close(kin_metrics *m)
{
    if (!m) return;
    if (m->file) fclose(m->file);
    free(m->path);
    free(m);
}
