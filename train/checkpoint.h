/* checkpoint: RUN/last: a model folder plus what is needed to go on as if nothing had happened:
 *   training.safetensors  Adam's moments "m.NAME", "v.NAME", the average "ema.NAME"
 *   training.json         step, best metric, loader state, and a CRC-32C of every other file
 * A checkpoint is written beside the old one and exchanged with it: after a crash there is the old or the
 * new. */
#ifndef KIN_CHECKPOINT_H
#define KIN_CHECKPOINT_H
#include "train/model.h"
#include "train/optim.h"

typedef struct kin_state {
    int64_t step; /* updates made */
    double best;  /* the kept metric's best value; below 0: none yet */
    int64_t best_step;
    json_t *loader; /* where the stream of batches stands; owned */
} kin_state;

/* Writes RUN/name ("last" or "best"). state NULL: the model alone, with averaged weights if there are. */
kin_status kin_checkpoint_save(kin_ctx *cx, const char *run, const char *name, const kin_model *m,
                               const kin_optim *o, const kin_state *state);
/* Reads RUN/last into an allocated model and optimiser. Every file is checked against its CRC first. */
kin_status kin_checkpoint_load(kin_ctx *cx, const char *run, kin_model *m, kin_optim *o, kin_state *state);
/* One digest of weights, training state and configuration of a model folder. */
kin_status kin_checkpoint_hash(kin_ctx *cx, const char *folder, uint64_t *hash);

#endif
