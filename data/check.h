/* check: is this data fit to be trained on? Every picture is read once, on all threads; captions are measured
 * and compared. */
#ifndef KIN_CHECK_H
#define KIN_CHECK_H
#include "core/json.h"
#include "data/dataset.h"
#include "data/tokenizer.h"

typedef struct kin_check_cfg {
    const kin_tokenizer *tokenizer; /* NULL: lengths are words */
    int64_t context;                /* longest caption that is not cut, in tokens */
    int64_t preview;                /* pairs shown */
    double held;                    /* share of val in the proposed split, and of test */
    uint64_t seed;                  /* of the split */
} kin_check_cfg;

/* The report, owned by the caller; NULL on failure (labels: of labelled sets, data/check_labels.c):
 *   {"form", "usable", "verdict", "images", "captions", "captions_per_image": {min, mean, max},
 *    "skipped": {"no_picture", "no_caption", "other_format", "no_label", "first": [{"name", "why"}]},
 *    "readable", "kinds": {"JPEG", "PNG", "WebP"}, "broken", "broken_first": [{"picture", "error"}],
 *    "misnamed", "misnamed_first": [{"picture", "kind"}], "rotated", "width", "height": {min, median, max},
 *    "duplicate_images", "duplicate_images_first": [[a, b]], "duplicate_captions",
 *    "duplicate_captions_first": [{"caption", "images"}], "repeated_captions", "not_utf8",
 *    "lengths": {"unit", min, mean, median, p95, max, "longest", "context"?, "over"?, "histogram": [{"to",
 * "n"}]}, "splits"? or "proposed_split": {"train", "val", "test"}, "preview": [{"picture", "captions"}]} A
 * caption is a duplicate when another picture has it too: in one batch they are false negatives of each
 * other. Usable: at least two pictures that can be read, with at least two different captions. split
 * [items] of zeros, may be NULL: 0 train, 1 val, 2 test; equal pictures are never parted. */
json_t *kin_dataset_check(kin_ctx *cx, const kin_dataset *d, const kin_check_cfg *cfg, uint8_t *split);

/* {"examples", "classes": [{"name", "n"}], "majority", "soft", "texts": {"repeated", "one_label", "best"},
 * "pictures": the same}: n counts examples of the class (the heaviest one of soft labels), majority is the
 * share of the most frequent. Of texts (pictures) with more than one example: how many, how many always have
 * the same label, and best: the accuracy on those examples of who knows the text (picture) alone and its most
 * frequent label. */
json_t *kin_labels_check(kin_ctx *cx, const kin_dataset *d);

/* Karpathy's JSON of this split. Pictures are named from the file's folder on (absolutely when they lie
 * elsewhere), those in tars by the names of members: then the file must lie beside the tars. */
kin_status kin_split_save(kin_ctx *cx, const kin_dataset *d, const uint8_t *split, const char *path);

#endif
