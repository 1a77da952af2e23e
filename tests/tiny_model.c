#include "tests/tiny_model.h"

#include <string.h>

#include "train/session.h"

static const char config[] = "{\"embed_dim\": 16,"
                             " \"vision_cfg\": {\"image_size\": 32, \"layers\": 1, \"width\": 32, "
                             "\"head_width\": 16, \"patch_size\": 8},"
                             " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 560, \"width\": "
                             "32, \"heads\": 2, \"layers\": 1}}";

bool make_tiny_model(const char *folder, const char *loss)
{
    return make_tiny_model_with(folder, loss, (const char *const[]){NULL});
}

bool make_tiny_model_with(const char *folder, const char *loss, const char *const *keys)
{
    kin_ctx cx = {0};
    const char *const texts[] = {"a red ring above a blue star", "a green cross left of a red ring"};
    kin_tokenizer *t = kin_tokenizer_train(&cx, texts, 2, 560);
    const kin_preprocess pre = kin_preprocess_default();
    json_t *json = kin_json_parse(&cx, "model", config, strlen(config));
    if (strcmp(loss, "siglip") == 0) kin_model_cfg_override(&cx, json, "init_logit_bias", "-10");
    for (; *keys; keys += 2) kin_model_cfg_override(&cx, json, keys[0], keys[1]);
    kin_model *m = kin_model_new(&cx, json, t, &pre, kin_loss_find(loss));
    kin_backend *b = kin_backend_cpu(&cx, 1, NULL);
    if (m && b && kin_params_alloc(&cx, m->params, b, false, false) == KIN_OK &&
        kin_params_init(&cx, m->params, 1) == KIN_OK)
        kin_model_save(&cx, m, folder, false);
    const bool made = m && b && cx.status == KIN_OK;
    kin_model_free(m);
    kin_backend_close(b);
    return made;
}
