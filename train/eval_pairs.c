#include "train/eval_pairs.h"

#include <stdlib.h>

#include "train/rerank.h"

/* Scores as embeddings that kin_eval_retrieval takes: a text's row holds its scores, picture i is the i-th
 * unit vector. Their dot product is the score, exactly. */
static json_t *evaluate(kin_ctx *cx, const float *score, int64_t n, int64_t bootstrap)
{
    float *unit = kin_alloc0(cx, n * n, sizeof *unit);
    int64_t *of = kin_alloc(cx, n, sizeof *of);
    kin_retrieval r;
    json_t *out = NULL;
    for (int64_t i = 0; unit && of && i < n; i++) {
        unit[i * n + i] = 1.0f;
        of[i] = i;
    }
    const kin_retrieval_in in = {.image = unit,
                                 .text = score,
                                 .image_of = of,
                                 .images = n,
                                 .texts = n,
                                 .E = n,
                                 .bootstrap = bootstrap};
    if (unit && of && kin_eval_retrieval(cx, &in, &r) == KIN_OK) out = kin_retrieval_json(cx, &r);
    free(unit);
    free(of);
    return out;
}

json_t *kin_eval_pairs(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, int64_t bootstrap)
{
    const int64_t n = d->items;
    json_t *out = NULL;
    if (n > KIN_PAIRS_MOST / n) {
        kin_fail(cx, KIN_ARG,
                 "%lld pictures are %lld pairs with as many captions; at most %d are scored: rerank",
                 (long long)n, (long long)(n * n), KIN_PAIRS_MOST);
        return NULL;
    }
    int64_t *image = kin_alloc(cx, n * n, sizeof *image), *text = kin_alloc(cx, n * n, sizeof *text);
    float *score = kin_alloc(cx, n * n, sizeof *score);
    kin_rerank_judge self = {j, d};
    for (int64_t i = 0; image && text && score && i < n * n; i++) {
        image[i] = i % n;
        text[i] = d->item[i / n].caption;
    }
    if (cx->status == KIN_OK && kin_rerank_ask(cx, &self, image, text, n * n, score) == KIN_OK)
        out = evaluate(cx, score, n, bootstrap);
    free(image);
    free(text);
    free(score);
    return out;
}
