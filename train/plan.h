/* plan: what a run will take, found out before it is made.
 *
 * Memory. The batches of the run are drawn and the ids of their captions counted, so that every program that
 * it will use is compiled and the arenas are those that it will have, to the byte. Resident memory is the
 * arenas, the batches and what this process holds beside them (libraries, data, tokenizer), measured.
 *
 * Time. Whole steps are taken on real batches at a learning rate of 0, which leaves every weight as it is:
 * waiting for data, forward, backward, optimiser. The median of several says the step's time, so that a
 * disturbed step does not. */
#ifndef KIN_PLAN_H
#define KIN_PLAN_H
#include "train/trainer.h"

typedef struct kin_plan {
    int64_t param, act, scratch; /* bytes as mapped; ACT of the largest program, evaluation's among them */
    int64_t host;                /* bytes of batches on their way, of embeddings of a batch */
    int64_t libraries;           /* resident bytes beside all these */
    int64_t evaluation; /* bytes that an evaluation takes for its time: embeddings, a batch of pictures */
    int64_t foreseen, steps;                      /* batches looked at for this; of the whole run */
    int programs;                                 /* that the run will use */
    double pairs, texts, tokens, flops;           /* of a step, on average */
    double seconds, lower_quarter, upper_quarter; /* of a step: median; a quarter took less, a quarter more */
    int64_t timed;                                /* steps that these are of */
} kin_plan;

/* t was just opened. Takes seven steps at least, and about ten seconds of them. */
kin_status kin_plan_make(kin_ctx *cx, kin_trainer *t, kin_plan *out);

/* Resident bytes of this process now; 0 where that is not known. */
int64_t kin_resident(void);

#endif
