/* model: towers, tokenizer and preprocessor bound into one thing that lies in a folder:
 *   model.safetensors         weights, f32, open_clip's names
 *   open_clip_config.json     {"model_cfg": ..., "preprocess_cfg": ...}
 *   vocab.json, merges.txt    the tokenizer
 *   preprocessor_config.json  the same preprocessing in Hugging Face's words */
#ifndef KIN_MODEL_H
#define KIN_MODEL_H
#include "data/preprocess.h"
#include "data/tokenizer.h"
#include "core/safetensors.h"
#include "nn/dual_encoder.h"

typedef struct kin_model {
    json_t *json; /* the model config, open_clip's form */
    kin_model_cfg cfg;
    kin_preprocess preprocess;
    kin_tokenizer *tokenizer;
    kin_params *params; /* registered, not allocated, until kin_params_alloc */
    kin_st *weights;    /* the mapped file that params borrow from; NULL: they have their own memory */
} kin_model;

/* The JSON of a model by name (configs/models beside the program or the working folder, or
 * share/kin/models) or by file. NULL on failure: the message lists the names there are. */
json_t *kin_model_json(kin_ctx *cx, const char *name_or_file);

/* Takes over json and tokenizer (also on failure). Weights are registered for this loss. The model's
 * vocabulary becomes the tokenizer's. */
kin_model *kin_model_new(kin_ctx *cx, json_t *json, kin_tokenizer *tokenizer,
                         const kin_preprocess *preprocess, const kin_loss_row *loss);
void kin_model_free(kin_model *m);

/* A folder, ready to embed: its weights are mapped where b computes in host memory and the file has them as
 * aligned f32 (nothing is read before it is used), else copied to b. */
kin_model *kin_model_load(kin_ctx *cx, const char *folder, kin_backend *b);
/* Reads the weights of a file into allocated params; every parameter must be there with its shape. */
kin_status kin_model_weights(kin_ctx *cx, kin_params *p, const char *file);
/* Writes all four into an existing folder. ema: the averaged weights instead of the current ones. */
kin_status kin_model_save(kin_ctx *cx, const kin_model *m, const char *folder, bool ema);

#endif
