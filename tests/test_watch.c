/* watch, sanity, tfevents: what a run says about itself, sentence by sentence, and TensorBoard's file. */
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
#include "train/sanity.h"
#include "train/tfevents.h"
#include "train/watch.h"

static char folder[64];

static const char model_json[] = "{\"embed_dim\": 32,"
                                 " \"vision_cfg\": {\"image_size\": 32, \"layers\": 1, \"width\": 64, "
                                 "\"head_width\": 32, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 24, \"vocab_size\": 600, \"width\": "
                                 "64, \"heads\": 2, \"layers\": 1}}";

/* Every notice, one a line. */
typedef struct heard {
    char text[16384];
} heard;

static void hear(void *user, kin_level level, const char *message)
{
    heard *h = user;
    const size_t n = strlen(h->text);
    snprintf(h->text + n, sizeof h->text - n, "%s%s\n", level == KIN_WARN ? "note: " : "", message);
}

static void says(const heard *h, const char *sentence)
{
    if (!strstr(h->text, sentence)) fail_msg("not said: %s\n  but: %s", sentence, h->text);
}

static const char *in_folder(const char *name)
{
    static char path[4][160];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void config(kin_config *c, const char *lines)
{
    kin_ctx cx = {0};
    assert_int_equal(kin_config_init(&cx, c), KIN_OK);
    kin_config_set(&cx, c, "model", in_folder("model.json"));
    kin_config_set(&cx, c, "train-data", in_folder("train"));
    kin_config_set(&cx, c, "out", in_folder("run"));
    if (kin_config_parse(&cx, c, "lines", lines, (int64_t)strlen(lines)) != KIN_OK)
        fail_msg("%s", cx.message);
}

/* The lengths and checksums of formats that others wrote down: TensorBoard's event.proto by hand. */
static void records_are_tensorboards(void **state)
{
    (void)state;
    static const char *const want[] = {
        "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d",
        "200000000000000029eda9500900000040fc54d94110072a130a110a0a747261696e2f6c6f7373150000003f4e1a12c1"};
    for (int i = 0; i < 2; i++) {
        char record[KIN_TFEVENT_MOST], hex[2 * KIN_TFEVENT_MOST + 1];
        const int64_t n = kin_tfevents_record(record, 1700000000.0, 7 * i, i ? "train/loss" : NULL, 0.5f);
        for (int64_t k = 0; k < n; k++) snprintf(hex + 2 * k, 3, "%02x", record[k] & 255);
        assert_string_equal(hex, want[i]);
    }
    char record[KIN_TFEVENT_MOST], long_tag[1000];
    memset(long_tag, 'a', sizeof long_tag - 1);
    long_tag[sizeof long_tag - 1] = 0;
    assert_in_range(kin_tfevents_record(record, 1e9, INT64_MAX, long_tag, 1.0f), 200, KIN_TFEVENT_MOST);
}

/* A run's events through tests/golden/tfevents_read.py, against metrics.jsonl. */
static void another_reader_agrees(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    for (int part = 0; part < 2; part++) { /* stopped at 4, then resumed */
        config(&c, part ? "batch = 8\nsteps = 6\nlog-every = 1\n"
                        : "batch = 8\nsteps = 6\nlog-every = 1\nstop-at = 4\n");
        if (part) kin_config_set(&cx, &c, "resume", in_folder("run"));
        if (kin_trainer_open(&cx, &t, &c) != KIN_OK || kin_trainer_run(&cx, &t, NULL) != KIN_OK)
            fail_msg("%s", cx.message);
        kin_trainer_close(&t);
        kin_config_free(&c);
    }
    if (system("python3 -c 1 2>/dev/null") != 0) {
        print_message("no python3: skipped\n");
        skip();
    }
    char command[300];
    snprintf(command, sizeof command, "python3 tests/golden/tfevents_read.py %s/run/events.* >%s/read",
             folder, folder);
    assert_int_equal(system(command), 0);
    uint8_t *read, *lines;
    int64_t size;
    assert_int_equal(kin_read_file(&cx, in_folder("read"), 1 << 20, &read, &size), KIN_OK);
    assert_int_equal(kin_read_file(&cx, in_folder("run/metrics.jsonl"), 1 << 20, &lines, &size), KIN_OK);
    int checked = 0;
    for (char *save, *line = strtok_r((char *)lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *j = kin_json_parse(&cx, "line", line, strlen(line));
        static const char *const keys[] = {"loss", "lr", "logit_scale", "image_cosine", "tokens"};
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            char want[120];
            const double v = json_number_value(json_object_get(j, keys[k]));
            snprintf(want, sizeof want, "\n%d train/%s %.9g\n",
                     (int)json_integer_value(json_object_get(j, "step")), keys[k], (double)(float)v);
            if (!strstr((char *)read, want)) fail_msg("%s is not in\n%s", want, (char *)read);
            checked++;
        }
        json_decref(j);
    }
    assert_int_equal(checked, 6 * 5);
    assert_non_null(strstr((char *)read, "\n5 session_log 1\n"));
    free(read);
    free(lines);
}

/* Progress as a run would report it, into a watch. */
static void course(kin_watch *w, kin_ctx *cx, kin_trainer *t, kin_progress p)
{
    kin_watch_progress(cx, w, t, &p, 1.0);
}

static void sentences_of_a_run(void **state)
{
    (void)state;
    heard h = {0};
    kin_ctx cx = {.log = hear, .log_user = &h};
    kin_config c;
    config(&c, "steps = 1000\n");
    kin_trainer t = {
        .cfg = &c, .loss = kin_loss_find("infonce"), .lr = {.steps = 1000}, .state = {.best = -1.0}};
    const kin_progress usual = {.steps = 1000, .chance = 4.852, .scale = 14.3, .pairs = 128};
    kin_progress p = usual;
    kin_watch w = {0}, v = {0}, u = {0};
    p.step = 1;
    p.loss = 4.9;
    course(&w, &cx, &t, p);
    says(&h, "sanity  loss at the start 4.900, chance 4.852: ok\n");
    p.loss = 9.0;
    course(&v, &cx, &t, p);
    says(&h, "note: loss at the start 9.000 is far above chance (4.852): an untrained model should be near "
             "it; the "
             "logit scale 14.3 is too sharp for these towers: try --scale-init 5\n");
    p.loss = 1.0;
    course(&u, &cx, &t, p);
    says(&h,
         "note: loss at the start 1.000 is far below chance (4.852): the weights are trained already, or the "
         "captions give the pictures away\n");
    h.text[0] = 0;
    p.step = 20;
    p.loss = 4.851;
    p.spread.image = 0.999; /* early: nothing is said of it yet */
    course(&w, &cx, &t, p);
    assert_string_equal(h.text, "");
    p.step = 110;
    course(&w, &cx, &t, p);
    says(&h, "note: collapse: different pictures have nearly the same embedding (mean cosine 0.999 at step "
             "110); a "
             "lower --lr, a longer --warmup or --clip 1 usually helps, --sanity checks data and options\n");
    assert_null(strstr(h.text, "chance"));
    p.step = 250;
    course(&w, &cx, &t, p);
    says(&h,
         "note: the loss 4.851 at step 250 is still that of chance (4.852): nothing is learned; see whether "
         "--sanity can overfit a few pairs, then whether captions belong to their pictures (kin data check), "
         "then "
         "--lr\n");
    p = usual;
    p.step = 300;
    p.loss = 2.0;
    p.scale = 100.0;
    p.same_captions = 3;
    p.same_pictures = 1;
    h.text[0] = 0;
    course(&w, &cx, &t, p);
    says(&h, "note: the logit scale is at its clamp 100 since step 300: pairs are told apart as sharply as "
             "it allows; "
             "on small data that is overfitting: more data, --crop-min 0.5 or --wd\n");
    says(&h, "note: 3 of 128 captions in a batch stand there twice, word for word: the loss pushes each away "
             "from a "
             "picture that it is true of; a smaller --batch or --smoothing 0.1 softens that\n");
    says(&h, "note: 1 of 128 pictures in a batch stand there twice under different names: each caption is "
             "pushed away "
             "from its own picture; remove the copies from the data\n");
    h.text[0] = 0;
    course(&w, &cx, &t, p); /* once is enough */
    assert_string_equal(h.text, "");
    p.scale = 1.0;
    p.data_share = 0.9;
    for (int i = 0; i < 20; i++) course(&w, &cx, &t, p);
    says(&h, "note: the logit scale fell to its floor 1 at step 300: similarities say nothing about pairs");
    says(&h, "% of the time: this run is bound by reading and decoding pictures; --cache keeps them decoded, "
             "or more --loader-threads (or cores), or "
             "pictures stored no larger than they are used\n");
    kin_config_free(&c);
}

/* What is said at the end of runs of different shapes. */
static void what_to_try_next(void **state)
{
    (void)state;
    static const struct {
        double half, end, best, kept;
        const char *says;
    } runs[] = {
        {4.86, 4.85, -1, -1, "next    the loss ended at chance: try --sanity, then another --lr\n"},
        {3.0, 2.0, -1, -1,
         "next    the loss still fell in the last quarter (3.000 -> 2.000): more --steps will help\n"},
        {0.5, 0.5, -1, -1,
         "next    the training pairs are told apart (loss 0.500 of chance 4.852): more data, --crop-min 0.5 "
         "or a "
         "larger --batch will help more than more steps\n"},
        {2.5, 2.5, -1, -1,
         "next    the loss levelled off (2.500 -> 2.500): a larger model, a larger --batch or another "
         "--lr\n"},
        {2.0, 1.0, 0.3, 0.2,
         "next    mean_recall was best at step 400 and fell since while the training loss fell: overfitting; "
         "try "
         "--crop-min 0.5 --flip 0.5, a higher --wd, fewer --steps or more data (best/ holds the best)\n"},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        heard h = {0};
        kin_ctx cx = {.log = hear, .log_user = &h};
        kin_config c;
        config(&c, "steps = 1000\n");
        kin_trainer t = {.cfg = &c,
                         .loss = kin_loss_find("infonce"),
                         .lr = {.steps = 1000},
                         .state = {.step = 1000, .best = runs[i].best, .best_step = 400}};
        kin_watch w = {0};
        for (int64_t step = 10; step <= 1000; step += 10) {
            const kin_progress p = {.step = step,
                                    .steps = 1000,
                                    .chance = 4.852,
                                    .scale = 14.3,
                                    .pairs = 128,
                                    .data_share = 0.04,
                                    .loss = step < 750 ? runs[i].half : runs[i].end};
            course(&w, &cx, &t, p);
        }
        for (int k = 0; k < 3; k++) kin_watch_evaluated(&w, runs[i].kept);
        kin_watch_end(&cx, &w, &t);
        says(&h, "bound   by compute: the step waited for data 4 % of the time\n");
        says(&h, runs[i].says);
        kin_config_free(&c);
    }
}

static void duplicates_are_counted(void **state)
{
    (void)state;
    const int32_t ids[] = {1, 5, 2, 1, 5, 2, 1, 6, 2, 1, 5, 2, 1, 2};
    const int32_t off[] = {0, 3, 6, 9, 12, 14};
    const uint8_t images[5 * 3] = {1, 2, 3, 1, 2, 4, 1, 2, 3, 9, 9, 9, 8, 8, 8};
    const kin_pairs p = {.n = 5, .texts = 5, .images = images, .ids = ids, .off = off};
    int64_t captions, pictures;
    uint64_t digest[5];
    kin_count_duplicates(&p, 3, digest, &captions, &pictures);
    assert_int_equal(captions, 2);
    assert_int_equal(pictures, 1);
    /* What the device will do to them tells pictures apart. */
    const kin_augmentation drawn[5] = {{.flip = 1}, {.x1 = 1}, {.x1 = 2}, {.x1 = 3}, {.x1 = 4}};
    kin_pairs other = p;
    other.drawn = drawn;
    kin_count_duplicates(&other, 3, digest, &captions, &pictures);
    assert_int_equal(pictures, 0);
}

static void long_warmup_and_cut_captions(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *says;
    } cases[] = {
        {"batch = 8\nwarmup = 10000\nsteps = 840\nstop-at = 1\nlr = 5e-4\n",
         "note: warm-up 10000 ≥ total 840 steps: learning rate would never exceed 8.4 % of 0.0005. Using "
         "84.\n"},
        {"batch = 8\nwarmup = 0.4\nsteps = 10\nstop-at = 1\n",
         "note: warm-up is 40 % of the run: the learning rate is at its peak only after that\n"},
        {"batch = 8\nwarmup = 4\nsteps = 10\nstop-at = 1\n", "note: warm-up is 40 % of the run"},
        {"batch = 8\nsteps = 10\nstop-at = 1\nmodel.text.context_length = 8\n",
         "cut to 8 (100 % of captions; --context "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        heard h = {0};
        kin_ctx cx = {.log = hear, .log_user = &h};
        kin_config c;
        kin_trainer t;
        config(&c, cases[i].lines);
        if (kin_trainer_open(&cx, &t, &c) != KIN_OK || kin_trainer_run(&cx, &t, NULL) != KIN_OK)
            fail_msg("%s", cx.message);
        says(&h, cases[i].says);
        if (i == 0) assert_true(fabs(t.lr.warmup - 0.1) < 1e-12);
        kin_trainer_close(&t);
        kin_config_free(&c);
    }
}

static void overflow(kin_trainer *t, const char *name)
{
    kin_ctx cx = {0};
    kin_params *params = t->model->params;
    const int at = kin_params_find(params, name);
    assert_true(at >= 0);
    float *v = malloc((size_t)params->param[at].count * sizeof *v);
    kin_param_get(&cx, params, at, false, v);
    for (int64_t i = 0; i < params->param[at].count; i++) v[i] = v[i] > 0.0f ? 3e38f : -3e38f;
    assert_int_equal(kin_param_set(&cx, params, at, v), KIN_OK);
    free(v);
}

/* The whole sentence, before and after a first checkpoint. */
static void the_sentence_of_a_nan(void **state)
{
    (void)state;
    for (int resumed = 0; resumed < 2; resumed++) {
        kin_ctx cx = {0};
        kin_config c;
        kin_trainer t;
        char want[600];
        config(&c, resumed ? "batch = 8\nsteps = 4\nlr = 0.003\nschedule = constant\nwarmup = 0\n"
                           : "batch = 8\nsteps = 4\nstop-at = 2\n");
        if (resumed) kin_config_set(&cx, &c, "resume", in_folder("run"));
        if (kin_trainer_open(&cx, &t, &c) != KIN_OK) fail_msg("%s", cx.message);
        if (!resumed && kin_trainer_run(&cx, &t, NULL) != KIN_OK) fail_msg("%s", cx.message);
        if (!resumed) { /* a run of its own, without a checkpoint */
            kin_trainer_close(&t);
            c.stop_at = 0;
            assert_int_equal(kin_trainer_open(&cx, &t, &c), KIN_OK);
        }
        overflow(&t, "transformer.resblocks.0.mlp.c_fc.weight");
        assert_int_equal(kin_trainer_run(&cx, &t, NULL), KIN_NUMERIC);
        char kind[16];
        int at, all;
        if (sscanf(cx.message,
                   "%15[a-zA-Z] first seen in transformer.resblocks.0.mlp.c_fc.linear (linear, program step "
                   "%d of "
                   "%d)",
                   kind, &at, &all) != 3)
            fail_msg("%s", cx.message);
        if (resumed)
            snprintf(want, sizeof want, "last good checkpoint step 2: --resume %s --lr 0.001 goes on from it",
                     in_folder("run"));
        else
            snprintf(want, sizeof want,
                     "no checkpoint yet: a lower --lr (0.001 was used), a longer --warmup or --clip 1");
        char whole[1000];
        snprintf(whole, sizeof whole,
                 "%s first seen in transformer.resblocks.0.mlp.c_fc.linear (linear, program step %d of %d) "
                 "at step "
                 "%d; %s",
                 kind, at, all, resumed ? 3 : 1, want);
        assert_string_equal(cx.message, whole);
        kin_trainer_close(&t);
        kin_config_free(&c);
    }
}

/* A weight of one layer grown until its product overflows: that layer is named, with the step, and the
 * checkpoint to go on from. */
static void the_first_nan_is_named(void **state)
{
    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        kin_ctx cx = {0};
        kin_config c;
        kin_trainer t;
        config(&c, chunked ? "batch = 8\nsteps = 4\nchunk = 4\n" : "batch = 8\nsteps = 4\n");
        assert_int_equal(kin_trainer_open(&cx, &t, &c), KIN_OK);
        kin_params *params = t.model->params;
        const int at = kin_params_find(params, "transformer.resblocks.0.mlp.c_fc.weight");
        overflow(&t, "transformer.resblocks.0.mlp.c_fc.weight");
        float *v = malloc((size_t)params->param[at].count * sizeof *v);
        kin_param_get(&cx, params, at, false, v);
        assert_int_equal(kin_trainer_run(&cx, &t, NULL), KIN_NUMERIC);
        if (!strstr(cx.message,
                    "first seen in transformer.resblocks.0.mlp.c_fc.linear (linear, program step ") ||
            !strstr(cx.message,
                    " at step 1; no checkpoint yet: a lower --lr (0.001 was used), a longer --warmup or "
                    "--clip 1"))
            fail_msg("%s", cx.message);
        kin_clear(&cx);
        v[3] = NAN;
        kin_param_set(&cx, params, at, v);
        assert_int_equal(kin_trainer_run(&cx, &t, NULL), KIN_NUMERIC);
        if (!strstr(cx.message, "NaN in the weights: transformer.resblocks.0.mlp.c_fc.weight at step 1;"))
            fail_msg("%s", cx.message);
        free(v);
        kin_trainer_close(&t);
        kin_config_free(&c);
    }
}

static void sanity_overfits_or_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *says;
        kin_status status;
    } cases[] = {
        {"batch = 64\nsteps = 10\n", "", KIN_OK},
        {"batch = 4096\nsteps = 10\nloss = siglip\nchunk = 64\nnegatives = 1\npatch-drop = 0.5\n", "",
         KIN_OK},
        {"batch = 64\nsteps = 10\nlr = 1e-7\n", "64 pairs are not overfitted with --lr 1e-07: loss ",
         KIN_NUMERIC},
        {"batch = 64\nsteps = 10\nlr = 1e-7\n", "; with --lr 0.001 they are (", KIN_NUMERIC},
        {"batch = 64\nsteps = 10\nfreeze = *\n",
         "no gradient reaches the weights: is everything frozen (--freeze)?", KIN_ARG},
        {"batch = 64\nsteps = 10\nscale-max = 1\nlr = 1e-7\n", "does not help, nor does 0.001: the model may",
         KIN_NUMERIC},
        {"batch = 64\nsteps = 10\ntrain-data = /nowhere\n", "training data: ", KIN_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kin_ctx cx = {0};
        kin_config c;
        kin_sanity s;
        config(&c, cases[i].lines);
        const kin_status rc = kin_sanity_check(&cx, &c, 1e9, &s);
        if (rc != cases[i].status || !strstr(cx.message, cases[i].says))
            fail_msg("%s: %s: %s", cases[i].lines, kin_status_name(rc), cx.message);
        if (rc == KIN_OK) {
            assert_true(s.fits && s.last < 0.2 * s.chance && s.pairs == 64);
            assert_true(fabs(s.first - s.chance) < 0.5 * s.chance || i == 1);
        }
        kin_config_free(&c);
    }
    assert_int_not_equal(access(in_folder("never"), F_OK), 0);
}

static int make_data(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-watch-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    kin_ctx cx = {0};
    const kin_scenes_cfg c = {.out = in_folder("train"), .count = 100, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    const kin_status rc =
        kin_write_file(&cx, in_folder("model.json"), model_json, (int64_t)strlen(model_json));
    return rc == KIN_OK ? 0 : -1;
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
        cmocka_unit_test(records_are_tensorboards),    cmocka_unit_test(another_reader_agrees),
        cmocka_unit_test(sentences_of_a_run),          cmocka_unit_test(what_to_try_next),
        cmocka_unit_test(duplicates_are_counted),      cmocka_unit_test(long_warmup_and_cut_captions),
        cmocka_unit_test(the_first_nan_is_named),      cmocka_unit_test(the_sentence_of_a_nan),
        cmocka_unit_test(sanity_overfits_or_says_why),
    };
    return cmocka_run_group_tests_name("watch", tests, make_data, remove_data);
}
