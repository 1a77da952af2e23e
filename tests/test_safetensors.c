/* safetensors: round trips to the bit, the reference's layout, and every check of the load path.
 * crc32c as well: the known answer, and the instruction against the table. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/crc32c.h"
#include "core/file.h"
#include "core/rng.h"
#include "core/safetensors.h"

static char folder[64];

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A file of this header and `bytes` bytes of data 0, 1, 2, ..., in a block of its own. */
static uint8_t *make(const char *header, int64_t bytes, int64_t *size)
{
    const uint64_t n = strlen(header);
    *size = (int64_t)(8 + n) + bytes;
    uint8_t *p = malloc((size_t)*size);
    assert_non_null(p);
    memcpy(p, &n, 8);
    memcpy(p + 8, header, n);
    for (int64_t i = 0; i < bytes; i++) p[8 + (int64_t)n + i] = (uint8_t)i;
    return p;
}

static kin_status try_header(const char *header, int64_t bytes, char message[512])
{
    int64_t size;
    uint8_t *p = make(header, bytes, &size);
    kin_ctx cx = {0};
    kin_st *st = kin_st_parse(&cx, "x.safetensors", p, size);
    assert_true((st == NULL) == (cx.status != KIN_OK));
    kin_st_close(st);
    free(p);
    snprintf(message, 512, "%.511s", cx.message);
    return cx.status;
}

static void reads_the_layout(void **state)
{
    (void)state;
    const char header[] = "{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[2,10]},"
                          "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
                          "\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[10,10]},"
                          "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[10,11]},"
                          "\"__metadata__\":{\"format\":\"pt\",\"step\":\"7\"}}   ";
    int64_t size;
    uint8_t *p = make(header, 11, &size);
    kin_ctx cx = {0};
    kin_st *st = kin_st_parse(&cx, "x", p, size);
    assert_non_null(st);
    assert_int_equal(kin_st_size(st), 4);
    assert_string_equal(kin_st_at(st, 0)->name, "a");
    assert_null(kin_st_at(st, 4));
    assert_null(kin_st_find(st, "c"));
    const kin_st_entry *b = kin_st_find(st, "b"), *a = kin_st_find(st, "a");
    assert_int_equal(b->dtype, KIN_F32);
    assert_int_equal(b->rank, 1);
    assert_int_equal(b->bytes, 8);
    assert_ptr_equal(b->data, p + size - 11 + 2); /* unaligned: read_f32 copies */
    assert_int_equal(a->rank, 0);
    assert_int_equal(a->count, 1);
    assert_int_equal(kin_st_find(st, "none")->count, 0);
    assert_int_equal(kin_st_find(st, "mask")->dtype, KIN_DTYPE_COUNT);
    float out[2], expected[2];
    assert_int_equal(kin_st_read_f32(&cx, b, out, 2), KIN_OK);
    memcpy(expected, p + size - 9, 8);
    assert_memory_equal(out, expected, 8);
    assert_int_equal(kin_st_read_f32(&cx, a, out, 1), KIN_OK);
    assert_true(out[0] == kin_from_bf16(0x0100));
    assert_int_equal(kin_st_read_f32(&cx, b, out, 1), KIN_ARG);
    kin_clear(&cx);
    assert_int_equal(kin_st_read_f32(&cx, kin_st_find(st, "mask"), out, 1), KIN_UNSUPPORTED);
    assert_string_equal(kin_st_meta(st, "step"), "7");
    assert_null(kin_st_meta(st, "x"));
    const char *key, *value;
    assert_true(kin_st_meta_at(st, 1, &key, &value));
    assert_string_equal(key, "step");
    assert_false(kin_st_meta_at(st, 2, &key, &value));
    kin_st_close(st);
    free(p);
}

static void converts_eight_bit_floats(void **state)
{
    (void)state;
    static const struct {
        uint8_t bits;
        float e4m3, e5m2;
    } known[] = {
        {0x00, 0.0f, 0.0f},   {0x01, 0x1p-9f, 0x1p-16f}, {0x38, 1.0f, 0.5f},
        {0x3c, 1.5f, 1.0f},   {0x7e, 448.0f, NAN},       {0x7b, 352.0f, 57344.0f},
        {0xb8, -1.0f, -0.5f}, {0x08, 0x1p-6f, 0x1p-13f}, {0x7f, NAN, NAN},
    };
    enum { N = sizeof known / sizeof *known };
    char header[256];
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[%d],\"data_offsets\":[0,%d]},"
             "\"b\":{\"dtype\":\"F8_E5M2\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}",
             N, N, N, N, 2 * N);
    int64_t size;
    uint8_t *p = make(header, 2 * N, &size);
    for (int i = 0; i < N; i++) p[size - 2 * N + i] = p[size - N + i] = known[i].bits;
    kin_ctx cx = {0};
    kin_st *st = kin_st_parse(&cx, "x", p, size);
    assert_non_null(st);
    float a[N], b[N];
    assert_int_equal(kin_st_read_f32(&cx, kin_st_find(st, "a"), a, N), KIN_OK);
    assert_int_equal(kin_st_read_f32(&cx, kin_st_find(st, "b"), b, N), KIN_OK);
    for (int i = 0; i < N; i++) {
        assert_true(isnan(known[i].e4m3) ? isnan(a[i]) : a[i] == known[i].e4m3);
        assert_true(isnan(known[i].e5m2) ? isnan(b[i]) : b[i] == known[i].e5m2);
    }
    kin_st_close(st);
    free(p);
}

#define T(name, dtype, shape, begin, end)                                                                    \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void refuses_lies(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t bytes;
        kin_status status;
        const char *says;
    } bad[] = {
        {"", 0, KIN_FORMAT, "no '{'"},
        {" {}", 0, KIN_FORMAT, "no '{'"},
        {"{", 0, KIN_FORMAT, ""},
        {"{\"\xff\":1}", 0, KIN_FORMAT, "decode byte 0xff"},
        {"{\"a\":1}", 0, KIN_FORMAT, "'a' needs"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, KIN_FORMAT, "'a' needs"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 8, KIN_FORMAT, "'a' needs"},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("a", "F32", "[1]", "4", "8") "}", 8, KIN_FORMAT,
         "duplicate"},
        {"{" T("a", "F4", "[1]", "0", "4") "}", 4, KIN_UNSUPPORTED, "dtype 'F4'"},
        {"{" T("a", "F32", "[1,1,1,1,1,1,1]", "0", "4") "}", 4, KIN_UNSUPPORTED, "7 dimensions"},
        {"{" T("a", "F32", "[-1]", "0", "4") "}", 4, KIN_FORMAT, "impossible shape"},
        {"{" T("a", "F32", "[1.0]", "0", "4") "}", 4, KIN_FORMAT, "impossible shape"},
        {"{" T("a", "F32", "[4194305,4194305,211106198978564]", "0", "16") "}", 16, KIN_FORMAT, "impossible"},
        {"{" T("a", "F32", "[4611686018427387904]", "0", "0") "}", 0, KIN_FORMAT, "not what its shape"},
        {"{" T("a", "F32", "[1]", "0", "8") "}", 8, KIN_FORMAT, "not what its shape"},
        {"{" T("a", "F32", "[2]", "0", "8") "}", 7, KIN_FORMAT, "data_offsets 0 to 8"},
        {"{" T("a", "F32", "[1]", "4", "0") "}", 8, KIN_FORMAT, "data_offsets 4 to 0"},
        {"{" T("a", "F32", "[1]", "-4", "0") "}", 8, KIN_FORMAT, "data_offsets -4"},
        {"{" T("a", "F32", "[1]", "0", "99999999999999999999") "}", 8, KIN_FORMAT, "too big"},
        {"{" T("a", "F32", "[1]", "4", "8") "}", 8, KIN_FORMAT, "begins at 4"},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "8", "12") "}", 12, KIN_FORMAT,
         "begins at 8"},
        {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "4", "12") "}", 12, KIN_FORMAT,
         "begins at 4"},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "0", "4") "}", 4, KIN_FORMAT,
         "begins at 0"},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[0]", "2", "2") "}", 4, KIN_FORMAT,
         "begins at 2"},
        {"{\"__metadata__\":{\"a\":1}}", 0, KIN_FORMAT, "not a string"},
        {"{\"__metadata__\":[]}", 0, KIN_FORMAT, "not an object"},
        {"{} x", 0, KIN_FORMAT, ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char message[512];
        const kin_status rc = try_header(bad[i].header, bad[i].bytes, message);
        if (rc != bad[i].status || !strstr(message, "x.safetensors") || !strstr(message, bad[i].says))
            fail_msg("case %zu: status %d, '%s'", i, rc, message);
    }
}

static void refuses_every_truncation(void **state)
{
    (void)state;
    int64_t size;
    uint8_t *p = make("{" T("a", "F32", "[3]", "0", "12") "," T("b", "U8", "[2]", "12", "14") "}", 14, &size);
    for (int64_t n = 0; n < size; n++) {
        uint8_t *copy = malloc((size_t)n + 1);
        assert_non_null(copy);
        memcpy(copy, p, (size_t)n);
        kin_ctx cx = {0};
        assert_null(kin_st_parse(&cx, "cut", copy, n));
        assert_int_equal(cx.status, KIN_FORMAT);
        free(copy);
    }
    /* Header lengths beyond the file and beyond the limit. */
    const uint64_t lies[] = {(uint64_t)size - 7, 100000001, UINT64_MAX, UINT64_MAX - 7, 1ull << 63};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        memcpy(p, &lies[i], 8);
        kin_ctx cx = {0};
        assert_null(kin_st_parse(&cx, "lie", p, size));
        assert_int_equal(cx.status, KIN_FORMAT);
    }
    free(p);
}

static void note(void *user, kin_level level, const char *message)
{
    if (level == KIN_WARN) snprintf(user, 128, "%.127s", message);
}

static void warns_of_bytes_at_the_end(void **state)
{
    (void)state;
    char warning[128] = "";
    int64_t size;
    uint8_t *p = make("{" T("a", "F32", "[1]", "0", "4") "}", 8, &size);
    kin_ctx cx = {.log = note, .log_user = warning};
    kin_st *st = kin_st_parse(&cx, "x", p, size);
    assert_non_null(st);
    assert_non_null(strstr(warning, "4 bytes after the last tensor"));
    kin_st_close(st);
    free(p);
}

/* 70,000 tensors, and a shape of a million numbers: refused before they are parsed, quickly. */
static void refuses_floods(void **state)
{
    (void)state;
    enum { COUNT = 70000 };
    char *text = malloc(COUNT * 80 + 64), message[512];
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, "{");
    for (int i = 0; i < COUNT; i++)
        n += (size_t)sprintf(text + n, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                             i ? "," : "", i);
    sprintf(text + n, "}");
    const double start = kin_now();
    assert_int_equal(try_header(text, 0, message), KIN_FORMAT);
    assert_non_null(strstr(message, "more than 65536"));
    n = (size_t)sprintf(text, "{\"a\":{\"dtype\":\"U8\",\"shape\":[0");
    for (int i = 0; i < 2000000; i++) n += (size_t)sprintf(text + n, ",0");
    sprintf(text + n, "],\"data_offsets\":[0,0]}}");
    assert_int_equal(try_header(text, 0, message), KIN_FORMAT);
    n = (size_t)sprintf(text, "{\"a\":");
    memset(text + n, '[', 1000000);
    text[n + 1000000] = 0;
    assert_int_equal(try_header(text, 0, message), KIN_FORMAT);
    assert_true(kin_now() - start < 2.0);
    free(text);
}

static void round_trips_every_dtype(void **state)
{
    (void)state;
    enum { N = 40 };
    uint8_t data[KIN_DTYPE_COUNT][8 * N];
    kin_rng r = kin_rng_new(1);
    kin_st_tensor tensors[KIN_DTYPE_COUNT + 2];
    char names[KIN_DTYPE_COUNT][32];
    for (int t = 0; t < KIN_DTYPE_COUNT; t++) {
        for (int i = 0; i < 8 * N; i++) data[t][i] = (uint8_t)kin_rng_u32(&r); /* NaN payloads included */
        snprintf(names[t], sizeof names[t], "t\"%d\\\xc3\xa9", t);
        tensors[t] = (kin_st_tensor){names[t], {data[t], (kin_dtype)t, 3, {2, 4, 5}}};
    }
    tensors[KIN_DTYPE_COUNT] = (kin_st_tensor){"empty", {NULL, KIN_F32, 2, {0, 3}}};
    tensors[KIN_DTYPE_COUNT + 1] = (kin_st_tensor){"scalar", {data[0], KIN_F32, 0, {0}}};
    kin_ctx cx = {0};
    const char *meta[] = {"kin", "{\"a\": 1}", "note", "line\nbreak", NULL};
    assert_int_equal(kin_st_save(&cx, path_of("a.safetensors"), tensors, KIN_DTYPE_COUNT + 2, meta), KIN_OK);
    kin_st *st = kin_st_open(&cx, path_of("a.safetensors"));
    assert_non_null(st);
    assert_int_equal(kin_st_size(st), KIN_DTYPE_COUNT + 2);
    for (int t = 0; t < KIN_DTYPE_COUNT + 2; t++) {
        const kin_tensor *x = &tensors[t].tensor;
        const kin_st_entry *e = kin_st_find(st, tensors[t].name);
        assert_non_null(e);
        assert_int_equal(e->dtype, x->dtype);
        assert_int_equal(e->rank, x->rank);
        assert_memory_equal(e->dim, x->dim, sizeof e->dim);
        assert_int_equal(e->count, kin_count(x));
        if (e->bytes > 0) assert_memory_equal(e->data, x->ptr, (size_t)e->bytes);
        assert_int_equal((uintptr_t)e->data % kin_dtype_size(e->dtype), 0); /* we write them aligned */
    }
    assert_string_equal(kin_st_meta(st, "kin"), "{\"a\": 1}");
    assert_string_equal(kin_st_meta(st, "note"), "line\nbreak");
    assert_string_equal(kin_st_meta(st, "format"), "pt");

    /* What was read, written again, is the same file. */
    kin_st_writer *w = kin_st_writer_new(&cx, path_of("b.safetensors"));
    const char *key, *value, *name;
    for (int64_t i = 0; kin_st_meta_at(st, i, &key, &value); i++)
        assert_int_equal(kin_st_writer_meta(&cx, w, key, value), KIN_OK);
    for (int64_t i = 0; i < kin_st_size(st); i++) {
        const kin_st_entry *e = kin_st_at(st, i);
        assert_int_equal(kin_st_writer_add(&cx, w, e->name, e->dtype, e->rank, e->dim), KIN_OK);
    }
    assert_int_equal(kin_st_writer_begin(&cx, w), KIN_OK);
    for (int64_t i = 0; (name = kin_st_writer_at(w, i)); i++) {
        const kin_st_entry *e = kin_st_find(st, name);
        for (int64_t at = 0; at < e->bytes; at += 7) /* in pieces */
            assert_int_equal(kin_st_writer_data(&cx, w, e->data + at, kin_min64(7, e->bytes - at)), KIN_OK);
    }
    assert_int_equal(kin_st_writer_finish(&cx, w), KIN_OK);
    kin_st_close(st);
    uint8_t *a, *b;
    int64_t na, nb;
    assert_int_equal(kin_read_file(&cx, path_of("a.safetensors"), 1 << 20, &a, &na), KIN_OK);
    assert_int_equal(kin_read_file(&cx, path_of("b.safetensors"), 1 << 20, &b, &nb), KIN_OK);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, (size_t)na);
    uint64_t header;
    memcpy(&header, a, 8);
    assert_int_equal((header + 8) % 64, 0);
    free(a);
    free(b);
}

static void orders_as_the_reference_does(void **state)
{
    (void)state;
    const uint8_t data[64] = {0};
    const kin_st_tensor tensors[] = {
        {"b", {(void *)(uintptr_t)data, KIN_U8, 1, {3}}},   {"a", {(void *)(uintptr_t)data, KIN_U8, 1, {1}}},
        {"h", {(void *)(uintptr_t)data, KIN_BF16, 1, {1}}}, {"z", {(void *)(uintptr_t)data, KIN_F64, 1, {1}}},
        {"f", {(void *)(uintptr_t)data, KIN_F32, 1, {1}}},
    };
    kin_ctx cx = {0};
    assert_int_equal(kin_st_save(&cx, path_of("o.safetensors"), tensors, 5, NULL), KIN_OK);
    uint8_t *file;
    int64_t size;
    assert_int_equal(kin_read_file(&cx, path_of("o.safetensors"), 1 << 20, &file, &size), KIN_OK);
    const char header[] = "{\"__metadata__\":{\"format\":\"pt\"}," T("z", "F64", "[1]", "0", "8") "," T(
        "f", "F32", "[1]", "8", "12") "," T("h", "BF16", "[1]", "12",
                                            "14") "," T("a", "U8", "[1]", "14", "15") "," T("b", "U8", "[3]",
                                                                                            "15", "18") "}";
    assert_memory_equal(file + 8, header, sizeof header - 1);
    free(file);
}

static void writer_refuses_mistakes(void **state)
{
    (void)state;
    const float x[2] = {1, 2};
    kin_ctx cx = {0};
    const kin_st_tensor twice[] = {{"a", {(void *)(uintptr_t)x, KIN_F32, 1, {1}}},
                                   {"a", {(void *)(uintptr_t)x, KIN_F32, 1, {1}}}};
    assert_int_equal(kin_st_save(&cx, path_of("w.safetensors"), twice, 2, NULL), KIN_ARG);
    assert_non_null(strstr(cx.message, "'a' is declared twice"));
    kin_clear(&cx);
    const kin_st_tensor bad[] = {{"\xff", {(void *)(uintptr_t)x, KIN_F32, 1, {1}}}};
    assert_int_equal(kin_st_save(&cx, path_of("w.safetensors"), bad, 1, NULL), KIN_ARG);
    kin_clear(&cx);

    const int64_t two = 2;
    kin_st_writer *w = kin_st_writer_new(&cx, path_of("w.safetensors"));
    assert_int_equal(kin_st_writer_add(&cx, w, "a", KIN_F32, 1, &two), KIN_OK);
    assert_int_equal(kin_st_writer_data(&cx, w, x, 4), KIN_ARG); /* before begin */
    kin_clear(&cx);
    assert_int_equal(kin_st_writer_begin(&cx, w), KIN_OK);
    assert_int_equal(kin_st_writer_data(&cx, w, x, 9), KIN_ARG); /* too much */
    kin_clear(&cx);
    assert_int_equal(kin_st_writer_data(&cx, w, x, 4), KIN_OK);
    assert_int_equal(kin_st_writer_finish(&cx, w), KIN_ARG); /* too little */
    kin_clear(&cx);
    assert_int_not_equal(access(path_of("w.safetensors"), F_OK), 0);
    assert_int_not_equal(access(path_of("w.safetensors.tmp"), F_OK), 0);

    assert_null(kin_st_writer_new(&cx, path_of("no/such/folder")));
    assert_int_equal(cx.status, KIN_IO);
    kin_clear(&cx);
    assert_null(kin_st_open(&cx, path_of("missing")));
    assert_int_equal(cx.status, KIN_IO);
    kin_clear(&cx);
    assert_null(kin_st_open(&cx, folder));
    assert_int_equal(cx.status, KIN_FORMAT);
}

/* The old file stays until the new one is whole. */
static void replaces_atomically(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    char path[128];
    snprintf(path, sizeof path, "%s", path_of("f"));
    assert_int_equal(kin_write_file(&cx, path, "old", 3), KIN_OK);
    for (int finish = 0; finish < 2; finish++) {
        kin_file *f = kin_file_new(&cx, path);
        assert_non_null(f);
        assert_int_equal(kin_file_write(&cx, f, "new!", 4), KIN_OK);
        uint8_t *data;
        int64_t size;
        assert_int_equal(kin_read_file(&cx, path, 100, &data, &size), KIN_OK);
        assert_string_equal((char *)data, "old");
        free(data);
        if (finish)
            assert_int_equal(kin_file_finish(&cx, f), KIN_OK);
        else
            kin_file_abandon(f);
        assert_int_not_equal(access(path_of("f.tmp"), F_OK), 0);
    }
    uint8_t *data;
    int64_t size;
    assert_int_equal(kin_read_file(&cx, path, 100, &data, &size), KIN_OK);
    assert_string_equal((char *)data, "new!");
    free(data);
    /* A refused write (here by a limit, as by a full disk) leaves the old file and no temporary. */
    struct rlimit old, tiny;
    getrlimit(RLIMIT_FSIZE, &old);
    tiny = old;
    tiny.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tiny);
    static const float zeros[4096];
    const kin_st_tensor big = {"a", {(void *)(uintptr_t)zeros, KIN_F32, 1, {4096}}};
    assert_int_equal(kin_st_save(&cx, path, &big, 1, NULL), KIN_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_non_null(strstr(cx.message, "f.tmp: File too large"));
    kin_clear(&cx);
    assert_int_equal(kin_read_file(&cx, path, 100, &data, &size), KIN_OK);
    assert_string_equal((char *)data, "new!");
    free(data);
    assert_int_not_equal(access(path_of("f.tmp"), F_OK), 0);
}

static void crc32c_known_and_equal(void **state)
{
    (void)state;
    assert_int_equal(kin_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(kin_crc32c_table(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(kin_crc32c_masked(0xe3069283u), 0xc78ab0e5u);
    assert_int_equal(kin_crc32c(kin_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    uint8_t data[257];
    kin_rng r = kin_rng_new(2);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)kin_rng_u32(&r);
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; from + n <= sizeof data; n++)
            assert_int_equal(kin_crc32c(7, data + from, n), kin_crc32c_table(7, data + from, n));
}

int main(void)
{
    snprintf(folder, sizeof folder, "/tmp/kin-test-st-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_layout),
        cmocka_unit_test(converts_eight_bit_floats),
        cmocka_unit_test(refuses_lies),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(warns_of_bytes_at_the_end),
        cmocka_unit_test(refuses_floods),
        cmocka_unit_test(round_trips_every_dtype),
        cmocka_unit_test(orders_as_the_reference_does),
        cmocka_unit_test(writer_refuses_mistakes),
        cmocka_unit_test(replaces_atomically),
        cmocka_unit_test(crc32c_known_and_equal),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    const char *left[] = {"a.safetensors", "b.safetensors", "o.safetensors", "f"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) remove(path_of(left[i]));
    rmdir(folder);
    return failed;
}
