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
 *   scenes       "scenes:TASK,count=..": examples of a task about made pictures (data/scenes_task.h)
 * Captions: the JSON's "captions" if there are, else the .txt, one caption (Karpathy: all sentences).
 *
 * Labelled sets (a table with a column of labels, or scenes) say something about a picture AND a text:
 * caption c with item_of[c] is an example, label[c] is what is right: true or false, a class, or several
 * classes with weights. Classes of a set are in this order: false before true (match, yes); numbers by size;
 * names by their bytes. */
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

typedef struct kin_label {
    const char *name;
    int32_t label;   /* its class; -1: one that the classes asked for do not have */
    int32_t targets; /* soft[target .. target + targets): 0 of them: the class alone, with weight 1 */
    int64_t target;  /* label is the class of the heaviest, the first of equal ones */
} kin_label;

typedef struct kin_target {
    const char *name;
    int32_t label;
    float weight; /* 0 < weight <= 1; of one example they need not sum to 1 */
} kin_target;

typedef struct kin_source {
    char *path;
    kin_map map;
    uint8_t *own; /* bytes in memory, which map then describes; NULL: a mapped file */
    bool made;    /* path is no file, but says all that the bytes depend on */
} kin_source;

/* Why a sample was passed over. */
typedef enum kin_lack {
    KIN_LACK_PICTURE,
    KIN_LACK_CAPTION,
    KIN_LACK_FORMAT,
    KIN_LACK_LABEL, /* none, or one that cannot be read */
    KIN_LACKS
} kin_lack;

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
    kin_label *label; /* [captions]; NULL: not a labelled set */
    kin_target *soft;
    int64_t softs;
    const char **class_name;
    int64_t classes; /* 0: not a labelled set */
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
    int64_t item_room, caption_room, item_of_room, swap_room, source_room, label_room, soft_room;
    bool ungrouped; /* captions were added to items other than the last */
} kin_dataset;

/* What is wanted of a table that has labels. */
typedef enum kin_labels {
    KIN_LABELS_PAIRS, /* pairs that are true: rows labelled false (no-match, no) are left out */
    KIN_LABELS_IF,    /* its labels, where there are any */
    KIN_LABELS_MUST   /* its labels; a set without is an error */
} kin_labels;

typedef struct kin_dataset_cfg {
    const char *split;                   /* where there are; "a,b": of these; NULL or "all": all */
    bool twins;                          /* see kin_dataset_open */
    bool bare;                           /* pictures without a caption too */
    bool no_restval;                     /* Karpathy's "restval" does not join "train" */
    const char *separator;               /* of a table: one character, "\t" or "tab"; NULL or "": found out */
    const char *image_key, *caption_key; /* its columns; NULL or "": found out */
    const char *label_key;
    kin_labels labels;
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

/* ---- labelled sets (data/labels.c) ---- */

/* Numbers the classes anew, as `names` lists them: those of a model, of the training set. Labels with other
 * names become -1; returns how many examples that were. names is copied; -1 on failure. */
int64_t kin_dataset_classes(kin_ctx *cx, kin_dataset *d, const char *const *names, int64_t classes);
/* out [classes]: what is right of example c, as weights. All 0: of none of the classes. */
void kin_dataset_target(const kin_dataset *d, int64_t c, float *out);
/* group [captions]: texts by number in the order of first appearance, equal ones have one number. Returns how
 * many there are; -1 on failure. */
int64_t kin_dataset_texts(kin_ctx *cx, const kin_dataset *d, int64_t *group);
/* seen [captions]: is this very text (case aside) said in `other` too? */
kin_status kin_dataset_seen(kin_ctx *cx, const kin_dataset *d, const kin_dataset *other, bool *seen);
/* Words for a label that is true (1), false (0) or neither (-1). */
int kin_label_truth(const char *name);

/* ---- for the readers of forms ---- */

/* The label of the newest caption; one more class that it may have, with its weight. White space around names
 * is cut. Every caption of a set has a label, or none has. */
kin_status kin_dataset_label(kin_ctx *cx, kin_dataset *d, const char *name, int64_t size);
kin_status kin_dataset_soft(kin_ctx *cx, kin_dataset *d, const char *name, int64_t size, double weight);
/* When all are read: numbers the classes (a reader may have done so by kin_dataset_classes). pairs: leaves
 * out what is false, and forgets the labels. */
kin_status kin_dataset_labelled(kin_ctx *cx, kin_dataset *d, bool pairs);
/* Room for one more element in an array of `count`; `room` is how many it has. NULL on failure. */
void *kin_roomy(kin_ctx *cx, void *array, int64_t count, int64_t *room, size_t size);

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
/* Maps an archive; its index, or -1 on failure. Packed by gzip: unpacked into memory, at most 1 GiB. */
int32_t kin_dataset_source(kin_ctx *cx, kin_dataset *d, const char *path);
/* The same of bytes (malloc'ed) that were made: taken over in any case. `of` says all that they depend on. */
int32_t kin_dataset_made(kin_ctx *cx, kin_dataset *d, const char *of, uint8_t *bytes, int64_t size);
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
kin_status kin_scenes_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_dataset_cfg *cfg);
kin_status kin_benchmark_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text);

#endif
