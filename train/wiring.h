/* wiring: which pictures and texts of a batch are looked at together, and what is asked of each pair: index
 * tensors for the graph of nn/fused.h. All of it is drawn on the host from (key, index), so that the same
 * step is the same step wherever it runs.
 *
 * Pairs, in this order:
 *   true        picture i and caption i; with labelled data the examples themselves
 *   false       (itm) picture of a false twin and the twin; then for every caption a false picture, for every
 * picture a false caption: hard ones by softmax of the similarity (ALBEF), or any. Never its own, never an
 * equal caption's. masked      (mlm) picture i and caption i with some words hidden; (mim) the same with some
 * patches hidden Hidden words: mlm_rate of those between a text's first and last id, at least one; of them 80
 * % become id -1 (a zero row of the table), 10 % another word, 10 % stay (BERT, Devlin et al. 2019). Hidden
 * patches: mim_rate, grey. */
#ifndef KIN_WIRING_H
#define KIN_WIRING_H
#include "nn/fused.h"

/* One batch in host memory; image i belongs to text i, texts n.. are false captions. */
typedef struct kin_pairs {
    int64_t n, texts;              /* pairs; captions, texts >= n */
    const uint8_t *images;         /* [n, S, S, 3] */
    const kin_augmentation *drawn; /* [n] what the device does to them before it reads them
                                      (kin_programs_augment); NULL: nothing. Never with mim, whose patches are
                                      hidden in finished pictures */
    const int32_t *ids;            /* [off[texts]] */
    const int32_t *off;            /* [texts + 1] */
    const int32_t
        *image_of; /* [texts - n] the picture that text n + k is false of, -1: of none; NULL: not known */
    const int32_t *labels; /* [n] class of picture i and text i together; NULL: not labelled */
    const float *image_features, *text_features; /* [n, E], [texts, E] that the towers made before; */
    const float *image_states, *text_states;     /* [n * T, W], [tokens, W] and their rows, each where the
                                                    program has it as input (kin_fused_want) */
    const float *targets; /* [n, classes] the same where several may be right; NULL: labels alone */
} kin_pairs;

typedef struct kin_wiring_cfg {
    kin_fused_want want; /* heads that are asked */
    bool hard;           /* false pairs by similarity */
    double mlm_rate, mim_rate;
    double drop_image, drop_text; /* of true pairs: the picture is not there, the text is empty */
} kin_wiring_cfg;

typedef struct kin_wiring {
    const kin_model_cfg *model; /* borrowed; its trunks as in training */
    kin_wiring_cfg cfg;
    kin_fused_sizes most, now;                   /* capacities; of the last batch */
    uint8_t *images;                             /* mim: pictures, then masked ones; else unused */
    const uint8_t *pixels;                       /* [now.images] what the tower sees */
    const float *image_features, *text_features; /* or reads */
    const float *image_states, *text_states;
    int32_t *ids, *off; /* [now.tokens], [now.texts + 1] */
    int32_t *pair_images, *pair_texts, *row_off, *row_texts, *row_images, *row_kinds;
    int32_t *vision_rows, *text_rows, *vision_of, *text_of;
    int32_t *itc_images, *itc_texts, *itm_labels, *class_labels;
    int32_t *word_rows, *word_labels, *patch_rows, *patch_sources;
    float *class_targets;
    double *weight; /* [most texts of a draw] scratch */
} kin_wiring;

/* pairs: of a batch; texts: most captions of it. KIN_ARG for what the model or the technique cannot do. */
kin_status kin_wiring_open(kin_ctx *cx, kin_wiring *w, const kin_model_cfg *m, const kin_wiring_cfg *cfg,
                           int64_t pairs, int64_t texts);
void kin_wiring_close(kin_wiring *w);

/* Fills all of it for a batch. image [n, E], text [texts, E] (of length 1) and the logit scale (not its
 * logarithm) only for hard pairs. Allocates nothing. */
kin_status kin_wiring_make(kin_ctx *cx, kin_wiring *w, const kin_pairs *p, uint64_t key, const float *image,
                           const float *text, double scale);

/* For scoring: these pairs of these images and texts, nothing masked. pair_image[p] == n: no picture. */
kin_status kin_wiring_score(kin_ctx *cx, kin_wiring *w, const kin_pairs *p, const int32_t *pair_image,
                            const int32_t *pair_text, int64_t pairs);

/* Every array that a program of these may have as input, by name. */
typedef kin_status (*kin_wire_fn)(void *user, const char *name, const void *host, int64_t bytes);
kin_status kin_wiring_each(const kin_wiring *w, kin_wire_fn each, void *user);

#endif
