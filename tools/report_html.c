#include "tools/report_html.h"

#include <math.h>
#include <string.h>

static const char style[] =
    ":root{--paper:#fff;--card:#f6f7f9;--ink:#1c2128;--pale:#59636e;--line:#d5dae0;--c0:#1f66d0;--c1:#c4590a;"
    "--c2:#7a7f87;--good:#1a7f37;--bad:#c0392b;color-scheme:light dark}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#0f1318;--card:#181d24;--ink:#e6eaf0;--pale:#9aa5b1;"
    "--line:#303843;--c0:#6ea8fe;--c1:#f2a65a;--c2:#8b949e;--good:#4ac26b;--bad:#f47067}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n"
    "main{max-width:1120px;margin:0 auto;padding:24px 16px "
    "64px}h1{font-size:1.6rem;line-height:1.25;margin:0 0 4px;"
    "overflow-wrap:anywhere}h2{font-size:1.2rem;margin:40px 0 4px}p{margin:0 0 "
    "12px;overflow-wrap:anywhere}.says,.means{color:var(--pale)}\n"
    ".means{font-size:.82rem;line-height:1.4;margin:4px 0 0}.grid{display:grid;gap:12px;"
    "grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr))}\n"
    ".tiles{display:grid;gap:12px;grid-template-columns:repeat(auto-fill,minmax(min(100%,170px),1fr))}\n"
    "@media(max-width:480px){.tiles{grid-template-columns:1fr 1fr}}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px "
    "14px;min-width:0}\n"
    ".card h3{font-size:.95rem;margin:0 0 4px;font-weight:600}.tile b{display:block;font-size:1.35rem;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}.tile "
    "span{font-size:.85rem;color:var(--pale)}\n"
    "svg{display:block;width:100%;height:auto}svg text{font-size:11px;fill:var(--pale);"
    "font-family:inherit}.axis{stroke:var(--line)}.k{font-size:.82rem;color:var(--pale)}.k "
    "i{display:inline-block;"
    "width:14px;height:3px;margin:0 5px 3px 0;border-radius:2px}.k "
    "span{margin-right:14px;white-space:nowrap}\n"
    ".q{display:flex;flex-wrap:wrap;gap:8px 14px;align-items:flex-start;padding:12px 0;border-top:1px solid "
    "var(--line)}.q:first-child{border-top:0}.q>div:first-child{flex:1 1 240px;min-width:0}.q p{margin:0}\n"
    ".pics{display:flex;flex-wrap:wrap;gap:8px}figure{margin:0;width:84px}@media(max-width:480px){figure{"
    "width:72px}}\n"
    "figure img{display:block;width:100%;aspect-ratio:1;border-radius:6px;border:3px solid "
    "var(--line)}figure.hit img{border-color:var(--good)}\n"
    "figcaption{font-size:.75rem;color:var(--pale);text-align:center;line-height:1.3;margin-top:2px}\n"
    ".good{color:var(--good)}.bad{color:var(--bad)}.rank{font-size:.85rem}ul{margin:4px 0 "
    "0;padding-left:18px}"
    "li.hit{color:var(--good)}li{font-size:.9rem}\n"
    "pre{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px "
    "14px;overflow-x:auto;"
    "font:.8rem/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;"
    "overflow-wrap:anywhere;margin:0 0 12px}\n"
    ".matrix{image-rendering:pixelated;width:100%;max-width:420px;aspect-ratio:1;display:block;border-radius:"
    "6px}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.9rem}td,th{"
    "padding:5px "
    "8px 5px 0;text-align:right;border-top:1px solid "
    "var(--line);font-weight:400}th{color:var(--pale);border-top:0}"
    "td:first-child,th:first-child{text-align:left}td{white-space:nowrap}.scroll{overflow-x:auto;margin-top:"
    "12px}\n";

void html_text(FILE *f, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc(*text, f);
        }
    }
}

void html_begin(FILE *f, const char *title)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
          f);
    html_text(f, title);
    fprintf(f, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", style);
}

void html_end(FILE *f)
{
    fputs("</main>\n</body>\n</html>\n", f);
}

void html_section(FILE *f, const char *heading, const char *says)
{
    fputs("<h2>", f);
    html_text(f, heading);
    fputs("</h2>\n<p class=\"says\">", f);
    html_text(f, says);
    fputs("</p>\n", f);
}

void html_tile(FILE *f, const char *name, const char *value, const char *means)
{
    fputs("<div class=\"card tile\"><span>", f);
    html_text(f, name);
    fputs("</span><b>", f);
    html_text(f, value);
    fputs("</b><p class=\"means\">", f);
    html_text(f, means);
    fputs("</p></div>\n", f);
}

static void begin_card(FILE *f, const char *title)
{
    fputs("<div class=\"card\"><h3>", f);
    html_text(f, title);
    fputs("</h3>\n", f);
}

static void end_card(FILE *f, const char *means)
{
    fputs("<p class=\"means\">", f);
    html_text(f, means);
    fputs("</p></div>\n", f);
}

static void key(FILE *f, const char *const *names, int n)
{
    fputs("<div class=\"k\">", f);
    for (int i = 0; i < n; i++) {
        fprintf(f, "<span><i style=\"background:var(--c%d)\"></i>", i);
        html_text(f, names[i]);
        fputs("</span>", f);
    }
    fputs("</div>\n", f);
}

/* A short number: 12 000 -> 12k. */
static const char *number(double v, char text[32])
{
    const double size = fabs(v);
    if (size >= 1e6)
        snprintf(text, 32, "%.3gM", v / 1e6);
    else if (size >= 1e4)
        snprintf(text, 32, "%.3gk", v / 1e3);
    else if (size > 0.0 && size < 1e-3) {
        const int power = (int)floor(log10(size));
        snprintf(text, 32, "%.3ge%d", v / pow(10.0, power), power);
    } else
        snprintf(text, 32, "%.4g", v);
    return text;
}

enum { WIDTH = 340, HEIGHT = 170, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 22 };

/* 1, 2 or 5 times a power of ten, so that about four of them fit into `range`. */
static double tick_of(double range)
{
    const double rough = range / 4.0, power = pow(10.0, floor(log10(rough)));
    const double part = rough / power;
    return power * (part <= 1.0 ? 1.0 : part <= 2.0 ? 2.0 : part <= 5.0 ? 5.0 : 10.0);
}

static double x_at(double v, double low, double high)
{
    return LEFT + (v - low) / (high - low) * (WIDTH - LEFT - RIGHT);
}

static double y_at(double v, double low, double high)
{
    return HEIGHT - BOTTOM - (v - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
}

static void x_axis(FILE *f, double low, double high)
{
    char text[32];
    const double tick = tick_of(high - low);
    for (double v = ceil(low / tick - 1e-9) * tick; v <= high + tick * 1e-6; v += tick)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x_at(v, low, high), HEIGHT - 6,
                v > high - 0.1 * (high - low) ? "end" : "middle",
                number(fabs(v) < 1e-9 * tick ? 0.0 : v, text));
}

static void y_axis(FILE *f, double low, double high)
{
    char text[32];
    const double tick = tick_of(high - low);
    for (double v = ceil(low / tick - 1e-9) * tick; v <= high + tick * 1e-6; v += tick) {
        const double y = y_at(v, low, high);
        fprintf(f,
                "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4.0, number(fabs(v) < 1e-9 * tick ? 0.0 : v, text));
    }
}

static void path(FILE *f, const double *x, const double *y, int64_t n, double x0, double x1, double y0,
                 double y1, int color)
{
    bool drawing = false;
    const int64_t stride = n / 1000 + 1; /* more points than pixels say nothing */
    fprintf(f,
            "<path fill=\"none\" stroke=\"var(--c%d)\" stroke-width=\"2\" stroke-linejoin=\"round\" "
            "stroke-linecap=\"round\" d=\"",
            color);
    for (int64_t i = 0; i < n; i += i + stride < n || i == n - 1 ? stride : n - 1 - i) {
        if (isfinite(y[i])) {
            fprintf(f, "%c%.1f %.1f", drawing ? 'L' : 'M', x_at(x[i], x0, x1), y_at(y[i], y0, y1));
            if (!drawing) fprintf(f, "h0");
        }
        drawing = isfinite(y[i]);
    }
    fputs("\"/>\n", f);
}

void html_chart(FILE *f, const char *title, const char *means, const double *x, int64_t n,
                const html_line *line, int lines)
{
    double low = INFINITY, high = -INFINITY;
    const char *names[HTML_LINES];
    for (int k = 0; k < lines; k++) {
        names[k] = line[k].name;
        for (int64_t i = 0; i < n; i++)
            if (isfinite(line[k].y[i])) {
                low = fmin(low, line[k].y[i]);
                high = fmax(high, line[k].y[i]);
            }
    }
    if (n < 1 || low > high) return;
    if (low > 0.0 && low < 0.6 * high) low = 0.0;
    if (high - low < 1e-9 * fmax(1.0, fabs(high))) {
        const double room = fmax(fabs(high) * 0.1, 1e-6);
        low -= room;
        high += room;
    }
    const double first = n > 1 ? x[0] : 0.0, last = x[n - 1] > first ? x[n - 1] : first + 1.0;
    begin_card(f, title);
    if (lines > 1) key(f, names, lines);
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    html_text(f, title);
    fputs("\">\n", f);
    y_axis(f, low, high);
    x_axis(f, first, last);
    for (int k = lines - 1; k >= 0; k--) path(f, x, line[k].y, n, first, last, low, high, k);
    fputs("</svg>\n", f);
    end_card(f, means);
}

void html_histogram(FILE *f, const char *title, const char *means, double low, double high, const double *a,
                    const double *b, int bins, const char *name_a, const char *name_b)
{
    const double *const both[] = {a, b};
    const char *const names[] = {name_a, name_b};
    begin_card(f, title);
    key(f, names, 2);
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    html_text(f, title);
    fputs("\">\n", f);
    x_axis(f, low, high);
    fprintf(f, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", LEFT, WIDTH - RIGHT,
            HEIGHT - BOTTOM, HEIGHT - BOTTOM);
    for (int k = 1; k >= 0; k--) {
        double most = 0.0;
        for (int i = 0; i < bins; i++) most = fmax(most, both[k][i]);
        for (int i = 0; i < bins && most > 0.0; i++) {
            const double step = (double)(WIDTH - LEFT - RIGHT) / bins, y = y_at(both[k][i] / most, 0.0, 1.0);
            if (both[k][i] > 0.0)
                fprintf(f,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"var(--c%d)\" "
                        "fill-opacity=\".65\"/>\n",
                        LEFT + i * step, y, step - 0.6, HEIGHT - BOTTOM - y, k);
        }
    }
    fputs("</svg>\n", f);
    end_card(f, means);
}

void html_bars(FILE *f, const char *title, const char *means, const html_bar *bar, int bars)
{
    enum { ROW = 30, NAME = 46, VALUE = 60 };
    const double wide = WIDTH - NAME - VALUE;
    begin_card(f, title);
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, bars * ROW);
    html_text(f, title);
    fputs("\">\n", f);
    for (int i = 0; i < bars; i++) {
        const html_bar *b = &bar[i];
        const double y = i * ROW + 6.0, mid = y + 9.0;
        fprintf(f,
                "<text x=\"0\" y=\"%.1f\">%s</text>"
                "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"18\" rx=\"3\" fill=\"var(--line)\" "
                "fill-opacity=\".5\"/>"
                "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"18\" rx=\"3\" fill=\"var(--c0)\"/>",
                mid + 4.0, b->name, NAME, y, wide, NAME, y, wide * b->value);
        if (b->low <= b->high)
            fprintf(f,
                    "<path fill=\"none\" stroke=\"var(--ink)\" stroke-width=\"1.5\" d=\"M%.1f %.1fH%.1fM%.1f "
                    "%.1fv8M%.1f %.1fv8\"/>",
                    NAME + wide * b->low, mid, NAME + wide * b->high, NAME + wide * b->low, mid - 4.0,
                    NAME + wide * b->high, mid - 4.0);
        fprintf(
            f,
            "<path stroke=\"var(--c1)\" stroke-width=\"2\" d=\"M%.1f %.1fv22\"/>"
            "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" style=\"fill:var(--ink);font-size:13px\">%.1f %%"
            "</text>\n",
            NAME + wide * b->chance, y - 2.0, WIDTH, mid + 4.5, 100.0 * b->value);
    }
    fputs("</svg>\n", f);
    end_card(f, means);
}
