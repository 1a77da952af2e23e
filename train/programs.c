#include "train/programs.h"

#include <stdlib.h>
#include <string.h>

#include "nn/linear.h"
#include "train/augment.h"

/* Inputs that lie on the host: of the towers, then of pairs (nn/fusion.h, nn/head.h, nn/fused.h); last what
 * is no input of a program but done to one. */
enum { STAGES = sizeof((kin_programs *)0)->stage / sizeof(kin_stage), USED = 0, LANDING = 1 };
enum { IMAGES, AUGMENTATION = STAGES - 1 };
static const char *const staged[STAGES] = {
    "images",       "ids",           "off",         "image features", "text features", "itc images",
    "itc texts",    "pair images",   "pair texts",  "row off",        "row texts",     "row images",
    "row kinds",    "vision rows",   "text rows",   "vision of",      "text of",       "itm labels",
    "class labels", "class targets", "word rows",   "word labels",    "patch rows",    "patch sources",
    "image states", "text states",   "augmentation"};

struct kin_compiled {
    kin_task task;
    bool training;
    kin_fused_sizes z; /* of the first five tasks images, texts, tokens alone */
    kin_fused_want want;
    kin_graph *graph;
    kin_program *program;
};

int64_t kin_row_bucket(int64_t rows, int64_t most, int64_t parts)
{
    int64_t cap = 32;
    while (cap < rows) cap = (cap + cap / parts + 15) / 16 * 16;
    return kin_max64(1, kin_min64(cap, most));
}

void kin_programs_close(kin_programs *s)
{
    for (int i = 0; i < s->count; i++) {
        kin_program_free(s->list[i].program);
        kin_graph_free(s->list[i].graph);
    }
    free(s->list);
    if (s->act) s->backend->release(s->backend, s->act, s->act_bytes);
    if (s->scratch) s->backend->release(s->backend, s->scratch, s->scratch_bytes);
    for (int i = 0; i < STAGES; i++) {
        for (int k = 0; k < 2; k++)
            if (s->stage[i].ptr[k]) s->backend->release(s->backend, s->stage[i].ptr[k], s->stage[i].bytes[k]);
        s->stage[i] = (kin_stage){0};
    }
    s->sending = false;
    s->list = NULL;
    s->act = s->scratch = NULL;
    s->count = s->room = 0;
    s->act_bytes = s->scratch_bytes = s->act_need = s->scratch_need = 0;
}

static kin_slot_spec named(kin_val v, const char *name)
{
    return (kin_slot_spec){v, name};
}

/* Names of outputs live as long as the program: literals. */
static kin_program_spec fused(const kin_programs *s, kin_graph *g, const kin_model_cfg *m,
                              const kin_compiled *c)
{
    static const char *const losses[] = {"itc loss", "itm loss", "mlm loss", "mim loss", "cls loss"};
    static const char *const logits[] = {NULL, "itm logits", "mlm logits", "mim logits", "cls logits"};
    const kin_fused_model f = kin_fused_build(g, m, s->loss, &s->loss_cfg, &c->z, &c->want);
    kin_program_spec spec = {0};
    int outputs = 0, seeds = 0;
    if (f.image) {
        spec.output[outputs++] = named(f.image, "image embedding");
        spec.output[outputs++] = named(f.text, "text embedding");
    }
    for (int k = 0; k < KIN_OBJECTIVES; k++) {
        if (f.loss[k]) spec.output[outputs++] = spec.seed[seeds++] = named(f.loss[k], losses[k]);
        if (!c->want.losses && f.logits[k]) spec.output[outputs++] = named(f.logits[k], logits[k]);
    }
    if (f.distill) spec.output[outputs] = spec.seed[seeds] = named(f.distill, "distill loss");
    return spec;
}

static kin_program_spec image_states(kin_graph *g, const kin_model_cfg *m, int64_t images)
{
    const kin_tower t = kin_image_tower(g, m, kin_images_input(g, m, images));
    kin_program_spec spec = {0};
    spec.output[0] = named(kin_as(g, "states", t.rows, KIN_F32), "states");
    spec.output[1] = named(kin_normalised(g, "image_embedding", t.embedding), "embedding");
    return spec;
}

static kin_val text_states(kin_graph *g, const kin_model_cfg *m, int64_t texts, int64_t tokens)
{
    kin_val off;
    const kin_val ids = kin_texts_input(g, texts, tokens, &off);
    return kin_as(g, "states", kin_text_tower(g, m, ids, off).rows, KIN_F32);
}

/* What is built for a task, and which of its values the caller sees. */
static kin_program_spec build(const kin_programs *s, kin_graph *g, const kin_compiled *c)
{
    kin_model_cfg m = s->cfg;
    m.vision.trunk.training = m.text.trunk.training = m.fusion.trunk.training = c->training;
    m.vision.trunk.recompute = m.text.trunk.recompute = m.fusion.trunk.recompute = s->recompute;
    kin_program_spec spec = {0};
    kin_dual d = {0};
    switch (c->task) {
    case KIN_TASK_FUSED: return fused(s, g, &m, c);
    case KIN_TASK_STEP:
        d = kin_dual_encoder(g, &m, s->loss, &s->loss_cfg, c->z.images, c->z.texts, c->z.tokens);
        spec.output[0] = spec.seed[0] = (kin_slot_spec){d.loss, "loss"};
        spec.output[1] = (kin_slot_spec){d.images, "image embedding"};
        spec.output[2] = (kin_slot_spec){d.texts, "text embedding"};
        if (d.distill) spec.output[3] = spec.seed[1] = named(d.distill, "distill loss");
        break;
    case KIN_TASK_LOSS:
        d = kin_dual_loss(g, &m, s->loss, &s->loss_cfg, c->z.images, c->z.texts);
        spec.output[0] = spec.seed[0] = (kin_slot_spec){d.loss, "loss"};
        spec.wanted[0] = (kin_slot_spec){d.images, "grad images"};
        spec.wanted[1] = (kin_slot_spec){d.texts, "grad texts"};
        if (d.distill) spec.output[1] = spec.seed[1] = named(d.distill, "distill loss");
        break;
    case KIN_TASK_IMAGES:
    case KIN_TASK_IMAGES_GRAD:
        spec.output[0] = (kin_slot_spec){kin_encode_images(g, &m, c->z.images), "embedding"};
        if (c->task == KIN_TASK_IMAGES_GRAD) spec.seed[0] = spec.output[0];
        break;
    case KIN_TASK_IMAGE_STATES: return image_states(g, &m, c->z.images);
    case KIN_TASK_TEXT_STATES:
        spec.output[0] = named(text_states(g, &m, c->z.texts, c->z.tokens), "states");
        break;
    case KIN_TASK_TEXTS:
    case KIN_TASK_TEXTS_GRAD:
        spec.output[0] = (kin_slot_spec){kin_encode_texts(g, &m, c->z.texts, c->z.tokens), "embedding"};
        if (c->task == KIN_TASK_TEXTS_GRAD) spec.seed[0] = spec.output[0];
        break;
    }
    return spec;
}

static kin_status grow(kin_ctx *cx, kin_backend *b, const char *name, void **arena, int64_t *have,
                       int64_t want)
{
    if (want <= *have) return KIN_OK;
    if (*arena) b->release(b, *arena, *have);
    *arena = b->alloc(b, want);
    *have = *arena ? want : 0;
    if (*arena) return KIN_OK;
    return kin_fail(cx, KIN_NOMEM,
                    "out of memory: %.1f MiB for %s were refused; a smaller --chunk or --recompute "
                    "needs less",
                    (double)want / 1048576.0, name);
}

static kin_status compile(kin_ctx *cx, kin_programs *s, kin_compiled *c)
{
    c->graph = kin_graph_new(cx, s->params);
    if (!c->graph) return cx->status;
    kin_program_spec spec = build(s, c->graph, c);
    spec.keep = s->keep;
    c->program = kin_program_compile(cx, c->graph, s->backend, &spec);
    if (!c->program) return cx->status;
    s->act_need = kin_max64(s->act_need, c->program->act_bytes);
    s->scratch_need = kin_max64(s->scratch_need, c->program->scratch_bytes);
    for (int i = 0; i < STAGES && c->task != KIN_TASK_LOSS; i++)
        s->stage[i].need = kin_max64(s->stage[i].need, kin_program_slot_bytes(c->program, staged[i]));
    if (!s->augments || c->task == KIN_TASK_LOSS) return KIN_OK;
    kin_stage *t = &s->stage[AUGMENTATION];
    t->need = kin_max64(t->need, c->z.images * (int64_t)sizeof(kin_augmentation));
    return KIN_OK;
}

int64_t kin_programs_need(const kin_programs *s)
{
    int64_t need = s->act_need + s->scratch_need;
    for (int i = 0; i < STAGES && !s->backend->host; i++) need += 2 * s->stage[i].need;
    return need;
}

kin_status kin_programs_reserve(kin_ctx *cx, kin_programs *s)
{
    KIN_TRY(grow(cx, s->backend, "activations", &s->act, &s->act_bytes, s->act_need));
    KIN_TRY(grow(cx, s->backend, "scratch", &s->scratch, &s->scratch_bytes, s->scratch_need));
    for (int i = 0; i < STAGES && !s->backend->host; i++) {
        kin_stage *t = &s->stage[i];
        if (t->need > t->bytes[0]) s->sending = false; /* what was sent there is lost */
        for (int k = 0; k < 2; k++)
            KIN_TRY(grow(cx, s->backend, staged[i], &t->ptr[k], &t->bytes[k], t->need));
    }
    return KIN_OK;
}

static kin_compiled *find(kin_programs *s, const kin_compiled *want)
{
    for (int i = 0; i < s->count; i++) {
        kin_compiled *c = &s->list[i];
        if (c->task == want->task && c->training == want->training &&
            memcmp(&c->z, &want->z, sizeof c->z) == 0 && memcmp(&c->want, &want->want, sizeof c->want) == 0)
            return c;
    }
    return NULL;
}

/* The program of what is wanted, compiled if it is new. */
static kin_program *get(kin_ctx *cx, kin_programs *s, kin_compiled want)
{
    kin_compiled *c = find(s, &want);
    if (!c) {
        if (s->count == s->room) {
            kin_compiled *grown = kin_regrow(cx, s->list, s->room ? 2 * s->room : 16, sizeof *grown);
            if (!grown) return NULL;
            s->list = grown;
            s->room = s->room ? 2 * s->room : 16;
        }
        if (compile(cx, s, &want) != KIN_OK) {
            kin_program_free(want.program);
            kin_graph_free(want.graph);
            return NULL;
        }
        c = &s->list[s->count++];
        *c = want;
    }
    if (!s->planning && kin_programs_reserve(cx, s) != KIN_OK) return NULL;
    kin_program_attach(c->program, s->act, s->scratch);
    return c->program;
}

kin_program *kin_programs_get(kin_ctx *cx, kin_programs *s, kin_task task, bool training, int64_t images,
                              int64_t texts, int64_t tokens)
{
    const bool has_images =
        task != KIN_TASK_TEXTS && task != KIN_TASK_TEXTS_GRAD && task != KIN_TASK_TEXT_STATES;
    const bool has_texts =
        task != KIN_TASK_IMAGES && task != KIN_TASK_IMAGES_GRAD && task != KIN_TASK_IMAGE_STATES;
    kin_compiled want = {.task = task, .training = training};
    if (has_images) want.z.images = images;
    if (has_texts) want.z.texts = texts;
    if (has_texts && task != KIN_TASK_LOSS)
        want.z.tokens = kin_row_bucket(tokens, texts * s->cfg.text.context, KIN_PARTS_TOKENS);
    return get(cx, s, want);
}

kin_program *kin_programs_fused(kin_ctx *cx, kin_programs *s, bool training, const kin_fused_want *want,
                                const kin_fused_sizes *sizes)
{
    kin_compiled c = {.task = KIN_TASK_FUSED, .training = training, .z = *sizes, .want = *want};
    const int64_t any = INT64_MAX, parts = KIN_PARTS_FUSED;
    c.z.tokens = kin_row_bucket(sizes->tokens, sizes->texts * s->cfg.text.context, parts);
    c.z.rows = kin_row_bucket(sizes->rows, any, parts);
    c.z.vision_rows = kin_row_bucket(sizes->vision_rows, any, parts);
    c.z.text_rows = kin_row_bucket(sizes->text_rows, any, parts);
    c.z.words = kin_row_bucket(sizes->words, any, parts);
    c.z.patches = kin_row_bucket(sizes->patches, any, parts);
    return get(cx, s, c);
}

static kin_stage *stage_of(kin_programs *s, const char *name)
{
    for (int i = 0; i < STAGES; i++)
        if (strcmp(staged[i], name) == 0) return &s->stage[i];
    return NULL;
}

static void begin_turn(kin_programs *s)
{
    enum { PIECE = 256 };
    int64_t most = 0;
    for (int i = 0; i < STAGES; i++) {
        most += s->stage[i].need + PIECE;
        s->stage[i].sent = NULL;
    }
    s->backend->send_begin(s->backend, most);
    s->sending = true;
    s->bound = false;
}

static void send(kin_programs *s, kin_stage *t, const void *host, int64_t bytes)
{
    /* When what was sent ahead is not wanted now, its turn is given up. */
    if (!s->sending || (t->sent && !s->bound)) begin_turn(s);
    s->backend->send(s->backend, t->ptr[LANDING], host, bytes);
    t->sent = host;
    t->sent_bytes = bytes;
}

void kin_programs_ahead(kin_programs *s, const char *name, const void *host, int64_t bytes)
{
    kin_stage *t = stage_of(s, name);
    if (!s->backend->host && t && bytes <= t->bytes[0]) send(s, t, host, bytes);
}

kin_status kin_programs_input(kin_ctx *cx, kin_programs *s, kin_program *p, const char *name,
                              const void *host, int64_t bytes)
{
    if (s->backend->host) return kin_program_bind(cx, p, name, kin_only_read(host));
    kin_stage *t = stage_of(s, name);
    if (!t) return kin_fail(cx, KIN_INTERNAL, "no room to upload '%s'", name);
    if (!s->sending || t->sent != host || t->sent_bytes != bytes) send(s, t, host, bytes);
    s->bound = true;
    KIN_TRY(kin_program_bind(cx, p, name, t->ptr[USED]));
    return kin_program_host_copy(cx, p, name, host);
}

kin_status kin_programs_augment(kin_ctx *cx, kin_programs *s, const kin_augmentation *drawn, int64_t n)
{
    kin_stage *t = &s->stage[AUGMENTATION];
    const int64_t bytes = n * (int64_t)sizeof *drawn;
    if (!drawn) return KIN_OK;
    if (s->backend->host || bytes > t->bytes[USED])
        return kin_fail(cx, KIN_INTERNAL, "no room to change %lld pictures on %s", (long long)n,
                        s->backend->name);
    if (t->sent != drawn || t->sent_bytes != bytes) send(s, t, drawn, bytes);
    s->augment = n;
    return KIN_OK;
}

static void take_sent(kin_programs *s)
{
    kin_sent sent[STAGES];
    int count = 0;
    for (int i = 0; i < STAGES; i++) {
        const kin_stage *t = &s->stage[i];
        if (t->sent && t->sent_bytes > 0)
            sent[count++] = (kin_sent){t->ptr[USED], t->ptr[LANDING], t->sent_bytes};
    }
    s->backend->send_use(s->backend, sent, count);
}

kin_status kin_programs_run(kin_ctx *cx, kin_programs *s, kin_program *p, const kin_run *run)
{
    kin_run how = *run;
    if (s->sending) take_sent(s);
    if (s->augment > 0)
        kin_augment_pictures(s->backend, s->stage[IMAGES].ptr[USED], s->stage[AUGMENTATION].ptr[USED],
                             s->augment, s->cfg.vision.image_height, s->cfg.vision.image_width);
    s->sending = false;
    s->augment = 0;
    how.replay = s->replay;
    return kin_program_run(cx, p, &how);
}

kin_status kin_register_weights(kin_ctx *cx, kin_params *params, const kin_model_cfg *cfg,
                                const kin_loss_row *loss)
{
    kin_graph *g = kin_graph_new(cx, params);
    if (!g) return cx->status;
    const kin_loss_cfg any = {.margin = 0.2f};
    const kin_fused_sizes sizes = {.images = 2,
                                   .texts = 2,
                                   .tokens = 2 * cfg->text.context,
                                   .itc_images = 2,
                                   .itc_texts = 2,
                                   .pairs = 2,
                                   .rows = 64,
                                   .vision_rows = 32,
                                   .text_rows = 32,
                                   .words = 32,
                                   .patches = 32};
    kin_fused_want all = {.losses = true};
    for (int k = 0; k < KIN_OBJECTIVES; k++) all.head[k] = kin_objectives[k].has(cfg);
    kin_fused_build(g, cfg, loss, &any, &sizes, &all);
    const bool failed = g->failed;
    kin_graph_free(g);
    return failed ? cx->status : KIN_OK;
}
