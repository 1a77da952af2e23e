#include "tools/look.h"

#include <stdio.h>

#include "data/draw.h"

enum { SIDE = 128, GAP = 12, TEXT = 22, ACROSS = 6, TITLE = 26, FRAME = 2 };
static const uint32_t paper = 0xffffff, ink = 0x222222, pale = 0x777777, most = 0xd7191c;
static const float glow[3] = {255.0f, 196.0f, 32.0f};

/* Cells are SIDE wide, and as high as the picture's shape asks. */
static int64_t cell_height(const kin_image *picture)
{
    return kin_max64(1, kin_min64(4 * SIDE, SIDE * picture->height / picture->width));
}

/* Pixel (x, y) of a cell is one of the picture's, the nearest: darker, and glowing by its patch's weight,
 * which a black picture shows as well. */
static void cell(kin_image *on, int64_t x0, int64_t y0, const kin_image *picture, const float *map,
                 int64_t rows, int64_t columns, int64_t best)
{
    const float top = map ? map[best] : 0.0f;
    const int64_t tall = cell_height(picture);
    for (int64_t y = 0; y < tall; y++)
        for (int64_t x = 0; x < SIDE; x++) {
            const uint8_t *from =
                picture->pixels +
                (y * picture->height / tall * picture->width + x * picture->width / SIDE) * 3;
            uint8_t *to = on->pixels + ((y0 + y) * on->width + x0 + x) * 3;
            const float w =
                top > 0.0f ? 0.6f * map[y * rows / tall * columns + x * columns / SIDE] / top : 0.0f;
            for (int c = 0; c < 3; c++)
                to[c] = map ? (uint8_t)(0.5f + w * glow[c] + (1.0f - w) * 0.6f * (float)from[c]) : from[c];
        }
    if (!map) return;
    const int64_t left = best % columns * SIDE / columns, above = best / columns * tall / rows;
    kin_draw_frame(on, x0 + left, y0 + above, (best % columns + 1) * SIDE / columns - left,
                   (best / columns + 1) * tall / rows - above, FRAME, most);
}

kin_status look_write(kin_ctx *cx, const char *path, const kin_image *picture, const kin_explained *e)
{
    const int64_t cells = e->looks + 1, across = kin_min64(ACROSS, cells),
                  down = (cells + across - 1) / across;
    const int64_t tall = cell_height(picture), step = tall + TEXT + GAP;
    const int64_t width = kin_max64(3 * (SIDE + GAP), across * (SIDE + GAP)) + GAP;
    kin_image canvas;
    char text[160];
    KIN_TRY(kin_canvas(cx, width, TITLE + down * step + GAP, paper, &canvas));
    snprintf(text, sizeof text, "%s, mean of its heads; %%: the framed patch", e->layer);
    kin_draw_text(&canvas, GAP, GAP, width - 2 * GAP, 1, 1, pale, text);
    for (int64_t i = 0; i < cells; i++) {
        const int64_t x = GAP + i % across * (SIDE + GAP), y = TITLE + GAP + i / across * step;
        const float *map = i ? e->map + (i - 1) * e->rows * e->columns : NULL;
        int64_t best = 0;
        for (int64_t p = 1; map && p < e->rows * e->columns; p++)
            if (map[p] > map[best]) best = p;
        cell(&canvas, x, y, picture, map, e->rows, e->columns, best);
        if (map)
            snprintf(text, sizeof text, "%.100s %.0f%%", e->word[i - 1], 100.0 * (double)map[best]);
        else if (e->answered)
            snprintf(text, sizeof text, "matches: %.1f %%", 100.0 * e->match);
        else
            snprintf(text, sizeof text, "the picture");
        kin_draw_text(&canvas, x, y + tall + 5, SIDE, 2, 1, ink, text);
    }
    kin_image_save_png(cx, path, &canvas);
    kin_image_free(&canvas);
    return cx->status;
}
