/* completion: scripts for bash, zsh and fish, made from the same tables that parse and that --help prints. */
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"

typedef struct writer {
    const char *command;
    int shown;
} writer;

/* A help text between single quotes of any of the shells, cut at its first clause. */
static void quoted(const char *text, const char *also)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'')
            fputs("’", stdout);
        else {
            if (strchr(also, *text)) putchar('\\');
            putchar(*text);
        }
    }
    putchar('\'');
}

static bool is_file(const char *argument)
{
    static const char *const words[] = {"FILE",      "DIR",      "P",        "TEXT",
                                        "FILE.json", "FILE.png", "FILE.npy", "FILE.html"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(argument, words[i]) == 0) return true;
    return false;
}

static void bash_flag(void *user, const char *flag, const char *argument, const char *help)
{
    writer *w = user;
    (void)argument;
    (void)help;
    printf("%s%s", w->shown++ ? " " : "", flag);
}

static void bash_choice(void *user, const char *flag, const char *argument, const char *help)
{
    writer *w = user;
    (void)help;
    if (!strchr(argument, '|')) return;
    printf("    '%s %s') words='", w->command, flag);
    for (; *argument; argument++) putchar(*argument == '|' ? ' ' : *argument);
    printf("' ;;\n");
}

static void bash(void)
{
    printf(
        "# kin completion bash: put this into a file that bash reads, or: source <(kin completion bash)\n"
        "_kin() {\n"
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} "
        "words=\n"
        "  COMPREPLY=()\n"
        "  if [ $COMP_CWORD -eq 1 ]; then\n"
        "    COMPREPLY=($(compgen -W '");
    for (const cli_row *c = cli_commands; c->name; c++) printf("%s%s", c == cli_commands ? "" : " ", c->name);
    printf("' -- \"$word\"))\n    return\n  fi\n  case \"$command $before\" in\n");
    for (const cli_row *c = cli_commands; c->name; c++) {
        writer w = {.command = c->name};
        cli_list_flags(c, bash_choice, &w);
    }
    printf("  esac\n  if [ -z \"$words\" ] && [ \"${word:0:1}\" = - ]; then\n    case $command in\n");
    for (const cli_row *c = cli_commands; c->name; c++) {
        writer w = {.command = c->name};
        printf("    %s) words='", c->name);
        cli_list_flags(c, bash_flag, &w);
        printf("' ;;\n");
    }
    printf("    esac\n  fi\n"
           "  if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "  else COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
           "}\ncomplete -o filenames -F _kin kin\n");
}

static void zsh_flag(void *user, const char *flag, const char *argument, const char *help)
{
    (void)user;
    char text[600];
    size_t n = 0;
    for (const char *p = help; *p && n + 3 < sizeof text; p++) { /* [ ] and : mean something in a spec */
        if (strchr("[]:\\", *p)) text[n++] = '\\';
        text[n++] = *p;
    }
    text[n] = 0;
    char spec[1000];
    if (strchr(argument, '|')) {
        snprintf(spec, sizeof spec, "%s[%s]:value:(%s)", flag, text, argument);
        for (char *p = strrchr(spec, '('); *p; p++)
            if (*p == '|') *p = ' ';
    } else if (*argument)
        snprintf(spec, sizeof spec, "%s[%s]:%s:%s", flag, text, argument, is_file(argument) ? "_files" : "");
    else
        snprintf(spec, sizeof spec, "%s[%s]", flag, text);
    printf(" \\\n      ");
    quoted(spec, "");
}

static void zsh(void)
{
    printf("#compdef kin\n# kin completion zsh: save this as _kin in a folder of $fpath\n_kin() {\n"
           "  if (( CURRENT == 2 )); then\n    local -a commands=(");
    for (const cli_row *c = cli_commands; c->name; c++) {
        char text[200];
        snprintf(text, sizeof text, "%s:%s", c->name, c->help);
        printf("\n      ");
        quoted(text, "");
    }
    printf(")\n    _describe command commands\n    return\n  fi\n  local name=$words[2]\n"
           "  shift words; (( CURRENT-- ))\n  case $name in\n");
    for (const cli_row *c = cli_commands; c->name; c++) {
        printf("    %s) _arguments", c->name);
        cli_list_flags(c, zsh_flag, NULL);
        printf(" \\\n      '*:file:_files' ;;\n");
    }
    printf("  esac\n}\ncompdef _kin kin 2>/dev/null || _kin \"$@\"\n");
}

static void fish_flag(void *user, const char *flag, const char *argument, const char *help)
{
    const writer *w = user;
    const bool is_long = strncmp(flag, "--", 2) == 0;
    printf("complete -c kin -n '__fish_seen_subcommand_from %s' %s %s", w->command, is_long ? "-l" : "-s",
           flag + (is_long ? 2 : 1));
    if (strchr(argument, '|')) {
        printf(" -x -a '");
        for (; *argument; argument++) putchar(*argument == '|' ? ' ' : *argument);
        putchar('\'');
    } else if (*argument)
        printf(is_file(argument) ? " -r" : " -x");
    printf(" -d ");
    quoted(help, "\\");
    putchar('\n');
}

static void fish(void)
{
    printf("# kin completion fish: save this as kin.fish in fish's completions folder\n");
    for (const cli_row *c = cli_commands; c->name; c++) {
        printf("complete -c kin -n __fish_use_subcommand -a %s -d ", c->name);
        quoted(c->help, "\\");
        putchar('\n');
    }
    for (const cli_row *c = cli_commands; c->name; c++) {
        writer w = {.command = c->name};
        cli_list_flags(c, fish_flag, &w);
    }
}

int cmd_completion(kin_ctx *cx, int argc, char **argv)
{
    static const cli_flag flags[] = {CLI_END};
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    const char *shell = NULL;
    bool helped;
    if (!cli_parse(cx, argc, argv, "completion bash|zsh|fish", flags, &shell, 1, &helped))
        return helped ? CLI_DONE : CLI_USAGE;
    for (size_t i = 0; shell && i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shell, shells[i].name) != 0) continue;
        shells[i].print();
        return CLI_DONE;
    }
    kin_fail(cx, KIN_ARG, "for which shell? There is: kin completion bash|zsh|fish");
    return CLI_USAGE;
}
