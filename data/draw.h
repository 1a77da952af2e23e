/* draw: the little drawing that reports need: boxes, text in a built-in 5x7 font, pictures into pictures. All
 * of it is clipped to the canvas. Colors are 0xRRGGBB. */
#ifndef KIN_DRAW_H
#define KIN_DRAW_H
#include "data/image.h"

kin_status kin_canvas(kin_ctx *cx, int64_t width, int64_t height, uint32_t color, kin_image *out);
void kin_draw_fill(kin_image *on, int64_t x, int64_t y, int64_t width, int64_t height, uint32_t color);
void kin_draw_frame(kin_image *on, int64_t x, int64_t y, int64_t width, int64_t height, int64_t thick,
                    uint32_t color);
void kin_draw_image(kin_image *on, int64_t x, int64_t y, const kin_image *image);
/* Printable ASCII; other characters are a small box each (a UTF-8 sequence is one). A character takes 6 *
 * scale by 8 * scale pixels. Wraps at blanks to `width` pixels, at most `lines` lines (the last ends in "..."
 * when text is left). Returns the height used. */
int64_t kin_draw_text(kin_image *on, int64_t x, int64_t y, int64_t width, int64_t lines, int64_t scale,
                      uint32_t color, const char *text);

#endif
