/* An installed copy, as others use it: the files, docs/example.c built by pkg-config against libkin.so and
 * libkin.a, docs/example.py through ctypes, and that nothing but kin.h's functions is exported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "data/image.h"
#include "tests/tiny_model.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static char folder[64], build[512];

/* A library built for sanitizers serves no other program. */
static void not_sanitized(void)
{
    if (!SANITIZED) return;
    print_message("skipped: built for sanitizers\n");
    skip();
}

/* Runs a command with T the test's folder; its output, which the caller frees. *code: its exit code. */
static char *shell(const char *command, int *code)
{
    char line[2048];
    kin_ctx cx = {0};
    uint8_t *text;
    int64_t size;
    snprintf(line, sizeof line,
             "T=%s; export PKG_CONFIG_PATH=$T/there/opt/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$T/there "
             "LD_LIBRARY_PATH=$T/there/opt/lib; (%s) >$T/out.txt 2>&1",
             folder, command);
    *code = WEXITSTATUS(system(line));
    snprintf(line, sizeof line, "%s/out.txt", folder);
    assert_int_equal(kin_read_file(&cx, line, 1 << 24, &text, &size), KIN_OK);
    return (char *)text;
}

static void good(const char *command)
{
    int code;
    char *out = shell(command, &code);
    if (code != 0) fail_msg("exit %d of: %s\n%s", code, command, out);
    free(out);
}

static int have(const char *command)
{
    int code;
    free(shell(command, &code));
    return code == 0;
}

static void test_installed(void **state)
{
    (void)state;
    not_sanitized();
    char make[1200];
    snprintf(make, sizeof make, "make --no-print-directory BUILD=%s PREFIX=/opt DESTDIR=$T/there ", build);
    char command[1400];
    snprintf(command, sizeof command, "%s install", make);
    good(command);
    good("cd $T/there/opt && ls bin/kin lib/libkin.a lib/libkin.so.0 include/kin.h share/kin/demo.cfg "
         "share/kin/techniques/joint.cfg share/kin/demo/trunk.cfg share/kin/models/ViT-B-32.json "
         "share/bash-completion/completions/kin");
    /* It finds its own models, wherever it stands. */
    good("cd /; K=$T/there/opt/bin/kin; $K data scenes --out $T/scenes --count 160 && "
         "$K train --config techniques/contrastive --model scenes-64 --train-data \"$T/scenes/*.tar\" "
         "--dry-run --out $T/run --steps 1");
    snprintf(command, sizeof command, "%s uninstall", make);
    good(command);
    good("find $T/there -type f -o -type l | grep .; test $? = 1");
    snprintf(command, sizeof command, "%s install", make);
    good(command);
}

static void test_exports(void **state)
{
    (void)state;
    not_sanitized();
    if (!have("command -v nm")) skip();
    good("cd $T/there/opt/lib; nm -D --defined-only libkin.so | awk '{ print $3 }' | sort >$T/have; "
         "grep -oE 'KIN_API .*\\(' ../include/kin.h | grep -oE 'kin_[a-z_]+' | sort >$T/want; "
         "grep -q kin_open $T/want && diff $T/have $T/want");
}

static void test_example(void **state)
{
    (void)state;
    not_sanitized();
    if (!have("command -v pkg-config")) {
        print_message("skipped: there is no pkg-config\n");
        skip();
    }
    const char *flags = "-std=c11 -Wall -Wextra -Werror docs/example.c";
    char command[600];
    snprintf(command, sizeof command, "cc %s $(pkg-config --cflags --libs kin) -o $T/shared", flags);
    good(command);
    snprintf(command, sizeof command, "cc %s $(pkg-config --cflags --libs kin-static) -o $T/static", flags);
    good(command);
    good("cd $T; LD_LIBRARY_PATH= ldd ./static | grep libkin; test $? = 1");
    good("cd $T; for x in shared static; do ./$x model 'a red ring,a blue star' a.png b.png >$x.txt; done; "
         "test $(wc -l <shared.txt) = 4 && cmp shared.txt static.txt");
    /* Of each picture the probabilities add up. */
    good("awk '{ sum[$1] += $NF } END { s = sum[\"a.png\"]; exit !(s > 0.9998 && s < 1.0002) }' "
         "$T/shared.txt");
    int code;
    char *out = shell("$T/shared $T/nowhere a,b c.png", &code);
    assert_int_equal(code, 1);
    assert_non_null(strstr(out, "not a model folder"));
    free(out);
    out = shell("$T/shared $T/model a,b $T/a.png $T/none.png", &code);
    assert_int_equal(code, 1);
    assert_non_null(strstr(out, "none.png"));
    free(out);
    if (have("command -v python3"))
        good("P=$PWD/docs/example.py; cd $T && LIBKIN=$T/there/opt/lib/libkin.so python3 $P model "
             "'a red ring,a blue star' a.png b.png >python.txt && cmp shared.txt python.txt");
}

static int make_folder(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    strcpy(folder, "/tmp/kin-install-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    char path[128];
    snprintf(path, sizeof path, "%s/model", folder);
    if (kin_make_dirs(&cx, path) != KIN_OK || !make_tiny_model(path, "infonce")) return -1;
    uint8_t pixels[40 * 30 * 3];
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * (k ? 7 : 3) + i / 150);
        snprintf(path, sizeof path, "%s/%c.png", folder, 'a' + k);
        if (kin_image_save_png(&cx, path, &(kin_image){pixels, 40, 30}) != KIN_OK) return -1;
    }
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* BUILD/tests/test_install */
int main(int argc, char **argv)
{
    (void)argc;
    snprintf(build, sizeof build, "%s", argv[0]);
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(build, '/');
        if (slash) *slash = '\0';
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_installed), cmocka_unit_test(test_exports),
                                       cmocka_unit_test(test_example)};
    return cmocka_run_group_tests_name("install", tests, make_folder, remove_folder);
}
