#include "data/csv.h"

#include <stdlib.h>
#include <string.h>

enum { QUOTED_LIMIT = 1 << 16 };

void kin_csv_open(kin_csv *c, const char *text, int64_t size, char separator)
{
    *c = (kin_csv){.at = text, .end = text + size, .separator = separator, .next_line = 1};
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) c->at += 3;
}

void kin_csv_close(kin_csv *c)
{
    free(c->bytes);
    free(c->start);
    free(c->raw);
    *c = (kin_csv){0};
}

static bool line_ends(const kin_csv *c, const char *p)
{
    return p == c->end || *p == '\n' || (*p == '\r' && (p + 1 == c->end || p[1] == '\n'));
}

/* The quote that closes the field opened at p: a separator or the line's end follows it. NULL: there is none.
 */
static const char *closing(const kin_csv *c, const char *p)
{
    const char *limit = c->end - p > QUOTED_LIMIT ? p + QUOTED_LIMIT : c->end;
    for (p++; p < limit; p++) {
        if (*p != '"') continue;
        if (p + 1 < limit && p[1] == '"') {
            p++;
            continue;
        }
        return p + 1 == c->end || p[1] == c->separator || line_ends(c, p + 1) ? p : NULL;
    }
    return NULL;
}

static bool begin_field(kin_ctx *cx, kin_csv *c, const char *at, int64_t most)
{
    if (c->fields == c->field_room) {
        const int64_t room = c->field_room ? 2 * c->field_room : 16;
        int64_t *start = kin_regrow(cx, c->start, room, sizeof *start);
        if (!start) return false;
        c->start = start;
        int64_t *raw = kin_regrow(cx, c->raw, room, sizeof *raw);
        if (!raw) return false;
        c->raw = raw;
        c->field_room = room;
    }
    if (c->used + most + 1 > c->room) {
        const int64_t room = 2 * (c->used + most + 1);
        char *bytes = kin_regrow(cx, c->bytes, room, 1);
        if (!bytes) return false;
        c->bytes = bytes;
        c->room = room;
    }
    c->start[c->fields] = c->used;
    c->raw[c->fields++] = at - c->row;
    return true;
}

/* One field from c->at on; c->at stands behind it. */
static bool take_field(kin_ctx *cx, kin_csv *c)
{
    const char *p = c->at, *close = p < c->end && *p == '"' ? closing(c, p) : NULL;
    const char *stop = close;
    if (!close)
        for (stop = p; !line_ends(c, stop) && *stop != c->separator;) stop++;
    if (!begin_field(cx, c, p, stop - p)) return false;
    if (close) {
        for (p++; p < close; p++) {
            c->next_line += *p == '\n';
            c->bytes[c->used++] = *p;
            if (*p == '"') p++;
        }
        stop++;
    } else {
        /* Bars are set off by blanks: "name.jpg| 0| A dog". */
        const char *last = stop;
        while (c->separator == '|' && p < last && *p == ' ') p++;
        while (c->separator == '|' && last > p && last[-1] == ' ') last--;
        memcpy(c->bytes + c->used, p, (size_t)(last - p));
        c->used += last - p;
    }
    c->bytes[c->used++] = '\0';
    c->at = stop;
    return true;
}

bool kin_csv_next(kin_ctx *cx, kin_csv *c)
{
    while (c->at < c->end && line_ends(c, c->at)) { /* blank lines */
        c->next_line += *c->at == '\n';
        c->at++;
    }
    if (c->at >= c->end) return false;
    c->fields = c->used = 0;
    c->row = c->at;
    c->line = c->next_line;
    for (;;) {
        if (!take_field(cx, c)) return false;
        if (c->at == c->end || *c->at != c->separator) break;
        c->at++;
        if (c->at == c->end) { /* an empty last field of the file */
            if (!begin_field(cx, c, c->at, 0)) return false;
            c->bytes[c->used++] = '\0';
        }
    }
    c->row_end = c->at;
    return true;
}

const char *kin_csv_field(const kin_csv *c, int64_t i)
{
    return c->bytes + c->start[i];
}

const char *kin_csv_rest(const kin_csv *c, int64_t i, int64_t *size)
{
    *size = c->row_end - c->row - c->raw[i];
    return c->row + c->raw[i];
}
