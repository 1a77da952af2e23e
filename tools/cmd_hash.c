#include <inttypes.h>
#include <stdio.h>

#include "tools/cli.h"
#include "train/checkpoint.h"

int cmd_hash(kin_ctx *cx, int argc, char **argv)
{
    static const cli_flag flags[] = {CLI_END};
    const char *folder = NULL;
    bool helped;
    uint64_t hash;
    if (!cli_parse(cx, argc, argv, "hash FOLDER", flags, &folder, 1, &helped) ||
        !cli_need(cx, folder, "a folder"))
        return helped ? CLI_DONE : CLI_USAGE;
    if (kin_checkpoint_hash(cx, folder, &hash) != KIN_OK) return CLI_FAILED;
    printf("%016" PRIx64 "\n", hash);
    return CLI_DONE;
}
