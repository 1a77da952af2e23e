/* Every allocation of the file formats and the options fails once: a clean error, nothing left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/safetensors.h"
#include "data/npy.h"
#include "tests/fault.h"
#include "train/config.h"

static char path[64], temporary[80];

static const float numbers[6] = {1, 2, 3, 4, 5, 6};

static kin_status save_tensors(kin_ctx *cx, const void *what)
{
    (void)what;
    const kin_st_tensor t[] = {{"a", {(void *)(uintptr_t)numbers, KIN_F32, 2, {2, 3}}},
                               {"b", {(void *)(uintptr_t)numbers, KIN_BF16, 0, {0}}}};
    const char *meta[] = {"k", "v", NULL};
    return kin_st_save(cx, path, t, 2, meta);
}

static kin_status load_tensors(kin_ctx *cx, const void *what)
{
    (void)what;
    kin_st *st = kin_st_open(cx, path);
    kin_st_close(st);
    return st ? KIN_OK : cx->status;
}

static kin_status save_array(kin_ctx *cx, const void *what)
{
    (void)what;
    return kin_npy_save(cx, path, KIN_NPY_F32, 2, (const int64_t[]){2, 3}, numbers);
}

static kin_status load_array(kin_ctx *cx, const void *what)
{
    (void)what;
    kin_npy a;
    const kin_status rc = kin_npy_load(cx, path, &a);
    kin_npy_free(&a);
    return rc;
}

static kin_status use_options(kin_ctx *cx, const void *what)
{
    (void)what;
    kin_config c;
    char *args[] = {"--batch", "3", "--model.text.layers=4", "--model.x", "y", "--out", "elsewhere"};
    kin_status rc = kin_config_init(cx, &c);
    if (rc == KIN_OK) rc = kin_config_args(cx, &c, sizeof args / sizeof *args, args);
    if (rc == KIN_OK) rc = kin_config_parse(cx, &c, "x", "lr = 1\nmodel.z = \"a\"\n", 21);
    kin_config_free(&c);
    return rc;
}

/* No temporary file is left. */
static int64_t tried(const char *name, kin_status (*work)(kin_ctx *cx, const void *what))
{
    const int64_t n = all_fail(name, work, NULL);
    assert_int_not_equal(access(temporary, F_OK), 0);
    return n;
}

static void tensors(void **state)
{
    (void)state;
    assert_true(tried("save tensors", save_tensors) > 10);
    assert_true(tried("load tensors", load_tensors) > 10);
}

static void arrays(void **state)
{
    (void)state;
    assert_true(tried("save array", save_array) >= 2);
    assert_true(tried("load array", load_array) >= 1);
}

static void options(void **state)
{
    (void)state;
    assert_true(tried("use options", use_options) > 20);
}

int main(void)
{
    json_set_alloc_funcs(malloc, free); /* jansson is a library of its own: its calls fail in turn as well */
    snprintf(path, sizeof path, "/tmp/kin-test-fault-XXXXXX");
    const int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors),
        cmocka_unit_test(arrays),
        cmocka_unit_test(options),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
