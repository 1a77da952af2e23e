#include "core/program.h"

#include <stdlib.h>
#include <string.h>

#include "core/replay.h"

kin_program *kin_program_compile(kin_ctx *cx, kin_graph *g, kin_backend *b, const kin_program_spec *spec)
{
    if (g->failed || cx->status != KIN_OK) {
        kin_fail(cx, KIN_INTERNAL, "the graph is not complete");
        return NULL;
    }
    kin_program *p = kin_alloc0(cx, 1, sizeof *p);
    if (!p) return NULL;
    p->graph = g;
    p->backend = b;
    if (kin_program_choose(cx, p, &spec->keep) != KIN_OK || kin_program_schedule(cx, p, spec) != KIN_OK ||
        kin_program_plan(cx, p) != KIN_OK || kin_program_prepare(cx, p) != KIN_OK) {
        kin_program_free(p);
        return NULL;
    }
    return p;
}

void kin_program_free(kin_program *p)
{
    if (!p) return;
    for (int i = 0; i < p->slots; i++) free(p->slot[i].name);
    kin_program_forget(p);
    kin_program_unprepare(p);
    free(p->slot);
    free(p->kept);
    free(p->step);
    free(p->instance);
    free(p);
}

void kin_program_attach(kin_program *p, void *act, void *scratch)
{
    p->stale = p->stale || p->act != act || p->scratch != scratch;
    p->act = act;
    p->scratch = scratch;
}

static kin_slot *find(const kin_program *p, const char *name)
{
    for (int i = 0; i < p->slots; i++)
        if (strcmp(p->slot[i].name, name) == 0) return &p->slot[i];
    return NULL;
}

kin_status kin_program_bind(kin_ctx *cx, kin_program *p, const char *name, void *ptr)
{
    kin_slot *s = find(p, name);
    if (!s) return kin_fail(cx, KIN_INTERNAL, "the program has nothing called '%s' to bind", name);
    p->stale = p->stale || s->ptr != ptr;
    s->ptr = ptr;
    s->host = p->backend->host ? ptr : NULL;
    return KIN_OK;
}

kin_status kin_program_host_copy(kin_ctx *cx, kin_program *p, const char *name, const void *host)
{
    kin_slot *s = find(p, name);
    if (!s) return kin_fail(cx, KIN_INTERNAL, "the program has nothing called '%s'", name);
    s->host = host;
    return KIN_OK;
}

int64_t kin_program_slot_bytes(const kin_program *p, const char *name)
{
    const kin_slot *s = find(p, name);
    return s ? s->bytes : -1;
}

int kin_program_backward_steps(const kin_program *p)
{
    int n = 0;
    for (int s = 0; s < p->steps; s++) n += p->step[s].backward;
    return n;
}

char *kin_program_text(kin_ctx *cx, const kin_program *p)
{
    int64_t room = 1;
    for (int s = 0; s < p->steps; s++) room += (int64_t)strlen(p->graph->node[p->step[s].node].name) + 32;
    char *text = kin_alloc(cx, room, 1), *at = text;
    if (!text) return NULL;
    for (int s = 0; s < p->steps; s++) {
        const kin_node *n = &p->graph->node[p->step[s].node];
        at = stpcpy(at, p->step[s].backward ? "bwd " : "fwd ");
        at = stpcpy(at, kin_op_get(n->op)->def->name);
        at = stpcpy(stpcpy(stpcpy(at, " "), n->name), "\n");
    }
    *at = 0;
    return text;
}
