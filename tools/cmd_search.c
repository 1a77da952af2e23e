#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "train/eval_retrieval.h"
#include "train/index.h"
#include "train/session.h"

typedef struct query {
    const char *text, *image; /* one of them */
    int64_t k;
    bool json;
} query;

/* What is searched: embeddings and their names; of pictures just embedded, which could not be read. */
typedef struct gallery {
    int64_t n;
    const float *rows;
    const char *const *name;
    const bool *bad; /* NULL: none */
} gallery;

static kin_status embed_query(kin_ctx *cx, kin_session *s, const query *q, float *out)
{
    if (q->text) return kin_embed_texts(cx, &s->embedder, &q->text, 1, out);
    kin_dataset *d = kin_pictures_open(cx, q->image);
    if (d && d->items != 1)
        kin_fail(cx, KIN_ARG, "--image %s: %lld pictures; one is looked for at a time", q->image,
                 (long long)d->items);
    if (d && cx->status == KIN_OK) kin_embed_pictures(cx, &s->embedder, d, 0, 1, out, NULL);
    kin_dataset_close(d);
    return cx->status;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* p: of each that was searched, as the model was trained to say it. */
static void print(const gallery *g, const query *q, const int64_t *best, const float *score, int64_t n,
                  const float *p)
{
    json_t *list = json_array();
    if (!q->json) printf("rank    cos      p  picture\n");
    for (int64_t i = 0; i < n; i++) {
        const char *name = g->name[best[i]];
        if (q->json)
            json_array_append_new(list,
                                  json_pack("{s:I, s:f, s:f, s:s}", "rank", (json_int_t)i + 1, "cos",
                                            (double)score[i], "p", (double)p[best[i]], "picture", name));
        else
            printf("%4lld  %5.3f  %5.1f %%  %s\n", (long long)i + 1, (double)score[i],
                   100.0 * (double)p[best[i]], name);
    }
    if (q->json && json_dumpf(list, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) == 0) printf("\n");
    json_decref(list);
}

static kin_status rank(kin_ctx *cx, kin_session *s, const gallery *g, const query *q, const float *asked)
{
    const int64_t width = s->model->cfg.embed_dim;
    const int64_t k = kin_max64(1, kin_min64(q->k, g->n));
    float *score = kin_alloc(cx, g->n, sizeof *score), *top = kin_alloc(cx, k, sizeof *top);
    int64_t *best = kin_alloc(cx, k, sizeof *best);
    float *p = kin_alloc(cx, g->n, sizeof *p);
    if (cx->status == KIN_OK) {
        const kin_scoring how = kin_session_scoring(cx, s);
        int64_t readable = 0;
        for (int64_t i = 0; i < g->n; i++) {
            const bool bad = g->bad && g->bad[i];
            score[i] = bad ? NAN : (float)dot(g->rows + i * width, asked, width);
            readable += !isnan(score[i]);
        }
        const int64_t n = kin_min64(kin_topk(score, g->n, k, best, top), readable);
        kin_score(&how, score, g->n, p);
        if (readable < g->n)
            kin_log(cx, KIN_WARN, "%lld of %lld pictures could not be read", (long long)(g->n - readable),
                    (long long)g->n);
        print(g, q, best, top, n, p);
    }
    free(score);
    free(top);
    free(best);
    free(p);
    return cx->status;
}

static kin_status search_pictures(kin_ctx *cx, kin_session *s, const char *in, const query *q,
                                  const float *asked)
{
    kin_dataset *d = kin_pictures_open(cx, in);
    if (!d) return cx->status;
    float *rows = kin_alloc(cx, d->items * s->model->cfg.embed_dim, sizeof *rows);
    bool *bad = kin_alloc(cx, d->items, sizeof *bad);
    const char **name = kin_alloc(cx, d->items, sizeof *name);
    if (rows && bad && name && kin_embed_pictures(cx, &s->embedder, d, 0, d->items, rows, bad) == KIN_OK) {
        for (int64_t i = 0; i < d->items; i++) name[i] = d->item[i].name;
        rank(cx, s, &(gallery){d->items, rows, name, bad}, q, asked);
    }
    free(rows);
    free(bad);
    free(name);
    kin_dataset_close(d);
    return cx->status;
}

static kin_status search_index(kin_ctx *cx, kin_session *s, const char *in, const query *q,
                               const float *asked)
{
    kin_index x;
    if (kin_index_open(cx, &x, in) == KIN_OK && x.width != s->model->cfg.embed_dim)
        kin_fail(cx, KIN_SHAPE,
                 "%s: embeddings of %lld numbers, this model's have %lld: they are another model's", in,
                 (long long)x.width, (long long)s->model->cfg.embed_dim);
    if (cx->status == KIN_OK) rank(cx, s, &(gallery){x.n, x.rows, x.name, NULL}, q, asked);
    kin_index_close(&x);
    return cx->status;
}

static kin_status search(kin_ctx *cx, kin_session *s, const char *in, const query *q)
{
    float *asked = kin_alloc(cx, s->model->cfg.embed_dim, sizeof *asked);
    if (asked && embed_query(cx, s, q, asked) == KIN_OK)
        (kin_index_named(in) ? search_index : search_pictures)(cx, s, in, q, asked);
    free(asked);
    return cx->status;
}

int cmd_search(kin_ctx *cx, int argc, char **argv)
{
    const char *model = NULL, *in = NULL;
    query q = {.k = 10};
    int64_t threads = 0;
    bool upright = false;
    const cli_flag flags[] = {
        {"--model", CLI_TEXT, &model, NULL, NULL, "DIR model folder, e.g. RUN/best"},
        {"--in", CLI_TEXT, &in, NULL, NULL, "P a folder of pictures, shards, or FILE.npy by kin embed"},
        {"--image", CLI_TEXT, &q.image, NULL, NULL, "FILE look for pictures like this one"},
        {"-k", CLI_NUMBER, NULL, &q.k, NULL, "N how many (10)"},
        {"--json", CLI_SWITCH, NULL, NULL, &q.json, "print JSON"},
        {"--exif", CLI_SWITCH, NULL, NULL, &upright,
         "turn pictures as their EXIF data says (open_clip does not)"},
        {"--threads", CLI_NUMBER, NULL, &threads, NULL, "N compute threads (all cores)"},
        CLI_END,
    };
    bool helped;
    const char *usage = "search --model DIR --in P (TEXT | --image FILE) [-k N] [--json]";
    if (!cli_parse(cx, argc, argv, usage, flags, &q.text, 1, &helped)) return helped ? CLI_DONE : CLI_USAGE;
    if (!cli_need(cx, model, "--model") || !cli_need(cx, in, "--in")) return CLI_USAGE;
    if (!q.text == !q.image) {
        kin_fail(cx, KIN_ARG, "either a text or --image is needed");
        return CLI_USAGE;
    }
    if (!cli_within(cx, "--threads", threads, 0, 4096) || !cli_within(cx, "-k", q.k, 1, INT64_MAX))
        return CLI_USAGE;
    kin_session s;
    if (kin_session_open(cx, &s, model, (int)threads, 64) == KIN_OK) {
        s.embedder.upright = upright;
        search(cx, &s, in, &q);
    }
    kin_session_close(&s);
    return cli_exit(cx);
}
