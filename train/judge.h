/* judge: whatever answers about pictures and texts, seen by evaluations: a dual encoder (how similar are
 * they), a model with a fusion (does this text belong to this picture, which class), or anything else that
 * fills in `ask`. */
#ifndef KIN_JUDGE_H
#define KIN_JUDGE_H
#include "data/corrupt.h"
#include "train/embed.h"

typedef struct kin_judged {
    int64_t n;                      /* at most the judge's batch */
    const uint8_t *images;          /* [n, S, S, 3], preprocessed as the embedder's model wants it */
    const char *const *text;        /* [n] */
    const bool *no_image, *no_text; /* [n] not there: then the picture is of the mean colour, the text empty;
                                       NULL: all are there */
} kin_judged;

typedef struct kin_judge {
    void *self;
    kin_embedder *embedder; /* reads pictures, borrowed; its batch is the most pairs of one question */
    int64_t width; /* numbers about a pair: 1: how well they match; 2: logits of false and true; or a logit a
                      class */
    const char *const
        *class_name; /* [width] of a model that was trained on classes; NULL: as the data has them */
    kin_status (*ask)(kin_ctx *cx, void *self, const kin_judged *pairs, float *out); /* out [n, width] */
} kin_judge;

/* A dual encoder: the cosine of picture and text, width 1. e is borrowed. */
kin_judge kin_judge_dual(kin_embedder *e);

/* What is made worse before a model sees it; NULL stands for nothing. Texts are drawn by caption, pictures by
 * item: one picture is the same for all its texts. */
typedef struct kin_corruption {
    kin_noise kind;
    double strength;
    uint64_t seed;
} kin_corruption;

/* Items, preprocessed and then made worse: pixels [n, S, S, 3]; absent [n] (may be NULL). */
kin_status kin_corrupted_pictures(kin_ctx *cx, const kin_embedder *e, const kin_dataset *d,
                                  const kin_corruption *c, const int64_t *item, int64_t n, uint8_t *pixels,
                                  bool *absent);
/* Captions from .. from + n - 1, each to be freed; absent [n] (may be NULL). After a failure nothing is to be
 * freed. */
kin_status kin_corrupted_texts(kin_ctx *cx, const kin_dataset *d, const kin_corruption *c, int64_t from,
                               int64_t n, char **text, bool *absent);

/* Takes pictures out that cannot be read, with their captions, and tells (the first by name). KIN_FORMAT when
 * none is left. */
kin_status kin_leave_readable(kin_ctx *cx, const kin_embedder *e, kin_dataset *d);

/* Asks about pairs of a dataset: caption[k] (k itself if NULL) with item[k] (its own if NULL), k < n, in
 * batches. out [n, width]. A picture that cannot be read is an error. */
kin_status kin_judge_pairs(kin_ctx *cx, const kin_judge *j, const kin_dataset *d, const int64_t *caption,
                           const int64_t *item, int64_t n, const kin_corruption *c, float *out);

#endif
