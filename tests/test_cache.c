/* cache: kept pictures are those that training would have decoded; a cache of other data or options, cut
 * short, damaged or without room is noticed. Pictures are scenes of 32 pixels in a shard, and files in a
 * folder. */
#include <setjmp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/loader.h"
#include "data/scenes.h"

enum { SCENES = 40, SMALL = 24 };

static char folder[64], shard[128], kept[128];
static kin_dataset *data;
static kin_tokenizer *tokenizer;

/* Everything that was said. */
static char said[4096];

static void hear(void *user, kin_level level, const char *message)
{
    (void)user, (void)level;
    const size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s\n", message);
}

static kin_ctx listening(void)
{
    said[0] = 0;
    return (kin_ctx){.log = hear};
}

static kin_cache_cfg config(const char *where, double crop_min)
{
    kin_preprocess p = kin_preprocess_default();
    p.height = p.width = SMALL;
    return (kin_cache_cfg){
        .data = data, .preprocess = p, .augment = {.crop_min = crop_min}, .where = where, .threads = 3};
}

/* Digest of six batches, through a cache or without. */
static uint64_t batches(const kin_cache_cfg *c, const kin_cache *cache)
{
    kin_ctx cx = {0};
    const kin_loader_cfg l = {.data = c->data,
                              .tokenizer = tokenizer,
                              .preprocess = c->preprocess,
                              .augment = {.crop_min = c->augment.crop_min, .flip = 0.5, .jitter = 0.3},
                              .cache = cache,
                              .batch = 8,
                              .context = 24,
                              .threads = 2,
                              .ahead = 2,
                              .seed = 3};
    kin_loader *loader = kin_loader_open(&cx, &l, NULL);
    if (!loader) fail_msg("%s", cx.message);
    uint64_t h = KIN_FNV;
    for (int i = 0; i < 6; i++) {
        kin_batch b;
        assert_int_equal(kin_loader_next(&cx, loader, &b), KIN_OK);
        h = kin_fnv(h, b.images, (size_t)(b.n * SMALL * SMALL * 3));
        h = kin_fnv(h, b.drawn, (size_t)b.n * sizeof *b.drawn);
    }
    kin_loader_close(loader);
    return h;
}

static kin_cache *opened(const kin_cache_cfg *c, const char *says)
{
    kin_ctx cx = listening();
    kin_cache *cache = kin_cache_open(&cx, c);
    if (!cache) fail_msg("%s", cx.message);
    if (!strstr(said, says)) fail_msg("'%s' does not say '%s'", said, says);
    return cache;
}

static int64_t files_in(const char *where)
{
    char command[200];
    long n = 0;
    snprintf(command, sizeof command, "ls %s | wc -l", where);
    FILE *f = popen(command, "r");
    assert_int_equal(fscanf(f, "%ld", &n), 1);
    pclose(f);
    return n;
}

static void test_same_bits(void **state)
{
    (void)state;
    /* Without random crops, and with crops of pictures that are smaller than what is kept. */
    static const double crops[] = {1.0, 0.3};
    for (size_t i = 0; i < 2; i++) {
        kin_cache_cfg c = config("memory", crops[i]);
        const uint64_t want = batches(&c, NULL);
        kin_cache *cache = opened(&c, "cache: 40 pictures decoded once");
        assert_true(batches(&c, cache) == want);
        assert_true(kin_cache_costs(cache).memory && kin_cache_costs(cache).ready);
        kin_cache_close(cache);
        c.where = kept;
        cache = opened(&c, "cache: made in ");
        assert_true(batches(&c, cache) == want);
        kin_cache_close(cache);
        cache = opened(&c, "made before");
        assert_null(strstr(said, "decoded once"));
        assert_true(batches(&c, cache) == want);
        kin_cache_close(cache);
    }
    assert_int_equal(files_in(kept), 2);
}

static void test_kept_size(void **state)
{
    (void)state;
    kin_cache_cfg c = config("memory", 0.3);
    int64_t w, h;
    kin_image image;
    c.side = 20; /* of 32 */
    kin_cache *cache = opened(&c, "shortest side 20 at most");
    for (int64_t i = 0; i < data->items; i++) {
        assert_true(kin_cache_get(cache, i, &image, &w, &h));
        assert_true(image.width == 20 && image.height == 20 && w == 32 && h == 32);
    }
    const uint64_t small = batches(&c, cache);
    kin_cache_close(cache);
    assert_true(small != batches(&c, NULL)); /* nearly, not quite the same pictures */
    c.side = 0;
    cache = opened(&c, "shortest side 44 at most"); /* 24 / sqrt(0.3) */
    assert_int_equal(kin_cache_costs(cache).side, 44);
    kin_cache_close(cache);
    c.look = true;
    cache = opened(&c, "");
    const kin_cache_cost cost = kin_cache_costs(cache);
    assert_true(!cost.ready && cost.bytes >= data->items * 32 * 32 * 3);
    assert_false(kin_cache_get(cache, 0, &image, &w, &h));
    kin_cache_close(cache);
}

static void damage(const char *path, long at, long cut)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    const int was = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(was ^ 0x40, f);
    fclose(f);
    if (cut >= 0) assert_int_equal(truncate(path, cut), 0);
}

static void test_damaged(void **state)
{
    (void)state;
    const kin_cache_cfg c = config(kept, 1.0);
    kin_cache *cache = opened(&c, "");
    const uint64_t want = batches(&c, cache);
    char path[256];
    snprintf(path, sizeof path, "%s", kin_cache_costs(cache).path);
    const int64_t bytes = kin_cache_costs(cache).bytes;
    kin_cache_close(cache);
    /* The header, its bytes, the index, the end. */
    const long at[] = {0, 9, 24, 33, 64 + 24 * 5, 64 + 24 * 39 + 8};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        damage(path, at[i], -1);
        cache = opened(&c, "is damaged or cut short: it is made again");
        assert_true(batches(&c, cache) == want);
        kin_cache_close(cache);
    }
    const long cut[] = {0, 1, 63, 64, 500, (long)bytes - 1};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        assert_int_equal(truncate(path, cut[i]), 0);
        cache = opened(&c, "is damaged or cut short: it is made again");
        assert_true(batches(&c, cache) == want);
        kin_cache_close(cache);
    }
}

/* Other options or other data: another file. */
static void test_stale(void **state)
{
    (void)state;
    kin_cache_cfg c = config(kept, 1.0);
    kin_cache_close(opened(&c, "made before"));
    c.preprocess.interpolation = KIN_BILINEAR;
    kin_cache_close(opened(&c, "cache: made in "));
    c.preprocess.interpolation = KIN_BICUBIC;
    c.preprocess.height = 16;
    kin_cache_close(opened(&c, "cache: made in "));
    c.preprocess.height = SMALL;
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, shard, times, 0), 0);
    kin_cache_close(opened(&c, "cache: made in "));
    kin_cache_close(opened(&c, "made before"));
}

/* A folder of files, some of them no pictures. */
static void test_broken_pictures(void **state)
{
    (void)state;
    char path[200], name[256];
    snprintf(path, sizeof path, "%s/files", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    kin_ctx cx = {0};
    for (int i = 0; i < 20; i++) {
        const uint8_t *bytes;
        uint8_t *own;
        int64_t size;
        assert_int_equal(kin_dataset_bytes(&cx, data, i, &bytes, &size, &own), KIN_OK);
        if (i == 4) size = 0;
        if (i == 5) size /= 2; /* its header is whole */
        snprintf(name, sizeof name, "%s/%02d.png", path, i);
        assert_int_equal(kin_write_file(&cx, name, bytes, size), KIN_OK);
        free(own);
        snprintf(name, sizeof name, "%s/%02d.txt", path, i);
        assert_int_equal(kin_write_file(&cx, name, "a word", 6), KIN_OK);
    }
    kin_cache_cfg c = config(kept, 0.3);
    c.data = kin_dataset_open(&cx, path, NULL, false);
    assert_non_null(c.data);
    const uint64_t want = batches(&c, NULL);
    kin_cache *cache = opened(&c, "cache: made in ");
    int64_t w, h;
    kin_image image;
    for (int i = 0; i < 20; i++) assert_true(kin_cache_get(cache, i, &image, &w, &h) == (i != 4 && i != 5));
    assert_true(batches(&c, cache) == want); /* others stand in, as without a cache */
    kin_cache_close(cache);
    snprintf(name, sizeof name, "%s/07.png", path);
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
    kin_cache_close(opened(&c, "cache: made in "));
    union {
        const kin_dataset *in;
        kin_dataset *out;
    } u = {.in = c.data};
    kin_dataset_close(u.out);
}

/* No room: an error with a sentence before the first picture, nothing left behind. */
static void test_no_room(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/full", folder);
    const struct rlimit before = {RLIM_INFINITY, RLIM_INFINITY}, little = {4096, RLIM_INFINITY};
    const kin_cache_cfg c = config(path, 1.0);
    kin_ctx cx = listening();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_null(kin_cache_open(&cx, &c));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(cx.status, KIN_IO);
    assert_non_null(strstr(cx.message, "another folder, a smaller cache-side, or none"));
    assert_string_equal(said, "");
    assert_int_equal(files_in(path), 0);
    kin_cache_cfg small = config("memory", 1.0);
    small.memory = 10000;
    kin_clear(&cx);
    assert_null(kin_cache_open(&cx, &small));
    assert_int_equal(cx.status, KIN_NOMEM);
    assert_non_null(strstr(cx.message, "give a folder, a smaller cache-side, or none"));
    /* A folder that cannot be made. */
    const kin_cache_cfg bad = config(shard, 1.0);
    kin_clear(&cx);
    assert_null(kin_cache_open(&cx, &bad));
    assert_non_null(strstr(cx.message, shard));
}

/* Two at once: both have the whole of it, and one file is left. */
static void test_two_at_once(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/both", folder);
    const kin_cache_cfg c = config(path, 1.0);
    const uint64_t want = batches(&c, NULL);
    pid_t child[4];
    for (int i = 0; i < 4; i++) {
        child[i] = fork();
        if (child[i] != 0) continue;
        kin_ctx cx = {0};
        kin_cache *cache = kin_cache_open(&cx, &c);
        const bool good = cache && kin_cache_costs(cache).ready && batches(&c, cache) == want;
        kin_cache_close(cache);
        _exit(!good);
    }
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(files_in(path), 1);
}

/* Pictures that no file holds are known by the words that they were made of. */
static void test_made(void **state)
{
    static const char *const words[] = {"scenes:xor,count=8,seed=1,size=32",
                                        "scenes:xor,count=8,seed=1,size=32",
                                        "scenes:xor,count=8,seed=2,size=32"};
    static const char *const says[] = {"cache: made in ", "made before", "cache: made in "};
    (void)state;
    for (int i = 0; i < 3; i++) {
        kin_ctx cx = {0};
        kin_cache_cfg c = config(kept, 1.0);
        kin_dataset *d = kin_dataset_open(&cx, words[i], NULL, false);
        if (!d) fail_msg("%s", cx.message);
        c.data = d;
        kin_cache_close(opened(&c, says[i]));
        d->source[0].path[1] ^= 1; /* other words, of pictures that are packed as small */
        if (i == 2) kin_cache_close(opened(&c, "cache: made in "));
        kin_dataset_close(d);
    }
}

static int open_all(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-cache-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    kin_ctx cx = {0};
    char scenes[100];
    snprintf(scenes, sizeof scenes, "%s/scenes", folder);
    snprintf(kept, sizeof kept, "%s/kept/here", folder);
    const kin_scenes_cfg c = {.out = scenes, .count = SCENES, .seed = 4, .size = 32};
    if (kin_make_dirs(&cx, scenes) != KIN_OK || kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    data = kin_dataset_open(&cx, scenes, NULL, false);
    if (!data) return -1;
    snprintf(shard, sizeof shard, "%s", data->source[0].path);
    tokenizer = kin_tokenizer_train(&cx, data->caption, data->captions, 600);
    if (!tokenizer) print_error("%s\n", cx.message);
    return tokenizer ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    char command[128];
    kin_tokenizer_free(tokenizer);
    kin_dataset_close(data);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),       cmocka_unit_test(test_kept_size),
        cmocka_unit_test(test_damaged),         cmocka_unit_test(test_stale),
        cmocka_unit_test(test_broken_pictures), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_two_at_once),     cmocka_unit_test(test_made)};
    return cmocka_run_group_tests_name("cache", tests, open_all, close_all);
}
