#include "tools/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/rng.h"
#include "tools/base64.h"
#include "tools/report_html.h"
#include "train/checkpoint.h"
#include "train/config.h"
#include "train/evaluate.h"
#include "train/session.h"

enum { LIMIT = 1 << 30, MATRIX = 32, BINS = 44, PAIRS = 50000, CELL = 84, FOUND = 4, TEXTS = 3 };

/* The lines of metrics.jsonl, of training and of evaluation apart. */
typedef struct history {
    json_t *train, *eval; /* lists */
} history;

typedef struct page {
    FILE *f;
    const report_job *job;
    kin_config config;
    history past;
    char *model; /* folder */
    kin_session session;
    const kin_dataset *data;
    float *image, *text;
    int64_t width;
    int64_t *text_rank, *image_rank; /* of each query, 0 is first */
} page;

static kin_status read_history(kin_ctx *cx, const char *run, history *h)
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

static kin_status write_curves(kin_ctx *cx, page *p)
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

static void write_way(page *p, const json_t *m, const char *way, const char *title, const char *means)
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

static void write_table(page *p, const json_t *m)
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

static kin_status write_retrieval(kin_ctx *cx, page *p, const json_t *m)
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

static double dot(const page *p, int64_t image, int64_t text)
{
    double sum = 0.0;
    for (int64_t e = 0; e < p->width; e++)
        sum += (double)p->image[image * p->width + e] * (double)p->text[text * p->width + e];
    return sum;
}

static kin_status put_picture(kin_ctx *cx, FILE *f, const kin_image *image, const char *class,
                              const char *alt)
{
    uint8_t *png;
    int64_t size;
    KIN_TRY(kin_image_encode_png(cx, image, &png, &size));
    char *text = base64_encode(cx, png, size);
    free(png);
    if (!text) return cx->status;
    fprintf(f, "<img%s%s%s src=\"data:image/png;base64,%s\" alt=\"", *class ? " class=\"" : "", class,
            *class ? "\"" : "", text);
    html_text(f, alt);
    fputs("\">", f);
    free(text);
    return KIN_OK;
}

/* From dark blue over green to yellow: t in 0 .. 1. */
static void color_of(double t, uint8_t out[3])
{
    static const double stops[][3] = {
        {38, 24, 74}, {40, 85, 140}, {32, 145, 140}, {110, 200, 95}, {250, 230, 70}};
    const double at = fmin(3.999, fmax(0.0, 4.0 * t));
    const int i = (int)at;
    for (int k = 0; k < 3; k++)
        out[k] = (uint8_t)lround(stops[i][k] + (at - i) * (stops[i + 1][k] - stops[i][k]));
}

/* Pictures against the first caption of each, evenly spaced over the set. */
static kin_status write_matrix(kin_ctx *cx, page *p)
{
    const int64_t n = kin_min64(MATRIX, p->data->items);
    kin_image m = {.width = n, .height = n};
    double *score = kin_alloc(cx, n * n, sizeof *score), low = INFINITY, high = -INFINITY;
    m.pixels = kin_alloc(cx, n * n, 3);
    if (score && m.pixels) {
        for (int64_t i = 0; i < n * n; i++) {
            const int64_t row = i / n * p->data->items / n, other = i % n * p->data->items / n;
            score[i] = dot(p, row, p->data->item[other].caption);
            low = fmin(low, score[i]);
            high = fmax(high, score[i]);
        }
        for (int64_t i = 0; i < n * n; i++)
            color_of((score[i] - low) / fmax(1e-9, high - low), m.pixels + 3 * i);
        fputs("<div class=\"card\"><h3>Similarity matrix</h3>\n", p->f);
        put_picture(cx, p->f, &m, "matrix", "similarity matrix");
        fprintf(
            p->f,
            "<p class=\"means\">%lld pictures (rows) against a caption of each (columns), cosine from %.2f "
            "(dark) to %.2f (bright). A bright diagonal is what training is for.</p></div>\n",
            (long long)n, low, high);
    }
    free(score);
    kin_image_free(&m);
    return cx->status;
}

/* Cosines of every caption with its own picture, and of random pairs that do not belong together. */
static kin_status write_cosines(kin_ctx *cx, page *p)
{
    const kin_dataset *d = p->data;
    const int64_t n = kin_min64(PAIRS, d->captions);
    double *right = kin_alloc(cx, n, sizeof *right), *wrong = kin_alloc(cx, n, sizeof *wrong);
    double a[BINS] = {0}, b[BINS] = {0}, low = INFINITY, high = -INFINITY, mean[2] = {0}, above = 0.0;
    kin_rng rng = kin_rng_new(1);
    for (int64_t i = 0; right && wrong && i < n; i++) {
        const int64_t t = i * d->captions / n;
        int64_t other = (int64_t)kin_rng_below(&rng, (uint32_t)d->items);
        if (other == d->item_of[t]) other = (other + 1) % d->items;
        right[i] = dot(p, d->item_of[t], t);
        wrong[i] = dot(p, other, t);
        low = fmin(low, fmin(right[i], wrong[i]));
        high = fmax(high, fmax(right[i], wrong[i]));
        mean[0] += right[i] / (double)n;
        mean[1] += wrong[i] / (double)n;
        above += (right[i] > wrong[i] ? 1.0 : right[i] == wrong[i] ? 0.5 : 0.0) / (double)n;
    }
    if (cx->status == KIN_OK) {
        high += 1e-9;
        for (int64_t i = 0; i < n; i++) {
            a[(int)fmin(BINS - 1, (right[i] - low) / (high - low) * BINS)] += 1.0;
            b[(int)fmin(BINS - 1, (wrong[i] - low) / (high - low) * BINS)] += 1.0;
        }
        char means[400];
        snprintf(means, sizeof means,
                 "Mean %.3f of a picture and its caption, %.3f of a picture and another's caption; the true "
                 "one is "
                 "the higher in %.1f %% (chance 50). Only the order counts: a true pair need not be near 1.",
                 mean[0], mean[1], 100.0 * above);
        html_histogram(p->f, "Cosines of true and false pairs", means, low, high, a, b, BINS, "true",
                       "false");
    }
    free(right);
    free(wrong);
    return cx->status;
}

static kin_status thumbnail(kin_ctx *cx, const page *p, int64_t item, const char *note, bool hit)
{
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    kin_image full = {0}, small = {.width = CELL, .height = CELL};
    kin_preprocess how = kin_preprocess_default();
    how.size = CELL;
    KIN_TRY(kin_dataset_bytes(cx, p->data, item, &bytes, &size, &own));
    if (kin_image_decode(cx, p->data->item[item].name, bytes, size, KIN_MAX_IMAGE_PIXELS, &full) == KIN_OK)
        small.pixels = kin_alloc(cx, CELL * CELL, 3);
    if (small.pixels && kin_preprocess_image(cx, &how, &full, small.pixels) == KIN_OK) {
        fprintf(p->f, "<figure%s>", hit ? " class=\"hit\"" : "");
        put_picture(cx, p->f, &small, "", p->data->item[item].name);
        fputs("<figcaption>", p->f);
        html_text(p->f, note);
        fputs("</figcaption></figure>\n", p->f);
    }
    free(own);
    kin_image_free(&full);
    kin_image_free(&small);
    return cx->status;
}

static void write_rank(const page *p, int64_t rank, int64_t gallery)
{
    fprintf(p->f, "<p class=\"rank %s\">found at place %lld of %lld</p>\n",
            rank == 0   ? "good"
            : rank < 10 ? ""
                        : "bad",
            (long long)rank + 1, (long long)gallery);
}

static kin_status text_query(kin_ctx *cx, page *p, int64_t t, float *score)
{
    const kin_dataset *d = p->data;
    const int64_t own = d->item_of[t];
    int64_t best[FOUND];
    for (int64_t i = 0; i < d->items; i++) score[i] = (float)dot(p, i, t);
    const int64_t n = kin_topk(score, d->items, FOUND, best, NULL);
    bool shown = false;
    fputs("<div class=\"q\"><div><p>“", p->f);
    html_text(p->f, d->caption[t]);
    fputs("”</p>", p->f);
    write_rank(p, p->text_rank[t], d->items);
    fputs("</div><div class=\"pics\">\n", p->f);
    for (int64_t i = 0; i < n; i++) {
        char note[32];
        snprintf(note, sizeof note, "%lld · %.2f", (long long)i + 1, (double)score[best[i]]);
        shown |= best[i] == own;
        KIN_TRY(thumbnail(cx, p, best[i], note, best[i] == own));
    }
    char note[32];
    snprintf(note, sizeof note, "right · %.2f", (double)score[own]);
    if (!shown) KIN_TRY(thumbnail(cx, p, own, note, true));
    fputs("</div></div>\n", p->f);
    return KIN_OK;
}

static kin_status image_query(kin_ctx *cx, page *p, int64_t item, float *score)
{
    const kin_dataset *d = p->data;
    int64_t best[TEXTS];
    for (int64_t t = 0; t < d->captions; t++) score[t] = (float)dot(p, item, t);
    const int64_t n = kin_topk(score, d->captions, TEXTS, best, NULL);
    fputs("<div class=\"q\"><div class=\"pics\" style=\"flex:0 0 auto\">", p->f);
    KIN_TRY(thumbnail(cx, p, item, "", false));
    fputs("</div><div style=\"flex:1 1 240px;min-width:0\">", p->f);
    write_rank(p, p->image_rank[item], d->captions);
    fputs("<ul>", p->f);
    for (int64_t i = 0; i < n; i++) {
        fprintf(p->f, "<li%s>", d->item_of[best[i]] == item ? " class=\"hit\"" : "");
        html_text(p->f, d->caption[best[i]]);
        fprintf(p->f, " <span class=\"says\">%.2f</span></li>\n", (double)score[best[i]]);
    }
    fputs("</ul></div></div>\n", p->f);
    return KIN_OK;
}

/* A query with its place, and how sure it was of its own answer. */
typedef struct ranked {
    int64_t query, item, rank;
    double own;
} ranked;

static int best_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->own != y->own) return x->own > y->own ? -1 : 1;
    return (x->query > y->query) - (x->query < y->query);
}

/* The first (step 1) or last (step -1) `count` queries in order, one of each picture. */
static kin_status some_queries(kin_ctx *cx, page *p, const ranked *list, int64_t n, bool worst, bool texts,
                               float *score)
{
    const int64_t count = kin_min64(p->job->queries, n);
    int64_t *seen = kin_alloc(cx, kin_max64(1, count), sizeof *seen), shown = 0;
    fputs("<div class=\"card\">\n", p->f);
    for (int64_t i = 0; seen && i < n && shown < count && cx->status == KIN_OK; i++) {
        const ranked *q = &list[worst ? n - 1 - i : i];
        bool again = false;
        for (int64_t k = 0; k < shown; k++) again |= seen[k] == q->item;
        if (again) continue;
        seen[shown++] = q->item;
        if (texts)
            text_query(cx, p, q->query, score);
        else
            image_query(cx, p, q->query, score);
    }
    fputs("</div>\n", p->f);
    free(seen);
    return cx->status;
}

static kin_status write_queries(kin_ctx *cx, page *p, bool texts)
{
    const kin_dataset *d = p->data;
    const int64_t all = texts ? d->captions : d->items;
    ranked *list = kin_alloc(cx, all, sizeof *list);
    float *score = kin_alloc(cx, kin_max64(d->items, d->captions), sizeof *score);
    int64_t n = 0;
    for (int64_t q = 0; list && q < all; q++) {
        const int64_t rank = texts ? p->text_rank[q] : p->image_rank[q], item = texts ? d->item_of[q] : q;
        if (rank < 0) continue;
        double own = -2.0;
        for (int64_t t = texts ? q : d->item[q].caption;
             t < (texts ? q + 1 : d->item[q].caption + d->item[q].captions); t++)
            own = fmax(own, dot(p, item, t));
        list[n++] = (ranked){q, item, rank, own};
    }
    if (list && score) {
        qsort(list, (size_t)n, sizeof *list, best_first);
        html_section(
            p->f, texts ? "Captions: best and worst" : "Pictures: best and worst",
            texts
                ? "What a caption finds, nearest first with the cosine under it; its own picture has a green "
                  "frame. First the surest hits, then those whose picture comes last."
                : "What a picture finds; its own captions are green. First the surest hits, then the "
                  "pictures whose captions come last.");
        fputs("<h3>Best</h3>\n", p->f);
        some_queries(cx, p, list, n, false, texts, score);
        fputs("<h3>Worst</h3>\n", p->f);
        some_queries(cx, p, list, n, true, texts, score);
    }
    free(list);
    free(score);
    return cx->status;
}

static kin_status write_measured(kin_ctx *cx, page *p)
{
    const kin_dataset *d = p->data;
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
    KIN_TRY(write_cosines(cx, p));
    KIN_TRY(write_matrix(cx, p));
    fputs("</div>\n", p->f);
    KIN_TRY(write_queries(cx, p, true));
    return write_queries(cx, p, false);
}

/* The value of the last training line. */
static double last_of(const page *p, const char *key)
{
    const size_t n = json_array_size(p->past.train);
    return n ? json_number_value(json_object_get(json_array_get(p->past.train, n - 1), key)) : (double)NAN;
}

static void write_tiles(page *p)
{
    char value[64];
    int64_t weights = 0;
    for (int i = 0; i < p->session.model->params->count; i++)
        weights += p->session.model->params->param[i].count;
    fputs("<div class=\"tiles\">\n", p->f);
    snprintf(value, sizeof value, "%.0f", last_of(p, "step"));
    html_tile(p->f, "steps", value, "Updates of the weights so far.");
    snprintf(value, sizeof value, "%.2f", last_of(p, "epoch"));
    html_tile(p->f, "epochs", value, "Times that every training caption was seen.");
    snprintf(value, sizeof value, "%.3f", last_of(p, "loss"));
    char means[100];
    snprintf(means, sizeof means, "Of the last batch noted; chance is %.3f.", last_of(p, "chance"));
    html_tile(p->f, "loss", value, means);
    snprintf(value, sizeof value, "%.1f", last_of(p, "logit_scale"));
    html_tile(p->f, "logit scale", value, "Cosines are multiplied by it before the softmax.");
    snprintf(value, sizeof value, "%.0f", last_of(p, "pairs_per_s"));
    html_tile(p->f, "pairs/s", value, "Training speed at the end.");
    snprintf(value, sizeof value, "%.2f M", (double)weights / 1e6);
    html_tile(p->f, "parameters", value, "Numbers that the model learned.");
    fputs("</div>\n", p->f);
}

static kin_status write_origin(kin_ctx *cx, page *p)
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

static kin_status write_page(kin_ctx *cx, page *p)
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
static kin_status open_run(kin_ctx *cx, page *p)
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

static kin_status open_pairs(kin_ctx *cx, page *p, kin_dataset **d)
{
    const report_job *j = p->job;
    const char *path = j->data ? j->data : p->config.val_data;
    const char *split = j->split ? j->split : p->config.val_split;
    if (!*path) {
        kin_log(cx, KIN_WARN, "the run has no val-data: no retrieval in the report; --data adds it");
        return KIN_OK;
    }
    *d = kin_dataset_open(cx, path, split, false);
    p->data = *d;
    return *d ? KIN_OK : kin_within(cx, "evaluation data");
}

kin_status report_write(kin_ctx *cx, const report_job *job)
{
    page p = {.job = job};
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
