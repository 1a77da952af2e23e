#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

char scratch[64], built_kin[512];

bool open_scratch(const char *name)
{
    char self[400];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    snprintf(scratch, sizeof scratch, "/tmp/kin-%s-XXXXXX", name);
    if (n < 0 || !mkdtemp(scratch)) return false;
    self[n] = 0;
    for (int up = 0; up < 2; up++) *strrchr(self, '/') = 0; /* BUILD/tests/test_NAME -> BUILD */
    snprintf(built_kin, sizeof built_kin, "%s/kin", self);
    return true;
}

int remove_scratch(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return system(command);
}

const char *in_scratch(const char *name)
{
    static char path[4][1700];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

char *read_text(const char *path)
{
    kin_ctx cx = {0};
    uint8_t *text;
    int64_t size;
    if (kin_read_file(&cx, path, 1 << 26, &text, &size) != KIN_OK) fail_msg("%s", cx.message);
    return (char *)text;
}

int run_kin(const char *arguments, char **out, char **err)
{
    char command[2000];
    snprintf(command, sizeof command, "cd %s && %s %s >out.txt 2>err.txt", scratch, built_kin, arguments);
    const int rc = system(command);
    if (out) *out = read_text(in_scratch("out.txt"));
    if (err) *err = read_text(in_scratch("err.txt"));
    return WEXITSTATUS(rc);
}
