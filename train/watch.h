/* watch: looks at a run as it goes and says, once each, what a person should know: the loss of an untrained
 * model against chance, collapse, the logit scale at its clamp, equal captions or pictures in a batch,
 * waiting for data, a loss that stays at chance; at the end, what to try next. Notices go to the context's
 * log. */
#ifndef KIN_WATCH_H
#define KIN_WATCH_H
#include "train/trainer.h"

typedef enum kin_note {
    KIN_NOTE_START,
    KIN_NOTE_CHANCE,
    KIN_NOTE_COLLAPSE,
    KIN_NOTE_CLAMP,
    KIN_NOTE_FLOOR,
    KIN_NOTE_CAPTIONS,
    KIN_NOTE_PICTURES,
    KIN_NOTE_DATA,
    KIN_NOTE_COUNT
} kin_note;

enum { KIN_WATCH_HISTORY = 64 };

typedef struct kin_watch {
    bool told[KIN_NOTE_COUNT];
    /* Of the whole run by equal spans of steps, for what is said at its end. */
    double loss[KIN_WATCH_HISTORY];
    int64_t losses[KIN_WATCH_HISTORY];
    double waited, worked; /* seconds */
    int64_t evaluations;
    double last_kept; /* the kept metric at the last evaluation */
    kin_progress last;
} kin_watch;

/* Captions of a batch (the hard negatives not counted) that another pair of it also has, word for word, and
 * pictures that another pair also has: false negatives. digest: room for n. */
void kin_count_duplicates(const kin_pairs *p, int64_t image_bytes, uint64_t *digest, int64_t *captions,
                          int64_t *pictures);

/* Captions longer than the context, of at most 20,000 evenly chosen ones; logs one sentence when there are.
 */
kin_status kin_watch_captions(kin_ctx *cx, const kin_trainer *t);
void kin_watch_progress(kin_ctx *cx, kin_watch *w, const kin_trainer *t, const kin_progress *p,
                        double seconds);
void kin_watch_evaluated(kin_watch *w, double kept);
void kin_watch_end(kin_ctx *cx, const kin_watch *w, const kin_trainer *t);

#endif
