/* dataset: pictures and what is said about them, whatever they lie in. Opening reads names, captions and
 * where each picture's bytes are; pictures are read when asked for. Formats (one file each): webdataset
 * shards: "DIR/{000..012}.tar", a glob, several joined by "::", one .tar, or a folder of .tar karpathy
 * dataset_*.json with its pictures in tars or folders beside it folder      a.jpg + a.txt Captions: the
 * JSON's "captions" if there are, else the .txt, one caption (Karpathy: all sentences). */
#ifndef KIN_DATASET_H
#define KIN_DATASET_H
#include "core/base.h"

typedef struct kin_item {
    const char *name;          /* key of the sample or the file's name */
    int32_t source;            /* index of the mapped archive; -1: name is a path of its own file */
    int64_t at, size;          /* the picture's bytes in the archive */
    int64_t caption, captions; /* caption[caption .. caption + captions) are true of it */
    int64_t swap, swaps;       /* swap[swap .. swap + swaps) */
} kin_item;

typedef struct kin_swap {
    const char *kind, *caption, *swapped; /* "relation", "attribute"; true; the same words, false */
} kin_swap;

typedef struct kin_source {
    char *path;
    const uint8_t *bytes; /* mapped */
    int64_t size;
} kin_source;

typedef struct kin_dataset {
    kin_item *item;
    int64_t items;
    const char **caption;
    int64_t *item_of; /* [captions] */
    int64_t captions;
    kin_swap *swap;
    int64_t swaps;
    kin_source *source;
    int64_t sources;
    bool bare;       /* pictures without a caption are items too */
    bool twins;      /* the true caption of a swap is a caption too */
    int64_t skipped; /* samples without a picture or a caption */
    /* private */
    struct kin_text_block *text;
    int64_t item_room, caption_room, item_of_room, swap_room, source_room;
} kin_dataset;

/* split: of formats that have splits ("train" takes in Karpathy's "restval"); others ignore it. twins: the
 * true captions of swaps are captions as well, so that they are trained on with their false twins as
 * negatives (they need not be true of one picture only: an evaluation leaves them out). NULL on failure; an
 * empty set is a failure that says what was looked at. */
kin_dataset *kin_dataset_open(kin_ctx *cx, const char *path, const char *split, bool twins);
/* Pictures alone, captions where there are any: a folder with its sub-folders, one picture's file, or shards.
 */
kin_dataset *kin_pictures_open(kin_ctx *cx, const char *path);
void kin_dataset_close(kin_dataset *d);

/* The bytes of a picture: inside the mapped archive, or read into *own (free it), which is NULL else. */
kin_status kin_dataset_bytes(kin_ctx *cx, const kin_dataset *d, int64_t item, const uint8_t **bytes,
                             int64_t *size, uint8_t **own);

/* For the readers of formats. Strings are copied. A new caption or swap belongs to the last item. */
const char *kin_dataset_text(kin_ctx *cx, kin_dataset *d, const char *text, int64_t size);
kin_status kin_dataset_item(kin_ctx *cx, kin_dataset *d, const char *name, int32_t source, int64_t at,
                            int64_t size);
kin_status kin_dataset_caption(kin_ctx *cx, kin_dataset *d, const char *text, int64_t size);
kin_status kin_dataset_swap(kin_ctx *cx, kin_dataset *d, const char *kind, const char *caption,
                            const char *swapped);
/* Maps an archive; its index, or -1 on failure. */
int32_t kin_dataset_source(kin_ctx *cx, kin_dataset *d, const char *path);
/* Does a file of this name hold a picture? (By extension: contents are looked at when decoded.) */
bool kin_picture_name(const char *name);

kin_status kin_webdataset_read(kin_ctx *cx, kin_dataset *d, const char *path);
kin_status kin_karpathy_read(kin_ctx *cx, kin_dataset *d, const char *path, const char *split);
kin_status kin_folder_read(kin_ctx *cx, kin_dataset *d, const char *path);

#endif
