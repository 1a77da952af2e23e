#include <stdio.h>
#include <string.h>

#include "data/scenes.h"
#include "tools/cli.h"

int cmd_data(kin_ctx *cx, int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "check") == 0) return cmd_data_check(cx, argc - 1, argv + 1);
    const char *what = NULL, *out = NULL, *split = "train";
    int64_t count = 1000, seed = 0, shard = 0, size = 0, objects = 0;
    const cli_flag flags[] = {
        {"--out", CLI_TEXT, &out, NULL, NULL, "DIR folder of the shards"},
        {"--count", CLI_NUMBER, NULL, &count, NULL, "N pictures (1000)"},
        {"--seed", CLI_NUMBER, NULL, &seed, NULL, "S another seed, other pictures (0)"},
        {"--split", CLI_TEXT, &split, NULL, NULL,
         "NAME train, val or test: test has shapes in unseen colors"},
        {"--shard-size", CLI_NUMBER, NULL, &shard, NULL, "N pictures in a shard (1000)"},
        {"--size", CLI_NUMBER, NULL, &size, NULL, "N pixels along a side (64)"},
        {"--max-objects", CLI_NUMBER, NULL, &objects, NULL, "N objects in a picture: 2 to N (5)"},
        CLI_END,
    };
    bool helped;
    if (!cli_parse(cx, argc, argv, "data scenes --out DIR [flags] | data check PATH [flags]", flags, &what, 1,
                   &helped))
        return helped ? CLI_DONE : CLI_USAGE;
    if (!what || strcmp(what, "scenes") != 0) {
        kin_fail(cx, KIN_ARG, "what data? There is: kin data check PATH, kin data scenes --out DIR");
        return CLI_USAGE;
    }
    if (!cli_need(cx, out, "--out") || (size && !cli_within(cx, "--size", size, 32, KIN_SCENE_MAX_SIZE)) ||
        (objects && !cli_within(cx, "--max-objects", objects, 2, KIN_SCENE_MAX_OBJECTS)))
        return CLI_USAGE;
    const kin_scenes_cfg cfg = {.out = out,
                                .count = count,
                                .seed = (uint64_t)seed,
                                .split = split,
                                .shard_size = shard,
                                .size = (int)size,
                                .max_objects = (int)objects};
    if (kin_scenes_write(cx, &cfg) != KIN_OK) return CLI_FAILED;
    printf("%s: %lld scenes, split %s\n", out, (long long)count, split);
    return CLI_DONE;
}
