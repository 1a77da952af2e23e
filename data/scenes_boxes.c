#include "data/scenes_boxes.h"

#include <string.h>

/* How often things are in the pictures that people were shown: of 1000 boxes (or towers, items). Counted in
 * the development pictures of the corpus. */
static const int heights[KIN_BOX_BLOCKS + 1] = {0, 250, 250, 250, 250};
static const int numbers[KIN_BOX_ITEMS + 1] = {0, 143, 143, 143, 143, 143, 143, 142};
static const int shapes[KIN_BOX_SHAPES] = {270, 350, 380};

enum { TRIES = 60 };

static int below(kin_rng *r, int n)
{
    return (int)kin_rng_below(r, (uint32_t)n);
}

static int drawn(kin_rng *r, const int *of1000)
{
    int k = 0;
    for (int left = below(r, 1000); left >= of1000[k]; k++) left -= of1000[k];
    return k;
}

static void swap_items(kin_box_item *a, kin_box_item *b)
{
    const kin_box_item t = *a;
    *a = *b;
    *b = t;
}

/* At least a pixel from the others? */
static bool free_of(const kin_box_item *o, const kin_box_item *other, int n)
{
    for (int i = 0; i < n; i++) {
        const kin_box_item *p = &other[i];
        if (o->x <= p->x + p->side && p->x <= o->x + o->side && o->y <= p->y + p->side &&
            p->y <= o->y + o->side)
            return false;
    }
    return true;
}

/* Somewhere in the box; one in five at its right wall, one in five on its base. */
static void draw_place(kin_rng *r, kin_box_item *o)
{
    const int room = KIN_BOX_SIDE - o->side;
    o->x = below(r, 5) ? below(r, room + 1) : room;
    o->y = below(r, 5) ? below(r, room + 1) : room;
}

/* Places for the items of a box; false: they did not fit. */
static bool scatter(kin_rng *r, kin_box_item *item, int n)
{
    for (int i = 0; i < n; i++) {
        int trial = 0;
        do draw_place(r, &item[i]);
        while (!free_of(&item[i], item, i) && ++trial < TRIES);
        if (trial == TRIES) return false;
    }
    return true;
}

static void stack(kin_box_item *item, int n)
{
    for (int i = 0; i < n; i++) {
        item[i].shape = KIN_BOX_SQUARE;
        item[i].side = KIN_BOX_MEDIUM;
        item[i].x = (KIN_BOX_SIDE - KIN_BOX_MEDIUM) / 2;
        item[i].y = KIN_BOX_SIDE - KIN_BOX_MEDIUM - i * (KIN_BOX_MEDIUM + 1);
    }
}

static bool place_all(kin_rng *r, kin_boxes *s)
{
    bool fits = true;
    for (int b = 0; b < KIN_BOXES && fits; b++) {
        if (s->towers)
            stack(s->item[b], s->items[b]);
        else
            fits = scatter(r, s->item[b], s->items[b]);
    }
    return fits;
}

static bool fill(kin_rng *r, kin_boxes *s)
{
    for (int b = 0; b < KIN_BOXES; b++)
        for (int i = 0; i < s->items[b]; i++)
            s->item[b][i] = (kin_box_item){.color = below(r, KIN_BOX_COLORS),
                                           .shape = drawn(r, shapes),
                                           .side = KIN_BOX_SMALL * (1 + below(r, 3))};
    return place_all(r, s);
}

bool kin_boxes_any(kin_rng *r, bool towers, kin_boxes *out)
{
    memset(out, 0, sizeof *out);
    out->towers = towers;
    for (int b = 0; b < KIN_BOXES; b++) out->items[b] = drawn(r, towers ? heights : numbers);
    return fill(r, out);
}

bool kin_boxes_like(kin_rng *r, const kin_boxes *s, bool deal, kin_boxes *out)
{
    kin_box_item all[KIN_BOXES * KIN_BOX_ITEMS];
    int n = 0;
    *out = *s;
    if (!deal) return fill(r, out);
    for (int b = 0; b < KIN_BOXES; b++)
        for (int i = 0; i < s->items[b]; i++) all[n++] = s->item[b][i];
    for (int b = 0; b < KIN_BOXES; b++)
        for (int i = 0; i < s->items[b]; i++) {
            const int k = below(r, n--);
            out->item[b][i] = all[k];
            swap_items(&all[k], &all[n]);
        }
    return place_all(r, out);
}

/* ---- drawing ---- */

static const uint8_t rgb[KIN_BOX_COLORS][3] = {{255, 255, 0}, {0, 0, 0}, {0, 153, 255}};
static const uint8_t box_rgb[3] = {211, 211, 211}, ground_rgb[3] = {128, 128, 128};
enum { SAMPLES = 4, FINE = 2 * SAMPLES }; /* of a pixel's side; a sample is in the middle of its part */

/* Is (x, y), from the item's left and top, inside of it? Whole numbers: the same everywhere. */
static bool inside(int shape, int64_t x, int64_t y, int64_t side)
{
    if (x < 0 || y < 0 || x > side || y > side) return false;
    const int64_t dx = 2 * x - side, dy = 2 * y - side;
    switch (shape) {
    case KIN_BOX_SQUARE: return true;
    case KIN_BOX_CIRCLE: return dx * dx + dy * dy <= side * side;
    default: return (dx < 0 ? -dx : dx) <= y;
    }
}

/* Paints a shape over pixels of a picture whose boxes are `to` pixels wide. x from the picture's left. */
static void paint(const kin_box_item *o, const uint8_t color[3], int to, uint8_t *pixels)
{
    const int64_t unit =
        (int64_t)FINE * to; /* of a measure, in steps of 1 / (FINE * KIN_BOX_SIDE) of a pixel */
    const int left = o->x * to / KIN_BOX_SIDE,
              right = ((o->x + o->side) * to + KIN_BOX_SIDE - 1) / KIN_BOX_SIDE;
    const int top = o->y * to / KIN_BOX_SIDE,
              bottom = ((o->y + o->side) * to + KIN_BOX_SIDE - 1) / KIN_BOX_SIDE;
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++) {
            /* Most pixels are the insides of squares: no need to sample them. */
            const bool within = o->shape == KIN_BOX_SQUARE && x * KIN_BOX_SIDE >= o->x * to &&
                                (x + 1) * KIN_BOX_SIDE <= (o->x + o->side) * to &&
                                y * KIN_BOX_SIDE >= o->y * to &&
                                (y + 1) * KIN_BOX_SIDE <= (o->y + o->side) * to;
            int hits = within ? SAMPLES * SAMPLES : 0;
            for (int k = 0; k < SAMPLES * SAMPLES && !within; k++) {
                const int64_t fx = FINE * x + 2 * (k % SAMPLES) + 1, fy = FINE * y + 2 * (k / SAMPLES) + 1;
                hits += inside(o->shape, fx * KIN_BOX_SIDE - o->x * unit, fy * KIN_BOX_SIDE - o->y * unit,
                               o->side * unit);
            }
            uint8_t *p = pixels + 3 * ((int64_t)y * 4 * to + x);
            const int all = SAMPLES * SAMPLES;
            for (int c = 0; c < 3; c++)
                p[c] = (uint8_t)((p[c] * (all - hits) + color[c] * hits + all / 2) / all);
        }
    }
}

void kin_boxes_draw(const kin_boxes *s, int side, uint8_t *pixels)
{
    for (int64_t i = 0; i < (int64_t)4 * side * side; i++) memcpy(pixels + 3 * i, ground_rgb, 3);
    for (int b = 0; b < KIN_BOXES; b++) {
        const kin_box_item box = {.shape = KIN_BOX_SQUARE, .side = KIN_BOX_SIDE, .x = b * KIN_BOX_STEP};
        paint(&box, box_rgb, side, pixels);
        for (int i = 0; i < s->items[b]; i++) {
            kin_box_item o = s->item[b][i];
            o.x += b * KIN_BOX_STEP;
            paint(&o, rgb[o.color], side, pixels);
        }
    }
}
