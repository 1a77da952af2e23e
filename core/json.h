/* json: jansson with kin's rules: duplicate keys are errors, a syntax error names file, line and column,
 * a missing or mistyped member is one clear sentence. Values are jansson's json_t, owned as there. */
#ifndef KIN_JSON_H
#define KIN_JSON_H
#include <jansson.h>

#include "core/base.h"

/* Parses `size` bytes; `what` names them in messages (a file name). NULL on failure. json_decref it. */
json_t *kin_json_parse(kin_ctx *cx, const char *what, const void *data, size_t size);
json_t *kin_json_load(kin_ctx *cx, const char *path, int64_t limit);
/* jansson's dump with its flags; NULL when memory runs out. The caller frees it. */
char *kin_json_text(const json_t *value, size_t flags);
/* Indented by 2, keys in insertion order, written atomically. */
kin_status kin_json_save(kin_ctx *cx, const char *path, const json_t *value);

/* Walks a document too large to be held as values: one element at a time of the lists that are members of the
 * top object (`list`: the member's name), or of the top list (""), or of a sequence of objects as in JSON
 * Lines (""). Other members are passed over. The walk ends early when `visit` returns false or leaves an
 * error in cx. A syntax error names its line. */
typedef bool (*kin_json_visit)(kin_ctx *cx, void *user, const char *list, int64_t index, const json_t *value);
kin_status kin_json_walk(kin_ctx *cx, const char *what, const void *data, int64_t size, kin_json_visit visit,
                         void *user);

/* Members of an object with a default when absent (or null); a wrong type is KIN_FORMAT and gives the
 * default. Numbers: kin_json_int wants an integer in [min, max]. */
int64_t kin_json_int(kin_ctx *cx, const json_t *object, const char *key, int64_t absent, int64_t min,
                     int64_t max);
double kin_json_real(kin_ctx *cx, const json_t *object, const char *key, double absent);
bool kin_json_bool(kin_ctx *cx, const json_t *object, const char *key, bool absent);
const char *kin_json_string(kin_ctx *cx, const json_t *object, const char *key, const char *absent);

#endif
