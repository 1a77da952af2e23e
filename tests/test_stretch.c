/* Longer texts for a trained model: Long-CLIP's numbers, texts that were short enough keep their embeddings
 * to the bit, and training goes on from a model folder. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "data/scenes.h"
#include "nn/stretch.h"
#include "train/session.h"
#include "train/trainer.h"

enum { OLD = 77, NEW = 248, KEPT = 20, WIDTH = 3 };

static char folder[64];

static const char model_json[] = "{\"embed_dim\": 16,"
                                 " \"vision_cfg\": {\"image_size\": 16, \"layers\": 1, \"width\": 32, "
                                 "\"head_width\": 32, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 48, \"vocab_size\": 540, \"width\": "
                                 "32, \"heads\": 1, \"layers\": 1}}";

/* As Long-CLIP writes it down: rows of four from each pair of neighbours, the last three beyond the end. */
static void long_clip(const float *in, float *out)
{
    for (int c = 0; c < WIDTH; c++) {
        for (int p = 0; p < KEPT; p++) out[p * WIDTH + c] = in[p * WIDTH + c];
        for (int i = KEPT; i < OLD - 1; i++)
            for (int k = 0; k < 4; k++)
                out[(KEPT + 4 * (i - KEPT) + k) * WIDTH + c] =
                    (float)((4 - k) * (double)in[i * WIDTH + c] / 4 +
                            k * (double)in[(i + 1) * WIDTH + c] / 4);
        const double last = (double)in[(OLD - 1) * WIDTH + c], before = (double)in[(OLD - 2) * WIDTH + c];
        for (int k = 0; k < 4; k++) out[(NEW - 4 + k) * WIDTH + c] = (float)(last + k * (last - before) / 4);
    }
}

static void positions_are_long_clips(void **state)
{
    (void)state;
    float in[OLD * WIDTH], want[NEW * WIDTH], have[NEW * WIDTH];
    for (int i = 0; i < OLD * WIDTH; i++) in[i] = sinf(0.7f * (float)i) + 0.01f * (float)i;
    long_clip(in, want);
    kin_stretch_positions(in, OLD, NEW, WIDTH, have);
    for (int i = 0; i < NEW * WIDTH; i++)
        if (fabsf(have[i] - want[i]) > 1e-6f)
            fail_msg("position %d: %g, not %g", i / WIDTH, (double)have[i], (double)want[i]);
    kin_stretch_positions(in, OLD, 5, WIDTH, have); /* shorter: the first ones */
    assert_memory_equal(have, in, 5 * WIDTH * sizeof *in);
    kin_stretch_positions(in, OLD, OLD, WIDTH, have);
    assert_memory_equal(have, in, sizeof in);
    static const float two[] = {1.0f, 3.0f};
    kin_stretch_positions(two, 2, 4, 1, have); /* the smallest: one is kept */
    assert_true(have[0] == 1.0f && have[1] == 3.0f);
    assert_true(fabsf(have[2] - (3.0f + 2.0f / 3.0f)) < 1e-6f &&
                fabsf(have[3] - (3.0f + 4.0f / 3.0f)) < 1e-6f);
    assert_int_equal(kin_stretch_kept(77), 20);
    assert_int_equal(kin_stretch_kept(32), 16);
}

static const char *in_folder(const char *name)
{
    static char path[4][200];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

typedef struct heard {
    char text[8192];
} heard;

static void hear(void *user, kin_level level, const char *message)
{
    heard *h = user;
    const size_t n = strlen(h->text);
    (void)level;
    snprintf(h->text + n, sizeof h->text - n, "%s\n", message);
}

/* Positions as training makes them, neighbours alike (fresh ones are noise). */
static void smooth(kin_ctx *cx, kin_params *p)
{
    const int at = kin_params_find(p, "positional_embedding");
    float v[NEW * 32];
    for (int64_t i = 0; i < p->param[at].count; i++)
        v[i] = 0.05f * sinf(0.05f * (float)(i / 32) * (1.0f + (float)(i % 32) / 16.0f) + (float)(i % 32));
    kin_param_set(cx, p, at, v);
}

/* Trains as the lines say; what was logged into h, the context's state and message into cx. */
static void train(kin_ctx *cx, heard *h, const char *lines)
{
    kin_config c;
    kin_trainer t;
    *cx = (kin_ctx){.log = hear, .log_user = h};
    h->text[0] = 0;
    kin_config_init(cx, &c);
    kin_config_set(cx, &c, "train-data", in_folder("train"));
    kin_config_parse(cx, &c, "lines", lines, (int64_t)strlen(lines));
    if (cx->status == KIN_OK) {
        if (kin_trainer_open(cx, &t, &c) == KIN_OK) {
            if (!kin_model_is_folder(c.model) && c.context == 0 && !*c.resume) smooth(cx, t.model->params);
            kin_trainer_run(cx, &t, NULL);
        }
        kin_trainer_close(&t);
    }
    kin_config_free(&c);
}

static void embed(const char *model, const char *const *text, int64_t n, float *out)
{
    kin_ctx cx = {0};
    kin_session s;
    if (kin_session_open(&cx, &s, model, 1, 4) != KIN_OK || kin_embed_texts(&cx, &s.embedder, text, n, out))
        fail_msg("%s", cx.message);
    kin_session_close(&s);
}

static void short_texts_stay(void **state)
{
    (void)state;
    kin_ctx cx;
    heard h;
    char lines[600], text[2000] = "";
    snprintf(lines, sizeof lines, "model = %s\nout = %s\nbatch = 8\nsteps = 3\n", in_folder("model.json"),
             in_folder("short"));
    train(&cx, &h, lines);
    assert_int_equal(cx.status, KIN_OK);
    /* A learning rate of 0: the weights are those of the folder. */
    snprintf(lines, sizeof lines, "model = %s\nout = %s\nbatch = 8\nsteps = 1\nlr = 0\ncontext = 96\n",
             in_folder("short/best"), in_folder("long"));
    train(&cx, &h, lines);
    if (cx.status != KIN_OK) fail_msg("%s", cx.message);
    for (int i = 0; i < 60; i++) strcat(text, i % 2 ? "red " : "circle ");
    const char *const texts[] = {"a red circle", "circle", "a red circle left of a blue square and below",
                                 text};
    float was[4 * 16], is[4 * 16];
    embed(in_folder("short/best"), texts, 4, was);
    embed(in_folder("long/best"), texts, 4, is);
    assert_memory_equal(was, is, 2 * 16 * sizeof *was); /* under 20 tokens */
    double same[2] = {0};
    for (int t = 2; t < 4; t++)
        for (int i = 0; i < 16; i++) same[t - 2] += (double)was[16 * t + i] * (double)is[16 * t + i];
    print_message("cosine with before: of a text of 20 to 48 tokens %.4f, of a longer one %.4f\n", same[0],
                  same[1]);
    assert_true(same[0] > 0.99 && same[0] < 1.0 - 1e-6);
    assert_true(same[1] < 1.0 - 1e-6); /* cut then, whole now */
    /* As many as before, and then fewer: the same again, to the bit. */
    snprintf(lines, sizeof lines, "model = %s\nout = %s\nbatch = 8\nsteps = 1\nlr = 0\n",
             in_folder("short/best"), in_folder("again"));
    train(&cx, &h, lines);
    embed(in_folder("again/best"), texts, 4, is);
    assert_memory_equal(was, is, sizeof was);
}

static void captions_cut_name_the_option(void **state)
{
    (void)state;
    kin_ctx cx;
    heard h;
    char lines[600];
    snprintf(lines, sizeof lines, "model = %s\nout = %s\nbatch = 8\nsteps = 1\ncontext = 8\n",
             in_folder("model.json"), in_folder("cut"));
    train(&cx, &h, lines);
    int caption, tokens, again, length = 0;
    const char *said = strstr(h.text, "caption ");
    assert_non_null(said);
    assert_int_equal(sscanf(said,
                            "caption %d has %d tokens, cut to 8 (100 %% of captions; --context %d keeps them "
                            "whole)\n%n",
                            &caption, &tokens, &again, &length),
                     3);
    assert_true(length > 0 && tokens == again);
    snprintf(lines, sizeof lines, "model = %s\nout = %s\nbatch = 8\nsteps = 1\n", in_folder("cut/best"),
             in_folder("cut2"));
    train(&cx, &h, lines);
    said = strstr(h.text, "caption ");
    length = 0;
    assert_non_null(said);
    assert_int_equal(sscanf(said,
                            "caption %d has %d tokens, cut to 8 (100 %% of captions; --context %d stretches "
                            "positions)\n%n",
                            &caption, &tokens, &again, &length),
                     3);
    assert_true(length > 0 && tokens == again);
    /* And it does what it says. */
    snprintf(lines, sizeof lines, "model = %s\nout = %s\nbatch = 8\nsteps = 2\nstop-at = 1\ncontext = %d\n",
             in_folder("cut/best"), in_folder("cut3"), tokens);
    train(&cx, &h, lines);
    if (cx.status != KIN_OK || strstr(h.text, "caption ")) fail_msg("%s%s", cx.message, h.text);
    /* A run goes on from its own checkpoint, also when the folder that it began with is gone. */
    char command[200];
    snprintf(command, sizeof command, "mv %s/cut %s/gone", folder, folder);
    assert_int_equal(system(command), 0);
    snprintf(lines, sizeof lines, "model = %s\nresume = %s\nbatch = 8\nsteps = 2\ncontext = %d\n",
             in_folder("cut/best"), in_folder("cut3"), tokens);
    train(&cx, &h, lines);
    if (cx.status != KIN_OK) fail_msg("%s", cx.message);
    assert_non_null(strstr(h.text, "going on from step 1 of "));
}

/* What does not fit is said. */
static void misfits_are_named(void **state)
{
    (void)state;
    kin_ctx cx;
    heard h;
    char lines[600], want[400];
    snprintf(lines, sizeof lines, "model = %s\nout = %s\nbatch = 8\nsteps = 1\nmodel.text.width = 64\n",
             in_folder("short/best"), in_folder("other"));
    train(&cx, &h, lines);
    assert_int_equal(cx.status, KIN_SHAPE);
    assert_non_null(strstr(cx.message, "the model config says"));
    snprintf(lines, sizeof lines, "model = %s\nbatch = 8\nsteps = 1\n", in_folder("nowhere"));
    train(&cx, &h, lines);
    snprintf(want, sizeof want,
             "model '%s': no such file, and no such name; names are: ", in_folder("nowhere"));
    assert_non_null(strstr(cx.message, want));
    kin_make_dirs(&cx, in_folder("empty"));
    snprintf(lines, sizeof lines, "model = %s\nresume = %s\nsteps = 1\n", in_folder("model.json"),
             in_folder("empty"));
    train(&cx, &h, lines);
    snprintf(
        want, sizeof want,
        "%s: no checkpoint to go on from (there is no %s/last): the run ended before its first one; start "
        "it again without --resume",
        in_folder("empty"), in_folder("empty"));
    assert_string_equal(cx.message, want);
}

static int make_data(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-stretch-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    kin_ctx cx = {0};
    const kin_scenes_cfg c = {.out = in_folder("train"), .count = 40, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    return kin_write_file(&cx, in_folder("model.json"), model_json, (int64_t)strlen(model_json)) == KIN_OK
               ? 0
               : -1;
}

static int remove_data(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_long_clips),
        cmocka_unit_test(short_texts_stay),
        cmocka_unit_test(captions_cut_name_the_option),
        cmocka_unit_test(misfits_are_named),
    };
    return cmocka_run_group_tests_name("stretch", tests, make_data, remove_data);
}
