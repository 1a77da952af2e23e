/* metrics: RUN/metrics.jsonl, one JSON object a line, flushed as it is written. */
#ifndef KIN_METRICS_H
#define KIN_METRICS_H
#include "core/json.h"

typedef struct kin_metrics kin_metrics;
/* Opens for appending. Lines of a step beyond `step` (of a run that went on after the checkpoint that is
 * resumed) are taken out first; step 0 begins anew. */
kin_metrics *kin_metrics_open(kin_ctx *cx, const char *path, int64_t step);
/* Takes over the object. */
kin_status kin_metrics_write(kin_ctx *cx, kin_metrics *m, json_t *line);
void kin_metrics_close(kin_metrics *m);

#endif
