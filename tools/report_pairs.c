#include "tools/report_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tools/base64.h"
#include "tools/report_html.h"
#include "tools/sheet.h"
#include "train/eval_retrieval.h"

enum { MATRIX = 32, BINS = 44, PAIRS = 50000, CELL = 84, FOUND = 4, TEXTS = 3 };

static double dot(const report_page *p, int64_t image, int64_t text)
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
kin_status report_matrix(kin_ctx *cx, report_page *p)
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
kin_status report_cosines(kin_ctx *cx, report_page *p)
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

static kin_status thumbnail(kin_ctx *cx, const report_page *p, int64_t item, const char *note, bool hit)
{
    kin_image small;
    if (sheet_thumbnail(cx, p->data, item, CELL, &small) == KIN_OK) {
        fprintf(p->f, "<figure%s>", hit ? " class=\"hit\"" : "");
        put_picture(cx, p->f, &small, "", p->data->item[item].name);
        fputs("<figcaption>", p->f);
        html_text(p->f, note);
        fputs("</figcaption></figure>\n", p->f);
    }
    kin_image_free(&small);
    return cx->status;
}

static void write_rank(const report_page *p, int64_t rank, int64_t gallery)
{
    fprintf(p->f, "<p class=\"rank %s\">found at place %lld of %lld</p>\n",
            rank == 0   ? "good"
            : rank < 10 ? ""
                        : "bad",
            (long long)rank + 1, (long long)gallery);
}

static kin_status text_query(kin_ctx *cx, report_page *p, int64_t t, float *score)
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

static kin_status image_query(kin_ctx *cx, report_page *p, int64_t item, float *score)
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
static kin_status some_queries(kin_ctx *cx, report_page *p, const ranked *list, int64_t n, bool worst,
                               bool texts, float *score)
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

kin_status report_queries(kin_ctx *cx, report_page *p, bool texts)
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
