/* tar: round trips, what other programs write, and every way in which a header can lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/tar.h"

static char folder[64];

static uint8_t *read_back(const char *path, int64_t *size)
{
    kin_ctx cx = {0};
    uint8_t *bytes;
    assert_int_equal(kin_read_file(&cx, path, 1 << 24, &bytes, size), KIN_OK);
    return bytes;
}

static void test_round_trip(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    char path[128], name[160], big[1500];
    snprintf(path, sizeof path, "%s/a.tar", folder);
    memset(big, 'x', sizeof big);
    memset(name, 'd', 120);
    strcpy(name + 120, "/file.txt"); /* goes into the prefix */
    kin_tar_writer *w = kin_tar_create(&cx, path);
    assert_non_null(w);
    assert_int_equal(kin_tar_add(&cx, w, "a.txt", "hello", 5), KIN_OK);
    assert_int_equal(kin_tar_add(&cx, w, "empty", "", 0), KIN_OK);
    assert_int_equal(kin_tar_add(&cx, w, name, big, sizeof big), KIN_OK);
    assert_int_equal(kin_tar_close(&cx, w), KIN_OK);
    int64_t size;
    uint8_t *bytes = read_back(path, &size);
    assert_int_equal(size % 512, 0);
    kin_tar_index t;
    assert_int_equal(kin_tar_index_build(&cx, path, bytes, size, &t), KIN_OK);
    assert_int_equal(t.count, 3);
    assert_string_equal(t.member[0].name, "a.txt");
    assert_int_equal(t.member[0].size, 5);
    assert_memory_equal(bytes + t.member[0].offset, "hello", 5);
    assert_int_equal(t.member[1].size, 0);
    assert_string_equal(t.member[2].name, name);
    assert_memory_equal(bytes + t.member[2].offset, big, sizeof big);
    kin_tar_index_free(&t);
    free(bytes);
}

/* GNU tar and bsdtar style: read what the system's tar wrote, in three formats, with a long name. */
static void test_other_writers(void **state)
{
    (void)state;
    static const char *const formats[] = {"gnu", "pax", "ustar"};
    char command[1200], path[128], name[140];
    memset(name, 'n', 90);
    strcpy(name + 90, ".txt");
    for (int i = 0; i < 3; i++) {
        snprintf(command, sizeof command,
                 "cd %s && mkdir -p sub/%s && printf hi > sub/%s/%s && ln -sf nowhere sub/link && "
                 "tar --format=%s -cf %s.tar sub",
                 folder, "a-folder-with-a-long-name", "a-folder-with-a-long-name", name, formats[i],
                 formats[i]);
        assert_int_equal(system(command), 0);
        snprintf(path, sizeof path, "%s/%s.tar", folder, formats[i]);
        kin_ctx cx = {0};
        int64_t size;
        uint8_t *bytes = read_back(path, &size);
        kin_tar_index t;
        assert_int_equal(kin_tar_index_build(&cx, path, bytes, size, &t), KIN_OK);
        assert_int_equal(t.count, 1); /* folders and links are passed over */
        char whole[256];
        snprintf(whole, sizeof whole, "sub/a-folder-with-a-long-name/%s", name);
        assert_string_equal(t.member[0].name, whole);
        assert_memory_equal(bytes + t.member[0].offset, "hi", 2);
        kin_tar_index_free(&t);
        free(bytes);
    }
}

/* One header of an archive of a single member, to be spoilt. */
static void header(uint8_t *h, const char *name, const char *size, uint8_t type)
{
    memset(h, 0, 512);
    memcpy(h, name, strlen(name));
    memcpy(h + 124, size, strlen(size));
    h[156] = type;
    memcpy(h + 257, "ustar\0", 6);
    memcpy(h + 263, "00", 2);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
}

static void refused(const uint8_t *bytes, int64_t size, const char *why)
{
    kin_ctx cx = {0};
    kin_tar_index t;
    assert_int_equal(kin_tar_index_build(&cx, "x.tar", bytes, size, &t), KIN_FORMAT);
    if (!strstr(cx.message, why)) fail_msg("'%s' does not say '%s'", cx.message, why);
    assert_non_null(strstr(cx.message, "x.tar"));
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t h[2048] = {0};
    header(h, "a", "00000000010", '0');
    refused(h, 300, "the file is cut");
    refused(h, 512, "8 bytes where 0 are left");
    h[0] = 'b';
    refused(h, 1024, "checksum");
    header(h, "../a", "00000000000", '0');
    refused(h, 512, "points outside");
    header(h, "/etc/a", "00000000000", '0');
    refused(h, 512, "points outside");
    header(h, "a/..", "00000000000", '0');
    refused(h, 512, "points outside");
    header(h, "a", "77777777777", '0');
    refused(h, 1024, "a member of 8589934591 bytes where 512 are left");
    header(h, "a", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", '0'); /* base 256, negative */
    refused(h, 1024, "a member of");
    header(h, "x", "00000000017", 'x');
    memcpy(h + 512, "99 path=evil\n", 13);
    refused(h, 1024, "PAX");
    header(h, "x", "00000000012", 'x');
    memcpy(h + 512, "10 size=x\n", 10);
    refused(h, 1024, "PAX size");
    header(h, "x", "00007777777", 'L');
    refused(h, 1024, "bytes where");
}

static void test_accepted(void **state)
{
    (void)state;
    uint8_t h[1024] = {0};
    kin_ctx cx = {0};
    kin_tar_index t;
    header(h, "a..b", "00000000000", '0'); /* dots inside a name are no way out */
    assert_int_equal(kin_tar_index_build(&cx, "x.tar", h, 512, &t), KIN_OK); /* and no end blocks */
    assert_int_equal(t.count, 1);
    kin_tar_index_free(&t);
    memset(h, 0, sizeof h);
    assert_int_equal(kin_tar_index_build(&cx, "x.tar", h, 1024, &t), KIN_OK);
    assert_int_equal(t.count, 0);
    kin_tar_index_free(&t);
    refused(h, 0, "the file is cut");
}

static void test_writer_refuses(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    char path[128], name[400];
    snprintf(path, sizeof path, "%s/w.tar", folder);
    kin_tar_writer *w = kin_tar_create(&cx, path);
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(kin_tar_add(&cx, w, name, "", 0), KIN_ARG);
    kin_clear(&cx);
    assert_int_equal(kin_tar_add(&cx, w, "../x", "", 0), KIN_ARG);
    kin_tar_abandon(w);
    assert_int_not_equal(access(path, F_OK), 0);
    kin_clear(&cx);
    assert_null(kin_tar_create(&cx, "/nowhere/at/all.tar"));
    assert_int_equal(cx.status, KIN_IO);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-tar-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_other_writers),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_writer_refuses),
    };
    return cmocka_run_group_tests_name("tar", tests, make_folder, remove_folder);
}
