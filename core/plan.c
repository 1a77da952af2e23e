#include <stdlib.h>

#include "core/program.h"

/* Greedy by size: the largest instances first, each at the lowest offset where it meets none of those already
 * placed that live at the same time. (The same as tinygrad's and TFLite's planners; close to optimal here
 * because a network's long-lived values are also its large ones.) */
enum { LINE = 64 };

typedef struct candidate {
    int64_t bytes;
    int index;
} candidate;

static int by_size(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->index - y->index;
}

static int64_t aligned(int64_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* Lowest free offset for instance i; placed[] is sorted by offset. */
static int64_t lowest(const kin_program *p, const int *placed, int count, const kin_instance *i)
{
    int64_t at = 0;
    for (int k = 0; k < count; k++) {
        const kin_instance *o = &p->instance[placed[k]];
        if (o->last < i->first || i->last < o->first) continue;
        if (o->offset >= at + aligned(i->bytes)) break;
        at = kin_max64(at, o->offset + aligned(o->bytes));
    }
    return at;
}

kin_status kin_program_plan(kin_ctx *cx, kin_program *p)
{
    candidate *order = kin_alloc(cx, p->instances, sizeof *order);
    int *placed = kin_alloc(cx, p->instances, sizeof *placed);
    if (!order || !placed) {
        free(order);
        free(placed);
        return cx->status;
    }
    int n = 0, count = 0;
    for (int i = 0; i < p->instances; i++)
        if (p->instance[i].slot < 0 && p->instance[i].first >= 0)
            order[n++] = (candidate){.bytes = p->instance[i].bytes, .index = i};
    qsort(order, (size_t)n, sizeof *order, by_size);
    p->act_bytes = 0;
    for (int k = 0; k < n; k++) {
        kin_instance *i = &p->instance[order[k].index];
        i->offset = lowest(p, placed, count, i);
        p->act_bytes = kin_max64(p->act_bytes, i->offset + aligned(i->bytes));
        int at = count++;
        while (at > 0 && p->instance[placed[at - 1]].offset > i->offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = order[k].index;
    }
    free(order);
    free(placed);
    return KIN_OK;
}
