#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "data/npy.h"
#include "tools/cli.h"
#include "tools/sheet.h"
#include "train/eval_folds.h"
#include "train/evaluate.h"
#include "train/session.h"

typedef struct job {
    const char *model, *data, *split, *out, *sheet, *dump, *embeddings;
    kin_dataset_cfg open;
    kin_eval_opts opts;
    int64_t queries;
    bool json;
} job;

/* Published values to stand beside ours (open_clip, docs/openclip_retrieval_results.csv), in per cent. */
static const struct {
    const char *data, *model;
    double image[KIN_RECALLS], text[KIN_RECALLS];
} published[] = {
    {"coco", "ViT-B-32, 12.8 M web pairs", {1.09, 3.85, 6.41}, {1.50, 5.00, 8.42}},
    {"coco", "ViT-B-32, 128 M web pairs", {11.00, 26.99, 37.50}, {17.14, 37.70, 48.86}},
    {"coco", "ViT-B-32, OpenAI's", {30.44, 55.94, 66.87}, {50.12, 75.00, 83.52}},
    {"flickr30k", "ViT-B-32, 12.8 M web pairs", {1.42, 5.94, 9.60}, {2.00, 7.40, 11.60}},
    {"flickr30k", "ViT-B-32, 128 M web pairs", {18.12, 40.36, 51.88}, {26.70, 52.00, 63.20}},
    {"flickr30k", "ViT-B-32, OpenAI's", {58.78, 83.56, 90.02}, {78.90, 94.90, 98.20}},
};

/* Which of them are of the same gallery: COCO's and Flickr30K's Karpathy test. */
static void print_published(const job *j, const json_t *m)
{
    const double images = json_number_value(json_object_get(m, "images"));
    if (json_object_get(m, "folds")) return; /* another protocol */
    const bool coco = images == 5000.0, flickr = images == 1000.0 && strstr(j->data, "flickr30k");
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const double *a = published[i].image, *b = published[i].text;
        if (!(coco && *published[i].data == 'c') && !(flickr && *published[i].data == 'f')) continue;
        printf(
            "published        text -> image %.1f/%.1f/%.1f, image -> text %.1f/%.1f/%.1f   %s, zero-shot\n",
            a[0], a[1], a[2], b[0], b[1], b[2], published[i].model);
    }
}

/* The last part of a path, as a name. */
static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static kin_status save(kin_ctx *cx, const job *j, json_t *metrics)
{
    const char *model = j->model ? j->model : j->embeddings, *data = j->data ? j->data : j->embeddings;
    char *protocol = kin_retrieval_protocol(cx, metrics);
    if (!protocol) return cx->status;
    json_t *results =
        json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:s, s:s}", "dataset", base(data), "model", model,
                  "pretrained", base(model), "task", "zeroshot_retrieval", "metrics", metrics, "language",
                  "en", "split", j->split, "data", data, "protocol", protocol);
    free(protocol);
    if (!results) return kin_fail(cx, KIN_NOMEM, "out of memory for the results");
    kin_json_save(cx, j->out, results);
    json_decref(results);
    return cx->status;
}

static kin_status save_rows(kin_ctx *cx, const char *folder, const char *name, kin_npy_type type, int64_t n,
                            int64_t width, const void *rows)
{
    const int64_t dim[2] = {n, width};
    char *path = kin_sprintf(cx, "%s/%s.npy", folder, name);
    if (path) kin_npy_save(cx, path, type, width > 0 ? 2 : 1, dim, rows);
    free(path);
    return cx->status;
}

/* DIR/{images,texts,image_of}.npy: for another evaluator, or for --embeddings. */
static kin_status dump(kin_ctx *cx, const job *j, const kin_dataset *d, const float *image, const float *text,
                       int64_t width)
{
    KIN_TRY(save_rows(cx, j->dump, "images", KIN_NPY_F32, d->items, width, image));
    KIN_TRY(save_rows(cx, j->dump, "texts", KIN_NPY_F32, d->captions, width, text));
    return save_rows(cx, j->dump, "image_of", KIN_NPY_I64, d->captions, 0, d->item_of);
}

static kin_status show(kin_ctx *cx, const job *j, json_t *metrics)
{
    if (j->json && json_dumpf(metrics, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0) printf("\n");
    if (!j->json) {
        cli_print_metrics(metrics);
        if (j->data) print_published(j, metrics);
    }
    return j->out ? save(cx, j, metrics) : KIN_OK;
}

static kin_status evaluate(kin_ctx *cx, kin_session *s, const job *j)
{
    const int64_t width = s->model->cfg.embed_dim;
    float *image = NULL, *text = NULL;
    kin_dataset *d = kin_dataset_open_as(cx, j->data, &j->open);
    json_t *metrics = NULL;
    if (d && kin_embed_dataset(cx, &s->embedder, d, &image, &text) == KIN_OK)
        metrics = kin_evaluate_rows(cx, &s->embedder, d, image, text, &j->opts);
    if (metrics && show(cx, j, metrics) == KIN_OK && j->dump) dump(cx, j, d, image, text, width);
    if (cx->status == KIN_OK && j->sheet) sheet_write(cx, j->sheet, d, image, text, width, j->queries);
    json_decref(metrics);
    free(image);
    free(text);
    kin_dataset_close(d);
    return cx->status;
}

static kin_status load_rows(kin_ctx *cx, const char *folder, const char *name, kin_npy_type type, int rank,
                            kin_npy *a)
{
    char *path = kin_sprintf(cx, "%s/%s.npy", folder, name);
    if (path && kin_npy_load(cx, path, a) == KIN_OK && (a->type != type || a->rank != rank))
        kin_fail(cx, KIN_FORMAT, "%s: expected an array of %d dimensions of %s", path, rank,
                 type == KIN_NPY_F32 ? "f32" : "i64");
    free(path);
    return cx->status;
}

/* Embeddings of any model, as --dump writes them. */
static kin_status evaluate_rows(kin_ctx *cx, const job *j)
{
    kin_npy image = {0}, text = {0}, of = {0};
    json_t *metrics = NULL;
    if (load_rows(cx, j->embeddings, "images", KIN_NPY_F32, 2, &image) == KIN_OK &&
        load_rows(cx, j->embeddings, "texts", KIN_NPY_F32, 2, &text) == KIN_OK &&
        load_rows(cx, j->embeddings, "image_of", KIN_NPY_I64, 1, &of) == KIN_OK) {
        const kin_retrieval_in in = {.image = image.data,
                                     .text = text.data,
                                     .image_of = of.data,
                                     .images = image.dim[0],
                                     .texts = text.dim[0],
                                     .E = image.dim[1],
                                     .per_image = j->opts.per_image,
                                     .bootstrap = j->opts.bootstrap};
        kin_retrieval r;
        if (text.dim[1] != in.E || of.dim[0] != in.texts)
            kin_fail(cx, KIN_SHAPE,
                     "%s: images [%lld, %lld], texts [%lld, %lld] and image_of [%lld] do not belong together",
                     j->embeddings, (long long)in.images, (long long)in.E, (long long)in.texts,
                     (long long)text.dim[1], (long long)of.dim[0]);
        else if (kin_eval_folds(cx, &in, j->opts.folds, &r) == KIN_OK)
            metrics = kin_retrieval_json(cx, &r);
    }
    if (metrics) show(cx, j, metrics);
    json_decref(metrics);
    kin_npy_free(&image);
    kin_npy_free(&text);
    kin_npy_free(&of);
    return cx->status;
}

int cmd_eval(kin_ctx *cx, int argc, char **argv)
{
    static const char *const others[] = {"itm", "classify", "rerank", "noise"};
    for (int i = 0; i < 4; i++)
        if (argc > 0 && strcmp(argv[0], others[i]) == 0) return cmd_eval_task(cx, argc, argv);
    job j = {.split = "test", .queries = 6};
    const char *task = NULL;
    int64_t threads = 0, batch = 64;
    const cli_flag flags[] = {
        {"--model", CLI_TEXT, &j.model, NULL, NULL, "DIR model folder, e.g. RUN/best"},
        {"--data", CLI_TEXT, &j.data, NULL, NULL, "P pairs: shards, CSV, a Karpathy or COCO JSON, a folder"},
        {"--split", CLI_TEXT, &j.split, NULL, NULL, "NAME split, where the data has splits (test)"},
        {"--out", CLI_TEXT, &j.out, NULL, NULL, "FILE.json results as CLIP_benchmark writes them"},
        {"--sheet", CLI_TEXT, &j.sheet, NULL, NULL, "FILE.png contact sheet: queries and what they found"},
        {"--queries", CLI_NUMBER, NULL, &j.queries, NULL, "N of each kind on the sheet (6)"},
        {"--bootstrap", CLI_NUMBER, NULL, &j.opts.bootstrap, NULL,
         "N resamples for 95 % intervals (0: none)"},
        {"--captions", CLI_NUMBER, NULL, &j.opts.per_image, NULL,
         "N first captions of each picture; 5 makes COCO's 25,010 VSE++'s 25,000 (0: all)"},
        {"--folds", CLI_NUMBER, NULL, &j.opts.folds, NULL,
         "N galleries, averaged; 5 with --captions 5 is COCO's 1K test (0: one)"},
        {"--dump", CLI_TEXT, &j.dump, NULL, NULL, "DIR write the embeddings: images, texts, image_of .npy"},
        {"--embeddings", CLI_TEXT, &j.embeddings, NULL, NULL,
         "DIR evaluate such .npy files, without a model"},
        {"--json", CLI_SWITCH, NULL, NULL, &j.json, "print the metrics as JSON"},
        {"--csv-separator", CLI_TEXT, &j.open.separator, NULL, NULL, "C of a table: a character, or tab"},
        {"--csv-img-key", CLI_TEXT, &j.open.image_key, NULL, NULL, "NAME its column of pictures"},
        {"--csv-caption-key", CLI_TEXT, &j.open.caption_key, NULL, NULL, "NAME its column of captions"},
        {"--threads", CLI_NUMBER, NULL, &threads, NULL, "N compute threads (all cores)"},
        {"--batch", CLI_NUMBER, NULL, &batch, NULL, "N embedded at once (64)"},
        CLI_END,
    };
    bool helped;
    const char *usage = "eval retrieval (--model DIR --data P | --embeddings DIR) [flags]";
    if (!cli_parse(cx, argc, argv, usage, flags, &task, 1, &helped)) {
        if (helped && argc > 0) printf("other tasks: kin eval itm|classify|rerank|noise --help\n");
        return helped ? CLI_DONE : CLI_USAGE;
    }
    if (!task || strcmp(task, "retrieval") != 0) {
        kin_fail(cx, KIN_ARG, "evaluate what? There is: kin %s; kin eval itm|classify|rerank|noise --help",
                 usage);
        return CLI_USAGE;
    }
    j.open.split = j.split;
    if (j.embeddings) {
        evaluate_rows(cx, &j);
        return cli_exit(cx);
    }
    if (!cli_need(cx, j.model, "--model") || !cli_need(cx, j.data, "--data")) return CLI_USAGE;
    if (!cli_within(cx, "--threads", threads, 0, 4096) || !cli_within(cx, "--batch", batch, 1, 1000000))
        return CLI_USAGE;
    kin_session s = {0};
    if ((!j.out || kin_file_check(cx, j.out) == KIN_OK) &&
        (!j.sheet || kin_file_check(cx, j.sheet) == KIN_OK) &&
        (!j.dump || kin_make_dirs(cx, j.dump) == KIN_OK) &&
        kin_session_open(cx, &s, j.model, (int)threads, batch) == KIN_OK)
        evaluate(cx, &s, &j);
    kin_session_close(&s);
    return cli_exit(cx);
}
