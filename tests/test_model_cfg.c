/* model_cfg: what a picture's size may be, and the sentences for what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "nn/model_cfg.h"

static kin_status read_size(kin_ctx *cx, const char *size, kin_model_cfg *out)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "{\"embed_dim\": 8, \"vision_cfg\": {\"image_size\": %s, \"layers\": 1, \"width\": 16, "
        "\"head_width\": 16, \"patch_size\": 8}, \"text_cfg\": {\"context_length\": 8, \"vocab_size\": 20, "
        "\"width\": 16, \"heads\": 1, \"layers\": 1}}",
        size);
    *cx = (kin_ctx){0};
    json_t *json = kin_json_parse(cx, "model", text, strlen(text));
    const kin_status rc = json ? kin_model_cfg_read(cx, "model", json, out) : cx->status;
    json_decref(json);
    return rc;
}

static void a_picture_is_a_square_or_not(void **state)
{
    static const struct {
        const char *size;
        int64_t height, width, rows, columns;
    } forms[] = {{"32", 32, 32, 4, 4},
                 {"[48, 192]", 48, 192, 6, 24},
                 {"[64, 8]", 64, 8, 8, 1},
                 {"[24, 24]", 24, 24, 3, 3}};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        kin_ctx cx;
        kin_model_cfg m;
        if (read_size(&cx, forms[i].size, &m) != KIN_OK) fail_msg("%s", cx.message);
        const kin_vision_cfg *v = &m.vision;
        assert_int_equal(v->image_height, forms[i].height);
        assert_int_equal(v->image_width, forms[i].width);
        assert_int_equal(kin_image_bytes(v), forms[i].height * forms[i].width * 3);
        assert_int_equal(kin_vision_rows(v), forms[i].rows);
        assert_int_equal(kin_vision_columns(v), forms[i].columns);
        assert_int_equal(kin_vision_patches(v), forms[i].rows * forms[i].columns);
        assert_int_equal(kin_vision_tokens(v), forms[i].rows * forms[i].columns + 1);
    }
}

static void other_sizes_are_refused(void **state)
{
    static const char pair[] =
        "model: image_size must be a number of pixels or [height, width], each from 1 to 4096";
    static const struct {
        const char *size, *says;
    } wrong[] = {{"[32]", pair},
                 {"[32, 32, 3]", pair},
                 {"[]", pair},
                 {"[32, 0]", pair},
                 {"[8000, 32]", pair},
                 {"[32, \"64\"]", pair},
                 {"[32, 64.5]", pair},
                 {"[32, 36]", "model: image_size 32 x 36 is not a multiple of patch_size 8"},
                 {"30", "model: image_size 30 x 30 is not a multiple of patch_size 8"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        kin_ctx cx;
        kin_model_cfg m;
        assert_int_not_equal(read_size(&cx, wrong[i].size, &m), KIN_OK);
        assert_string_equal(cx.message, wrong[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_picture_is_a_square_or_not),
                                       cmocka_unit_test(other_sizes_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
