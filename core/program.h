/* program: a graph made runnable: schedule (one flat list of forward, recompute and backward steps), plan (an
 * offset for every value by its live range), run (a for-loop over a backend's kernels).
 *
 * Schedule. A step writes fresh instances of values. Recompute = emit the forward steps of a block once more
 * before its backward; the old instances die because nobody reads them any more. "Needs grad" flows from
 * trainable weights and from wanted inputs: what cannot reach one gets no backward step and keeps nothing.
 * '=' or '+=' is a bit per gradient: the first writer stores. Steps whose results nobody reads are dropped.
 *
 * Memory. Inputs, outputs, cotangents and wanted gradients are bound by the caller, by name. Everything else
 * lives in two arenas that the caller supplies (programs that never run at once share them): ACT, planned by
 * live range, and SCRATCH, the largest single need. Nothing is allocated after kin_program_compile. */
#ifndef KIN_PROGRAM_H
#define KIN_PROGRAM_H
#include "core/graph.h"

enum { KIN_MAX_SLOTS = 8 };

typedef struct kin_slot_spec {
    kin_val value;
    const char *name;
} kin_slot_spec;

typedef struct kin_program_spec {
    kin_slot_spec output[KIN_MAX_SLOTS]; /* results: bound under their name */
    kin_slot_spec seed[KIN_MAX_SLOTS];   /* values whose cotangent the caller supplies; none: forward only */
    kin_slot_spec wanted[KIN_MAX_SLOTS]; /* inputs whose gradient the caller receives */
} kin_program_spec;

/* What an instance is: bytes that steps write and read. */
typedef struct kin_instance {
    kin_val value;   /* a root */
    bool grad;       /* its gradient, in real */
    int slot;        /* bound by the caller, -1: planned in ACT */
    int first, last; /* steps between which it lives; first < 0: never written */
    int64_t bytes, offset;
} kin_instance;

typedef struct kin_step {
    int node;
    bool backward;
    bool followed; /* weights follow its outputs (kin_follow) */
    /* Instances; -1: none. For weights -2 - region. */
    int in[KIN_MAX_IN], out[KIN_MAX_OUT], dout[KIN_MAX_OUT], din[KIN_MAX_IN];
    uint32_t acc;
} kin_step;

typedef struct kin_slot {
    char *name;
    kin_val value;
    bool filled;      /* by the caller: an input or a seed */
    int64_t bytes;    /* at capacity */
    void *ptr;        /* bound */
    const void *host; /* where the host can read it, NULL: nowhere */
} kin_slot;

/* A step ready to call: tensors with pointers, and how leading sizes follow the row symbols. */
typedef struct kin_ready kin_ready;

/* A run of all steps that the backend can repeat (core/replay.c). */
enum { KIN_RECORDINGS = 8 };
typedef struct kin_recording {
    uint64_t what; /* it was recorded with */
    void *made;    /* NULL: it has come only once so far */
    int64_t used;  /* at which replay last; 0: empty */
} kin_recording;

typedef struct kin_program {
    kin_graph *graph; /* not owned, must outlive the program */
    kin_backend *backend;
    kin_step *step;
    kin_instance *instance;
    kin_slot *slot;
    kin_ready *ready;
    int steps, step_room, instances, instance_room, slots, slot_room;
    int64_t act_bytes, scratch_bytes;
    char *act, *scratch; /* attached */
    bool stale;          /* pointers changed since they were last written into ready */
    /* Of each row symbol in the last run: how many were live, and how many kernels were called with. */
    int64_t live[KIN_MAX_SYMBOLS], rows[KIN_MAX_SYMBOLS];
    kin_recording recording[KIN_RECORDINGS];
    int64_t replays;
    kin_draw *draw, *draws; /* of steps that draw: on the host, on the device */
    int64_t draw_bytes;
} kin_program;

/* NULL on failure; reports the graph's sticky error too. */
kin_program *kin_program_compile(kin_ctx *cx, kin_graph *g, kin_backend *b, const kin_program_spec *spec);
void kin_program_free(kin_program *p);

/* Gives the program its arenas: at least act_bytes and scratch_bytes, 64-byte aligned. */
void kin_program_attach(kin_program *p, void *act, void *scratch);
/* Binds a slot: an input, output, seed ("d NAME" of the seed) or wanted gradient, by its name. */
kin_status kin_program_bind(kin_ctx *cx, kin_program *p, const char *name, void *ptr);
/* Says where the host has a copy of what is bound: costs that hang on offsets are exact only then. Known by
 * itself for backends that work on host memory. */
kin_status kin_program_host_copy(kin_ctx *cx, kin_program *p, const char *name, const void *host);
int64_t kin_program_slot_bytes(const kin_program *p, const char *name); /* at capacity; -1: no such slot */

typedef struct kin_run {
    int64_t rows[KIN_MAX_SYMBOLS]; /* live count of each row symbol */
    uint64_t key;                  /* of (seed, step) */
    int64_t sample0;               /* index in the global batch of the first sample */
    bool replay;     /* steps may be recorded and replayed, where the backend can: the same bits */
    double *seconds; /* NULL, or [steps]: time of each step is added */
    bool
        check; /* look at all that every step writes: the first NaN or Inf is KIN_NUMERIC, and where (slow) */
} kin_run;

/* Sets the live count of the symbol of that name (nothing, if the graph has none). */
void kin_run_rows(const kin_program *p, kin_run *run, const char *symbol, int64_t rows);

/* Marks the regions that it writes gradients of (kin_params_begin first). Allocates nothing. On a device that
 * can fill, loose symbols (kin_dim_loose) have their capacity, so that what is launched hangs on the program
 * alone: the memory behind the live rows of what is bound is the program's, and it is filled. */
kin_status kin_program_run(kin_ctx *cx, kin_program *p, const kin_run *run);

/* Cost at the live sizes of the last run (at capacity before one). backward: 0 forward steps only, 1 backward
 * only, -1 both. */
kin_cost kin_program_cost(const kin_program *p, int backward);
kin_cost kin_program_step_cost(const kin_program *p, int step);
/* Number of backward steps; steps of a program as text, one a line (for tests and people). Caller frees. */
int kin_program_backward_steps(const kin_program *p);
char *kin_program_text(kin_ctx *cx, const kin_program *p);

/* For core only: the passes. */
kin_status kin_program_schedule(kin_ctx *cx, kin_program *p, const kin_program_spec *spec);
kin_status kin_program_plan(kin_ctx *cx, kin_program *p);
kin_status kin_program_prepare(kin_ctx *cx, kin_program *p);
void kin_program_unprepare(kin_program *p);

#endif
