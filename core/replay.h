/* replay: for core only: what core/run.c and core/replay.c know of each other. */
#ifndef KIN_REPLAY_H
#define KIN_REPLAY_H
#include "core/program.h"

kin_call *kin_ready_call(const kin_program *p, int step);
void kin_program_call(kin_program *p); /* every step's kernel, in order */

/* As kin_program_call, or as a recording of it did before. */
kin_status kin_program_replay(kin_ctx *cx, kin_program *p);
void kin_program_forget(kin_program *p);

#endif
