#include "train/eval_folds.h"

#include <stdlib.h>
#include <string.h>

/* The captions of images first .. first + n - 1, from the whole set into rows and of; how many. */
static int64_t gather(const kin_retrieval_in *in, int64_t first, int64_t n, float *rows, int64_t *of)
{
    int64_t texts = 0;
    for (int64_t t = 0; t < in->texts; t++) {
        if (in->image_of[t] < first || in->image_of[t] >= first + n) continue;
        memcpy(rows + texts * in->E, in->text + t * in->E, (size_t)in->E * sizeof *rows);
        of[texts++] = in->image_of[t] - first;
    }
    return texts;
}

static void add_way(kin_retrieval_way *sum, const kin_retrieval_way *w, double share)
{
    for (int k = 0; k < KIN_RECALLS; k++) {
        sum->recall[k] += share * w->recall[k];
        sum->optimistic[k] += share * w->optimistic[k];
        sum->chance[k] += share * w->chance[k];
    }
    sum->median_rank += share * w->median_rank;
    sum->mean_rank += share * w->mean_rank;
    sum->mrr += share * w->mrr;
    sum->queries += w->queries;
    sum->gallery = w->gallery;
    sum->nan_queries += w->nan_queries;
}

static void add(kin_retrieval *sum, const kin_retrieval *r, double share)
{
    sum->images += r->images;
    sum->texts += r->texts;
    sum->fewest = sum->most ? kin_min64(sum->fewest, r->fewest) : r->fewest;
    sum->most = kin_max64(sum->most, r->most);
    sum->mean_recall += share * r->mean_recall;
    add_way(&sum->image, &r->image, share);
    add_way(&sum->text, &r->text, share);
}

kin_status kin_eval_folds(kin_ctx *cx, const kin_retrieval_in *in, int64_t folds, kin_retrieval *out)
{
    if (folds < 2) return kin_eval_retrieval(cx, in, out);
    *out = (kin_retrieval){.folds = folds};
    if (in->bootstrap > 0)
        return kin_fail(cx, KIN_ARG, "folds are averaged without intervals: --folds or --bootstrap");
    if (in->images < folds || in->images % folds)
        return kin_fail(cx, KIN_ARG, "%lld folds of %lld images are not all of one size", (long long)folds,
                        (long long)in->images);
    const int64_t n = in->images / folds;
    float *rows = kin_alloc(cx, in->texts * in->E, sizeof *rows);
    int64_t *of = kin_alloc(cx, in->texts, sizeof *of);
    for (int64_t f = 0; rows && of && f < folds && cx->status == KIN_OK; f++) {
        kin_retrieval r;
        kin_retrieval_in one = *in;
        one.text_rank = one.image_rank = NULL;
        one.images = n;
        one.image = in->image + f * n * in->E;
        one.texts = gather(in, f * n, n, rows, of);
        one.text = rows;
        one.image_of = of;
        if (kin_eval_retrieval(cx, &one, &r) == KIN_OK) add(out, &r, 1.0 / (double)folds);
    }
    free(rows);
    free(of);
    return cx->status;
}
