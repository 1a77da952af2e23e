/* kin: one program, one sub-command a file (tools/cmd_*.c). Exit: 0 done, 1 failed, 2 usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"

const cli_row cli_commands[] = {
    {"data", cmd_data, "check data of any form; make synthetic scenes"},
    {"train", cmd_train, "train a two-tower model; --resume goes on"},
    {"eval", cmd_eval, "retrieval, swaps, labelled tasks, reranking, noise; a contact sheet"},
    {"embed", cmd_embed, "embeddings of pictures or texts into an .npy file"},
    {"search", cmd_search, "find pictures by words or by a picture"},
    {"explain", cmd_explain, "where a model looks in a picture, word by word: a sheet or numbers"},
    {"tokenizer", cmd_tokenizer, "train a vocabulary; show the ids of a text"},
    {"plan", cmd_plan, "memory, flops and time of a run before it runs"},
    {"hash", cmd_hash, "one digest of a model folder: weights and training state"},
    {"report", cmd_report, "one HTML page about a run: curves, R@K, best and worst queries"},
    {"demo", cmd_demo, "the fusion techniques side by side, trained and measured: a table and curves"},
    {"doctor", cmd_doctor, "this machine: speed, memory, GPUs, what is missing"},
    {"completion", cmd_completion, "completion of commands and flags for bash, zsh or fish"},
    {"version", cmd_version, "version, processor, kernels"},
    {NULL, NULL, NULL},
};
enum { COMMANDS = sizeof cli_commands / sizeof *cli_commands - 1 };

static void help(FILE *f)
{
    fprintf(f, "kin trains and uses models that put pictures and words into one space.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(f, "  kin %-11s %s\n", cli_commands[i].name, cli_commands[i].help);
    fprintf(f, "\nkin COMMAND --help lists a command's flags.\n");
}

static void notice(void *user, kin_level level, const char *message)
{
    (void)user;
    const char *over = isatty(STDERR_FILENO) ? "\r\033[K" : ""; /* a line of progress may stand there */
    if (level != KIN_DEBUG) fprintf(stderr, "%s%s%s\n", over, level == KIN_WARN ? "note: " : "", message);
}

/* libgomp lets a thread that waits spin for milliseconds, and reads what it should do instead before main
 * begins. As soon as anything else runs on the machine (kin's own loader does) that makes steps up to 20
 * times slower. So kin starts itself once more with a short spin, unless the user has said what is wanted. */
static void wait_politely(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    if (setenv("GOMP_SPINCOUNT", "2000", 1) == 0) execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    const bool of_one = strcmp(argv[1], "help") == 0 && argc == 3; /* kin help train: kin train --help */
    char ask[] = "--help", *asked[] = {argv[0], argv[argc - 1], ask, NULL};
    if (of_one) {
        argc = 3;
        argv = asked;
    } else if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return CLI_DONE;
    }
    wait_politely(argv);
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(name, cli_commands[i].name) != 0) continue;
        kin_ctx cx = {.log = notice};
        int code = cli_commands[i].run(&cx, argc - 2, argv + 2);
        if (cx.status != KIN_OK) fprintf(stderr, "kin %s: %s\n", name, cx.message);
        if (fflush(stdout) != 0) {
            fprintf(stderr, "kin %s: standard output could not be written\n", name);
            code = CLI_FAILED;
        }
        return code;
    }
    const char *nearest = NULL;
    int least = (int)strlen(name) / 3 + 2;
    for (int i = 0; i < COMMANDS; i++) {
        const int d = kin_edit_distance(name, cli_commands[i].name);
        if (d >= least) continue;
        least = d;
        nearest = cli_commands[i].name;
    }
    fprintf(stderr, "kin: there is no command '%s'%s%s%s kin help lists them\n", name,
            nearest ? "; did you mean '" : ";", nearest ? nearest : "", nearest ? "'?" : "");
    return CLI_USAGE;
}
