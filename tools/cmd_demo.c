#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "tools/cli.h"
#include "tools/demo.h"

enum { ROWS = 32 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
    signal(number, SIG_DFL); /* the second one ends the program at once */
}

static const demo_scale *find_scale(kin_ctx *cx, const char *name)
{
    char list[100] = "";
    for (const demo_scale *s = demo_scales; s->name; s++) {
        if (strcmp(s->name, name) == 0) return s;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", s->name);
    }
    kin_fail(cx, KIN_ARG, "--scale: there is no '%s'; there are %s", name, list);
    return NULL;
}

/* "xattn,joint" into wanted; what a row goes on from is made too, but is only a row if asked for. */
static kin_status choose(kin_ctx *cx, const char *only, bool wanted[ROWS])
{
    for (int i = 0; demo_rows[i].name; i++) wanted[i] = !only && demo_rows[i].usual;
    for (const char *at = only; at && *at;) {
        char name[64], list[300] = "";
        const size_t n = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        const demo_row *r = demo_find_row(name);
        for (const demo_row *o = demo_rows; o->name; o++)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", o->name);
        if (!r) return kin_fail(cx, KIN_ARG, "--only: there is no technique '%s'; there are %s", name, list);
        wanted[r - demo_rows] = true;
        at += n + (at[n] == ',');
    }
    if (only && !*only) return kin_fail(cx, KIN_ARG, "--only: no technique is named");
    return KIN_OK;
}

/* A folder holds one scale: numbers of two would stand in one table. */
static kin_status claim(kin_ctx *cx, const demo *d)
{
    KIN_TRY(kin_make_dirs(cx, d->out));
    char *path = kin_sprintf(cx, "%s/demo.json", d->out);
    if (!path) return cx->status;
    kin_ctx own = {0};
    json_t *before = kin_json_load(&own, path, 1 << 16);
    const char *scale = json_string_value(json_object_get(before, "scale"));
    if (scale && strcmp(scale, d->scale->name) != 0)
        kin_fail(cx, KIN_ARG, "%s holds a demo of --scale %s; name another folder with --out, or remove it",
                 d->out, scale);
    if (!before) {
        before = json_pack("{s:s}", "scale", d->scale->name);
        kin_json_save(cx, path, before);
    }
    json_decref(before);
    free(path);
    return cx->status;
}

static void say(const demo *d, const demo_row *row, const demo_stage *stage, int64_t seed, const json_t *cell)
{
    const int64_t now = (int64_t)(kin_now() - d->began);
    const char *key;
    json_t *v;
    fprintf(stderr, "[%2lld:%02lld] %-16s %-9s seed %lld: %.0f s of training;", (long long)now / 60,
            (long long)now % 60, row->name, stage->name, (long long)seed,
            json_number_value(json_object_get(cell, "seconds")));
    json_object_foreach(json_object_get(cell, "metrics"), key, v)
        fprintf(stderr, " %s %.1f", key, 100.0 * json_number_value(json_object_get(v, "value")));
    fputc('\n', stderr);
}

/* One row with one seed; into list[stage]. */
static kin_status run_row(kin_ctx *cx, const demo *d, const demo_row *row, int64_t seed, json_t *stages)
{
    for (const demo_stage *s = demo_stages; s->name && !stop; s++) {
        json_t *cell;
        KIN_TRY(demo_cell(cx, d, row, s, seed, &cell));
        if (!cell) continue;
        say(d, row, s, seed, cell);
        if (!json_object_get(stages, s->name)) json_object_set_new(stages, s->name, json_array());
        json_array_append_new(json_object_get(stages, s->name), cell);
    }
    return cx->status;
}

static kin_status techniques(kin_ctx *cx, const demo *d)
{
    json_t *cells = json_object();
    if (claim(cx, d) == KIN_OK) demo_data(cx, d);
    for (int64_t seed = 0; seed < d->seeds; seed++)
        for (int i = 0; demo_rows[i].name && cx->status == KIN_OK && !stop; i++) {
            if (!d->wanted[i]) continue;
            json_t *stages = json_object_get(cells, demo_rows[i].name);
            if (!stages) {
                stages = json_object();
                json_object_set_new(cells, demo_rows[i].name, stages);
            }
            run_row(cx, d, &demo_rows[i], seed, stages);
        }
    if (cx->status == KIN_OK && stop)
        kin_fail(cx, KIN_IO, "stopped; the same command goes on where it was cut off");
    if (cx->status == KIN_OK) demo_table(cx, d, cells);
    json_decref(cells);
    return cx->status;
}

static void list_demos(FILE *f)
{
    fprintf(f,
            "kin demo techniques   the fusion techniques on the same towers, trained and measured: a table\n"
            "make demo             a dual encoder on scenes, and a search in them (in kin's source)\n\n");
    for (const demo_row *r = demo_rows; r->name; r++)
        fprintf(f, "  %-17s %s%s%s\n", r->name, r->control ? "control: " : "", r->says,
                r->usual ? "" : " (with --only)");
    fputc('\n', f);
    for (const demo_scale *s = demo_scales; s->name; s++) fprintf(f, "  --scale %-9s %s\n", s->name, s->says);
}

int cmd_demo(kin_ctx *cx, int argc, char **argv)
{
    const char *what = NULL, *scale = demo_scales[0].name, *only = NULL;
    bool wanted[ROWS], helped;
    demo d = {.out = "run/techniques", .seeds = 1, .bootstrap = 1000, .wanted = wanted, .stop = &stop};
    const cli_flag flags[] = {
        {"--scale", CLI_TEXT, &scale, NULL, NULL, "small|full|tiny how much is trained and asked (small)"},
        {"--seeds", CLI_NUMBER, NULL, &d.seeds, NULL,
         "N trainings of each; above 1 the table has their range (1)"},
        {"--only", CLI_TEXT, &only, NULL, NULL, "A,B these techniques (the five, and controls)"},
        {"--out", CLI_TEXT, &d.out, NULL, NULL,
         "DIR what it makes; what is there is not made again (run/techniques)"},
        {"--bootstrap", CLI_NUMBER, NULL, &d.bootstrap, NULL, "N resamples for 95 % intervals (1000)"},
        {"--threads", CLI_NUMBER, NULL, &d.threads, NULL, "N compute threads (all cores)"},
        CLI_END,
    };
    if (!cli_parse(cx, argc, argv, "demo techniques [flags]", flags, &what, 1, &helped)) {
        if (helped && argc > 0) list_demos(stdout);
        return helped ? CLI_DONE : CLI_USAGE;
    }
    if (!what) {
        list_demos(stdout);
        return CLI_DONE;
    }
    if (strcmp(what, "techniques") != 0) {
        kin_fail(cx, KIN_ARG, "there is no demo '%s'; there is: kin demo techniques", what);
        return CLI_USAGE;
    }
    d.scale = find_scale(cx, scale);
    if (!d.scale || choose(cx, only, wanted) != KIN_OK || !cli_within(cx, "--seeds", d.seeds, 1, 100) ||
        !cli_within(cx, "--threads", d.threads, 0, 4096) ||
        !cli_within(cx, "--bootstrap", d.bootstrap, 40, 1000000))
        return CLI_USAGE;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    d.began = kin_now();
    techniques(cx, &d);
    return cli_exit(cx);
}
