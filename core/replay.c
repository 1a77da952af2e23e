/* Replay: the steps of a program as one recording of the backend, so that a step costs one launch instead of
 * hundreds. A recording holds what kernels were called with; it is for exactly those live rows, pointers and
 * stores ("=" or "+="), and random numbers come from the device's memory. What comes for the second time is
 * recorded, the third time it is replayed. */
#include "core/replay.h"

#include <stdlib.h>

#include "core/rng.h"

void kin_program_forget(kin_program *p)
{
    kin_backend *b = p->backend;
    for (int i = 0; i < KIN_RECORDINGS; i++)
        if (p->recording[i].made) b->forget(b, p->recording[i].made);
    if (p->draws) b->release(b, p->draws, p->draw_bytes);
    free(p->draw);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    return kin_key(h, v, 0x7265636f7264);
}

/* Of all that a recording of the steps as they are now would hold, and that may be otherwise another time. */
static uint64_t signature(const kin_program *p)
{
    uint64_t h = mix((uint64_t)(uintptr_t)p->act, (uint64_t)(uintptr_t)p->scratch);
    for (int i = 0; i < p->graph->symbols; i++) h = mix(h, (uint64_t)p->rows[i]);
    for (int i = 0; i < p->slots; i++) h = mix(h, (uint64_t)(uintptr_t)p->slot[i].ptr);
    for (int s = 0; s < p->steps; s++) h = mix(h, kin_ready_call(p, s)->acc);
    return h;
}

/* Keys and samples of this run, into the device's memory. */
static kin_status draws(kin_ctx *cx, kin_program *p)
{
    kin_backend *b = p->backend;
    int n = 0;
    for (int s = 0; s < p->steps; s++) n += kin_op_draws(p->graph->node[p->step[s].node].op);
    if (n == 0) return KIN_OK;
    if (!p->draw) {
        p->draw_bytes = n * (int64_t)sizeof *p->draw;
        p->draw = kin_alloc(cx, n, sizeof *p->draw);
        p->draws = b->alloc(b, p->draw_bytes);
        if (!p->draw || !p->draws) return kin_fail(cx, KIN_NOMEM, "out of memory for a recording's draws");
    }
    n = 0;
    for (int s = 0; s < p->steps; s++) {
        kin_call *call = kin_ready_call(p, s);
        if (!kin_op_draws(p->graph->node[p->step[s].node].op)) continue;
        p->draw[n] = (kin_draw){call->rng_key, call->sample0};
        call->draw = p->draws + n++;
    }
    b->upload(b, p->draws, p->draw, p->draw_bytes);
    return KIN_OK;
}

/* The one of this signature, or the one longest unused, emptied. */
static kin_recording *recording_of(kin_program *p, uint64_t what)
{
    kin_recording *r = &p->recording[0];
    for (int i = 0; i < KIN_RECORDINGS; i++) {
        if (p->recording[i].used && p->recording[i].what == what) return &p->recording[i];
        if (p->recording[i].used < r->used) r = &p->recording[i];
    }
    if (r->made) p->backend->forget(p->backend, r->made);
    *r = (kin_recording){.what = what};
    return r;
}

kin_status kin_program_replay(kin_ctx *cx, kin_program *p)
{
    kin_backend *b = p->backend;
    kin_recording *r = recording_of(p, signature(p));
    const bool known = r->used > 0;
    r->used = ++p->replays;
    if (!known) {
        kin_program_call(p);
        return KIN_OK;
    }
    KIN_TRY(draws(cx, p));
    if (!r->made && b->record(b)) {
        kin_program_call(p);
        r->made = b->recorded(b);
    }
    if (r->made) b->replay(b, r->made);
    for (int s = 0; s < p->steps; s++) kin_ready_call(p, s)->draw = NULL;
    return KIN_OK;
}
