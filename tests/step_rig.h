/* step_rig: a stepper over the model of tests/golden/step_golden.py, with the weights of the golden step, and
 * its batch; for the tests of whole steps. Every failure fails the test. */
#ifndef KIN_TESTS_STEP_RIG_H
#define KIN_TESTS_STEP_RIG_H
#include "train/step.h"

enum {
    B = 4,
    S = 16,
    E = 24,
    T = 10,
    MOST = 12
}; /* pairs of the golden batch, pixels, embedding, context; pairs at most */

extern const int step_lengths[B]; /* tokens of its texts */

typedef struct step_rig {
    kin_ctx cx;
    kin_backend *backend;
    kin_params *params;
    kin_programs programs;
    kin_stepper stepper;
} step_rig;

typedef struct step_variant {
    bool recompute;
    const char *freeze;
    int64_t chunk, batch, texts;
    int captions;
    const char *model; /* NULL: the golden one */
    kin_distill distill;
    double alpha;
} step_variant;

void step_open(step_rig *r, kin_backend *backend, step_variant how); /* takes the backend over */
void step_close(step_rig *r);

/* n pictures, texts captions: the golden batch is the first four. Valid until the next call. */
kin_pairs step_pairs(int64_t n, int64_t texts);
double step_run(step_rig *r, const kin_pairs *p); /* one step; its loss */
/* The embeddings [B, E] of p's first B, by the programs that evaluation uses. */
void step_embeddings(step_rig *r, const kin_pairs *p, bool text, double *out);

double step_element(const step_rig *r, const void *base, int64_t i); /* of a backend's reals */
/* Largest difference of the gradients of two rigs, relative to the largest gradient of each parameter. */
double step_gradients_differ(const step_rig *a, const step_rig *b);

kin_backend *step_ref64(void);
kin_backend *step_cpu(int threads);

#endif
