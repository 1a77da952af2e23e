#include "train/fused_step.h"

#include <string.h>

enum { LINE = 64 };
/* Of io: losses, their cotangents, the loss against a teacher and its. */
enum { SOFT = 2 * KIN_OBJECTIVES, D_SOFT, LINES };

static const char *const loss_names[] = {"itc loss", "itm loss", "mlm loss", "mim loss", "cls loss"};
static const char *const seed_names[] = {"d itc loss", "d itm loss", "d mlm loss", "d mim loss",
                                         "d cls loss"};

static char *line(const kin_fused_stepper *s, int k)
{
    return (char *)s->io + k * LINE;
}

static double number_at(const kin_fused_stepper *s, const void *at)
{
    kin_backend *b = s->programs->backend;
    float f = 0.0f;
    double d = 0.0;
    if (b->real == KIN_F64)
        b->download(b, &d, at, sizeof d);
    else
        b->download(b, &f, at, sizeof f);
    return b->real == KIN_F64 ? d : (double)f;
}

static void put_number(const kin_fused_stepper *s, void *at, double v)
{
    kin_backend *b = s->programs->backend;
    const float f = (float)v;
    if (b->real == KIN_F64)
        b->upload(b, at, &v, sizeof v);
    else
        b->upload(b, at, &f, sizeof f);
}

kin_status kin_fused_stepper_open(kin_ctx *cx, kin_fused_stepper *s, kin_programs *p,
                                  const kin_fused_cfg *cfg, int64_t pairs, int64_t texts)
{
    *s = (kin_fused_stepper){.programs = p, .model = p->cfg, .cfg = *cfg};
    kin_model_cfg *m = &s->model;
    m->vision.trunk.training = m->text.trunk.training = m->fusion.trunk.training = true;
    kin_fused_want *want = &s->cfg.wiring.want;
    *want = (kin_fused_want){
        .losses = true, .image_made = cfg->wiring.want.image_made, .text_made = cfg->wiring.want.text_made};
    for (int k = 0; k < KIN_OBJECTIVES; k++) want->head[k] = cfg->weight[k] > 0.0;
    KIN_TRY(kin_wiring_open(cx, &s->wiring, m, &s->cfg.wiring, pairs, texts));
    s->io_bytes = LINES * LINE;
    s->io = p->backend->alloc(p->backend, s->io_bytes);
    if (!s->io)
        return kin_fail(cx, KIN_NOMEM, "out of memory: %lld bytes for losses", (long long)s->io_bytes);
    for (int k = 0; k < KIN_OBJECTIVES; k++) put_number(s, line(s, KIN_OBJECTIVES + k), cfg->weight[k]);
    return KIN_OK;
}

void kin_fused_stepper_close(kin_fused_stepper *s)
{
    if (s->io) s->programs->backend->release(s->programs->backend, s->io, s->io_bytes);
    kin_wiring_close(&s->wiring);
    *s = (kin_fused_stepper){0};
}

/* What the program reads of the wiring, bound to it. */
typedef struct binding {
    kin_ctx *cx;
    kin_programs *programs;
    kin_program *program;
} binding;

static kin_status bind(void *user, const char *name, const void *host, int64_t bytes)
{
    const binding *b = user;
    if (kin_program_slot_bytes(b->program, name) < 0) return KIN_OK;
    return kin_programs_input(b->cx, b->programs, b->program, name, host, bytes);
}

kin_status kin_wiring_bind(kin_ctx *cx, kin_programs *s, kin_program *p, const kin_wiring *w, kin_run *run)
{
    const kin_fused_sizes *z = &w->now;
    binding b = {cx, s, p};
    KIN_TRY(kin_wiring_each(w, bind, &b));
    const struct {
        const char *symbol;
        int64_t rows;
    } all[] = {{"images", z->images},       {"texts", z->texts},
               {"tokens", z->tokens},       {"itc images", z->itc_images},
               {"itc texts", z->itc_texts}, {"pairs", z->pairs},
               {"rows", z->rows},           {"words", z->words},
               {"patches", z->patches},     {"vision rows", z->vision_rows},
               {"text rows", z->text_rows}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) kin_run_rows(p, run, all[i].symbol, all[i].rows);
    return KIN_OK;
}

kin_status kin_fused_stepper_prepare(kin_ctx *cx, kin_fused_stepper *s, int64_t tokens, int64_t texts)
{
    const kin_fusion_row *f = &kin_fusions[s->model.fusion.kind];
    const int64_t patches = f->patches ? kin_vision_tokens(&s->model.vision) : 0;
    kin_fused_sizes z = s->wiring.most;
    z.tokens = tokens * z.texts / texts;
    z.vision_rows = f->rows ? z.pairs * patches : 0;
    z.text_rows = f->rows ? z.pairs * tokens / texts + (f->patches ? z.pairs : 0) : 0;
    z.rows = z.vision_rows + z.text_rows;
    z.words = s->cfg.weight[KIN_MLM] > 0.0 ? (int64_t)((double)tokens * s->cfg.wiring.mlm_rate) : 0;
    z.patches = s->cfg.weight[KIN_MIM] > 0.0 ? (int64_t)((double)z.patches * s->cfg.wiring.mim_rate) : 0;
    kin_programs_fused(cx, s->programs, true, &s->cfg.wiring.want, &z);
    return cx->status;
}

/* Sizes of the program: capacities where they are fixed, this batch's where they are bucketed. */
static kin_program *program_for(kin_ctx *cx, kin_fused_stepper *s)
{
    const kin_fused_sizes *now = &s->wiring.now;
    kin_fused_sizes z = s->wiring.most;
    z.tokens = now->tokens;
    z.rows = now->rows;
    z.vision_rows = now->vision_rows;
    z.text_rows = now->text_rows;
    z.words = now->words;
    z.patches = now->patches;
    return kin_programs_fused(cx, s->programs, true, &s->cfg.wiring.want, &z);
}

static bool teaches(const kin_fused_stepper *s)
{
    return s->programs->loss_cfg.distill != KIN_DISTILL_NONE && s->cfg.weight[KIN_ITC] > 0.0;
}

static kin_status bind_teacher(kin_ctx *cx, const kin_fused_stepper *s, kin_program *program)
{
    const double weight = s->cfg.weight[KIN_ITC];
    put_number(s, line(s, KIN_OBJECTIVES + KIN_ITC), weight * (1.0 - s->alpha));
    put_number(s, line(s, D_SOFT), weight * s->alpha);
    KIN_TRY(kin_program_bind(cx, program, "distill loss", line(s, SOFT)));
    KIN_TRY(kin_program_bind(cx, program, "d distill loss", line(s, D_SOFT)));
    KIN_TRY(kin_program_bind(cx, program, "teacher images", s->teacher_images));
    return kin_program_bind(cx, program, "teacher texts", s->teacher_texts);
}

static double chance_of(const kin_fused_stepper *s)
{
    const kin_wiring *w = &s->wiring;
    int64_t asked = 0, yes = 0;
    double sum = 0.0;
    for (int64_t p = 0; p < w->now.pairs; p++) {
        asked += w->itm_labels[p] >= 0;
        yes += w->itm_labels[p] > 0;
    }
    const double share = asked ? (double)yes / (double)asked : 0.0;
    for (int k = KIN_ITM; k < KIN_OBJECTIVES; k++)
        if (s->cfg.weight[k] > 0.0) sum += s->cfg.weight[k] * kin_objectives[k].chance(&s->model, share);
    return sum;
}

kin_status kin_fused_stepper_run(kin_ctx *cx, kin_fused_stepper *s, const kin_pairs *p, const kin_run *how,
                                 const float *image, const float *text, double scale, void *image_out,
                                 void *text_out, double *loss)
{
    KIN_TRY(kin_wiring_make(cx, &s->wiring, p, how->key, image, text, scale));
    kin_program *program = program_for(cx, s);
    if (!program) return cx->status;
    kin_run run = *how;
    KIN_TRY(kin_wiring_bind(cx, s->programs, program, &s->wiring, &run));
    KIN_TRY(kin_programs_augment(cx, s->programs, p->drawn, p->n));
    for (int k = 0; k < KIN_OBJECTIVES; k++) {
        if (s->cfg.weight[k] <= 0.0) continue;
        KIN_TRY(kin_program_bind(cx, program, loss_names[k], line(s, k)));
        KIN_TRY(kin_program_bind(cx, program, seed_names[k], line(s, KIN_OBJECTIVES + k)));
    }
    if (teaches(s)) KIN_TRY(bind_teacher(cx, s, program));
    if (s->cfg.weight[KIN_ITC] > 0.0) {
        KIN_TRY(kin_program_bind(cx, program, "image embedding", image_out));
        KIN_TRY(kin_program_bind(cx, program, "text embedding", text_out));
    }
    KIN_TRY(kin_programs_run(cx, s->programs, program, &run));
    s->flops = kin_program_cost(program, -1).flops;
    s->chance = chance_of(s);
    if (s->meanwhile) s->meanwhile(s->user);
    *loss = 0.0;
    for (int k = 0; k < KIN_OBJECTIVES; k++) {
        s->loss[k] = s->cfg.weight[k] > 0.0 ? number_at(s, line(s, k)) : 0.0;
        if (k == KIN_ITC && teaches(s))
            s->loss[k] = (1.0 - s->alpha) * s->loss[k] + s->alpha * number_at(s, line(s, SOFT));
        *loss += s->cfg.weight[k] * s->loss[k];
    }
    return KIN_OK;
}
