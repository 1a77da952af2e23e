/* What a program keeps of its inside: chosen by name before it is scheduled, read after a run. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "core/replay.h"

static kin_status add(kin_ctx *cx, kin_program *p, const char *name, kin_val value, int node)
{
    for (int i = 0; i < p->kepts; i++)
        if (p->kept[i].name == name && p->kept[i].value == value) return KIN_OK; /* by another glob */
    if (p->kepts == p->kept_room) {
        const int room = p->kept_room ? 2 * p->kept_room : 16;
        kin_kept *grown = kin_regrow(cx, p->kept, room, sizeof *grown);
        if (!grown) return cx->status;
        p->kept = grown;
        p->kept_room = room;
    }
    p->kept[p->kepts++] = (kin_kept){.name = name, .value = value, .node = node, .step = -1};
    return KIN_OK;
}

static bool computed(const kin_graph *g, kin_val v)
{
    return v && g->value[v].kind == KIN_VALUE_NODE;
}

static int dots(const char *name)
{
    int n = 0;
    for (; *name; name++) n += *name == '.';
    return n;
}

/* "weights of"; or the outermost scopes first, as many names as a message holds. */
static kin_status unknown(kin_ctx *cx, const kin_graph *g, const char *glob, bool attention)
{
    enum { ROOM = 600 };
    char list[ROOM + 4] = "";
    size_t at = 0;
    bool left = false;
    for (int deep = 0; deep < 16; deep++)
        for (int i = 0; i < (attention ? g->nodes : g->names); i++) {
            const char *name = attention ? g->node[i].name : g->named[i].name;
            const size_t n = strlen(name);
            if (attention ? g->node[i].op != KIN_OP_attention : !computed(g, g->named[i].value)) continue;
            if (dots(name) != deep) continue;
            left |= at + n + 2 > ROOM;
            if (left) continue;
            if (at) at = (size_t)(stpcpy(list + at, ", ") - list);
            at = (size_t)(stpcpy(list + at, name) - list);
        }
    if (left) memcpy(list + at, "...", 4);
    if (!*list) return kin_fail(cx, KIN_ARG, "'%s' cannot be kept: nothing here has attention", glob);
    return kin_fail(cx, KIN_ARG, "no %s is called '%s'; there are %s", attention ? "attention" : "value",
                    glob, list);
}

static bool is_attention(const kin_node *n, const char *glob)
{
    char scope[512];
    const size_t length = strlen(n->name), end = strlen(".attention");
    if (n->op != KIN_OP_attention) return false;
    if (fnmatch(glob, n->name, 0) == 0) return true;
    if (length <= end || length - end >= sizeof scope) return false;
    memcpy(scope, n->name, length - end);
    scope[length - end] = 0;
    return strcmp(n->name + length - end, ".attention") == 0 && fnmatch(glob, scope, 0) == 0;
}

static kin_status choose_attention(kin_ctx *cx, kin_program *p, const char *glob)
{
    const kin_graph *g = p->graph;
    bool any = false;
    for (int i = 0; i < g->nodes; i++) {
        if (!is_attention(&g->node[i], glob)) continue;
        any = true;
        KIN_TRY(add(cx, p, g->node[i].name, KIN_NONE, i));
    }
    return any ? KIN_OK : unknown(cx, g, glob, true);
}

static kin_status choose_value(kin_ctx *cx, kin_program *p, const char *glob)
{
    const kin_graph *g = p->graph;
    bool any = false;
    for (int i = 0; i < g->names; i++) {
        const kin_val v = g->named[i].value;
        if (!computed(g, v) || fnmatch(glob, g->named[i].name, 0) != 0) continue;
        any = true;
        KIN_TRY(add(cx, p, g->named[i].name, v, g->value[v].node));
    }
    for (int i = 0; i < g->nodes; i++) {
        if (fnmatch(glob, g->node[i].name, 0) != 0) continue;
        any = true;
        KIN_TRY(add(cx, p, g->node[i].name, g->node[i].out[0], i));
    }
    return any ? KIN_OK : unknown(cx, g, glob, false);
}

kin_status kin_program_choose(kin_ctx *cx, kin_program *p, const kin_keep *keep)
{
    for (int i = 0; keep->value && keep->value[i]; i++) KIN_TRY(choose_value(cx, p, keep->value[i]));
    for (int i = 0; keep->attention && keep->attention[i]; i++)
        KIN_TRY(choose_attention(cx, p, keep->attention[i]));
    return KIN_OK;
}

/* The step that computed it, which has run. */
static const kin_kept *find(kin_ctx *cx, const kin_program *p, const char *name, bool attention)
{
    for (int i = 0; i < p->kepts; i++) {
        const kin_kept *k = &p->kept[i];
        const kin_node *n = &p->graph->node[k->node];
        if (attention == (k->value != KIN_NONE)) continue;
        if (attention ? !is_attention(n, name) : strcmp(k->name, name) != 0) continue;
        if (kin_ready_call(p, k->step)->in[0].ptr) return k;
        kin_fail(cx, KIN_ARG, "'%s' has not been computed yet", name);
        return NULL;
    }
    kin_fail(cx, KIN_ARG, "the program was not asked to keep '%s'", name);
    return NULL;
}

kin_status kin_program_kept(kin_ctx *cx, const kin_program *p, const char *name, kin_tensor *out)
{
    const kin_kept *k = find(cx, p, name, false);
    if (!k) return cx->status;
    const kin_value *v = &p->graph->value[k->value];
    const kin_tensor *root = &kin_ready_call(p, k->step)->out[v->out];
    int64_t row = 1;
    for (int i = 1; i < v->shape.rank; i++) row *= v->shape.dim[i];
    *out = kin_shape_tensor(&v->shape, root->ptr); /* a reshape of the root */
    out->dtype = root->dtype;
    out->dim[0] = kin_count(root) / row;
    return KIN_OK;
}

kin_status kin_program_attention(kin_ctx *cx, const kin_program *p, const char *name, kin_tensor *out)
{
    const kin_kept *k = find(cx, p, name, true);
    if (!k) return cx->status;
    const kin_call *c = kin_ready_call(p, k->step);
    const kin_attention_attr *a = c->attr;
    const kin_tensor *lse = &c->out[1];
    const int64_t fixed = kin_absent(&c->in[1]) ? a->tq : a->tk;
    *out = (kin_tensor){
        out->ptr, lse->dtype, 3, {lse->dim[0], lse->dim[1], kin_max64(1, kin_max64(fixed, a->max_tk))}};
    kin_tensor t[6] = {c->in[0], c->in[1], c->in[3], c->in[4], *lse, *out};
    if (out->ptr) p->backend->fns[KIN_FN_attention_weights](&(kin_fn_call){.t = t, .attr = a, .dev = c->dev});
    return kin_backend_check(cx, p->backend);
}
