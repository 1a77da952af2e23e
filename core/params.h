/* params: the weights of a model: one named set, shared by every graph that is built over it.
 *
 * Names are those of open_clip's state dict. Storage is flat per group (weights that decay, weights that do
 * not, frozen ones), each parameter 64-byte aligned inside its group, so that the optimiser is one call per
 * group. Frozen parameters have a value and nothing else: no gradient, no moments.
 *
 * Precision: matrices (rank >= 2) may be read by kernels as bf16: each group that has any keeps a rounded
 * copy of its values beside them. The values themselves, gradients, moments and the average stay f32 ("master
 * weights").
 *
 * A graph may use leading rows of a parameter apart from the rest (the query rows of a packed qkv weight):
 * such a region is its own leaf. Regions of one parameter are equal or disjoint. A gradient is never zeroed
 * before a step: the first writer of a region in a step stores, later ones add; who is first is known by the
 * region's stamp, whichever program it comes from. */
#ifndef KIN_PARAMS_H
#define KIN_PARAMS_H
#include "core/backend.h"

typedef enum kin_init_kind { KIN_INIT_CONST, KIN_INIT_NORMAL, KIN_INIT_UNIFORM, KIN_INIT_GRID } kin_init_kind;
/* const: arg. normal: mean 0, standard deviation arg. uniform: [-arg, arg].
 * grid: where each patch of a picture of rows x columns lies, [patches or patches + 1, C], C % 4 == 0: sines
 * and cosines of x, then of y, times arg. C/4 frequencies from half a period over the whole picture to half a
 * period a patch (geometric, as in Vaswani et al. 2017). An extra first row (the class token's) is 0. */
typedef struct kin_init {
    kin_init_kind kind;
    double arg;
    int64_t rows, columns; /* of grid */
} kin_init;

typedef enum kin_group { KIN_GROUP_DECAY, KIN_GROUP_PLAIN, KIN_GROUP_FROZEN, KIN_GROUP_COUNT } kin_group;

typedef struct kin_param {
    char *name;
    kin_shape shape;
    kin_init init;
    bool frozen;
    kin_group group;
    int64_t count, offset; /* elements; offset in the group's flat arrays */
    const void *outside;   /* its value lies there instead, and is only read; NULL: in the flat array */
} kin_param;

typedef struct kin_region {
    int param;
    int64_t start, rows; /* leading rows */
    uint64_t stamp;      /* the step in which its gradient was last written */
} kin_region;

typedef struct kin_flat {
    int64_t count;                    /* elements, padding included (padding stays zero) */
    void *value, *grad, *m, *v, *ema; /* real; NULL when not kept */
    void *copy;                       /* bf16 of value; NULL when not kept */
} kin_flat;

typedef struct kin_params {
    kin_param *param;
    int count, room;
    kin_region *region;
    int regions, region_room;
    kin_backend *backend; /* after kin_params_alloc */
    kin_dtype precision;  /* what matrices are read as: KIN_F32 or KIN_BF16; before kin_params_alloc */
    bool stale;           /* the copies are older than the values */
    kin_flat flat[KIN_GROUP_COUNT];
    void *arena;
    int64_t bytes;  /* of the arena */
    uint64_t stamp; /* the current step's; see kin_params_begin */
} kin_params;

kin_params *kin_params_new(kin_ctx *cx);
void kin_params_free(kin_params *p);

/* Index of the parameter, added if new; a known name must come with the same shape. -1 on failure. f32. */
int kin_params_add(kin_ctx *cx, kin_params *p, const char *name, const kin_shape *shape, kin_init init);
int kin_params_find(const kin_params *p, const char *name); /* -1: none */
/* Region of `rows` leading rows from start (the whole: 0, dim[0]); -1 when it overlaps another. */
int kin_params_region(kin_ctx *cx, kin_params *p, int param, int64_t start, int64_t rows);

/* Freezes every parameter whose name matches the shell pattern; returns how many. Before kin_params_alloc. */
int kin_params_freeze(kin_params *p, const char *glob);

/* Bytes that kin_params_alloc will take: values and their copies, and for training gradients, moments and the
 * average. */
int64_t kin_params_plan(kin_params *p, size_t real_size, bool training, bool ema);
kin_status kin_params_alloc(kin_ctx *cx, kin_params *p, kin_backend *b, bool training, bool ema);
/* For inference: every parameter's value is f32 in memory that outlives p (a mapped file), value(user, i); 0
 * bytes are allocated. For backends that compute in host memory. Such weights cannot be set. */
typedef const void *(*kin_param_at)(void *user, int param);
void kin_params_borrow(kin_params *p, kin_backend *b, kin_param_at value, void *user);
/* Initial values: pure functions of (seed, name, element). The average starts as a copy. */
kin_status kin_params_init(kin_ctx *cx, kin_params *p, uint64_t seed);

void *kin_param_value(const kin_params *p, int param); /* in backend memory; dtype backend->real */
void *kin_param_grad(const kin_params *p, int param);  /* NULL: frozen, or not training */
void *kin_param_ema(const kin_params *p, int param);
/* What kernels read: the copy of a matrix where there is one. */
void *kin_region_value(const kin_params *p, int region);
kin_dtype kin_param_read_as(const kin_params *p, int param);
/* Makes the copies anew where values have changed other than by the optimiser, which writes both. */
void kin_params_refresh(kin_params *p);
void *kin_region_grad(const kin_params *p, int region);

/* A step: begin; run programs; finish zeroes the gradients of regions that nothing wrote. */
void kin_params_begin(kin_params *p);
kin_status kin_params_finish(kin_ctx *cx, kin_params *p);

/* Exchanges the weights with their average, in place (evaluating the average, then back). No average:
 * nothing. */
void kin_params_swap_ema(kin_params *p);

/* Checkpoints and fine-tuning: f32 host values in and out. */
kin_status kin_param_set(kin_ctx *cx, kin_params *p, int param, const float *values);
kin_status kin_param_get(kin_ctx *cx, const kin_params *p, int param, bool ema, float *values);
/* `count` elements from `from` on. */
kin_status kin_param_part(kin_ctx *cx, const kin_params *p, int param, bool ema, int64_t from, int64_t count,
                          float *values);

#endif
