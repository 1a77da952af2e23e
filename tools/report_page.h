/* report_page: what the parts of a report share, and the part about the evaluation pairs. */
#ifndef KIN_REPORT_PAGE_H
#define KIN_REPORT_PAGE_H
#include <stdio.h>

#include "tools/report.h"
#include "tools/report_html.h"
#include "train/config.h"
#include "train/session.h"

/* The lines of metrics.jsonl, of training and of evaluation apart. */
typedef struct report_history {
    json_t *train, *eval; /* lists */
} report_history;

typedef struct report_page {
    FILE *f;
    const report_job *job;
    kin_config config;
    report_history past;
    char *model; /* folder */
    kin_session session;
    kin_dataset *data;
    float *image, *text;
    int64_t width;
    int64_t *text_rank, *image_rank; /* of each query, 0 is first */
} report_page;

/* Cosines of true and false pairs as histograms; pictures against captions as a matrix; the best and worst
 * queries (captions, or pictures) with what they found. */
kin_status report_cosines(kin_ctx *cx, report_page *p);
kin_status report_matrix(kin_ctx *cx, report_page *p);
kin_status report_queries(kin_ctx *cx, report_page *p, bool texts);

#endif
