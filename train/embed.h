/* embed: embeddings of pictures and captions, in batches of one size, with whatever weights the model has
 * now. */
#ifndef KIN_EMBED_H
#define KIN_EMBED_H
#include "data/dataset.h"
#include "train/model.h"
#include "train/programs.h"

typedef struct kin_embedder {
    const kin_model *model;
    kin_programs *programs;
    bool upright; /* turn pictures as their EXIF data says; off, as models were trained */
    int64_t batch;
    uint8_t *pixels;    /* [batch, S, S, 3] */
    int32_t *ids, *off; /* [batch * context], [batch + 1] */
    void *io;           /* [batch, E] in backend memory */
    void *states;       /* [batch, states] there, once rows were asked for */
    int64_t io_bytes, states_bytes;
    const kin_dataset *told; /* the one whose first misnamed picture was told */
} kin_embedder;

/* model and programs are borrowed. Free with kin_embedder_close, also after a failure. */
kin_status kin_embedder_open(kin_ctx *cx, kin_embedder *e, const kin_model *model, kin_programs *programs,
                             int64_t batch);
void kin_embedder_close(kin_embedder *e);

/* Compiles what embedding pictures and these texts will need, and runs nothing. */
kin_status kin_embedder_prepare(kin_ctx *cx, kin_embedder *e, const char *const *text, int64_t n);

/* out [n, E], L2-normalised. */
kin_status kin_embed_texts(kin_ctx *cx, kin_embedder *e, const char *const *text, int64_t n, float *out);
/* images [n, S, S, 3], preprocessed */
kin_status kin_embed_images(kin_ctx *cx, kin_embedder *e, const uint8_t *images, int64_t n, float *out);
/* Items from .. from + n - 1 of a dataset, decoded on all threads. A picture that cannot be read is an error;
 * or, when bad [n] is given, true there, and its row zeros. The first whose name says another kind than its
 * content is told, once a dataset. */
kin_status kin_embed_pictures(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, int64_t from, int64_t n,
                              float *out, bool *bad);
/* The same, and the rows that the image tower ends with: states [n, kin_states_of]. Models whose fusion reads
 * them (kin_has_states). */
kin_status kin_embed_picture_states(kin_ctx *cx, kin_embedder *e, const kin_dataset *d, int64_t from,
                                    int64_t n, float *out, float *states, bool *bad);
int64_t kin_states_of(const kin_model_cfg *m); /* floats of a picture's rows */
/* These items, decoded and preprocessed on all threads: pixels [n, S, S, 3]. The first that cannot be read is
 * an error. */
kin_status kin_read_pictures(kin_ctx *cx, const kin_embedder *e, const kin_dataset *d, const int64_t *item,
                             int64_t n, uint8_t *pixels);
/* All of a dataset's pictures, out [items, E] and, unless NULL, states [items, kin_states_of]: broken ones
 * are taken out of it with their captions, and told (the first by name). KIN_FORMAT when none is left. */
kin_status kin_embed_readable(kin_ctx *cx, kin_embedder *e, kin_dataset *d, float *out, float *states);
#endif
