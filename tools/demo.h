/* demo: what `kin demo techniques` is made of: rows (techniques and controls), stages (what a model is
 * trained on, one after another) and measures (what is asked of it then).
 *
 * OUT/data/             scenes to learn from and a gallery
 * OUT/seed-S/ROW/STAGE  a run (kin train); STAGE.json beside it: what came out. Where that file is, the stage
 * is done: a demo that was cut off goes on with the next.
 *
 * Every number of a STAGE.json is {"value", "low", "high"}, fractions, under "metrics"; "seconds" of
 * training, "parameters", and of one question (a text put to the gallery's pictures) "flops" and "ms" are
 * plain. */
#ifndef KIN_DEMO_H
#define KIN_DEMO_H
#include <signal.h>

#include "core/json.h"
#include "train/judge.h"

typedef struct demo_row {
    const char *name; /* and its configuration: configs/techniques/NAME.cfg */
    const char *from; /* NULL, or the row whose first stage is its own too: the same towers */
    bool usual;       /* else only with --only */
    bool control;
    const char *says;
} demo_row;
extern const demo_row demo_rows[]; /* end with name == NULL, all three */

typedef struct demo_stage {
    const char *name; /* configs/demo/NAME.cfg; of models without a fusion NAME-dual.cfg, or not at all */
    const char *from; /* the stage it goes on from; NULL: random weights */
    bool labels;      /* trained on labels (loss.cls), else by the technique's own losses */
    double share;     /* of the scale's steps: what is soon learned takes no more of them */
} demo_stage;
extern const demo_stage demo_stages[];

typedef enum demo_kind {
    DEMO_SEARCH,   /* R@1 text -> image by embeddings, of the gallery */
    DEMO_PAIRS,    /* the same by scores of all pairs */
    DEMO_LABELS,   /* accuracy on a labelled set */
    DEMO_TWINS,    /* a picture's true text above its false one */
    DEMO_MATCH,    /* balanced accuracy, a threshold tuned on val */
    DEMO_NO_IMAGE, /* balanced accuracy, every second picture missing */
} demo_kind;

typedef enum demo_part { DEMO_PAIRING, DEMO_FACTS, DEMO_MISSING, DEMO_PARTS } demo_part; /* of the table */

typedef struct demo_measure {
    const char *name, *stage;
    demo_kind kind;
    const char *data, *split; /* NULL: the gallery */
    double chance;            /* below 0: that of the gallery */
    demo_part part;
    const char *heading; /* of its column */
} demo_measure;
extern const demo_measure demo_measures[];

typedef struct demo_scale {
    const char *name; /* configs/demo/NAME.cfg, NAME-towers.cfg and NAME-trunk.cfg */
    int64_t scenes;   /* to learn from before there are labels */
    int64_t learn;    /* examples of a task to learn from */
    int64_t ask;      /* examples it is asked */
    int64_t gallery;
    int64_t noise; /* strengths of noise above 0 */
    const char *says;
} demo_scale;
extern const demo_scale demo_scales[];

typedef struct demo {
    const demo_scale *scale;
    const char *out;
    int64_t seeds, threads, bootstrap;
    const bool *wanted; /* by row */
    double began;
    const volatile sig_atomic_t *stop;
} demo;

const demo_row *demo_find_row(const char *name);

/* Makes OUT/data, where it is not there yet. */
kin_status demo_data(kin_ctx *cx, const demo *d);

/* OUT/seed-S/ROW/STAGE.json of a stage, trained and measured if it is not there yet (in the folder of the row
 * whose it is); *cell is owned by the caller, and NULL where this row has no such stage. Needs the stages
 * that it goes on from. When asked to stop, *cell is NULL too, and the run can go on. */
kin_status demo_cell(kin_ctx *cx, const demo *d, const demo_row *row, const demo_stage *stage, int64_t seed,
                     json_t **cell);

/* Asks the model in `folder` all that is asked after this stage: {"metrics": .., "flops"?, "ms"?, "noise"?}.
 * NULL on failure; the caller owns it. */
json_t *demo_measure_all(kin_ctx *cx, const demo *d, const demo_stage *stage, const char *folder);

/* cells: {ROW: {STAGE: [of each seed]}}. Prints the table and writes OUT/techniques.{json,md,html} and, where
 * there are curves, OUT/noise.png. */
kin_status demo_table(kin_ctx *cx, const demo *d, const json_t *cells);

#endif
