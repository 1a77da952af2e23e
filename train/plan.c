#include "train/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "train/budget.h"
#include "train/memory.h"

enum {
    FIRST = 2, /* steps that are not timed: memory is touched for the first time */
    LEAST = 5,
    MOST = 64,  /* timed steps */
    SECONDS = 8 /* enough of them, once LEAST are made */
};

int64_t kin_resident(void)
{
    long long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lld %lld", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* Compiles every program of the run. */
static kin_status foresee(kin_ctx *cx, kin_trainer *t, kin_plan *out)
{
    kin_foreseen f;
    const kin_status rc = kin_foresee(cx, t, &f);
    free(f.lengths);
    out->foreseen = f.batches;
    out->programs = t->programs.count;
    return rc;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static kin_status one_step(kin_ctx *cx, kin_trainer *t, int64_t i, kin_plan *sum)
{
    kin_batch b;
    double loss, norm;
    KIN_TRY(kin_loader_next(cx, t->loader, &b));
    const kin_pairs pairs = kin_trainer_pairs(t, &b);
    KIN_TRY(kin_stepper_run(cx, &t->stepper, &pairs, kin_key((uint64_t)t->cfg->seed, 0, (uint64_t)i), &loss));
    KIN_TRY(kin_optim_update(cx, &t->optim, 0.0, &norm));
    sum->pairs += (double)b.n;
    sum->texts += (double)b.texts;
    sum->tokens += (double)b.off[b.texts];
    sum->flops += t->stepper.flops;
    return KIN_OK;
}

static kin_status take_steps(kin_ctx *cx, kin_trainer *t, kin_plan *out)
{
    double took[MOST], spent = 0.0;
    int64_t n = 0, made = 0;
    for (; n < MOST && (n < LEAST || spent < SECONDS); made++) {
        const double began = kin_now();
        KIN_TRY(one_step(cx, t, made, out));
        const double now = kin_now() - began;
        if (made < FIRST) continue;
        took[n++] = now;
        spent += now;
    }
    qsort(took, (size_t)n, sizeof *took, by_value);
    out->seconds = 0.5 * (took[(n - 1) / 2] + took[n / 2]);
    out->lower_quarter = took[n / 4];
    out->upper_quarter = took[n - 1 - n / 4];
    out->timed = n;
    out->pairs /= (double)made;
    out->texts /= (double)made;
    out->tokens /= (double)made;
    out->flops /= (double)made;
    return KIN_OK;
}

/* Embeddings of the whole gallery, and the buffers that only embedding touches. */
static int64_t evaluation(const kin_trainer *t)
{
    const kin_model_cfg *m = &t->model->cfg;
    const int64_t image = kin_image_bytes(&m->vision), row = m->embed_dim * 4;
    return (t->val->items + t->val->captions) * row + t->embedder.batch * (image + row);
}

/* The bill of memory, of programs that are compiled; before steps are taken libraries may be said too small
 * by what the loader has filled, never too large. */
static void bill(const kin_trainer *t, kin_plan *out)
{
    const kin_params *p = t->model->params;
    const kin_programs *g = &t->programs;
    out->param = kin_pages_mapped(p->bytes);
    out->act = g->act ? kin_pages_mapped(g->act_bytes) : 0;
    out->scratch = g->scratch ? kin_pages_mapped(g->scratch_bytes) : 0;
    out->host = t->stepper.io_bytes + kin_loader_bytes(t->loader);
    if (t->val) out->evaluation = evaluation(t);
    if (t->features) out->features = kin_features_bytes(t->model, t->train, t->features->of);
    if (t->cache) out->cache = kin_cache_costs(t->cache);
    const int64_t touched = kin_pages_resident(p->arena, p->bytes) +
                            kin_pages_resident(g->act, g->act_bytes) +
                            kin_pages_resident(g->scratch, g->scratch_bytes);
    const int64_t pictures = out->cache.ready ? kin_pages_resident(out->cache.mapped, out->cache.bytes) : 0;
    out->libraries = kin_max64(0, kin_resident() - touched - pictures - out->host);
    out->needs.of[KIN_BYTES] =
        (double)(out->param + out->act + out->scratch + out->host + out->libraries + out->features +
                 out->evaluation + (out->cache.memory ? out->cache.bytes : 0));
}

/* Would this machine kill the process? Only memory that the backend takes from the machine is asked about. */
static kin_status check_machine(kin_ctx *cx, const kin_trainer *t, const kin_plan *p)
{
    const double have = t->backend->host ? (double)kin_memory_available() : 0.0;
    const double need = p->needs.of[KIN_BYTES], more = need - (double)kin_resident();
    if (have <= 0.0 || more <= have) return KIN_OK;
    char needs[32], there[32];
    char *what = kin_budget_smaller(cx, t, p, have + (double)kin_resident());
    if (!what) return cx->status;
    kin_fail(cx, KIN_NOMEM, "the run needs %s of memory, and this machine has %s left%s",
             kin_amount_text(KIN_BYTES, need, needs), kin_amount_text(KIN_BYTES, have, there), what);
    free(what);
    return cx->status;
}

/* One batch of pictures and one of captions, for the second time: the first compiles and maps. */
static kin_status time_evaluation(kin_ctx *cx, kin_trainer *t, kin_plan *out)
{
    const kin_dataset *d = t->val;
    const int64_t images = kin_min64(t->embedder.batch, d->items),
                  texts = kin_min64(t->embedder.batch, d->captions);
    float *rows = kin_alloc(cx, t->embedder.batch * t->model->cfg.embed_dim, sizeof *rows);
    bool *bad = kin_alloc(cx, images, sizeof *bad);
    double looked = 0.0, read = 0.0;
    for (int k = 0; rows && bad && k < 2 && cx->status == KIN_OK; k++) {
        const double began = kin_now();
        kin_embed_pictures(cx, &t->embedder, d, 0, images, rows, bad);
        looked = kin_now() - began;
        if (cx->status == KIN_OK) kin_embed_texts(cx, &t->embedder, d->caption, texts, rows);
        read = kin_now() - began - looked;
    }
    free(rows);
    free(bad);
    out->evaluation_seconds = looked * (double)d->items / (double)kin_max64(1, images) +
                              read * (double)(d->captions + 2 * d->swaps) / (double)kin_max64(1, texts);
    return cx->status;
}

static void count(const kin_trainer *t, kin_plan *out)
{
    const kin_config *c = t->cfg;
    const int64_t done = t->state.step, every = c->eval_every;
    const int64_t end = c->stop_at > 0 ? kin_min64(c->stop_at, out->steps) : out->steps;
    out->left = kin_max64(0, end - done);
    if (t->val) {
        if (every > 0) out->evaluations = end / every - done / every;
        if (end == out->steps && (every == 0 || end % every != 0)) out->evaluations++;
    }
}

static void sum_up(const kin_trainer *t, kin_plan *out)
{
    enum { EACH = 10, GPU = 350 }; /* assumed watts: a busy thread with its share of memory and fans; a GPU */
    const kin_config *c = t->cfg;
    const bool gpu = strcmp(c->device, "cuda") == 0;
    out->assumed = c->watts <= 0.0;
    out->watts = out->assumed ? (gpu ? GPU : 0) + EACH * (double)(c->threads > 0 ? c->threads : kin_cores())
                              : c->watts;
    double *of = out->needs.of;
    const double steps = (double)out->left;
    out->features_seconds = t->features ? t->features->seconds : 0.0;
    of[KIN_SECONDS] =
        out->features_seconds + steps * out->seconds + (double)out->evaluations * out->evaluation_seconds;
    of[KIN_WATT_HOURS] = of[KIN_SECONDS] * out->watts / 3600.0;
    of[KIN_FLOP] = steps * out->flops;
}

kin_status kin_plan_make(kin_ctx *cx, kin_trainer *t, const kin_amounts *budget, kin_plan *out)
{
    const kin_amounts none = {0};
    if (!budget) budget = &none;
    *out = (kin_plan){.steps = t->lr.steps};
    count(t, out);
    KIN_TRY(foresee(cx, t, out));
    bill(t, out);
    out->needs.of[KIN_PAIRS] = (double)(out->left * t->cfg->batch);
    KIN_TRY(kin_budget_check(cx, t, out, budget, KIN_PAIRS + 1));
    KIN_TRY(check_machine(cx, t, out));
    KIN_TRY(take_steps(cx, t, out));
    if (t->val) KIN_TRY(time_evaluation(cx, t, out));
    bill(t, out);
    sum_up(t, out);
    return kin_budget_check(cx, t, out, budget, KIN_AMOUNTS);
}

kin_status kin_plan_budget(kin_ctx *cx, const kin_config *cfg, kin_plan *out)
{
    kin_amounts budget;
    kin_trainer t;
    kin_config look = *cfg;
    look.dry_run = true; /* makes nothing: no cache of pictures */
    KIN_TRY(kin_amounts_read(cx, "budget", cfg->budget, &budget));
    if (kin_trainer_open(cx, &t, &look) == KIN_OK) kin_plan_make(cx, &t, &budget, out);
    kin_trainer_close(&t);
    return cx->status;
}

char kin_energy_class(double watt_hours)
{
    char class = 'A';
    for (double least = 1.0; class < 'G' && watt_hours >= least; least *= 10.0) class ++;
    return class;
}
