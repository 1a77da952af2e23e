/* judge, eval_task, rerank, eval_noise: by judges that know the answer, know nothing, or are the dual encoder
 * itself. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "tests/tiny_model.h"
#include "train/eval_noise.h"
#include "train/evaluate.h"
#include "train/rerank.h"
#include "train/session.h"

static char folder[64];
static kin_session session;

static int setup(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    snprintf(folder, sizeof folder, "/tmp/kin_judge_XXXXXX");
    if (!mkdtemp(folder) || !make_tiny_model(folder, "infonce")) return 1;
    return kin_session_open(&cx, &session, folder, 1, 8) != KIN_OK;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    kin_session_close(&session);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static kin_dataset *open_as(const char *path, kin_labels labels)
{
    kin_ctx cx = {0};
    const kin_dataset_cfg cfg = {.split = "val", .labels = labels};
    kin_dataset *d = kin_dataset_open_as(&cx, path, &cfg);
    assert_non_null(d);
    return d;
}

/* Knows what is asked by counting: examples come in order. Right but for every `wrong`-th. */
typedef struct oracle {
    const kin_dataset *d;
    int64_t at, width, wrong, no_image, no_text;
} oracle;

static kin_status ask_oracle(kin_ctx *cx, void *self, const kin_judged *p, float *out)
{
    (void)cx;
    oracle *o = self;
    assert_true(p->n <= 8);
    for (int64_t i = 0; i < p->n; i++, o->at++) {
        const int32_t right = o->d->label[o->at].label;
        const bool slip = o->wrong && o->at % o->wrong == 0;
        for (int32_t k = 0; k < o->width; k++) out[i * o->width + k] = (k == right) != slip ? 1.0f : 0.0f;
        if (o->width == 1) out[i] = (right == 1) != slip ? 0.7f : 0.2f;
        o->no_image += p->no_image[i];
        o->no_text += p->no_text[i];
        assert_int_equal(p->no_text[i], !*p->text[i]);
    }
    return KIN_OK;
}

static double number(const json_t *m, const char *key)
{
    assert_non_null(json_object_get(m, key));
    return json_number_value(json_object_get(m, key));
}

static void test_tasks(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = open_as("scenes:count,count=60,size=32", KIN_LABELS_MUST);
    oracle o = {.d = d, .width = 3};
    kin_judge j = {.self = &o, .embedder = &session.embedder, .width = 3, .ask = ask_oracle};
    json_t *m = kin_eval_task(&cx, &j, d, NULL);
    assert_non_null(m);
    assert_true(number(m, "accuracy") == 1.0 && number(m, "examples") == 60);
    assert_null(json_object_get(m, "auroc"));
    assert_null(json_object_get(m, "accuracy_ci95"));
    assert_null(json_object_get(m, "pairwise"));
    json_decref(m);
    /* Classes by name, as the model has them: one of the data's is missing. */
    const char *const own[] = {"two", "zero", "nine"};
    j.class_name = own;
    o.at = 0;
    m = kin_eval_task(&cx, &j, d, NULL);
    assert_non_null(m);
    assert_true(number(m, "examples") == 40 && number(m, "other_class") == 20 &&
                number(m, "accuracy") == 1.0);
    json_decref(m);
    kin_dataset_close(d);

    d = open_as("scenes:xor,count=80,size=32", KIN_LABELS_MUST);
    const double threshold = 0.5;
    bool *seen = calloc(80, 1);
    for (int i = 0; i < 40; i++) seen[i] = true;
    kin_task_opts opts = {.bootstrap = 200, .threshold = &threshold, .seen = seen};
    o = (oracle){.d = d, .width = 1, .wrong = 5};
    j = (kin_judge){.self = &o, .embedder = &session.embedder, .width = 1, .ask = ask_oracle};
    m = kin_eval_task(&cx, &j, d, &opts);
    assert_non_null(m);
    assert_true(number(m, "accuracy") == 0.8 && number(m, "threshold") == 0.5);
    assert_string_equal(json_string_value(json_object_get(m, "threshold_from")), "tuned");
    assert_true(number(json_object_get(m, "unseen_texts"), "examples") == 40);
    assert_non_null(json_object_get(m, "balanced_accuracy_ci95"));
    /* 40 pictures, each with a true and a false text. Of 16 one answer is wrong: both texts score the same.
     */
    assert_true(number(m, "pairwise") == 0.8 && number(m, "pairwise_pairs") == 40);
    json_decref(m);
    free(seen);
    /* Half of the labels are true: the median parts them. Tuned on other data it lies between the two
     * answers. */
    o = (oracle){.d = d, .width = 1};
    m = kin_eval_task(&cx, &j, d, NULL);
    assert_non_null(m);
    assert_true(number(m, "accuracy") == 1.0 && number(m, "auroc") == 1.0 && number(m, "pairwise") == 1.0);
    json_decref(m);
    o.at = 0;
    double tuned;
    assert_int_equal(kin_tune_threshold(&cx, &j, d, &tuned), KIN_OK);
    assert_true(tuned > 0.2 && tuned < 0.7);
    /* Of two numbers the larger, or, where a threshold is given, the margin: above all margins all is false.
     */
    o = (oracle){.d = d, .width = 2};
    j.width = 2;
    m = kin_eval_task(&cx, &j, d, NULL);
    assert_non_null(m);
    assert_true(number(m, "accuracy") == 1.0 && !json_object_get(m, "threshold"));
    json_decref(m);
    const double high = 1e6;
    opts = (kin_task_opts){.threshold = &high};
    o.at = 0;
    m = kin_eval_task(&cx, &j, d, &opts);
    assert_non_null(m);
    assert_true(number(m, "accuracy") == 0.5 && number(m, "threshold") == high && number(m, "auroc") == 1.0);
    json_decref(m);
    o.at = 0;
    assert_int_equal(kin_tune_threshold(&cx, &j, d, &tuned), KIN_OK);
    opts.threshold = &tuned;
    o.at = 0;
    m = kin_eval_task(&cx, &j, d, &opts);
    assert_non_null(m);
    assert_true(number(m, "accuracy") == 1.0);
    json_decref(m);
    kin_dataset_close(d);
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    const kin_judge dual = kin_judge_dual(&session.embedder);
    kin_dataset *d = open_as("scenes:count,count=6,size=32", KIN_LABELS_MUST);
    assert_null(kin_eval_task(&cx, &dual, d, NULL));
    assert_string_equal(
        cx.message, "this model says how well a text fits a picture: true or false; the data has 3 classes");
    kin_clear(&cx);
    kin_judge wide = dual;
    wide.width = 5;
    assert_null(kin_eval_task(&cx, &wide, d, NULL));
    assert_string_equal(cx.message, "the model has 5 classes, the data 3");
    kin_dataset_close(d);
    kin_clear(&cx);
    d = open_as("scenes:swaps,count=6,size=32", KIN_LABELS_PAIRS);
    assert_null(kin_eval_task(&cx, &dual, d, NULL));
    assert_int_equal(cx.status, KIN_ARG);
    kin_dataset_close(d);
}

/* The dual encoder as a judge gives the cosines of its embeddings, and so its own order: nothing is gained.
 */
static void test_dual_encoder_as_judge(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = open_as("scenes:match,count=80,size=32", KIN_LABELS_PAIRS);
    const int64_t width = session.model->cfg.embed_dim;
    float *image, *text, *cosine = malloc((size_t)d->captions * sizeof *cosine);
    assert_int_equal(kin_embed_dataset(&cx, &session.embedder, d, &image, &text), KIN_OK);
    const kin_judge dual = kin_judge_dual(&session.embedder);
    assert_int_equal(kin_judge_pairs(&cx, &dual, d, NULL, NULL, d->captions, NULL, cosine), KIN_OK);
    for (int64_t c = 0; c < d->captions; c++) {
        double sum = 0;
        for (int64_t k = 0; k < width; k++)
            sum += (double)image[d->item_of[c] * width + k] * (double)text[c * width + k];
        assert_true(fabs((double)cosine[c] - sum) < 1e-6);
    }
    kin_rerank_judge self = {&dual, d};
    const kin_rerank_in in = {.first = {.image = image,
                                        .text = text,
                                        .image_of = d->item_of,
                                        .images = d->items,
                                        .texts = d->captions,
                                        .E = width},
                              .depth = 12,
                              .score = kin_rerank_ask,
                              .self = &self,
                              .resamples = 100};
    kin_rerank r;
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_OK);
    assert_int_equal(r.pairs, kin_rerank_pairs(&in));
    for (int k = 0; k < KIN_RECALLS; k++) {
        assert_true(r.image.recall[k].difference == 0 && r.text.recall[k].difference == 0);
        assert_true(r.image.recall[k].low == 0 && r.image.recall[k].high == 0);
    }
    free(image);
    free(text);
    free(cosine);
    kin_dataset_close(d);
}

/* ---- rerank over embeddings made here ---- */

enum { IMAGES = 40, EACH = 3, TEXTS = IMAGES * EACH, E = 6, DEPTH = 10 };
static float image_rows[IMAGES * E], text_rows[TEXTS * E];
static int64_t image_of[TEXTS];

static kin_status knows(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text, int64_t n,
                        float *out)
{
    (void)cx;
    *(int64_t *)self += n;
    for (int64_t i = 0; i < n; i++) out[i] = image_of[text[i]] == image[i] ? 2.0f : 1.0f;
    return KIN_OK;
}

static kin_status says_the_same(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text, int64_t n,
                                float *out)
{
    (void)cx, (void)image, (void)text, (void)self;
    for (int64_t i = 0; i < n; i++) out[i] = 1;
    return KIN_OK;
}

static kin_status says_nothing(kin_ctx *cx, void *self, const int64_t *image, const int64_t *text, int64_t n,
                               float *out)
{
    says_the_same(cx, self, image, text, n, out);
    for (int64_t i = 0; i < n; i++) out[i] = NAN;
    return KIN_OK;
}

static void test_rerank(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_rng rng = kin_rng_new(3);
    for (int i = 0; i < IMAGES * E; i++) image_rows[i] = (float)kin_rng_normal(&rng);
    for (int t = 0; t < TEXTS; t++) {
        image_of[t] = t / EACH;
        for (int e = 0; e < E; e++)
            text_rows[t * E + e] = image_rows[image_of[t] * E + e] + (float)(1.5 * kin_rng_normal(&rng));
    }
    int64_t asked = 0, text_rank[TEXTS], image_rank[IMAGES];
    kin_rerank_in in = {.first = {.image = image_rows,
                                  .text = text_rows,
                                  .image_of = image_of,
                                  .images = IMAGES,
                                  .texts = TEXTS,
                                  .E = E},
                        .depth = DEPTH,
                        .score = knows,
                        .self = &asked,
                        .resamples = 500};
    kin_rerank r;
    kin_retrieval plain;
    kin_retrieval_in first = in.first;
    first.text_rank = text_rank;
    first.image_rank = image_rank;
    assert_int_equal(kin_eval_retrieval(&cx, &first, &plain), KIN_OK);
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_OK);
    assert_int_equal(asked, (TEXTS + IMAGES) * DEPTH);
    assert_int_equal(r.pairs, asked);
    double found = 0;
    for (int t = 0; t < TEXTS; t++) found += text_rank[t] < DEPTH;
    assert_true(r.image.ceiling == found / TEXTS);
    for (int k = 0; k < KIN_RECALLS; k++) { /* who knows finds all that is among the candidates */
        assert_true(r.image.recall[k].a == plain.image.recall[k] &&
                    r.text.recall[k].a == plain.text.recall[k]);
        assert_true(r.image.recall[k].b == r.image.ceiling && r.text.recall[k].b == r.text.ceiling);
    }
    assert_true(r.image.recall[0].low > 0 && r.image.recall[0].not_above == 0);
    assert_int_equal(r.image.recall[0].groups, IMAGES);
    json_t *m = kin_rerank_json(&cx, &r);
    assert_true(number(m, "image_retrieval_recall@1_gain") == r.image.recall[0].difference);
    assert_true(number(m, "depth") == DEPTH);
    json_decref(m);
    /* Equal scores are pessimistic: all wrong candidates stand before the right one. */
    in.score = says_the_same;
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_OK);
    assert_true(r.image.recall[0].b == 0 && r.image.recall[1].b == 0 &&
                r.image.recall[2].b == r.image.ceiling);
    /* A judge to whom all is the same, and the similarity: the order that was there before. */
    in.similarity = 0.5;
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_OK);
    for (int k = 0; k < KIN_RECALLS; k++)
        assert_true(r.image.recall[k].b == plain.image.recall[k] &&
                    r.text.recall[k].b == plain.text.recall[k]);
    in.similarity = 0;
    in.score = says_nothing;
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_OK);
    assert_true(r.image.recall[2].b == 0 && r.text.recall[2].b == 0);
    /* Without resamples there is a gain and no interval. */
    in.score = knows;
    in.resamples = 0;
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_OK);
    assert_true(r.image.recall[0].difference > 0 && r.image.recall[0].low == r.image.recall[0].difference);
    m = kin_rerank_json(&cx, &r);
    assert_true(number(m, "image_retrieval_recall@1_gain") == r.image.recall[0].difference);
    assert_null(json_object_get(m, "image_retrieval_recall@1_gain_ci95"));
    json_decref(m);
    in.resamples = 39;
    asked = 0;
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_ARG);
    assert_string_equal(cx.message,
                        "rerank: bootstrap is 39, it must be 0, or 40 to 1000000: fewer resamples "
                        "have no 2.5 % tail");
    assert_int_equal(asked, 0);
    kin_clear(&cx);
    in.resamples = 500;
    in.depth = 0;
    assert_int_equal(kin_rerank_run(&cx, &in, &r), KIN_ARG);
}

/* ---- noise ---- */

static double point(const json_t *curves, const char *kind, const char *of, size_t i)
{
    const json_t *model = json_array_get(json_object_get(curves, "models"), 0);
    const json_t *curve = json_object_get(json_object_get(model, "curves"), kind);
    assert_int_equal(json_array_size(json_object_get(curve, of)), 3);
    return json_number_value(json_array_get(json_object_get(curve, of), i));
}

static void test_noise_of_retrieval(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = open_as("scenes:match,count=40,size=32", KIN_LABELS_PAIRS);
    kin_noise_retrieval self = {.embedder = &session.embedder, .data = d, .bootstrap = 50};
    const kin_noise_subject subject = {"tiny", &self, kin_noise_measure_retrieval};
    kin_noise_cfg cfg = {.steps = 2, .seed = 1, .metric = "R@1"};
    for (int k = 0; k < KIN_NOISES; k++) cfg.kinds[k] = k != KIN_NOISE_CROP;
    json_t *m = kin_eval_noise(&cx, &subject, 1, &cfg);
    assert_non_null(m);
    json_t *clean = kin_evaluate(&cx, &session.embedder, d, NULL);
    const double r1 =
        (number(clean, "image_retrieval_recall@1") + number(clean, "text_retrieval_recall@1")) / 2;
    for (int k = 0; k < KIN_NOISES; k++) {
        const json_t *model = json_array_get(json_object_get(m, "models"), 0);
        assert_int_equal(json_object_get(json_object_get(model, "curves"), kin_noise_names[k]) != NULL,
                         cfg.kinds[k]);
        if (!cfg.kinds[k]) continue;
        assert_true(point(m, kin_noise_names[k], "value", 0) == r1);
        for (size_t i = 0; i < 3; i++)
            assert_true(point(m, kin_noise_names[k], "low", i) <= point(m, kin_noise_names[k], "high", i));
    }
    /* Without any picture, or any text, all embeddings of a side are equal: no query of the other side finds
     * its own (ties are pessimistic), and all queries of that side find the same one, which is right for one
     * of 20. */
    assert_int_equal(d->items, 20);
    assert_true(point(m, "no-image", "value", 2) <= 0.5 / 20);
    assert_true(point(m, "no-text", "value", 2) <= 0.5 / 20);
    json_decref(m);
    json_decref(clean);
    const kin_corruption some = {KIN_NOISE_BLUR, 0.5, 1};
    kin_estimate e;
    self.bootstrap = 39;
    assert_int_equal(kin_noise_measure_retrieval(&cx, &self, &some, &e), KIN_ARG);
    assert_string_equal(cx.message, "noise: bootstrap is 39, it must be 0, or 40 to 1000000: fewer resamples "
                                    "have no 2.5 % tail");
    kin_clear(&cx);
    self.bootstrap = 50;
    cfg.steps = 0;
    assert_null(kin_eval_noise(&cx, &subject, 1, &cfg));
    free(self.image);
    free(self.text);
    kin_dataset_close(d);
}

static void test_noise_of_tasks(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = open_as("scenes:xor,count=200,size=32", KIN_LABELS_MUST);
    oracle o = {.d = d, .width = 2};
    const kin_judge j = {.self = &o, .embedder = &session.embedder, .width = 2, .ask = ask_oracle};
    kin_noise_task self = {.judge = &j, .data = d, .bootstrap = 40};
    const int64_t absent[] = {KIN_NOISE_NO_IMAGE, KIN_NOISE_NO_TEXT};
    for (int k = 0; k < 2; k++) {
        const kin_corruption c = {(kin_noise)absent[k], 0.5, 7};
        kin_estimate e;
        o = (oracle){.d = d, .width = 2};
        assert_int_equal(kin_noise_measure_task(&cx, &self, &c, &e), KIN_OK);
        assert_true(e.value == 1 && e.low == 1 && e.high == 1);
        assert_in_range(k == 0 ? o.no_image : o.no_text, 70, 130);
        assert_int_equal(k == 0 ? o.no_text : o.no_image, 0);
    }
    kin_dataset_close(d);
}

/* A picture is made worse once, whatever is said about it; words once, whatever they are said about. */
static void test_corruption_is_by_item_and_caption(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = open_as("scenes:xor,count=8,size=32", KIN_LABELS_MUST);
    const int64_t item[] = {0, 1, 0};
    const size_t bytes = (size_t)kin_preprocess_bytes(&session.model->preprocess);
    uint8_t *pixels = malloc(3 * bytes);
    const kin_corruption c = {KIN_NOISE_COLOR, 0.5, 1};
    bool absent[3];
    assert_int_equal(kin_corrupted_pictures(&cx, &session.embedder, d, &c, item, 3, pixels, absent), KIN_OK);
    assert_memory_equal(pixels, pixels + 2 * bytes, bytes);
    assert_memory_not_equal(pixels, pixels + bytes, bytes);
    assert_false(absent[0] || absent[1]);
    free(pixels);
    kin_dataset_close(d);
}

/* In whatever order pairs come, a picture that several of them share is the same for all. */
static void test_pairs_that_share_a_picture(void **state)
{
    (void)state;
    enum { PAIRS = 9 };
    static const int64_t caption[PAIRS] = {0, 1, 2, 3, 3, 0, 1, 5, 4},
                         item[PAIRS] = {1, 1, 1, 0, 2, 2, 0, 0, 3};
    static const kin_noise kinds[] = {KIN_NOISE_COLOR, KIN_NOISE_NO_IMAGE};
    kin_ctx cx = {0};
    kin_dataset *d = open_as("scenes:xor,count=8,size=32", KIN_LABELS_MUST);
    const kin_judge dual = kin_judge_dual(&session.embedder);
    for (int k = 0; k < 2; k++) {
        const kin_corruption c = {kinds[k], 0.5, 3};
        float together[PAIRS], alone;
        assert_int_equal(kin_judge_pairs(&cx, &dual, d, caption, item, PAIRS, &c, together), KIN_OK);
        for (int i = 0; i < PAIRS; i++) {
            assert_int_equal(kin_judge_pairs(&cx, &dual, d, caption + i, item + i, 1, &c, &alone), KIN_OK);
            assert_true(fabsf(alone - together[i]) < 1e-6f);
        }
        if (k == 0)
            assert_true(fabsf(together[0] - together[5]) > 1e-4f && fabsf(together[1] - together[6]) > 1e-4f);
    }
    kin_dataset_close(d);
}

static void test_broken_pictures_are_left_out(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_dataset *d = open_as("scenes:swaps,count=40,size=32", KIN_LABELS_MUST);
    uint8_t *bytes = kin_only_read(d->source[0].map.bytes + d->item[3].at);
    const char *name = d->item[3].name;
    memset(bytes, 0, 16);
    const kin_judge dual = kin_judge_dual(&session.embedder);
    assert_null(kin_eval_task(&cx, &dual, d, NULL));
    assert_non_null(strstr(cx.message, name));
    kin_clear(&cx);
    assert_int_equal(kin_leave_readable(&cx, &session.embedder, d), KIN_OK);
    assert_int_equal(d->items, 19);
    assert_int_equal(d->captions, 38);
    json_t *m = kin_eval_task(&cx, &dual, d, NULL);
    assert_non_null(m);
    assert_true(number(m, "examples") == 38);
    json_decref(m);
    for (int64_t i = 0; i < d->items; i++)
        memset(kin_only_read(d->source[0].map.bytes + d->item[i].at), 0, 16);
    assert_int_equal(kin_leave_readable(&cx, &session.embedder, d), KIN_FORMAT);
    kin_dataset_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_dual_encoder_as_judge),
        cmocka_unit_test(test_rerank),
        cmocka_unit_test(test_noise_of_retrieval),
        cmocka_unit_test(test_noise_of_tasks),
        cmocka_unit_test(test_corruption_is_by_item_and_caption),
        cmocka_unit_test(test_pairs_that_share_a_picture),
        cmocka_unit_test(test_broken_pictures_are_left_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
