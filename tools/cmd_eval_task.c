/* kin eval itm, classify, rerank, noise: what a model says of pictures and texts together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "tools/cli.h"
#include "tools/plot.h"
#include "train/eval_noise.h"
#include "train/evaluate.h"
#include "train/gallery.h"
#include "train/judge_fused.h"
#include "train/rerank.h"
#include "train/session.h"

enum { MOST_MODELS = 8 };

typedef struct job {
    const char *task, *model[1 + MOST_MODELS], *data, *split, *tune_split, *seen, *seen_split, *judge, *out,
        *picture, *kinds;
    kin_dataset_cfg open;
    int64_t bootstrap, threads, batch, depth, steps, seed;
    const char *weight;
    double similarity; /* which is the weight */
    bool json;
} job;

static kin_dataset *open_split(kin_ctx *cx, const job *j, const char *path, const char *split,
                               kin_labels labels)
{
    kin_dataset_cfg cfg = j->open;
    cfg.split = split;
    cfg.labels = labels;
    return kin_dataset_open_as(cx, path, &cfg);
}

static kin_status finish(kin_ctx *cx, const job *j, json_t *metrics)
{
    if (j->json && json_dumpf(metrics, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0) printf("\n");
    if (!j->out) return KIN_OK;
    const char *model = j->model[2] ? NULL : j->model[1]; /* several: noise's metrics name them */
    json_t *all = json_pack("{s:s, s:s*, s:s, s:s, s:O}", "task", j->task, "model", model, "data", j->data,
                            "split", j->split, "metrics", metrics);
    if (!all) return kin_fail(cx, KIN_NOMEM, "out of memory for the results");
    kin_json_save(cx, j->out, all);
    json_decref(all);
    return cx->status;
}

static double real(const json_t *m, const char *key)
{
    return 100.0 * json_number_value(json_object_get(m, key));
}

static double end(const json_t *m, const char *key, size_t which)
{
    return 100.0 * json_number_value(json_array_get(json_object_get(m, key), which));
}

static void print_value(const json_t *m, const char *key, const char *name)
{
    char interval[64];
    if (!json_object_get(m, key)) return;
    printf("%-18s %6.2f %%", name, real(m, key));
    snprintf(interval, sizeof interval, "%s_ci95", key);
    const json_t *own = json_object_get(m, interval);
    if (own) printf("   [%.2f, %.2f] by bootstrap", end(m, interval, 0), end(m, interval, 1));
    snprintf(interval, sizeof interval, "%s_wilson95", key);
    if (json_object_get(m, interval))
        printf("   [%.2f, %.2f] by Wilson", end(m, interval, 0), end(m, interval, 1));
    printf("\n");
}

static void print_task(const json_t *m)
{
    printf("%lld examples of %lld texts, %lld classes; always the most frequent: %.2f %%\n",
           (long long)json_integer_value(json_object_get(m, "examples")),
           (long long)json_integer_value(json_object_get(m, "groups")),
           (long long)json_integer_value(json_object_get(m, "classes")), real(m, "majority"));
    print_value(m, "accuracy", "accuracy");
    print_value(m, "balanced_accuracy", "balanced accuracy");
    print_value(m, "auroc", "AUROC");
    print_value(m, "pairwise", "true above false");
    const json_t *t = json_object_get(m, "threshold"), *unseen = json_object_get(m, "unseen_texts");
    if (t)
        printf("threshold          %.4f, %s\n", json_number_value(t),
               strcmp(json_string_value(json_object_get(m, "threshold_from")), "tuned") == 0
                   ? "tuned on other data"
                   : "the median (--tune-split to tune it on other data)");
    if (json_object_get(m, "other_class"))
        printf("left out           %lld examples of classes that the model does not have\n",
               (long long)json_integer_value(json_object_get(m, "other_class")));
    if (unseen) printf("\nof texts that training did not have:\n");
    if (json_is_object(unseen)) print_task(unseen);
    if (json_is_null(unseen)) printf("there are none\n");
}

/* Which texts of d training had; the caller frees it. */
static bool *seen_texts(kin_ctx *cx, const job *j, const kin_dataset *d)
{
    kin_dataset *train = open_split(cx, j, j->seen, j->seen_split, KIN_LABELS_IF);
    bool *seen = train ? kin_alloc0(cx, kin_max64(1, d->captions), sizeof *seen) : NULL;
    if (seen) kin_dataset_seen(cx, d, train, seen);
    kin_dataset_close(train);
    return seen;
}

/* Into *use: the threshold, when one is asked for and the model needs it. */
static kin_status tune(kin_ctx *cx, const job *j, const char *model, const kin_judge *judge,
                       double *threshold, const double **use)
{
    if (!j->tune_split) return KIN_OK;
    if (judge->width > 2) {
        kin_log(cx, KIN_WARN, "%s: the model decides by itself; --tune-split is not used", model);
        return KIN_OK;
    }
    kin_dataset *d = open_split(cx, j, j->data, j->tune_split, KIN_LABELS_MUST);
    if (d && kin_leave_readable(cx, judge->embedder, d) == KIN_OK)
        kin_tune_threshold(cx, judge, d, threshold);
    *use = threshold;
    kin_dataset_close(d);
    return cx->status;
}

static kin_status eval_task_by(kin_ctx *cx, const job *j, kin_session *s, kin_fused_judge *fused)
{
    double threshold;
    kin_judge judge;
    const kin_objective head = strcmp(j->task, "itm") == 0 ? KIN_ITM : KIN_CLS;
    KIN_TRY(kin_judge_of(cx, &s->embedder, head, fused, &judge));
    kin_task_opts o = {.bootstrap = j->bootstrap};
    KIN_TRY(tune(cx, j, j->model[1], &judge, &threshold, &o.threshold));
    kin_dataset *d = open_split(cx, j, j->data, j->split, KIN_LABELS_MUST);
    if (d) kin_leave_readable(cx, &s->embedder, d);
    bool *seen = d && j->seen && cx->status == KIN_OK ? seen_texts(cx, j, d) : NULL;
    o.seen = seen;
    json_t *m = d && cx->status == KIN_OK ? kin_eval_task(cx, &judge, d, &o) : NULL;
    if (m && !j->json) print_task(m);
    if (m) finish(cx, j, m);
    json_decref(m);
    free(seen);
    kin_dataset_close(d);
    return cx->status;
}

static kin_status eval_task(kin_ctx *cx, const job *j, kin_session *s)
{
    kin_fused_judge fused = {0};
    eval_task_by(cx, j, s, &fused);
    kin_fused_judge_close(&fused);
    return cx->status;
}

/* ---- rerank ---- */

static void print_way(const json_t *m, const char *way, const char *name)
{
    char key[64], ci[80], before[64];
    for (int i = 0; i < KIN_RECALLS; i++) {
        snprintf(key, sizeof key, "%s_retrieval_recall@%d_gain", way, kin_recall_at[i]);
        snprintf(ci, sizeof ci, "%s_ci95", key);
        snprintf(before, sizeof before, "%s_retrieval_recall@%d_before", way, kin_recall_at[i]);
        printf("%-15s R@%-2d  %6.2f %%  %+6.2f", i ? "" : name, kin_recall_at[i], real(m, before),
               real(m, key));
        if (json_object_get(m, ci)) printf("  [%+.2f, %+.2f]", end(m, ci, 0), end(m, ci, 1));
        printf("\n");
    }
}

/* What it costs is said before it begins. */
static kin_status open_gallery(kin_ctx *cx, kin_gallery *g, kin_fused_judge *fused, const kin_dataset *d)
{
    fprintf(stderr,
            "the judge's towers run once over %lld pictures and %lld texts; their rows are kept (%.0f MiB "
            "at most)\n",
            (long long)d->items, (long long)d->captions, (double)kin_gallery_bytes(fused, d) / 1048576.0);
    KIN_TRY(kin_gallery_open(cx, g, fused, d));
    fprintf(stderr, "that took %.1f s\n", g->seconds);
    return KIN_OK;
}

static kin_status rerank(kin_ctx *cx, const job *j, kin_session *s, kin_session *second,
                         kin_fused_judge *fused)
{
    kin_judge judge;
    KIN_TRY(kin_judge_of(cx, &second->embedder, KIN_ITM, fused, &judge));
    float *image = NULL, *text = NULL;
    kin_dataset *d = open_split(cx, j, j->data, j->split, KIN_LABELS_PAIRS);
    json_t *m = NULL;
    if (d && kin_embed_dataset(cx, &s->embedder, d, &image, &text) == KIN_OK) {
        kin_rerank_judge self = {&judge, d};
        kin_gallery gallery = {0};
        const bool kept = fused->embedder && kin_gallery_fits(fused);
        const kin_rerank_in in = {.first = {.image = image,
                                            .text = text,
                                            .image_of = d->item_of,
                                            .images = d->items,
                                            .texts = d->captions,
                                            .E = s->model->cfg.embed_dim},
                                  .depth = j->depth,
                                  .score = kept ? kin_gallery_ask : kin_rerank_ask,
                                  .self = kept ? (void *)&gallery : (void *)&self,
                                  .similarity = j->similarity,
                                  .resamples = j->bootstrap};
        kin_rerank r;
        fprintf(stderr, "%lld pairs to look at (--depth %lld)%s\n", (long long)kin_rerank_pairs(&in),
                (long long)j->depth, kept ? "" : "; this judge reads each pair's picture and text anew");
        if (kept) open_gallery(cx, &gallery, fused, d);
        if (cx->status == KIN_OK && kin_rerank_run(cx, &in, &r) == KIN_OK) m = kin_rerank_json(cx, &r);
        kin_gallery_close(&gallery);
    }
    if (m && !j->json) {
        printf("                      before    gain%s\n",
               j->bootstrap ? "   95 % interval of the gain, paired" : "");
        print_way(m, "image", "text -> image");
        print_way(m, "text", "image -> text");
    }
    if (m) finish(cx, j, m);
    json_decref(m);
    free(image);
    free(text);
    kin_dataset_close(d);
    return cx->status;
}

static kin_status eval_rerank(kin_ctx *cx, const job *j, kin_session *s)
{
    kin_session second;
    kin_fused_judge fused = {0};
    if (kin_session_open(cx, &second, j->judge, (int)j->threads, j->batch) == KIN_OK)
        rerank(cx, j, s, &second, &fused);
    kin_fused_judge_close(&fused);
    kin_session_close(&second);
    return cx->status;
}

/* ---- noise ---- */

static kin_status choose_kinds(kin_ctx *cx, const job *j, bool kinds[KIN_NOISES])
{
    for (int k = 0; k < KIN_NOISES; k++) kinds[k] = !j->kinds;
    for (const char *at = j->kinds; at && *at; at += *at == ',') {
        const size_t n = strcspn(at, ",");
        int k = 0;
        while (k < KIN_NOISES && (strlen(kin_noise_names[k]) != n || strncmp(kin_noise_names[k], at, n) != 0))
            k++;
        if (k == KIN_NOISES)
            return kin_fail(
                cx, KIN_ARG,
                "no noise '%.*s'; there are blur, crop, color, cover, no-image, shuffle, drop, no-text",
                (int)n, at);
        kinds[k] = true;
        at += n;
    }
    return KIN_OK;
}

/* One model: its session, and what is measured of it. */
typedef struct subject {
    kin_session session;
    kin_fused_judge fused;
    kin_judge judge;
    kin_noise_retrieval retrieval;
    kin_noise_task task;
    double threshold;
} subject;

static kin_status open_subject(kin_ctx *cx, const job *j, const char *model, kin_dataset *d, subject *s,
                               kin_noise_subject *out)
{
    KIN_TRY(kin_session_open(cx, &s->session, model, (int)j->threads, j->batch));
    KIN_TRY(kin_judge_of(cx, &s->session.embedder, KIN_CLS, &s->fused, &s->judge));
    s->retrieval =
        (kin_noise_retrieval){.embedder = &s->session.embedder, .data = d, .bootstrap = j->bootstrap};
    s->task = (kin_noise_task){.judge = &s->judge, .data = d, .bootstrap = j->bootstrap};
    *out = d->classes ? (kin_noise_subject){model, &s->task, kin_noise_measure_task}
                      : (kin_noise_subject){model, &s->retrieval, kin_noise_measure_retrieval};
    return d->classes ? tune(cx, j, model, &s->judge, &s->threshold, &s->task.threshold) : KIN_OK;
}

static void print_noise(const json_t *curves)
{
    size_t i, k;
    const json_t *m, *v;
    const char *kind;
    json_array_foreach(json_object_get(curves, "models"), i, m)
    {
        printf("%s: %s in %% at strengths 0 to 1\n", json_string_value(json_object_get(m, "name")),
               json_string_value(json_object_get(curves, "metric")));
        json_object_foreach(json_object_get(m, "curves"), kind, v)
        {
            const json_t *value = json_object_get(v, "value"), *x;
            printf("  %-9s", kind);
            json_array_foreach(value, k, x) printf(" %6.2f", 100.0 * json_number_value(x));
            printf("\n");
        }
    }
}

static kin_status measure_noise(kin_ctx *cx, const job *j, const kin_noise_subject *subjects, int64_t n,
                                const kin_dataset *d)
{
    kin_noise_cfg cfg = {.steps = j->steps,
                         .seed = (uint64_t)j->seed,
                         .metric = d->classes ? "balanced accuracy" : "mean of both R@1"};
    KIN_TRY(choose_kinds(cx, j, cfg.kinds));
    json_t *m = kin_eval_noise(cx, subjects, n, &cfg);
    if (m && !j->json) print_noise(m);
    if (m && j->picture) plot_noise(cx, j->picture, m, j->data, d->classes ? 1.0 / (double)d->classes : -1.0);
    if (m && cx->status == KIN_OK) finish(cx, j, m);
    json_decref(m);
    return cx->status;
}

static kin_status eval_noise(kin_ctx *cx, const job *j)
{
    kin_noise_subject of[MOST_MODELS];
    subject *s = kin_alloc0(cx, MOST_MODELS, sizeof *s);
    kin_dataset *d = s ? open_split(cx, j, j->data, j->split, KIN_LABELS_IF) : NULL;
    int64_t n = 0;
    for (; d && cx->status == KIN_OK && n < MOST_MODELS && j->model[1 + n]; n++)
        open_subject(cx, j, j->model[1 + n], d, &s[n], &of[n]);
    if (n > 0 && cx->status == KIN_OK) kin_leave_readable(cx, &s[0].session.embedder, d);
    if (n > 0 && cx->status == KIN_OK) measure_noise(cx, j, of, n, d);
    for (int64_t i = 0; s && i < n; i++) {
        kin_fused_judge_close(&s[i].fused);
        kin_session_close(&s[i].session);
        free(s[i].retrieval.image);
        free(s[i].retrieval.text);
    }
    free(s);
    kin_dataset_close(d);
    return cx->status;
}

/* What can be told to be wrong before a model is opened. */
static bool read_weight(kin_ctx *cx, job *j)
{
    char *end;
    j->similarity = strtod(j->weight, &end);
    if (end != j->weight && !*end && j->similarity >= 0.0 && j->similarity <= 1e6) return true;
    kin_fail(cx, KIN_ARG, "--similarity: '%s' is not a number from 0 to 1000000", j->weight);
    return false;
}

static bool sound(kin_ctx *cx, job *j)
{
    const bool noise = strcmp(j->task, "noise") == 0;
    if (!j->model[1]) {
        kin_fail(cx, KIN_ARG, "%s: a model's folder is needed: kin eval %s MODEL --data P", j->task, j->task);
        return false;
    }
    if (!noise && j->model[2]) {
        kin_fail(cx, KIN_ARG, "'%s' is one argument too many; usage: kin eval %s MODEL --data P [flags]",
                 j->model[2], j->task);
        return false;
    }
    if (j->weight && !read_weight(cx, j)) return false;
    return cli_need(cx, j->data, "--data") &&
           (strcmp(j->task, "rerank") != 0 || cli_need(cx, j->judge, "--judge")) &&
           cli_within(cx, "--threads", j->threads, 0, 4096) &&
           cli_within(cx, "--batch", j->batch, 1, 1000000) &&
           cli_within(cx, "--depth", j->depth, 1, INT32_MAX) && cli_within(cx, "--steps", j->steps, 1, 100) &&
           kin_check_resamples(cx, j->task, j->bootstrap) == KIN_OK;
}

int cmd_eval_task(kin_ctx *cx, int argc, char **argv)
{
    job j = {
        .split = "test", .seen_split = "train", .batch = 64, .depth = 256, .steps = 5, .bootstrap = 1000};
    const cli_flag flags[] = {
        {"--model", CLI_TEXT, &j.model[1], NULL, NULL, "DIR the model, when it is not an argument"},
        {"--data", CLI_TEXT, &j.data, NULL, NULL,
         "P labelled pairs: a table with labels, scenes:TASK; or pairs"},
        {"--split", CLI_TEXT, &j.split, NULL, NULL, "NAME or NAME,NAME splits of it (test)"},
        {"--tune-split", CLI_TEXT, &j.tune_split, NULL, NULL,
         "NAME split to tune the threshold between true and false on"},
        {"--seen", CLI_TEXT, &j.seen, NULL, NULL,
         "P training data: texts that it does not have are also told apart"},
        {"--seen-split", CLI_TEXT, &j.seen_split, NULL, NULL, "NAME its splits (train)"},
        {"--bootstrap", CLI_NUMBER, NULL, &j.bootstrap, NULL, "N resamples for 95 % intervals (1000)"},
        {"--judge", CLI_TEXT, &j.judge, NULL, NULL, "DIR rerank: the model that puts answers in a new order"},
        {"--depth", CLI_NUMBER, NULL, &j.depth, NULL,
         "N rerank: answers of each query that it looks at (256)"},
        {"--similarity", CLI_TEXT, &j.weight, NULL, NULL,
         "W rerank: what the first model's cosine counts beside the judge's score (0)"},
        {"--noise", CLI_TEXT, &j.kinds, NULL, NULL,
         "A,B noise: of blur, crop, color, cover, no-image, shuffle, drop, no-text (all)"},
        {"--steps", CLI_NUMBER, NULL, &j.steps, NULL, "N noise: strengths above 0 (5)"},
        {"--picture", CLI_TEXT, &j.picture, NULL, NULL, "FILE.png noise: the curves"},
        {"--seed", CLI_NUMBER, NULL, &j.seed, NULL, "S noise: of what is random (0)"},
        {"--out", CLI_TEXT, &j.out, NULL, NULL, "FILE.json results"},
        {"--json", CLI_SWITCH, NULL, NULL, &j.json, "print the results as JSON"},
        {"--csv-separator", CLI_TEXT, &j.open.separator, NULL, NULL, "C of a table: a character, or tab"},
        {"--csv-img-key", CLI_TEXT, &j.open.image_key, NULL, NULL, "NAME its column of pictures"},
        {"--csv-caption-key", CLI_TEXT, &j.open.caption_key, NULL, NULL, "NAME its column of texts"},
        {"--csv-label-key", CLI_TEXT, &j.open.label_key, NULL, NULL, "NAME its column of labels"},
        {"--threads", CLI_NUMBER, NULL, &j.threads, NULL, "N compute threads (all cores)"},
        {"--batch", CLI_NUMBER, NULL, &j.batch, NULL, "N pairs at once (64)"},
        CLI_END,
    };
    bool helped;
    if (!cli_parse(cx, argc, argv, "eval itm|classify|rerank MODEL | noise MODEL.. --data P [flags]", flags,
                   j.model, 1 + MOST_MODELS, &helped))
        return helped ? CLI_DONE : CLI_USAGE;
    j.task = j.model[0];
    if (!sound(cx, &j)) return CLI_USAGE;
    if ((j.out && kin_file_check(cx, j.out) != KIN_OK) ||
        (j.picture && kin_file_check(cx, j.picture) != KIN_OK))
        return cli_exit(cx);
    if (strcmp(j.task, "noise") == 0) {
        eval_noise(cx, &j);
        return cli_exit(cx);
    }
    const bool again = strcmp(j.task, "rerank") == 0;
    kin_session s;
    if (kin_session_open(cx, &s, j.model[1], (int)j.threads, j.batch) == KIN_OK)
        again ? eval_rerank(cx, &j, &s) : eval_task(cx, &j, &s);
    kin_session_close(&s);
    return cli_exit(cx);
}
