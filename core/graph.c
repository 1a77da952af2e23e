#include "core/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kin_graph *kin_graph_new(kin_ctx *cx, kin_params *params)
{
    kin_graph *g = kin_alloc0(cx, 1, sizeof *g);
    if (!g) return NULL;
    g->cx = cx;
    g->params = params;
    g->block = -1;
    g->value = kin_alloc0(cx, 256, sizeof *g->value);
    g->node = kin_alloc0(cx, 256, sizeof *g->node);
    if (!g->value || !g->node) {
        kin_graph_free(g);
        return NULL;
    }
    g->value_room = g->node_room = 256;
    g->values = 1;
    g->value[0].shape = KIN_ABSENT;
    return g;
}

void kin_graph_free(kin_graph *g)
{
    if (!g) return;
    for (int i = 0; i < g->values; i++) free(g->value[i].name);
    for (int i = 0; i < g->nodes; i++) free(g->node[i].name);
    for (int i = 0; i < g->symbols; i++) free(g->symbol[i].name);
    free(g->value);
    free(g->node);
    free(g);
}

kin_status kin_graph_fail(kin_graph *g, kin_status code, const char *format, ...)
{
    char text[700];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    g->failed = true;
    return kin_fail(g->cx, code, "%s", text);
}

static char *scoped(kin_graph *g, const char *name)
{
    return kin_sprintf(g->cx, "%s%s", g->scope, name);
}

static kin_val add_value(kin_graph *g, kin_value v)
{
    if (g->values == g->value_room) {
        kin_value *grown = kin_regrow(g->cx, g->value, 2 * g->value_room, sizeof *grown);
        if (!grown) {
            g->failed = true;
            return KIN_NONE;
        }
        g->value = grown;
        g->value_room *= 2;
    }
    const kin_val id = (kin_val)g->values++;
    if (!v.root) v.root = id;
    g->value[id] = v;
    return id;
}

/* NULL: the graph has failed. */
static char *copied(kin_graph *g, const char *name)
{
    char *copy = kin_strdup(g->cx, name);
    if (!copy) g->failed = true;
    return copy;
}

int kin_dim(kin_graph *g, const char *name, int64_t capacity)
{
    if (g->failed) return 0;
    for (int i = 0; i < g->symbols; i++)
        if (strcmp(g->symbol[i].name, name) == 0) return i;
    if (g->symbols == KIN_MAX_SYMBOLS || capacity < 1) {
        kin_graph_fail(g, KIN_INTERNAL, "row symbol '%s' of capacity %lld: %d symbols is the most", name,
                       (long long)capacity, KIN_MAX_SYMBOLS);
        return 0;
    }
    char *copy = copied(g, name);
    if (!copy) return 0;
    g->symbol[g->symbols] = (kin_symbol){.name = copy, .capacity = capacity};
    return g->symbols++;
}

int kin_dim_loose(kin_graph *g, const char *name, int64_t capacity)
{
    const int sym = kin_dim(g, name, capacity);
    if (!g->failed) g->symbol[sym].loose = true;
    return sym;
}

kin_shape kin_rows_of(const kin_graph *g, kin_dtype dtype, int sym, int64_t mul, int64_t add, int rank, ...)
{
    kin_shape s = {.dtype = dtype, .rank = rank, .sym = sym, .mul = mul, .add = add};
    s.dim[0] = mul * g->symbol[sym].capacity + add;
    va_list args;
    va_start(args, rank);
    for (int i = 1; i < rank && i < KIN_MAX_RANK; i++) s.dim[i] = va_arg(args, int64_t);
    va_end(args);
    return s;
}

kin_val kin_input(kin_graph *g, const char *name, kin_shape shape, bool wants_grad)
{
    if (g->failed) return KIN_NONE;
    char *copy = copied(g, name);
    if (!copy) return KIN_NONE;
    return add_value(
        g, (kin_value){.kind = KIN_VALUE_INPUT, .shape = shape, .wants_grad = wants_grad, .name = copy});
}

static kin_shape weight_shape(const kin_graph *g, int param)
{
    kin_shape s = g->params->param[param].shape;
    s.dtype = kin_param_read_as(g->params, param);
    return s;
}

static kin_val add_region(kin_graph *g, int param, int64_t start, int64_t rows)
{
    const int region = kin_params_region(g->cx, g->params, param, start, rows);
    if (region < 0) {
        g->failed = true;
        return KIN_NONE;
    }
    kin_shape shape = weight_shape(g, param);
    if (shape.rank > 0) shape.dim[0] = rows;
    return add_value(g, (kin_value){.kind = KIN_VALUE_PARAM, .shape = shape, .region = region});
}

kin_val kin_weight(kin_graph *g, const char *name, kin_init init, int rank, ...)
{
    if (g->failed) return KIN_NONE;
    kin_shape shape = {.dtype = KIN_F32, .rank = rank, .sym = -1};
    va_list args;
    va_start(args, rank);
    for (int i = 0; i < rank && i < KIN_MAX_RANK; i++) shape.dim[i] = va_arg(args, int64_t);
    va_end(args);
    char *full = scoped(g, name);
    const int param = full ? kin_params_add(g->cx, g->params, full, &shape, init) : -1;
    free(full);
    if (param < 0) {
        g->failed = true;
        return KIN_NONE;
    }
    /* A use of the whole weight; one that will be cut into rows registers its regions when it is cut. */
    return add_value(
        g, (kin_value){.kind = KIN_VALUE_PARAM, .shape = weight_shape(g, param), .region = -1 - param});
}

static int param_of(const kin_graph *g, kin_val weight)
{
    const int region = g->value[weight].region;
    return region < 0 ? -1 - region : g->params->region[region].param;
}

kin_val kin_buffer(kin_graph *g, const char *name, kin_init init, int64_t width)
{
    const kin_val v = kin_weight(g, name, init, 1, width);
    if (v) g->params->param[param_of(g, v)].frozen = true;
    return v;
}

bool kin_learns(const kin_graph *g, kin_val weight)
{
    return weight && !g->params->param[param_of(g, weight)].frozen;
}

void kin_follow(kin_graph *g, kin_val value, kin_val buffer, float decay)
{
    if (g->failed || !value || !buffer) return;
    const kin_value *v = &g->value[value], *w = &g->value[buffer];
    if (v->kind != KIN_VALUE_NODE || w->kind != KIN_VALUE_PARAM || v->shape.sym >= 0 || v->shape.rank != 1 ||
        v->shape.dim[0] != w->shape.dim[0] || !g->params->param[param_of(g, buffer)].frozen) {
        kin_graph_fail(g, KIN_INTERNAL, "a running average is a buffer of its value's width");
        return;
    }
    g->node[v->node].follower[v->out] = 1 + param_of(g, buffer);
    g->node[v->node].decay = decay;
}

/* The region of a whole weight is taken at its first use, so that a weight that is only cut has none. */
static bool whole_region(kin_graph *g, kin_val v)
{
    kin_value *w = &g->value[g->value[v].root];
    if (w->kind != KIN_VALUE_PARAM || w->region >= 0) return true;
    const int param = -1 - w->region;
    const kin_val id = add_region(g, param, 0, w->shape.rank > 0 ? w->shape.dim[0] : 1);
    if (!id) return false;
    g->value[g->value[v].root].region = g->value[id].region;
    return true;
}

kin_val kin_weight_rows(kin_graph *g, kin_val weight, int64_t start, int64_t rows)
{
    if (g->failed || !weight) return KIN_NONE;
    const kin_value *w = &g->value[weight];
    if (w->kind != KIN_VALUE_PARAM || w->region >= 0) {
        kin_graph_fail(g, KIN_INTERNAL, "rows can be cut from a whole, unused weight only");
        return KIN_NONE;
    }
    return add_region(g, -1 - w->region, start, rows);
}

const kin_shape *kin_shape_of(const kin_graph *g, kin_val v)
{
    return &g->value[v].shape;
}

static kin_node *add_node(kin_graph *g, kin_op op, const char *name)
{
    if (g->nodes == g->node_room) {
        kin_node *grown = kin_regrow(g->cx, g->node, 2 * g->node_room, sizeof *grown);
        if (!grown) return NULL;
        g->node = grown;
        g->node_room *= 2;
    }
    char *full = kin_sprintf(g->cx, "%s%s%s%s", g->pass, *g->pass ? ":" : "", g->scope, name);
    if (!full) return NULL;
    const uint64_t hash = kin_fnv(KIN_FNV, full, strlen(full));
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].hash == hash) { /* equal names would draw equal random numbers */
            kin_graph_fail(g, KIN_INTERNAL, "two nodes are called '%s'", full);
            free(full);
            return NULL;
        }
    kin_node *n = &g->node[g->nodes++];
    *n = (kin_node){.op = op, .name = full, .hash = hash, .block = g->block};
    return n;
}

kin_val kin_apply(kin_graph *g, kin_op op, const char *name, const void *attr, const kin_val in[KIN_MAX_IN],
                  kin_val out[KIN_MAX_OUT])
{
    if (out) memset(out, 0, KIN_MAX_OUT * sizeof *out);
    if (g->failed) return KIN_NONE;
    const kin_op_row *row = kin_op_get(op);
    kin_shape ins[KIN_MAX_IN], outs[KIN_MAX_OUT];
    for (int i = 0; i < KIN_MAX_IN; i++) {
        const kin_val v = i < row->nin ? in[i] : KIN_NONE;
        if (v && !whole_region(g, v)) return KIN_NONE;
        ins[i] = g->value[v].shape;
    }
    for (int i = 0; i < KIN_MAX_OUT; i++) outs[i] = KIN_ABSENT;
    kin_node *n = add_node(g, op, name);
    if (!n) {
        g->failed = true;
        return KIN_NONE;
    }
    if (attr) memcpy(n->attr.bytes, attr, row->attr_size);
    if (kin_op_types(g->cx, op, ins) != KIN_OK ||
        row->def->shape(g->cx, ins, n->attr.bytes, outs) != KIN_OK) {
        g->failed = true;
        kin_within(g->cx, "%s '%s'", row->def->name, n->name);
        return KIN_NONE;
    }
    const int index = g->nodes - 1;
    for (int i = 0; i < row->nin; i++) n->in[i] = in[i];
    for (int i = 0; i < row->nout; i++) {
        if (outs[i].rank < 0) continue;
        const kin_val v =
            add_value(g, (kin_value){.kind = KIN_VALUE_NODE, .shape = outs[i], .node = index, .out = i});
        g->node[index].out[i] = v;
        if (out) out[i] = v;
    }
    return g->node[index].out[0];
}

kin_val kin_reshape(kin_graph *g, kin_val v, int rank, const int64_t *tail)
{
    if (g->failed || !v) return KIN_NONE;
    if (!whole_region(g, v)) return KIN_NONE;
    kin_value w = g->value[v];
    int64_t old = 1, now = 1;
    for (int i = 1; i < w.shape.rank; i++) old *= w.shape.dim[i];
    for (int i = 0; i + 1 < rank; i++) now *= tail[i];
    kin_shape s = w.shape;
    char text[96];
    if (rank < 1 || rank > KIN_MAX_RANK || now < 1 || s.dim[0] * old % now ||
        (s.sym >= 0 && (s.mul * old % now || s.add * old % now))) {
        kin_graph_fail(g, KIN_SHAPE, "%s: %s cannot be cut into rows of %lld", g->scope,
                       kin_shape_text(&s, text), (long long)now);
        return KIN_NONE;
    }
    s.dim[0] = s.dim[0] * old / now;
    s.mul = s.mul * old / now;
    s.add = s.add * old / now;
    s.rank = rank;
    for (int i = 1; i < KIN_MAX_RANK; i++) s.dim[i] = i < rank ? tail[i - 1] : 0;
    w.shape = s;
    w.name = NULL;
    return add_value(g, w); /* root stays */
}

kin_scope kin_enter(kin_graph *g, const char *name, bool recompute)
{
    const kin_scope s = {.length = strlen(g->scope), .block = g->block};
    if (*name) snprintf(g->scope + s.length, sizeof g->scope - s.length, "%s.", name);
    if (recompute && g->block < 0) g->block = g->blocks++;
    return s;
}

kin_val kin_leave(kin_graph *g, kin_scope s, kin_val result)
{
    g->scope[s.length] = 0;
    g->block = s.block;
    return result;
}

void kin_pass(kin_graph *g, const char *pass)
{
    snprintf(g->pass, sizeof g->pass, "%s", pass);
}
