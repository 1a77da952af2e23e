/* model_cfg: what a two-tower model is: open_clip's model config, as it lies in its repository, plus what kin
 * can do beyond it, under "kin_cfg": {"vision": {...}, "text": {...}, "fusion": {...}, "heads": {...}}.
 * Unknown keys are refused by name when they would change the computation, so that no model is silently
 * another one. */
#ifndef KIN_MODEL_CFG_H
#define KIN_MODEL_CFG_H
#include "core/json.h"
#include "core/op.h"

enum { KIN_MAX_STEM = 6 };

typedef enum kin_pooling {
    KIN_POOLING_CLS,
    KIN_POOLING_EOT,
    KIN_POOLING_MEAN,
    KIN_POOLING_ATTENTION
} kin_pooling;
typedef enum kin_text_kind { KIN_TEXT_TRANSFORMER, KIN_TEXT_BAG_OF_WORDS } kin_text_kind;

/* What both towers' transformers are made of. */
typedef struct kin_trunk_cfg {
    int64_t width, layers, heads, mlp; /* mlp: hidden width */
    int act;                           /* kin_act_kind */
    bool rms;                          /* rmsnorm instead of layernorm */
    float eps;                         /* of the norms */
    float ls_init;                     /* LayerScale's first value; 0: no LayerScale */
    float dropout, drop_path;          /* on residual branches; drop_path grows linearly to the last block */
    bool causal, text_init;            /* text_init: open_clip's normal initialisation of the text tower */
    bool recompute;                    /* each block is computed again for backward */
    bool training;                     /* dropout, drop_path and patch_dropout act */
} kin_trunk_cfg;

/* What the norms between the stem's convolutions are taken over: each pixel's channels, a picture's whole
 * map, or each channel of the batch (batchnorm; evaluation by running averages). */
typedef enum kin_stem_norm { KIN_STEM_PIXEL, KIN_STEM_MAP, KIN_STEM_BATCH } kin_stem_norm;

typedef struct kin_vision_cfg {
    kin_trunk_cfg trunk;
    int64_t image_height, image_width; /* pixels; image_size is one number or [height, width] */
    int64_t patch;
    kin_pooling pool;
    bool class_token, ln_pre;
    bool pos_grid;              /* positions start as sines and cosines of x and y instead of at random */
    float patch_dropout;        /* FLIP: the fraction dropped in training */
    int64_t stem[KIN_MAX_STEM]; /* channels of 3x3 stride-2 convolutions before the blocks */
    int stems;                  /* 0: plain patches */
    kin_stem_norm stem_norm;
    int64_t stem_blocks[KIN_MAX_STEM]; /* residual blocks of two 3x3 convolutions after each of them */
} kin_vision_cfg;

typedef struct kin_text_cfg {
    kin_trunk_cfg trunk;
    kin_text_kind kind;
    int64_t context, vocab;
    kin_pooling pool;
} kin_text_cfg;

typedef enum kin_late_kind {
    KIN_LATE_LINEAR,
    KIN_LATE_MLP,
    KIN_LATE_GATED,
    KIN_LATE_BILINEAR,
    KIN_LATE_AVERAGE
} kin_late_kind;

/* How pairs of a picture and a text are looked at together: a row of kin_fusions (nn/fusion.h). */
typedef struct kin_fusion_cfg {
    int kind;            /* index of the row; 0: none */
    kin_trunk_cfg trunk; /* of the layers that see both; not causal */
    int late;            /* late: kin_late_kind */
    int64_t
        hidden; /* late: width of the fused vector (mlp, average: of a hidden layer; bilinear: the rank) */
    bool gated; /* xattn: tanh gates that begin closed (Flamingo) */
    int64_t pair_layers; /* experts: so many last layers have an expert of their own for rows of pairs */
} kin_fusion_cfg;

/* What is asked of fused pairs (nn/head.h). */
typedef struct kin_heads_cfg {
    bool itm, mlm, mim;
    int64_t classes; /* 0: none. Their names are "names" in the JSON, in order; data is numbered after them */
    bool many;       /* several answers may be right at once: a sigmoid each instead of a softmax */
} kin_heads_cfg;

typedef struct kin_model_cfg {
    int64_t embed_dim;
    kin_vision_cfg vision;
    kin_text_cfg text;
    kin_fusion_cfg fusion;
    kin_heads_cfg heads;
    bool custom_text;               /* text weights are called "text.*" */
    double logit_scale, logit_bias; /* first values; scale is a logarithm */
    bool has_bias;
    float mean[3], std[3]; /* of pixels in [0, 1]; from the preprocessor, not from this file */
} kin_model_cfg;

/* From parsed JSON; `what` names it in messages. */
kin_status kin_model_cfg_read(kin_ctx *cx, const char *what, const json_t *json, kin_model_cfg *out);
/* Sets a dotted key: "text.layers", "vision.patch_dropout", "embed_dim", in open_clip's section or, where
 * open_clip does not know the key, in kin_cfg's. The value is JSON if it parses, else a string. */
kin_status kin_model_cfg_override(kin_ctx *cx, json_t *json, const char *path, const char *value);

/* Do the towers give all of their rows, because fusion attends to them? */
bool kin_reads_rows(const kin_model_cfg *m);

int64_t kin_image_bytes(const kin_vision_cfg *c); /* of a picture as the model sees it, [H, W, 3] */
int64_t kin_vision_rows(const kin_vision_cfg *c); /* of patches */
int64_t kin_vision_columns(const kin_vision_cfg *c);
int64_t kin_vision_patches(const kin_vision_cfg *c); /* rows x columns */
int64_t kin_vision_tokens(
    const kin_vision_cfg *c); /* a picture's tokens in the blocks (training: after patch dropout) */

#endif
