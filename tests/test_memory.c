/* memory: the plan's arenas are those of the run, to the byte; after the first step of each bucket core, nn,
 * kernels and train allocate nothing, log lines included (what jansson and stdio take for a line and give
 * back is theirs); resident memory stays. Linked with malloc, calloc, realloc, mmap and munmap wrapped.
 * tests/plan_check.sh compares what is planned with a large real run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/rng.h"
#include "data/scenes.h"
#include "train/plan.h"
#include "train/watch.h"

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 }; /* its quarantine grows */
#else
enum { SANITIZED = 0 };
#endif

/* ---- what is allocated ------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);

static _Thread_local int64_t calls; /* by this thread: the loader's threads are of another floor */

typedef struct mapping {
    void *at;
    size_t size;
} mapping;
enum { MAPPINGS = 256 };
static mapping live[MAPPINGS]; /* arenas that are there */

void *__wrap_malloc(size_t size)
{
    calls++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    calls++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    calls++;
    return __real_realloc(old, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *p = __real_mmap(at, size, protection, flags, fd, offset);
    calls++;
    for (int i = 0; i < MAPPINGS && (flags & MAP_ANONYMOUS) && p != MAP_FAILED; i++)
        if (!live[i].at) {
            live[i] = (mapping){p, size};
            break;
        }
    return p;
}

int __wrap_munmap(void *at, size_t size)
{
    for (int i = 0; i < MAPPINGS; i++)
        if (live[i].at == at && live[i].size == size) live[i] = (mapping){0};
    return __real_munmap(at, size);
}

static int64_t mapped_at(const void *p)
{
    for (int i = 0; i < MAPPINGS; i++)
        if (p && live[i].at == p) return (int64_t)live[i].size;
    return 0;
}

/* ---- a run on scenes --------------------------------------------------------------------------- */

static char folder[64], program[512];

static const char model_json[] =
    "{\"embed_dim\": 16,"
    " \"vision_cfg\": {\"image_size\": 32, \"layers\": 2, \"width\": 32, \"head_width\": 16, \"patch_size\": "
    "8},"
    " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 560, \"width\": 32, \"heads\": 2, \"layers\": "
    "2},"
    " \"kin_cfg\": {\"text\": {\"dropout\": 0.1}, \"vision\": {\"drop_path\": 0.2}}}";

/* Writes the options to FOLDER/run.cfg, too. */
static void config(kin_config *c, const char *lines)
{
    kin_ctx cx = {0};
    char text[2000], path[160];
    snprintf(text, sizeof text,
             "model = %s/model.json\ntrain-data = %s/train\nval-data = %s/val\nout = %s/run\nthreads = 2\n%s",
             folder, folder, folder, folder, lines);
    snprintf(path, sizeof path, "%s/run.cfg", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(kin_config_init(&cx, c), KIN_OK);
    if (kin_config_parse(&cx, c, "options", text, (int64_t)strlen(text)) != KIN_OK)
        fail_msg("%s", cx.message);
}

static void open_trainer(kin_trainer *t, kin_config *c, const char *lines)
{
    kin_ctx cx = {0};
    config(c, lines);
    if (kin_trainer_open(&cx, t, c) != KIN_OK) fail_msg("%s", cx.message);
}

static void close_trainer(kin_trainer *t, kin_config *c)
{
    kin_trainer_close(t);
    kin_config_free(c);
}

/* The number behind `name` in what `kin plan` prints of FOLDER/run.cfg. */
static long long printed(const char *name)
{
    char command[700], line[300];
    long long value = -1;
    snprintf(command, sizeof command, "%s plan --config %s/run.cfg 2>&1", program, folder);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    while (fgets(line, sizeof line, p)) {
        const char *at = strstr(line, name);
        if (at) value = atoll(line);
    }
    assert_int_equal(pclose(p), 0);
    return value;
}

static const char *const runs[] = {
    "batch = 16\nsteps = 40\nseed = 4\nlog-every = 5\n",
    "batch = 16\nsteps = 40\nseed = 4\nlog-every = 5\nchunk = 3\nnegatives = 2\nema = 0.9\n",
    "batch = 16\nsteps = 40\nseed = 4\nlog-every = 5\nrecompute = true\nfreeze = visual.*\neval-batch = 40\n",
};

static void arenas_are_as_planned(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        kin_ctx cx = {0};
        kin_config c;
        kin_trainer t;
        kin_plan plan;
        open_trainer(&t, &c, runs[i]);
        if (kin_plan_make(&cx, &t, NULL, &plan) != KIN_OK) fail_msg("%s", cx.message);
        assert_true(plan.foreseen == 40 && plan.flops > 0.0 && plan.seconds > 0.0);
        close_trainer(&t, &c);
        open_trainer(&t, &c, runs[i]);
        assert_int_equal(printed(" bytes of arenas"), plan.param + plan.act + plan.scratch);
        if (kin_trainer_run(&cx, &t, NULL) != KIN_OK) fail_msg("%s", cx.message);
        assert_int_equal(t.programs.count, plan.programs);
        assert_int_equal(mapped_at(t.model->params->arena), plan.param);
        assert_int_equal(mapped_at(t.programs.act), plan.act);
        assert_int_equal(mapped_at(t.programs.scratch), plan.scratch);
        close_trainer(&t, &c);
    }
    for (int i = 0; i < MAPPINGS; i++) assert_null(live[i].at);
}

/* Steps at a learning rate of 0 change no weight. */
static void planning_changes_no_weight(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    kin_plan plan;
    open_trainer(&t, &c, runs[0]);
    const int64_t n = t.model->params->flat[KIN_GROUP_DECAY].count * (int64_t)sizeof(float);
    float *before = __real_malloc((size_t)n);
    memcpy(before, t.model->params->flat[KIN_GROUP_DECAY].value, (size_t)n);
    assert_int_equal(kin_plan_make(&cx, &t, NULL, &plan), KIN_OK);
    assert_memory_equal(before, t.model->params->flat[KIN_GROUP_DECAY].value, (size_t)n);
    free(before);
    close_trainer(&t, &c);
}

/* ---- nothing is allocated after the first step of each bucket ------------------------------------ */

enum { BATCH = 12, LENGTHS = 5, TEXTS = 2 * BATCH };

/* Synthetic batches in five sizes. */
typedef struct batches {
    uint8_t images[BATCH * 32 * 32 * 3];
    int32_t ids[TEXTS * 32], off[TEXTS + 1];
    uint64_t digest[BATCH];
} batches;

static kin_pairs batch_of(batches *b, int64_t i)
{
    const int64_t n = i % 3 == 2 ? BATCH - 1 : BATCH, texts = i % 2 ? n : n + 5;
    for (int64_t k = 0; k < texts; k++)
        b->off[k + 1] = b->off[k] + 2 + (int32_t)((k + 5 * i) % (6 * LENGTHS));
    for (int64_t k = 0; k < b->off[texts]; k++) b->ids[k] = (int32_t)((k * 31 + i) % 500);
    for (size_t k = 0; k < sizeof b->images; k++) b->images[k] = (uint8_t)(k * 7 + k / 11 + (size_t)i);
    return (kin_pairs){.n = n, .texts = texts, .images = b->images, .ids = b->ids, .off = b->off};
}

static void steps(kin_trainer *t, batches *b, int64_t count)
{
    kin_ctx cx = {0};
    double loss, norm;
    int64_t captions, pictures;
    kin_spread spread;
    for (int64_t i = 0; i < count; i++) {
        const kin_pairs p = batch_of(b, i % 30);
        kin_stepper_run(&cx, &t->stepper, &p, (uint64_t)i, &loss);
        kin_optim_update(&cx, &t->optim, 1e-4, &norm);
        kin_stepper_spread(&cx, &t->stepper, &p, &spread);
        kin_count_duplicates(&p, 32 * 32 * 3, b->digest, &captions, &pictures);
    }
    if (cx.status != KIN_OK) fail_msg("%s", cx.message);
}

static const char *const kinds[] = {
    "batch = 12\nsteps = 9\nnegatives = 1\n",
    "batch = 12\nsteps = 9\nnegatives = 1\nchunk = 5\nema = 0.9\n",
    "batch = 12\nsteps = 9\nnegatives = 1\nrecompute = true\nloss = siglip\n",
    "batch = 12\nsteps = 9\nnegatives = 1\nchunk = 4\nfreeze = visual.*\npatch-drop = 0.5\n",
};

static void steps_allocate_nothing(void **state)
{
    (void)state;
    static batches b;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        kin_config c;
        kin_trainer t;
        open_trainer(&t, &c, kinds[i]);
        calls = 0;
        steps(&t, &b, 30);
        assert_true(calls > 0); /* the programs: the count counts */
        const int programs = t.programs.count;
        calls = 0;
        steps(&t, &b, 60);
        assert_int_equal(t.programs.count, programs);
        if (calls != 0) fail_msg("60 steps of kind %d made %lld allocations", (int)i, (long long)calls);
        close_trainer(&t, &c);
    }
}

/* Resident bytes now and then in 1,000 steps. */
static void memory_is_flat(void **state)
{
    (void)state;
    static batches b;
    if (SANITIZED) skip();
    for (size_t i = 0; i < 2; i++) {
        kin_config c;
        kin_trainer t;
        open_trainer(&t, &c, kinds[i]);
        kin_ctx cx = {0};
        kin_batch first;
        assert_int_equal(kin_loader_next(&cx, t.loader, &first), KIN_OK); /* its threads now wait */
        steps(&t, &b, 100);
        usleep(200000);
        const int64_t before = kin_resident();
        steps(&t, &b, 1000);
        const int64_t more = kin_resident() - before;
        if (more > 64 << 10) fail_msg("1,000 steps of kind %d: %lld bytes more", (int)i, (long long)more);
        close_trainer(&t, &c);
    }
}

/* ---- the loop ------------------------------------------------------------------------------------ */

typedef struct seen {
    kin_trainer *t;
    int64_t calls, unexplained, lines, early, late;
    int programs;
} seen;

static void on_progress(void *user, const kin_progress *p)
{
    seen *s = user;
    if (p->step > 1 && s->programs == s->t->programs.count) s->unexplained += calls - s->calls;
    s->programs = s->t->programs.count;
    s->lines++;
    if (p->step <= 400) s->early = kin_max64(s->early, kin_resident());
    s->late = kin_max64(s->late, kin_resident());
    s->calls = calls;
}

/* With log lines and the loader. Its threads decode, and give back what they take. */
static void whole_runs_are_flat(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_config c;
    kin_trainer t;
    open_trainer(&t, &c, "batch = 4\nsteps = 1000\nlog-every = 2\n");
    seen s = {.t = &t};
    const kin_observer o = {.user = &s, .progress = on_progress};
    if (kin_trainer_run(&cx, &t, &o) != KIN_OK) fail_msg("%s", cx.message);
    assert_int_equal(s.lines, 501);
    if (s.unexplained) fail_msg("the loop made %lld allocations", (long long)s.unexplained);
    if (!SANITIZED && s.late - s.early > 1 << 20)
        fail_msg("resident memory grew by %lld bytes after 400 steps", (long long)(s.late - s.early));
    close_trainer(&t, &c);
}

static int make_data(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    char path[160];
    snprintf(folder, sizeof folder, "/tmp/kin-test-memory-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/model.json", folder);
    FILE *f = fopen(path, "w");
    if (!f || fputs(model_json, f) < 0 || fclose(f) != 0) return -1;
    snprintf(path, sizeof path, "%s/train", folder);
    kin_scenes_cfg s = {.out = path, .count = 100, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &s) != KIN_OK) return -1;
    snprintf(path, sizeof path, "%s/val", folder);
    s = (kin_scenes_cfg){.out = path, .count = 40, .seed = 2, .size = 32, .split = "val"};
    return kin_scenes_write(&cx, &s) == KIN_OK ? 0 : -1;
}

static int remove_data(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    (void)argc;
    char *end = strstr(argv[0], "tests/test_memory");
    snprintf(program, sizeof program, "%.*skin", end ? (int)(end - argv[0]) : 0, argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arenas_are_as_planned),  cmocka_unit_test(planning_changes_no_weight),
        cmocka_unit_test(steps_allocate_nothing), cmocka_unit_test(memory_is_flat),
        cmocka_unit_test(whole_runs_are_flat),
    };
    return cmocka_run_group_tests_name("memory", tests, make_data, remove_data);
}
