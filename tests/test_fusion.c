/* fusion: every technique's whole step against finite differences in f64, kernels against ref, what a score
 * may depend on, and the wiring: who is drawn against whom, what is hidden. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "train/step.h"

enum { N = 5, TEXTS = 7, S = 16, T = 8, VOCAB = 20, E = 16, CLASSES = 3 };

static uint8_t images[N * S * S * 3];
static int32_t ids[TEXTS * T], off[TEXTS + 1], labels[N], image_of[TEXTS - N] = {1, 3};

static kin_pairs batch(void)
{
    static const int lengths[TEXTS] = {4, 8, 5, 3, 6, 5, 4};
    for (size_t i = 0; i < sizeof images; i++) images[i] = (uint8_t)((7 * i + i / 5 + i / 768 * 31) % 256);
    for (int b = 0; b < TEXTS; b++) {
        for (int j = 0; j < lengths[b]; j++)
            ids[off[b] + j] = j == 0 ? 18 : j == lengths[b] - 1 ? 19 : 1 + (5 * j + 3 * b) % 17;
        off[b + 1] = off[b] + lengths[b];
    }
    for (int i = 0; i < N; i++) labels[i] = i % CLASSES;
    return (kin_pairs){.n = N,
                       .texts = TEXTS,
                       .images = images,
                       .ids = ids,
                       .off = off,
                       .image_of = image_of,
                       .labels = labels};
}

typedef struct technique {
    const char *fusion; /* JSON of kin_cfg.fusion */
    double weight[KIN_OBJECTIVES];
    bool hard;
    double drop;
} technique;

static const technique techniques[] = {
    {"{\"kind\": \"late\", \"combine\": \"linear\"}", {1.0, 1.0, 0.0, 0.0, 0.5}, true, 0.0},
    {"{\"kind\": \"late\", \"combine\": \"mlp\", \"hidden\": 12}", {0.0, 1.0, 0.0, 0.0, 1.0}, true, 0.3},
    {"{\"kind\": \"late\", \"combine\": \"gated\"}", {1.0, 1.0, 0.0, 0.0, 1.0}, false, 0.0},
    {"{\"kind\": \"late\", \"combine\": \"bilinear\"}", {1.0, 0.0, 0.0, 0.0, 1.0}, false, 0.3},
    {"{\"kind\": \"late\", \"combine\": \"average\"}", {1.0, 1.0, 0.0, 0.0, 0.0}, true, 0.0},
    {"{\"kind\": \"xattn\", \"layers\": 1}", {1.0, 1.0, 1.0, 0.0, 1.0}, true, 0.0},
    {"{\"kind\": \"xattn\", \"layers\": 2, \"gated\": true}", {0.5, 1.0, 0.0, 0.0, 1.0}, true, 0.3},
    {"{\"kind\": \"joint\", \"layers\": 2}", {0.0, 1.0, 1.0, 1.0, 1.0}, false, 0.3},
    {"{\"kind\": \"joint\", \"layers\": 1}", {0.0, 1.0, 0.0, 0.0, 0.0}, false, 0.0},
    {"{\"kind\": \"mmt\", \"layers\": 1}", {1.0, 1.0, 1.0, 1.0, 0.0}, true, 0.0},
    {"{\"kind\": \"experts\", \"layers\": 2, \"pair_layers\": 1}", {1.0, 1.0, 1.0, 1.0, 1.0}, true, 0.3},
};
enum { TECHNIQUES = sizeof techniques / sizeof *techniques };

typedef struct rig {
    kin_ctx cx;
    kin_backend *backend;
    kin_params *params;
    kin_programs programs;
    kin_stepper stepper;
} rig;

static kin_status read_model(kin_ctx *cx, const char *fusion, const char *heads, kin_model_cfg *cfg)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"embed_dim\": 16, \"init_logit_scale\": 2.0,"
             " \"vision_cfg\": {\"image_size\": 16, \"layers\": 1, \"width\": 16, \"head_width\": 8, "
             "\"patch_size\": 8},"
             " \"text_cfg\": {\"context_length\": 8, \"vocab_size\": 20, \"width\": 16, \"heads\": 2, "
             "\"layers\": 1},"
             " \"kin_cfg\": {\"fusion\": %s, \"heads\": %s}}",
             fusion, heads);
    json_t *json = kin_json_parse(cx, "model", text, strlen(text));
    const kin_status rc = kin_model_cfg_read(cx, "model", json, cfg);
    json_decref(json);
    return rc;
}

/* Towers frozen, all or that of pictures; and not even run: what they make is input. */
typedef enum frozen { LEARNING, FROZEN, MADE, PICTURES_FROZEN, PICTURES_MADE } frozen;

static void open_rig_as(rig *r, kin_backend *backend, const technique *t, frozen towers)
{
    *r = (rig){.backend = backend};
    char heads[128];
    snprintf(heads, sizeof heads, "{\"itm\": %s, \"mlm\": %s, \"mim\": %s, \"classes\": %d}",
             t->weight[KIN_ITM] > 0.0 ? "true" : "false", t->weight[KIN_MLM] > 0.0 ? "true" : "false",
             t->weight[KIN_MIM] > 0.0 ? "true" : "false", t->weight[KIN_CLS] > 0.0 ? CLASSES : 0);
    kin_model_cfg cfg;
    if (read_model(&r->cx, t->fusion, heads, &cfg) != KIN_OK) fail_msg("%s", r->cx.message);
    const kin_loss_row *loss = kin_loss_find("infonce");
    r->params = kin_params_new(&r->cx);
    if (kin_register_weights(&r->cx, r->params, &cfg, loss) != KIN_OK) fail_msg("%s", r->cx.message);
    static const char *const of_towers[] = {"visual.*",     "token_embedding*", "positional*",
                                            "transformer*", "ln_final*",        "text_projection"};
    const int freeze = towers == LEARNING ? 0 : towers <= MADE ? 6 : 1;
    for (int i = 0; i < freeze; i++) assert_true(kin_params_freeze(r->params, of_towers[i]) > 0);
    assert_int_equal(kin_params_alloc(&r->cx, r->params, backend, true, false), KIN_OK);
    assert_int_equal(kin_params_init(&r->cx, r->params, 5), KIN_OK);
    /* Nothing at a point where its gradient is zero by symmetry: gates open, biases at work, types apart. */
    for (int i = 0; i < r->params->count; i++) {
        const kin_param *p = &r->params->param[i];
        float *v = malloc((size_t)p->count * sizeof *v);
        assert_int_equal(kin_param_get(&r->cx, r->params, i, false, v), KIN_OK);
        kin_rng rng = kin_rng_new(kin_fnv(KIN_FNV, p->name, strlen(p->name)));
        for (int64_t k = 0; k < p->count; k++) v[k] += (float)(0.2 * kin_rng_normal(&rng));
        assert_int_equal(kin_param_set(&r->cx, r->params, i, v), KIN_OK);
        free(v);
    }
    r->programs = (kin_programs){.cfg = cfg, .loss = loss, .params = r->params, .backend = backend};
    assert_int_equal(kin_stepper_open(&r->cx, &r->stepper, &r->programs, N, TEXTS, 0), KIN_OK);
    kin_fused_cfg f = {.wiring = {.want = {.image_made = towers == MADE || towers == PICTURES_MADE,
                                           .text_made = towers == MADE},
                                  .hard = t->hard,
                                  .mlm_rate = 0.3,
                                  .mim_rate = 0.4,
                                  .drop_image = t->drop,
                                  .drop_text = t->drop}};
    memcpy(f.weight, t->weight, sizeof f.weight);
    if (kin_stepper_fuse(&r->cx, &r->stepper, &f) != KIN_OK) fail_msg("%s", r->cx.message);
}

static void open_rig(rig *r, kin_backend *backend, const technique *t)
{
    open_rig_as(r, backend, t, LEARNING);
}

static void close_rig(rig *r)
{
    kin_stepper_close(&r->stepper);
    kin_programs_close(&r->programs);
    kin_params_free(r->params);
    kin_backend_close(r->backend);
}

static double step(rig *r)
{
    const kin_pairs p = batch();
    double loss;
    if (kin_stepper_run(&r->cx, &r->stepper, &p, 77, &loss) != KIN_OK) fail_msg("%s", r->cx.message);
    return loss;
}

static kin_backend *ref64(void)
{
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_ref(&cx, KIN_F64);
    assert_non_null(b);
    return b;
}

static kin_backend *cpu(int threads)
{
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_cpu(&cx, threads, NULL);
    assert_non_null(b);
    return b;
}

/* ---- gradients ---- */

/* Along a direction of every parameter at once, and along one of each alone, where it has any gradient. With
 * hard pairs the draw may jump; a small step does not cross the border of one here. */
static double along(rig *r, int param, double by)
{
    for (int i = 0; i < r->params->count; i++) {
        if (param >= 0 && i != param) continue;
        double *v = kin_param_value(r->params, i);
        for (int64_t k = 0; k < r->params->param[i].count; k++) v[k] += by * cos((double)(3 * k + i));
    }
    return step(r);
}

static double slope(const rig *r, int param)
{
    double sum = 0.0;
    for (int i = 0; i < r->params->count; i++) {
        if (param >= 0 && i != param) continue;
        const double *g = kin_param_grad(r->params, i);
        for (int64_t k = 0; k < r->params->param[i].count; k++) sum += g[k] * cos((double)(3 * k + i));
    }
    return sum;
}

static void check_slope(rig *r, int param, const char *of)
{
    const double h = 1e-5;
    step(r);
    const double want = slope(r, param);
    const double up = along(r, param, h), down = along(r, param, -2.0 * h);
    along(r, param, h);
    const double have = (up - down) / (2.0 * h);
    if (!(fabs(have - want) <= 2e-6 * fmax(1.0, fabs(want))))
        fail_msg("%s: %s: %.10g by backward, %.10g by differences", of,
                 param < 0 ? "all" : r->params->param[param].name, want, have);
}

static void test_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < TECHNIQUES; i++) {
        rig r;
        open_rig(&r, ref64(), &techniques[i]);
        check_slope(&r, -1, techniques[i].fusion);
        for (int p = 0; p < r.params->count; p += 3) check_slope(&r, p, techniques[i].fusion);
        close_rig(&r);
    }
}

/* Every weight that the model has learns from a step that asks all of its heads. */
static void test_everything_learns(void **state)
{
    (void)state;
    for (int i = 0; i < TECHNIQUES; i++) {
        rig r;
        const technique *t = &techniques[i];
        open_rig(&r, ref64(), t);
        step(&r);
        for (int p = 0; p < r.params->count; p++) {
            const kin_param *q = &r.params->param[p];
            const double *g = kin_param_grad(r.params, p);
            double most = 0.0;
            for (int64_t k = 0; k < q->count; k++) most = fmax(most, fabs(g[k]));
            const bool missing = strstr(q->name, ".missing") != NULL; /* only when a picture or a text is */
            const bool itc = strstr(q->name, "logit_scale") || strcmp(q->name, "visual.proj") == 0 ||
                             strcmp(q->name, "text_projection") == 0;
            if (most == 0.0 && !missing && !(itc && t->weight[KIN_ITC] == 0.0))
                fail_msg("%s: %s has no gradient", t->fusion, q->name);
        }
        close_rig(&r);
    }
}

static void test_kernels_agree(void **state)
{
    (void)state;
    for (int i = 0; i < TECHNIQUES; i++) {
        rig a, b, c;
        open_rig(&a, ref64(), &techniques[i]);
        open_rig(&b, cpu(2), &techniques[i]);
        open_rig(&c, cpu(1), &techniques[i]);
        const double want = step(&a), have = step(&b);
        if (!(fabs(want - have) <= 1e-5 * fmax(1.0, want)))
            fail_msg("%s: the loss is %.9g, not %.9g", techniques[i].fusion, have, want);
        assert_true(have == step(&c));
        for (int p = 0; p < a.params->count; p++) {
            const double *x = kin_param_grad(a.params, p);
            const float *y = kin_param_grad(b.params, p);
            double most = 1e-4, differ = 0.0;
            for (int64_t k = 0; k < a.params->param[p].count; k++) {
                most = fmax(most, fabs(x[k]));
                differ = fmax(differ, fabs(x[k] - (double)y[k]));
            }
            if (!(differ <= 2e-4 * most))
                fail_msg("%s: %s differs by %.3g", techniques[i].fusion, a.params->param[p].name,
                         differ / most);
            assert_memory_equal(y, kin_param_grad(c.params, p), (size_t)a.params->param[p].count * sizeof *y);
        }
        close_rig(&a);
        close_rig(&b);
        close_rig(&c);
    }
}

/* ---- towers that do not learn ---- */

enum { ROWS = N * 8 * 16 }; /* floats of all pictures' rows, at most */

static void run_tower(rig *r, const kin_pairs *p, kin_task task, double *out, double *states)
{
    kin_run run = {0};
    kin_program *prog = kin_programs_get(&r->cx, &r->programs, task, false, N, TEXTS, p->off[TEXTS]);
    assert_non_null(prog);
    if (task == KIN_TASK_TEXTS) {
        kin_program_bind(&r->cx, prog, "ids", kin_only_read(p->ids));
        kin_program_bind(&r->cx, prog, "off", kin_only_read(p->off));
    } else
        kin_program_bind(&r->cx, prog, "images", kin_only_read(p->images));
    kin_program_bind(&r->cx, prog, "embedding", out);
    if (task == KIN_TASK_IMAGE_STATES) kin_program_bind(&r->cx, prog, "states", states);
    kin_run_rows(prog, &run, "images", N);
    kin_run_rows(prog, &run, "texts", TEXTS);
    kin_run_rows(prog, &run, "tokens", p->off[TEXTS]);
    assert_int_equal(kin_program_run(&r->cx, prog, &run), KIN_OK);
}

/* What the towers make of a batch; states where the fusion reads rows. */
static void look(rig *r, const kin_pairs *p, float *image, float *states, float *text)
{
    const bool rows = kin_has_states(&r->programs.cfg);
    double out[TEXTS * E], all[ROWS];
    run_tower(r, p, rows ? KIN_TASK_IMAGE_STATES : KIN_TASK_IMAGES, out, all);
    for (int i = 0; i < N * E; i++) image[i] = (float)out[i];
    const int64_t count = N * kin_vision_tokens(&r->programs.cfg.vision) * r->programs.cfg.vision.trunk.width;
    assert_true(count <= ROWS);
    for (int64_t i = 0; rows && i < count; i++) states[i] = (float)all[i];
    run_tower(r, p, KIN_TASK_TEXTS, out, NULL);
    for (int i = 0; i < TEXTS * E; i++) text[i] = (float)out[i];
}

/* A step over what towers that do not learn made before is the step over pictures (and texts): the loss,
 * every gradient; and the tower is not in its program. */
static void test_features(void **state)
{
    (void)state;
    static const struct {
        technique t;
        bool texts; /* are made before, too */
    } cases[] = {
        {{"{\"kind\": \"late\", \"combine\": \"mlp\"}", {0.0, 1.0, 0.0, 0.0, 1.0}, true, 0.0}, true},
        {{"{\"kind\": \"late\", \"combine\": \"gated\"}", {1.0, 1.0, 0.0, 0.0, 1.0}, true, 0.3}, false},
        {{"{\"kind\": \"xattn\", \"layers\": 1}", {1.0, 1.0, 1.0, 0.0, 1.0}, true, 0.3}, false},
        {{"{\"kind\": \"xattn\", \"layers\": 1}", {0.0, 1.0, 0.0, 0.0, 0.0}, false, 0.0}, false},
        {{"{\"kind\": \"mmt\", \"layers\": 1}", {1.0, 1.0, 1.0, 0.0, 0.0}, true, 0.0}, false},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float image[N * E], states[ROWS], text[TEXTS * E];
        rig whole, cached;
        kin_pairs p = batch();
        open_rig_as(&whole, ref64(), &cases[c].t, cases[c].texts ? FROZEN : PICTURES_FROZEN);
        open_rig_as(&cached, cpu(1), &cases[c].t, cases[c].texts ? MADE : PICTURES_MADE);
        look(&whole, &p, image, states, text);
        const double want = step(&whole);
        p.image_features = image;
        p.image_states = states;
        if (cases[c].texts) p.text_features = text;
        p.images = NULL;
        double have = 0.0;
        if (kin_stepper_run(&cached.cx, &cached.stepper, &p, 77, &have) != KIN_OK)
            fail_msg("%s", cached.cx.message);
        if (!(fabs(have - want) < 1e-5 * fmax(1.0, want)))
            fail_msg("%s: %.8g, not %.8g", cases[c].t.fusion, have, want);
        int learn = 0;
        for (int i = 0; i < whole.params->count; i++) {
            if (whole.params->param[i].frozen) continue;
            const double *x = kin_param_grad(whole.params, i);
            const float *y = kin_param_grad(cached.params, i);
            for (int64_t k = 0; k < whole.params->param[i].count; k++)
                if (!(fabs(x[k] - (double)y[k]) < 2e-5 * fmax(1.0, fabs(x[k]))))
                    fail_msg("%s: %s: %.8g, not %.8g", cases[c].t.fusion, whole.params->param[i].name,
                             (double)y[k], x[k]);
            learn++;
        }
        assert_true(learn > 4);
        assert_true(cached.stepper.flops < whole.stepper.flops); /* no pixels were given, so no tower ran */
        close_rig(&whole);
        close_rig(&cached);
    }
}

/* ---- wiring ---- */

static void open_wiring(kin_wiring *w, kin_model_cfg *m, const char *fusion, kin_wiring_cfg cfg)
{
    kin_ctx cx = {0};
    assert_int_equal(read_model(&cx, fusion, "{\"itm\": true, \"mlm\": true}", m), KIN_OK);
    if (kin_wiring_open(&cx, w, m, &cfg, N, TEXTS) != KIN_OK) fail_msg("%s", cx.message);
}

static const kin_fused_want itm_mlm = {.head = {[KIN_ITM] = true, [KIN_MLM] = true}, .losses = true};

static void make(kin_wiring *w, const kin_pairs *p, uint64_t key, const float *a, const float *b,
                 double scale)
{
    kin_ctx cx = {0};
    if (kin_wiring_make(&cx, w, p, key, a, b, scale) != KIN_OK) fail_msg("%s", cx.message);
}

/* Of the false pairs: never their own, never an equal caption's; drawn as the softmax says. */
static void test_hard_negatives(void **state)
{
    (void)state;
    kin_wiring w;
    kin_model_cfg m;
    kin_pairs p = batch();
    memcpy(ids + off[0], (int32_t[]){18, 7, 9, 19}, 16); /* caption 5 (a twin) and caption 0 ... */
    static const int32_t same[] = {18, 6, 11, 16, 19};
    memcpy(ids + off[2], same, sizeof same); /* 2: five ids; make caption 4 equal to it */
    int32_t moved[TEXTS * T], ends[TEXTS + 1] = {0};
    for (int b = 0; b < TEXTS; b++) {
        const int from = b == 4 ? 2 : b, n = off[from + 1] - off[from];
        memcpy(moved + ends[b], ids + off[from], (size_t)n * 4);
        ends[b + 1] = ends[b] + n;
    }
    p.ids = moved;
    p.off = ends;
    float a[N * E] = {0}, b[TEXTS * E] = {0};
    for (int i = 0; i < N; i++) a[i * E + i] = 1.0f;
    for (int i = 0; i < N; i++) { /* caption i is like picture i, and half like picture i + 1 */
        b[i * E + i] = 0.8f;
        b[i * E + (i + 1) % N] = 0.6f;
    }
    open_wiring(&w, &m, "{\"kind\": \"xattn\", \"layers\": 1}",
                (kin_wiring_cfg){.want = itm_mlm, .hard = true, .mlm_rate = 0.15});
    int count[N][N] = {{0}};
    enum { DRAWS = 3000 };
    for (int k = 0; k < DRAWS; k++) {
        make(&w, &p, (uint64_t)k, a, b, 2.0);
        int64_t at = N;
        for (int t = 0; t < TEXTS - N; t++, at++) { /* the false twins first */
            assert_int_equal(w.pair_images[at], image_of[t]);
            assert_int_equal(w.pair_texts[at], N + t);
            assert_int_equal(w.itm_labels[at], 0);
        }
        for (int i = 0; i < N; i++, at++) { /* for every caption a picture */
            assert_int_equal(w.pair_texts[at], i);
            assert_int_equal(w.itm_labels[at], 0);
            count[i][w.pair_images[at]]++;
        }
        for (int i = 0; i < N; i++, at++) {
            assert_int_equal(w.pair_images[at], i);
            assert_true(w.pair_texts[at] != i);
            assert_false((i == 2 && w.pair_texts[at] == 4) || (i == 4 && w.pair_texts[at] == 2));
        }
        for (; at < w.now.pairs; at++) assert_int_equal(w.itm_labels[at], -1);
    }
    assert_int_equal(count[2][4] + count[4][2], 0);
    for (int i = 0; i < N; i++) assert_int_equal(count[i][i], 0);
    /* Caption 0: pictures 1 (cosine 0.6), 2, 3, 4 (0): e^1.2 : 1 : 1 : 1. Four standard deviations. */
    const double p1 = exp(1.2) / (exp(1.2) + 3.0), sd = sqrt(p1 * (1.0 - p1) * DRAWS);
    assert_true(fabs(count[0][1] - p1 * DRAWS) < 4.0 * sd);
    /* The same key, the same draw. */
    int32_t before[32];
    const int64_t pairs = w.now.pairs;
    make(&w, &p, 9, a, b, 2.0);
    memcpy(before, w.pair_images, (size_t)w.now.pairs * 4);
    make(&w, &p, 10, a, b, 2.0);
    assert_memory_not_equal(before, w.pair_images, (size_t)pairs * 4);
    make(&w, &p, 9, a, b, 2.0);
    assert_memory_equal(before, w.pair_images, (size_t)pairs * 4);
    kin_wiring_close(&w);
}

/* Hidden words: between the ends, where the labels say, as many as asked for; the clean captions stay. */
static void test_masked_words(void **state)
{
    (void)state;
    kin_wiring w;
    kin_model_cfg m;
    const kin_pairs p = batch();
    static const char *const kinds[] = {"{\"kind\": \"xattn\", \"layers\": 1}",
                                        "{\"kind\": \"joint\", \"layers\": 1}"};
    for (int k = 0; k < 2; k++) {
        open_wiring(&w, &m, kinds[k], (kin_wiring_cfg){.want = itm_mlm, .mlm_rate = 0.15});
        double hidden = 0.0, zero = 0.0, kept = 0.0, words = 0.0;
        for (int key = 0; key < 2000; key++) {
            make(&w, &p, (uint64_t)key, NULL, NULL, 0.0);
            assert_memory_equal(w.ids, p.ids, (size_t)p.off[TEXTS] * 4);
            words += p.off[N] - 2.0 * N;
            hidden += (double)w.now.words;
            assert_true(w.now.words >= N); /* every caption has a word to hide here */
            for (int64_t i = 0; i < w.now.words; i++) {
                const int32_t row = w.word_rows[i], token = w.row_texts[row];
                assert_in_range(token, p.off[TEXTS], w.now.tokens - 1);
                int64_t t = TEXTS;
                while (w.off[t + 1] <= token) t++;
                const int64_t j = token - w.off[t];
                assert_true(j > 0 && token + 1 < w.off[t + 1]);
                assert_int_equal(w.word_labels[i], p.ids[p.off[t - TEXTS] + j]);
                zero += w.ids[token] == -1;
                kept += w.ids[token] == w.word_labels[i];
                assert_true(w.ids[token] >= -1 && w.ids[token] < VOCAB);
            }
        }
        assert_true(hidden / words > 0.15 && hidden / words < 0.45); /* one at least, of one to six */
        assert_true(fabs(zero / hidden - 0.8) < 0.02);
        assert_true(fabs(kept / hidden - 0.1 - 0.1 / VOCAB) < 0.02);
        kin_wiring_close(&w);
    }
}

/* ---- scores ---- */

/* The logits of pairs by the program that scoring uses. */
static void scores(rig *r, const kin_pairs *p, const int32_t *image, const int32_t *text, int64_t pairs,
                   double *out)
{
    kin_wiring w;
    const kin_fused_want want = {.head = {[KIN_ITM] = true}};
    const kin_wiring_cfg cfg = {.want = want, .mlm_rate = 0.15};
    assert_int_equal(kin_wiring_open(&r->cx, &w, &r->programs.cfg, &cfg, N, TEXTS), KIN_OK);
    assert_int_equal(kin_wiring_score(&r->cx, &w, p, image, text, pairs), KIN_OK);
    kin_program *prog = kin_programs_fused(&r->cx, &r->programs, false, &want, &w.now);
    if (!prog) fail_msg("%s", r->cx.message);
    kin_run run = {0};
    assert_int_equal(kin_wiring_bind(&r->cx, &r->programs, prog, &w, &run), KIN_OK);
    assert_int_equal(kin_program_bind(&r->cx, prog, "itm logits", out), KIN_OK);
    if (kin_program_run(&r->cx, prog, &run) != KIN_OK) fail_msg("%s", r->cx.message);
    kin_wiring_close(&w);
}

/* A pair's score is its own: whatever else is in the batch, and in whatever order. */
static void test_pairs_do_not_see_each_other(void **state)
{
    (void)state;
    static const int32_t image[] = {0, 1, 2, 3, 4, 0, 5}, text[] = {0, 1, 2, 3, 4, 6, 1};
    for (int i = 0; i < TECHNIQUES; i++) {
        if (techniques[i].weight[KIN_ITM] == 0.0) continue;
        rig r;
        open_rig(&r, ref64(), &techniques[i]);
        const kin_pairs p = batch();
        double all[14], one[2];
        scores(&r, &p, image, text, 7, all);
        for (int k = 0; k < 7; k++) {
            scores(&r, &p, image + k, text + k, 1, one);
            for (int c = 0; c < 2; c++)
                if (!(fabs(one[c] - all[2 * k + c]) < 1e-12))
                    fail_msg("%s: pair %d alone has %.12g, among others %.12g", techniques[i].fusion, k,
                             one[c], all[2 * k + c]);
        }
        /* Both halves are looked at: another picture, another text, no picture change the score. */
        assert_true(fabs(all[0] - all[10]) > 1e-6);
        assert_true(fabs(all[2] - all[12]) > 1e-6);
        close_rig(&r);
    }
}

/* With its gates closed a gated fusion is the text alone; open, it is not. */
static void test_closed_gates(void **state)
{
    (void)state;
    static const technique gated = {
        "{\"kind\": \"xattn\", \"layers\": 2, \"gated\": true}", {0.0, 1.0}, false, 0.0};
    static const int32_t image[] = {0, 1}, text[] = {2, 2};
    rig r;
    open_rig(&r, ref64(), &gated);
    const kin_pairs p = batch();
    double open[4], closed[4];
    scores(&r, &p, image, text, 2, open);
    assert_true(fabs(open[0] - open[2]) > 1e-6);
    for (int i = 0; i < r.params->count; i++)
        if (strstr(r.params->param[i].name, ".alpha"))
            memset(kin_param_value(r.params, i), 0, (size_t)r.params->param[i].count * sizeof(double));
    scores(&r, &p, image, text, 2, closed);
    assert_true(closed[0] == closed[2] && closed[1] == closed[3]);
    close_rig(&r);
}

/* ---- refusals ---- */

static void refused_model(const char *fusion, const char *heads, const char *with)
{
    kin_ctx cx = {0};
    kin_model_cfg m;
    assert_int_not_equal(read_model(&cx, fusion, heads, &m), KIN_OK);
    if (!strstr(cx.message, with)) fail_msg("says '%s', not '%s'", cx.message, with);
}

static void test_refused(void **state)
{
    (void)state;
    refused_model("{\"kind\": \"early\"}", "{}", "kin knows none, late, xattn, joint, mmt, experts");
    refused_model("{\"kind\": \"none\"}", "{\"itm\": true}", "this model has no fusion");
    refused_model("{\"kind\": \"late\"}", "{\"mlm\": true}", "one vector of a pair");
    refused_model("{\"kind\": \"xattn\"}", "{\"mim\": true}", "no rows of the picture");
    refused_model("{\"kind\": \"late\", \"layer\": 3}", "{}", "'layer' is not something");
    refused_model("{\"kind\": \"late\"}", "{\"classes\": 1}", "one class alone");
    refused_model("{\"kind\": \"xattn\", \"heads\": 3}", "{}", "a head must be a multiple of 8 wide");

    rig r;
    kin_fused_cfg f = {.weight = {0.0, 1.0}};
    open_rig(&r, cpu(1), &techniques[8]); /* joint, itm */
    kin_stepper small;
    assert_int_equal(kin_stepper_open(&r.cx, &small, &r.programs, N, TEXTS, 2), KIN_OK);
    assert_int_equal(kin_stepper_fuse(&r.cx, &small, &f), KIN_UNSUPPORTED);
    assert_non_null(strstr(r.cx.message, "whole batch at once"));
    kin_stepper_close(&small);
    kin_clear(&r.cx);
    kin_wiring w;
    kin_wiring_cfg cfg = {.want = {.head = {[KIN_ITC] = true}}};
    assert_int_equal(kin_wiring_open(&r.cx, &w, &r.programs.cfg, &cfg, N, TEXTS), KIN_ARG);
    assert_non_null(
        strstr(r.cx.message, "loss.itc compares embeddings, and fusion joint makes none: loss.itc = 0"));
    kin_wiring_close(&w);
    kin_clear(&r.cx);
    cfg = (kin_wiring_cfg){.want = {.head = {[KIN_ITM] = true}}, .hard = true};
    assert_int_equal(kin_wiring_open(&r.cx, &w, &r.programs.cfg, &cfg, N, TEXTS), KIN_ARG);
    assert_non_null(strstr(r.cx.message, "itm-negatives = random"));
    kin_wiring_close(&w);
    kin_clear(&r.cx);
    assert_null(kin_programs_get(&r.cx, &r.programs, KIN_TASK_IMAGES, false, 4, 0, 0));
    assert_non_null(strstr(r.cx.message, "neither has an embedding of its own"));
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_everything_learns),
        cmocka_unit_test(test_kernels_agree),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_hard_negatives),
        cmocka_unit_test(test_masked_words),
        cmocka_unit_test(test_pairs_do_not_see_each_other),
        cmocka_unit_test(test_closed_gates),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
