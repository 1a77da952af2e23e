/* step: gradients of one optimiser step, whatever the batch size.
 *
 * chunk >= batch: one program, forward and backward. Smaller: GradCache (Gao et al. 2021), exact: every
 * chunk's embeddings, the loss over the whole batch and its gradient with respect to the embeddings, then
 * each chunk's forward again with backward from that gradient. Activations of one chunk exist at a time.
 *
 * With programs->loss_cfg.distill (momentum distillation) the averaged weights embed the batch first, in
 * chunks, forward only and as in evaluation: nothing is dropped. The loss is (1 - alpha) times the loss +
 * alpha times its cross-entropy to what these embeddings say, which is that of the targets (1 - alpha) hard +
 * alpha soft; the teacher gets no gradient. */
#ifndef KIN_STEP_H
#define KIN_STEP_H
#include "train/fused_step.h"

typedef struct kin_stepper {
    kin_programs *programs;
    int64_t batch, texts, chunk; /* capacities; chunk in pairs */
    void *io;                    /* embeddings, their gradients, loss and its cotangent, in real */
    int64_t io_bytes;
    void *image_embedding, *text_embedding, *image_grad, *text_grad, *loss, *one;
    int32_t *off;             /* [chunk + 1] offsets of a chunk, from 0 */
    char *rows;               /* some rows of both embeddings, in real, brought home for kin_stepper_spread */
    double *sum;              /* [2 E] for it as well */
    double flops;             /* floating-point operations of the last run, exact for its live sizes */
    kin_fused_stepper *fused; /* not NULL: steps are over pairs */
    float *image_rows, *text_rows; /* for hard false pairs: embeddings on the host, [batch, E], [texts, E] */
    double alpha;                  /* with distill: the share of soft targets in the next step */
    void *teacher_images, *teacher_texts, *parts; /* in io: what the teacher sees; the second loss, and both
                                                     losses' cotangents, a line each */
    bool image_made; /* pictures' embeddings come with each batch (kin_pairs), their tower is never run */
    bool check;      /* of kin_run: name the first step that writes a NaN or Inf */
    /* Called when all of a step is under way and its loss is not known yet: the time to send the next batch
     * ahead (kin_stepper_ahead). NULL: nothing is. */
    void (*meanwhile)(void *user);
    void *user;
} kin_stepper;

/* chunk 0: the whole batch at once. texts: most captions of a batch. */
kin_status kin_stepper_open(kin_ctx *cx, kin_stepper *s, kin_programs *p, int64_t batch, int64_t texts,
                            int64_t chunk);
void kin_stepper_close(kin_stepper *s);

/* Steps over pairs from now on (train/fused_step.h). KIN_ARG for what the model cannot do; KIN_UNSUPPORTED
 * with chunk < batch. */
kin_status kin_stepper_fuse(kin_ctx *cx, kin_stepper *s, const kin_fused_cfg *cfg);

/* Compiles what a batch with texts of these lengths will need, and runs nothing. */
kin_status kin_stepper_prepare(kin_ctx *cx, kin_stepper *s, const int32_t *lengths, int64_t texts);

/* Fills the gradients in params; *loss is the batch's. key: of (seed, step). After the first call of each
 * token bucket it allocates nothing. */
kin_status kin_stepper_run(kin_ctx *cx, kin_stepper *s, const kin_pairs *pairs, uint64_t key, double *loss);

/* Sends what the step of these pairs reads first on its way to the device; they must stay where they are. */
void kin_stepper_ahead(kin_stepper *s, const kin_pairs *pairs);

/* The loss of a model that knows nothing, for a batch like the last. */
double kin_stepper_chance(const kin_stepper *s, int64_t pairs, int64_t texts);

/* How the embeddings of the last batch lie: mean cosines (they are normalised). */
typedef struct kin_spread {
    double image, text; /* of two different pictures, of two different captions; 1: collapsed */
    double pair;        /* of a picture and its caption */
} kin_spread;
/* Allocates nothing. */
kin_status kin_stepper_spread(kin_ctx *cx, kin_stepper *s, const kin_pairs *pairs, kin_spread *out);

#endif
