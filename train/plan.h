/* plan: what a run will take, found out before it is made, and the refusal of one that takes too much.
 *
 * Memory. The batches of the run are drawn and the ids of their captions counted, so that every program that
 * it will use is compiled and the arenas are those that it will have, to the byte. Resident memory is the
 * arenas, the batches and what this process holds beside them (libraries, data, tokenizer), measured.
 *
 * Time. Whole steps are taken on real batches at a learning rate of 0, which leaves every weight as it is:
 * waiting for data, forward, backward, optimiser. The median of several says the step's time, so that a
 * disturbed step does not. A batch of the evaluation's pictures and one of its captions say the evaluations'.
 *
 * Energy. Not measured: watts that are assumed (or said by `watts`) times the time. */
#ifndef KIN_PLAN_H
#define KIN_PLAN_H
#include "core/amount.h"
#include "train/trainer.h"

typedef struct kin_plan {
    int64_t param, act, scratch; /* bytes as mapped; ACT of the largest program, evaluation's among them */
    int64_t host;                /* bytes of batches on their way, of embeddings of a batch */
    int64_t libraries;           /* resident bytes beside all these */
    kin_cache_cost cache;        /* of pictures; its memory is in none of the others. bytes 0: none */
    int64_t evaluation;  /* bytes that an evaluation takes for its time: embeddings, a batch of pictures */
    int64_t foreseen;    /* batches looked at for this */
    int64_t steps, left; /* of the whole run; that are still to be taken */
    int programs;        /* that the run will use */
    double pairs, texts, tokens, flops;           /* of a step, on average */
    double seconds, lower_quarter, upper_quarter; /* of a step: median; a quarter took less, a quarter more */
    int64_t timed;                                /* steps that these are of */
    int64_t features;          /* bytes of what towers that do not learn make of the data */
    double features_seconds;   /* that this takes, once; from a batch of it */
    int64_t evaluations;       /* still to come */
    double evaluation_seconds; /* of one of them */
    double watts;              /* as said, or assumed */
    bool assumed;
    kin_amounts needs; /* of what is left: resident bytes, seconds, watt-hours, pairs, flop of the steps */
} kin_plan;

/* t was just opened. Takes seven steps at least, and about ten seconds of them. KIN_NOMEM when this machine
 * has not the memory, before any of it is touched. budget (NULL: none): KIN_ARG when the run takes more; the
 * sentence says by how much and what to change, and where it is memory or pairs, no step was taken. */
kin_status kin_plan_make(kin_ctx *cx, kin_trainer *t, const kin_amounts *budget, kin_plan *out);
/* Opens, plans and closes a run: is it within the budget that its options name? */
kin_status kin_plan_budget(kin_ctx *cx, const kin_config *cfg, kin_plan *out);

/* 'A' below 1 Wh, 'B' below 10 Wh, ... 'G' from 100 kWh. */
char kin_energy_class(double watt_hours);

/* Resident bytes of this process now; 0 where that is not known. */
int64_t kin_resident(void);

#endif
