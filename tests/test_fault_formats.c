/* Every allocation of the file formats and the options fails once: a clean error, nothing left behind.
 * Linked with --wrap=malloc,calloc,realloc; leaks are seen by the sanitizer build. */
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
#include "train/config.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static int64_t until; /* the call that fails, counted down; 0: none */

static bool fails(void)
{
    return until > 0 && --until == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

static char path[64], temporary[80];

/* Runs `work` with its first, second, ... allocation failing until it needs no more; returns how many. */
static int64_t all_fail(kin_status (*work)(kin_ctx *cx))
{
    for (int64_t k = 1;; k++) {
        kin_ctx cx = {0};
        until = k;
        const kin_status rc = work(&cx);
        const bool failed = until == 0;
        until = 0;
        assert_int_not_equal(access(temporary, F_OK), 0);
        if (!failed) {
            assert_string_equal(cx.message, "");
            assert_int_equal(rc, KIN_OK);
            return k - 1;
        }
        if (rc == KIN_OK) fail_msg("allocation %lld failed, and nobody noticed", (long long)k);
        assert_int_not_equal(cx.status, KIN_OK);
        assert_string_not_equal(cx.message, "");
    }
}

static const float numbers[6] = {1, 2, 3, 4, 5, 6};

static kin_status save_tensors(kin_ctx *cx)
{
    const kin_st_tensor t[] = {{"a", {(void *)(uintptr_t)numbers, KIN_F32, 2, {2, 3}}},
                               {"b", {(void *)(uintptr_t)numbers, KIN_BF16, 0, {0}}}};
    const char *meta[] = {"k", "v", NULL};
    return kin_st_save(cx, path, t, 2, meta);
}

static kin_status load_tensors(kin_ctx *cx)
{
    kin_st *st = kin_st_open(cx, path);
    kin_st_close(st);
    return st ? KIN_OK : cx->status;
}

static kin_status save_array(kin_ctx *cx)
{
    return kin_npy_save(cx, path, KIN_NPY_F32, 2, (const int64_t[]){2, 3}, numbers);
}

static kin_status load_array(kin_ctx *cx)
{
    kin_npy a;
    const kin_status rc = kin_npy_load(cx, path, &a);
    kin_npy_free(&a);
    return rc;
}

static kin_status use_options(kin_ctx *cx)
{
    kin_config c;
    char *args[] = {"--batch", "3", "--model.text.layers=4", "--model.x", "y", "--out", "elsewhere"};
    kin_status rc = kin_config_init(cx, &c);
    if (rc == KIN_OK) rc = kin_config_args(cx, &c, sizeof args / sizeof *args, args);
    if (rc == KIN_OK) rc = kin_config_parse(cx, &c, "x", "lr = 1\nmodel.z = \"a\"\n", 21);
    kin_config_free(&c);
    return rc;
}

static void tensors(void **state)
{
    (void)state;
    assert_true(all_fail(save_tensors) > 10);
    assert_true(all_fail(load_tensors) > 10);
}

static void arrays(void **state)
{
    (void)state;
    assert_true(all_fail(save_array) >= 2);
    assert_true(all_fail(load_array) >= 1);
}

static void options(void **state)
{
    (void)state;
    assert_true(all_fail(use_options) > 20);
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
