/* explain: where a model looks in a picture. The weights of one attention layer as maps over the picture's
 * patches, means over the heads:
 *   xattn               each word's attention to the picture (fusion.resblocks.N.cross)
 *   joint, mmt, experts each word's, and the pair's own row's, share on the picture (fusion.resblocks.N.attn)
 *   else                the image tower's class token or attention pool
 * A model whose towers take the mean of their rows, and late fusion over them, has no row that looks:
 * KIN_UNSUPPORTED, with a sentence. Weights say what was read, not why the answer is what it is. */
#ifndef KIN_EXPLAIN_H
#define KIN_EXPLAIN_H
#include "train/session.h"

typedef struct kin_explained {
    char *layer;           /* the attention's name */
    int64_t at, layers;    /* which, from 1, of how many */
    int64_t looks;         /* words, or one */
    int64_t rows, columns; /* of patches */
    char **word;           /* [looks] "(start)", "(end)", "(pair)", "(picture)" where it is no word */
    float *map;            /* [looks, rows, columns]: sums to 1 - rest */
    float *rest;           /* [looks] on class tokens, and on what is not the picture */
    bool words, answered;  /* of words; match is what an ITM head says of the pair */
    double match;
} kin_explained;

/* pixels [H, W, 3], preprocessed; text may be NULL where words do not look (KIN_ARG else). layer from 1, 0:
 * the last that words look in. The session must be fresh: no program compiled, batch 1. Free with
 * kin_explained_free, also after a failure. */
kin_status kin_explain(kin_ctx *cx, kin_session *s, const uint8_t *pixels, const char *text, int64_t layer,
                       kin_explained *out);
void kin_explained_free(kin_explained *e);

/* Do words look (is a text needed)? */
bool kin_explains_words(const kin_model_cfg *m);

#endif
