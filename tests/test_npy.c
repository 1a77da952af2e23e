/* npy: bytes as NumPy writes them, round trips, and every way a header can lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/npy.h"

static char folder[64];

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A file of version `major` with this dict and `bytes` zeros after it. */
static int64_t make(uint8_t *p, int major, const char *dict, int64_t bytes)
{
    const size_t n = strlen(dict), prefix = major == 2 ? 12 : 10;
    memset(p, 0, prefix + n + (size_t)bytes);
    memcpy(p, "\x93NUMPY", 6);
    p[6] = (uint8_t)major;
    p[8] = (uint8_t)(n & 255);
    p[9] = (uint8_t)(n >> 8);
    memcpy(p + prefix, dict, n);
    return (int64_t)(prefix + n) + bytes;
}

static kin_status parse(int major, const char *dict, int64_t bytes, kin_npy *out, char message[256])
{
    uint8_t file[1024];
    kin_ctx cx = {0};
    const kin_status rc = kin_npy_parse(&cx, "x.npy", file, make(file, major, dict, bytes), out);
    snprintf(message, 256, "%.255s", cx.message);
    return rc;
}

static void writes_what_numpy_writes(void **state)
{
    (void)state;
    /* numpy.save("x.npy", numpy.array([[1, 2, 3], [4, 5, 6]], "<f4")): 128 bytes and then the data. */
    const char dict[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    const float a[6] = {1, 2, 3, 4, 5, 6};
    uint8_t expected[128 + sizeof a], *file;
    memset(expected, ' ', 128);
    memcpy(expected, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(expected + 10, dict, sizeof dict - 1);
    expected[127] = '\n';
    memcpy(expected + 128, a, sizeof a);
    kin_ctx cx = {0};
    int64_t size;
    assert_int_equal(kin_npy_save(&cx, path_of("x.npy"), KIN_NPY_F32, 2, (const int64_t[]){2, 3}, a), KIN_OK);
    assert_int_equal(kin_read_file(&cx, path_of("x.npy"), 1000, &file, &size), KIN_OK);
    assert_int_equal(size, sizeof expected);
    assert_memory_equal(file, expected, sizeof expected);
    free(file);
}

static void round_trips(void **state)
{
    (void)state;
    uint8_t data[240];
    for (int i = 0; i < 240; i++) data[i] = (uint8_t)(i * 37 + 11);
    for (int type = 0; type < KIN_NPY_TYPE_COUNT; type++) {
        for (int rank = 0; rank <= KIN_NPY_MAX_RANK; rank++) {
            const int64_t dim[KIN_NPY_MAX_RANK] = {2, 3, 5, 1, 1, 1, 1, 1};
            int64_t count = 1;
            for (int i = 0; i < rank; i++) count *= dim[i];
            kin_ctx cx = {0};
            kin_npy a;
            assert_int_equal(kin_npy_save(&cx, path_of("r.npy"), (kin_npy_type)type, rank, dim, data),
                             KIN_OK);
            assert_int_equal(kin_npy_load(&cx, path_of("r.npy"), &a), KIN_OK);
            assert_int_equal(a.type, type);
            assert_int_equal(a.rank, rank);
            assert_memory_equal(a.dim, dim, (size_t)rank * sizeof *dim);
            assert_int_equal(a.count, count);
            assert_memory_equal(a.data, data, (size_t)count * kin_npy_type_size(a.type));
            kin_npy_free(&a);
        }
    }
    /* No elements, but a shape. */
    kin_ctx cx = {0};
    kin_npy a;
    assert_int_equal(kin_npy_save(&cx, path_of("e.npy"), KIN_NPY_F32, 2, (const int64_t[]){0, 512}, NULL),
                     KIN_OK);
    assert_int_equal(kin_npy_load(&cx, path_of("e.npy"), &a), KIN_OK);
    assert_int_equal(a.count, 0);
    assert_int_equal(a.dim[1], 512);
    kin_npy_free(&a);
}

static void reads_other_spellings(void **state)
{
    (void)state;
    kin_npy a;
    char message[256];
    const char *good[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  \n",
        "{'shape':(2),\"descr\":\"<f4\",'fortran_order':False}\n",
        "{'fortran_order': True, 'shape': (2,), 'descr': '<f4'}\n", /* one dimension has no order */
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (int major = 1; major <= 2; major++) {
            assert_int_equal(parse(major, good[i], 8, &a, message), KIN_OK);
            assert_int_equal(a.rank, 1);
            assert_int_equal(a.dim[0], 2);
            kin_npy_free(&a);
        }
}

static void refuses_lies(void **state)
{
    (void)state;
    static const struct {
        const char *dict;
        int64_t bytes;
        kin_status status;
    } bad[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 25, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24, KIN_UNSUPPORTED},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", 24, KIN_UNSUPPORTED},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, KIN_UNSUPPORTED},
        /* 2^62 * 4 bytes wraps to 0; 2^32 * 2^32 to 0 as well */
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }", 0, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551618,), }", 8, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, }", 8, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4, KIN_FORMAT},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", 8, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", 8, KIN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False}", 4, KIN_FORMAT},
        {"{'descr': '<f4<f4<f4<f4<f4<f4', 'fortran_order': False, 'shape': (2,)}", 8, KIN_FORMAT},
        {"{'descr", 0, KIN_FORMAT},
        {"", 0, KIN_FORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kin_npy a;
        char message[256];
        if (parse(1, bad[i].dict, bad[i].bytes, &a, message) != bad[i].status)
            fail_msg("case %zu gave another status: %s", i, message);
        assert_non_null(strstr(message, "x.npy: "));
    }
}

/* Every shorter file is an error, never a crash (under the sanitizers: never a read outside). */
static void refuses_every_truncation(void **state)
{
    (void)state;
    uint8_t file[256];
    const int64_t size = make(file, 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n", 24);
    for (int64_t n = 0; n < size; n++) {
        uint8_t *copy = malloc((size_t)n + 1); /* its own block, so that a read past it is seen */
        assert_non_null(copy);
        memcpy(copy, file, (size_t)n);
        kin_ctx cx = {0};
        kin_npy a;
        assert_int_equal(kin_npy_parse(&cx, "cut", copy, n, &a), KIN_FORMAT);
        free(copy);
    }
}

int main(void)
{
    snprintf(folder, sizeof folder, "/tmp/kin-test-npy-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_numpy_writes), cmocka_unit_test(round_trips),
        cmocka_unit_test(reads_other_spellings),    cmocka_unit_test(refuses_lies),
        cmocka_unit_test(refuses_every_truncation),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove(path_of("x.npy"));
    remove(path_of("r.npy"));
    remove(path_of("e.npy"));
    rmdir(folder);
    return failed;
}
