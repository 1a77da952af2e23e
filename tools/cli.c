#include "tools/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/eval_retrieval.h"

/* While cli_list_flags runs: a command that parses hands its flags over and ends. */
static struct {
    cli_flag_fn each;
    void *user;
} listing;

void cli_list_flags(const cli_row *command, cli_flag_fn each, void *user)
{
    kin_ctx cx = {0};
    listing.each = each;
    listing.user = user;
    command->run(&cx, 0, NULL);
    listing.each = NULL;
}

/* A row of the table as a reader of it wants it. */
static void hand_over(const cli_flag *f, cli_flag_fn each, void *user)
{
    const size_t n = f->kind == CLI_SWITCH ? 0 : strcspn(f->help, " ");
    char argument[64];
    snprintf(argument, sizeof argument, "%.*s", (int)n, f->help);
    each(user, f->name, argument, f->help + n + strspn(f->help + n, " "));
}

static void print_flag(void *user, const char *flag, const char *argument, const char *help)
{
    char left[80];
    (void)user;
    snprintf(left, sizeof left, "%s %s", flag, argument);
    printf("  %-22s %s\n", left, help);
}

static void print_help(const char *usage, const cli_flag *flags)
{
    printf("usage: kin %s\n", usage);
    for (const cli_flag *f = flags; f->name; f++) hand_over(f, print_flag, NULL);
}

bool cli_config(kin_ctx *cx, int argc, char **argv, const char *usage, kin_config *config, bool *helped)
{
    *helped = false;
    if (kin_config_init(cx, config) != KIN_OK) return false;
    if (listing.each) {
        *helped = true;
        kin_config_list(listing.each, listing.user);
        return false;
    }
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0) continue;
        char *help = kin_config_help(cx);
        printf("usage: kin %s\n%s", usage, help ? help : "");
        free(help);
        *helped = true;
        return false;
    }
    return kin_config_args(cx, config, argc, argv) == KIN_OK;
}

static const cli_flag *find(const cli_flag *flags, const char *word, size_t n)
{
    for (const cli_flag *f = flags; f->name; f++)
        if (strlen(f->name) == n && memcmp(f->name, word, n) == 0) return f;
    return NULL;
}

static bool unknown(kin_ctx *cx, const cli_flag *flags, const char *word)
{
    const char *nearest = NULL;
    int least = (int)strlen(word) / 3 + 2;
    for (const cli_flag *f = flags; f->name; f++) {
        const int d = kin_edit_distance(word, f->name);
        if (d >= least) continue;
        least = d;
        nearest = f->name;
    }
    kin_fail(cx, KIN_ARG, "there is no flag '%s'%s%s%s", word, nearest ? "; did you mean '" : "",
             nearest ? nearest : "", nearest ? "'?" : "");
    return false;
}

static bool set(kin_ctx *cx, const cli_flag *f, const char *value)
{
    if (f->kind == CLI_TEXT) {
        *f->text = value;
        return true;
    }
    char *end;
    errno = 0;
    const long long n = strtoll(value, &end, 10);
    if (!*value || *end || n < 0 || errno) {
        kin_fail(cx, KIN_ARG, "%s: '%s' is not a whole number", f->name, value);
        return false;
    }
    *f->number = n;
    return true;
}

bool cli_parse(kin_ctx *cx, int argc, char **argv, const char *usage, const cli_flag *flags,
               const char **positional, int most, bool *helped)
{
    int have = 0;
    *helped = false;
    if (listing.each) {
        for (const cli_flag *f = flags; f->name; f++) hand_over(f, listing.each, listing.user);
        *helped = true;
        return false;
    }
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(usage, flags);
            *helped = true;
            return false;
        }
        if (*word != '-' || !word[1]) {
            if (have == most) {
                kin_fail(cx, KIN_ARG, "'%s' is one argument too many; usage: kin %s", word, usage);
                return false;
            }
            positional[have++] = word;
            continue;
        }
        const char *equals = strchr(word, '=');
        const size_t n = equals ? (size_t)(equals - word) : strlen(word);
        const cli_flag *f = find(flags, word, n);
        if (!f) return unknown(cx, flags, word);
        if (f->kind == CLI_SWITCH) {
            *f->on = true;
            continue;
        }
        if (!equals && i + 1 == argc) {
            kin_fail(cx, KIN_ARG, "%s needs a value", f->name);
            return false;
        }
        if (!set(cx, f, equals ? equals + 1 : argv[++i])) return false;
    }
    return true;
}

bool cli_within(kin_ctx *cx, const char *flag, int64_t number, int64_t least, int64_t most)
{
    if (number >= least && number <= most) return true;
    kin_fail(cx, KIN_ARG, "%s: %lld is not from %lld to %lld", flag, (long long)number, (long long)least,
             (long long)most);
    return false;
}

bool cli_need(kin_ctx *cx, const char *value, const char *flag)
{
    if (value && *value) return true;
    kin_fail(cx, KIN_ARG, "%s is needed", flag);
    return false;
}

int cli_exit(const kin_ctx *cx)
{
    return cx->status == KIN_OK ? CLI_DONE : CLI_FAILED;
}

static double number(const json_t *o, const char *prefix, const char *name)
{
    char key[96];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    return json_number_value(json_object_get(o, key));
}

static void print_way(const json_t *m, const char *title, const char *prefix)
{
    printf("%s", title);
    static const char *const at[] = {"1", "5", "10"};
    for (int k = 0; k < 3; k++) {
        char recall[32], low[48];
        snprintf(recall, sizeof recall, "recall@%s", at[k]);
        snprintf(low, sizeof low, "recall@%s_ci95", at[k]);
        printf(" %6.1f", 100.0 * number(m, prefix, recall));
        char key[96];
        snprintf(key, sizeof key, "%s%s", prefix, low);
        const json_t *ci = json_object_get(m, key);
        if (ci)
            printf(" [%.1f, %.1f]", 100.0 * json_number_value(json_array_get(ci, 0)),
                   100.0 * json_number_value(json_array_get(ci, 1)));
    }
    for (int k = 0; k < 3; k++) {
        char name[32];
        snprintf(name, sizeof name, "optimistic@%s", at[k]);
        const double value = number(m, prefix, name);
        if (value > 0.0) printf("  (optimistic @%s %.1f)", at[k], 100.0 * value);
    }
    printf("   rank: median %.0f, mean %.1f   chance", number(m, prefix, "median_rank"),
           number(m, prefix, "mean_rank"));
    for (int k = 0; k < 3; k++) {
        char chance[32];
        snprintf(chance, sizeof chance, "chance@%s", at[k]);
        printf(" %.1f", 100.0 * number(m, prefix, chance));
    }
    printf("\n");
}

void cli_print_metrics(const json_t *m)
{
    kin_ctx cx = {0};
    char *protocol = kin_retrieval_protocol(&cx, m);
    printf("%s; per cent\n", protocol ? protocol : "");
    free(protocol);
    printf("%-16s %6s %6s %6s\n", "", "R@1", "R@5", "R@10");
    print_way(m, "text -> image   ", "image_retrieval_");
    print_way(m, "image -> text   ", "text_retrieval_");
    const json_t *ci = json_object_get(m, "rsum_ci95");
    printf("%-16s %6.1f", "sum of the six", number(m, "", "rsum"));
    if (ci)
        printf(" [%.1f, %.1f]", json_number_value(json_array_get(ci, 0)),
               json_number_value(json_array_get(ci, 1)));
    printf("\n");
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)m, key, v)
    {
        const char *end = strstr(key, "_accuracy");
        if (strncmp(key, "swap_", 5) != 0 || !end) continue;
        char count[96], kind[64];
        snprintf(kind, sizeof kind, "%.*s", (int)(end - key - 5), key + 5);
        snprintf(count, sizeof count, "swap_%s_count", kind);
        printf("%-16s %6.1f   of %.0f captions against the same words in another order (chance 50)\n", kind,
               100.0 * json_number_value(v), number(m, "", count));
    }
}
