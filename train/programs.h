/* programs: the runnable forms of a two-tower model, compiled when first asked for and kept: by task, by
 * batch size, by the bucket that the batch's token count falls into. All of them share one ACT and one
 * SCRATCH arena, as large as the largest needs. */
#ifndef KIN_PROGRAMS_H
#define KIN_PROGRAMS_H
#include "core/program.h"
#include "nn/fused.h"

typedef enum kin_task {
    KIN_TASK_STEP,   /* both towers, loss, backward: inputs images, ids, off; outputs loss, image embedding,
                        text embedding; seed "d loss". With loss_cfg.distill also "distill loss", its seed and
                        "teacher images", "teacher texts" (nn/dual_encoder.h), as LOSS and FUSED do */
    KIN_TASK_IMAGES, /* forward of the image tower: output embedding */
    KIN_TASK_IMAGES_GRAD, /* its forward and backward from "d embedding" */
    KIN_TASK_TEXTS,       /* the same two of the text tower */
    KIN_TASK_TEXTS_GRAD,
    KIN_TASK_IMAGE_STATES, /* forward of the image tower: output embedding and "states", its rows in f32
                              (nn/fused.h) */
    KIN_TASK_TEXT_STATES,  /* of the text tower: output "states" */
    KIN_TASK_FUSED,        /* pairs: see kin_programs_fused */
    KIN_TASK_LOSS          /* inputs images, texts (embeddings); output loss; seed "d loss"; their gradients
                              "grad images", "grad texts" */
} kin_task;

typedef struct kin_compiled kin_compiled;

/* Where an input lies on a device that does not work on host memory: where programs read it, and where the
 * next one lands meanwhile. */
typedef struct kin_stage {
    void *ptr[2];
    int64_t bytes[2], need;
    const void *sent; /* in the open turn, from there */
    int64_t sent_bytes;
} kin_stage;

typedef struct kin_programs {
    kin_model_cfg cfg; /* trunk.training and recompute are set per program */
    bool recompute;
    const kin_loss_row *loss;
    kin_loss_cfg loss_cfg;
    kin_params *params;
    kin_backend *backend;
    kin_compiled *list;
    int count, room;
    void *act, *scratch;
    int64_t act_bytes, scratch_bytes;
    int64_t act_need, scratch_need; /* of the largest programs so far */
    bool planning;                  /* take no memory: programs are compiled to know what they need */
    kin_stage stage[27];            /* of inputs, by name */
    bool augments;                  /* pictures may come with what is to be done to their pixels */
    int64_t augment;                /* so many of those bound as "images" */
    bool sending, bound;            /* a turn is open; an input of it is bound to what runs next */
    kin_keep keep;                  /* of programs compiled from now on (core/program.h) */
    bool replay;                    /* runs are recorded and replayed where the backend can */
} kin_programs;

void kin_programs_close(kin_programs *s);

/* The program for a task at (at least) these sizes; training: dropout and patch dropout act. tokens is
 * rounded up to its bucket. Attached to the arenas. NULL on failure. Allocates only when that program is new.
 */
kin_program *kin_programs_get(kin_ctx *cx, kin_programs *s, kin_task task, bool training, int64_t images,
                              int64_t texts, int64_t tokens);
/* Bytes of the arenas and inputs that all programs compiled so far need, and taking them at once. */
int64_t kin_programs_need(const kin_programs *s);
kin_status kin_programs_reserve(kin_ctx *cx, kin_programs *s);
/* The whole model over pairs (nn/fused.h), training: with losses and backward. Outputs "image embedding",
 * "text embedding" (with itc), "NAME logits" and, in training, "NAME loss" with its seed "d NAME loss", NAME
 * a row of kin_objectives. Sizes that hang on the texts are rounded up to their buckets. */
kin_program *kin_programs_fused(kin_ctx *cx, kin_programs *s, bool training, const kin_fused_want *want,
                                const kin_fused_sizes *sizes);
/* Binds an input that lies in host memory (name a literal, bytes live): as it is, or uploaded, beside what is
 * still computed. All inputs of a program come before each of its runs. */
kin_status kin_programs_input(kin_ctx *cx, kin_programs *s, kin_program *p, const char *name,
                              const void *host, int64_t bytes);
/* Sends what will be an input of the next run on its way before that run is asked for; only an input of the
 * same name, place and size makes use of it, and what lies there must stay until then. Costs nothing where
 * there is nothing to upload. */
void kin_programs_ahead(kin_programs *s, const char *name, const void *host, int64_t bytes);
/* What is to be done to the first n pictures just bound as "images" (kin_programs_input): the next run does
 * it first, where they lie on the device, after they were sent anew. drawn NULL: nothing. KIN_INTERNAL where
 * pictures are read from host memory. */
kin_status kin_programs_augment(kin_ctx *cx, kin_programs *s, const kin_augmentation *drawn, int64_t n);
/* kin_program_run with the inputs sent. */
kin_status kin_programs_run(kin_ctx *cx, kin_programs *s, kin_program *p, const kin_run *run);
/* The bucket of so many rows: from 32 on the next is 1/parts larger, rounded up to 16; at most `most`. On a
 * device that replays its launches all rows of a bucket are computed, so parts is what such rows may cost,
 * and each bucket costs a program: 16 for the tokens of two towers, 8 where sizes of several kinds make one
 * program together. */
enum { KIN_PARTS_TOKENS = 16, KIN_PARTS_FUSED = 8 };
int64_t kin_row_bucket(int64_t rows, int64_t most, int64_t parts);

/* Registers the weights of the model (builds all of it once); before kin_params_alloc. */
kin_status kin_register_weights(kin_ctx *cx, kin_params *params, const kin_model_cfg *cfg,
                                const kin_loss_row *loss);

#endif
