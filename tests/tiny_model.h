/* tiny_model: a model folder with untrained weights, for tests of what uses one. */
#ifndef KIN_TESTS_TINY_MODEL_H
#define KIN_TESTS_TINY_MODEL_H
#include <stdbool.h>

/* Embeddings of 16 numbers, pictures of 32 x 32, texts of 32 ids; loss "infonce" or "siglip" (a logit bias of
 * -10). Into an existing folder. */
bool make_tiny_model(const char *folder, const char *loss);
/* The same with keys of kin_model_cfg_override set: key, value, ..., NULL. */
bool make_tiny_model_with(const char *folder, const char *loss, const char *const *keys);

#endif
