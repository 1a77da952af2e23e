#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

json_t *kin_json_parse(kin_ctx *cx, const char *what, const void *data, size_t size)
{
    json_error_t e;
    json_t *v = json_loadb(data, size, JSON_REJECT_DUPLICATES, &e);
    if (!v) kin_fail(cx, KIN_FORMAT, "%s: line %d, column %d: %s", what, e.line, e.column, e.text);
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
