/* Whole steps of a two-tower model on the emulated GPU against the processor, by the `device` option; what is
 * said when there is no GPU or no plug-in for this kin. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "data/scenes.h"
#include "tests/emulated.h"
#include "train/judge_fused.h"
#include "train/memory.h"
#include "train/trainer.h"

enum { STEPS = 5, MANY = 20 };
#if defined(__SANITIZE_ADDRESS__) /* ten times as slow */
enum { LOSSES = 2 };
#else
enum { LOSSES = 5 };
#endif
static char folder[64];

/* All that may be done to pictures. */
#define AUGMENTED                                                                                            \
    {"crop-min", "0.5"}, {"flip", "0.5"}, {"jitter", "0.5"}, {"grey", "0.3"},                                \
    {                                                                                                        \
        "erase", "0.5"                                                                                       \
    }

/* With everything random that there is: dropout, stochastic depth, dropped patches. */
static const char model_json[] =
    "{\"embed_dim\": 16,"
    " \"vision_cfg\": {\"image_size\": 32, \"layers\": 2, \"width\": 32, \"head_width\": 16, \"patch_size\": "
    "8,"
    "  \"patch_dropout\": 0.25},"
    " \"text_cfg\": {\"context_length\": 24, \"vocab_size\": 560, \"width\": 32, \"heads\": 2, \"layers\": "
    "2},"
    " \"kin_cfg\": {\"text\": {\"dropout\": 0.1}, \"vision\": {\"drop_path\": 0.2}}}";
static const char options[] = "batch = 8\nlr = 2e-3\nsteps = 5\nlog-every = 1\nema = 0.9\nnegatives = 1\n"
                              "eval-every = 5\neval-batch = 16\nseed = 3\n";

typedef struct record {
    double loss[MANY], norm[MANY], flops[MANY], recall;
    int64_t tokens[MANY];
    int steps;
} record;

static void on_progress(void *user, const kin_progress *p)
{
    record *r = user;
    assert_in_range(p->step, 1, MANY);
    r->loss[p->step - 1] = p->loss;
    r->norm[p->step - 1] = p->norm;
    r->flops[p->step - 1] = p->flops;
    r->tokens[p->step - 1] = p->tokens;
    r->steps++;
}

static void on_evaluated(void *user, int64_t step, const json_t *metrics, bool best)
{
    record *r = user;
    (void)step;
    (void)best;
    r->recall = json_number_value(json_object_get(metrics, "mean_recall"));
}

typedef struct flag {
    const char *key, *value;
} flag;

/* flags end with a NULL key. */
static void configure(kin_ctx *cx, kin_config *c, const flag *flags)
{
    static const char *const names[][2] = {
        {"model", "model.json"}, {"train-data", "train"}, {"val-data", "val"}, {"out", "run"}};
    char path[160];
    assert_int_equal(kin_config_init(cx, c), KIN_OK);
    assert_int_equal(kin_config_parse(cx, c, "options", options, (int64_t)strlen(options)), KIN_OK);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i][1]);
        kin_config_set(cx, c, names[i][0], path);
    }
    for (; flags->key; flags++) kin_config_set(cx, c, flags->key, flags->value);
    assert_int_equal(cx->status, KIN_OK);
}

static kin_status train(const flag *flags, record *r, kin_ctx *cx)
{
    kin_config c;
    kin_trainer t;
    const kin_observer o = {.user = r, .progress = on_progress, .evaluated = on_evaluated};
    *r = (record){0};
    configure(cx, &c, flags);
    if (kin_trainer_open(cx, &t, &c) == KIN_OK) kin_trainer_run(cx, &t, &o);
    kin_trainer_close(&t);
    kin_config_free(&c);
    return cx->status;
}

static record must_train(const flag *flags)
{
    kin_ctx cx = {0};
    record r;
    if (train(flags, &r, &cx) != KIN_OK) fail_msg("%s", cx.message);
    assert_true(r.steps == STEPS || r.steps == MANY);
    return r;
}

/* Losses within `tol` of one another, norms of the gradients within ten times that. */
static void losses_agree(const record *a, const record *b, double tol, const char *what)
{
    assert_int_equal(a->steps, b->steps);
    for (int i = 0; i < a->steps; i++) {
        if (!(fabs(a->loss[i] - b->loss[i]) <= tol * fabs(b->loss[i])))
            fail_msg("%s, step %d: the loss is %.9g on the GPU, %.9g on the processor", what, i + 1,
                     a->loss[i], b->loss[i]);
        if (!(fabs(a->norm[i] - b->norm[i]) <= 10.0 * tol * b->norm[i]))
            fail_msg("%s, step %d: the gradient's norm is %.9g, not %.9g", what, i + 1, a->norm[i],
                     b->norm[i]);
        assert_true(a->flops[i] == b->flops[i]);
    }
}

static void losses_are_the_processors(void **state)
{
    static const struct {
        const char *what;
        flag flags[7];
    } list[] = {
        {"infonce", {{"loss", "infonce"}}},
        {"siglip, recomputed", {{"loss", "siglip"}, {"recompute", "true"}}},
        {"soft targets, chunks of three", {{"chunk", "3"}, {"distill", "0.4"}, {"ema", "0.75"}}},
        {"chunks of three, frozen text", {{"chunk", "3"}, {"freeze", "transformer.*"}}},
        {"batch statistics in a stem, chunks of four",
         {{"chunk", "4"},
          {"model.vision.stem", "[8, 8, 16]"},
          {"model.vision.stem_blocks", "[0, 1, 0]"},
          {"model.vision.stem_norm", "batch"}}},
    };
    (void)state;
    for (size_t i = 0; i < emulated_some(sizeof list / sizeof *list, LOSSES); i++) {
        flag flags[9] = {{"device", "cpu"}};
        memcpy(flags + 1, list[i].flags, sizeof list[i].flags);
        const record cpu = must_train(flags);
        flags[0].value = "cuda";
        emulated_order((int)i % EMULATED_ORDERS);
        const record gpu = must_train(flags);
        losses_agree(&gpu, &cpu, 1e-5, list[i].what);
        assert_true(fabs(gpu.recall - cpu.recall) < 0.05);
        assert_true(cpu.loss[STEPS - 1] != cpu.loss[0]);
    }
}

#if !defined(__SANITIZE_ADDRESS__) /* several times as slow: the same kernels again, compared by value */
/* Beside the processor: in f32 and in bf16, and once more in another order of threads. flags ends with a NULL
 * key. */
static void steps_beside(const char *what, const flag *flags, const char *steps, int order)
{
    flag all[20] = {{"device", "cpu"}, {"steps", steps}, {"eval-every", steps}, {"precision", "f32"}};
    for (int n = 4; flags->key; flags++) all[n++] = *flags;
    record cpu = must_train(all);
    all[0].value = "cuda";
    emulated_order(order % EMULATED_ORDERS);
    record gpu = must_train(all);
    losses_agree(&gpu, &cpu, 1e-4, what);
    all[3].value = "bf16";
    const record half = must_train(all);
    losses_agree(&half, &cpu, 2e-2, what);
    emulated_order((order + 1) % EMULATED_ORDERS);
    const record again = must_train(all);
    assert_memory_equal(&again, &half, sizeof again);
    gpu.steps = cpu.steps = STEPS;
    losses_agree(&gpu, &cpu, 1e-5, what);
    assert_true(half.loss[STEPS - 1] != cpu.loss[STEPS - 1] && cpu.loss[STEPS - 1] != cpu.loss[0]);
    emulated_order(0);
}

static void twenty_steps_of_two_towers(void **state)
{
    (void)state;
    steps_beside("two towers", (const flag[]){{NULL, NULL}}, "20", 1);
}

/* Small ones, whose false pairs are drawn at random: hard ones hang on the last bit of a similarity. */
#define SMALL                                                                                                \
    {"batch", "4"}, {"context", "12"}, {"model.vision.layers", "1"}, {"model.text.layers", "1"},             \
        {"model.fusion.layers", "1"}, {"model.vision.patch_dropout", "0"},                                   \
        {"model.vision.image_size", "16"}, {"itm-negatives", "random"},                                      \
    {                                                                                                        \
        "loss.itm", "1"                                                                                      \
    }

static void steps_of_fusions(void **state)
{
    static const struct {
        const char *what, *steps;
        flag flags[15];
    } list[] = {
        {"cross-attention: pairs, matching, hidden words",
         "20",
         {SMALL, {"model.fusion.kind", "xattn"}, {"loss.mlm", "1"}}},
        {"one transformer over both",
         "5",
         {SMALL, {"model.fusion.kind", "joint"}, {"loss.itc", "0"}, {"loss.mim", "1"}, {"val-data", ""}}},
        {"encoders and a fusion encoder: pairs, matching, hidden words and patches",
         "20",
         {SMALL, {"model.fusion.kind", "mmt"}, {"loss.mlm", "1"}, {"loss.mim", "1"}}},
        {"cross-attention behind gates",
         "5",
         {SMALL, {"model.fusion.kind", "xattn"}, {"model.fusion.gated", "true"}}},
        {"experts", "5", {SMALL, {"model.fusion.kind", "experts"}, {"model.fusion.pair_layers", "0"}}},
        {"gated embeddings", "5", {SMALL, {"model.fusion.kind", "late"}, {"model.fusion.combine", "gated"}}},
    };
    (void)state;
    for (size_t i = 0; i < emulated_some(sizeof list / sizeof *list, 2); i++)
        steps_beside(list[i].what, list[i].flags, list[i].steps, (int)i);
}

/* What a fusion answers before it has learned anything. */
enum { ASKED = 4, SIDE = 32 };
static void answers(const char *device, const char *precision, float out[2 * ASKED])
{
    static const char *const text[ASKED] = {"a red circle", "a blue square", "two stars", "green"};
    static uint8_t images[ASKED * SIDE * SIDE * 3];
    for (size_t i = 0; i < sizeof images; i++) images[i] = (uint8_t)(i * i / 7 % 251);
    const flag flags[] = {{"device", device},
                          {"precision", precision},
                          {"loss.itm", "1"},
                          {"model.fusion.kind", "late"},
                          {"model.fusion.combine", "bilinear"},
                          {NULL, NULL}};
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    kin_fused_judge judge;
    kin_judge j;
    const kin_judged asked = {.n = ASKED, .images = images, .text = text};
    configure(&cx, &c, flags);
    if (kin_trainer_open(&cx, &t, &c) != KIN_OK) fail_msg("%s", cx.message);
    if (kin_judge_of(&cx, &t.embedder, KIN_ITM, &judge, &j) != KIN_OK) fail_msg("%s", cx.message);
    assert_int_equal(j.width, 2);
    if (j.ask(&cx, j.self, &asked, out) != KIN_OK) fail_msg("%s", cx.message);
    kin_fused_judge_close(&judge);
    kin_trainer_close(&t);
    kin_config_free(&c);
}

/* Logits in bf16 are read as f32. */
static void answers_of_a_fusion(void **state)
{
    float cpu[2 * ASKED], gpu[2 * ASKED];
    (void)state;
    answers("cpu", "f32", cpu);
    answers("cuda", "bf16", gpu);
    for (int i = 0; i < 2 * ASKED; i++)
        if (!(fabs((double)gpu[i] - (double)cpu[i]) < 2e-2 * fabs((double)cpu[i]) + 2e-4))
            fail_msg("answer %d is %g on the GPU, %g on the processor", i, (double)gpu[i], (double)cpu[i]);
}
#endif

/* What the loader draws is done by the device, in one launch for each upload of pictures. */
typedef struct augmented {
    const char *what;
    int launches; /* a step */
    flag flags[19];
} augmented;

static void beside_the_processor(const augmented *a, int order)
{
    flag flags[20] = {{"device", "cpu"}};
    memcpy(flags + 1, a->flags, sizeof a->flags);
    const record cpu = must_train(flags);
    flags[0].value = "cuda";
    const int64_t before = emulated_launches("augment_pixels");
    emulated_order(order);
    const record gpu = must_train(flags);
    emulated_order(0);
    losses_agree(&gpu, &cpu, 1e-5, a->what);
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
    static const flag plain[] = {{"device", "cuda"}, {NULL, NULL}};
    static const flag drawn[] = {{"device", "cuda"}, AUGMENTED, {NULL, NULL}};
    int64_t need[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        kin_ctx cx = {0};
        kin_config c;
        kin_trainer t;
        kin_foreseen f;
        configure(&cx, &c, i ? drawn : plain);
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

static void bf16_is_for_gpus(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    record r;
    assert_int_not_equal(train((const flag[]){{"precision", "bf16"}, {NULL, NULL}}, &r, &cx), KIN_OK);
    assert_non_null(strstr(cx.message, "precision = bf16 is for device = cuda"));
}

#if !defined(__SANITIZE_ADDRESS__)
static void the_same_bits_in_every_order(void **state)
{
    static const char *const precision[] = {"f32", "bf16"};
    (void)state;
    for (int p = 0; p < 2; p++) {
        const flag flags[] = {{"device", "cuda"}, {"precision", precision[p]}, {NULL, NULL}};
        emulated_order(0);
        const record first = must_train(flags);
        for (int i = 0; i < 2 - p + 1; i++) { /* once more in the same, then in others */
            emulated_order(i);
            const record r = must_train(flags);
            assert_memory_equal(&r, &first, sizeof r);
        }
    }
    emulated_order(0);
}
#endif

/* Chunks of a batch come again with the same sizes: they are recorded and replayed, with new random numbers,
 * weights and inputs. The host runs ahead of the device, so turns of inputs follow each other closely. */
static void replayed_steps_have_the_same_bits(void **state)
{
    static const flag plain[] = {
        {"device", "cuda"}, {"chunk", "3"}, {"graphs", "false"}, AUGMENTED, {NULL, NULL}};
    static const flag replayed[] = {{"device", "cuda"}, {"chunk", "3"}, AUGMENTED, {NULL, NULL}};
    (void)state;
    emulated_order(0);
    const record want = must_train(plain);
    assert_int_equal(emulated_launches("cudaGraphLaunch"), 0);
    for (int i = 1; i < 3; i++) { /* everything late; copies as early as they may */
        const int64_t before = emulated_launches("cudaGraphLaunch");
        emulated_order(i);
        const record r = must_train(replayed);
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
static void three_ways(const flag *flags, record r[WAYS], int64_t *recorded, int64_t *replayed)
{
    for (int way = 0; way < WAYS; way++) {
        flag all[20] = {{"device", way == PROCESSOR ? "cpu" : "cuda"},
                        {"graphs", way == LAUNCHED ? "false" : "true"}};
        for (int n = 0; flags[n].key; n++) all[n + 2] = flags[n];
        *recorded = -emulated_launches("cudaGraphInstantiate");
        *replayed = -emulated_launches("cudaGraphLaunch");
        emulated_order(way); /* the last: copies overtake what they need not wait for */
        r[way] = must_train(all);
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
    static const flag flags[] = {REPLAYED, {"model.text.layers", "2"}, {NULL, NULL}};
    enum { TEXTS = 8, CONTEXT = 24 };
    record r[WAYS];
    int64_t recorded, replayed, bucket[MANY];
    (void)state;
    three_ways(flags, r, &recorded, &replayed);
    losses_agree(&r[LAUNCHED], &r[PROCESSOR], 1e-4, "ragged captions");
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
        flag flags[16];
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
    record r[WAYS];
    int64_t recorded, replayed;
    (void)state;
    for (size_t i = 0; i < emulated_some(sizeof list / sizeof *list, 1); i++) {
        three_ways(list[i].flags, r, &recorded, &replayed);
        losses_agree(&r[LAUNCHED], &r[PROCESSOR], 1e-4, list[i].what);
        if (replayed < MANY / 4 || recorded > MANY - replayed)
            fail_msg("%s: %d of %d steps replayed, %d recordings", list[i].what, (int)replayed, MANY,
                     (int)recorded);
    }
}
#endif

static void must_fail(const char *what)
{
    static const flag flags[] = {{"device", "cuda"}, {NULL, NULL}};
    kin_ctx cx = {0};
    record r;
    assert_int_not_equal(train(flags, &r, &cx), KIN_OK);
    if (!strstr(cx.message, what)) fail_msg("'%s' is not in: %s", what, cx.message);
}

static void without_a_gpu_one_sentence(void **state)
{
    (void)state;
    char *folder_of = strdup(getenv("KIN_PLUGINS")), other[4400];
    setenv("CUEMU_NO_DEVICE", "1", 1);
    must_fail("there is no NVIDIA GPU that can be used here");
    unsetenv("CUEMU_NO_DEVICE");
    setenv("KIN_PLUGINS", "/nowhere", 1);
    must_fail("libkin_cuda.so was not found (looked for /nowhere/libkin_cuda.so first)");
    snprintf(other, sizeof other, "%s/other", folder_of);
    setenv("KIN_PLUGINS", other, 1);
    must_fail("(plug-in 'other') was made for another kin");
    setenv("KIN_PLUGINS", folder_of, 1);
    free(folder_of);
}

static void too_little_memory_says_what_helps(void **state)
{
    (void)state;
    emulated_memory(400 << 10);
    must_fail("out of memory");
    emulated_memory(0);
}

/* The bill is known before the first step. */
static char bill[400];
static void keep_bill(void *user, kin_level level, const char *message)
{
    (void)user;
    (void)level;
    if (strncmp(message, "memory of ", 10) == 0) snprintf(bill, sizeof bill, "%s", message);
}

/* With less than a batch needs: what is said to fit then does. */
static void a_chunk_that_fits_is_named(void **state)
{
    static const flag whole[] = {{"device", "cuda"}, {"eval-batch", "2"}, {NULL, NULL}};
    enum { PLENTY = 64 };
    kin_ctx first = {.log = keep_bill}, cx = {0};
    double weights, act, scratch, rest, left;
    record r;
    (void)state;
    emulated_memory((int64_t)PLENTY << 20);
    *bill = 0;
    assert_int_equal(train(whole, &r, &first), KIN_OK);
    assert_int_equal(
        sscanf(strstr(bill, "): ") ? strstr(bill, "): ") + 3 : "",
               "%lf MiB weights, gradients and moments, %lf activations, %lf scratch, %lf inputs and "
               "embeddings; %lf are left",
               &weights, &act, &scratch, &rest, &left),
        5);
    assert_true(act > 0.2 && left > 0.0 && weights + act + scratch + rest + left < PLENTY + 0.3);
    emulated_memory((int64_t)(((double)PLENTY - left - 0.3 * act) * 1048576.0));
    train(whole, &r, &cx);
    const char *chunk = strstr(cx.message, "--chunk ");
    if (!strstr(cx.message, "out of memory: a batch of 8 needs ") || !chunk) fail_msg("%s", cx.message);
    assert_int_equal(r.steps, 0);
    const flag chunked[] = {
        {"device", "cuda"}, {"eval-batch", "2"}, {"chunk", (char[]){chunk[8], 0}}, {NULL, NULL}};
    kin_ctx again = {0};
    if (train(chunked, &r, &again) != KIN_OK) fail_msg("%s", again.message);
    assert_int_equal(r.steps, STEPS);
    emulated_memory(0);
}

static int setup(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    char path[160];
    strcpy(folder, "/tmp/kin-test-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/train", folder);
    kin_scenes_cfg c = {.out = path, .count = 48, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    snprintf(path, sizeof path, "%s/val", folder);
    c = (kin_scenes_cfg){.out = path, .count = 20, .seed = 2, .size = 32, .split = "val"};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    snprintf(path, sizeof path, "%s/model.json", folder);
    FILE *f = fopen(path, "w");
    if (!f || fputs(model_json, f) < 0 || fclose(f) != 0) return -1;
    kin_backend *b = emulated_open(&cx); /* sets where plug-ins are looked for */
    kin_backend_close(b);
    return b ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replayed_steps_have_the_same_bits),
        cmocka_unit_test(ragged_steps_are_replayed),
        cmocka_unit_test(losses_are_the_processors),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(steps_of_pairs_are_replayed),
        cmocka_unit_test(the_same_bits_in_every_order),
        cmocka_unit_test(twenty_steps_of_two_towers),
        cmocka_unit_test(steps_of_fusions),
        cmocka_unit_test(answers_of_a_fusion),
#endif
        cmocka_unit_test(augmented_pictures),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(augmented_chunks),
        cmocka_unit_test(augmented_pairs),
#endif
        cmocka_unit_test(the_bill_has_what_was_drawn),
        cmocka_unit_test(bf16_is_for_gpus),
        cmocka_unit_test(without_a_gpu_one_sentence),
        cmocka_unit_test(too_little_memory_says_what_helps),
        cmocka_unit_test(a_chunk_that_fits_is_named),
    };
    if (argc == 2) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
