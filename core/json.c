#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

/* jansson says nothing where it found no memory. */
static bool no_memory(const json_error_t *e)
{
    return !*e->text || json_error_code(e) == json_error_out_of_memory;
}

json_t *kin_json_parse(kin_ctx *cx, const char *what, const void *data, size_t size)
{
    json_error_t e;
    json_t *v = json_loadb(data, size, JSON_REJECT_DUPLICATES, &e);
    if (!v && no_memory(&e))
        kin_fail(cx, KIN_NOMEM, "%s: out of memory for its JSON", what);
    else if (!v)
        kin_fail(cx, KIN_FORMAT, "%s: line %d, column %d: %s", what, e.line, e.column, e.text);
    return v;
}

json_t *kin_json_load(kin_ctx *cx, const char *path, int64_t limit)
{
    uint8_t *data;
    int64_t size;
    if (kin_read_file(cx, path, limit, &data, &size) != KIN_OK) return NULL;
    json_t *v = kin_json_parse(cx, path, data, (size_t)size);
    free(data);
    return v;
}

typedef struct walk {
    const char *what, *text;
    int64_t size, at;
    kin_json_visit visit;
    void *user;
    bool stopped;
} walk;

static int64_t line_of(const walk *w, int64_t at)
{
    int64_t n = 1;
    for (int64_t i = 0; i < at; i++) n += w->text[i] == '\n';
    return n;
}

/* The next byte that is not white space, or 0 at the end. */
static char peek(walk *w)
{
    while (w->at < w->size && strchr(" \t\r\n", w->text[w->at]) && w->text[w->at]) w->at++;
    return w->at < w->size ? w->text[w->at] : '\0';
}

static kin_status expected(kin_ctx *cx, const walk *w, const char *what)
{
    return kin_fail(cx, KIN_FORMAT, "%s: line %lld: %s expected%s", w->what, (long long)line_of(w, w->at),
                    what, w->at >= w->size ? " where the file ends" : "");
}

/* One value from here on, of any kind; the walk stands behind it. */
static json_t *take(kin_ctx *cx, walk *w)
{
    json_error_t e;
    peek(w);
    json_t *v = json_loadb(w->text + w->at, (size_t)(w->size - w->at),
                           JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &e);
    if (v)
        w->at += e.position;
    else if (no_memory(&e))
        kin_fail(cx, KIN_NOMEM, "%s: out of memory for its JSON", w->what);
    else
        kin_fail(cx, KIN_FORMAT, "%s: line %lld: %s", w->what, (long long)(line_of(w, w->at) + e.line - 1),
                 e.text);
    return v;
}

static bool show(kin_ctx *cx, walk *w, const char *list, int64_t index)
{
    json_t *v = take(cx, w);
    if (!v) return false;
    w->stopped = !w->visit(cx, w->user, list, index, v);
    json_decref(v);
    return !w->stopped && cx->status == KIN_OK;
}

static void walk_list(kin_ctx *cx, walk *w, const char *name)
{
    w->at++;
    if (peek(w) == ']') {
        w->at++;
        return;
    }
    for (int64_t i = 0; show(cx, w, name, i); i++) {
        const char c = peek(w);
        if (c != ',' && c != ']') {
            expected(cx, w, "',' or ']'");
            return;
        }
        w->at++;
        if (c == ']') return;
    }
}

static void walk_object(kin_ctx *cx, walk *w)
{
    w->at++;
    if (peek(w) == '}') {
        w->at++;
        return;
    }
    while (cx->status == KIN_OK && !w->stopped) {
        json_t *key = peek(w) == '"' ? take(cx, w) : NULL;
        if (!key || peek(w) != ':') {
            expected(cx, w, key ? "':'" : "a name in quotes");
            json_decref(key);
            return;
        }
        w->at++;
        if (peek(w) == '[') {
            walk_list(cx, w, json_string_value(key));
        } else {
            json_decref(take(cx, w));
        }
        json_decref(key);
        if (cx->status != KIN_OK || w->stopped) return;
        const char c = peek(w);
        if (c != ',' && c != '}') {
            expected(cx, w, "',' or '}'");
            return;
        }
        w->at++;
        if (c == '}') return;
    }
}

/* Is the first value an object behind which another one follows on a line of its own? */
static bool is_lines(kin_ctx *cx, const walk *w)
{
    walk probe = *w;
    const char *end = memchr(w->text + w->at, '\n', (size_t)(w->size - w->at));
    if (!end) return false;
    probe.size = end - w->text;
    json_t *first = take(cx, &probe);
    if (cx->status != KIN_NOMEM) kin_clear(cx);
    json_decref(first);
    if (!first || peek(&probe)) return false;
    probe.size = w->size;
    return peek(&probe) == '{';
}

kin_status kin_json_walk(kin_ctx *cx, const char *what, const void *data, int64_t size, kin_json_visit visit,
                         void *user)
{
    walk w = {.what = what, .text = data, .size = size, .visit = visit, .user = user};
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) w.at = 3; /* a byte order mark */
    const char c = peek(&w);
    if (c == '[') {
        walk_list(cx, &w, "");
    } else if (c == '{' && is_lines(cx, &w)) {
        for (int64_t i = 0; peek(&w) && show(cx, &w, "", i);) i++;
    } else if (c == '{') {
        walk_object(cx, &w);
    } else {
        return expected(cx, &w, "'{' or '['");
    }
    if (cx->status == KIN_OK && !w.stopped && peek(&w)) expected(cx, &w, "the end of the file");
    return cx->status;
}

/* json_dumps takes no notice when memory runs out within a key (jansson#655); a stream's error sticks. */
char *kin_json_text(const json_t *value, size_t flags)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    bool bad = json_dumpf(value, f, flags) != 0 || ferror(f);
    bad |= fclose(f) != 0;
    if (!bad) return text;
    free(text);
    return NULL;
}

kin_status kin_json_save(kin_ctx *cx, const char *path, const json_t *value)
{
    char *text = kin_json_text(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    if (!text) return kin_fail(cx, KIN_NOMEM, "%s: out of memory while writing JSON", path);
    const kin_status rc = kin_write_file(cx, path, text, (int64_t)strlen(text));
    free(text);
    return rc;
}

static const json_t *member(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

int64_t kin_json_int(kin_ctx *cx, const json_t *object, const char *key, int64_t absent, int64_t min,
                     int64_t max)
{
    const json_t *v = member(object, key);
    if (!v) return absent;
    int64_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= min && n <= max) return n;
    kin_fail(cx, KIN_FORMAT, "\"%s\" must be an integer from %lld to %lld", key, (long long)min,
             (long long)max);
    return absent;
}

double kin_json_real(kin_ctx *cx, const json_t *object, const char *key, double absent)
{
    const json_t *v = member(object, key);
    if (!v) return absent;
    if (json_is_number(v)) return json_number_value(v);
    kin_fail(cx, KIN_FORMAT, "\"%s\" must be a number", key);
    return absent;
}

bool kin_json_bool(kin_ctx *cx, const json_t *object, const char *key, bool absent)
{
    const json_t *v = member(object, key);
    if (!v) return absent;
    if (json_is_boolean(v)) return json_is_true(v);
    kin_fail(cx, KIN_FORMAT, "\"%s\" must be true or false", key);
    return absent;
}

const char *kin_json_string(kin_ctx *cx, const json_t *object, const char *key, const char *absent)
{
    const json_t *v = member(object, key);
    if (!v) return absent;
    if (json_is_string(v)) return json_string_value(v);
    kin_fail(cx, KIN_FORMAT, "\"%s\" must be a string", key);
    return absent;
}
