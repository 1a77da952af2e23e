#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/replay.h"
#include "core/rng.h"

enum { TENSORS = 2 * KIN_MAX_IN + 2 * KIN_MAX_OUT };

/* dim[0] of a tensor = mul * rows(sym) + add. */
typedef struct rule {
    int sym;
    int64_t mul, add;
} rule;

struct kin_ready {
    kin_call call;
    void (*kernel)(const kin_call *c);
    kin_tensor tensor[TENSORS]; /* in, out, din, dout, in this order */
    rule rule[TENSORS];
};

/* Tensor k of a step belongs to operand i of one of four lists. */
static kin_val operand(const kin_node *n, int k, bool *grad)
{
    *grad = k >= KIN_MAX_IN + KIN_MAX_OUT;
    const int i = *grad ? k - KIN_MAX_IN - KIN_MAX_OUT : k;
    return i < KIN_MAX_IN ? n->in[i] : n->out[i - KIN_MAX_IN];
}

static int place(const kin_step *s, int k)
{
    if (k < KIN_MAX_IN) return s->in[k];
    k -= KIN_MAX_IN;
    if (k < KIN_MAX_OUT) return s->out[k];
    k -= KIN_MAX_OUT;
    return k < KIN_MAX_IN ? s->din[k] : s->dout[k - KIN_MAX_IN];
}

static void lists_of(kin_call *call, kin_tensor tensor[TENSORS])
{
    call->in = tensor;
    call->out = tensor + KIN_MAX_IN;
    call->din = tensor + KIN_MAX_IN + KIN_MAX_OUT;
    call->dout = tensor + 2 * KIN_MAX_IN + KIN_MAX_OUT;
}

/* Shapes at capacity, kernels, attributes; pointers come with kin_program_attach and _bind. */
kin_status kin_program_prepare(kin_ctx *cx, kin_program *p)
{
    p->ready = kin_alloc0(cx, p->steps, sizeof *p->ready);
    if (!p->ready) return cx->status;
    p->stale = true;
    for (int i = 0; i < p->graph->symbols; i++) p->live[i] = p->rows[i] = p->graph->symbol[i].capacity;
    for (int s = 0; s < p->steps; s++) {
        const kin_step *t = &p->step[s];
        const kin_node *n = &p->graph->node[t->node];
        kin_ready *r = &p->ready[s];
        const kin_kernel *kernel = &p->backend->ops[n->op];
        r->kernel = t->backward ? kernel->bwd : kernel->fwd;
        for (int k = 0; k < TENSORS; k++) {
            bool grad;
            const kin_val v = operand(n, k, &grad);
            const kin_shape *shape = &p->graph->value[v].shape;
            r->tensor[k] = kin_shape_tensor(shape, NULL);
            if (v && (grad || shape->dtype == KIN_F32)) r->tensor[k].dtype = p->backend->real;
            r->rule[k] = (rule){.sym = v ? shape->sym : -1, .mul = shape->mul, .add = shape->add};
        }
        r->call = (kin_call){.acc = t->acc, .attr = n->attr.bytes, .dev = p->backend->dev};
        lists_of(&r->call, r->tensor);
        const kin_op_def *def = kin_op_get(n->op)->def;
        if (def->scratch) p->scratch_bytes = kin_max64(p->scratch_bytes, def->scratch(&r->call, t->backward));
    }
    return KIN_OK;
}

void kin_program_unprepare(kin_program *p)
{
    free(p->ready);
}

static void *address(const kin_program *p, int at, bool grad)
{
    if (at == -1) return NULL;
    if (at <= -2)
        return grad ? kin_region_grad(p->graph->params, -2 - at)
                    : kin_region_value(p->graph->params, -2 - at);
    const kin_instance *i = &p->instance[at];
    return i->slot >= 0 ? p->slot[i->slot].ptr : p->act + i->offset;
}

static void refresh(kin_program *p)
{
    for (int s = 0; s < p->steps; s++) {
        kin_ready *r = &p->ready[s];
        for (int k = 0; k < TENSORS; k++)
            r->tensor[k].ptr = address(p, place(&p->step[s], k), k >= KIN_MAX_IN + KIN_MAX_OUT);
        r->call.scratch = p->scratch;
    }
    p->stale = false;
}

static void resize(const kin_ready *r, const int64_t *rows, kin_tensor tensor[TENSORS])
{
    for (int k = 0; k < TENSORS; k++)
        if (r->rule[k].sym >= 0) tensor[k].dim[0] = r->rule[k].mul * rows[r->rule[k].sym] + r->rule[k].add;
}

static kin_status resize_all(kin_ctx *cx, kin_program *p, const kin_run *run)
{
    const kin_graph *g = p->graph;
    for (int i = 0; i < g->symbols; i++) {
        const kin_symbol *s = &g->symbol[i];
        if (run->rows[i] < 0 || run->rows[i] > s->capacity)
            return kin_fail(cx, KIN_SHAPE, "%lld rows of '%s': this program was planned for at most %lld",
                            (long long)run->rows[i], s->name, (long long)s->capacity);
        p->live[i] = run->rows[i];
        p->rows[i] = s->loose && p->backend->fill ? s->capacity : run->rows[i];
    }
    for (int s = 0; s < p->steps; s++) resize(&p->ready[s], p->rows, p->ready[s].tensor);
    return KIN_OK;
}

/* Behind the live rows of what the caller has filled: no index, or zeros. */
static void fill_behind(const kin_program *p)
{
    for (int i = 0; i < p->slots; i++) {
        const kin_slot *s = &p->slot[i];
        const kin_shape *shape = &p->graph->value[s->value].shape;
        if (!s->filled || shape->sym < 0 || p->live[shape->sym] == p->rows[shape->sym]) continue;
        const int64_t row = s->bytes / shape->dim[0];
        const int64_t from = (shape->mul * p->live[shape->sym] + shape->add) * row;
        const int64_t to = (shape->mul * p->rows[shape->sym] + shape->add) * row;
        p->backend->fill(p->backend, (char *)s->ptr + from, shape->dtype == KIN_I32 ? 0xff : 0, to - from);
    }
}

/* Weight gradients: the first writer of a region in this step stores, later ones add. */
static void stamp(kin_program *p, const kin_step *t, kin_call *call)
{
    kin_params *params = p->graph->params;
    for (int i = 0; i < KIN_MAX_IN; i++) {
        if (t->din[i] > -2) continue;
        kin_region *r = &params->region[-2 - t->din[i]];
        if (r->stamp == params->stamp)
            call->acc |= IN(i);
        else
            call->acc &= ~IN(i);
        r->stamp = params->stamp;
    }
}

/* The first element that is not finite. */
static bool not_finite(const kin_program *p, const kin_tensor *t, double *value)
{
    char part[16384];
    const int64_t size = (int64_t)kin_dtype_size(t->dtype), count = t->ptr ? kin_count(t) : 0;
    const int64_t room = (int64_t)sizeof part / size;
    if (!kin_dtype_is_real(t->dtype)) return false;
    for (int64_t from = 0; from < count; from += room) {
        const int64_t n = kin_min64(room, count - from);
        p->backend->download(p->backend, part, (const char *)t->ptr + from * size, n * size);
        for (int64_t i = 0; i < n; i++) {
            float f;
            uint16_t h;
            memcpy(&h, part + i * size, sizeof h);
            switch (t->dtype) {
            case KIN_F64: memcpy(value, part + i * size, sizeof *value); break;
            case KIN_BF16: *value = (double)kin_from_bf16(h); break;
            case KIN_F16: *value = (double)kin_from_f16(h); break;
            default: memcpy(&f, part + i * size, sizeof f); *value = (double)f;
            }
            if (!isfinite(*value)) return true;
        }
    }
    return false;
}

static const char *number_name(double value)
{
    return isnan(value) ? "NaN" : "Inf";
}

/* Looks at what step s wrote. What it read was looked at before, unless it is a weight. A row log-sum-exp of
 * nothing is -Inf by right: of the outputs behind the first only NaN counts. */
static kin_status look_at(kin_ctx *cx, const kin_program *p, int s)
{
    const kin_ready *r = &p->ready[s];
    const kin_step *t = &p->step[s];
    const kin_node *n = &p->graph->node[t->node];
    const int first = t->backward ? KIN_MAX_IN + KIN_MAX_OUT : KIN_MAX_IN;
    const int count = t->backward ? KIN_MAX_IN : KIN_MAX_OUT;
    double value, of_weight;
    for (int k = first; k < first + count; k++) {
        if (!not_finite(p, &r->tensor[k], &value)) continue;
        if (!t->backward && k > first && !isnan(value)) continue;
        for (int i = 0; i < KIN_MAX_IN; i++)
            if (t->in[i] <= -2 && not_finite(p, &r->tensor[i], &of_weight))
                return kin_fail(cx, KIN_NUMERIC, "%s in the weights: %s", number_name(of_weight),
                                p->graph->params->param[p->graph->params->region[-2 - t->in[i]].param].name);
        return kin_fail(cx, KIN_NUMERIC, "%s first seen in %s%s (%s, program step %d of %d)",
                        number_name(value), t->backward ? "the backward of " : "", n->name,
                        kin_op_get(n->op)->def->name, s + 1, p->steps);
    }
    return KIN_OK;
}

/* Running averages of what step s wrote. */
static void follow(const kin_program *p, int s)
{
    const kin_node *n = &p->graph->node[p->step[s].node];
    const kin_params *params = p->graph->params;
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        if (!n->follower[i]) continue;
        kin_tensor t[2] = {p->ready[s].tensor[KIN_MAX_IN + i], p->ready[s].tensor[KIN_MAX_IN + i]};
        t[0].ptr = kin_param_value(params, n->follower[i] - 1);
        p->backend->fns[KIN_FN_ema](
            &(kin_fn_call){.t = t, .attr = &(kin_ema_attr){.decay = n->decay}, .dev = p->backend->dev});
    }
}

/* Step s, with all that hangs on it. */
static void call_step(const kin_program *p, int s)
{
    p->ready[s].kernel(&p->ready[s].call);
    if (p->step[s].followed) follow(p, s);
}

kin_call *kin_ready_call(const kin_program *p, int step)
{
    return &p->ready[step].call;
}

void kin_program_call(kin_program *p)
{
    for (int s = 0; s < p->steps; s++) call_step(p, s);
}

void kin_run_rows(const kin_program *p, kin_run *run, const char *symbol, int64_t rows)
{
    for (int i = 0; i < p->graph->symbols; i++)
        if (strcmp(p->graph->symbol[i].name, symbol) == 0) run->rows[i] = rows;
}

kin_status kin_program_run(kin_ctx *cx, kin_program *p, const kin_run *run)
{
    for (int i = 0; i < p->slots; i++)
        if (!p->slot[i].ptr) return kin_fail(cx, KIN_INTERNAL, "'%s' is not bound", p->slot[i].name);
    if ((!p->act && p->act_bytes) || (!p->scratch && p->scratch_bytes))
        return kin_fail(cx, KIN_INTERNAL, "the program has no arenas attached");
    if (p->stale) refresh(p);
    kin_params_refresh(p->graph->params);
    KIN_TRY(resize_all(cx, p, run));
    fill_behind(p);
    for (int s = 0; s < p->steps; s++) {
        kin_ready *r = &p->ready[s];
        r->call.rng_key = kin_key(run->key, p->graph->node[p->step[s].node].hash, 0);
        r->call.sample0 = run->sample0;
        stamp(p, &p->step[s], &r->call);
    }
    if (run->replay && p->backend->record && !run->check && !run->seconds) {
        KIN_TRY(kin_program_replay(cx, p));
        return kin_backend_check(cx, p->backend);
    }
    double before = run->seconds ? kin_now() : 0.0;
    for (int s = 0; s < p->steps; s++) {
        call_step(p, s);
        if (run->check) KIN_TRY(look_at(cx, p, s));
        if (run->seconds) {
            p->backend->sync(p->backend);
            const double now = kin_now();
            run->seconds[s] += now - before;
            before = now;
        }
    }
    return kin_backend_check(cx, p->backend);
}

kin_cost kin_program_step_cost(const kin_program *p, int step)
{
    const kin_ready *r = &p->ready[step];
    kin_cost c = {0};
    kin_call call = r->call;
    kin_tensor tensor[TENSORS];
    memcpy(tensor, r->tensor, sizeof tensor);
    resize(r, p->live, tensor);
    for (int i = 0; i < KIN_MAX_IN; i++) { /* read on the host, where it can be */
        const int at = p->step[step].in[i], slot = at >= 0 ? p->instance[at].slot : -1;
        if (!p->backend->host) tensor[i].ptr = slot >= 0 ? kin_only_read(p->slot[slot].host) : NULL;
    }
    lists_of(&call, tensor);
    kin_op_get(p->graph->node[p->step[step].node].op)->def->cost(&call, p->step[step].backward, &c);
    return c;
}

kin_cost kin_program_cost(const kin_program *p, int backward)
{
    kin_cost sum = {0};
    for (int s = 0; s < p->steps; s++) {
        if (backward >= 0 && p->step[s].backward != (backward != 0)) continue;
        const kin_cost c = kin_program_step_cost(p, s);
        sum.flops += c.flops;
        sum.bytes += c.bytes;
    }
    return sum;
}
