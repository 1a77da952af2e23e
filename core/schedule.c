#include <stdlib.h>
#include <string.h>

#include "core/program.h"

/* The passes over a graph that make the list of steps. All arrays are indexed by value or node. */
typedef struct work {
    kin_ctx *cx;
    kin_program *p;
    const kin_graph *g;
    bool *live;      /* node: some output is needed */
    bool *used;      /* value (root): a live node reads it */
    bool *needs;     /* value (root): a gradient flows through it */
    int *now;        /* value (root): instance that holds it, -1 */
    int *grad;       /* value (root): instance of its gradient, -1 */
    int *out_slot;   /* value (root): slot it must be written to, -1 */
    bool *reemitted; /* recompute block */
    bool learns;     /* there is a backward */
} work;

static kin_val root_of(const kin_graph *g, kin_val v)
{
    return g->value[v].root;
}

static int add_slot(work *w, const char *prefix, const char *name, kin_val v, bool grad)
{
    kin_program *p = w->p;
    if (p->slots == p->slot_room) {
        const int room = p->slot_room ? 2 * p->slot_room : 16;
        kin_slot *grown = kin_regrow(w->cx, p->slot, room, sizeof *grown);
        if (!grown) return -1;
        p->slot = grown;
        p->slot_room = room;
    }
    kin_slot *s = &p->slot[p->slots];
    *s = (kin_slot){.name = kin_sprintf(w->cx, "%s%s", prefix, name), .value = v};
    if (!s->name) return -1;
    const kin_shape *shape = &w->g->value[v].shape;
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= shape->dim[i];
    const kin_dtype t = grad || shape->dtype == KIN_F32 ? p->backend->real : shape->dtype;
    s->bytes = count * (int64_t)kin_dtype_size(t);
    return p->slots++;
}

static int add_instance(work *w, kin_val root, bool grad, int slot)
{
    kin_program *p = w->p;
    if (p->instances == p->instance_room) {
        const int room = p->instance_room ? 2 * p->instance_room : 256;
        kin_instance *grown = kin_regrow(w->cx, p->instance, room, sizeof *grown);
        if (!grown) return -1;
        p->instance = grown;
        p->instance_room = room;
    }
    const kin_shape *shape = &w->g->value[root].shape;
    const kin_dtype t = grad || shape->dtype == KIN_F32 ? p->backend->real : shape->dtype;
    int64_t bytes = (int64_t)kin_dtype_size(t);
    for (int i = 0; i < shape->rank; i++)
        if (!kin_mul(bytes, shape->dim[i], &bytes)) {
            char text[96];
            kin_fail(w->cx, KIN_NOMEM, "a value of shape %s does not fit in memory",
                     kin_shape_text(shape, text));
            return -1;
        }
    p->instance[p->instances] =
        (kin_instance){.value = root, .grad = grad, .slot = slot, .first = -1, .last = -1, .bytes = bytes};
    return p->instances++;
}

static kin_step *add_step(work *w, int node, bool backward)
{
    kin_program *p = w->p;
    if (p->steps == p->step_room) {
        const int room = p->step_room ? 2 * p->step_room : 256;
        kin_step *grown = kin_regrow(w->cx, p->step, room, sizeof *grown);
        if (!grown) return NULL;
        p->step = grown;
        p->step_room = room;
    }
    kin_step *s = &p->step[p->steps++];
    memset(s, 0xff, sizeof *s); /* every instance -1 */
    s->node = node;
    s->backward = backward;
    s->followed = false;
    s->acc = 0;
    return s;
}

/* How a step names where value v lies: an instance, a weight's region, or nothing. */
static int place_of(const work *w, kin_val v)
{
    if (!v) return -1;
    const kin_val r = root_of(w->g, v);
    return w->g->value[r].kind == KIN_VALUE_PARAM ? -2 - w->g->value[r].region : w->now[r];
}

static void mark_live(work *w, const kin_program_spec *spec)
{
    const kin_graph *g = w->g;
    for (int i = 0; i < KIN_MAX_SLOTS; i++) {
        const kin_val want[2] = {spec->output[i].value, spec->seed[i].value};
        for (int k = 0; k < 2; k++)
            if (want[k] && g->value[root_of(g, want[k])].kind == KIN_VALUE_NODE)
                w->live[g->value[root_of(g, want[k])].node] = true;
    }
    for (int n = g->nodes - 1; n >= 0; n--) {
        if (!w->live[n]) continue;
        for (int i = 0; i < KIN_MAX_IN; i++) {
            const kin_value *v = &g->value[root_of(g, g->node[n].in[i])];
            if (!g->node[n].in[i]) continue;
            w->used[v->root] = true;
            if (v->kind == KIN_VALUE_NODE) w->live[v->node] = true;
        }
    }
}

static void mark_needs(work *w, const kin_program_spec *spec)
{
    const kin_graph *g = w->g;
    for (int v = 1; v < g->values; v++) {
        const kin_value *value = &g->value[v];
        if (value->kind == KIN_VALUE_PARAM && value->root == (kin_val)v && value->region >= 0)
            w->needs[v] = !g->params->param[g->params->region[value->region].param].frozen;
    }
    for (int i = 0; i < KIN_MAX_SLOTS; i++)
        if (spec->wanted[i].value) w->needs[root_of(g, spec->wanted[i].value)] = true;
    for (int n = 0; n < g->nodes; n++) {
        if (!w->live[n]) continue;
        const kin_node *node = &g->node[n];
        const kin_op_row *row = kin_op_get(node->op);
        bool any = false;
        for (int i = 0; i < row->nin; i++)
            any |= (row->diff & IN(i)) && node->in[i] && w->needs[root_of(g, node->in[i])];
        const uint32_t carries = row->def->dout ? row->def->dout : OUT(0);
        for (int i = 0; i < row->nout; i++)
            if (node->out[i] && (carries & OUT(i))) w->needs[node->out[i]] = any;
    }
}

/* again: recomputed. A running average moves once, and only in programs that have a backward. */
static kin_status emit_forward(work *w, int n, bool again)
{
    const kin_node *node = &w->g->node[n];
    kin_step *s = add_step(w, n, false);
    if (!s) return w->cx->status;
    for (int i = 0; i < KIN_MAX_OUT && w->learns && !again; i++) s->followed |= node->follower[i] > 0;
    const int index = w->p->steps - 1;
    for (int i = 0; i < KIN_MAX_IN; i++) s->in[i] = place_of(w, node->in[i]);
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        const kin_val v = node->out[i];
        if (!v) continue;
        const int made = add_instance(w, v, false, again ? -1 : w->out_slot[v]);
        if (made < 0) return w->cx->status;
        w->now[v] = made;
        w->p->step[index].out[i] = made;
    }
    return KIN_OK;
}

static kin_status emit_backward(work *w, int n)
{
    const kin_graph *g = w->g;
    const kin_node *node = &g->node[n];
    const kin_op_row *row = kin_op_get(node->op);
    bool has = false, wants = false;
    for (int i = 0; i < row->nout; i++) has |= node->out[i] && w->grad[node->out[i]] >= 0;
    for (int i = 0; i < row->nin; i++)
        wants |= (row->diff & IN(i)) && node->in[i] && w->needs[root_of(g, node->in[i])];
    if (!has || !wants) return KIN_OK;

    kin_shape ins[KIN_MAX_IN];
    for (int i = 0; i < KIN_MAX_IN; i++) ins[i] = g->value[node->in[i]].shape;
    const uint32_t reads = row->def->reads ? row->def->reads(ins, node->attr.bytes) : row->reads;
    kin_step s;
    memset(&s, 0xff, sizeof s);
    s.followed = false;
    s.acc = 0;
    for (int i = 0; i < row->nin; i++)
        if (reads & IN(i)) s.in[i] = place_of(w, node->in[i]);
    for (int i = 0; i < row->nout; i++) {
        if (!node->out[i]) continue;
        if (reads & OUT(i)) s.out[i] = place_of(w, node->out[i]);
        s.dout[i] = w->grad[node->out[i]];
    }
    for (int i = 0; i < row->nin; i++) {
        const kin_val v = node->in[i];
        if (!v || !(row->diff & IN(i)) || !w->needs[root_of(g, v)]) continue;
        const kin_val r = root_of(g, v);
        for (int k = 0; k < i; k++)
            if (node->in[k] && root_of(g, node->in[k]) == r && s.din[k] != -1)
                return kin_fail(w->cx, KIN_INTERNAL,
                                "'%s' takes the same value twice and both need a gradient", node->name);
        if (g->value[r].kind == KIN_VALUE_PARAM) {
            s.din[i] = -2 - g->value[r].region; /* stores or adds: known when it runs */
        } else {
            if (w->grad[r] < 0) {
                w->grad[r] = add_instance(w, r, true, -1);
                if (w->grad[r] < 0) return w->cx->status;
            } else {
                s.acc |= IN(i);
            }
            s.din[i] = w->grad[r];
        }
    }
    kin_step *to = add_step(w, n, true);
    if (!to) return w->cx->status;
    s.node = n;
    s.backward = true;
    *to = s;
    return KIN_OK;
}

/* Gives every input that is read its slot and every output, seed and wanted gradient theirs. */
static kin_status open_slots(work *w, const kin_program_spec *spec)
{
    const kin_graph *g = w->g;
    for (int v = 1; v < g->values; v++) {
        const kin_value *value = &g->value[v];
        if (value->kind != KIN_VALUE_INPUT || value->root != (kin_val)v || !w->used[v]) continue;
        const int slot = add_slot(w, "", value->name, (kin_val)v, false);
        if (slot < 0 || (w->now[v] = add_instance(w, (kin_val)v, false, slot)) < 0) return w->cx->status;
        w->p->slot[slot].filled = true;
        w->p->instance[w->now[v]].first = 0;
    }
    for (int i = 0; i < KIN_MAX_SLOTS; i++) {
        const kin_slot_spec *o = &spec->output[i], *s = &spec->seed[i], *d = &spec->wanted[i];
        if (o->value) {
            const kin_val r = root_of(g, o->value);
            if (g->value[r].kind != KIN_VALUE_NODE || w->out_slot[r] >= 0)
                return kin_fail(w->cx, KIN_INTERNAL, "output '%s' must be one computed value, asked for once",
                                o->name);
            if ((w->out_slot[r] = add_slot(w, "", o->name, r, false)) < 0) return w->cx->status;
        }
        if (s->value) {
            const kin_val r = root_of(g, s->value);
            const int slot = add_slot(w, "d ", s->name, r, true);
            if (slot < 0 || (w->grad[r] = add_instance(w, r, true, slot)) < 0) return w->cx->status;
            w->p->slot[slot].filled = true;
            w->p->instance[w->grad[r]].first = 0;
        }
        if (d->value) {
            const kin_val r = root_of(g, d->value);
            if (g->value[r].kind != KIN_VALUE_INPUT)
                return kin_fail(w->cx, KIN_INTERNAL, "wanted gradient '%s' is not of an input", d->name);
            /* The instance is made by its first writer; the slot waits for it. */
            if ((w->out_slot[r] = add_slot(w, "", d->name, r, true)) < 0) return w->cx->status;
        }
    }
    return KIN_OK;
}

static kin_status emit_all(work *w, const kin_program_spec *spec)
{
    const kin_graph *g = w->g;
    for (int i = 0; i < KIN_MAX_SLOTS; i++) w->learns |= spec->seed[i].value != KIN_NONE;
    for (int n = 0; n < g->nodes; n++)
        if (w->live[n]) KIN_TRY(emit_forward(w, n, false));
    for (int n = g->nodes - 1; w->learns && n >= 0; n--) {
        if (!w->live[n]) continue;
        const int block = g->node[n].block;
        if (block >= 0 && !w->reemitted[block]) {
            w->reemitted[block] = true;
            int first = n;
            while (first > 0 && g->node[first - 1].block == block) first--;
            for (int k = first; k <= n; k++)
                if (w->live[k]) KIN_TRY(emit_forward(w, k, true));
        }
        KIN_TRY(emit_backward(w, n));
    }
    for (int i = 0; i < KIN_MAX_SLOTS; i++) {
        const kin_slot_spec *d = &spec->wanted[i];
        if (!d->value) continue;
        const kin_val r = root_of(g, d->value);
        if (w->grad[r] < 0)
            return kin_fail(w->cx, KIN_INTERNAL, "no gradient reaches '%s'", g->value[r].name);
        w->p->instance[w->grad[r]].slot = w->out_slot[r];
    }
    return KIN_OK;
}

/* Drops the steps whose results nobody reads: the first forward of what is recomputed and not needed before,
 * and the recomputation of what backward does not read. */
static kin_status drop_dead(work *w)
{
    kin_program *p = w->p;
    bool *read = kin_alloc0(w->cx, p->instances, sizeof *read);
    bool *keep = kin_alloc0(w->cx, p->steps, sizeof *keep);
    if (!read || !keep) {
        free(read);
        free(keep);
        return w->cx->status;
    }
    for (int i = 0; i < p->instances; i++) read[i] = p->instance[i].slot >= 0;
    for (int s = p->steps - 1; s >= 0; s--) {
        const kin_step *t = &p->step[s];
        keep[s] = t->followed;
        for (int i = 0; i < KIN_MAX_OUT && !t->backward; i++) keep[s] |= t->out[i] >= 0 && read[t->out[i]];
        for (int i = 0; i < KIN_MAX_IN; i++)
            keep[s] |= t->din[i] <= -2 || (t->din[i] >= 0 && read[t->din[i]]);
        if (!keep[s]) continue;
        for (int i = 0; i < KIN_MAX_IN; i++)
            if (t->in[i] >= 0) read[t->in[i]] = true;
        for (int i = 0; i < KIN_MAX_OUT; i++) {
            if (t->backward && t->out[i] >= 0) read[t->out[i]] = true;
            if (t->dout[i] >= 0) read[t->dout[i]] = true;
        }
    }
    int kept = 0;
    for (int s = 0; s < p->steps; s++)
        if (keep[s]) p->step[kept++] = p->step[s];
    p->steps = kept;
    free(read);
    free(keep);
    return KIN_OK;
}

static void touch(kin_program *p, int instance, int step)
{
    if (instance < 0) return;
    kin_instance *i = &p->instance[instance];
    if (i->first < 0) i->first = step;
    i->last = step;
}

static void live_ranges(kin_program *p)
{
    for (int s = 0; s < p->steps; s++) {
        const kin_step *t = &p->step[s];
        for (int i = 0; i < KIN_MAX_IN; i++) {
            touch(p, t->in[i], s);
            touch(p, t->din[i], s);
        }
        for (int i = 0; i < KIN_MAX_OUT; i++) {
            touch(p, t->out[i], s);
            touch(p, t->dout[i], s);
        }
    }
}

kin_status kin_program_schedule(kin_ctx *cx, kin_program *p, const kin_program_spec *spec)
{
    const kin_graph *g = p->graph;
    work w = {.cx = cx, .p = p, .g = g};
    w.live = kin_alloc0(cx, g->nodes, sizeof *w.live);
    w.used = kin_alloc0(cx, g->values, sizeof *w.used);
    w.needs = kin_alloc0(cx, g->values, sizeof *w.needs);
    w.now = kin_alloc(cx, g->values, sizeof *w.now);
    w.grad = kin_alloc(cx, g->values, sizeof *w.grad);
    w.out_slot = kin_alloc(cx, g->values, sizeof *w.out_slot);
    w.reemitted = kin_alloc0(cx, g->blocks, sizeof *w.reemitted);
    kin_status rc = cx->status;
    if (rc == KIN_OK) {
        for (int v = 0; v < g->values; v++) w.now[v] = w.grad[v] = w.out_slot[v] = -1;
        mark_live(&w, spec);
        mark_needs(&w, spec);
        rc = open_slots(&w, spec);
    }
    if (rc == KIN_OK) rc = emit_all(&w, spec);
    if (rc == KIN_OK) rc = drop_dead(&w);
    if (rc == KIN_OK) live_ranges(p);
    free(w.live);
    free(w.used);
    free(w.needs);
    free(w.now);
    free(w.grad);
    free(w.out_slot);
    free(w.reemitted);
    return rc;
}
