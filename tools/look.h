/* look: a sheet of where a model looks: the picture, and for each word the picture lit where it looks. */
#ifndef KIN_LOOK_H
#define KIN_LOOK_H
#include "data/image.h"
#include "train/explain.h"

/* picture: as the model sees it. A patch glows by its weight beside the map's largest, which is framed and
 * said in %. Writes a PNG. */
kin_status look_write(kin_ctx *cx, const char *path, const kin_image *picture, const kin_explained *e);

#endif
