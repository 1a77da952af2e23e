/* gallery: pairs of a dataset judged by a model with a fusion, whose towers run once over the data and not
 * once a pair: their rows (late: their embeddings) are kept, and fusion alone (for xattn the keys and values
 * of a picture among it) is computed from them. Pairs that come in the order of their pictures share a
 * picture's keys and values: up to a batch of pairs at a time. */
#ifndef KIN_GALLERY_H
#define KIN_GALLERY_H
#include "train/judge_fused.h"

typedef struct kin_gallery {
    kin_fused_judge *judge; /* borrowed, its embedder too */
    const kin_dataset *data;
    bool rows;                   /* of the towers are kept; else their embeddings, which have length 1 */
    int64_t image_row, text_row; /* floats of a picture, of a token (late: of a text) */
    float *image, *text;   /* [items, image_row], [off[captions], text_row] (late: [captions, text_row]) */
    int32_t *ids;          /* [off[captions]] */
    int64_t *off;          /* [captions + 1] */
    float *images, *texts; /* of one question: [batch, image_row], [batch * context, text_row] */
    int32_t *question_ids, *question_off, *which; /* [batch * context], [batch + 1], [2 batch] */
    double seconds;                               /* that it took to open */
} kin_gallery;

/* Can it be kept? Of fusions with towers: all but joint. */
bool kin_gallery_fits(const kin_fused_judge *j);
/* Bytes that it will keep, once the texts are ids: without them, at most. */
int64_t kin_gallery_bytes(const kin_fused_judge *j, const kin_dataset *d);
/* Runs both towers over d. A picture that cannot be read is an error. Free with kin_gallery_close, also after
 * a failure. */
kin_status kin_gallery_open(kin_ctx *cx, kin_gallery *g, kin_fused_judge *j, const kin_dataset *d);
void kin_gallery_close(kin_gallery *g);

/* A kin_pair_fn (train/rerank.h); self is a kin_gallery. Of two logits the second less the first. */
kin_status kin_gallery_ask(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text, int64_t n,
                           float *out);

#endif
