/* rerank: retrieval in two stages: a dual encoder finds the first `depth` answers of each query, a judge that
 * looks at pairs puts them in a new order (ALBEF's evaluation, k_test = 256).
 *
 * Ranks are those of train/eval_retrieval.h. A query whose best right answer is not among the candidates
 * keeps its rank; of the others it is the number of wrong candidates that the judge does not score below the
 * best right one. Whether it is better is told by a paired bootstrap over pictures, of hits before and after.
 */
#ifndef KIN_RERANK_H
#define KIN_RERANK_H
#include "train/bootstrap.h"
#include "train/eval_retrieval.h"
#include "train/judge.h"

/* Scores pairs of a gallery, in its own way: image[k], text[k] -> out[k]. Pairs of one picture come one after
 * the other, up to a million pairs at a time, so that what is known of a picture serves all of its questions
 * (train/gallery.h). */
typedef kin_status (*kin_pair_fn)(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text,
                                  int64_t n, float *out);

typedef struct kin_rerank_in {
    kin_retrieval_in first; /* of the dual encoder; per_image 0 */
    int64_t depth;          /* candidates of a query */
    kin_pair_fn score;
    void *self;
    double similarity; /* what the first stage's cosine counts: the order is by score + similarity * cosine
                          (BLIP, Li et al. 2022, takes 1; 0: the judge alone, ALBEF) */
    int64_t resamples; /* of the bootstrap; 0: no intervals */
} kin_rerank_in;

typedef struct kin_rerank_way {
    int64_t queries, candidates;        /* candidates: of a query */
    kin_difference recall[KIN_RECALLS]; /* a before, b after */
    double ceiling;                     /* share of queries with a right answer among the candidates */
} kin_rerank_way;

typedef struct kin_rerank {
    kin_rerank_way image, text; /* image retrieval (text -> image), text retrieval (image -> text) */
    int64_t pairs;              /* that were scored */
    double similarity;
} kin_rerank;

/* How many pairs will be scored at most (pictures without a caption are no queries): what it costs. */
int64_t kin_rerank_pairs(const kin_rerank_in *in);
/* KIN_ARG for a depth below 1 or resamples that kin_check_resamples refuses; else like kin_eval_retrieval. */
kin_status kin_rerank_run(kin_ctx *cx, const kin_rerank_in *in, kin_rerank *out);
/* {"image_retrieval_recall@1": after, "..._before", "..._gain", "..._gain_ci95"?, ...for both ways and each
 * K;
 * "..._ceiling", "depth", "pairs", "similarity"} */
json_t *kin_rerank_json(kin_ctx *cx, const kin_rerank *r);

/* A judge as a kin_pair_fn: self is one of these. Of two numbers the second less the first. A judge of more
 * numbers, which are classes, is KIN_ARG. */
typedef struct kin_rerank_judge {
    const kin_judge *judge;
    const kin_dataset *data;
} kin_rerank_judge;
kin_status kin_rerank_ask(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text, int64_t n,
                          float *out);

#endif
