/* train: whole runs on scenes: resumed anywhere, at any number of threads and stopped by a signal, the same
 * bits; what a run writes; what it refuses. */
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
#include "core/safetensors.h"
#include "data/scenes.h"
#include "train/evaluate.h"
#include "train/session.h"
#include "train/trainer.h"

static char folder[64];

static const char model_json[] =
    "{\"embed_dim\": 16,"
    " \"vision_cfg\": {\"image_size\": 32, \"layers\": 2, \"width\": 32, \"head_width\": 16, \"patch_size\": "
    "8,"
    "  \"patch_dropout\": 0.25},"
    " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 560, \"width\": 32, \"heads\": 2, \"layers\": "
    "2},"
    " \"kin_cfg\": {\"text\": {\"dropout\": 0.1}, \"vision\": {\"drop_path\": 0.2}}}";

static const char stem_json[] =
    "{\"embed_dim\": 16,"
    " \"vision_cfg\": {\"image_size\": 32, \"layers\": 0, \"width\": 16, \"head_width\": 16, \"patch_size\": "
    "8, "
    "\"pool_type\": \"avg\"},"
    " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 560, \"width\": 32, \"heads\": 2, \"layers\": "
    "1},"
    " \"kin_cfg\": {\"vision\": {\"class_token\": false, \"stem\": [8, 8, 16], \"stem_blocks\": [0, 1, 0], "
    "\"stem_norm\": \"batch\"}}}";

static const char options[] = "batch = 16\nlr = 1e-3\nsteps = 12\nlog-every = 1\nema = 0.9\nnegatives = 1\n"
                              "crop-min = 0.7\neval-every = 4\nseed = 3\n";

typedef struct flag {
    const char *key, *value;
} flag;

static void make_config(kin_config *c, const char *out, const flag *flags)
{
    kin_ctx cx = {0};
    char path[160];
    assert_int_equal(kin_config_init(&cx, c), KIN_OK);
    assert_int_equal(kin_config_parse(&cx, c, "options", options, (int64_t)strlen(options)), KIN_OK);
    snprintf(path, sizeof path, "%s/model.json", folder);
    kin_config_set(&cx, c, "model", path);
    snprintf(path, sizeof path, "%s/train", folder);
    kin_config_set(&cx, c, "train-data", path);
    snprintf(path, sizeof path, "%s/val", folder);
    kin_config_set(&cx, c, "val-data", path);
    snprintf(path, sizeof path, "%s/%s", folder, out);
    kin_config_set(&cx, c, "out", path);
    for (; flags && flags->key; flags++) kin_config_set(&cx, c, flags->key, flags->value);
    assert_int_equal(cx.status, KIN_OK);
}

static const char *in_folder(const char *name)
{
    static char path[4][160];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

/* What the observer saw. */
typedef struct seen {
    int64_t steps, evaluations, best;
    kin_progress last;
    volatile sig_atomic_t stop;
    int64_t stop_at;
} seen;

static void on_progress(void *user, const kin_progress *p)
{
    seen *s = user;
    s->steps++;
    s->last = *p;
    if (s->stop_at == p->step) s->stop = 1;
}

static void on_evaluated(void *user, int64_t step, const json_t *metrics, bool best)
{
    seen *s = user;
    (void)step;
    s->evaluations++;
    s->best += best;
    assert_true(json_is_number(json_object_get(metrics, "image_retrieval_recall@1")));
    assert_true(json_is_number(json_object_get(metrics, "swap_relation_accuracy")));
}

static kin_status run(const char *out, const flag *flags, seen *s, char *message)
{
    seen mine = {0};
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    if (!s) s = &mine;
    const kin_observer o = {.user = s, .progress = on_progress, .evaluated = on_evaluated, .stop = &s->stop};
    make_config(&c, out, flags);
    if (kin_trainer_open(&cx, &t, &c) == KIN_OK) kin_trainer_run(&cx, &t, &o);
    kin_trainer_close(&t);
    kin_config_free(&c);
    if (message) snprintf(message, sizeof cx.message, "%s", cx.message);
    return cx.status;
}

static uint64_t hash_of(const char *name)
{
    kin_ctx cx = {0};
    uint64_t h;
    assert_int_equal(kin_checkpoint_hash(&cx, in_folder(name), &h), KIN_OK);
    return h;
}

static void runs(const char *out, const flag *flags)
{
    char message[1024];
    if (run(out, flags, NULL, message) != KIN_OK) fail_msg("%s", message);
}

/* metrics.jsonl without what depends on the clock. */
static char *curve(const char *name)
{
    kin_ctx cx = {0};
    uint8_t *text;
    int64_t size;
    assert_int_equal(kin_read_file(&cx, in_folder(name), 1 << 20, &text, &size), KIN_OK);
    char *out = calloc(1, 4 * (size_t)size + 1); /* numbers may become longer */
    for (char *save, *line = strtok_r((char *)text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *j = kin_json_parse(&cx, "line", line, strlen(line));
        assert_non_null(j);
        json_object_del(j, "pairs_per_s");
        json_object_del(j, "data_share");
        char *clean = kin_json_text(j, JSON_COMPACT);
        strcat(strcat(out, clean), "\n");
        free(clean);
        json_decref(j);
    }
    free(text);
    return out;
}

static void test_same_bits(void **state)
{
    (void)state;
    runs("straight", NULL);
    const uint64_t want = hash_of("straight/last"), want_best = hash_of("straight/best");
    char *lines = curve("straight/metrics.jsonl");

    runs("again", (const flag[]){{"threads", "1"}, {"loader-threads", "3"}, {"ahead", "1"}, {NULL, NULL}});
    assert_true(hash_of("again/last") == want); /* twice, and at another number of threads */

    /* Stopped at 5 (between an evaluation and the next), resumed, stopped again by a signal, resumed. */
    runs("parts", (const flag[]){{"stop-at", "5"}, {NULL, NULL}});
    assert_true(hash_of("parts/last") != want);
    seen s = {.stop_at = 7};
    assert_int_equal(run("parts", (const flag[]){{"resume", in_folder("parts")}, {NULL, NULL}}, &s, NULL),
                     KIN_OK);
    assert_int_equal(s.last.step, 7);
    runs("parts", (const flag[]){{"resume", in_folder("parts")}, {NULL, NULL}});
    assert_true(hash_of("parts/last") == want);
    assert_true(hash_of("parts/best") == want_best);
    char *parts = curve("parts/metrics.jsonl");
    assert_string_equal(parts, lines);
    free(parts);

    /* A run that went on after its last checkpoint and was killed: lines beyond the checkpoint go. */
    runs("killed", (const flag[]){{"stop-at", "6"}, {NULL, NULL}});
    FILE *f = fopen(in_folder("killed/metrics.jsonl"), "a");
    fprintf(f, "{\"step\":7,\"loss\":1.0}\n{\"step\":8,\"lo");
    fclose(f);
    runs("killed", (const flag[]){{"resume", in_folder("killed")}, {NULL, NULL}});
    parts = curve("killed/metrics.jsonl");
    assert_string_equal(parts, lines);
    free(parts);
    free(lines);

    /* The chunks of GradCache and recompute change no bit of what is drawn, little of what is computed. */
    runs("recompute", (const flag[]){{"recompute", "true"}, {NULL, NULL}});
    assert_true(hash_of("recompute/last") == want);
}

/* Of the first norm of stem_json's tower. */
static void running_mean(const char *run, float mean[8])
{
    kin_ctx cx = {0};
    char name[64];
    snprintf(name, sizeof name, "%s/last/model.safetensors", run);
    kin_st *st = kin_st_open(&cx, in_folder(name));
    assert_non_null(st);
    const kin_st_entry *e = kin_st_find(st, "visual.stem.0.bn.running_mean");
    assert_non_null(e);
    assert_int_equal(kin_st_read_f32(&cx, e, mean, 8), KIN_OK);
    kin_st_close(st);
}

/* Statistics that follow the batches are part of a checkpoint; recomputation moves them no
 * second time. */
static void test_batch_norm(void **state)
{
    (void)state;
    const char *const model = in_folder("stem.json");
    kin_ctx cx = {0};
    assert_int_equal(kin_write_file(&cx, model, stem_json, (int64_t)strlen(stem_json)), KIN_OK);
    char *path = strdup(model);
    runs("bn", (const flag[]){{"model", path}, {NULL, NULL}});
    const uint64_t want = hash_of("bn/last");
    runs("bn parts", (const flag[]){{"model", path}, {"stop-at", "5"}, {NULL, NULL}});
    runs("bn parts", (const flag[]){{"model", path}, {"resume", in_folder("bn parts")}, {NULL, NULL}});
    assert_true(hash_of("bn parts/last") == want);
    runs("bn recompute", (const flag[]){{"model", path}, {"recompute", "true"}, {NULL, NULL}});
    assert_true(hash_of("bn recompute/last") == want);
    runs("bn frozen", (const flag[]){{"model", in_folder("bn/last")}, {"freeze", "visual.*"}, {NULL, NULL}});
    free(path);

    /* The frozen tower kept its statistics. */
    float was[8], is[8];
    running_mean("bn", was);
    running_mean("bn frozen", is);
    for (int i = 0; i < 8; i++) assert_true(was[i] != 0.0f);
    assert_memory_equal(was, is, sizeof was);
}

static void test_what_is_written(void **state)
{
    (void)state;
    seen s = {0};
    assert_int_equal(run("written", NULL, &s, NULL), KIN_OK);
    assert_int_equal(s.steps, 12);
    assert_int_equal(s.evaluations, 3);
    assert_in_range(s.best, 1, 3);
    assert_int_equal(s.last.step, 12);
    assert_true(s.last.flops > 0.0 && s.last.chance > 2.7 && isfinite(s.last.loss));
    static const char *const files[] = {"config.cfg",
                                        "metrics.jsonl",
                                        "last/model.safetensors",
                                        "last/open_clip_config.json",
                                        "last/vocab.json",
                                        "last/merges.txt",
                                        "last/preprocessor_config.json",
                                        "last/training.json",
                                        "last/training.safetensors",
                                        "best/model.safetensors",
                                        "best/vocab.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[64];
        snprintf(name, sizeof name, "written/%s", files[i]);
        if (access(in_folder(name), R_OK) != 0) fail_msg("%s is missing", name);
    }
    /* The options read back, without what belongs to one call. */
    kin_ctx cx = {0};
    kin_config c;
    kin_config_init(&cx, &c);
    assert_int_equal(kin_config_load(&cx, &c, in_folder("written/config.cfg")), KIN_OK);
    assert_int_equal(c.steps, 12);
    assert_false(kin_config_given(&c, "resume"));
    kin_config_free(&c);
}

/* A saved model embeds as it did in training; a file that is damaged is named. */
static void test_folder_loads(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_session s;
    runs("loads", NULL);
    assert_int_equal(kin_session_open(&cx, &s, in_folder("loads/best"), 2, 7), KIN_OK);
    kin_dataset *d = kin_dataset_open(&cx, in_folder("val"), NULL, false);
    json_t *metrics = kin_evaluate(&cx, &s.embedder, d, NULL);
    assert_non_null(metrics);
    uint8_t *text;
    int64_t size;
    assert_int_equal(kin_read_file(&cx, in_folder("loads/metrics.jsonl"), 1 << 20, &text, &size), KIN_OK);
    char want[80];
    json_t *state_of = kin_json_load(&cx, in_folder("loads/last/training.json"), 1 << 20);
    const double best = json_number_value(json_object_get(state_of, "best"));
    snprintf(want, sizeof want, "%.9g", best);
    assert_true(fabs(json_number_value(json_object_get(metrics, "mean_recall")) - best) < 1e-12);
    json_decref(state_of);
    json_decref(metrics);
    free(text);
    kin_dataset_close(d);
    kin_session_close(&s);

    FILE *f = fopen(in_folder("loads/last/training.safetensors"), "r+");
    fseek(f, -3, SEEK_END);
    const int byte = fgetc(f);
    fseek(f, -3, SEEK_END);
    fputc(byte ^ 1, f);
    fclose(f);
    char message[1024];
    assert_int_equal(
        run("loads", (const flag[]){{"resume", in_folder("loads")}, {NULL, NULL}}, NULL, message),
        KIN_FORMAT);
    assert_non_null(strstr(message, "training.safetensors is damaged"));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *says;
        kin_status status;
    } bad[] = {
        {"train-data", "", "train-data is not set", KIN_ARG},
        {"train-data", "/nowhere/x.tar", "there is no such file", KIN_IO},
        {"steps", "0", "neither steps nor epochs", KIN_ARG},
        {"batch", "4000", "as many different pictures", KIN_ARG},
        {"model", "ViT-Z-99", "no such name", KIN_ARG},
        {"freeze", "visual.*,tower.*", "no parameter is called 'tower.*'", KIN_ARG},
        {"loss", "triplet", "no use for captions without a picture", KIN_ARG},
        {"keep", "accuracy", "no such metric; it has ", KIN_ARG},
        {"vocab", "100", "byte-level BPE has 514", KIN_ARG},
        {"isa", "avx2", "", KIN_OK},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char message[1024];
        const kin_status rc =
            run("refused", (const flag[]){{bad[i].key, bad[i].value}, {NULL, NULL}}, NULL, message);
        const bool old =
            strcmp(bad[i].value, "avx2") == 0 && rc == KIN_UNSUPPORTED; /* this machine has none */
        if (!old && (rc != bad[i].status || !strstr(message, bad[i].says)))
            fail_msg("%s = %s: %s: %s", bad[i].key, bad[i].value, kin_status_name(rc), message);
    }
}

/* Losses and options that other tests do not train with. */
static void test_other_options(void **state)
{
    (void)state;
    static const flag lists[][6] = {
        {{"loss", "siglip"}, {"steps", "3"}, {NULL, NULL}},
        {{"loss", "triplet"}, {"negatives", "0"}, {"steps", "3"}, {NULL, NULL}},
        {{"chunk", "5"}, {"steps", "3"}, {"smoothing", "0.1"}, {"distill", "0.3"}, {NULL, NULL}},
        {{"freeze", "visual.*"}, {"steps", "3"}, {NULL, NULL}},
        {{"schedule", "constant"}, {"epochs", "0.05"}, {"steps", "0"}, {"val-data", ""}, {NULL, NULL}},
        {{"model.text.kind", "bag_of_words"},
         {"steps", "3"},
         {"flip", "0.5"},
         {"jitter", "0.4"},
         {NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        seen s = {0};
        char message[1024];
        if (run("other", lists[i], &s, message) != KIN_OK) fail_msg("options %d: %s", (int)i, message);
        assert_true(isfinite(s.last.loss) && s.last.loss > 0.0);
        assert_int_equal(access(in_folder("other/best/model.safetensors"), R_OK), 0);
    }
}

static int make_data(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-train-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    kin_ctx cx = {0};
    kin_scenes_cfg c = {.out = in_folder("train"), .count = 100, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    c = (kin_scenes_cfg){.out = in_folder("val"), .count = 40, .seed = 2, .size = 32, .split = "val"};
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
        cmocka_unit_test(test_same_bits),       cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_what_is_written), cmocka_unit_test(test_folder_loads),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_other_options),
    };
    return cmocka_run_group_tests_name("train", tests, make_data, remove_data);
}
