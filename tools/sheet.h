/* sheet: a contact sheet of retrieval: queries and what was found, the right answers framed. */
#ifndef KIN_SHEET_H
#define KIN_SHEET_H
#include "data/dataset.h"
#include "data/image.h"

/* Captions with the pictures they found, then pictures with the captions they found: `queries` of each,
 * evenly spaced over the set. image [items, E], text [captions, E]. Writes a PNG. */
kin_status sheet_write(kin_ctx *cx, const char *path, const kin_dataset *d, const float *image,
                       const float *text, int64_t width, int64_t queries);

/* The picture of an item as kin sees it, side x side; to be freed with kin_image_free, also after a failure.
 */
kin_status sheet_thumbnail(kin_ctx *cx, const kin_dataset *d, int64_t item, int64_t side, kin_image *out);

#endif
