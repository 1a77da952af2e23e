#include "data/scenes_draw.h"

#include "core/rng.h"

/* Order of kin_scene_shapes: circle square triangle star ring cross diamond heart. */
enum { CIRCLE, SQUARE, TRIANGLE, STAR, RING, CROSS, DIAMOND, HEART };

#define SQUARE_HALF 0.88
#define TRIANGLE_TOP -0.9
#define TRIANGLE_BOTTOM 0.75
#define RING_INNER 0.56
#define CROSS_HALF 0.34
#define DIAMOND_HALF 0.72
/* A heart is a square on its corner, half diagonal D, and two half circles on its upper sides. */
#define HEART_D 0.83
#define HEART_R2 (HEART_D * HEART_D / 2)
#define HEART_Y 0.086
#define SIN36 0.58778525229247314
#define COS36 0.80901699437494745
#define SIN72 0.95105651629515353
#define COS72 0.30901699437494745
/* The inner corners of the star: wider than a pentagram's 0.382, which is thin at twelve pixels. */
#define STAR_INNER 0.46

const double kin_scene_extent[KIN_SCENE_SHAPES][4] = {
    [CIRCLE] = {-1, -1, 1, 1},
    [SQUARE] = {-SQUARE_HALF, -SQUARE_HALF, SQUARE_HALF, SQUARE_HALF},
    [TRIANGLE] = {-1, TRIANGLE_TOP, 1, TRIANGLE_BOTTOM},
    [STAR] = {-SIN72, -1, SIN72, COS36},
    [RING] = {-1, -1, 1, 1},
    [CROSS] = {-1, -1, 1, 1},
    [DIAMOND] = {-DIAMOND_HALF, -1, DIAMOND_HALF, 1},
    [HEART] = {-1.002, -0.917, 1.002, 0.917},
};

static const double rgb[KIN_SCENE_COLORS][3] = {
    {214, 32, 36},   /* red */
    {34, 158, 58},   /* green */
    {32, 72, 222},   /* blue */
    {250, 222, 40},  /* yellow */
    {250, 130, 16},  /* orange */
    {142, 50, 196},  /* purple */
    {255, 146, 196}, /* pink */
    {54, 214, 226},  /* cyan */
};
static const double tones[KIN_SCENE_TONES] = {38, 124, 222};

static double square(double x)
{
    return x * x;
}

/* (u, v): units of the half extent around the centre, v down. */
static bool inside_star(double u, double v)
{
    /* Half a star, from the top round by the right to the bottom; the other half is its mirror image. */
    static const double corner[6][2] = {
        {0, -1},         {STAR_INNER * SIN36, -STAR_INNER * COS36},
        {SIN72, -COS72}, {STAR_INNER * SIN72, STAR_INNER * COS72},
        {SIN36, COS36},  {0, STAR_INNER},
    };
    const double x = u < 0 ? -u : u;
    bool in = false;
    for (int i = 0; i < 5; i++) { /* a ray to the right of (x, v) against each edge */
        const double *a = corner[i], *b = corner[i + 1];
        if ((a[1] > v) != (b[1] > v) && x < a[0] + (v - a[1]) * (b[0] - a[0]) / (b[1] - a[1])) in = !in;
    }
    return in;
}

static bool inside(int shape, double u, double v)
{
    const double x = u < 0 ? -u : u, y = v < 0 ? -v : v, r2 = u * u + v * v;
    switch (shape) {
    case CIRCLE: return r2 <= 1;
    case SQUARE: return x <= SQUARE_HALF && y <= SQUARE_HALF;
    case TRIANGLE: return v <= TRIANGLE_BOTTOM && x * (TRIANGLE_BOTTOM - TRIANGLE_TOP) <= v - TRIANGLE_TOP;
    case STAR: return inside_star(u, v);
    case RING: return r2 <= 1 && r2 >= RING_INNER * RING_INNER;
    case CROSS: return (x <= CROSS_HALF && y <= 1) || (y <= CROSS_HALF && x <= 1);
    case DIAMOND: return x + y * DIAMOND_HALF <= DIAMOND_HALF;
    default: /* HEART */
        return x + (v > HEART_Y ? v - HEART_Y : HEART_Y - v) <= HEART_D ||
               square(x - HEART_D / 2) + square(v - HEART_Y + HEART_D / 2) <= HEART_R2;
    }
}

static double unit(kin_rng *r)
{
    return (double)kin_rng_unit(r);
}

static uint8_t level(double x)
{
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x + 0.5);
}

static void background(const kin_scene *s, kin_rng *r, uint8_t *pixels)
{
    const int n = s->size;
    double base[3];
    const double tone = tones[s->tone] + 16 * (unit(r) - 0.5);
    for (int c = 0; c < 3; c++) base[c] = tone + 18 * (unit(r) - 0.5);
    const double depth = 14 + 8 * unit(r); /* of the pattern, up and down */
    const double period = 0.14 + 0.1 * unit(r), phase = unit(r);
    static const double ways[4][2] = {{1, 0}, {0, 1}, {0.7071, 0.7071}, {0.7071, -0.7071}};
    const double *way = ways[kin_rng_below(r, 4)];
    for (int y = 0; y < n; y++) {
        for (int x = 0; x < n; x++) {
            const double u = (x + 0.5) / n, v = (y + 0.5) / n;
            const double along = u * way[0] + v * way[1] + (way[1] < 0 ? 0.7071 : 0);
            double d = 0;
            switch (s->pattern) {
            case 0: break;                                                                      /* plain */
            case 1: d = 3 * depth * (along / (way[0] * way[1] != 0 ? 1.4142 : 1) - 0.5); break; /* shaded */
            case 2: d = ((int)(2 * (along / period + phase)) & 1) ? depth : -depth; break;      /* striped */
            case 3: d = (((int)(u / period + phase) + (int)(v / period + phase)) & 1) ? depth : -depth; break;
            default: d = 3.2 * depth * (unit(r) - 0.5); break; /* speckled */
            }
            for (int c = 0; c < 3; c++) pixels[3 * ((int64_t)y * n + x) + c] = level(base[c] + d);
        }
    }
}

static void object(const kin_scene *s, const kin_scene_object *o, kin_rng *r, uint8_t *pixels)
{
    const int n = s->size;
    double paint[3];
    const double light = 14 * (unit(r) - 0.5);
    for (int c = 0; c < 3; c++) paint[c] = rgb[o->color][c] + light + 14 * (unit(r) - 0.5);
    const double per_pixel = 1 / (n * o->r);
    for (int y = o->box[1]; y < o->box[3]; y++) {
        for (int x = o->box[0]; x < o->box[2]; x++) {
            int hits = 0;
            for (int k = 0; k < 16; k++) {
                const double px = x + ((k & 3) + 0.5) / 4, py = y + ((k >> 2) + 0.5) / 4;
                hits += inside(o->shape, (px - o->cx * n) * per_pixel, (py - o->cy * n) * per_pixel);
            }
            if (hits == 0) continue;
            uint8_t *p = pixels + 3 * ((int64_t)y * n + x);
            for (int c = 0; c < 3; c++) p[c] = level(p[c] + (paint[c] - p[c]) * hits / 16);
        }
    }
}

void kin_scene_draw(const kin_scene *scene, uint8_t *pixels)
{
    kin_rng r = kin_rng_new(kin_key(scene->key, 1, 0));
    background(scene, &r, pixels);
    for (int i = 0; i < scene->count; i++) object(scene, &scene->object[i], &r, pixels);
}
