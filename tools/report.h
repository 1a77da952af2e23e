/* report: one HTML page about a run that needs nothing else: pictures and curves are in it, no request leaves
 * it. */
#ifndef KIN_REPORT_H
#define KIN_REPORT_H
#include "core/base.h"

typedef struct report_job {
    const char *run;          /* folder of the run */
    const char *out;          /* the page; NULL: RUN/report.html */
    const char *data, *split; /* pairs to show and measure; NULL: the run's own validation data */
    int64_t queries;          /* best and worst of each kind */
    int64_t bootstrap, threads;
} report_job;

/* Evaluates RUN/best (RUN/last while there is no best) and writes the page. */
kin_status report_write(kin_ctx *cx, const report_job *job);

#endif
