#include "tools/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/corrupt.h"
#include "data/draw.h"

enum {
    COLUMNS = 4,
    PANEL = 300, /* width of a panel with its margins */
    TALL = 260,
    LEFT = 52,
    RIGHT = 14,
    TOP = 34,
    BOTTOM = 44,
    HEAD = 64,
    ENTRY = 26, /* a line of the legend */
    MODELS = 8
};
static const uint32_t paper = 0xffffff, ink = 0x222222, pale = 0x777777, grid = 0xe4e4e4;
static const uint32_t colors[MODELS] = {0x1f6fb4, 0xd95f02, 0x1a9641, 0x8e44ad,
                                        0xc0392b, 0x0097a7, 0x7f6000, 0x555555};

typedef struct panel {
    kin_image *on;
    double x, y, width, height; /* of the inside */
} panel;

static double across(const panel *p, double strength)
{
    return p->x + strength * p->width;
}

static double up(const panel *p, double value)
{
    return p->y + (1 - fmin(1, fmax(0, value))) * p->height;
}

static void dot(kin_image *on, double x, double y, int64_t size, uint32_t color)
{
    kin_draw_fill(on, (int64_t)(x + 0.5) - size / 2, (int64_t)(y + 0.5) - size / 2, size, size, color);
}

static void line(kin_image *on, double x0, double y0, double x1, double y1, int64_t thick, uint32_t color)
{
    const int64_t n = 1 + (int64_t)fmax(fabs(x1 - x0), fabs(y1 - y0));
    for (int64_t i = 0; i <= n; i++) {
        const double t = (double)i / (double)n;
        dot(on, x0 + t * (x1 - x0), y0 + t * (y1 - y0), thick, color);
    }
}

static double at(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

static void draw_axes(const panel *p, const char *name, double chance)
{
    char text[16];
    for (int k = 0; k <= 4; k++) {
        const int64_t y = (int64_t)up(p, k / 4.0), x = (int64_t)across(p, k / 4.0);
        kin_draw_fill(p->on, (int64_t)p->x, y, (int64_t)p->width, 1, grid);
        snprintf(text, sizeof text, "%3d", 25 * k);
        kin_draw_text(p->on, (int64_t)p->x - 26, y - 4, 60, 1, 1, pale, text);
        snprintf(text, sizeof text, "%g", k / 4.0);
        if (k % 2 == 0) kin_draw_text(p->on, x - 6, (int64_t)(p->y + p->height) + 8, 60, 1, 1, pale, text);
    }
    for (int64_t x = 0; chance >= 0 && x < (int64_t)p->width; x += 8)
        kin_draw_fill(p->on, (int64_t)p->x + x, (int64_t)up(p, chance), 4, 1, pale);
    kin_draw_fill(p->on, (int64_t)p->x, (int64_t)p->y, 1, (int64_t)p->height, pale);
    kin_draw_fill(p->on, (int64_t)p->x, (int64_t)(p->y + p->height), (int64_t)p->width, 1, pale);
    kin_draw_text(p->on, (int64_t)p->x, (int64_t)p->y - 22, (int64_t)p->width, 1, 2, ink, name);
}

static void draw_curve(const panel *p, const json_t *strengths, const json_t *curve, uint32_t color)
{
    const json_t *value = json_object_get(curve, "value"), *low = json_object_get(curve, "low"),
                 *high = json_object_get(curve, "high");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const double x = across(p, at(strengths, i)), y = up(p, at(value, i));
        if (i > 0) line(p->on, across(p, at(strengths, i - 1)), up(p, at(value, i - 1)), x, y, 2, color);
        line(p->on, x, up(p, at(low, i)), x, up(p, at(high, i)), 1, color);
        dot(p->on, x, y, 5, color);
    }
}

/* Kinds of noise in the order of the header, those that there are. */
static int kinds_of(const json_t *curves, const char *kind[KIN_NOISES])
{
    const json_t *first = json_object_get(json_array_get(json_object_get(curves, "models"), 0), "curves");
    int n = 0;
    for (int k = 0; k < KIN_NOISES; k++)
        if (json_object_get(first, kin_noise_names[k])) kind[n++] = kin_noise_names[k];
    return n;
}

static void draw_all(kin_image *on, const json_t *curves, const char *title, double chance)
{
    const char *kind[KIN_NOISES];
    const int n = kinds_of(curves, kind);
    const json_t *models = json_object_get(curves, "models"), *m;
    char text[200];
    size_t i;
    kin_draw_text(on, LEFT, 14, on->width - LEFT, 1, 2, ink, title);
    snprintf(text, sizeof text, "%s in %% (up), strength of the corruption (across); bars: 95 %% intervals%s",
             json_string_value(json_object_get(curves, "metric")), chance >= 0 ? "; dashes: chance" : "");
    kin_draw_text(on, LEFT, 38, on->width - LEFT, 1, 1, pale, text);
    for (int k = 0; k < n; k++) {
        const panel p = {on, k % COLUMNS * PANEL + LEFT, k / COLUMNS * TALL + HEAD + TOP,
                         PANEL - LEFT - RIGHT, TALL - TOP - BOTTOM};
        draw_axes(&p, kind[k], chance);
        json_array_foreach(models, i, m)
            draw_curve(&p, json_object_get(curves, "strengths"),
                       json_object_get(json_object_get(m, "curves"), kind[k]), colors[i % MODELS]);
    }
    json_array_foreach(models, i, m)
    {
        const int64_t y = HEAD + (n + COLUMNS - 1) / COLUMNS * TALL + (int64_t)i * ENTRY;
        kin_draw_fill(on, LEFT, y + 4, 28, 5, colors[i % MODELS]);
        kin_draw_text(on, LEFT + 40, y, on->width - LEFT - 40, 1, 2, ink,
                      json_string_value(json_object_get(m, "name")));
    }
}

kin_status plot_noise(kin_ctx *cx, const char *path, const json_t *curves, const char *title, double chance)
{
    const char *kind[KIN_NOISES];
    const int n = kinds_of(curves, kind), columns = n < COLUMNS ? n : COLUMNS;
    const int64_t models = (int64_t)json_array_size(json_object_get(curves, "models"));
    kin_image canvas;
    if (n == 0) return kin_fail(cx, KIN_ARG, "no curves to draw");
    KIN_TRY(kin_canvas(cx, kin_max64(2, columns) * PANEL + RIGHT,
                       HEAD + (n + COLUMNS - 1) / COLUMNS * TALL + models * ENTRY + 12, paper, &canvas));
    draw_all(&canvas, curves, title, chance);
    kin_image_save_png(cx, path, &canvas);
    kin_image_free(&canvas);
    return cx->status;
}
