/* fusion_run: runs that train pairs on labelled data: what is written answers as what was trained; towers
 * that do not learn run once; one technique goes on from another's towers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/eval_task.h"
#include "train/gallery.h"
#include "train/rerank.h"
#include "train/plan.h"
#include "train/session.h"
#include "train/trainer.h"

static void set(kin_config *c, const char *key, const char *value)
{
    kin_ctx cx = {0};
    if (kin_config_set(&cx, c, key, value) != KIN_OK) fail_msg("%s", cx.message);
}

static double accuracy_of(const char *folder)
{
    kin_ctx cx = {0};
    kin_session s;
    kin_fused_judge fused;
    kin_judge judge;
    const kin_dataset_cfg how = {.split = "val", .labels = KIN_LABELS_MUST};
    kin_dataset *d = kin_dataset_open_as(&cx, "scenes:xor,count=64,seed=2,size=32", &how);
    if (kin_session_open(&cx, &s, folder, 1, 16) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_judge_of(&cx, &s.embedder, KIN_CLS, &fused, &judge) != KIN_OK) fail_msg("%s", cx.message);
    assert_int_equal(judge.width, 2);
    float logits[2];
    for (int64_t k = 0; k < 3; k++) { /* pictures, texts, pairs: one more than there is room for */
        assert_int_equal(kin_fused_judge_pairs(&cx, &fused, NULL, 16 + (k == 0), NULL, 16 + (k == 1), NULL,
                                               NULL, 16 + (k == 2), logits),
                         KIN_SHAPE);
        assert_non_null(strstr(cx.message, "at once; room is for 16"));
        kin_clear(&cx);
    }
    assert_string_equal(judge.class_name[1], "true");
    json_t *m = kin_eval_task(&cx, &judge, d, &(kin_task_opts){0});
    if (!m) fail_msg("%s", cx.message);
    const double accuracy = json_number_value(json_object_get(m, "accuracy"));
    json_decref(m);
    kin_fused_judge_close(&fused);
    kin_session_close(&s);
    kin_dataset_close(d);
    return accuracy;
}

static void configure(kin_config *c, const char *fusion, const char *model, const char *freeze,
                      const char *out)
{
    kin_ctx cx = {0};
    assert_int_equal(kin_config_init(&cx, c), KIN_OK);
    const char *const keys[][2] = {{"model", model},
                                   {"model.fusion.kind", fusion},
                                   {"train-data", "scenes:xor,count=96,seed=1,size=32"},
                                   {"val-data", "scenes:xor,count=64,seed=2,size=32"},
                                   {"batch", "16"},
                                   {"steps", "4"},
                                   {"loss.itc", "0"},
                                   {"loss.cls", "1"},
                                   {"drop-image", "0.2"},
                                   {"threads", "1"},
                                   {"eval-batch", "16"},
                                   {"freeze", freeze},
                                   {"out", out}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) set(c, keys[i][0], keys[i][1]);
}

static void train(const char *fusion, const char *model, const char *freeze, const char *out, bool features)
{
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    configure(&c, fusion, model, freeze, out);
    if (kin_trainer_open(&cx, &t, &c) != KIN_OK) fail_msg("%s", cx.message);
    assert_true((t.features != NULL) == features);
    if (kin_trainer_run(&cx, &t, NULL) != KIN_OK) fail_msg("%s", cx.message);
    char last[200];
    snprintf(last, sizeof last, "%s/last", out);
    assert_true(fabs(t.state.best - accuracy_of(last)) < 1e-9);
    kin_trainer_close(&t);
    kin_config_free(&c);
}

/* Towers that ran once over the data say what they say when they run for each pair, in any order of pairs. */
static void gallery(const char *folder)
{
    enum { PAIRS = 50 };
    kin_ctx cx = {0};
    kin_session s;
    kin_fused_judge fused;
    kin_judge judge;
    kin_gallery g;
    const kin_dataset_cfg how = {.split = "val", .labels = KIN_LABELS_MUST};
    kin_dataset *d = kin_dataset_open_as(&cx, "scenes:xor,count=64,seed=2,size=32", &how);
    if (kin_session_open(&cx, &s, folder, 1, 16) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_judge_of(&cx, &s.embedder, KIN_CLS, &fused, &judge) != KIN_OK) fail_msg("%s", cx.message);
    assert_true(kin_gallery_fits(&fused));
    if (kin_gallery_open(&cx, &g, &fused, d) != KIN_OK) fail_msg("%s", cx.message);
    const int64_t texts = g.rows ? g.off[d->captions] : d->captions;
    assert_true((d->items * g.image_row + texts * g.text_row) * (int64_t)sizeof(float) <=
                kin_gallery_bytes(&fused, d));
    int64_t image[PAIRS], text[PAIRS];
    float have[PAIRS], want[PAIRS], differ = 0.0f;
    for (int i = 0; i < PAIRS;
         i++) { /* pictures in runs of five, some texts twice, the last batch not full */
        image[i] = (i / 5 * 7) % d->items;
        text[i] = (i / 2 * 11) % d->captions;
    }
    kin_rerank_judge each = {&judge, d};
    if (kin_gallery_ask(&cx, &g, image, text, PAIRS, have) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_rerank_ask(&cx, &each, image, text, PAIRS, want) != KIN_OK) fail_msg("%s", cx.message);
    for (int i = 0; i < PAIRS; i++) {
        if (!(fabsf(have[i] - want[i]) <= 1e-5f * fmaxf(1.0f, fabsf(want[i]))))
            fail_msg("%s: pair %d: %.8g from kept rows, %.8g anew", folder, i, (double)have[i],
                     (double)want[i]);
        differ = fmaxf(differ, fabsf(want[i] - want[0]));
    }
    assert_true(differ > 1e-4f); /* pairs do differ */
    kin_gallery_close(&g);
    kin_fused_judge_close(&fused);
    kin_session_close(&s);
    kin_dataset_close(d);
}

static const char towers[] = "visual.*,token_embedding*,positional*,transformer*,ln_final*,text_projection";

/* A plan of frozen towers embeds a batch, to know how long all takes, and not the data. */
static void plan(const char *model, const char *out)
{
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    kin_plan p;
    configure(&c, "late", model, towers, out);
    c.dry_run = true;
    if (kin_trainer_open(&cx, &t, &c) != KIN_OK) fail_msg("%s", cx.message);
    assert_non_null(t.features);
    assert_null(t.features->image);
    if (kin_plan_make(&cx, &t, NULL, &p) != KIN_OK) fail_msg("%s", cx.message);
    assert_true(p.features_seconds > 0.0 && p.needs.of[KIN_SECONDS] > p.features_seconds);
    kin_trainer_close(&t);
    c.distill = 0.5;
    c.ema = 0.5;
    c.loss_itc = 1.0;
    assert_int_not_equal(kin_trainer_open(&cx, &t, &c), KIN_OK);
    assert_string_equal(cx.message, "distill = 0.5, but no tower learns: there is nothing to teach");
    kin_trainer_close(&t);
    kin_config_free(&c);
}

static void last_loss(void *user, const kin_progress *p)
{
    *(double *)user = p->loss;
}

/* Two towers alone with a frozen one: what it makes is read by a step over pairs, and by the chunks of a
 * batch (which are the steps that run it, tests/test_step_chunks.c): the same loss. */
static void test_frozen_dual(void **state)
{
    (void)state;
    char root[] = "/tmp/kin-fusion-XXXXXX", out[110];
    assert_non_null(mkdtemp(root));
    double loss[2] = {0.0, 0.0};
    for (int chunked = 0; chunked < 2; chunked++) {
        kin_ctx cx = {0};
        kin_config c;
        kin_trainer t;
        snprintf(out, sizeof out, "%s/%d", root, chunked);
        assert_int_equal(kin_config_init(&cx, &c), KIN_OK);
        const char *const keys[][2] = {{"model", "scenes-tiny"},
                                       {"train-data", "scenes:swaps,count=64,seed=1,size=32"},
                                       {"batch", "16"},
                                       {"chunk", chunked ? "8" : "0"},
                                       {"negatives", "1"},
                                       {"steps", "4"},
                                       {"lr", "1e-3"},
                                       {"log-every", "1"},
                                       {"threads", "1"},
                                       {"freeze", "visual.*"},
                                       {"out", out}};
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) set(&c, keys[i][0], keys[i][1]);
        if (kin_trainer_open(&cx, &t, &c) != KIN_OK) fail_msg("%s", cx.message);
        assert_true(t.features && (t.stepper.fused != NULL) == !chunked);
        const kin_observer o = {.user = &loss[chunked], .progress = last_loss};
        if (kin_trainer_run(&cx, &t, &o) != KIN_OK) fail_msg("%s", cx.message);
        kin_trainer_close(&t);
        kin_config_free(&c);
    }
    if (!(loss[0] > 0.0 && fabs(loss[0] - loss[1]) < 1e-5 * loss[0]))
        fail_msg("%.8g in one piece, %.8g in chunks", loss[0], loss[1]);
    kin_ctx cx = {0};
    char *command = kin_sprintf(&cx, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
    free(command);
}

static void test_run(void **state)
{
    (void)state;
    char root[] = "/tmp/kin-fusion-XXXXXX", out[100], from[110];
    assert_non_null(mkdtemp(root));
    static const char *const kinds[] = {"late", "xattn", "joint", "experts", "mmt"};
    for (int i = 0; i < 5; i++) {
        snprintf(out, sizeof out, "%s/%s", root, kinds[i]);
        train(kinds[i], "scenes-tiny", "", out, false);
        snprintf(from, sizeof from, "%s/last", out);
        if (i != 2) gallery(from); /* joint has no towers */
    }
    /* On from there: with frozen towers, which run once; and another technique on the same towers. */
    snprintf(from, sizeof from, "%s/late/last", root);
    snprintf(out, sizeof out, "%s/frozen", root);
    train("late", from, towers, out, true);
    plan(from, out);
    /* The tower of pictures alone frozen: it runs once, and the text's learns. */
    for (int i = 1; i < 5; i++) {
        if (i == 2 || i == 3) continue; /* joint has none, experts share theirs with the texts */
        snprintf(out, sizeof out, "%s/%s-pictures", root, kinds[i]);
        snprintf(from, sizeof from, "%s/%s/last", root, kinds[i]);
        train(kinds[i], from, "visual.*", out, true);
    }
    snprintf(from, sizeof from, "%s/late/last", root);
    snprintf(out, sizeof out, "%s/more", root);
    train("xattn", from, "", out, false);
    kin_ctx cx = {0};
    char *command = kin_sprintf(&cx, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
    free(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run), cmocka_unit_test(test_frozen_dual)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
