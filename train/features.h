/* features: what towers that do not learn make of a whole training set, computed once: a step then reads it
 * instead of running them. Of pictures their embeddings and, where the fusion reads them, the rows that the
 * tower ends with; of texts their embeddings. */
#ifndef KIN_FEATURES_H
#define KIN_FEATURES_H
#include "train/embed.h"

/* Of which towers nothing learns and no step draws anything. */
typedef struct kin_steady {
    bool images, texts;
} kin_steady;

typedef struct kin_features {
    kin_steady of;                /* texts only with images */
    float *image, *states, *text; /* [items, E], [items, row], [captions, E]; embeddings of length 1 */
    float *image_rows, *state_rows, *text_rows; /* [batch, ...] of the last batch */
    int64_t width, row;                         /* E; floats of a picture's rows, 0: not kept */
    double seconds;                             /* that it took; looked at only: that it would take */
} kin_features;

/* Which towers' weights are all frozen, where the fusion has towers of its own; texts only where it reads
 * nothing of theirs but embeddings (late). */
kin_steady kin_features_fit(const kin_model *m);
/* Bytes that will be kept of d. INT64_MAX: more than can be counted. */
int64_t kin_features_bytes(const kin_model *m, const kin_dataset *d, kin_steady of);
/* Runs the towers over all of d; pictures that cannot be read are taken out of it. look: of a run that is
 * only planned: one batch of each is embedded, to know how long all would take, and every row that a step
 * reads is zeros. Free with kin_features_close, also after a failure. */
kin_status kin_features_open(kin_ctx *cx, kin_features *f, kin_embedder *e, kin_dataset *d, int64_t batch,
                             kin_steady of, bool look);
void kin_features_close(kin_features *f);
/* Fills the rows of the last batch for these captions and their pictures. */
void kin_features_take(kin_features *f, const kin_dataset *d, const uint32_t *caption, int64_t n);

#endif
