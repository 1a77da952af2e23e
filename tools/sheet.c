#include "tools/sheet.h"

#include <stdio.h>
#include <stdlib.h>

#include "data/draw.h"
#include "data/preprocess.h"
#include "train/eval_retrieval.h"

enum {
    CELL = 96, /* a picture's side */
    GAP = 10,
    FRAME = 3,
    FOUND = 5,  /* answers a query */
    TEXT = 300, /* width of a caption's column */
    LINE = 8,   /* height of a line of text */
    TITLE = 34,
    WIDTH = GAP + TEXT + FOUND * (CELL + GAP) + GAP,
    ROW = CELL + GAP
};
static const uint32_t paper = 0xffffff, ink = 0x222222, right = 0x1a9641, wrong = 0xd0d0d0, pale = 0x777777;

typedef struct sheet {
    const kin_dataset *d;
    const float *image, *text;
    int64_t width;
    float *score; /* room for items or captions */
    kin_image canvas;
} sheet;

kin_status sheet_thumbnail(kin_ctx *cx, const kin_dataset *d, int64_t item, int64_t side, kin_image *out)
{
    const uint8_t *bytes;
    uint8_t *own;
    int64_t size;
    kin_image full = {0};
    kin_preprocess p = kin_preprocess_default();
    p.height = p.width = side;
    *out = (kin_image){.width = side, .height = side};
    KIN_TRY(kin_dataset_bytes(cx, d, item, &bytes, &size, &own));
    if (kin_image_decode(cx, d->item[item].name, bytes, size, KIN_MAX_IMAGE_PIXELS, &full) == KIN_OK)
        out->pixels = kin_alloc(cx, side * side, 3);
    if (out->pixels) kin_preprocess_image(cx, &p, &full, out->pixels);
    free(own);
    kin_image_free(&full);
    return cx->status;
}

static kin_status draw_picture(kin_ctx *cx, sheet *s, int64_t item, int64_t x, int64_t y, uint32_t frame)
{
    kin_image small;
    if (sheet_thumbnail(cx, s->d, item, CELL, &small) == KIN_OK) {
        kin_draw_image(&s->canvas, x, y, &small);
        kin_draw_frame(&s->canvas, x - FRAME, y - FRAME, CELL + 2 * FRAME, CELL + 2 * FRAME, FRAME, frame);
    }
    kin_image_free(&small);
    return cx->status;
}

static void score(sheet *s, const float *query, const float *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < s->width; k++) sum += (double)query[k] * (double)rows[i * s->width + k];
        s->score[i] = (float)sum;
    }
}

/* A caption and the pictures it found. */
static kin_status text_row(kin_ctx *cx, sheet *s, int64_t caption, int64_t y)
{
    int64_t best[FOUND];
    score(s, s->text + caption * s->width, s->image, s->d->items);
    const int64_t n = kin_topk(s->score, s->d->items, FOUND, best, NULL);
    kin_draw_text(&s->canvas, GAP, y, TEXT - GAP, CELL / LINE, 1, ink, s->d->caption[caption]);
    for (int64_t i = 0; i < n; i++)
        KIN_TRY(draw_picture(cx, s, best[i], GAP + TEXT + i * (CELL + GAP), y,
                             best[i] == s->d->item_of[caption] ? right : wrong));
    return KIN_OK;
}

/* A picture and the captions it found. */
static kin_status image_row(kin_ctx *cx, sheet *s, int64_t item, int64_t y)
{
    int64_t best[FOUND];
    score(s, s->image + item * s->width, s->text, s->d->captions);
    const int64_t n = kin_topk(s->score, s->d->captions, FOUND, best, NULL);
    KIN_TRY(draw_picture(cx, s, item, GAP + FRAME, y, pale));
    const int64_t x = GAP + CELL + 2 * GAP;
    for (int64_t i = 0; i < n; i++) {
        const bool hit = s->d->item_of[best[i]] == item;
        kin_draw_fill(&s->canvas, x, y + i * (CELL / FOUND), 6, CELL / FOUND - 4, hit ? right : wrong);
        kin_draw_text(&s->canvas, x + 12, y + i * (CELL / FOUND), WIDTH - x - 2 * GAP - 12, 2, 1,
                      hit ? ink : pale, s->d->caption[best[i]]);
    }
    return KIN_OK;
}

static kin_status draw(kin_ctx *cx, sheet *s, int64_t queries)
{
    const int64_t n = kin_min64(queries, s->d->items);
    KIN_TRY(kin_canvas(cx, WIDTH, 2 * TITLE + 2 * n * ROW + GAP, paper, &s->canvas));
    char title[120];
    snprintf(title, sizeof title, "text -> image: the caption's own picture is framed green (of %lld)",
             (long long)s->d->items);
    kin_draw_text(&s->canvas, GAP, 12, WIDTH - GAP, 1, 1, ink, title);
    int64_t y = TITLE;
    for (int64_t i = 0; i < n; i++, y += ROW)
        KIN_TRY(text_row(cx, s, s->d->item[i * s->d->items / n].caption, y));
    snprintf(title, sizeof title, "image -> text: the picture's own captions are marked green (of %lld)",
             (long long)s->d->captions);
    kin_draw_text(&s->canvas, GAP, y + 12, WIDTH - GAP, 1, 1, ink, title);
    y += TITLE;
    for (int64_t i = 0; i < n; i++, y += ROW) KIN_TRY(image_row(cx, s, i * s->d->items / n, y));
    return KIN_OK;
}

kin_status sheet_write(kin_ctx *cx, const char *path, const kin_dataset *d, const float *image,
                       const float *text, int64_t width, int64_t queries)
{
    sheet s = {.d = d, .image = image, .text = text, .width = width};
    s.score = kin_alloc(cx, kin_max64(d->items, d->captions), sizeof *s.score);
    if (s.score && draw(cx, &s, queries) == KIN_OK) kin_image_save_png(cx, path, &s.canvas);
    kin_image_free(&s.canvas);
    free(s.score);
    return cx->status;
}
