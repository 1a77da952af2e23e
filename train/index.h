/* index: embeddings with the names of their rows: X.npy ([n, width] f32, any NumPy reads it) and beside it
 * X.npy.txt (a name a line). `kin embed` writes it, and `kin search` reads it instead of the pictures. */
#ifndef KIN_INDEX_H
#define KIN_INDEX_H
#include "data/npy.h"

typedef struct kin_index {
    int64_t n, width;
    float *rows;       /* [n, width] */
    const char **name; /* [n]; all point into text */
    kin_npy npy;
    char *text;
} kin_index;

bool kin_index_named(const char *path); /* ends in .npy */
/* KIN_FORMAT when the file is no such array, or has not as many names as rows. Free with kin_index_close,
 * also after a failure. */
kin_status kin_index_open(kin_ctx *cx, kin_index *x, const char *path);
void kin_index_close(kin_index *x);
/* Each file appears whole or not at all. Line ends in names become blanks. */
kin_status kin_index_save(kin_ctx *cx, const char *path, const float *rows, const char *const *name,
                          int64_t n, int64_t width);

#endif
