/* cache: training pictures decoded and made small once, then read as bytes. In memory, or in a file of a
 * folder (mapped; a later run over the same data and options finds it). What is kept of a picture: without
 * random crops   the H x W pixels that kin_preprocess_image gives: training sees the same bits with random
 * crops      the picture with its shortest side made `side`; one that is smaller, as it is (the same bits
 * again). By default side is S / sqrt(crop_min): the smallest crop still has as many pixels as the model
 * sees, so that crops are never enlarged for the cache. A crop of a picture made small differs a little from
 * the picture's crop made small.
 *
 * The file DIR/kin-KEY.pictures. KEY is a digest of everything that its bytes depend on: names, sizes and
 * times of change of the data's files (as make and git look at them), the places of pictures in archives,
 * preprocessing and side. Other data or options have another name; what is cut short or has a wrong header is
 * made again. It is written as a whole: room is taken before the first picture (a full disk is an error at
 * the start, not a crash in the middle), and it gets its name when all of it is on the disk. Of two runs that
 * begin at once one makes it and the other waits. Layout, in the byte order of the machine: header   64
 * bytes: "kinpics1", KEY, items, bytes of the file, digest of the index, zeros index    an entry an item:
 * where its pixels begin, their width and height, the picture's own width and height pixels   [height, width,
 * 3] each; a picture that could not be decoded has none */
#ifndef KIN_CACHE_H
#define KIN_CACHE_H
#include "data/augment.h"
#include "data/dataset.h"

typedef struct kin_cache_cfg {
    const kin_dataset *data; /* borrowed until kin_cache_close */
    kin_preprocess preprocess;
    kin_augment augment;
    const char *where; /* "memory" or a folder, which is made */
    int64_t side;      /* 0: by crop_min */
    int64_t threads;   /* that decode; 0: one per core */
    int64_t memory;    /* bytes of memory that are free, 0: not known; more are not taken */
    bool look;         /* find out what it costs, use what is there, make nothing */
} kin_cache_cfg;

/* Makes it or finds it; what it costs is logged before the first picture is decoded. KIN_IO or KIN_NOMEM
 * where there is not room enough. */
typedef struct kin_cache kin_cache;
kin_cache *kin_cache_open(kin_ctx *cx, const kin_cache_cfg *cfg);
void kin_cache_close(kin_cache *c); /* NULL is allowed */

/* The kept pixels of an item (borrowed: not to be freed) and the picture's own width and height; false when
 * none are kept: it is then decoded. */
bool kin_cache_get(const kin_cache *c, int64_t item, kin_image *out, int64_t *width, int64_t *height);

typedef struct kin_cache_cost {
    int64_t bytes, side; /* side 0: the S x S that the model sees */
    bool memory, ready;  /* not in a file; made or found */
    const void *mapped;  /* NULL: not ready */
    const char *path;    /* of the file; NULL: memory */
} kin_cache_cost;
kin_cache_cost kin_cache_costs(const kin_cache *c);

#endif
