#include "core/amount.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct unit {
    const char *name;
    kin_amount kind;
    double size;
} unit;

static const unit units[] = {
    {"s", KIN_SECONDS, 1},       {"sec", KIN_SECONDS, 1},     {"second", KIN_SECONDS, 1},
    {"m", KIN_SECONDS, 60},      {"min", KIN_SECONDS, 60},    {"minute", KIN_SECONDS, 60},
    {"h", KIN_SECONDS, 3600},    {"hour", KIN_SECONDS, 3600}, {"d", KIN_SECONDS, 86400},
    {"day", KIN_SECONDS, 86400}, {"B", KIN_BYTES, 1},         {"byte", KIN_BYTES, 1},
    {"kB", KIN_BYTES, 1e3},      {"KiB", KIN_BYTES, 0x1p10},  {"MB", KIN_BYTES, 1e6},
    {"MiB", KIN_BYTES, 0x1p20},  {"GB", KIN_BYTES, 1e9},      {"GiB", KIN_BYTES, 0x1p30},
    {"G", KIN_BYTES, 0x1p30},    {"TB", KIN_BYTES, 1e12},     {"TiB", KIN_BYTES, 0x1p40},
    {"T", KIN_BYTES, 0x1p40},    {"Wh", KIN_WATT_HOURS, 1},   {"kWh", KIN_WATT_HOURS, 1e3},
    {"pair", KIN_PAIRS, 1},      {"GFLOP", KIN_FLOP, 1e9},    {"TFLOP", KIN_FLOP, 1e12},
    {"PFLOP", KIN_FLOP, 1e15},   {"EFLOP", KIN_FLOP, 1e18},
};

/* A word of n letters; longer names may end in an s. */
static const unit *find(const char *word, size_t n)
{
    for (const unit *u = units; u < units + sizeof units / sizeof *units; u++) {
        const size_t length = strlen(u->name);
        const bool plural = length > 2 && n == length + 1 && tolower((unsigned char)word[n - 1]) == 's';
        if (n != length && !plural) continue;
        if (strcmp(u->name, "m") == 0 ? *word == 'm' : strncasecmp(word, u->name, length) == 0) return u;
    }
    return NULL;
}

static const char examples[] = "write for example 2h, 90min, 8GiB, 500Wh, 1e6pairs or 2PFLOP, several with "
                               "commas between them";

kin_status kin_amounts_read(kin_ctx *cx, const char *what, const char *text, kin_amounts *out)
{
    const unit *before = NULL; /* what stood right before, without a comma */
    *out = (kin_amounts){0};
    for (const char *p = text + strspn(text, " ,"); *p;) {
        char *end = kin_only_read(p);
        const double number = isdigit((unsigned char)*p) || *p == '.' ? strtod(p, &end) : 0.0;
        if (end == p || !(number > 0.0 && isfinite(number)))
            return kin_fail(cx, KIN_ARG, "%s: '%s': a number above 0 is expected at '%s'; %s", what, text, p,
                            examples);
        p = end + strspn(end, " ");
        size_t n = 0;
        while (isalpha((unsigned char)p[n])) n++;
        const unit *u = find(p, n);
        if (!u)
            return kin_fail(cx, KIN_ARG, "%s: '%s': %s%.*s%s; %s", what, text, n ? "'" : "a unit is missing",
                            (int)n, p,
                            n == 1 && *p == 'M' ? "' is minutes (min) or memory (MiB)?"
                            : n                 ? "' is no unit"
                                                : "",
                            examples);
        if (out->of[u->kind] > 0.0 && !(before && before->kind == u->kind))
            return kin_fail(cx, KIN_ARG, "%s: '%s': two limits of one kind", what, text);
        out->of[u->kind] += number * u->size;
        p += n;
        const size_t gap = strspn(p, " ,");
        before = memchr(p, ',', gap) ? NULL : u;
        p += gap;
    }
    return KIN_OK;
}

/* The largest of a kind's names that leaves a number of at least 1. */
typedef struct scale {
    double size;
    const char *name;
    int digits;
} scale;

const char *kin_amount_text(kin_amount kind, double value, char text[32])
{
    static const scale bytes[] = {
        {0x1p40, "TiB", 2}, {0x1p30, "GiB", 2}, {0x1p20, "MiB", 2}, {0x1p10, "KiB", 2}, {1, "bytes", 0}};
    static const scale seconds[] = {
        {2 * 86400, "days", 1}, {2 * 3600, "h", 1}, {2 * 60, "minutes", 1}, {1, "s", 1}};
    static const scale watt_hours[] = {{1e6, "MWh", 2}, {1e3, "kWh", 2}, {1, "Wh", 1}};
    static const scale pairs[] = {{1, "pairs", 0}};
    static const scale flop[] = {
        {1e18, "EFLOP", 2}, {1e15, "PFLOP", 2}, {1e12, "TFLOP", 2}, {1e9, "GFLOP", 2}};
    static const scale *const scales[] = {[KIN_BYTES] = bytes,
                                          [KIN_SECONDS] = seconds,
                                          [KIN_WATT_HOURS] = watt_hours,
                                          [KIN_PAIRS] = pairs,
                                          [KIN_FLOP] = flop};
    const scale *s = scales[kind];
    const double last = kind == KIN_FLOP ? 1e9 : 1.0;
    while (s->size > last && value < s->size) s++;
    /* Two of a unit of time, so that 90 minutes are not 1.5 h. */
    const double size = kind == KIN_SECONDS && s->size > 1.0 ? 0.5 * s->size : s->size;
    snprintf(text, 32, "%.*f %s", s->digits, value / size, s->name);
    return text;
}
