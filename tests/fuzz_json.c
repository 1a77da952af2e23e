/* Any bytes as JSON, and as run options (the other text that people hand to kin). */
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "train/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kin_ctx cx = {0};
    json_t *v = kin_json_parse(&cx, "fuzz", data, size);
    if (v) {
        kin_json_int(&cx, v, "a", 0, 0, 100);
        kin_json_string(&cx, v, "b", "");
        json_decref(v);
    }
    kin_clear(&cx);
    kin_config c = {0}, d = {0};
    if (kin_config_init(&cx, &c) == KIN_OK && kin_config_init(&cx, &d) == KIN_OK &&
        kin_config_parse(&cx, &c, "fuzz", (const char *)data, (int64_t)size) == KIN_OK) {
        /* What was understood reads back to the same. */
        char *a = kin_config_text(&cx, &c);
        if (a) kin_config_parse(&cx, &d, "again", a, (int64_t)strlen(a));
        char *b = a ? kin_config_text(&cx, &d) : NULL;
        if (b && strcmp(a, b) != 0) abort();
        free(a);
        free(b);
    }
    kin_config_free(&c);
    kin_config_free(&d);
    return 0;
}
