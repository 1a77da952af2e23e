/* budget: is a plan within what the user gives, and if not, what would be? */
#ifndef KIN_BUDGET_H
#define KIN_BUDGET_H
#include "train/plan.h"

/* Compares the first `kinds` kinds of amounts. KIN_ARG: one sentence with each that is too much, by how much,
 * and options that fit; these are found by compiling, not by running. */
kin_status kin_budget_check(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, const kin_amounts *budget,
                            int kinds);
/* ": OPTIONS needs about BYTES" with options that fit into so many bytes, or why there are none. The
 * caller frees. */
char *kin_budget_smaller(kin_ctx *cx, const kin_trainer *t, const kin_plan *p, double bytes);

#endif
