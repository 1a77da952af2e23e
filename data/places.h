/* places: where the pictures are that a table or a JSON file names. They lie in tars beside the file (known
 * by the name of a member), or in folders near it: in the one that the file says, beside it, in a folder
 * beside it (two deep: images/, val2014/, Flicker8k_Dataset/), the same beside its parent when it lies in a
 * folder called annotations, or, a path as it is, from the current folder. When one is missing: also in
 * .tar.gz and .tgz beside the file (unpacked into memory), and, when there is none at all, in tars beside its
 * parent. */
#ifndef KIN_PLACES_H
#define KIN_PLACES_H
#include "data/dataset.h"

typedef struct kin_places kin_places;

/* file: the table's or JSON's path. here_first: names are paths from the current folder before anything else
 * (open_clip's CSV). Close it in any case; NULL is allowed. */
kin_places *kin_places_open(kin_ctx *cx, kin_dataset *d, const char *file, bool here_first);
void kin_places_close(kin_places *p);

/* The item of this picture: the one that a name stood for before, or a new one; -1 when it is not there (the
 * first time it is passed over as such) or on failure. folder: where the file says it is; NULL: it does not
 * say. */
int64_t kin_places_item(kin_ctx *cx, kin_places *p, const char *folder, const char *name);

#endif
