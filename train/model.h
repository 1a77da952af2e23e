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
 * share/kin/models), by file, or of a model folder. NULL on failure: the message lists the names there are.
 */
json_t *kin_model_json(kin_ctx *cx, const char *name);
/* Is this a model folder (it has an open_clip_config.json)? */
bool kin_model_is_folder(const char *name);
/* What a model (as above) says of its pictures, over *p: "preprocess_cfg" beside "model_cfg". */
kin_status kin_model_preprocess(kin_ctx *cx, const char *name, kin_preprocess *p);

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
/* Begins with the weights of a model folder: like kin_model_weights, but a text tower's positions of another
 * number are stretched or cut (nn/stretch.h), and a logit_bias, fusion or heads that the folder lacks (or
 * has in another shape) stay as they are; the blocks of fusion joint begin as those of the folder's image
 * tower. */
kin_status kin_model_start(kin_ctx *cx, kin_model *m, const char *folder);
/* Writes all four into an existing folder. ema: the averaged weights instead of the current ones. */
kin_status kin_model_save(kin_ctx *cx, const kin_model *m, const char *folder, bool ema);

#endif
