/* cli: what the sub-commands share: flags, numbers for people, pictures found. Programs may print; this is
 * where. */
#ifndef KIN_CLI_H
#define KIN_CLI_H
#include "core/amount.h"
#include "core/json.h"
#include "data/dataset.h"
#include "train/config.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* One sub-command: arguments after its name; an exit code. The message of an error is left in cx. */
typedef int (*cli_command)(kin_ctx *cx, int argc, char **argv);
int cmd_data(kin_ctx *cx, int argc, char **argv);
int cmd_data_check(kin_ctx *cx, int argc, char **argv);
int cmd_train(kin_ctx *cx, int argc, char **argv);
int cmd_eval(kin_ctx *cx, int argc, char **argv);
int cmd_eval_task(kin_ctx *cx, int argc, char **argv);
int cmd_embed(kin_ctx *cx, int argc, char **argv);
int cmd_search(kin_ctx *cx, int argc, char **argv);
int cmd_explain(kin_ctx *cx, int argc, char **argv);
int cmd_tokenizer(kin_ctx *cx, int argc, char **argv);
int cmd_plan(kin_ctx *cx, int argc, char **argv);
int cmd_hash(kin_ctx *cx, int argc, char **argv);
int cmd_demo(kin_ctx *cx, int argc, char **argv);
int cmd_doctor(kin_ctx *cx, int argc, char **argv);
int cmd_report(kin_ctx *cx, int argc, char **argv);
int cmd_completion(kin_ctx *cx, int argc, char **argv);
int cmd_version(kin_ctx *cx, int argc, char **argv);

typedef struct cli_row {
    const char *name;
    cli_command run;
    const char *help; /* one line */
} cli_row;
extern const cli_row cli_commands[]; /* ends with name == NULL (tools/kin.c) */

typedef enum cli_kind { CLI_TEXT, CLI_NUMBER, CLI_SWITCH } cli_kind;
typedef struct cli_flag {
    const char *name; /* with its dashes */
    cli_kind kind;
    const char **text; /* CLI_TEXT; the argv's own memory */
    int64_t *number;   /* CLI_NUMBER, not negative */
    bool *on;          /* CLI_SWITCH */
    const char *help;  /* "FILE  what it is"; a name in capitals at its front is the argument's */
} cli_flag;
#define CLI_END                                                                                              \
    {                                                                                                        \
        NULL, CLI_TEXT, NULL, NULL, NULL, NULL                                                               \
    }

/* Reads flags (`--a b`, `--a=b`) and up to `most` positional arguments. False: the caller returns CLI_USAGE
 * (or, when
 * --help was asked for and printed with `usage`, *helped is true and it returns CLI_DONE). */
bool cli_parse(kin_ctx *cx, int argc, char **argv, const char *usage, const cli_flag *flags,
               const char **positional, int most, bool *helped);
/* The same for commands whose flags are a run's options (train/config.h); config is filled in and the caller
 * frees it in any case. */
bool cli_config(kin_ctx *cx, int argc, char **argv, const char *usage, kin_config *config, bool *helped);

/* Calls `each` for every flag of a command: its name with dashes, its argument ("" for a switch, "a|b" for a
 * choice), its help. The command itself does nothing. */
typedef void (*cli_flag_fn)(void *user, const char *flag, const char *argument, const char *help);
void cli_list_flags(const cli_row *command, cli_flag_fn each, void *user);

/* Is a flag's number from least to most? Says so if not. */
bool cli_within(kin_ctx *cx, const char *flag, int64_t number, int64_t least, int64_t most);

/* Says that a flag is needed: false. */
bool cli_need(kin_ctx *cx, const char *value, const char *flag);

/* CLI_DONE or CLI_FAILED by the context. */
int cli_exit(const kin_ctx *cx);

/* Retrieval and swap metrics (kin_evaluate's object) as a table for people on stdout. */
void cli_print_metrics(const json_t *metrics);

#endif
