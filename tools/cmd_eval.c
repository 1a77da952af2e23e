#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/sheet.h"
#include "train/evaluate.h"
#include "train/session.h"

typedef struct job {
    const char *model, *data, *split, *out, *sheet;
    int64_t bootstrap, queries;
} job;

/* The last part of a path, as a name. */
static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static kin_status save(kin_ctx *cx, const job *j, json_t *metrics)
{
    json_t *results = json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:s}", "dataset", base(j->data), "model",
                                j->model, "pretrained", base(j->model), "task", "zeroshot_retrieval",
                                "metrics", metrics, "language", "en", "split", j->split, "data", j->data);
    if (!results) return kin_fail(cx, KIN_NOMEM, "out of memory for the results");
    kin_json_save(cx, j->out, results);
    json_decref(results);
    return cx->status;
}

static kin_status draw_sheet(kin_ctx *cx, kin_session *s, const kin_dataset *d, const job *j)
{
    float *image, *text;
    KIN_TRY(kin_embed_dataset(cx, &s->embedder, d, &image, &text));
    sheet_write(cx, j->sheet, d, image, text, s->model->cfg.embed_dim, j->queries);
    free(image);
    free(text);
    return cx->status;
}

static kin_status evaluate(kin_ctx *cx, kin_session *s, const job *j)
{
    kin_dataset *d = kin_dataset_open(cx, j->data, j->split, false);
    json_t *metrics = d ? kin_evaluate(cx, &s->embedder, d, j->bootstrap) : NULL;
    if (metrics) {
        cli_print_metrics(metrics);
        if (j->out) save(cx, j, metrics);
        if (cx->status == KIN_OK && j->sheet) draw_sheet(cx, s, d, j);
    }
    json_decref(metrics);
    kin_dataset_close(d);
    return cx->status;
}

int cmd_eval(kin_ctx *cx, int argc, char **argv)
{
    job j = {.split = "test", .queries = 6};
    const char *task = NULL;
    int64_t threads = 0, batch = 64;
    const cli_flag flags[] = {
        {"--model", CLI_TEXT, &j.model, NULL, NULL, "DIR model folder, e.g. RUN/best"},
        {"--data", CLI_TEXT, &j.data, NULL, NULL, "P pairs: shards, a Karpathy JSON, a folder"},
        {"--split", CLI_TEXT, &j.split, NULL, NULL, "NAME split, where the data has splits (test)"},
        {"--out", CLI_TEXT, &j.out, NULL, NULL, "FILE.json results as CLIP_benchmark writes them"},
        {"--sheet", CLI_TEXT, &j.sheet, NULL, NULL, "FILE.png contact sheet: queries and what they found"},
        {"--queries", CLI_NUMBER, NULL, &j.queries, NULL, "N of each kind on the sheet (6)"},
        {"--bootstrap", CLI_NUMBER, NULL, &j.bootstrap, NULL, "N resamples for 95 % intervals (0: none)"},
        {"--threads", CLI_NUMBER, NULL, &threads, NULL, "N compute threads (all cores)"},
        {"--batch", CLI_NUMBER, NULL, &batch, NULL, "N embedded at once (64)"},
        CLI_END,
    };
    bool helped;
    const char *usage = "eval retrieval --model DIR --data P [flags]";
    if (!cli_parse(cx, argc, argv, usage, flags, &task, 1, &helped)) return helped ? CLI_DONE : CLI_USAGE;
    if (!task || strcmp(task, "retrieval") != 0) {
        kin_fail(cx, KIN_ARG, "evaluate what? There is: kin %s", usage);
        return CLI_USAGE;
    }
    if (!cli_need(cx, j.model, "--model") || !cli_need(cx, j.data, "--data")) return CLI_USAGE;
    kin_session s;
    if (kin_session_open(cx, &s, j.model, (int)threads, kin_max64(1, batch)) == KIN_OK) evaluate(cx, &s, &j);
    kin_session_close(&s);
    return cli_exit(cx);
}
