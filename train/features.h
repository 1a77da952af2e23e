/* features: the embeddings of a whole training set by towers that do not learn, computed once: a step then
 * reads them instead of running the towers. */
#ifndef KIN_FEATURES_H
#define KIN_FEATURES_H
#include "train/embed.h"

typedef struct kin_features {
    float *image, *text;           /* [items, E], [captions, E], of length 1 */
    float *image_rows, *text_rows; /* [batch, E] of the last batch */
    int64_t width;
    double seconds; /* that it took; looked at only: that it would take */
} kin_features;

/* Can the steps of this model read features? fusion late; every weight that learns is of fusion or heads. */
bool kin_features_fit(const kin_model *m);
/* Embeds all of d; pictures that cannot be read are taken out of it. look: of a run that is only planned: one
 * batch of each is embedded, to know how long all would take, and every row that a step reads is zeros. Free
 * with kin_features_close, also after a failure. */
kin_status kin_features_open(kin_ctx *cx, kin_features *f, kin_embedder *e, kin_dataset *d, int64_t batch,
                             bool look);
void kin_features_close(kin_features *f);
/* Fills image_rows and text_rows for these captions and their pictures. */
void kin_features_take(kin_features *f, const kin_dataset *d, const uint32_t *caption, int64_t n);

#endif
