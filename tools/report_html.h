/* report_html: the parts of a self-contained page: style, escaped text, line charts, bars, histograms as
 * inline SVG in the page's own colours. */
#ifndef KIN_REPORT_HTML_H
#define KIN_REPORT_HTML_H
#include <stdio.h>

#include "core/base.h"

/* Everything up to <main>: style for light and dark, for phones and screens. No script, no link leaves the
 * page. */
void html_begin(FILE *f, const char *title);
void html_end(FILE *f);
/* Text with & < > " escaped. */
void html_text(FILE *f, const char *text);
/* A section's heading and what it shows, in a sentence. */
void html_section(FILE *f, const char *heading, const char *says);
/* A number under its name with what it means. */
void html_tile(FILE *f, const char *name, const char *value, const char *means);

enum { HTML_LINES = 3 };
typedef struct html_line {
    const char *name;
    const double *y; /* NaN: nothing there */
} html_line;
/* Up to three lines over the same x; lines drawn in the page's three colours. */
void html_chart(FILE *f, const char *title, const char *means, const double *x, int64_t n,
                const html_line *line, int lines);
/* Two histograms over the same bins; each is scaled to its own largest bin. */
void html_histogram(FILE *f, const char *title, const char *means, double low, double high, const double *a,
                    const double *b, int bins, const char *name_a, const char *name_b);
/* Bars from 0 to 1 with intervals and a mark for chance. low > high: no interval. */
typedef struct html_bar {
    const char *name;
    double value, low, high, chance;
} html_bar;
void html_bars(FILE *f, const char *title, const char *means, const html_bar *bar, int bars);

#endif
