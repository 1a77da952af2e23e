/* fused_step: gradients of one optimiser step over pairs: losses of several heads, each times its weight.
 *
 * One program does all of it. With hard false pairs both towers run forward once before, to know which pairs
 * are hard: about a sixth of a tower's step more. The whole batch is in memory at once: a pair's picture and
 * text can lie in different chunks, so GradCache (chunk < batch) is refused. */
#ifndef KIN_FUSED_STEP_H
#define KIN_FUSED_STEP_H
#include "train/programs.h"
#include "train/wiring.h"

typedef struct kin_fused_cfg {
    kin_wiring_cfg wiring;
    double weight[KIN_OBJECTIVES]; /* 0: not asked; wiring.want follows from it */
} kin_fused_cfg;

typedef struct kin_fused_stepper {
    kin_programs *programs;
    kin_model_cfg model; /* trunks as in training */
    kin_fused_cfg cfg;
    kin_wiring wiring;
    void *io; /* losses and their cotangents, a line each, in real */
    int64_t io_bytes;
    void *teacher_images, *teacher_texts; /* with distill: embeddings of the teacher, borrowed */
    double alpha;                         /* and the share of soft targets in itc (train/step.h) */
    double loss[KIN_OBJECTIVES];          /* of the last batch, unweighted */
    double chance; /* weighted, of all but itc: the loss of a model that knows nothing */
    double flops;
    void (*meanwhile)(void *user); /* as kin_stepper's */
    void *user;
} kin_fused_stepper;

/* Sets wiring.want; KIN_ARG for what cannot be. pairs, texts: most of a batch. */
kin_status kin_fused_stepper_open(kin_ctx *cx, kin_fused_stepper *s, kin_programs *p,
                                  const kin_fused_cfg *cfg, int64_t pairs, int64_t texts);
void kin_fused_stepper_close(kin_fused_stepper *s);

/* Compiles the program of a batch whose `texts` captions have `tokens` ids, as far as that can be foreseen:
 * what is hidden and who meets whom is drawn later. */
kin_status kin_fused_stepper_prepare(kin_ctx *cx, kin_fused_stepper *s, int64_t tokens, int64_t texts);

/* Binds every input that the program has of the wiring, and sets the live sizes of the run. */
kin_status kin_wiring_bind(kin_ctx *cx, kin_programs *s, kin_program *p, const kin_wiring *w, kin_run *run);

/* After kin_params_begin. image_out, text_out: memory of the backend for the embeddings of the pairs, written
 * with itc. image, text, scale: of these pairs, on the host, only for hard false pairs. *loss: the weighted
 * sum. */
kin_status kin_fused_stepper_run(kin_ctx *cx, kin_fused_stepper *s, const kin_pairs *p, const kin_run *how,
                                 const float *image, const float *text, double scale, void *image_out,
                                 void *text_out, double *loss);

#endif
