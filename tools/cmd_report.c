#include "tools/cli.h"
#include "tools/report.h"

int cmd_report(kin_ctx *cx, int argc, char **argv)
{
    report_job j = {.queries = 5, .bootstrap = 1000};
    const cli_flag flags[] = {
        {"--out", CLI_TEXT, &j.out, NULL, NULL, "FILE.html the page (RUN/report.html)"},
        {"--data", CLI_TEXT, &j.data, NULL, NULL, "P pairs to measure and show (the run's val-data)"},
        {"--split", CLI_TEXT, &j.split, NULL, NULL,
         "NAME split, where the data has splits (the run's val-split)"},
        {"--queries", CLI_NUMBER, NULL, &j.queries, NULL, "N best and worst of each kind (5)"},
        {"--bootstrap", CLI_NUMBER, NULL, &j.bootstrap, NULL, "N resamples for 95 % intervals (1000)"},
        {"--threads", CLI_NUMBER, NULL, &j.threads, NULL, "N compute threads (all cores)"},
        CLI_END,
    };
    bool helped;
    if (!cli_parse(cx, argc, argv, "report RUN [flags]", flags, &j.run, 1, &helped))
        return helped ? CLI_DONE : CLI_USAGE;
    if (!cli_need(cx, j.run, "the folder of a run")) return CLI_USAGE;
    report_write(cx, &j);
    return cli_exit(cx);
}
