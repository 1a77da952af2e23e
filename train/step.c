#include "train/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, ROWS = 64 };        /* bytes; rows of embeddings looked at at a time */
enum { SOFT, D_HARD, D_SOFT, PARTS }; /* lines of kin_stepper.parts */

static size_t real_size(const kin_stepper *s)
{
    return kin_dtype_size(s->programs->backend->real);
}

static void put_number(kin_backend *b, void *at, double v)
{
    const float f = (float)v;
    b->upload(b, at, b->real == KIN_F64 ? (const void *)&v : (const void *)&f,
              (int64_t)kin_dtype_size(b->real));
}

kin_status kin_stepper_open(kin_ctx *cx, kin_stepper *s, kin_programs *p, int64_t batch, int64_t texts,
                            int64_t chunk)
{
    *s = (kin_stepper){.programs = p, .batch = batch, .texts = texts, .chunk = chunk > 0 ? chunk : batch};
    kin_backend *b = p->backend;
    const int64_t real = (int64_t)real_size(s), width = p->cfg.embed_dim;
    const int64_t images = (batch * width * real + LINE - 1) / LINE * LINE;
    const int64_t captions = (texts * width * real + LINE - 1) / LINE * LINE;
    const bool teach = p->loss_cfg.distill != KIN_DISTILL_NONE;
    const bool both = p->loss_cfg.distill == KIN_DISTILL_TOWERS;
    s->io_bytes = 2 * LINE + 2 * images + 2 * captions;
    if (teach) s->io_bytes += PARTS * LINE + captions + (both ? images : 0);
    char *at = s->io = b->alloc(b, s->io_bytes);
    if (!at)
        return kin_fail(cx, KIN_NOMEM, "out of memory: %lld bytes for embeddings", (long long)s->io_bytes);
    s->loss = at;
    s->one = at += LINE;
    s->image_embedding = at += LINE;
    s->image_grad = at += images;
    s->text_embedding = at += images;
    s->text_grad = at += captions;
    if (teach) {
        s->parts = at += captions;
        s->teacher_texts = at += PARTS * LINE;
        s->teacher_images = both ? at + captions : at; /* of texts: caption i stands for picture i */
    }
    put_number(b, s->one, 1.0);
    s->off = kin_alloc(cx, s->chunk + 1, sizeof *s->off);
    s->rows = kin_alloc(cx, 2 * ROWS * width, real_size(s));
    s->sum = kin_alloc(cx, 2 * width, sizeof *s->sum);
    return cx->status;
}

void kin_stepper_close(kin_stepper *s)
{
    if (s->io) s->programs->backend->release(s->programs->backend, s->io, s->io_bytes);
    free(s->off);
    free(s->rows);
    free(s->sum);
    free(s->image_rows);
    free(s->text_rows);
    if (s->fused) kin_fused_stepper_close(s->fused);
    free(s->fused);
    *s = (kin_stepper){0};
}

kin_status kin_stepper_fuse(kin_ctx *cx, kin_stepper *s, const kin_fused_cfg *cfg)
{
    if (s->chunk < s->batch)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "chunk = %lld of batch = %lld: pairs of a fusion go across chunks, so a step over "
                        "pairs needs the "
                        "whole batch at once; leave chunk out, or take a smaller batch",
                        (long long)s->chunk, (long long)s->batch);
    s->fused = kin_alloc0(cx, 1, sizeof *s->fused);
    if (!s->fused) return cx->status;
    KIN_TRY(kin_fused_stepper_open(cx, s->fused, s->programs, cfg, s->batch, s->texts));
    s->fused->teacher_images = s->teacher_images;
    s->fused->teacher_texts = s->teacher_texts;
    if (!cfg->wiring.hard) return KIN_OK;
    s->image_rows = kin_alloc(cx, s->batch * s->programs->cfg.embed_dim, sizeof *s->image_rows);
    s->text_rows = kin_alloc(cx, s->texts * s->programs->cfg.embed_dim, sizeof *s->text_rows);
    return cx->status;
}

static double number_at(const kin_stepper *s, const void *at)
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

static bool teaches(const kin_stepper *s)
{
    return s->programs->loss_cfg.distill != KIN_DISTILL_NONE;
}

static void *part(const kin_stepper *s, int k)
{
    return (char *)s->parts + k * LINE;
}

static double read_loss(const kin_stepper *s)
{
    const double hard = number_at(s, s->loss);
    return teaches(s) ? (1.0 - s->alpha) * hard + s->alpha * number_at(s, part(s, SOFT)) : hard;
}

/* The loss and its cotangent; with a teacher both losses, theirs, and what it sees. */
static kin_status bind_losses(kin_ctx *cx, const kin_stepper *s, kin_program *prog)
{
    kin_backend *b = s->programs->backend;
    KIN_TRY(kin_program_bind(cx, prog, "loss", s->loss));
    KIN_TRY(kin_program_bind(cx, prog, "d loss", teaches(s) ? part(s, D_HARD) : s->one));
    if (!teaches(s)) return KIN_OK;
    put_number(b, part(s, D_HARD), 1.0 - s->alpha);
    put_number(b, part(s, D_SOFT), s->alpha);
    KIN_TRY(kin_program_bind(cx, prog, "distill loss", part(s, SOFT)));
    KIN_TRY(kin_program_bind(cx, prog, "d distill loss", part(s, D_SOFT)));
    KIN_TRY(kin_program_bind(cx, prog, "teacher images", s->teacher_images));
    return kin_program_bind(cx, prog, "teacher texts", s->teacher_texts);
}

/* Runs a bound program and counts what it did. */
static kin_status run_program(kin_ctx *cx, kin_stepper *s, kin_program *prog, const kin_run *run)
{
    KIN_TRY(kin_programs_run(cx, s->programs, prog, run));
    s->flops += kin_program_cost(prog, -1).flops;
    return KIN_OK;
}

static kin_program *bound_step(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, kin_run *run)
{
    kin_program *prog =
        kin_programs_get(cx, s->programs, KIN_TASK_STEP, true, s->batch, s->texts, p->off[p->texts]);
    if (!prog) return NULL;
    const int64_t bytes = kin_image_bytes(&s->programs->cfg.vision);
    kin_programs_input(cx, s->programs, prog, "images", p->images, p->n * bytes);
    kin_programs_augment(cx, s->programs, p->drawn, p->n);
    kin_programs_input(cx, s->programs, prog, "ids", p->ids, p->off[p->texts] * (int64_t)sizeof *p->ids);
    kin_programs_input(cx, s->programs, prog, "off", p->off, (p->texts + 1) * (int64_t)sizeof *p->off);
    kin_program_bind(cx, prog, "image embedding", s->image_embedding);
    kin_program_bind(cx, prog, "text embedding", s->text_embedding);
    bind_losses(cx, s, prog);
    kin_run_rows(prog, run, "images", p->n);
    kin_run_rows(prog, run, "texts", p->texts);
    kin_run_rows(prog, run, "tokens", p->off[p->texts]);
    return cx->status == KIN_OK ? prog : NULL;
}

static void *row(const kin_stepper *s, void *base, int64_t i)
{
    return (char *)base + i * s->programs->cfg.embed_dim * (int64_t)real_size(s);
}

/* What a tower is run for: embeddings; their gradient once more through it; the teacher's embeddings. */
typedef enum purpose { EMBED, LEARN, TEACH } purpose;

static kin_status run_images(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, kin_run run, purpose why)
{
    void *to = why == TEACH ? s->teacher_images : s->image_embedding;
    if (p->image_features) {
        kin_upload_floats(s->programs->backend, to, p->image_features, p->n * s->programs->cfg.embed_dim);
        return KIN_OK;
    }
    const int64_t bytes = kin_image_bytes(&s->programs->cfg.vision);
    for (int64_t i = 0; i < p->n; i += s->chunk) {
        const kin_task task = why == LEARN ? KIN_TASK_IMAGES_GRAD : KIN_TASK_IMAGES;
        kin_program *prog = kin_programs_get(cx, s->programs, task, why != TEACH, s->chunk, 0, 0);
        if (!prog) return cx->status;
        const int64_t n = kin_min64(s->chunk, p->n - i);
        KIN_TRY(kin_programs_input(cx, s->programs, prog, "images", p->images + i * bytes, n * bytes));
        KIN_TRY(kin_programs_augment(cx, s->programs, p->drawn ? p->drawn + i : NULL, n));
        KIN_TRY(kin_program_bind(cx, prog, "embedding", row(s, to, i)));
        if (why == LEARN) KIN_TRY(kin_program_bind(cx, prog, "d embedding", row(s, s->image_grad, i)));
        kin_run_rows(prog, &run, "images", n);
        run.sample0 = i;
        KIN_TRY(run_program(cx, s, prog, &run));
    }
    return KIN_OK;
}

static kin_status run_texts(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, kin_run run, purpose why)
{
    void *to = why == TEACH ? s->teacher_texts : s->text_embedding;
    for (int64_t i = 0; i < p->texts; i += s->chunk) {
        const int64_t n = kin_min64(s->chunk, p->texts - i);
        const int32_t first = p->off[i];
        for (int64_t k = 0; k <= n; k++) s->off[k] = p->off[i + k] - first;
        const kin_task task = why == LEARN ? KIN_TASK_TEXTS_GRAD : KIN_TASK_TEXTS;
        kin_program *prog = kin_programs_get(cx, s->programs, task, why != TEACH, 0, s->chunk, s->off[n]);
        if (!prog) return cx->status;
        KIN_TRY(kin_programs_input(cx, s->programs, prog, "ids", p->ids + first,
                                   s->off[n] * (int64_t)sizeof *p->ids));
        KIN_TRY(kin_programs_input(cx, s->programs, prog, "off", s->off, (n + 1) * (int64_t)sizeof *s->off));
        KIN_TRY(kin_program_bind(cx, prog, "embedding", row(s, to, i)));
        if (why == LEARN) KIN_TRY(kin_program_bind(cx, prog, "d embedding", row(s, s->text_grad, i)));
        kin_run_rows(prog, &run, "texts", n);
        kin_run_rows(prog, &run, "tokens", s->off[n]);
        run.sample0 = i;
        KIN_TRY(run_program(cx, s, prog, &run));
    }
    return KIN_OK;
}

/* The batch as the averaged weights see it. */
static kin_status run_teacher(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, kin_run run)
{
    kin_params_swap_ema(s->programs->params);
    run_texts(cx, s, p, run, TEACH);
    if (cx->status == KIN_OK && s->programs->loss_cfg.distill == KIN_DISTILL_TOWERS)
        run_images(cx, s, p, run, TEACH);
    kin_params_swap_ema(s->programs->params);
    return cx->status;
}

static kin_status run_loss(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, kin_run run)
{
    kin_program *prog = kin_programs_get(cx, s->programs, KIN_TASK_LOSS, true, s->batch, s->texts, 0);
    if (!prog) return cx->status;
    KIN_TRY(kin_program_bind(cx, prog, "images", s->image_embedding));
    KIN_TRY(kin_program_bind(cx, prog, "texts", s->text_embedding));
    KIN_TRY(kin_program_bind(cx, prog, "grad images", s->image_grad));
    KIN_TRY(kin_program_bind(cx, prog, "grad texts", s->text_grad));
    KIN_TRY(bind_losses(cx, s, prog));
    kin_run_rows(prog, &run, "images", p->n);
    kin_run_rows(prog, &run, "texts", p->texts);
    return run_program(cx, s, prog, &run);
}

static double element(const kin_stepper *s, const void *rows, int64_t i)
{
    if (s->programs->backend->real == KIN_F64) return ((const double *)rows)[i];
    return (double)((const float *)rows)[i];
}

/* Embeddings of a batch on the host, to tell which pairs are hard: those that were made before, or the
 * towers run once more. */
static kin_status look(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, kin_run run)
{
    kin_backend *b = s->programs->backend;
    const int64_t width = s->programs->cfg.embed_dim;
    if (!p->image_features) {
        KIN_TRY(run_images(cx, s, p, run, EMBED));
        KIN_TRY(kin_download_floats(cx, b, s->image_embedding, p->n * width, s->image_rows));
    }
    if (p->text_features) return KIN_OK;
    KIN_TRY(run_texts(cx, s, p, run, EMBED));
    return kin_download_floats(cx, b, s->text_embedding, p->n * width, s->text_rows);
}

static kin_status run_fused(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, const kin_run *run, double *loss)
{
    kin_params *w = s->programs->params;
    const int at = kin_params_find(w, "logit_scale");
    float scale = 0.0f;
    const float *image = p->image_features ? p->image_features : s->image_rows,
                *text = p->text_features ? p->text_features : s->text_rows;
    if (s->fused->cfg.wiring.hard) KIN_TRY(look(cx, s, p, *run));
    s->fused->meanwhile = s->meanwhile;
    s->fused->user = s->user;
    if (s->fused->cfg.wiring.hard && at >= 0) KIN_TRY(kin_param_get(cx, w, at, false, &scale));
    s->fused->alpha = s->alpha;
    KIN_TRY(kin_fused_stepper_run(cx, s->fused, p, run, image, text, exp((double)scale), s->image_embedding,
                                  s->text_embedding, loss));
    s->flops += s->fused->flops;
    return KIN_OK;
}

/* A tower whose weights are all frozen needs no second pass. */
static bool learns(const kin_stepper *s, bool texts)
{
    const kin_params *w = s->programs->params;
    for (int i = 0; i < w->count; i++) {
        const bool visual = strncmp(w->param[i].name, "visual.", 7) == 0;
        const bool loss = strncmp(w->param[i].name, "logit_", 6) == 0;
        if (!w->param[i].frozen && !loss && visual != texts) return true;
    }
    return false;
}

static int64_t total(const int32_t *lengths, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += lengths[i];
    return sum;
}

static void prepare_teacher(kin_ctx *cx, const kin_stepper *s, const int32_t *lengths, int64_t texts)
{
    kin_programs *p = s->programs;
    if (p->loss_cfg.distill == KIN_DISTILL_TOWERS)
        kin_programs_get(cx, p, KIN_TASK_IMAGES, false, s->chunk, 0, 0);
    for (int64_t i = 0; i < texts && cx->status == KIN_OK; i += s->chunk)
        kin_programs_get(cx, p, KIN_TASK_TEXTS, false, 0, s->chunk,
                         total(lengths + i, kin_min64(s->chunk, texts - i)));
}

kin_status kin_stepper_prepare(kin_ctx *cx, kin_stepper *s, const int32_t *lengths, int64_t texts)
{
    kin_programs *p = s->programs;
    if (teaches(s)) prepare_teacher(cx, s, lengths, texts);
    if (s->fused) {
        const bool hard = s->fused->cfg.wiring.hard;
        const kin_fused_want *want = &s->fused->cfg.wiring.want;
        if (hard && !want->image_made) kin_programs_get(cx, p, KIN_TASK_IMAGES, true, s->chunk, 0, 0);
        if (hard && !want->text_made)
            kin_programs_get(cx, p, KIN_TASK_TEXTS, true, 0, s->chunk, total(lengths, texts));
        return kin_fused_stepper_prepare(cx, s->fused, total(lengths, texts), texts);
    }
    if (s->chunk >= s->batch) {
        kin_programs_get(cx, p, KIN_TASK_STEP, true, s->batch, s->texts, total(lengths, texts));
        return cx->status;
    }
    kin_programs_get(cx, p, KIN_TASK_LOSS, true, s->batch, s->texts, 0);
    if (!s->image_made) kin_programs_get(cx, p, KIN_TASK_IMAGES, true, s->chunk, 0, 0);
    if (learns(s, false)) kin_programs_get(cx, p, KIN_TASK_IMAGES_GRAD, true, s->chunk, 0, 0);
    for (int64_t i = 0; i < texts && cx->status == KIN_OK; i += s->chunk) {
        const int64_t tokens = total(lengths + i, kin_min64(s->chunk, texts - i));
        kin_programs_get(cx, p, KIN_TASK_TEXTS, true, 0, s->chunk, tokens);
        if (learns(s, true)) kin_programs_get(cx, p, KIN_TASK_TEXTS_GRAD, true, 0, s->chunk, tokens);
    }
    return cx->status;
}

kin_status kin_stepper_run(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, uint64_t key, double *loss)
{
    if (p->n < 1 || p->n > s->batch || p->texts < p->n || p->texts > s->texts)
        return kin_fail(cx, KIN_SHAPE,
                        "a batch of %lld pairs and %lld captions; the step was made for %lld and %lld",
                        (long long)p->n, (long long)p->texts, (long long)s->batch, (long long)s->texts);
    kin_run run = {.key = key, .check = s->check};
    s->flops = 0.0;
    if (teaches(s)) KIN_TRY(run_teacher(cx, s, p, run));
    kin_params_begin(s->programs->params);
    if (s->fused) {
        KIN_TRY(run_fused(cx, s, p, &run, loss));
        KIN_TRY(kin_params_finish(cx, s->programs->params));
        return kin_backend_check(cx, s->programs->backend);
    }
    if (s->chunk >= s->batch) {
        kin_program *prog = bound_step(cx, s, p, &run);
        if (!prog) return cx->status;
        KIN_TRY(run_program(cx, s, prog, &run));
    } else {
        KIN_TRY(run_images(cx, s, p, run, EMBED));
        KIN_TRY(run_texts(cx, s, p, run, EMBED));
        KIN_TRY(run_loss(cx, s, p, run));
        if (learns(s, false)) KIN_TRY(run_images(cx, s, p, run, LEARN));
        if (learns(s, true)) KIN_TRY(run_texts(cx, s, p, run, LEARN));
    }
    KIN_TRY(kin_params_finish(cx, s->programs->params));
    if (s->meanwhile) s->meanwhile(s->user);
    *loss = read_loss(s);
    return kin_backend_check(cx, s->programs->backend);
}

void kin_stepper_ahead(kin_stepper *s, const kin_pairs *p)
{
    const int64_t bytes = kin_image_bytes(&s->programs->cfg.vision);
    const bool masked = s->fused && s->fused->wiring.images && !s->fused->cfg.wiring.hard;
    if (!p->images || masked) return; /* nothing is read, or what is read is made by the wiring */
    const int64_t first = kin_min64(p->n, s->chunk);
    kin_programs_ahead(s->programs, "images", p->images, first * bytes);
    if (p->drawn)
        kin_programs_ahead(s->programs, "augmentation", p->drawn, first * (int64_t)sizeof *p->drawn);
    if (s->fused || s->chunk < s->batch) return;
    kin_programs_ahead(s->programs, "ids", p->ids, p->off[p->texts] * (int64_t)sizeof *p->ids);
    kin_programs_ahead(s->programs, "off", p->off, (p->texts + 1) * (int64_t)sizeof *p->off);
}

double kin_stepper_chance(const kin_stepper *s, int64_t pairs, int64_t texts)
{
    const double itc = s->programs->loss->chance(&s->programs->loss_cfg, pairs, texts);
    return s->fused ? s->fused->chance + s->fused->cfg.weight[KIN_ITC] * itc : itc;
}

/* The mean over i != j of x_i . x_j is (|sum x|^2 - n) / (n (n - 1)) for vectors of length 1. */
static double mean_cosine(const double *sum, int64_t width, int64_t n)
{
    double square = 0.0;
    for (int64_t e = 0; e < width; e++) square += sum[e] * sum[e];
    return n > 1 ? (square - (double)n) / ((double)n * (double)(n - 1)) : 0.0;
}

kin_status kin_stepper_spread(kin_ctx *cx, kin_stepper *s, const kin_pairs *p, kin_spread *out)
{
    kin_backend *b = s->programs->backend;
    const int64_t width = s->programs->cfg.embed_dim, row_bytes = width * (int64_t)real_size(s);
    char *image = s->rows, *text = s->rows + ROWS * row_bytes;
    double pair = 0.0;
    *out = (kin_spread){0};
    if (s->fused && s->fused->cfg.weight[KIN_ITC] <= 0.0) return cx->status; /* no embeddings were made */
    memset(s->sum, 0, 2 * (size_t)width * sizeof *s->sum);
    for (int64_t from = 0; from < p->n; from += ROWS) {
        const int64_t n = kin_min64(ROWS, p->n - from);
        b->download(b, image, row(s, s->image_embedding, from), n * row_bytes);
        b->download(b, text, row(s, s->text_embedding, from), n * row_bytes);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t e = 0; e < width; e++) {
                const double x = element(s, image, i * width + e), y = element(s, text, i * width + e);
                s->sum[e] += x;
                s->sum[width + e] += y;
                pair += x * y;
            }
        }
    }
    *out = (kin_spread){mean_cosine(s->sum, width, p->n), mean_cosine(s->sum + width, width, p->n),
                        pair / (double)kin_max64(1, p->n)};
    return cx->status;
}
