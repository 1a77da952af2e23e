#include "train/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "train/shared.h"

enum { FILE_MAX = 1 << 16, HELP_COLUMN = 36 };

typedef enum key_type { STRING, CHOICE, INT, REAL, BOOL } key_type;

typedef struct key_def {
    const char *key, *help;
    key_type type;
    size_t offset;       /* in kin_config */
    const char *text;    /* default of STRING and CHOICE */
    const char *choices; /* "a|b|c" */
    double number;       /* default of INT, REAL and BOOL */
    double min, max;
} key_def;

#define ROW_STRING(absent, least, most) .text = absent
#define ROW_CHOICE(absent, least, most) .text = absent, .choices = least
#define ROW_INT(absent, least, most) .number = (double)(absent), .min = (double)(least), .max = (double)(most)
#define ROW_REAL(absent, least, most) ROW_INT(absent, least, most)
#define ROW_BOOL(absent, least, most) .number = (double)(absent)

static const key_def keys[] = {
#define KEY(name, word, kind, absent, least, most, line)                                                     \
    {.key = word,                                                                                            \
     .help = line,                                                                                           \
     .type = kind,                                                                                           \
     .offset = offsetof(kin_config, name),                                                                   \
     ROW_##kind(absent, least, most)},
#include "train/config.def"
#undef KEY
};
enum { KEYS = sizeof keys / sizeof *keys };

static const char dotted[] = "model.";

static char **string_of(const kin_config *c, const key_def *k)
{
    return (char **)((char *)c + k->offset);
}

static int64_t *int_of(const kin_config *c, const key_def *k)
{
    return (int64_t *)((char *)c + k->offset);
}

static double *real_of(const kin_config *c, const key_def *k)
{
    return (double *)((char *)c + k->offset);
}

static bool *bool_of(const kin_config *c, const key_def *k)
{
    return (bool *)((char *)c + k->offset);
}

static bool is_text(const key_def *k)
{
    return k->type == STRING || k->type == CHOICE;
}

kin_status kin_config_init(kin_ctx *cx, kin_config *c)
{
    memset(c, 0, sizeof *c);
    c->given = kin_alloc0(cx, KEYS, sizeof *c->given);
    if (!c->given) return cx->status;
    for (const key_def *k = keys; k < keys + KEYS; k++) {
        if (is_text(k) && !(*string_of(c, k) = kin_strdup(cx, k->text))) return cx->status;
        if (k->type == INT) *int_of(c, k) = (int64_t)k->number;
        if (k->type == REAL) *real_of(c, k) = k->number;
        if (k->type == BOOL) *bool_of(c, k) = k->number != 0;
    }
    return KIN_OK;
}

void kin_config_free(kin_config *c)
{
    for (const key_def *k = keys; k < keys + KEYS; k++)
        if (is_text(k)) free(*string_of(c, k));
    for (int64_t i = 0; i < c->override_count; i++) {
        free(c->overrides[i].path);
        free(c->overrides[i].value);
    }
    free(c->overrides);
    free(c->given);
    memset(c, 0, sizeof *c);
}

static const key_def *find(const char *key)
{
    for (const key_def *k = keys; k < keys + KEYS; k++)
        if (strcmp(k->key, key) == 0) return k;
    return NULL;
}

bool kin_config_given(const kin_config *c, const char *key)
{
    const key_def *k = find(key);
    return k && c->given[k - keys];
}

/* What open_clip calls it, and what it is here. */
static const struct {
    const char *theirs, *ours;
} elsewhere[] = {
    {"batch-size", "batch"},
    {"accum-freq", "chunk"},
    {"grad-clip-norm", "clip"},
    {"lr-scheduler", "schedule"},
    {"workers", "loader-threads"},
    {"val-frequency", "eval-every"},
    {"save-frequency", "save-every"},
    {"logs", "out"},
    {"name", "out"},
    {"lock-image", "freeze visual.*"},
    {"siglip", "loss siglip"},
    {"log-every-n-steps", "log-every"},
    {"grad-checkpointing", "recompute"},
    {"force-patch-dropout", "patch-drop"},
    {"force-context-length", "context"},
};

static kin_status unknown(kin_ctx *cx, const char *key)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcmp(key, elsewhere[i].theirs) == 0)
            return kin_fail(cx, KIN_ARG, "no option is called '%s'; what open_clip calls so is '%s' here",
                            key, elsewhere[i].ours);
    const char *nearest = NULL;
    int least = (int)strlen(key) / 3 + 2;
    for (const key_def *k = keys; k < keys + KEYS; k++) {
        const int d = kin_edit_distance(key, k->key);
        if (d >= least) continue;
        least = d;
        nearest = k->key;
    }
    if (!nearest) return kin_fail(cx, KIN_ARG, "no option is called '%s'", key);
    return kin_fail(cx, KIN_ARG, "no option is called '%s'; did you mean '%s'?", key, nearest);
}

/* Is `value` one of "a|b|c"? */
static bool among(const char *value, const char *choices)
{
    const size_t n = strlen(value);
    for (const char *at = choices; at; at = strchr(at, '|'), at = at ? at + 1 : NULL)
        if (strncmp(at, value, n) == 0 && (at[n] == '|' || at[n] == 0)) return !strchr(value, '|');
    return false;
}

static kin_status set_text(kin_ctx *cx, char **to, const char *value)
{
    char *copy = kin_strdup(cx, value);
    if (!copy) return cx->status;
    free(*to);
    *to = copy;
    return KIN_OK;
}

static kin_status set_override(kin_ctx *cx, kin_config *c, const char *path, const char *value)
{
    for (int64_t i = 0; i < c->override_count; i++)
        if (strcmp(c->overrides[i].path, path) == 0) return set_text(cx, &c->overrides[i].value, value);
    kin_override *grown = kin_regrow(cx, c->overrides, c->override_count + 1, sizeof *grown);
    if (!grown) return cx->status;
    c->overrides = grown;
    kin_override o = {kin_strdup(cx, path), kin_strdup(cx, value)};
    if (!o.path || !o.value) {
        free(o.path);
        free(o.value);
        return cx->status;
    }
    grown[c->override_count++] = o;
    return KIN_OK;
}

kin_status kin_config_set(kin_ctx *cx, kin_config *c, const char *key, const char *value)
{
    if (strncmp(key, dotted, sizeof dotted - 1) == 0 && key[sizeof dotted - 1])
        return set_override(cx, c, key + sizeof dotted - 1, value);
    const key_def *k = find(key);
    if (!k) return unknown(cx, key);
    char *end;
    errno = 0;
    switch (k->type) {
    case CHOICE:
        if (!among(value, k->choices))
            return kin_fail(cx, KIN_ARG, "%s: '%s' is none of %s", key, value, k->choices);
        /* fall through */
    case STRING: KIN_TRY(set_text(cx, string_of(c, k), value)); break;
    case INT: {
        const long long n = strtoll(value, &end, 10);
        if (end == value || *end || errno || (double)n < k->min || (double)n > k->max)
            return kin_fail(cx, KIN_ARG, "%s: '%s' is not an integer from %.15g to %.15g", key, value, k->min,
                            k->max);
        *int_of(c, k) = n;
        break;
    }
    case REAL: {
        const double x = strtod(value, &end);
        if (end == value || *end || !(x >= k->min && x <= k->max))
            return kin_fail(cx, KIN_ARG, "%s: '%s' is not a number from %.15g to %.15g", key, value, k->min,
                            k->max);
        *real_of(c, k) = x;
        break;
    }
    case BOOL:
        if (!among(value, "true|false|1|0|yes|no|on|off"))
            return kin_fail(cx, KIN_ARG, "%s: '%s' is neither true nor false", key, value);
        *bool_of(c, k) = among(value, "true|1|yes|on");
        break;
    }
    c->given[k - keys] = true;
    return KIN_OK;
}

/* ---- files ------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static char *trim(char *s)
{
    while (is_space(*s)) s++;
    size_t n = strlen(s);
    while (n > 0 && is_space(s[n - 1])) s[--n] = 0;
    return s;
}

static const char escapes[] = "\"\\nrt", escaped[] = "\"\\\n\r\t";

/* Takes the quotes and escapes off a value in place; what follows the closing quote may only be a comment. */
static bool unquote(char *s)
{
    char *to = s, *from = s + 1;
    for (; *from && *from != '"'; from++, to++) {
        *to = *from;
        if (*from != '\\') continue;
        const char *e = from[1] ? strchr(escapes, from[1]) : NULL;
        if (!e) return false;
        *to = escaped[e - escapes];
        from++;
    }
    if (*from != '"') return false;
    const char *rest = trim(from + 1);
    const bool good = *rest == 0 || (*rest == '#' && is_space(from[1]));
    *to = 0;
    return good;
}

/* A comment begins at a '#' at the start or after white space. */
static void cut_comment(char *s)
{
    for (char *p = s; *p; p++) {
        if (*p != '#' || (p > s && !is_space(p[-1]))) continue;
        *p = 0;
        break;
    }
    trim(s);
}

/* Reads one line into key and value; *key is NULL for a line that says nothing. */
static kin_status read_line(kin_ctx *cx, char *line, const char **key, const char **value)
{
    *key = NULL;
    line = trim(line);
    if (*line == 0 || *line == '#') return KIN_OK;
    char *equals = strchr(line, '=');
    if (!equals || equals == line) return kin_fail(cx, KIN_ARG, "expected 'key = value', found '%s'", line);
    *equals = 0;
    char *v = trim(equals + 1);
    const bool quoted = *v == '"';
    if (quoted && !unquote(v))
        return kin_fail(cx, KIN_ARG, "the quoted value is not closed or not understood");
    if (!quoted) cut_comment(v);
    *key = trim(line);
    *value = v;
    return KIN_OK;
}

static kin_status read_lines(kin_ctx *cx, kin_config *c, char *text, const char **seen, int64_t *number)
{
    int64_t count = 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        ++*number;
        const char *key, *value;
        KIN_TRY(read_line(cx, line, &key, &value));
        if (!key) continue;
        for (int64_t i = 0; i < count; i++)
            if (strcmp(seen[i], key) == 0)
                return kin_fail(cx, KIN_ARG, "'%s' is set twice in this file", key);
        seen[count++] = key;
        KIN_TRY(kin_config_set(cx, c, key, value));
    }
    return KIN_OK;
}

kin_status kin_config_parse(kin_ctx *cx, kin_config *c, const char *what, const char *text, int64_t size)
{
    if (size > FILE_MAX)
        return kin_fail(cx, KIN_FORMAT, "%s: %lld bytes, more than options need", what, (long long)size);
    if (memchr(text, 0, (size_t)size)) return kin_fail(cx, KIN_FORMAT, "%s: not a text file", what);
    char *copy = kin_sprintf(cx, "%.*s", (int)size, text);
    const char **seen = copy ? kin_alloc(cx, size, sizeof *seen) : NULL; /* a key takes a byte or more */
    int64_t line = 0;
    kin_status rc = seen ? read_lines(cx, c, copy, seen, &line) : cx->status;
    if (rc != KIN_OK) kin_within(cx, "%s:%lld", what, (long long)line);
    free((void *)seen);
    free(copy);
    return rc;
}

kin_status kin_config_load(kin_ctx *cx, kin_config *c, const char *path)
{
    uint8_t *text;
    int64_t size;
    /* The name of a run that comes with kin: flickr8k, techniques/joint. */
    if (*path && !strchr("./", *path) && !strstr(path, ".cfg") && access(path, F_OK) != 0) {
        const char *slash = strrchr(path, '/');
        char *folder = kin_sprintf(cx, "%.*s", slash ? (int)(slash - path) : 0, path);
        char *found = folder ? kin_shared_find(cx, "config", folder, slash ? slash + 1 : path, ".cfg") : NULL;
        const kin_status rc = found ? kin_config_load(cx, c, found) : cx->status;
        free(folder);
        free(found);
        return rc;
    }
    KIN_TRY(kin_read_file(cx, path, FILE_MAX, &text, &size));
    const kin_status rc = kin_config_parse(cx, c, path, (const char *)text, size);
    free(text);
    return rc;
}

/* ---- flags ------------------------------------------------------------------------------------- */

/* One flag at argv[*i], which moves past it. `key` gets the name without dashes (caller frees). */
static kin_status read_flag(kin_ctx *cx, int argc, char **argv, int *i, char **key, const char **value)
{
    const char *flag = argv[(*i)++];
    if (strncmp(flag, "--", 2) != 0 || !flag[2])
        return kin_fail(cx, KIN_ARG, "'%s' is not expected here; options are --key value", flag);
    const char *equals = strchr(flag, '=');
    *key = equals ? kin_sprintf(cx, "%.*s", (int)(equals - flag - 2), flag + 2) : kin_strdup(cx, flag + 2);
    if (!*key) return cx->status;
    const key_def *k = find(*key);
    const bool follows = *i < argc && strncmp(argv[*i], "--", 2) != 0;
    if (equals)
        *value = equals + 1;
    else if (follows)
        *value = argv[(*i)++];
    else if (k && k->type == BOOL)
        *value = "true";
    else {
        const bool known = k || strcmp(*key, "config") == 0 || strncmp(*key, dotted, sizeof dotted - 1) == 0;
        const kin_status rc = known ? kin_fail(cx, KIN_ARG, "--%s needs a value", *key) : unknown(cx, *key);
        free(*key);
        return rc;
    }
    return KIN_OK;
}

kin_status kin_config_args(kin_ctx *cx, kin_config *c, int argc, char **argv)
{
    for (int pass = 0; pass < 2; pass++) { /* files first, flags over them */
        for (int i = 0; i < argc;) {
            char *key = NULL;
            const char *value = NULL;
            KIN_TRY(read_flag(cx, argc, argv, &i, &key, &value));
            const bool file = strcmp(key, "config") == 0;
            kin_status rc = KIN_OK;
            if (file && pass == 0) rc = kin_config_load(cx, c, value);
            if (!file && pass == 1) rc = kin_config_set(cx, c, key, value);
            free(key);
            KIN_TRY(rc);
        }
    }
    return KIN_OK;
}

/* ---- text -------------------------------------------------------------------------------------- */

static void print_text(FILE *f, const char *s)
{
    const size_t n = strlen(s);
    const bool plain = n > 0 && !strpbrk(s, "\"#\\\n\r\t") && s[0] != ' ' && s[n - 1] != ' ';
    if (plain) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++) {
        const char *e = strchr(escaped, *s);
        if (e) fputc('\\', f);
        fputc(e ? escapes[e - escaped] : *s, f);
    }
    fputc('"', f);
}

/* The fewest digits that read back to the same number. */
static void print_real(FILE *f, double x)
{
    char text[32];
    int digits = 5;
    do snprintf(text, sizeof text, "%.*g", ++digits, x);
    while (digits < 17 && strtod(text, NULL) != x);
    fputs(text, f);
}

static void print_value(FILE *f, const kin_config *c, const key_def *k)
{
    switch (k->type) {
    case STRING:
    case CHOICE: print_text(f, *string_of(c, k)); break;
    case INT: fprintf(f, "%lld", (long long)*int_of(c, k)); break;
    case REAL: print_real(f, *real_of(c, k)); break;
    case BOOL: fputs(*bool_of(c, k) ? "true" : "false", f); break;
    }
}

static char *close_text(kin_ctx *cx, FILE *f, char **text)
{
    const bool bad = ferror(f) != 0;
    if (fclose(f) == 0 && !bad) return *text;
    kin_fail(cx, KIN_NOMEM, "out of memory for the text of the options");
    free(*text);
    return NULL;
}

/* Does this key belong to one call rather than to the run? */
static bool of_the_call(const char *key)
{
    static const char *const keys_of_the_call[] = {"resume", "stop-at", "dry-run", "sanity", "budget"};
    for (size_t i = 0; i < sizeof keys_of_the_call / sizeof *keys_of_the_call; i++)
        if (strcmp(key, keys_of_the_call[i]) == 0) return true;
    return false;
}

static char *text_of(kin_ctx *cx, const kin_config *c, bool run_only)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) {
        kin_fail(cx, KIN_NOMEM, "out of memory for the text of the options");
        return NULL;
    }
    for (const key_def *k = keys; k < keys + KEYS; k++) {
        if (run_only && of_the_call(k->key)) continue;
        fprintf(f, "%s = ", k->key);
        print_value(f, c, k);
        fputc('\n', f);
    }
    for (int64_t i = 0; i < c->override_count; i++) {
        fprintf(f, "%s%s = ", dotted, c->overrides[i].path);
        print_text(f, c->overrides[i].value);
        fputc('\n', f);
    }
    return close_text(cx, f, &text);
}

char *kin_config_text(kin_ctx *cx, const kin_config *c)
{
    return text_of(cx, c, false);
}

kin_status kin_config_save(kin_ctx *cx, const kin_config *c, const char *path)
{
    char *text = text_of(cx, c, true);
    if (!text) return cx->status;
    const kin_status rc = kin_write_file(cx, path, text, (int64_t)strlen(text));
    free(text);
    return rc;
}

static const char *argument_of(const key_def *k)
{
    static const char *const names[] = {"TEXT", "", "N", "X", ""};
    return k->type == CHOICE ? k->choices : names[k->type];
}

void kin_config_list(void (*each)(void *user, const char *flag, const char *argument, const char *help),
                     void *user)
{
    each(user, "--config", "FILE", "options from a file, or of a name of configs; flags lie over it");
    for (const key_def *k = keys; k < keys + KEYS; k++) {
        char flag[48];
        snprintf(flag, sizeof flag, "--%s", k->key);
        each(user, flag, argument_of(k), k->help);
    }
}

char *kin_config_help(kin_ctx *cx)
{
    kin_config c;
    char *text = NULL;
    size_t size;
    FILE *f = kin_config_init(cx, &c) == KIN_OK ? open_memstream(&text, &size) : NULL;
    if (f)
        fprintf(f, "  --config %-*s options from a file, or of a name of configs; flags lie over it\n",
                HELP_COLUMN - 6, "FILE");
    for (const key_def *k = keys; f && k < keys + KEYS; k++) {
        fprintf(f, "  --%s %-*s %s", k->key, HELP_COLUMN - (int)strlen(k->key), argument_of(k), k->help);
        const bool empty = is_text(k) && !*k->text;
        if (!empty) {
            fputs(" (", f);
            print_value(f, &c, k);
            fputc(')', f);
        }
        fputc('\n', f);
    }
    if (f)
        fprintf(f, "  --%sPATH %-*s %s\n", dotted, HELP_COLUMN - 10, "VALUE",
                "a member of the model's JSON, e.g. --model.text.layers 4");
    kin_config_free(&c);
    if (f) return close_text(cx, f, &text);
    kin_fail(cx, KIN_NOMEM, "out of memory for the text of the options");
    return NULL;
}
