/* cuda_rig: trains a small model with everything random that there is (dropout, stochastic depth, dropped
 * patches) by options, on the emulated GPU or on the processor; for the tests of whole steps. */
#ifndef KIN_TESTS_CUDA_RIG_H
#define KIN_TESTS_CUDA_RIG_H
#include "train/trainer.h"

enum { STEPS = 5, MANY = 20 };

/* All that may be done to pictures. */
#define AUGMENTED                                                                                            \
    {"crop-min", "0.5"}, {"flip", "0.5"}, {"jitter", "0.5"}, {"grey", "0.3"},                                \
    {                                                                                                        \
        "erase", "0.5"                                                                                       \
    }

/* Small ones, whose false pairs are drawn at random: hard ones hang on the last bit of a similarity. */
#define SMALL                                                                                                \
    {"batch", "4"}, {"context", "12"}, {"model.vision.layers", "1"}, {"model.text.layers", "1"},             \
        {"model.fusion.layers", "1"}, {"model.vision.patch_dropout", "0"},                                   \
        {"model.vision.image_size", "16"}, {"itm-negatives", "random"},                                      \
    {                                                                                                        \
        "loss.itm", "1"                                                                                      \
    }

typedef struct cuda_record {
    double loss[MANY], norm[MANY], flops[MANY], recall;
    int64_t tokens[MANY];
    int steps;
} cuda_record;

typedef struct cuda_flag {
    const char *key, *value;
} cuda_flag;

/* flags end with a NULL key. */
void cuda_configure(kin_ctx *cx, kin_config *c, const cuda_flag *flags);
kin_status cuda_train(const cuda_flag *flags, cuda_record *r, kin_ctx *cx);
cuda_record cuda_must_train(const cuda_flag *flags);
/* Losses within `tol` of one another, norms of the gradients within ten times that. */
void cuda_losses_agree(const cuda_record *a, const cuda_record *b, double tol, const char *what);

/* Of a group of tests: data, the model, and where the plug-in is; remove_scratch (tests/scratch.h) ends it.
 */
int cuda_setup(void **state);

#endif
