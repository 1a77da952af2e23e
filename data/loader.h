/* loader: batches of pairs, made ahead of the step by threads of its own. Which pairs are in which batch,
 * their augmentation and negatives are pure functions of (seed, number of the batch): the number of threads,
 * their luck and a resume in between change nothing. */
#ifndef KIN_LOADER_H
#define KIN_LOADER_H
#include "core/json.h"
#include "data/cache.h"
#include "data/dataset.h"
#include "data/tokenizer.h"

typedef struct kin_loader_cfg {
    const kin_dataset *data; /* borrowed, like the tokenizer */
    const kin_tokenizer *tokenizer;
    kin_preprocess preprocess;
    kin_augment augment;
    const kin_augmenter *augmenter; /* borrowed, of several threads at once; NULL: what was drawn for pixels
                                       is given out beside the crops and left to do */
    const kin_cache *cache;         /* borrowed; NULL: pictures are decoded each time */
    bool scaled;                    /* decode JPEGs small where the crop allows it (kin_augment_shrink) */
    int64_t batch;                  /* pairs */
    int64_t context;                /* most ids of a text */
    int64_t captions; /* of each picture: the pair's own, then others of the picture, again when there are too
                         few; 0 is 1 */
    int64_t negatives; /* captions per pair that are false of its picture: the data's swaps, as far as there
                          are */
    bool blind;        /* no picture is read: images are NULL */
    int64_t threads, ahead; /* 0 threads: by the cores; batches prepared ahead */
    uint64_t seed;
} kin_loader_cfg;

/* Belongs to the loader, valid until the next call. Another pair stands in for one whose picture
 * cannot be decoded; n is less than the batch size only when the data has too few readable pictures. */
typedef struct kin_batch {
    int64_t n, texts;              /* pairs; captions: n, then those beyond the first of each
                                      picture, picture by picture, then the negatives */
    const uint8_t *images;         /* [n, S, S, 3] */
    const kin_augmentation *drawn; /* [n] to be done to them yet; NULL: nothing */
    const int32_t *ids;            /* [off[texts]] */
    const int32_t *off;            /* [texts + 1] */
    const uint32_t *pair;          /* [n] which caption of the data row i is */
    const int32_t *image_of; /* [texts - n] row of the picture that text n + k is false of; -1: it is not */
    int64_t number;          /* of the batch, from 0 */
    double epochs;           /* passes over the pairs when it was drawn */
} kin_batch;

typedef struct kin_loader kin_loader;
/* state: of kin_loader_state, NULL to begin. KIN_ARG when the data has fewer pictures than a batch. */
kin_loader *kin_loader_open(kin_ctx *cx, const kin_loader_cfg *cfg, const json_t *state);
void kin_loader_close(kin_loader *l);

/* Waits for the next batch. Undecodable pictures are logged: the first, then every 1000th. Fails when a whole
 * batch could not be read. */
kin_status kin_loader_next(kin_ctx *cx, kin_loader *l, kin_batch *out);
/* The batch that comes next, if it is ready; it is not given out by that, and the one before stays valid. */
bool kin_loader_peek(kin_loader *l, kin_batch *out);
/* Draws the next `batches` batches as a loader opened like this will, and counts the ids of their texts, no
 * picture read: calls each with lengths [texts] in the order of kin_batch. (A pair that stands in for one
 * whose picture cannot be decoded is not foreseen.) */
typedef void (*kin_lengths_fn)(void *user, const int32_t *lengths, int64_t texts);
kin_status kin_loader_foresee(kin_ctx *cx, const kin_loader_cfg *cfg, const json_t *state, int64_t batches,
                              kin_lengths_fn each, void *user);
/* Where the stream stands after the last batch given out; the caller owns it. */
json_t *kin_loader_state(const kin_loader *l);
double kin_loader_waited(const kin_loader *l);   /* seconds spent in kin_loader_next so far */
int64_t kin_loader_bytes(const kin_loader *l);   /* of the batches on their way, all allocated */
int64_t kin_loader_skipped(const kin_loader *l); /* pictures left out so far */

#endif
