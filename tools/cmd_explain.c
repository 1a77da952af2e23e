#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "tools/cli.h"
#include "tools/look.h"

static bool ends_in(const char *path, const char *ending)
{
    const size_t n = strlen(path), k = strlen(ending);
    return n > k && strcmp(path + n - k, ending) == 0;
}

static json_t *row_of(const float *x, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_real((double)x[i]));
    return list;
}

static kin_status write_json(kin_ctx *cx, const char *path, const char *model, const char *image,
                             const kin_explained *e)
{
    json_t *looks = json_array();
    for (int64_t i = 0; i < e->looks; i++) {
        json_t *map = json_array();
        for (int64_t y = 0; y < e->rows; y++)
            json_array_append_new(map, row_of(e->map + (i * e->rows + y) * e->columns, e->columns));
        json_array_append_new(
            looks, json_pack("{s:s, s:f, s:o}", "word", e->word[i], "rest", (double)e->rest[i], "map", map));
    }
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "model", model, "picture", image, "layer", e->layer,
                  "rows", (json_int_t)e->rows, "columns", (json_int_t)e->columns, "looks", looks);
    if (o && e->answered) json_object_set_new(o, "match", json_real(e->match));
    char *text = o ? json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) : NULL;
    if (text)
        kin_write_file(cx, path, text, (int64_t)strlen(text));
    else
        kin_fail(cx, KIN_NOMEM, "%s: no memory for the maps as JSON", path);
    free(text);
    json_decref(o);
    return cx->status;
}

/* Where each looks most: row and column of the patch, from 1. */
static void print(const kin_explained *e, const char *out)
{
    const int64_t patches = e->rows * e->columns;
    printf("%s  layer %lld of %lld, %lld x %lld patches\n", e->layer, (long long)e->at, (long long)e->layers,
           (long long)e->rows, (long long)e->columns);
    if (e->answered) printf("it matches: %.1f %%\n", 100.0 * e->match);
    printf("row col  there  elsewhere than the patches\n");
    for (int64_t i = 0; i < e->looks; i++) {
        const float *map = e->map + i * patches;
        int64_t best = 0;
        for (int64_t p = 0; p < patches; p++)
            if (map[p] > map[best]) best = p;
        printf("%3lld %3lld %5.1f %% %5.1f %%  %s\n", (long long)(best / e->columns + 1),
               (long long)(best % e->columns + 1), 100.0 * (double)map[best], 100.0 * (double)e->rest[i],
               e->word[i]);
    }
    printf("%s\n", out);
}

static kin_status explain(kin_ctx *cx, kin_session *s, const char *model, const char *image, const char *text,
                          int64_t layer, const char *out)
{
    const kin_vision_cfg *v = &s->model->cfg.vision;
    const int64_t item = 0;
    kin_image picture = {kin_alloc(cx, kin_image_bytes(v), 1), v->image_width, v->image_height};
    kin_dataset *d = picture.pixels ? kin_pictures_open(cx, image) : NULL;
    kin_explained e = {0};
    if (d && d->items != 1)
        kin_fail(cx, KIN_ARG, "--image %s: %lld pictures; one is explained at a time", image,
                 (long long)d->items);
    if (d && text && !kin_explains_words(&s->model->cfg))
        kin_log(cx, KIN_WARN, "the text is not read: this model's image tower looks at a picture alone");
    if (d && cx->status == KIN_OK &&
        kin_read_pictures(cx, &s->embedder, d, &item, 1, picture.pixels) == KIN_OK &&
        kin_explain(cx, s, picture.pixels, text, layer, &e) == KIN_OK &&
        (ends_in(out, ".json") ? write_json(cx, out, model, image, &e) : look_write(cx, out, &picture, &e)) ==
            KIN_OK)
        print(&e, out);
    kin_explained_free(&e);
    kin_dataset_close(d);
    kin_image_free(&picture);
    return cx->status;
}

int cmd_explain(kin_ctx *cx, int argc, char **argv)
{
    const char *model = NULL, *image = NULL, *out = NULL, *text = NULL;
    int64_t layer = 0, threads = 0;
    bool upright = false;
    const cli_flag flags[] = {
        {"--model", CLI_TEXT, &model, NULL, NULL, "DIR model folder, e.g. RUN/best"},
        {"--image", CLI_TEXT, &image, NULL, NULL, "FILE the picture"},
        {"--out", CLI_TEXT, &out, NULL, NULL, "FILE.png a sheet of maps, or FILE.json their numbers"},
        {"--layer", CLI_NUMBER, NULL, &layer, NULL, "N of the fusion or the image tower, from 1 (the last)"},
        {"--exif", CLI_SWITCH, NULL, NULL, &upright,
         "turn the picture as its EXIF data says (open_clip does not)"},
        {"--threads", CLI_NUMBER, NULL, &threads, NULL, "N compute threads (all cores)"},
        CLI_END,
    };
    bool helped;
    const char *usage = "explain --model DIR --image FILE [TEXT] [--layer N] --out FILE.png|FILE.json";
    if (!cli_parse(cx, argc, argv, usage, flags, &text, 1, &helped)) return helped ? CLI_DONE : CLI_USAGE;
    if (!cli_need(cx, model, "--model") || !cli_need(cx, image, "--image") || !cli_need(cx, out, "--out"))
        return CLI_USAGE;
    if (!ends_in(out, ".png") && !ends_in(out, ".json")) {
        kin_fail(cx, KIN_ARG, "--out %s: its name must end in .png (a sheet) or .json (numbers)", out);
        return CLI_USAGE;
    }
    if (!cli_within(cx, "--threads", threads, 0, 4096) || !cli_within(cx, "--layer", layer, 0, 100000))
        return CLI_USAGE;
    kin_session s = {0};
    if (kin_file_check(cx, out) == KIN_OK && kin_session_open(cx, &s, model, (int)threads, 1) == KIN_OK) {
        s.embedder.upright = upright;
        explain(cx, &s, model, image, text, layer, out);
    }
    kin_session_close(&s);
    return cli_exit(cx);
}
