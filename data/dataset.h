/* dataset: pictures and what is said about them, whatever they lie in. Opening reads names, captions and
 * where each picture's bytes are; pictures are read when asked for. Forms (one file each), told apart by
 * content as far as it goes:
 *   webdataset   "DIR/{000..012}.tar", a glob, several joined by "::", one .tar, a folder of .tar, or
 *                CLIP_benchmark's ROOT/{train,test}/{0..n-1}.tar with nshards.txt (a caption a line)
 *   table        a table with one pair a row: commas, tabs, semicolons or bars, with a header or without
 *                ; Flickr's *.token.txt
 *   benchmark    CLIP_benchmark's flickr*_karpathy.txt: a header, then NAME.jpg,CAPTION
 *   annotations  JSON: Karpathy's dataset_*.json, COCO's captions_*.json, [{"image", "caption"}], JSON Lines
 *   folder       a.jpg with a.txt or a.caption beside it; else the names of sub-folders
 * Captions: the JSON's "captions" if there are, else the .txt, one caption (Karpathy: all sentences). */
#ifndef KIN_DATASET_H
#define KIN_DATASET_H
#include "core/file.h"

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
    kin_map map;
} kin_source;

/* Why a sample was passed over. */
typedef enum kin_lack { KIN_LACK_PICTURE, KIN_LACK_CAPTION, KIN_LACK_FORMAT, KIN_LACKS } kin_lack;

enum { KIN_SKIPS_NAMED = 100 };
typedef struct kin_skip {
    const char *name;
    kin_lack lack;
} kin_skip;

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
    bool bare;                      /* pictures without a caption are items too */
    bool twins;                     /* the true caption of a swap is a caption too */
    const char *form;               /* what it is and how that was recognised */
    const char *splits;             /* "train, val" of forms that have splits; else NULL */
    int64_t skipped;                /* samples without a picture or a caption */
    int64_t lacking[KIN_LACKS];     /* the same by reason */
    kin_skip skip[KIN_SKIPS_NAMED]; /* the first of them */
    /* private */
    struct kin_text_block *text;
    int64_t item_room, caption_room, item_of_room, swap_room, source_room;
    bool ungrouped; /* captions were added to items other than the last */
} kin_dataset;

typedef struct kin_dataset_cfg {
    const char *split;                   /* of forms that have splits; NULL or "all": all of it */
    bool twins;                          /* see kin_dataset_open */
    bool bare;                           /* pictures without a caption too */
    bool no_restval;                     /* Karpathy's "restval" does not join "train" */
    const char *separator;               /* of a table: one character, "\t" or "tab"; NULL or "": found out */
    const char *image_key, *caption_key; /* its columns; NULL or "": found out */
} kin_dataset_cfg;

/* NULL on failure; an empty set is a failure that says what was looked at. What a user should know (columns
 * chosen, pictures missing) is logged. */
kin_dataset *kin_dataset_open_as(kin_ctx *cx, const char *path, const kin_dataset_cfg *cfg);
/* twins: the true captions of swaps are captions as well, so that they are trained on with their false twins
 * as negatives (they need not be true of one picture only: an evaluation leaves them out). */
kin_dataset *kin_dataset_open(kin_ctx *cx, const char *path, const char *split, bool twins);
/* Pictures alone, captions where there are any: also one picture's file. */
kin_dataset *kin_pictures_open(kin_ctx *cx, const char *path);
void kin_dataset_close(kin_dataset *d);

/* The bytes of a picture: inside the mapped archive, or read into *own (free it), which is NULL else. */
kin_status kin_dataset_bytes(kin_ctx *cx, const kin_dataset *d, int64_t item, const uint8_t **bytes,
                             int64_t *size, uint8_t **own);

/* Takes items out, with their captions and swaps: those whose pictures turned out to be broken. Each is
 * passed over as KIN_LACK_PICTURE; drop [items]. */
kin_status kin_dataset_drop(kin_ctx *cx, kin_dataset *d, const bool *drop);

/* ---- for the readers of forms ---- */

/* Strings are copied. A new swap belongs to the last item. */
const char *kin_dataset_text(kin_ctx *cx, kin_dataset *d, const char *text, int64_t size);
kin_status kin_dataset_item(kin_ctx *cx, kin_dataset *d, const char *name, int32_t source, int64_t at,
                            int64_t size);
/* White space around it is cut; a blank one is no caption. Of the last item, or of any: then
 * kin_dataset_group must follow after the last caption. */
kin_status kin_dataset_caption(kin_ctx *cx, kin_dataset *d, const char *text, int64_t size);
kin_status kin_dataset_caption_of(kin_ctx *cx, kin_dataset *d, int64_t item, const char *text, int64_t size);
/* Puts captions in the order of their items, and passes over the items that have none (unless bare). */
kin_status kin_dataset_group(kin_ctx *cx, kin_dataset *d);
kin_status kin_dataset_swap(kin_ctx *cx, kin_dataset *d, const char *kind, const char *caption,
                            const char *swapped);
kin_status kin_dataset_skip(kin_ctx *cx, kin_dataset *d, const char *name, kin_lack lack);
void kin_dataset_form(kin_ctx *cx, kin_dataset *d, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Maps an archive; its index, or -1 on failure. */
int32_t kin_dataset_source(kin_ctx *cx, kin_dataset *d, const char *path);
/* Does a file of this name hold a picture that kin reads? One that it does not (GIF, HEIC, TIFF)? (By
 * extension: contents are looked at when decoded.) */
bool kin_picture_name(const char *name);
bool kin_foreign_picture_name(const char *name);
/* Does s end with this, in capitals or not? */
bool kin_ends(const char *s, const char *with);
/* The folder of a path, "." if it names none; owned by the caller. */
char *kin_folder_of(kin_ctx *cx, const char *path);

/* Splits of a form: is `have` part of `want`? NULL have: always. */
bool kin_split_wanted(const kin_dataset_cfg *cfg, const char *have);
/* Adds a split to a list "train, val" unless it is there; what does not fit is cut. */
void kin_split_note(char *list, size_t room, const char *split);

kin_status kin_webdataset_read(kin_ctx *cx, kin_dataset *d, const char *path);
kin_status kin_folder_read(kin_ctx *cx, kin_dataset *d, const char *path);
/* The rest from memory, for which `path` names the file and says where pictures are looked for. */
kin_status kin_annotations_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text,
                                const kin_dataset_cfg *cfg);
kin_status kin_table_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text,
                          const kin_dataset_cfg *cfg);
kin_status kin_benchmark_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text);

#endif
