/* sanity: can this model with these options learn anything at all from this data? Overfits a few pairs:
 * without augmentation or dropout the loss must fall to almost nothing within seconds. When it does not,
 * smaller and larger learning rates are tried, and what is wrong is said. */
#ifndef KIN_SANITY_H
#define KIN_SANITY_H
#include "train/trainer.h"

typedef struct kin_sanity {
    int64_t pairs, steps;
    double first, last, chance; /* loss */
    double lr, seconds;
    int64_t same_captions, same_pictures; /* among the pairs: they cannot be told apart */
    kin_spread spread;                    /* at the end */
    bool fits;
} kin_sanity;

enum { KIN_SANITY_SECONDS = 20 }; /* what a person waits for */

/* Nothing is written. Each attempt ends after so many seconds at the latest. out: the attempt with the run's
 * own learning rate. When it fails: KIN_NUMERIC, and the message says what is wrong and what to try. */
kin_status kin_sanity_check(kin_ctx *cx, const kin_config *cfg, double seconds, kin_sanity *out);

#endif
