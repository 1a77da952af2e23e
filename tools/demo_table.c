/* The demo's table: for people on stdout and as Markdown and HTML, for programs as JSON; and the noise
 * curves. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "tools/base64.h"
#include "tools/demo.h"
#include "tools/plot.h"
#include "tools/report_html.h"

enum { MOST_ROWS = 32, COLUMNS = 8, CELL = 40, LIMIT = 1 << 24 };
static const char trunk[] = "trunk"; /* the first stage that has all of a technique */

/* ---- numbers ---- */

/* Of seeds: the mean, and their range; of one: its own interval. */
static json_t *summary(const json_t *list, const char *metric)
{
    double sum = 0, low = INFINITY, high = -INFINITY;
    const size_t n = json_array_size(list);
    const json_t *cell, *chance = NULL;
    json_t *each = json_array();
    size_t i;
    json_array_foreach(list, i, cell)
    {
        const json_t *m = json_object_get(json_object_get(cell, "metrics"), metric);
        const double value = json_number_value(json_object_get(m, "value"));
        if (!m) continue;
        chance = json_object_get(m, "chance");
        sum += value;
        low = fmin(low, n > 1 ? value : json_number_value(json_object_get(m, "low")));
        high = fmax(high, n > 1 ? value : json_number_value(json_object_get(m, "high")));
        json_array_append(each, (json_t *)m);
    }
    json_t *out = NULL;
    if (json_array_size(each) > 0)
        out = json_pack("{s:f, s:f, s:f, s:s, s:O, s:O*}", "value", sum / (double)json_array_size(each),
                        "low", low, "high", high, "interval", n > 1 ? "range of the seeds" : "95 %", "seeds",
                        each, "chance", chance);
    json_decref(each);
    return out;
}

static double mean(const json_t *list, const char *key)
{
    double sum = 0;
    const json_t *cell;
    size_t i;
    json_array_foreach(list, i, cell) sum += json_number_value(json_object_get(cell, key));
    return sum / (double)kin_max64(1, (int64_t)json_array_size(list));
}

static json_t *row_summary(const demo_row *row, const json_t *stages)
{
    json_t *measures = json_object(), *out;
    double seconds = 0;
    const json_t *whole = json_object_get(stages, trunk);
    for (const demo_stage *s = demo_stages; s->name; s++)
        seconds += mean(json_object_get(stages, s->name), "seconds");
    for (const demo_measure *m = demo_measures; m->name; m++) {
        json_t *v = summary(json_object_get(stages, m->stage), m->name);
        if (v && m->chance >= 0) json_object_set_new(v, "chance", json_real(m->chance));
        if (v) json_object_set_new(measures, m->name, v);
    }
    out = json_pack("{s:s, s:b, s:s, s:o, s:f, s:f, s:f, s:f}", "name", row->name, "control", row->control,
                    "what", row->says, "measures", measures, "seconds", seconds, "parameters",
                    mean(whole, "parameters"), "flops", mean(whole, "flops"), "ms", mean(whole, "ms"));
    return out;
}

/* The curves of all rows that have some, of the first seed. */
static json_t *curves_of(const json_t *cells)
{
    json_t *all = NULL;
    for (const demo_row *r = demo_rows; r->name; r++) {
        const json_t *list = json_object_get(json_object_get(cells, r->name), trunk);
        json_t *noise = json_deep_copy(json_object_get(json_array_get(list, 0), "noise"));
        json_t *model = json_array_get(json_object_get(noise, "models"), 0);
        if (!model) continue;
        json_object_set_new(model, "name", json_string(r->name));
        if (all)
            json_array_append(json_object_get(all, "models"), model);
        else
            all = json_incref(noise);
        json_decref(noise);
    }
    return all;
}

/* ---- tables ---- */

typedef struct grid {
    const char *name;
    int rows, columns;
    const char *row[MOST_ROWS], *head[COLUMNS];
    char cell[MOST_ROWS][COLUMNS][CELL];
} grid;

static void print_share(char text[CELL], const json_t *m)
{
    snprintf(text, CELL, "-");
    if (m)
        snprintf(text, CELL, "%.1f [%.1f, %.1f]", 100.0 * json_number_value(json_object_get(m, "value")),
                 100.0 * json_number_value(json_object_get(m, "low")),
                 100.0 * json_number_value(json_object_get(m, "high")));
}

static const char *row_name(const json_t *row)
{
    return json_string_value(json_object_get(row, "name"));
}

/* The measures of a part, under a line of what chance would give. */
static void fill(grid *g, const char *name, const json_t *rows, demo_part part)
{
    const json_t *row;
    size_t i;
    *g = (grid){.name = name, .rows = 1 + (int)json_array_size(rows), .row = {"chance"}};
    json_array_foreach(rows, i, row) g->row[1 + i] = row_name(row);
    for (const demo_measure *d = demo_measures; d->name; d++) {
        if (d->part != part) continue;
        const int column = g->columns++;
        g->head[column] = d->heading;
        snprintf(g->cell[0][column], CELL, "-");
        json_array_foreach(rows, i, row)
        {
            const json_t *m = json_object_get(json_object_get(row, "measures"), d->name);
            const json_t *chance = json_object_get(m, "chance");
            print_share(g->cell[1 + i][column], m);
            if (chance) snprintf(g->cell[0][column], CELL, "%.1f", 100.0 * json_number_value(chance));
        }
    }
}

static void fill_costs(grid *g, const char *name, const json_t *rows)
{
    const json_t *row;
    size_t i;
    *g = (grid){
        .name = name, .columns = 4, .head = {"training, s", "parameters", "MFLOP a query", "ms a query"}};
    json_array_foreach(rows, i, row)
    {
        g->row[g->rows] = row_name(row);
        snprintf(g->cell[g->rows][0], CELL, "%.0f", json_number_value(json_object_get(row, "seconds")));
        snprintf(g->cell[g->rows][1], CELL, "%.0f", json_number_value(json_object_get(row, "parameters")));
        snprintf(g->cell[g->rows][2], CELL, "%.2f", json_number_value(json_object_get(row, "flops")) / 1e6);
        snprintf(g->cell[g->rows][3], CELL, "%.2f", json_number_value(json_object_get(row, "ms")));
        g->rows++;
    }
}

static int width(const grid *g, int column)
{
    size_t most = strlen(g->head[column]);
    for (int r = 0; r < g->rows; r++)
        if (strlen(g->cell[r][column]) > most) most = strlen(g->cell[r][column]);
    return (int)most;
}

static void write_markdown(FILE *f, const grid *g)
{
    fprintf(f, "%s\n\n| %-17s |", g->name, "");
    for (int c = 0; c < g->columns; c++) fprintf(f, " %*s |", width(g, c), g->head[c]);
    fprintf(f, "\n|-%.17s-|", "-----------------");
    for (int c = 0; c < g->columns; c++) {
        fputs("-", f);
        for (int k = 0; k < width(g, c); k++) fputc('-', f);
        fputs(":|", f);
    }
    for (int r = 0; r < g->rows; r++) {
        fprintf(f, "\n| %-17s |", g->row[r]);
        for (int c = 0; c < g->columns; c++) fprintf(f, " %*s |", width(g, c), g->cell[r][c]);
    }
    fputs("\n\n", f);
}

static void write_html(FILE *f, const grid *g)
{
    html_section(f, g->name, "");
    fputs("<div class=\"scroll\"><table><tr><th></th>", f);
    for (int c = 0; c < g->columns; c++) {
        fputs("<th>", f);
        html_text(f, g->head[c]);
        fputs("</th>", f);
    }
    for (int r = 0; r < g->rows; r++) {
        fputs("</tr>\n<tr><td>", f);
        html_text(f, g->row[r]);
        fputs("</td>", f);
        for (int c = 0; c < g->columns; c++) fprintf(f, "<td>%s</td>", g->cell[r][c]);
    }
    fputs("</tr></table></div>\n", f);
}

enum { GRIDS = DEMO_PARTS + 1 };

static void fill_all(grid g[GRIDS], const json_t *rows)
{
    fill(&g[0], "Which text is of which picture, which of two texts is true", rows, DEMO_PAIRING);
    fill(&g[1], "Facts of the picture and the text together", rows, DEMO_FACTS);
    fill(&g[2], "AND when every second picture is missing (balanced), without and with modality dropout",
         rows, DEMO_MISSING);
    fill_costs(&g[3],
               "What it takes (a query: one text put to 64 pictures, which the towers have seen before; "
               "joint has none)",
               rows);
}

/* ---- files ---- */

static char *describe(kin_ctx *cx, const demo *d)
{
    return kin_sprintf(
        cx,
        "kin demo techniques --scale %s --seeds %lld: per cent, in brackets %s; test scenes, whose "
        "color-shape pairs training never showed (swaps: of pairs that it did)",
        d->scale->name, (long long)d->seeds,
        d->seeds > 1 ? "the range of the seeds" : "95 % intervals (one seed)");
}

static kin_status save_text(kin_ctx *cx, const demo *d, const char *name, FILE *f, char **text)
{
    const bool bad = ferror(f) != 0;
    char *path = kin_sprintf(cx, "%s/%s", d->out, name);
    if (fclose(f) != 0 || bad) kin_fail(cx, KIN_NOMEM, "out of memory for the table");
    if (path && cx->status == KIN_OK) kin_write_file(cx, path, *text, (int64_t)strlen(*text));
    free(path);
    return cx->status;
}

static kin_status save_markdown(kin_ctx *cx, const demo *d, const char *what, const grid *g)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return kin_fail(cx, KIN_NOMEM, "out of memory for the table");
    fprintf(f, "%s\n\n", what);
    for (int i = 0; i < GRIDS; i++) write_markdown(f, &g[i]);
    if (save_text(cx, d, "techniques.md", f, &text) == KIN_OK) fputs(text, stdout);
    free(text);
    return cx->status;
}

static void write_picture(kin_ctx *cx, const char *path, FILE *f)
{
    uint8_t *bytes;
    int64_t size;
    if (kin_read_file(cx, path, LIMIT, &bytes, &size) != KIN_OK) return;
    char *text = base64_encode(cx, bytes, size);
    html_section(f, "Noise", "Balanced accuracy of matching as pictures and texts get worse");
    if (text)
        fprintf(f, "<div class=\"scroll\"><img alt=\"curves\" src=\"data:image/png;base64,%s\"></div>\n",
                text);
    free(text);
    free(bytes);
}

static kin_status save_html(kin_ctx *cx, const demo *d, const char *what, const grid *g, const char *picture)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return kin_fail(cx, KIN_NOMEM, "out of memory for the page");
    html_begin(f, "Fusion techniques on the same towers");
    fputs("<h1>Fusion techniques on the same towers</h1>\n<p class=\"says\">", f);
    html_text(f, what);
    fputs("</p>\n", f);
    for (int i = 0; i < GRIDS; i++) write_html(f, &g[i]);
    if (picture) write_picture(cx, picture, f);
    html_end(f);
    save_text(cx, d, "techniques.html", f, &text);
    free(text);
    return cx->status;
}

static kin_status save_all(kin_ctx *cx, const demo *d, json_t *all, const char *what)
{
    const json_t *curves = json_object_get(all, "noise");
    char *json = kin_sprintf(cx, "%s/techniques.json", d->out),
         *png = kin_sprintf(cx, "%s/noise.png", d->out);
    grid *g = kin_alloc0(cx, GRIDS, sizeof *g);
    if (cx->status == KIN_OK) kin_json_save(cx, json, all);
    if (cx->status == KIN_OK && curves) plot_noise(cx, png, curves, "Matching under noise", 0.5);
    if (cx->status == KIN_OK) {
        fill_all(g, json_object_get(all, "rows"));
        if (save_markdown(cx, d, what, g) == KIN_OK) save_html(cx, d, what, g, curves ? png : NULL);
    }
    if (cx->status == KIN_OK) printf("%s/techniques.{json,md,html}%s\n", d->out, curves ? ", noise.png" : "");
    free(json);
    free(png);
    free(g);
    return cx->status;
}

kin_status demo_table(kin_ctx *cx, const demo *d, const json_t *cells)
{
    json_t *rows = json_array();
    for (const demo_row *r = demo_rows; r->name; r++) {
        const json_t *stages = json_object_get(cells, r->name);
        if (stages) json_array_append_new(rows, row_summary(r, stages));
    }
    char *what = describe(cx, d);
    json_t *all = json_pack("{s:s, s:I, s:o, s:o*}", "scale", d->scale->name, "seeds", (json_int_t)d->seeds,
                            "rows", rows, "noise", curves_of(cells));
    if (!all) kin_fail(cx, KIN_NOMEM, "out of memory for the table");
    if (all && what) save_all(cx, d, all, what);
    json_decref(all);
    free(what);
    return cx->status;
}
