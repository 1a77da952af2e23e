/* base, rng, tensor, json, and the shape rules and costs of the op table. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/graph.h"
#include "core/json.h"
#include "core/op.h"
#include "core/rng.h"
#include "core/file.h"

/* ---- base ---------------------------------------------------------------------------------------------- */

static void first_error_wins(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    assert_int_equal(kin_fail(&cx, KIN_SHAPE, "%d != %d", 3, 4), KIN_SHAPE);
    assert_int_equal(kin_fail(&cx, KIN_IO, "a consequence"), KIN_IO);
    assert_int_equal(cx.status, KIN_SHAPE);
    assert_string_equal(cx.message, "3 != 4");
    assert_int_equal(kin_within(&cx, "linear '%s'", "fc1"), KIN_SHAPE);
    assert_string_equal(cx.message, "linear 'fc1': 3 != 4");
    kin_clear(&cx);
    assert_int_equal(cx.status, KIN_OK);
    char wide[3000];
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = 0;
    kin_fail(&cx, KIN_ARG, "%s", wide);
    for (int i = 0; i < 20; i++) kin_within(&cx, "%s", wide);
    assert_true(strlen(cx.message) < sizeof cx.message);
    assert_string_equal(kin_status_name(KIN_NOMEM), "out of memory");
}

static void sizes_are_checked(void **state)
{
    (void)state;
    int64_t n = -7;
    assert_true(kin_mul(INT64_C(3037000499), INT64_C(3037000499), &n));
    assert_int_equal(n, INT64_C(9223372030926249001));
    assert_false(kin_mul(INT64_C(3037000500), INT64_C(3037000500), &n));
    assert_false(kin_mul(-1, 1, &n));
    assert_false(kin_mul(1, -1, &n));
    assert_true(kin_mul(0, INT64_MAX, &n));
    assert_int_equal(n, 0);
    assert_true(kin_sum(INT64_MAX - 1, 1, &n));
    assert_int_equal(n, INT64_MAX);
    assert_false(kin_sum(INT64_MAX, 1, &n));
    assert_false(kin_sum(-1, 1, &n));
    kin_ctx cx = {0};
    assert_null(kin_alloc(&cx, INT64_MAX / 4, 8));
    assert_int_equal(cx.status, KIN_NOMEM);
    assert_non_null(strstr(cx.message, "does not fit"));
    kin_clear(&cx);
    assert_null(kin_alloc0(&cx, -1, 8));
    assert_int_equal(cx.status, KIN_NOMEM);
    char *empty = kin_alloc(&cx, 0, 8); /* nothing is not an error */
    assert_non_null(empty);
    free(empty);
}

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/kin-test-core-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static char *in_folder(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void files_are_whole(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    uint8_t *data;
    int64_t size;
    assert_int_equal(kin_write_file(&cx, in_folder("a"), "first", 5), KIN_OK);
    assert_int_equal(access(in_folder("a.tmp"), F_OK), -1);
    assert_int_equal(kin_write_file(&cx, in_folder("a"), "second", 6), KIN_OK);
    assert_int_equal(kin_read_file(&cx, in_folder("a"), 6, &data, &size), KIN_OK);
    assert_int_equal(size, 6);
    assert_string_equal((const char *)data, "second");
    free(data);
    /* What cannot be written leaves the old file. */
    assert_int_equal(mkdir(in_folder("a.tmp"), 0755), 0);
    assert_int_equal(kin_write_file(&cx, in_folder("a"), "third", 5), KIN_IO);
    assert_non_null(strstr(cx.message, "a.tmp"));
    kin_clear(&cx);
    assert_int_equal(kin_read_file(&cx, in_folder("a"), 100, &data, &size), KIN_OK);
    assert_string_equal((const char *)data, "second");
    free(data);
    assert_int_equal(kin_read_file(&cx, in_folder("a"), 5, &data, &size), KIN_FORMAT);
    assert_non_null(strstr(cx.message, "6 bytes, more than the 5 allowed"));
    kin_clear(&cx);
    assert_int_equal(kin_read_file(&cx, in_folder("missing"), 5, &data, &size), KIN_IO);
    assert_non_null(strstr(cx.message, "No such file"));
    kin_clear(&cx);
    assert_int_equal(kin_read_file(&cx, folder, 5, &data, &size), KIN_IO);
    kin_clear(&cx);
    assert_int_equal(kin_make_dirs(&cx, in_folder("x/y/z")), KIN_OK);
    assert_int_equal(kin_make_dirs(&cx, in_folder("x/y")), KIN_OK); /* is there already */
    assert_int_equal(kin_write_file(&cx, in_folder("x/y/z/empty"), "", 0), KIN_OK);
    assert_int_equal(kin_make_dirs(&cx, in_folder("a/b")), KIN_IO); /* a is a file */
}

static void fnv_known_answers(void **state)
{
    (void)state;
    assert_true(kin_fnv(KIN_FNV, "", 0) == 0xcbf29ce484222325ull);
    assert_true(kin_fnv(KIN_FNV, "a", 1) == 0xaf63dc4c8601ec8cull);
    assert_true(kin_fnv(KIN_FNV, "foobar", 6) == 0x85944171f73967e8ull);
}

/* ---- rng -------------------------------------------------------------------------------------------------
 */

/* kat_vectors of Random123: philox4x32, 10 rounds. */
static void philox_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4];
        uint64_t key;
        uint32_t out[4];
    } known[] = {
        {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         0xffffffffffffffffull,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         0x299f31d0a4093822ull,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        uint32_t out[4];
        const uint32_t *c = known[k].counter;
        kin_philox(known[k].key, c[0], c[1], c[2], c[3], out);
        assert_memory_equal(out, known[k].out, sizeof out);
    }
}

static void draws_are_even(void **state)
{
    (void)state;
    enum { DRAWS = 60000, FACES = 6 };
    kin_rng r = kin_rng_new(5), again = kin_rng_new(5);
    int faces[FACES] = {0};
    double sum = 0.0, square = 0.0, unit = 0.0;
    for (int i = 0; i < DRAWS; i++) {
        const uint32_t f = kin_rng_below(&r, FACES);
        assert_true(f < FACES);
        faces[f]++;
        const double z = kin_rng_normal(&r), u = (double)kin_rng_unit(&r);
        assert_true(u >= 0.0 && u < 1.0 && isfinite(z));
        sum += z;
        square += z * z;
        unit += u;
    }
    for (int f = 0; f < FACES; f++) assert_true(abs(faces[f] - DRAWS / FACES) < 400); /* 4 deviations */
    assert_true(fabs(sum / DRAWS) < 4.0 / sqrt(DRAWS));
    assert_true(fabs(square / DRAWS - 1.0) < 4.0 * sqrt(2.0 / DRAWS));
    assert_true(fabs(unit / DRAWS - 0.5) < 4.0 * sqrt(1.0 / 12.0 / DRAWS));
    for (int i = 0; i < 3; i++) assert_int_equal(kin_rng_below(&again, 1), 0);
    assert_true(kin_unit(0xffffffffu) < 1.0f && kin_unit(0) == 0.0f);
    assert_true(kin_key(1, 2, 3) == kin_key(1, 2, 3));
    assert_true(kin_key(1, 2, 3) != kin_key(1, 3, 2) && kin_key(1, 2, 3) != kin_key(2, 2, 3));
}

static void permutations_are_whole(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    uint32_t p[COUNT], seen[COUNT] = {0};
    kin_rng r = kin_rng_new(9);
    kin_rng_permutation(&r, p, COUNT);
    int fixed = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(p[i] < COUNT);
        seen[p[i]]++;
        fixed += p[i] == i;
    }
    for (int i = 0; i < COUNT; i++) assert_int_equal(seen[i], 1);
    assert_true(fixed < 10); /* one is expected */
    kin_rng_permutation(&r, p, 1);
    assert_int_equal(p[0], 0);
    kin_rng_permutation(&r, p, 0);
}

/* ---- tensor ----------------------------------------------------------------------------------------------
 */

typedef struct half {
    const char *name;
    float (*from)(uint16_t);
    uint16_t (*to)(float);
    uint16_t infinity;
} half;

static void check_half(const half *t)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = t->from((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(t->from(t->to(f))));
        else if (t->to(f) != h)
            fail_msg("%s %04x is %g and comes back as %04x", t->name, h, (double)f, t->to(f));
    }
    for (uint16_t h = 0; h < t->infinity - 1; h++) { /* between neighbours: the nearer, else the even one */
        const float low = t->from(h), high = t->from((uint16_t)(h + 1)), middle = low + (high - low) / 2.0f;
        const uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        if (t->to(middle) != even || t->to(nextafterf(middle, low)) != h ||
            t->to(nextafterf(middle, high)) != h + 1 || t->to(-middle) != (even | 0x8000))
            fail_msg("%s rounds wrongly between %04x and %04x", t->name, h, h + 1);
    }
    const float largest = t->from((uint16_t)(t->infinity - 1));
    assert_int_equal(t->to(largest), t->infinity - 1);
    assert_int_equal(t->to(HUGE_VALF), t->infinity);
    assert_int_equal(t->to(-HUGE_VALF), t->infinity | 0x8000);
    assert_true(isinf(t->from(t->infinity)));
}

static void halves_round_to_nearest(void **state)
{
    static const half kinds[] = {{"bf16", kin_from_bf16, kin_to_bf16, 0x7f80},
                                 {"f16", kin_from_f16, kin_to_f16, 0x7c00}};
    (void)state;
    for (int k = 0; k < 2; k++) check_half(&kinds[k]);
    assert_int_equal(kin_to_f16(65519.0f), 0x7bff);
    assert_int_equal(kin_to_f16(65520.0f), 0x7c00);
    assert_int_equal(kin_to_f16(0x1p-25f), 0);
    assert_int_equal(kin_to_f16(0x1.8p-25f), 1);
    assert_true(kin_from_f16(0x3555) == 0x1.554p-2f);
    assert_true(kin_from_bf16(0x4049) == 3.140625f);
}

static void shapes_are_checked(void **state)
{
    (void)state;
    char text[96];
    int64_t bytes;
    kin_shape s = kin_fixed(KIN_F32, 3, (int64_t)32, (int64_t)77, (int64_t)512);
    assert_string_equal(kin_shape_text(&s, text), "[32,77,512]");
    assert_true(kin_shape_bytes(&s, &bytes));
    assert_int_equal(bytes, 32 * 77 * 512 * 4);
    s.sym = 0;
    s.mul = 1;
    assert_string_equal(kin_shape_text(&s, text), "[<=32,77,512]");
    s = kin_fixed(KIN_F64, 2, INT64_C(1) << 40, INT64_C(1) << 30);
    assert_false(kin_shape_bytes(&s, &bytes));
    s = KIN_ABSENT;
    assert_true(kin_shape_bytes(&s, &bytes));
    assert_int_equal(bytes, 0);
    s = kin_fixed(KIN_I8, 6, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
    assert_true(strlen(kin_shape_text(&s, text)) < sizeof text);
    const kin_tensor scalar = {.dtype = KIN_F32}, none = {.rank = -1};
    assert_int_equal(kin_count(&scalar), 1);
    assert_int_equal(kin_cols(&scalar), 1);
    assert_int_equal(kin_count(&none), 0);
}

/* ---- json ------------------------------------------------------------------------------------------------
 */

static void json_errors_say_where(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {{"{\"a\": 1,\n \"a\": 2}", "duplicate"}, {"{\"a\": 1,\n  oops}", "x.json: line 2"},
               {"{\"a\": ", "x.json: line 1"},          {"[1, 2] tail", "end of file expected"},
               {"\"\xff\"", "decode byte 0xff"},        {"", "x.json"}};
    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        kin_ctx cx = {0};
        assert_null(kin_json_parse(&cx, "x.json", bad[k].text, strlen(bad[k].text)));
        assert_int_equal(cx.status, KIN_FORMAT);
        if (!strstr(cx.message, bad[k].says)) fail_msg("'%s' does not say '%s'", cx.message, bad[k].says);
    }
}

static void json_members(void **state)
{
    (void)state;
    static const char text[] = "{\"n\": 7, \"r\": 0.5, \"b\": true, \"s\": \"hi\", \"z\": null}";
    kin_ctx cx = {0};
    json_t *v = kin_json_parse(&cx, "x.json", text, sizeof text - 1);
    assert_non_null(v);
    assert_int_equal(kin_json_int(&cx, v, "n", 1, 0, 10), 7);
    assert_true(kin_json_real(&cx, v, "n", 0.0) == 7.0 && kin_json_real(&cx, v, "r", 0.0) == 0.5);
    assert_true(kin_json_bool(&cx, v, "b", false));
    assert_string_equal(kin_json_string(&cx, v, "s", ""), "hi");
    assert_int_equal(kin_json_int(&cx, v, "none", 3, 0, 10), 3);
    assert_int_equal(kin_json_int(&cx, v, "z", 4, 0, 10), 4); /* null is absent */
    assert_int_equal(cx.status, KIN_OK);
    assert_int_equal(kin_json_int(&cx, v, "n", 1, 0, 6), 1); /* out of range */
    assert_int_equal(cx.status, KIN_FORMAT);
    assert_non_null(strstr(cx.message, "\"n\" must be an integer from 0 to 6"));
    kin_clear(&cx);
    kin_json_int(&cx, v, "r", 1, 0, 6);
    assert_int_equal(cx.status, KIN_FORMAT);
    kin_clear(&cx);
    kin_json_string(&cx, v, "n", NULL);
    assert_non_null(strstr(cx.message, "\"n\" must be a string"));
    kin_clear(&cx);
    kin_json_bool(&cx, v, "s", false);
    assert_int_equal(cx.status, KIN_FORMAT);
    kin_clear(&cx);
    assert_int_equal(kin_json_save(&cx, in_folder("v.json"), v), KIN_OK);
    json_t *w = kin_json_load(&cx, in_folder("v.json"), 1000);
    assert_true(json_equal(v, w));
    json_decref(v);
    json_decref(w);
}

/* ---- the op table: shape rules
 * ------------------------------------------------------------------------------ */

#define F32(...) kin_fixed(KIN_F32, __VA_ARGS__)
#define I32(...) kin_fixed(KIN_I32, __VA_ARGS__)
#define N(x) ((int64_t)(x))

/* out[0] of an op on these shapes; rank -1 and the message in cx when refused. */
static kin_shape shape_of(kin_ctx *cx, kin_op op, const void *attr, kin_shape a, kin_shape b, kin_shape c,
                          kin_shape d, kin_shape e)
{
    const kin_shape in[KIN_MAX_IN] = {a, b, c, d, e};
    kin_shape out[KIN_MAX_OUT] = {KIN_ABSENT, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT};
    kin_clear(cx);
    return kin_op_get(op)->def->shape(cx, in, attr, out) == KIN_OK ? out[0] : KIN_ABSENT;
}

static void refused(const kin_ctx *cx, kin_shape out, const char *says)
{
    assert_int_equal(out.rank, -1);
    if (!strstr(cx->message, says)) fail_msg("'%s' does not say '%s'", cx->message, says);
}

static void shape_errors_name_both(void **state)
{
    (void)state;
    const kin_shape none = KIN_ABSENT;
    const kin_linear_attr linear = {0};
    const kin_conv2d_attr conv = {.stride = 1, .groups = 1};
    const kin_patchify_attr patch = {.p = 16};
    const kin_attention_attr att = {.scale = 1.0f, .tq = 5, .tk = 7};
    const kin_axis_attr last = {.axis = 1, .start = 5, .count = 3};
    kin_ctx cx = {0};
    kin_shape s;
    s = shape_of(&cx, KIN_OP_linear, &linear, F32(3, N(32), N(77), N(512)), F32(2, N(2048), N(768)), none,
                 none, none);
    assert_int_equal(s.rank, -1);
    assert_string_equal(cx.message, "x is [32,77,512], w is [2048,768]: 512 != 768");
    s = shape_of(&cx, KIN_OP_linear, &linear, F32(2, N(3), N(4)), F32(2, N(5), N(4)), F32(1, N(6)), none,
                 none);
    refused(&cx, s, "w is [5,4], bias is [6]: 5 != 6");
    s = shape_of(&cx, KIN_OP_add, NULL, F32(2, N(3), N(4)), F32(2, N(3), N(5)), none, none, none);
    refused(&cx, s, "a is [3,4], b is [3,5]");
    s = shape_of(&cx, KIN_OP_patchify, &patch, F32(4, N(2), N(32), N(40), N(3)), none, none, none, none);
    refused(&cx, s, "[2,32,40,3]");
    s = shape_of(&cx, KIN_OP_conv2d, &conv, F32(4, N(1), N(2), N(2), N(3)), F32(4, N(8), N(3), N(3), N(3)),
                 none, none, none);
    refused(&cx, s, "the filter does not fit");
    s = shape_of(&cx, KIN_OP_attention, &att, F32(3, N(10), N(4), N(12)), F32(3, N(14), N(4), N(12)),
                 F32(3, N(14), N(4), N(12)), none, none);
    refused(&cx, s, "multiple of 8");
    s = shape_of(&cx, KIN_OP_attention, &att, F32(3, N(10), N(4), N(8)), F32(3, N(14), N(3), N(8)),
                 F32(3, N(14), N(3), N(8)), none, none);
    refused(&cx, s, "4 query heads for 3 key heads");
    s = shape_of(&cx, KIN_OP_attention, &att, F32(3, N(10), N(4), N(8)), F32(3, N(21), N(4), N(8)),
                 F32(3, N(21), N(4), N(8)), none, none);
    refused(&cx, s, "2 sequences of queries, 3 of keys");
    s = shape_of(&cx, KIN_OP_slice, &last, F32(2, N(2), N(7)), none, none, none, none);
    refused(&cx, s, "it has no 5..7");
    s = shape_of(&cx, KIN_OP_infonce, &linear, F32(2, N(5), N(8)), F32(2, N(4), N(8)), F32(0), none, none);
    refused(&cx, s, "a is [5,8], b is [4,8]");
}

/* [mul * rows + add, width] of a symbol whose capacity is 10. */
static kin_shape live(int64_t mul, int64_t add, int64_t width)
{
    kin_shape s = F32(2, 10 * mul + add, width);
    s.sym = 3;
    s.mul = mul;
    s.add = add;
    return s;
}

static void assert_rows(kin_shape s, int64_t mul, int64_t add)
{
    assert_int_equal(s.sym, 3);
    assert_int_equal(s.mul, mul);
    assert_int_equal(s.add, add);
    assert_int_equal(s.dim[0], 10 * mul + add);
}

static void live_rows_are_followed(void **state)
{
    (void)state;
    const kin_shape none = KIN_ABSENT;
    const kin_linear_attr linear = {0};
    const kin_patchify_attr patch = {.p = 4};
    const kin_tokens_attr tokens = {.k = 6};
    const kin_pool_attr fixed = {.mode = KIN_POOL_MEAN, .t = 6}, ragged = {.mode = KIN_POOL_LAST};
    const kin_repeat_attr repeat = {.per = 6};
    const kin_patch_drop_attr drop = {.patches = 6, .keep = 2};
    const kin_axis_attr rows = {.axis = 0, .count = 1};
    kin_shape img = F32(4, N(10), N(8), N(12), N(3)), off = I32(1, N(11));
    kin_ctx cx = {0};
    img.sym = off.sym = 3;
    img.mul = off.mul = off.add = 1;
    assert_rows(shape_of(&cx, KIN_OP_patchify, &patch, img, none, none, none, none), 6, 0);
    assert_rows(shape_of(&cx, KIN_OP_linear, &linear, live(6, 0, 48), F32(2, N(8), N(48)), none, none, none),
                6, 0);
    assert_rows(shape_of(&cx, KIN_OP_patch_drop, &drop, live(6, 0, 8), none, none, none, none), 2, 0);
    assert_rows(shape_of(&cx, KIN_OP_tokens, &tokens, live(6, 0, 8), F32(2, N(1), N(8)), none, none, none), 7,
                0);
    assert_rows(shape_of(&cx, KIN_OP_pool, &fixed, live(6, 0, 8), none, none, none, none), 1, 0);
    assert_rows(shape_of(&cx, KIN_OP_pool, &ragged, live(70, 0, 8), off, none, none, none), 1, 0);
    assert_rows(shape_of(&cx, KIN_OP_repeat, &repeat, F32(2, N(3), N(8)), live(6, 0, 5), none, none, none), 3,
                0);
    assert_rows(shape_of(&cx, KIN_OP_concat, &rows, live(1, 0, 8), F32(2, N(4), N(8)), none, none, none), 1,
                4);
    assert_rows(shape_of(&cx, KIN_OP_concat, &rows, live(1, 0, 8), live(2, 1, 8), none, none, none), 3, 1);
    kin_shape other = live(1, 0, 8);
    other.sym = 4;
    refused(&cx, shape_of(&cx, KIN_OP_concat, &rows, live(1, 0, 8), other, none, none, none),
            "different counts");
    refused(&cx, shape_of(&cx, KIN_OP_add, NULL, live(1, 0, 8), other, none, none, none), "equal");
    refused(&cx, shape_of(&cx, KIN_OP_pool, &fixed, live(5, 0, 8), none, none, none, none), "length");
    refused(&cx, shape_of(&cx, KIN_OP_slice, &rows, live(1, 0, 8), none, none, none, none), "live count");
}

/* A loss over pictures and texts, which are counted apart. */
static void losses_take_two_symbols(void **state)
{
    (void)state;
    const kin_shape none = KIN_ABSENT, a = live(1, 0, 8);
    const kin_triplet_attr triplet = {.margin = 0.2f};
    const kin_infonce_attr infonce = {0};
    kin_shape b = a;
    kin_ctx cx = {0};
    b.sym = 4;
    assert_int_equal(shape_of(&cx, KIN_OP_triplet, &triplet, a, b, none, none, none).rank, 0);
    assert_int_equal(shape_of(&cx, KIN_OP_infonce, &infonce, a, b, F32(0), none, none).rank, 0);
    assert_int_equal(shape_of(&cx, KIN_OP_siglip, NULL, a, b, F32(0), F32(0), none).rank, 0);
    refused(&cx, shape_of(&cx, KIN_OP_triplet, &triplet, a, live(2, 0, 8), none, none, none), "equal rows");
}

/* ---- the op table: costs
 * ------------------------------------------------------------------------------------- */

static double flops(kin_op op, const kin_sample *s, bool backward, uint32_t wanted)
{
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT], din[KIN_MAX_IN];
    kin_shape shape[KIN_MAX_OUT] = {KIN_ABSENT, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT};
    static int32_t offsets[2][16];
    static char somewhere;
    kin_ctx cx = {0};
    assert_int_equal(kin_op_get(op)->def->shape(&cx, s->in, s->attr.bytes, shape), KIN_OK);
    for (int i = 0; i < KIN_MAX_OUT; i++) out[i] = kin_shape_tensor(&shape[i], NULL);
    for (int i = 0; i < KIN_MAX_IN; i++) {
        in[i] = din[i] = kin_shape_tensor(&s->in[i], NULL);
        if (wanted & IN(i)) din[i].ptr = &somewhere;
        if (s->in[i].rank < 0 || s->fill[i] != KIN_FILL_OFFSETS) continue;
        for (int64_t b = 0; b < s->in[i].dim[0]; b++)
            offsets[i - 3][b] = (int32_t)kin_sample_total(b, (int64_t)s->arg[i]);
        in[i].ptr = offsets[i - 3];
    }
    const kin_call call = {.in = in, .out = out, .din = din, .attr = s->attr.bytes};
    kin_cost cost = {0};
    kin_op_get(op)->def->cost(&call, backward, &cost);
    assert_true(cost.bytes > 0.0 && isfinite(cost.bytes));
    return cost.flops;
}

/* Counted one by one, over every case of attention. */
static void attention_counts_what_is_seen(void **state)
{
    (void)state;
    kin_sample s;
    for (int i = 0; kin_op_attention.sample(i, 6, &s); i++) {
        const kin_attention_attr *a = (const void *)s.attr.bytes;
        const bool own = s.in[1].rank < 0;
        const int64_t h = s.in[0].dim[s.in[0].rank - 2], d = s.in[0].dim[s.in[0].rank - 1];
        double pairs = 0.0;
        for (int64_t b = 0; b < 6; b++) {
            const int64_t tq = s.in[3].rank < 0 ? a->tq : kin_sample_length(b, (int64_t)s.arg[3]);
            const int64_t tk = own ? tq : s.in[4].rank < 0 ? a->tk : kin_sample_length(b, (int64_t)s.arg[4]);
            for (int64_t q = 0; q < tq; q++)
                for (int64_t k = 0; k < tk; k++) pairs += !a->causal || k <= q + tk - tq;
        }
        const double unit = (double)(h * d) * pairs;
        if (flops(KIN_OP_attention, &s, false, 0) != 4.0 * unit ||
            flops(KIN_OP_attention, &s, true, IN(0)) != 10.0 * unit)
            fail_msg("'%s': %g flops, counted %g", s.label, flops(KIN_OP_attention, &s, false, 0),
                     4.0 * unit);
    }
}

static void products_count_what_is_wanted(void **state)
{
    (void)state;
    kin_sample s;
    assert_true(kin_op_linear.sample(0, 2, &s)); /* x [2, 3, 5], w [7, 5] */
    const double one = 2.0 * 6.0 * 7.0 * 5.0;
    assert_true(flops(KIN_OP_linear, &s, false, 0) == one);
    assert_true(flops(KIN_OP_linear, &s, true, IN(1) | IN(2)) == one); /* a frozen input costs nothing */
    assert_true(flops(KIN_OP_linear, &s, true, IN(0) | IN(1)) == 2.0 * one);
    assert_true(flops(KIN_OP_linear, &s, true, 0) ==
                2.0 * one);                      /* before memory is bound: as if all were wanted */
    assert_true(kin_op_conv2d.sample(0, 2, &s)); /* 7 x 6 x 3, five 3 x 3 filters, stride 2: 4 x 3 */
    assert_true(flops(KIN_OP_conv2d, &s, false, 0) == 2.0 * (2 * 4 * 3 * 5) * 27.0);
    assert_true(kin_op_add.sample(0, 2, &s));
    assert_true(flops(KIN_OP_add, &s, false, 0) == 0.0);
}

static void the_table_is_whole(void **state)
{
    (void)state;
    for (int op = 0; op < KIN_OP_COUNT; op++) {
        const kin_op_row *row = kin_op_get((kin_op)op);
        assert_non_null(row->def->name);
        assert_non_null(row->def->shape);
        assert_non_null(row->def->cost);
        assert_non_null(row->def->sample);
        assert_true((row->diff >> row->nin) == 0);
        kin_sample s;
        for (int i = 0; row->def->sample(i, 3, &s); i++) {
            const uint32_t reads = row->def->reads ? row->def->reads(s.in, s.attr.bytes) : row->reads;
            assert_true((reads & ~row->reads) == 0); /* narrower, never wider */
        }
    }
    assert_string_equal(kin_op_get(KIN_OP_linear)->def->name, "linear");
    assert_string_equal(kin_fn_name(KIN_FN_adamw), "adamw");
    assert_true(kin_ops_hash() != 0 && kin_ops_hash() == kin_ops_hash());
    assert_int_equal(kin_sample_total(4, 5), 5 + 1 + 0 + 3);
}

/* Positions on a grid of 2 x 3 behind a class token: x and y in half periods over the picture, then finer. */
static void grid_positions(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_ref(&cx, KIN_F64);
    kin_params *p = kin_params_new(&cx);
    const kin_shape shape = kin_fixed(KIN_F32, 2, (int64_t)7, (int64_t)8);
    const int i = kin_params_add(&cx, p, "pos", &shape,
                                 (kin_init){.kind = KIN_INIT_GRID, .arg = 3.0, .rows = 2, .columns = 3});
    float v[56];
    assert_int_equal(kin_params_alloc(&cx, p, b, false, false), KIN_OK);
    assert_int_equal(kin_params_init(&cx, p, 1), KIN_OK);
    assert_int_equal(kin_param_get(&cx, p, i, false, v), KIN_OK);
    const double pi = 3.14159265358979324, w[2][2] = {{pi / 3, pi / sqrt(3.0)}, {pi / 2, pi / sqrt(2.0)}};
    for (int k = 0; k < 8; k++) assert_true(v[k] == 0.0f);
    for (int patch = 0; patch < 6; patch++)
        for (int k = 0; k < 8; k++) {
            const double angle = (k < 4 ? patch % 3 : patch / 3) * w[k / 4][k % 2];
            const double want = 3.0 * (k / 2 % 2 ? cos(angle) : sin(angle));
            assert_true(fabs((double)v[8 + patch * 8 + k] - want) < 1e-6);
        }
    kin_params_free(p);
    kin_backend_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(files_are_whole),
        cmocka_unit_test(fnv_known_answers),
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(draws_are_even),
        cmocka_unit_test(permutations_are_whole),
        cmocka_unit_test(halves_round_to_nearest),
        cmocka_unit_test(shapes_are_checked),
        cmocka_unit_test(json_errors_say_where),
        cmocka_unit_test(json_members),
        cmocka_unit_test(shape_errors_name_both),
        cmocka_unit_test(live_rows_are_followed),
        cmocka_unit_test(losses_take_two_symbols),
        cmocka_unit_test(attention_counts_what_is_seen),
        cmocka_unit_test(products_count_what_is_wanted),
        cmocka_unit_test(the_table_is_whole),
        cmocka_unit_test(grid_positions),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
