/* scratch: a folder of a test program's own, and kin of the same build run in it. */
#ifndef KIN_TESTS_SCRATCH_H
#define KIN_TESTS_SCRATCH_H
#include <stdbool.h>

extern char scratch[64];    /* the folder */
extern char built_kin[512]; /* BUILD/kin, of BUILD/tests/test_* */

bool open_scratch(const char *name); /* makes /tmp/kin-NAME-...; false: it cannot */
int remove_scratch(void **state);    /* teardown of a group of tests */

const char *in_scratch(const char *name); /* its path, good for the next three calls */
char *read_text(const char *path);        /* a whole file; the caller frees; a failure fails the test */

/* Runs `kin ARGUMENTS` in the folder: its exit code, and what it printed, which the caller frees (NULL: not
 * wanted). */
int run_kin(const char *arguments, char **out, char **err);

#endif
