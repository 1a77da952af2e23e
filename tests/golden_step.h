/* golden_step: what the tests of whole training steps against PyTorch share: weights that are made from their
 * names, and the files that tests/golden/{step,fused}_golden.py write. */
#ifndef KIN_GOLDEN_STEP_H
#define KIN_GOLDEN_STEP_H
#include "core/params.h"

/* Numbers that every type holds exactly, a function of name and place; gains lie about 1. The average too. */
void golden_weights(kin_params *p);
/* The average of backends on host memory becomes: each weight moved a little, its own way. */
void golden_average(kin_params *p);

typedef struct golden_file {
    double *at, *end;
    void *memory;
} golden_file;

golden_file golden_open(const char *path);
double golden_take(golden_file *g); /* the next number */
uint64_t golden_hash(golden_file *g);

/* Fails the test unless |have - want| <= tolerance * max(1, |want|). */
void close_to(double have, double want, double tolerance, const char *what);

/* The rest of the file: every parameter's gradient, then the values after one step of AdamW, which is taken
 * here. Closes g. */
void golden_parameters(golden_file *g, kin_params *p, double tolerance);

#endif
