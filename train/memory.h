/* memory: what a run will need, known before its first step. The batches of the run are drawn and the ids of
 * their captions counted, so that every program that it will use is compiled. */
#ifndef KIN_MEMORY_H
#define KIN_MEMORY_H
#include "train/trainer.h"

typedef struct kin_foreseen {
    int64_t batches; /* looked at */
    int64_t texts;   /* of the batch with the most ids: lengths [texts], the caller frees them */
    int64_t tokens;
    int32_t *lengths;
} kin_foreseen;

kin_status kin_foresee(kin_ctx *cx, kin_trainer *t, kin_foreseen *out);

/* For a device with memory of its own: logs the bill, then takes all of it at once. KIN_NOMEM when it is not
 * there, and which chunk of the batch would fit. Elsewhere nothing. */
kin_status kin_memory_settle(kin_ctx *cx, kin_trainer *t);

#endif
