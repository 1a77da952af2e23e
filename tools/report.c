#include "tools/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "tools/report_page.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/trainer.h"

enum { LIMIT = 1 << 30 };

static kin_status read_history(kin_ctx *cx, const char *run, report_history *h)
{
    uint8_t *text = NULL;
    int64_t size;
    char *path = kin_sprintf(cx, "%s/metrics.jsonl", run);
    h->train = json_array();
    h->eval = json_array();
    if (path) kin_read_file(cx, path, LIMIT, &text, &size);
    char *save, *line = text ? strtok_r((char *)text, "\n", &save) : NULL;
    for (; line && cx->status == KIN_OK; line = strtok_r(NULL, "\n", &save)) {
        json_t *v = json_loads(line, 0, NULL); /* the last line of a killed run may be cut */
        if (json_is_object(v)) json_array_append(json_object_get(v, "eval") ? h->eval : h->train, v);
        json_decref(v);
    }
    free(text);
    free(path);
    return cx->status;
}

/* Column `key` of a list of objects (inside "eval" for evaluations); NaN where it is missing. Caller frees.
 */
static double *column(kin_ctx *cx, const json_t *list, const char *inside, const char *key)
{
    size_t i;
    const json_t *v;
    double *out = kin_alloc(cx, kin_max64(1, (int64_t)json_array_size(list)), sizeof *out);
    json_array_foreach(list, i, v)
    {
        const json_t *x = json_object_get(inside ? json_object_get(v, inside) : v, key);
        if (out) out[i] = json_is_number(x) ? json_number_value(x) : (double)NAN;
    }
    return out;
}

typedef struct curve {
    const char *title, *means, *key[HTML_LINES], *name[HTML_LINES];
    bool eval;
} curve;

static const curve curves[] = {
    {"Loss",
     "How badly pairs of a batch are told apart; chance is what a model that knows nothing gets.",
     {"loss", "chance"},
     {"loss", "chance"},
     false},
    {"Recall while training, text to image",
     "Share of captions whose picture is among the first K found.",
     {"image_retrieval_recall@1", "image_retrieval_recall@5", "image_retrieval_recall@10"},
     {"R@1", "R@5", "R@10"},
     true},
    {"Recall while training, image to text",
     "Share of pictures with one of their captions among the first K.",
     {"text_retrieval_recall@1", "text_retrieval_recall@5", "text_retrieval_recall@10"},
     {"R@1", "R@5", "R@10"},
     true},
    {"Cosines in a batch",
     "Of a picture and its caption (should rise); of two different pictures, of two captions "
     "(near 1: collapse).",
     {"pair_cosine", "image_cosine", "text_cosine"},
     {"true pair", "pictures", "captions"},
     false},
    {"Logit scale",
     "How sharply similarities are turned into probabilities; learned, clamped.",
     {"logit_scale"},
     {"scale"},
     false},
    {"Learning rate", "The schedule: warm-up, then decay.", {"lr"}, {"lr"}, false},
    {"Gradient norm",
     "Before clipping. Spikes mean an unstable learning rate.",
     {"grad_norm"},
     {"norm"},
     false},
    {"Speed", "Pairs a second, of the time since the last line.", {"pairs_per_s"}, {"pairs/s"}, false},
    {"Waiting for data",
     "Share of the time that a step waited for pictures; above a third, data is the bottleneck.",
     {"data_share"},
     {"share"},
     false},
};

static kin_status write_curves(kin_ctx *cx, report_page *p)
{
    html_section(p->f, "The course of training", "Over the steps of the optimiser; from metrics.jsonl.");
    fputs("<div class=\"grid\">\n", p->f);
    for (size_t i = 0; i < sizeof curves / sizeof *curves && cx->status == KIN_OK; i++) {
        const curve *c = &curves[i];
        const json_t *list = c->eval ? p->past.eval : p->past.train;
        const int64_t n = (int64_t)json_array_size(list);
        html_line line[HTML_LINES];
        double *y[HTML_LINES] = {0}, *x = column(cx, list, NULL, "step");
        int lines = 0;
        for (; lines < HTML_LINES && c->key[lines]; lines++) {
            y[lines] = column(cx, list, c->eval ? "eval" : NULL, c->key[lines]);
            line[lines] = (html_line){c->name[lines], y[lines]};
        }
        if (cx->status == KIN_OK && n > (c->eval ? 1 : 0))
            html_chart(p->f, c->title, c->means, x, n, line, lines);
        free(x);
        for (int k = 0; k < lines; k++) free(y[k]);
    }
    fputs("</div>\n", p->f);
    return cx->status;
}

static double metric(const json_t *m, const char *format, const char *way, int k)
{
    char name[80];
    snprintf(name, sizeof name, format, way, k);
    return json_number_value(json_object_get(m, name));
}

static void write_way(report_page *p, const json_t *m, const char *way, const char *title, const char *means)
{
    static const char *const names[] = {"R@1", "R@5", "R@10"};
    html_bar bar[KIN_RECALLS];
    for (int k = 0; k < KIN_RECALLS; k++) {
        char key[80];
        snprintf(key, sizeof key, "%s_retrieval_recall@%d_ci95", way, kin_recall_at[k]);
        const json_t *ci = json_object_get(m, key);
        bar[k] = (html_bar){names[k], metric(m, "%s_retrieval_recall@%d", way, kin_recall_at[k]),
                            ci ? json_number_value(json_array_get(ci, 0)) : 1.0,
                            ci ? json_number_value(json_array_get(ci, 1)) : 0.0,
                            metric(m, "%s_retrieval_chance@%d", way, kin_recall_at[k])};
    }
    html_bars(p->f, title, means, bar, KIN_RECALLS);
}

static void write_table(report_page *p, const json_t *m)
{
    static const char *const ways[] = {"image", "text"}, *const titles[] = {"text to image", "image to text"};
    fputs("<div class=\"scroll\"><table><tr><th>per cent</th><th>R@1</th><th>R@5</th><th>R@10</th><th>median "
          "rank</th>"
          "<th>mean rank</th></tr>\n",
          p->f);
    for (int w = 0; w < 2; w++) {
        fprintf(p->f, "<tr><td>%s</td>", titles[w]);
        for (int k = 0; k < KIN_RECALLS; k++) {
            char key[80];
            snprintf(key, sizeof key, "%s_retrieval_recall@%d_ci95", ways[w], kin_recall_at[k]);
            const json_t *ci = json_object_get(m, key);
            fprintf(p->f, "<td>%.1f", 100.0 * metric(m, "%s_retrieval_recall@%d", ways[w], kin_recall_at[k]));
            if (ci)
                fprintf(p->f, " [%.1f, %.1f]", 100.0 * json_number_value(json_array_get(ci, 0)),
                        100.0 * json_number_value(json_array_get(ci, 1)));
            fputs("</td>", p->f);
        }
        fprintf(p->f, "<td>%.0f</td><td>%.1f</td></tr>\n", metric(m, "%s_retrieval_median_rank", ways[w], 0),
                metric(m, "%s_retrieval_mean_rank", ways[w], 0));
    }
    fputs("</table></div>\n<p class=\"means\">In brackets: the 95 % interval, from drawing the pictures with "
          "their "
          "captions anew. Rank 1 is first.</p>\n",
          p->f);
}

static kin_status write_retrieval(kin_ctx *cx, report_page *p, const json_t *m)
{
    char *protocol = kin_retrieval_protocol(cx, m);
    if (!protocol) return cx->status;
    html_section(p->f, "Retrieval", protocol);
    free(protocol);
    fputs("<div class=\"grid\">\n", p->f);
    write_way(p, m, "image", "Text to image",
              "A caption looks for its picture: R@K is the share that finds it among the first K. Line: 95 % "
              "interval; "
              "orange: chance.");
    write_way(p, m, "text", "Image to text",
              "A picture looks for any of its captions: R@K is the share that finds one among the first K.");
    fputs("</div>\n", p->f);
    write_table(p, m);
    return KIN_OK;
}

static kin_status write_measured(kin_ctx *cx, report_page *p)
{
    kin_dataset *d = p->data;
    KIN_TRY(kin_embed_dataset(cx, &p->session.embedder, d, &p->image, &p->text));
    p->width = p->session.model->cfg.embed_dim;
    p->text_rank = kin_alloc(cx, d->captions, sizeof *p->text_rank);
    p->image_rank = kin_alloc(cx, d->items, sizeof *p->image_rank);
    KIN_TRY(cx->status);
    const kin_retrieval_in in = {.image = p->image,
                                 .text = p->text,
                                 .image_of = d->item_of,
                                 .images = d->items,
                                 .texts = d->captions,
                                 .E = p->width,
                                 .text_rank = p->text_rank,
                                 .image_rank = p->image_rank,
                                 .bootstrap = p->job->bootstrap};
    kin_retrieval r;
    KIN_TRY(kin_eval_retrieval(cx, &in, &r));
    json_t *m = kin_retrieval_json(cx, &r);
    if (!m) return cx->status;
    write_retrieval(cx, p, m);
    json_decref(m);
    html_section(p->f, "Similarities", "How the embeddings of the evaluation pairs lie.");
    fputs("<div class=\"grid\">\n", p->f);
    KIN_TRY(report_cosines(cx, p));
    KIN_TRY(report_matrix(cx, p));
    fputs("</div>\n", p->f);
    KIN_TRY(report_queries(cx, p, true));
    return report_queries(cx, p, false);
}

/* The value of the last training line. */
static double last_of(const report_page *p, const char *key)
{
    const size_t n = json_array_size(p->past.train);
    return n ? json_number_value(json_object_get(json_array_get(p->past.train, n - 1), key)) : (double)NAN;
}

/* A tile of the last training line's number; a dash where a run that stopped early has none. */
static void tile(report_page *p, const char *key, const char *name, const char *format, const char *means)
{
    char value[64] = "–";
    const double v = last_of(p, key);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (isfinite(v)) snprintf(value, sizeof value, format, v);
#pragma GCC diagnostic pop
    html_tile(p->f, name, value, means);
}

static void write_tiles(report_page *p)
{
    char value[64], means[100] = "Of the last batch noted.";
    int64_t weights = 0;
    const double chance = last_of(p, "chance");
    for (int i = 0; i < p->session.model->params->count; i++)
        weights += p->session.model->params->param[i].count;
    if (isfinite(chance)) snprintf(means, sizeof means, "Of the last batch noted; chance is %.3f.", chance);
    fputs("<div class=\"tiles\">\n", p->f);
    tile(p, "step", "steps", "%.0f", "Updates of the weights so far.");
    tile(p, "epoch", "epochs", "%.2f", "Times that every training caption was seen.");
    tile(p, "loss", "loss", "%.3f", means);
    tile(p, "logit_scale", "logit scale", "%.1f", "Cosines are multiplied by it before the softmax.");
    tile(p, "pairs_per_s", "pairs/s", "%.0f", "Training speed at the end.");
    snprintf(value, sizeof value, "%.2f M", (double)weights / 1e6);
    html_tile(p->f, "parameters", value, "Numbers that the model learned.");
    fputs("</div>\n", p->f);
}

static kin_status write_origin(kin_ctx *cx, report_page *p)
{
    uint64_t hash;
    KIN_TRY(kin_checkpoint_hash(cx, p->model, &hash));
    char *config = kin_config_text(cx, &p->config);
    if (!config) return cx->status;
    html_section(p->f, "Where this comes from",
                 "Enough to make it again: the same command gives the same bits at any "
                 "number of threads.");
    fputs("<pre>", p->f);
    html_text(p->f, "kin train --config ");
    html_text(p->f, p->job->run);
    fputs("/config.cfg\n\n", p->f);
    fprintf(p->f, "kin       %s, kernels %s\nseed      %lld\nmodel     %016llx  ", KIN_VERSION,
            p->session.backend->name, (long long)p->config.seed, (unsigned long long)hash);
    html_text(p->f, p->model);
    fprintf(p->f, "\noptions   %016llx  config.cfg\n</pre>\n<details><summary>All options</summary>\n<pre>",
            (unsigned long long)kin_fnv(KIN_FNV, config, strlen(config)));
    html_text(p->f, config);
    fputs("</pre></details>\n", p->f);
    free(config);
    return KIN_OK;
}

static kin_status write_page(kin_ctx *cx, report_page *p)
{
    const char *slash = strrchr(p->job->run, '/'), *name = slash && slash[1] ? slash + 1 : p->job->run;
    char *title = kin_sprintf(cx, "Run %s", name);
    if (!title) return cx->status;
    html_begin(p->f, title);
    fputs("<h1>", p->f);
    html_text(p->f, title);
    fputs("</h1>\n<p class=\"says\">", p->f);
    free(title);
    html_text(p->f, p->config.model);
    fputs(" trained on ", p->f);
    html_text(p->f, p->config.train_data);
    if (p->data) {
        fputs(", measured on ", p->f);
        html_text(p->f, p->job->data ? p->job->data : p->config.val_data);
    }
    fputs("</p>\n", p->f);
    write_tiles(p);
    if (p->data) KIN_TRY(write_measured(cx, p));
    KIN_TRY(write_curves(cx, p));
    KIN_TRY(write_origin(cx, p));
    html_end(p->f);
    return KIN_OK;
}

/* Options, history, model; what is missing is said. */
static kin_status open_run(kin_ctx *cx, report_page *p)
{
    const char *run = p->job->run;
    KIN_TRY(kin_config_init(cx, &p->config));
    char *config = kin_sprintf(cx, "%s/config.cfg", run), *best = kin_sprintf(cx, "%s/best", run);
    if (config && access(config, R_OK) != 0)
        kin_fail(cx, KIN_IO, "%s: no run is in this folder (no config.cfg); give the folder that --out named",
                 run);
    if (config && cx->status == KIN_OK) kin_config_load(cx, &p->config, config);
    free(config);
    if (best && access(best, R_OK) != 0) {
        free(best);
        best = kin_sprintf(cx, "%s/last", run);
    }
    p->model = best;
    KIN_TRY(cx->status);
    KIN_TRY(read_history(cx, run, &p->past));
    return kin_session_open(cx, &p->session, p->model, (int)p->job->threads, 64);
}

static kin_status open_pairs(kin_ctx *cx, report_page *p, kin_dataset **d)
{
    const report_job *j = p->job;
    const char *path = j->data ? j->data : p->config.val_data;
    const char *split = j->split ? j->split : p->config.val_split;
    if (!*path) {
        kin_log(cx, KIN_WARN, "the run has no val-data: no retrieval in the report; --data adds it");
        return KIN_OK;
    }
    const kin_dataset_cfg open = kin_data_cfg(&p->config, split);
    *d = kin_dataset_open_as(cx, path, &open);
    p->data = *d;
    return *d ? KIN_OK : kin_within(cx, "evaluation data");
}

kin_status report_write(kin_ctx *cx, const report_job *job)
{
    report_page p = {.job = job};
    kin_dataset *d = NULL;
    char *html = NULL,
         *out = job->out ? kin_strdup(cx, job->out) : kin_sprintf(cx, "%s/report.html", job->run);
    size_t size = 0;
    if (out && open_run(cx, &p) == KIN_OK && open_pairs(cx, &p, &d) == KIN_OK) {
        p.f = open_memstream(&html, &size);
        if (!p.f) kin_fail(cx, KIN_NOMEM, "out of memory for the report");
        if (p.f) write_page(cx, &p);
        if (p.f && fclose(p.f) != 0 && cx->status == KIN_OK)
            kin_fail(cx, KIN_NOMEM, "out of memory for the report");
        if (cx->status == KIN_OK) kin_write_file(cx, out, html, (int64_t)size);
        if (cx->status == KIN_OK)
            kin_log(cx, KIN_INFO, "%s: %.1f MB, open it in a browser", out, (double)size / 1e6);
    }
    free(html);
    free(out);
    free(p.image);
    free(p.text);
    free(p.text_rank);
    free(p.image_rank);
    kin_dataset_close(d);
    kin_session_close(&p.session);
    json_decref(p.past.train);
    json_decref(p.past.eval);
    free(p.model);
    kin_config_free(&p.config);
    return cx->status;
}
