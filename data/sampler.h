/* sampler: which pairs make up which batch. An endless stream of permutations of all pairs (one caption with
 * its picture), nothing dropped; batches cross the borders of epochs. A picture appears once in a batch at
 * most: a pair whose picture is there already waits for the next batch. A pure function of the seed. */
#ifndef KIN_SAMPLER_H
#define KIN_SAMPLER_H
#include "core/json.h"

typedef struct kin_sampler {
    const int64_t *item_of; /* [pairs], borrowed */
    int64_t pairs, items;
    uint64_t seed;
    int64_t batches;         /* drawn so far */
    int64_t epoch, position; /* of the stream: the next pair is order[position] */
    uint32_t *order;         /* the permutation of this epoch */
    uint32_t *waiting;       /* pairs put off, first come first served */
    int64_t waits, room;
    int64_t *last; /* [items] number of the last batch (from 1) that has it */
} kin_sampler;

/* KIN_UNSUPPORTED for 2^32 pairs and more. Free with kin_sampler_close, also after a failure. */
kin_status kin_sampler_open(kin_ctx *cx, kin_sampler *s, const int64_t *item_of, int64_t pairs, int64_t items,
                            uint64_t seed);
void kin_sampler_close(kin_sampler *s);
/* The next batch, n <= items pairs of different items. */
kin_status kin_sampler_draw(kin_ctx *cx, kin_sampler *s, int64_t n, uint32_t *pairs);

/* Where a stream stands: {"pairs", "seed", "batches", "epoch", "position", "waiting": [..]}. */
json_t *kin_sampler_state(int64_t pairs, uint64_t seed, int64_t batches, int64_t epoch, int64_t position,
                          const uint32_t *waiting, int64_t waits);
/* Goes on from there. KIN_FORMAT for a state that is malformed, KIN_ARG for one of other data or another
 * seed. */
kin_status kin_sampler_resume(kin_ctx *cx, kin_sampler *s, const json_t *state);

#endif
