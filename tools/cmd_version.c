#include <stdio.h>

#include "core/backend.h"
#include "tools/cli.h"

int cmd_version(kin_ctx *cx, int argc, char **argv)
{
    static const cli_flag flags[] = {CLI_END};
    bool helped;
    if (!cli_parse(cx, argc, argv, "version", flags, NULL, 0, &helped)) return helped ? CLI_DONE : CLI_USAGE;
    kin_backend *b = kin_backend_cpu(cx, 0, NULL);
    if (!b) return CLI_FAILED;
    printf("kin %s, kernels %s, %d ops\n", KIN_VERSION, b->name, KIN_OP_COUNT);
    kin_backend_close(b);
    return CLI_DONE;
}
