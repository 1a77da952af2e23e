/* graph: what to compute, written once by model code as calls that return 4-byte ids.
 *
 * Errors are sticky: the first one is kept in the context, every builder given KIN_NONE after an error
 * returns KIN_NONE, so model code has no error checks and still cannot fail silently (kin_program_compile
 * reports it).
 *
 * Leading sizes may hang on a row symbol: kin_dim(g, "texts", 64) is "the live number of texts, at most 64".
 * Plans are made for the capacity; kernels see the live count of the run.
 *
 * A reshape is another name for the same bytes: it shares storage and gradient with its root. */
#ifndef KIN_GRAPH_H
#define KIN_GRAPH_H
#include "core/params.h"

typedef uint32_t kin_val;
#define KIN_NONE 0u

typedef enum kin_value_kind { KIN_VALUE_INPUT, KIN_VALUE_PARAM, KIN_VALUE_NODE } kin_value_kind;

typedef struct kin_value {
    kin_value_kind kind;
    kin_shape shape;
    kin_val root;    /* itself, or the value whose storage it shares */
    int node, out;   /* KIN_VALUE_NODE: where it comes from */
    int region;      /* KIN_VALUE_PARAM: index in params->region */
    bool wants_grad; /* KIN_VALUE_INPUT: its gradient may be asked for */
    char *name;      /* input's name, or NULL */
} kin_value;

typedef struct kin_node {
    kin_op op;
    char *name;    /* with its scopes: "visual.blocks.3.attn" */
    uint64_t hash; /* of the name: what its random numbers are keyed by */
    kin_val in[KIN_MAX_IN], out[KIN_MAX_OUT];
    int block;                 /* recompute block, -1: none */
    int follower[KIN_MAX_OUT]; /* 1 + the parameter that follows an output (kin_follow); 0: none */
    float decay;
    union {
        max_align_t align;
        char bytes[KIN_MAX_ATTR];
    } attr;
} kin_node;

typedef struct kin_symbol {
    char *name;
    int64_t capacity;
    bool loose; /* see kin_dim_loose */
} kin_symbol;

enum { KIN_MAX_SYMBOLS = 12 };

typedef struct kin_graph {
    kin_ctx *cx;
    kin_params *params;
    kin_value *value; /* [values]; value[0] is KIN_NONE */
    kin_node *node;
    int values, value_room, nodes, node_room;
    kin_symbol symbol[KIN_MAX_SYMBOLS];
    int symbols;
    char pass[32];   /* see kin_pass */
    char scope[512]; /* dotted prefix of names, ending in '.' unless empty */
    int blocks;      /* recompute blocks so far */
    int block;       /* the open one, -1: none */
    bool failed;
} kin_graph;

kin_graph *kin_graph_new(kin_ctx *cx, kin_params *params);
void kin_graph_free(kin_graph *g);

/* A row symbol of that capacity; the same name gives the same symbol. */
int kin_dim(kin_graph *g, const char *name, int64_t capacity);
/* The same of rows that differ from batch to batch: those of sequences that lie end to end, or lists of
 * indices. Where a device repeats its launches (core/replay.c) there are always as many as the capacity:
 * behind the live ones indices are -1 and numbers 0, offsets end before them, what kernels make of them is
 * finite, and no gradient comes from them. So nothing may be summed or averaged over such rows unless an
 * offset, an index or a label says which of them count. */
int kin_dim_loose(kin_graph *g, const char *name, int64_t capacity);
/* [mul * rows(sym) + add, tail...] */
kin_shape kin_rows_of(const kin_graph *g, kin_dtype dtype, int sym, int64_t mul, int64_t add, int rank, ...);

/* Memory that the caller binds before a run. */
kin_val kin_input(kin_graph *g, const char *name, kin_shape shape, bool wants_grad);
/* A weight, named by scope and name; f32, or for matrices (rank >= 2) params->precision. */
kin_val kin_weight(kin_graph *g, const char *name, kin_init init, int rank, ...);
/* Leading rows start .. start + rows - 1 of a weight, as a leaf of their own. */
kin_val kin_weight_rows(kin_graph *g, kin_val weight, int64_t start, int64_t rows);

/* A weight of one dimension that no gradient moves: frozen from the start. */
kin_val kin_buffer(kin_graph *g, const char *name, kin_init init, int64_t width);
bool kin_learns(const kin_graph *g, kin_val weight); /* is it not frozen? */
/* A buffer follows an output of a node as a running average: in the forward of a program that has a
 * backward, buffer = decay buffer + (1 - decay) value (batchnorm's statistics). value and buffer [C]. */
void kin_follow(kin_graph *g, kin_val value, kin_val buffer, float decay);

/* One op: returns output 0; `out`, if given, receives all (KIN_NONE: that output is absent). */
kin_val kin_apply(kin_graph *g, kin_op op, const char *name, const void *attr, const kin_val in[KIN_MAX_IN],
                  kin_val out[KIN_MAX_OUT]);
/* kin_op1(g, linear, "fc", &attr, x, w, b): the same, with the inputs as arguments. */
#define kin_op1(g, op, name, attr, ...)                                                                      \
    kin_apply(g, KIN_OP_##op, name, attr, (const kin_val[KIN_MAX_IN]){__VA_ARGS__}, NULL)

/* Same bytes, trailing sizes replaced by `tail` (rank - 1 of them); dim[0] becomes what is left. */
kin_val kin_reshape(kin_graph *g, kin_val v, int rank, const int64_t *tail);

/* Names inside are prefixed "name.". kin_enter also opens a recompute block when asked (and none is open):
 * its inner values are computed again for backward instead of being kept. */
typedef struct kin_scope {
    size_t length;
    int block;
} kin_scope;
kin_scope kin_enter(kin_graph *g, const char *name, bool recompute);
kin_val kin_leave(kin_graph *g, kin_scope s, kin_val result); /* returns result */

/* Nodes built from here on are called "pass:..." besides: the same weights, used once more by other nodes (a
 * tower that runs twice in one graph). Empty: no such prefix, as a graph begins. */
void kin_pass(kin_graph *g, const char *pass);

/* Shape of a value; of KIN_NONE: absent. */
const kin_shape *kin_shape_of(const kin_graph *g, kin_val v);
kin_status kin_graph_fail(kin_graph *g, kin_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
