#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "tools/cli.h"
#include "train/index.h"
#include "train/session.h"

enum { TEXT_LIMIT = 1 << 30 };

/* Cuts text into lines in place; blank ones are kept out. The caller frees the list, not its lines. */
static const char **lines_of(kin_ctx *cx, char *text, int64_t *count)
{
    int64_t n = 1;
    for (const char *p = text; *p; p++) n += *p == '\n';
    const char **line = kin_alloc(cx, n, sizeof *line);
    *count = 0;
    for (char *save, *p = line ? strtok_r(text, "\r\n", &save) : NULL; p; p = strtok_r(NULL, "\r\n", &save))
        line[(*count)++] = p;
    return line;
}

static kin_status save(kin_ctx *cx, const kin_session *s, const char *out, const float *rows,
                       const char *const *name, int64_t n)
{
    const int64_t width = s->model->cfg.embed_dim;
    KIN_TRY(kin_index_save(cx, out, rows, name, n, width));
    printf("%s: %lld embeddings of %lld numbers; their names in %s.txt\n", out, (long long)n,
           (long long)width, out);
    return KIN_OK;
}

static kin_status embed_texts(kin_ctx *cx, kin_session *s, const char *path, const char *out)
{
    uint8_t *text;
    int64_t size, n;
    KIN_TRY(kin_read_file(cx, path, TEXT_LIMIT, &text, &size));
    const bool binary = memchr(text, 0, (size_t)size) != NULL;
    const char **line = lines_of(cx, (char *)text, &n);
    if (binary) kin_fail(cx, KIN_FORMAT, "%s: not a text file (it has NUL bytes; UTF-8 is read)", path);
    float *rows = NULL;
    if (line && n == 0) kin_fail(cx, KIN_FORMAT, "%s: no text in it; one a line is read", path);
    if (cx->status == KIN_OK) rows = kin_alloc(cx, n * s->model->cfg.embed_dim, sizeof *rows);
    if (rows && kin_embed_texts(cx, &s->embedder, line, n, rows) == KIN_OK) save(cx, s, out, rows, line, n);
    free(rows);
    free(line);
    free(text);
    return cx->status;
}

static kin_status embed_pictures(kin_ctx *cx, kin_session *s, const char *path, const char *out)
{
    kin_dataset *d = kin_pictures_open(cx, path);
    float *rows = d ? kin_alloc(cx, d->items * s->model->cfg.embed_dim, sizeof *rows) : NULL;
    const char **name = d ? kin_alloc(cx, d->items, sizeof *name) : NULL;
    if (rows && name && kin_embed_readable(cx, &s->embedder, d, rows, NULL) == KIN_OK) {
        for (int64_t i = 0; i < d->items; i++) name[i] = d->item[i].name;
        save(cx, s, out, rows, name, d->items);
    }
    free(name);
    free(rows);
    kin_dataset_close(d);
    return cx->status;
}

int cmd_embed(kin_ctx *cx, int argc, char **argv)
{
    const char *model = NULL, *images = NULL, *texts = NULL, *out = NULL;
    int64_t threads = 0, batch = 64;
    bool upright = false;
    const cli_flag flags[] = {
        {"--model", CLI_TEXT, &model, NULL, NULL, "DIR model folder, e.g. RUN/best"},
        {"--images", CLI_TEXT, &images, NULL, NULL, "P a folder of pictures, one picture, or shards"},
        {"--texts", CLI_TEXT, &texts, NULL, NULL, "FILE texts, one a line"},
        {"--out", CLI_TEXT, &out, NULL, NULL,
         "FILE.npy embeddings [n, E], f32; their names, one a line, in FILE.npy.txt"},
        {"--exif", CLI_SWITCH, NULL, NULL, &upright,
         "turn pictures as their EXIF data says (open_clip does not)"},
        {"--threads", CLI_NUMBER, NULL, &threads, NULL, "N compute threads (all cores)"},
        {"--batch", CLI_NUMBER, NULL, &batch, NULL, "N embedded at once (64)"},
        CLI_END,
    };
    bool helped;
    const char *usage = "embed --model DIR (--images P | --texts FILE) --out FILE.npy";
    if (!cli_parse(cx, argc, argv, usage, flags, NULL, 0, &helped)) return helped ? CLI_DONE : CLI_USAGE;
    if (!cli_need(cx, model, "--model") || !cli_need(cx, out, "--out")) return CLI_USAGE;
    if (!images == !texts) {
        kin_fail(cx, KIN_ARG, "either --images or --texts is needed");
        return CLI_USAGE;
    }
    if (!cli_within(cx, "--threads", threads, 0, 4096) || !cli_within(cx, "--batch", batch, 1, 1000000))
        return CLI_USAGE;
    kin_session s = {0};
    if (kin_file_check(cx, out) == KIN_OK && kin_session_open(cx, &s, model, (int)threads, batch) == KIN_OK) {
        s.embedder.upright = upright;
        if (texts)
            embed_texts(cx, &s, texts, out);
        else
            embed_pictures(cx, &s, images, out);
    }
    kin_session_close(&s);
    return cli_exit(cx);
}
