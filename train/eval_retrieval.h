/* eval_retrieval: image-text retrieval, swap accuracy and top-k out of embeddings.
 *
 * Scores are dot products, summed in f64 in the order of the elements (products of f32 are exact there): the
 * same bits at any thread count, equal embeddings have equal scores. N x N scores are never stored.
 *
 * Protocol (CLIP_benchmark's zeroshot_retrieval): every caption and every image is embedded once.
 *   image retrieval (text -> image)  queries are the captions; the one right answer is the caption's image
 *   text retrieval (image -> text)   queries are the images that have a caption; a hit is any of its captions
 * Ties are pessimistic: rank = the number of wrong answers that do not score below the best right one (0 is
 * first, a hit when rank < K); other right answers do not count. A query whose right answers all score NaN
 * is a miss, its rank is the size of the gallery; a NaN of a wrong answer counts as above. `optimistic`
 * counts only wrong answers that score strictly above. CLIP_benchmark takes torch.topk, whose order of equal
 * scores is not specified: its value lies between the two.
 * COCO's 5,000 test pictures have 25,010 captions: CLIP_benchmark ranks all of them, VSE++ the first five of
 * each picture (25,000): per_image. */
#ifndef KIN_EVAL_RETRIEVAL_H
#define KIN_EVAL_RETRIEVAL_H
#include "core/base.h"
#include "core/json.h"

enum { KIN_RECALLS = 3 };
extern const int kin_recall_at[KIN_RECALLS]; /* 1, 5, 10 */

typedef struct kin_retrieval_way {
    int64_t queries, gallery;
    double recall[KIN_RECALLS], optimistic[KIN_RECALLS]; /* 0 .. 1 */
    double chance[KIN_RECALLS];                          /* expected recall of a random order */
    double low[KIN_RECALLS], high[KIN_RECALLS];          /* 95 % interval of recall; with bootstrap only */
    double median_rank;                                  /* 1 is first; floor of the median, as open_clip */
    double mean_rank, mrr;                               /* mean of rank and of 1 / rank, 1 is first */
    int64_t nan_queries;                                 /* all right answers scored NaN */
} kin_retrieval_way;

typedef struct kin_retrieval {
    int64_t images, texts, bootstrap;
    int64_t folds;                 /* 0: one gallery; else all is the mean of so many (train/eval_folds.h) */
    int64_t fewest, most;          /* captions of an image that has any */
    kin_retrieval_way image, text; /* image retrieval (text -> image), text retrieval (image -> text) */
    double mean_recall;            /* of the six recalls */
    double mean_low, mean_high;    /* its 95 % interval, over the same resamples */
} kin_retrieval;

typedef struct kin_retrieval_in {
    const float *image;      /* [images, E], normalised */
    const float *text;       /* [texts, E], normalised */
    const int64_t *image_of; /* [texts]: the image of each caption */
    int64_t images, texts, E;
    int64_t per_image;               /* only the first so many captions of each image; 0: all */
    int64_t *text_rank, *image_rank; /* NULL, or [texts], [images]: of each query, 0 is first; -1: left out */
    int64_t bootstrap; /* resamples of images with their captions for low and high; 0: none (1000 is usual) */
} kin_retrieval_in;

/* KIN_SHAPE for sizes that are not positive, KIN_ARG for an image_of out of range. */
kin_status kin_eval_retrieval(kin_ctx *cx, const kin_retrieval_in *in, kin_retrieval *out);

/* {"image_retrieval_recall@1": .., "text_retrieval_recall@1": ..} (CLIP_benchmark's names, fractions) and
 * image_/text_retrieval_{optimistic@K (where ties matter), chance@K, recall@K_ci95, median_rank, mean_rank,
 * mrr, nan (where there are any)}, mean_recall, rsum (of the six, in per cent: VSE++'s) and rsum_ci95,
 * images, texts, folds (where there are), captions_per_image [fewest, most]. NULL on failure; the caller owns
 * it. */
json_t *kin_retrieval_json(kin_ctx *cx, const kin_retrieval *r);

/* What was measured and how, in a sentence, from kin_retrieval_json's object; the caller frees it. */
char *kin_retrieval_protocol(kin_ctx *cx, const json_t *metrics);

/* Fraction of n pairs where image image_of[i] scores caption[i] above swapped[i]; equal scores count 1/2, a
 * NaN 0. caption, swapped [n, E], image [images, E]. */
kin_status kin_swap_accuracy(kin_ctx *cx, const float *image, int64_t images, const float *caption,
                             const float *swapped, const int64_t *image_of, int64_t n, int64_t E,
                             double *out);

/* The k best of n scores into index (and score, unless NULL), best first, equal ones by index, NaN last.
 * Returns how many: min(k, n). */
int64_t kin_topk(const float *scores, int64_t n, int64_t k, int64_t *index, float *score);

#endif
