/* cuda_replay: steps that are recorded and replayed, and pictures that the device changes itself: the same
 * bits, or the processor's losses. On the emulated GPU. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph.h"
#include "tests/cuda_rig.h"
#include "tests/emulated.h"
#include "tests/scratch.h"
#include "train/memory.h"

/* Chunks of a batch come again with the same sizes: they are recorded and replayed, with new random numbers,
 * weights and inputs. The host runs ahead of the device, so turns of inputs follow each other closely. */
static void replayed_steps_have_the_same_bits(void **state)
{
    static const cuda_flag plain[] = {
        {"device", "cuda"}, {"chunk", "3"}, {"graphs", "false"}, AUGMENTED, {NULL, NULL}};
    static const cuda_flag replayed[] = {{"device", "cuda"}, {"chunk", "3"}, AUGMENTED, {NULL, NULL}};
    (void)state;
    emulated_order(0);
    const cuda_record want = cuda_must_train(plain);
    assert_int_equal(emulated_launches("cudaGraphLaunch"), 0);
    for (int i = 1; i < 3; i++) { /* everything late; copies as early as they may */
        const int64_t before = emulated_launches("cudaGraphLaunch");
        emulated_order(i);
        const cuda_record r = cuda_must_train(replayed);
        assert_memory_equal(&r, &want, sizeof r);
        /* Forward and backward of three chunks of pictures, but for the first time that they come. */
        assert_true(emulated_launches("cudaGraphLaunch") - before >= 6 * (STEPS - 1));
    }
    emulated_order(0);
}

static int different(const int64_t *v, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++) seen = seen || v[k] == v[i];
        count += !seen;
    }
    return count;
}

/* With small models: one layer a tower. */
#define REPLAYED                                                                                             \
    {"steps", "20"}, {"negatives", "0"}, {"eval-every", "0"}, {"val-data", ""},                              \
        {"model.vision.layers", "1"},                                                                        \
    {                                                                                                        \
        "model.text.layers", "1"                                                                             \
    }
enum { PROCESSOR, LAUNCHED, REPLAYED_ON_GPU, WAYS };

/* The same steps on the processor, by launches, and replayed; how often the last were recorded and replayed.
 */
static void three_ways(const cuda_flag *flags, cuda_record r[WAYS], int64_t *recorded, int64_t *replayed)
{
    for (int way = 0; way < WAYS; way++) {
        cuda_flag all[20] = {{"device", way == PROCESSOR ? "cpu" : "cuda"},
                             {"graphs", way == LAUNCHED ? "false" : "true"}};
        for (int n = 0; flags[n].key; n++) all[n + 2] = flags[n];
        *recorded = -emulated_launches("cudaGraphInstantiate");
        *replayed = -emulated_launches("cudaGraphLaunch");
        emulated_order(way); /* the last: copies overtake what they need not wait for */
        r[way] = cuda_must_train(all);
        *recorded += emulated_launches("cudaGraphInstantiate");
        *replayed += emulated_launches("cudaGraphLaunch");
        assert_int_equal(r[way].steps, MANY);
        if (way == LAUNCHED) assert_int_equal(*replayed, 0);
    }
    emulated_order(0);
    assert_memory_equal(&r[REPLAYED_ON_GPU], &r[LAUNCHED], sizeof *r);
}

/* Each batch has its own number of tokens, and the launches of its bucket: the first step of a bucket is
 * launched, the second recorded, and all but the first are replayed. */
static void ragged_steps_are_replayed(void **state)
{
    static const cuda_flag flags[] = {REPLAYED, {"model.text.layers", "2"}, {NULL, NULL}};
    enum { TEXTS = 8, CONTEXT = 24 };
    cuda_record r[WAYS];
    int64_t recorded, replayed, bucket[MANY];
    (void)state;
    three_ways(flags, r, &recorded, &replayed);
    cuda_losses_agree(&r[LAUNCHED], &r[PROCESSOR], 1e-4, "ragged captions");
    for (int i = 0; i < MANY; i++)
        bucket[i] = kin_row_bucket(r[0].tokens[i], (int64_t)TEXTS * CONTEXT, KIN_PARTS_TOKENS);
    const int buckets = different(bucket, MANY), counts = different(r[0].tokens, MANY);
    if (counts < 2 * buckets) fail_msg("only %d numbers of tokens in %d buckets", counts, buckets);
    assert_int_equal(replayed, MANY - buckets);
    assert_in_range(recorded, 1, buckets);
}

#if !defined(__SANITIZE_ADDRESS__)
/* Rows of pairs, hidden words and hidden patches: each number is another in each step. */
static void steps_of_pairs_are_replayed(void **state)
{
    static const struct {
        const char *what;
        cuda_flag flags[16];
    } list[] = {
        {"hidden words and patches",
         {REPLAYED,
          {"batch", "4"},
          {"model.fusion.layers", "1"},
          {"model.vision.patch_dropout", "0"},
          {"itm-negatives", "random"},
          {"loss.itm", "1"},
          {"model.fusion.kind", "mmt"},
          {"loss.mlm", "1"},
          {"loss.mim", "1"}}},
        {"experts",
         {REPLAYED,
          {"batch", "4"},
          {"model.fusion.layers", "2"},
          {"model.vision.patch_dropout", "0"},
          {"itm-negatives", "random"},
          {"loss.itm", "1"},
          {"model.fusion.kind", "experts"},
          {"model.fusion.pair_layers", "1"},
          {"loss.mlm", "1"}}},
    };
    cuda_record r[WAYS];
    int64_t recorded, replayed;
    (void)state;
    for (size_t i = 0; i < emulated_some(sizeof list / sizeof *list, 1); i++) {
        three_ways(list[i].flags, r, &recorded, &replayed);
        cuda_losses_agree(&r[LAUNCHED], &r[PROCESSOR], 1e-4, list[i].what);
        if (replayed < MANY / 4 || recorded > MANY - replayed)
            fail_msg("%s: %d of %d steps replayed, %d recordings", list[i].what, (int)replayed, MANY,
                     (int)recorded);
    }
}
#endif

/* ---- augmentation ---- */

/* What the loader draws is done by the device, in one launch for each upload of pictures. */
typedef struct augmented {
    const char *what;
    int launches; /* a step */
    cuda_flag flags[19];
} augmented;

static void beside_the_processor(const augmented *a, int order)
{
    cuda_flag flags[20] = {{"device", "cpu"}};
    memcpy(flags + 1, a->flags, sizeof a->flags);
    const cuda_record cpu = cuda_must_train(flags);
    flags[0].value = "cuda";
    const int64_t before = emulated_launches("augment_pixels");
    emulated_order(order);
    const cuda_record gpu = cuda_must_train(flags);
    emulated_order(0);
    cuda_losses_agree(&gpu, &cpu, 1e-5, a->what);
    assert_int_equal(emulated_launches("augment_pixels") - before, STEPS * a->launches);
}

static void augmented_pictures(void **state)
{
    static const augmented whole = {"augmented", 1, {AUGMENTED}};
    static const augmented odd = {
        "augmented, sides of no whole words",
        1,
        {AUGMENTED, {"model.vision.image_size", "[20, 30]"}, {"model.vision.patch_size", "10"}}};
    (void)state;
    beside_the_processor(&whole, 3);
    beside_the_processor(&odd, 2);
}

#if !defined(__SANITIZE_ADDRESS__)
static void augmented_chunks(void **state)
{
    static const augmented taught = {
        "augmented, chunks of three, taught", 9, {AUGMENTED, {"chunk", "3"}, {"distill", "0.4"}}};
    (void)state;
    beside_the_processor(&taught, 1);
}

/* Towers run first for hard negatives. Patches are hidden by the host, in finished pictures: the loader's. */
static void augmented_pairs(void **state)
{
    static const augmented hard =
                               {"augmented, pairs with hard negatives",
                                2,
                                {SMALL, {"itm-negatives", "hard"}, {"model.fusion.kind", "late"}, AUGMENTED}},
                           hidden = {"augmented, hidden patches",
                                     0,
                                     {SMALL, {"loss.mim", "1"}, {"model.fusion.kind", "mmt"}, AUGMENTED}};
    (void)state;
    beside_the_processor(&hard, 3);
    beside_the_processor(&hidden, 1);
}
#endif

/* What of pictures is still to be done has its place in the bill, in both turns. */
static void the_bill_has_what_was_drawn(void **state)
{
    static const cuda_flag plain[] = {{"device", "cuda"}, {NULL, NULL}};
    static const cuda_flag drawn[] = {{"device", "cuda"}, AUGMENTED, {NULL, NULL}};
    int64_t need[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        kin_ctx cx = {0};
        kin_config c;
        kin_trainer t;
        kin_foreseen f;
        cuda_configure(&cx, &c, i ? drawn : plain);
        if (kin_trainer_open(&cx, &t, &c) != KIN_OK) fail_msg("%s", cx.message);
        t.programs.planning = true;
        assert_int_equal(kin_foresee(&cx, &t, &f), KIN_OK);
        need[i] = kin_programs_need(&t.programs);
        free(f.lengths);
        kin_trainer_close(&t);
        kin_config_free(&c);
    }
    assert_int_equal(need[1] - need[0],
                     2 * 16 * (int64_t)sizeof(kin_augmentation)); /* as many as eval-batch */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_steps_have_the_same_bits),
        cmocka_unit_test(ragged_steps_are_replayed),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(steps_of_pairs_are_replayed),
#endif
        cmocka_unit_test(augmented_pictures),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(augmented_chunks),
        cmocka_unit_test(augmented_pairs),
#endif
        cmocka_unit_test(the_bill_has_what_was_drawn),
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, cuda_setup, remove_scratch);
}
