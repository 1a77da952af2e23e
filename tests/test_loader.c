/* loader: every pair once an epoch, a picture once a batch, the same batches at any number of threads and
 * after a resume, pictures that cannot be read. Run under ThreadSanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/loader.h"
#include "data/sampler.h"
#include "data/scenes.h"
#include "train/augment.h"

enum { SCENES = 60, VOCAB = 600 };

static char folder[64];
static kin_dataset *data;
static kin_tokenizer *tokenizer;
static kin_backend *processor;
static kin_augmenter augmenter;

/* ---- sampler ---- */

/* items with 1, 2, 3, 1, 2, 3 ... captions */
static int64_t uneven(int64_t *item_of, int64_t items)
{
    int64_t pairs = 0;
    for (int64_t i = 0; i < items; i++)
        for (int64_t k = 0; k <= i % 3; k++) item_of[pairs++] = i;
    return pairs;
}

static void test_every_pair_once(void **state)
{
    (void)state;
    enum { ITEMS = 50, BATCH = 17, EPOCHS = 7 };
    int64_t item_of[3 * ITEMS], seen[3 * ITEMS] = {0};
    const int64_t pairs = uneven(item_of, ITEMS);
    kin_ctx cx = {0};
    kin_sampler s;
    uint32_t batch[BATCH];
    assert_int_equal(kin_sampler_open(&cx, &s, item_of, pairs, ITEMS, 5), KIN_OK);
    int64_t drawn = 0;
    while (s.epoch < EPOCHS) {
        bool used[ITEMS] = {false};
        assert_int_equal(kin_sampler_draw(&cx, &s, BATCH, batch), KIN_OK);
        for (int i = 0; i < BATCH; i++) {
            assert_false(used[item_of[batch[i]]]);
            used[item_of[batch[i]]] = true;
            seen[batch[i]]++;
        }
        drawn += BATCH;
    }
    /* What was drawn is what the stream gave, less what waits. */
    assert_int_equal(drawn + s.waits, s.epoch * pairs + s.position);
    for (int64_t p = 0; p < pairs; p++) {
        int64_t waiting = 0;
        for (int64_t w = 0; w < s.waits; w++) waiting += s.waiting[w] == (uint32_t)p;
        const int64_t given = seen[p] + waiting;
        assert_true(given == EPOCHS || given == EPOCHS + 1);
    }
    kin_sampler_close(&s);
}

static void test_sampler_refuses(void **state)
{
    (void)state;
    const int64_t item_of[] = {0, 0, 1};
    uint32_t batch[3];
    kin_ctx cx = {0};
    kin_sampler s;
    assert_int_equal(kin_sampler_open(&cx, &s, item_of, 3, 2, 5), KIN_OK);
    assert_int_equal(kin_sampler_draw(&cx, &s, 3, batch), KIN_ARG);
    assert_non_null(strstr(cx.message, "a batch of 3 needs as many different pictures; there are 2"));
    const struct {
        int64_t pairs;
        uint64_t seed;
        int64_t position;
        uint32_t waiting;
        kin_status status;
    } bad[] = {
        {4, 5, 0, 0, KIN_ARG}, {3, 6, 0, 0, KIN_ARG}, {3, 5, 4, 0, KIN_FORMAT}, {3, 5, 0, 3, KIN_FORMAT}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *state_of =
            kin_sampler_state(bad[i].pairs, bad[i].seed, 0, 0, bad[i].position, &bad[i].waiting, 1);
        kin_clear(&cx);
        assert_int_equal(kin_sampler_resume(&cx, &s, state_of), bad[i].status);
        json_decref(state_of);
    }
    kin_sampler_close(&s);
}

/* ---- loader ---- */

static kin_loader_cfg config(int64_t threads)
{
    kin_preprocess p = kin_preprocess_default();
    p.height = p.width = 32;
    return (kin_loader_cfg){
        .data = data,
        .tokenizer = tokenizer,
        .preprocess = p,
        .augment = {.crop_min = 0.5, .flip = 0.5, .jitter = 0.4, .grey = 0.2, .erase = 0.3},
        .augmenter = &augmenter,
        .batch = 16,
        .context = 24,
        .negatives = 1,
        .threads = threads,
        .ahead = 3,
        .seed = 9};
}

static uint64_t digest(uint64_t h, const kin_batch *b)
{
    h = kin_fnv(h, b->images, (size_t)(b->n * 32 * 32 * 3));
    h = kin_fnv(h, b->off, (size_t)(b->texts + 1) * 4);
    return kin_fnv(h, b->ids, (size_t)b->off[b->texts] * 4);
}

/* Batches from .. to - 1 of a loader that has given `from`. */
static uint64_t take(kin_loader *l, int n, uint64_t h)
{
    kin_ctx cx = {0};
    kin_batch b;
    for (int i = 0; i < n; i++) {
        assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
        h = digest(h, &b);
    }
    return h;
}

static void test_same_at_any_threads(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    uint64_t h[3];
    for (int i = 0; i < 3; i++) {
        const kin_loader_cfg c = config(1 + 2 * i);
        kin_loader *l = kin_loader_open(&cx, &c, NULL);
        assert_non_null(l);
        h[i] = take(l, 40, KIN_FNV); /* some epochs */
        kin_loader_close(l);
    }
    assert_true(h[0] == h[1] && h[1] == h[2]);
}

/* Digest of three batches, with what was left to do done. */
static uint64_t finished(const kin_loader_cfg *c)
{
    const int64_t bytes = kin_preprocess_bytes(&c->preprocess);
    kin_ctx cx = {0};
    kin_batch b;
    kin_loader *l = kin_loader_open(&cx, c, NULL);
    if (!l) fail_msg("%s", cx.message);
    uint64_t h = KIN_FNV;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
        assert_true((b.drawn == NULL) == (c->augmenter != NULL));
        uint8_t *own = malloc((size_t)(b.n * bytes));
        memcpy(own, b.images, (size_t)(b.n * bytes));
        if (b.drawn)
            kin_augment_pictures(processor, own, b.drawn, b.n, c->preprocess.height, c->preprocess.width);
        h = kin_fnv(h, own, (size_t)(b.n * bytes));
        free(own);
    }
    kin_loader_close(l);
    return h;
}

static void test_left_to_do(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_loader_cfg c = config(2);
    const uint64_t want = finished(&c);
    c.augmenter = NULL;
    assert_true(finished(&c) == want);
    c.augment = (kin_augment){.crop_min = 0.5}; /* nothing but crops: nothing is left */
    kin_batch b;
    kin_loader *l = kin_loader_open(&cx, &c, NULL);
    assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
    assert_null(b.drawn);
    kin_loader_close(l);
}

static void test_resume(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    const kin_loader_cfg c = config(2);
    for (int at = 0; at < 30; at += 7) {
        kin_loader *l = kin_loader_open(&cx, &c, NULL);
        take(l, at, KIN_FNV);
        json_t *where = kin_loader_state(l);
        const uint64_t straight = take(l, 9, KIN_FNV);
        kin_loader_close(l);
        l = kin_loader_open(&cx, &c, where);
        assert_non_null(l);
        assert_true(take(l, 9, KIN_FNV) == straight);
        kin_loader_close(l);
        json_decref(where);
    }
}

static void test_negatives_follow(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_loader_cfg c = config(1);
    kin_batch b;
    kin_loader *l = kin_loader_open(&cx, &c, NULL);
    int64_t negatives = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
        assert_int_equal(b.n, 16);
        assert_in_range(b.texts, 16, 32);
        negatives += b.texts - b.n;
        for (int64_t t = 0; t < b.texts; t++) {
            assert_in_range(b.off[t + 1] - b.off[t], 3, 24);
            assert_int_equal(b.ids[b.off[t]], kin_tokenizer_start(tokenizer));
            assert_int_equal(b.ids[b.off[t + 1] - 1], kin_tokenizer_end(tokenizer));
        }
    }
    assert_true(negatives > 20); /* about half of the captions have a twin */
    kin_loader_close(l);
    c.negatives = 0;
    l = kin_loader_open(&cx, &c, NULL);
    assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
    assert_int_equal(b.texts, 16);
    kin_loader_close(l);
}

/* Item that text t of a batch is a caption of, among those of the data; -1: of none. */
static int64_t item_with(const kin_batch *b, int64_t t)
{
    kin_ctx cx = {0};
    int32_t ids[24];
    for (int64_t k = 0; k < data->captions; k++) {
        const int64_t n = kin_tokenizer_encode(&cx, tokenizer, data->caption[k], 24, ids);
        if (n == b->off[t + 1] - b->off[t] && memcmp(ids, b->ids + b->off[t], (size_t)n * sizeof *ids) == 0)
            return data->item_of[k];
    }
    return -1;
}

/* Picture i's captions beyond its first are texts n + 2 i and n + 2 i + 1; they are all different. (No two
 * pictures of these scenes share a caption.) */
static void test_captions_of_a_picture(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    kin_loader_cfg c = config(2);
    c.captions = 3;
    kin_batch b;
    kin_loader *l = kin_loader_open(&cx, &c, NULL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
        assert_int_equal(b.n, 16);
        assert_in_range(b.texts, 48, 64);
        for (int64_t r = 0; r < b.n; r++) {
            const int64_t text[3] = {r, b.n + 2 * r, b.n + 2 * r + 1};
            const int64_t item = item_with(&b, r);
            assert_true(item >= 0 && data->item[item].captions >= 3);
            for (int k = 1; k < 3; k++) {
                assert_int_equal(item_with(&b, text[k]), item);
                for (int j = 0; j < k; j++) {
                    const int64_t n = b.off[text[k] + 1] - b.off[text[k]];
                    assert_false(n == b.off[text[j] + 1] - b.off[text[j]] &&
                                 memcmp(b.ids + b.off[text[k]], b.ids + b.off[text[j]],
                                        (size_t)n * sizeof *b.ids) == 0);
                }
            }
        }
        for (int64_t t = 48; t < b.texts; t++) assert_int_equal(item_with(&b, t), -1); /* false twins */
    }
    kin_loader_close(l);
}

typedef struct log {
    int lines;
    char last[512];
} log;

static void keep(void *user, kin_level level, const char *message)
{
    log *l = user;
    (void)level;
    l->lines++;
    snprintf(l->last, sizeof l->last, "%s", message);
}

static void test_bad_pictures(void **state)
{
    (void)state;
    char path[128], name[160];
    snprintf(path, sizeof path, "%s/mixed", folder);
    kin_ctx cx = {0};
    kin_make_dirs(&cx, path);
    kin_image canvas = {.width = 8, .height = 8, .pixels = calloc(64, 3)};
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%s/%02d.png", path, i);
        memset(canvas.pixels, 10 * i, 8 * 8 * 3);
        if (i % 5)
            assert_int_equal(kin_image_save_png(&cx, name, &canvas), KIN_OK);
        else
            fclose(fopen(name, "w"));
        snprintf(name, sizeof name, "%s/%02d.txt", path, i);
        FILE *f = fopen(name, "w");
        fprintf(f, "picture %d\n", i);
        fclose(f);
    }
    free(canvas.pixels);
    log told = {0};
    cx = (kin_ctx){.log = keep, .log_user = &told};
    kin_dataset *d = kin_dataset_open(&cx, path, NULL, false);
    assert_int_equal(d->items, 20);
    kin_loader_cfg c = config(2);
    c.data = d;
    c.batch = 20;
    kin_loader *l = kin_loader_open(&cx, &c, NULL);
    kin_batch b;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
        assert_int_equal(b.n, 16);
        assert_int_equal(b.texts, 16);
    }
    /* The rows of those behind a gap move up, and so does what is to be done to them. */
    const uint64_t closed = finished(&c);
    c.augmenter = NULL;
    assert_true(finished(&c) == closed);
    c.augmenter = &augmenter;
    assert_in_range(kin_loader_skipped(l), 12, 40); /* the threads are ahead */
    assert_int_equal(told.lines, 1);
    assert_non_null(strstr(told.last, "it is empty"));
    kin_loader_close(l);

    /* With pictures to spare, others stand in: full batches, each picture once, the same at any threads. */
    uint8_t *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        kin_clear(&cx);
        c.batch = 12;
        c.threads = threads;
        l = kin_loader_open(&cx, &c, NULL);
        const size_t bytes = (size_t)(12 * kin_preprocess_bytes(&c.preprocess));
        uint8_t *all = malloc(6 * bytes);
        for (int i = 0; i < 6; i++) {
            assert_int_equal(kin_loader_next(&cx, l, &b), KIN_OK);
            assert_int_equal(b.n, 12);
            assert_int_equal(b.texts, 12);
            memcpy(all + (size_t)i * bytes, b.images, bytes);
            for (int r = 1; r < 12; r++)
                for (int q = 0; q < r; q++) /* captions differ, so do pictures */
                    assert_true(b.off[r + 1] - b.off[r] != b.off[q + 1] - b.off[q] ||
                                memcmp(b.ids + b.off[r], b.ids + b.off[q],
                                       (size_t)(b.off[r + 1] - b.off[r]) * sizeof *b.ids) != 0);
        }
        kin_loader_close(l);
        if (first) {
            assert_memory_equal(first, all, 6 * bytes);
            free(all);
        } else {
            first = all;
        }
    }
    free(first);
    c.batch = 21;
    assert_null(kin_loader_open(&cx, &c, NULL));
    assert_non_null(
        strstr(cx.message, "a batch of 21 needs as many different pictures; the training data has 20"));
    kin_dataset_close(d);
}

static int open_all(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/kin-loader-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    kin_ctx cx = {0};
    const kin_scenes_cfg c = {.out = folder, .count = SCENES, .seed = 4, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    data = kin_dataset_open(&cx, folder, NULL, true);
    processor = kin_backend_cpu(&cx, 1, NULL);
    if (!data || !processor) return -1;
    augmenter = kin_augmenter_of(processor);
    tokenizer = kin_tokenizer_train(&cx, data->caption, data->captions, VOCAB);
    return tokenizer ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    char command[128];
    kin_tokenizer_free(tokenizer);
    kin_dataset_close(data);
    kin_backend_close(processor);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_once),     cmocka_unit_test(test_sampler_refuses),
        cmocka_unit_test(test_same_at_any_threads), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_negatives_follow),    cmocka_unit_test(test_captions_of_a_picture),
        cmocka_unit_test(test_bad_pictures),        cmocka_unit_test(test_left_to_do),
    };
    return cmocka_run_group_tests_name("loader", tests, open_all, close_all);
}
