/* trainer: a run, from its options to its last checkpoint. Opening makes everything that is needed (data,
 * tokenizer, model, memory, programs) and, with `resume`, reads the checkpoint; running takes the steps. */
#ifndef KIN_TRAINER_H
#define KIN_TRAINER_H
#include <signal.h>

#include "data/loader.h"
#include "train/augment.h"
#include "train/checkpoint.h"
#include "train/config.h"
#include "train/embed.h"
#include "train/features.h"
#include "train/lr.h"
#include "train/step.h"

/* What is known after a step. Rates are of the time since the last progress. */
typedef struct kin_progress {
    int64_t step, steps;    /* made; of the whole run */
    double epochs;          /* passes over the training pairs */
    double loss, chance;    /* chance: the loss of a model that knows nothing (ln B for infonce) */
    double lr, norm, scale; /* scale: the logit scale itself, not its logarithm */
    double pairs_per_s, data_share, seconds_left;
    double flops;                         /* of the last step, exact for its live sizes */
    int64_t pairs, tokens;                /* of the last batch */
    kin_spread spread;                    /* how its embeddings lie */
    int64_t same_captions, same_pictures; /* in it: kin_count_duplicates */
} kin_progress;

typedef struct kin_observer {
    void *user;
    void (*progress)(void *user, const kin_progress *p);
    /* Metrics as kin_evaluate gives them; best: the kept one rose, DIR/best was written. */
    void (*evaluated)(void *user, int64_t step, const json_t *metrics, bool best);
    const volatile sig_atomic_t *stop; /* not zero: save after this step and return */
} kin_observer;

typedef struct kin_trainer {
    const kin_config *cfg; /* borrowed */
    char *out;             /* the run's folder */
    const kin_loss_row *loss;
    kin_dataset *train, *val; /* val NULL: none */
    kin_backend *backend;
    kin_model *model;
    kin_programs programs;
    kin_stepper stepper;
    kin_optim optim;
    kin_embedder embedder; /* of evaluation; unused without val */
    kin_cache *cache;      /* of training pictures; NULL: none */
    kin_backend *pixels;   /* where the loader changes pixels itself: of one thread; else NULL */
    kin_augmenter augmenter;
    kin_loader *loader;
    kin_lr lr;
    kin_state state;
    kin_features *features; /* of towers that do not learn; NULL: pictures are read and both towers run */
    int32_t *labels;        /* [batch] of labelled data, loss.cls */
    float *targets;         /* [batch, classes] where several answers may be right */
} kin_trainer;

/* How a run's options say that a split of its data is opened. */
kin_dataset_cfg kin_data_cfg(const kin_config *c, const char *split);

/* A batch as the step takes it; valid as long as the batch. */
kin_pairs kin_trainer_pairs(kin_trainer *t, const kin_batch *b);

/* The metric that decides what is best: the option, or, where it was not given and there are labels,
 * accuracy. */
const char *kin_trainer_keep(const kin_trainer *t);

/* Of the trainer's own loader. */
kin_loader_cfg kin_trainer_loader(const kin_trainer *t);

/* Free with kin_trainer_close, also after a failure. Writes nothing but the cache of pictures, and that one
 * neither with dry-run nor with sanity. */
kin_status kin_trainer_open(kin_ctx *cx, kin_trainer *t, const kin_config *cfg);
void kin_trainer_close(kin_trainer *t);

/* Writes OUT/config.cfg, metrics.jsonl, events.out.tfevents.* (train/tfevents.h), last/ and best/
 * (train/checkpoint.h). Returns after the last step, after step stop_at, or when the observer asks; the
 * checkpoint is written in each case. A loss that is no number ends the run with KIN_NUMERIC, names the place
 * where the first NaN appeared and leaves the last checkpoint as it is. Notices about the run go to the log
 * (train/watch.h). */
kin_status kin_trainer_run(kin_ctx *cx, kin_trainer *t, const kin_observer *o);

#endif
