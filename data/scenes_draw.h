/* scenes_draw: the pictures of data/scenes.h. Anti-aliased by 4 x 4 samples a pixel; basic arithmetic in f64
 * only, so that the bytes are the same on every machine. */
#ifndef KIN_SCENES_DRAW_H
#define KIN_SCENES_DRAW_H
#include "data/scenes.h"

/* Extent of a shape in units of its half extent r around the centre: x0 y0 x1 y1 within [-1, 1]. */
extern const double kin_scene_extent[KIN_SCENE_SHAPES][4];

/* Draws a scene into pixels [size, size, 3] RGB. Shades and textures are drawn from scene->key. */
void kin_scene_draw(const kin_scene *scene, uint8_t *pixels);

#endif
