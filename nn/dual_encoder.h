/* dual_encoder: the model that kin trains: an image tower and a text tower into one space (CLIP, Radford et
 * al. 2021; SigLIP, Zhai et al. 2023). Embeddings are L2-normalised. */
#ifndef KIN_DUAL_ENCODER_H
#define KIN_DUAL_ENCODER_H
#include "nn/block.h"
#include "nn/loss.h"

/* The model's own tower over images or texts that are there already; experts have theirs. A model without
 * towers (joint) fails with a sentence. The embedding is not normalised. */
kin_tower kin_image_tower(kin_graph *g, const kin_model_cfg *m, kin_val images);
kin_tower kin_text_tower(kin_graph *g, const kin_model_cfg *m, kin_val ids, kin_val off);
kin_val kin_normalised(kin_graph *g, const char *name, kin_val x); /* rows of length 1 */

/* Inputs "images" [B <= images, S, S, 3] u8, with row symbol "images" -> [B, E] */
kin_val kin_encode_images(kin_graph *g, const kin_model_cfg *m, int64_t images);
kin_val kin_images_input(kin_graph *g, const kin_model_cfg *m, int64_t images); /* that input alone */
/* Inputs "ids" [T <= tokens] i32 and "off" [B+1 <= texts+1] i32, row symbols "tokens", "texts" -> [B, E] */
kin_val kin_encode_texts(kin_graph *g, const kin_model_cfg *m, int64_t texts, int64_t tokens);

kin_val kin_texts_input(kin_graph *g, int64_t texts, int64_t tokens, kin_val *off); /* ids, and *off */

/* The three parts that training is made of. A text batch may be longer than the image batch (hard negatives).
 */
typedef struct kin_dual {
    kin_val images, texts, loss;
    kin_val distill; /* KIN_NONE without c->distill */
} kin_dual;
kin_dual kin_dual_encoder(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss,
                          const kin_loss_cfg *c, int64_t images, int64_t texts, int64_t tokens);
/* The loss alone over embeddings given as inputs "images" [N, E] and "texts" [M, E] (their gradients may be
 * wanted): the middle of GradCache. */
kin_dual kin_dual_loss(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss, const kin_loss_cfg *c,
                       int64_t images, int64_t texts);

/* The loss against a teacher, whose rows are inputs "teacher images" [N, E], "teacher texts" [M, E] with the
 * row symbols of these embeddings; KIN_NONE without c->distill. With KIN_DISTILL_TEXTS both inputs may be the
 * same memory: caption i of the first N is picture i's. */
kin_val kin_distilled(kin_graph *g, const kin_model_cfg *m, const kin_loss_row *loss, const kin_loss_cfg *c,
                      kin_val images, kin_val texts);

#endif
