/* preprocess: from a decoded picture to the H x W pixels that a model sees, exactly as open_clip's evaluation
 * transform; and the files in which that is written down. Mean and std are applied by the model's first op,
 * to x / 255. */
#ifndef KIN_PREPROCESS_H
#define KIN_PREPROCESS_H
#include "core/json.h"
#include "data/resize.h"

typedef enum kin_resize_mode {
    KIN_RESIZE_SHORTEST, /* as small as covers H x W, centre crop. H = W = S: shortest side to S, the other
                          * int(S * long / short); else both sides rounded half to even */
    KIN_RESIZE_LONGEST,  /* as large as fits in H x W (rounded half to even), padded with `fill` */
    KIN_RESIZE_SQUASH    /* to H x W */
} kin_resize_mode;

typedef struct kin_preprocess {
    int64_t height, width; /* H, W */
    float mean[3], std[3];
    kin_filter interpolation;
    kin_resize_mode mode;
    uint8_t fill; /* of padding, all channels */
} kin_preprocess;

/* OpenAI's mean and std, bicubic, shortest; H = W = 224. */
kin_preprocess kin_preprocess_default(void);
/* open_clip's preprocess_cfg over *p; an unknown value is KIN_FORMAT and names those there are. */
kin_status kin_preprocess_from_json(kin_ctx *cx, const json_t *object, kin_preprocess *p);
json_t *kin_preprocess_to_json(const kin_preprocess *p); /* open_clip's preprocess_cfg */
json_t *kin_preprocess_to_hf(const kin_preprocess *p);   /* Hugging Face's preprocessor_config.json */

int64_t kin_preprocess_bytes(const kin_preprocess *p); /* of a picture it makes */
/* out [H, W, 3] */
kin_status kin_preprocess_image(kin_ctx *cx, const kin_preprocess *p, const kin_image *in, uint8_t *out);

#endif
