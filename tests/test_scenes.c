/* scenes: what captions say is read back from their words by a reader of its own, and held against the
 * pictures of the block by a judge of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <omp.h>

#include "core/json.h"
#include "core/rng.h"
#include "data/image.h"
#include "data/scenes.h"
#include "data/scenes_draw.h"
#include "data/scenes_text.h"
#include "data/tar.h"

enum { N = KIN_SCENE_BLOCK, MAX_WORDS = 64 };

static char folder[64];
static kin_scene *scenes; /* a block of the test split, and what is said of it */
static kin_scene_text *texts;

static int make_block(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    snprintf(folder, sizeof folder, "/tmp/kin_scenes_XXXXXX");
    scenes = calloc(N, sizeof *scenes);
    texts = calloc(N, sizeof *texts);
    const kin_scene_cfg cfg = {.size = 64, .split = KIN_SCENE_TEST};
    if (!mkdtemp(folder) || !scenes || !texts) return 1;
    return kin_scene_block(&cx, 7, &cfg, 0, scenes, texts) != KIN_OK;
}

static int drop_block(void **state)
{
    (void)state;
    char command[128];
    free(scenes);
    free(texts);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* ---- words and what they say ---------------------------------------------------------------------- */

typedef struct words {
    int count;
    char *word[MAX_WORDS];
    char text[2 * KIN_SCENE_CAPTION];
} words;

static void split(const char *caption, words *w)
{
    size_t n = 0;
    for (const char *p = caption; *p; p++) {
        assert_true(n + 3 < sizeof w->text);
        if (*p == ',' || *p == ':') w->text[n++] = ' ';
        w->text[n++] = *p;
    }
    w->text[n] = 0;
    w->count = 0;
    for (char *p = strtok(w->text, " "); p; p = strtok(NULL, " ")) {
        assert_true(w->count < MAX_WORDS);
        w->word[w->count++] = p;
    }
}

static int find(const char *const *table, int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (strcmp(table[i], word) == 0) return i;
    return -1;
}

static int relation_of(const char *word)
{
    static const char *const heads[] = {"left", "right", "above", "below", "under"};
    const int i = find(heads, 5, word);
    return i == 4 ? KIN_BELOW : i;
}

/* Reads a caption: a thing without a relation before it is the subject of the relations that follow. */
static kin_claim read_claim(const char *caption)
{
    static const char *const numbers[] = {"two", "three", "four", "five"};
    static const char *const fill[] = {"to", "the", "of", "is", "on", "with", "and", ",", ":"};
    kin_claim c = {.pattern = -1, .tone = -1, .count = -1};
    words w;
    split(caption, &w);
    int subject = -1, pending = -1;
    for (int i = 0; i < w.count; i++) {
        if (find(numbers, 4, w.word[i]) >= 0) {
            c.count = 2 + find(numbers, 4, w.word[i]);
            assert_string_equal(w.word[++i], "shapes");
        } else if (relation_of(w.word[i]) >= 0) {
            assert_true(subject >= 0 && pending < 0);
            pending = relation_of(w.word[i]);
        } else if (strcmp(w.word[i], "a") == 0 || strcmp(w.word[i], "an") == 0) {
            const bool an = w.word[i][1] == 'n';
            assert_true(i + 2 < w.count);
            i++;
            assert_int_equal(an, strchr("aeiou", w.word[i][0]) != NULL);
            if (find(kin_scene_patterns, KIN_SCENE_PATTERNS, w.word[i]) >= 0) {
                c.pattern = find(kin_scene_patterns, KIN_SCENE_PATTERNS, w.word[i]);
                c.tone = find(kin_scene_tones, KIN_SCENE_TONES, w.word[i + 1]);
                assert_true(c.tone >= 0 && i + 2 < w.count);
                assert_string_equal(w.word[i + 2], "background");
                i += 2;
                continue;
            }
            const int t = c.things++, size = find(kin_scene_sizes, KIN_SCENE_SIZES, w.word[i]);
            if (size >= 0) i++;
            assert_true(i + 1 < w.count);
            c.thing[t].size = size;
            c.thing[t].color = find(kin_scene_colors, KIN_SCENE_COLORS, w.word[i]);
            c.thing[t].shape = find(kin_scene_shapes, KIN_SCENE_SHAPES, w.word[++i]);
            assert_true(c.thing[t].color >= 0 && c.thing[t].shape >= 0);
            if (pending < 0) {
                subject = t;
                continue;
            }
            c.relation[c.relations].a = subject;
            c.relation[c.relations].is = (kin_scene_relation)pending;
            c.relation[c.relations++].b = t;
            pending = -1;
        } else {
            if (find(fill, 9, w.word[i]) < 0) fail_msg("unknown word \"%s\" in \"%s\"", w.word[i], caption);
        }
    }
    assert_true(pending < 0 && c.things > 0);
    return c;
}

static bool related(const kin_scene_object *a, int is, const kin_scene_object *b, bool clear)
{
    switch (is) {
    case KIN_LEFT_OF: return clear ? a->box[2] <= b->box[0] : a->cx < b->cx;
    case KIN_RIGHT_OF: return clear ? a->box[0] >= b->box[2] : a->cx > b->cx;
    case KIN_ABOVE: return clear ? a->box[3] <= b->box[1] : a->cy < b->cy;
    default: return clear ? a->box[1] >= b->box[3] : a->cy > b->cy;
    }
}

/* Tries every way of giving the things to objects, and looks at relations only when all are given. */
static bool judge(const kin_scene *s, const kin_claim *c, bool clear, int given, int *to)
{
    if (given == c->things) {
        for (int i = 0; i < given; i++)
            for (int j = 0; j < i; j++)
                if (to[i] == to[j]) return false;
        for (int k = 0; k < c->relations; k++) {
            const kin_scene_object *a = &s->object[to[c->relation[k].a]];
            const kin_scene_object *b = &s->object[to[c->relation[k].b]];
            if (!related(a, (int)c->relation[k].is, b, clear)) return false;
        }
        return true;
    }
    for (int o = 0; o < s->count; o++) {
        const kin_scene_object *x = &s->object[o];
        to[given] = o;
        const bool fits = c->thing[given].color == x->color && c->thing[given].shape == x->shape &&
                          (c->thing[given].size < 0 || c->thing[given].size == x->size);
        if (fits && judge(s, c, clear, given + 1, to)) return true;
    }
    return false;
}

static bool is_so(const kin_scene *s, const kin_claim *c, bool clear)
{
    int to[KIN_SCENE_MAX_OBJECTS];
    if (c->pattern >= 0 && (c->pattern != s->pattern || c->tone != s->tone)) return false;
    if (c->count >= 0 && c->count != s->count) return false;
    return judge(s, c, clear, 0, to);
}

/* ---- tests ---------------------------------------------------------------------------------------- */

static void captions_are_true_of_one_picture_of_the_block(void **state)
{
    (void)state;
    int captions = 0, shortest = 1000, longest = 0, with_relation = 0;
    for (int i = 0; i < N; i++) {
        assert_in_range(texts[i].captions, 2, KIN_SCENE_MAX_CAPTIONS);
        for (int k = 0; k < texts[i].captions; k++) {
            const char *caption = texts[i].caption[k];
            const kin_claim c = read_claim(caption);
            words w;
            split(caption, &w);
            if (w.count < shortest) shortest = w.count;
            if (w.count > longest) longest = w.count;
            with_relation += c.relations > 0;
            captions++;
            for (int m = 0; m < k; m++) assert_string_not_equal(caption, texts[i].caption[m]);
            if (!is_so(&scenes[i], &c, true)) fail_msg("picture %d: \"%s\" is not so", i, caption);
            assert_true(kin_scene_holds(&scenes[i], &c, true));
            for (int j = 0; j < N; j++)
                if (j != i && (is_so(&scenes[j], &c, false) || kin_scene_holds(&scenes[j], &c, false)))
                    fail_msg("picture %d: \"%s\" could be said of %d", i, caption, j);
        }
    }
    assert_true(shortest >= 6 && longest <= 40 && longest >= 25);
    assert_true(with_relation > captions / 2);
    print_message("%d captions of %d pictures, %d to %d words, %d with relations\n", captions, N, shortest,
                  longest, with_relation);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void swaps_are_false_and_have_the_same_words(void **state)
{
    (void)state;
    int attributes = 0;
    for (int i = 0; i < N; i++) {
        int relations = 0;
        for (int k = 0; k < texts[i].swaps; k++) {
            const char *caption = texts[i].swap[k].caption, *swapped = texts[i].swap[k].swapped;
            assert_string_not_equal(caption, swapped);
            const kin_claim c = read_claim(caption), f = read_claim(swapped);
            if (!is_so(&scenes[i], &c, true)) fail_msg("picture %d: \"%s\" is not so", i, caption);
            if (is_so(&scenes[i], &f, false)) fail_msg("picture %d: \"%s\" is so", i, swapped);
            words a, b;
            split(caption, &a);
            split(swapped, &b);
            assert_int_equal(a.count, b.count);
            qsort(a.word, (size_t)a.count, sizeof *a.word, by_text);
            qsort(b.word, (size_t)b.count, sizeof *b.word, by_text);
            for (int n = 0; n < a.count; n++) assert_string_equal(a.word[n], b.word[n]);
            if (texts[i].swap[k].attribute) {
                attributes++;
                assert_int_equal(c.thing[0].color, f.thing[1].color);
                assert_int_equal(c.thing[0].shape, f.thing[0].shape);
            } else {
                relations++;
                assert_memory_equal(&c.thing[0], &f.thing[1], sizeof c.thing[0]);
                assert_memory_equal(&c.thing[1], &f.thing[0], sizeof c.thing[0]);
            }
        }
        assert_in_range(relations, 1, 2);
    }
    assert_true(attributes > N * 3 / 4);
}

static void questions_have_answers(void **state)
{
    (void)state;
    int yes = 0, no = 0;
    for (int i = 0; i < N; i++) {
        assert_true(texts[i].qa >= 4);
        for (int k = 0; k < texts[i].qa; k++) {
            const char *q = texts[i].question[k].question, *a = texts[i].question[k].answer;
            assert_true(strlen(q) > 5 && q[strlen(q) - 1] == '?' && *a);
            yes += strcmp(a, "yes") == 0;
            no += strcmp(a, "no") == 0;
            /* "what color is the X?": all X have it */
            char shape[24];
            if (sscanf(q, "what color is the %23[a-z]?", shape) == 1)
                for (int o = 0; o < scenes[i].count; o++)
                    if (strcmp(kin_scene_shapes[scenes[i].object[o].shape], shape) == 0)
                        assert_string_equal(kin_scene_colors[scenes[i].object[o].color], a);
            if (strncmp(q, "is the ", 7) != 0) continue;
            char claim[120];
            words w;
            split(q, &w);
            const char *color = w.word[2], *color2 = w.word[w.count - 2], *shape2 = w.word[w.count - 1];
            snprintf(claim, sizeof claim, "a%s %s %s %s a%s %s %.*s", color[0] == 'o' ? "n" : "", color,
                     w.word[3], w.word[4], color2[0] == 'o' ? "n" : "", color2, (int)strlen(shape2) - 1,
                     shape2);
            const kin_claim c = read_claim(claim);
            assert_int_equal(is_so(&scenes[i], &c, strcmp(a, "yes") == 0), strcmp(a, "yes") == 0);
        }
    }
    assert_in_range(yes, N / 3, N * 2 / 3);
    assert_int_equal(yes + no, N);
}

static void pairs_are_held_out(void **state)
{
    (void)state;
    int pairs = 0, of_color[KIN_SCENE_COLORS] = {0}, of_shape[KIN_SCENE_SHAPES] = {0};
    for (int c = 0; c < KIN_SCENE_COLORS; c++)
        for (int s = 0; s < KIN_SCENE_SHAPES; s++)
            if (kin_scene_held_out(c, s)) pairs++, of_color[c]++, of_shape[s]++;
    assert_int_equal(pairs, 13);
    for (int i = 0; i < 8; i++) {
        assert_in_range(of_color[i], 1, 2);
        assert_in_range(of_shape[i], 1, 2);
    }
    kin_ctx cx = {0};
    for (int split_ = 0; split_ < KIN_SCENE_SPLITS; split_++) {
        const kin_scene_cfg cfg = {.size = 64, .split = (kin_scene_split)split_};
        int seen[64] = {0};
        for (uint64_t key = 0; key < 3000; key++) {
            kin_scene s;
            assert_int_equal(kin_scene_make(&cx, key, &cfg, &s, NULL), KIN_OK);
            int held = 0;
            for (int i = 0; i < s.count; i++) {
                held += kin_scene_held_out(s.object[i].color, s.object[i].shape);
                seen[s.object[i].color * 8 + s.object[i].shape]++;
                for (int j = 0; j < i; j++)
                    if (s.object[i].color == s.object[j].color)
                        assert_int_not_equal(s.object[i].shape, s.object[j].shape);
            }
            assert_true(split_ == KIN_SCENE_TEST ? held > 0 : held == 0);
        }
        for (int p = 0; p < 64; p++)
            assert_int_equal(seen[p] > 0, split_ == KIN_SCENE_TEST || !kin_scene_held_out(p / 8, p % 8));
    }
}

static void boxes_hold_their_objects(void **state)
{
    (void)state;
    static uint8_t with[64 * 64 * 3], without[64 * 64 * 3];
    int sizes[KIN_SCENE_SIZES] = {0};
    for (int i = 0; i < 400; i++) {
        kin_scene s = scenes[i];
        const int n = s.count;
        for (int k = 0; k < n; k++) {
            s.count = 0;
            kin_scene_draw(&s, without);
            s.count = 1;
            s.object[0] = scenes[i].object[k];
            int *wide = s.object[0].box; /* drawing looks no further than the box: let it look */
            for (int c = 0; c < 4; c++) wide[c] = c < 2 ? (wide[c] > 2 ? wide[c] - 3 : 0) : wide[c] + 3;
            for (int c = 2; c < 4; c++) wide[c] = wide[c] > 64 ? 64 : wide[c];
            kin_scene_draw(&s, with);
            const int *box = scenes[i].object[k].box;
            int x0 = 64, y0 = 64, x1 = 0, y1 = 0, area = 0;
            for (int p = 0; p < 64 * 64; p++) {
                if (memcmp(with + 3 * p, without + 3 * p, 3) == 0) continue;
                const int x = p % 64, y = p / 64;
                area++;
                if (x < x0) x0 = x;
                if (y < y0) y0 = y;
                if (x + 1 > x1) x1 = x + 1;
                if (y + 1 > y1) y1 = y + 1;
            }
            assert_true(box[0] >= 0 && box[1] >= 0 && box[2] <= 64 && box[3] <= 64);
            assert_true(x0 >= box[0] && y0 >= box[1] && x1 <= box[2] && y1 <= box[3]);
            assert_true(x0 <= box[0] + 2 && y0 <= box[1] + 2 && x1 >= box[2] - 2 && y1 >= box[3] - 2);
            assert_true(area >= 40); /* of 4096: small ones are still to be seen */
            sizes[s.object[0].size]++;
        }
    }
    for (int k = 0; k < KIN_SCENE_SIZES; k++) assert_true(sizes[k] > 50);
}

static void relations_are_clear_for_every_two_objects(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        for (int a = 0; a < scenes[i].count; a++)
            for (int b = 0; b < scenes[i].count; b++) {
                if (a == b) continue;
                int clear = 0;
                for (int is = 0; is < KIN_SCENE_RELATIONS; is++) {
                    const kin_scene_object *p = &scenes[i].object[a], *q = &scenes[i].object[b];
                    const kin_scene_relation r = (kin_scene_relation)is;
                    if (!kin_scene_related(p, r, q, true)) continue;
                    clear++;
                    assert_true(related(p, is, q, true) && kin_scene_related(p, r, q, false));
                    assert_false(kin_scene_related(q, r, p, false));
                }
                assert_in_range(clear, 1, 2);
            }
}

static void colors_can_be_told_apart(void **state)
{
    (void)state;
    static uint8_t p[64 * 64 * 3];
    double sum[KIN_SCENE_COLORS + KIN_SCENE_TONES][3] = {{0}};
    int64_t count[KIN_SCENE_COLORS + KIN_SCENE_TONES] = {0};
    for (int i = 0; i < 400; i++) {
        kin_scene_draw(&scenes[i], p);
        for (int k = 0; k < scenes[i].count; k++) {
            const kin_scene_object *o = &scenes[i].object[k];
            if (kin_scene_shapes[o->shape][0] == 'r') continue; /* a ring has nothing in the middle */
            const int at = 3 * ((int)(o->cy * 64) * 64 + (int)(o->cx * 64));
            for (int c = 0; c < 3; c++) sum[o->color][c] += p[at + c];
            count[o->color]++;
        }
        kin_scene bare = scenes[i];
        bare.count = 0;
        kin_scene_draw(&bare, p);
        for (int q = 0; q < 64 * 64; q++)
            for (int c = 0; c < 3; c++) sum[KIN_SCENE_COLORS + bare.tone][c] += p[3 * q + c];
        count[KIN_SCENE_COLORS + bare.tone] += 64 * 64;
    }
    for (int a = 0; a < KIN_SCENE_COLORS + KIN_SCENE_TONES; a++)
        for (int b = 0; b < a; b++) {
            double d2 = 0;
            assert_true(count[a] > 0 && count[b] > 0);
            for (int c = 0; c < 3; c++) {
                const double d = sum[a][c] / (double)count[a] - sum[b][c] / (double)count[b];
                d2 += d * d;
            }
            if (d2 < 70 * 70) fail_msg("colors %d and %d are alike", a, b);
        }
}

static void a_key_is_a_picture(void **state)
{
    (void)state;
    static uint8_t a[64 * 64 * 3], b[64 * 64 * 3];
    kin_ctx cx = {0};
    const kin_scene_cfg cfg = {.size = 64, .split = KIN_SCENE_TRAIN};
    uint64_t hash = KIN_FNV;
    for (uint64_t key = 0; key < 50; key++) {
        kin_scene s, t;
        assert_int_equal(kin_scene_make(&cx, key, &cfg, &s, a), KIN_OK);
        assert_int_equal(kin_scene_make(&cx, key, &cfg, &t, b), KIN_OK);
        assert_memory_equal(a, b, sizeof a);
        assert_int_equal(kin_scene_make(&cx, key + 1, &cfg, &t, b), KIN_OK);
        assert_memory_not_equal(a, b, sizeof a);
        hash = kin_fnv(hash, a, sizeof a);
        for (int i = 0; i < s.count; i++) hash = kin_fnv(hash, s.object[i].box, sizeof s.object[i].box);
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < texts[i].captions; k++)
            hash = kin_fnv(hash, texts[i].caption[k], strlen(texts[i].caption[k]));
    /* The same on every machine and with every compiler. Changing it changes everyone's scenes. */
    assert_int_equal(hash, 0x58755698405cb4ull);

    /* Splits, seeds and places in the stream do not repeat one another. */
    kin_scene *other = calloc(N, sizeof *other);
    kin_scene_text *said = calloc(N, sizeof *said);
    for (int way = 0; way < 3; way++) {
        const kin_scene_cfg c = {.size = 64, .split = way == 0 ? KIN_SCENE_VAL : KIN_SCENE_TEST};
        assert_int_equal(kin_scene_block(&cx, way == 1 ? 8 : 7, &c, way == 2, other, said), KIN_OK);
        for (int i = 0; i < N; i++) assert_true(other[i].key != scenes[i].key);
        assert_string_not_equal(said[0].caption[0], texts[0].caption[0]);
    }
    free(other);
    free(said);
}

/* ---- shards --------------------------------------------------------------------------------------- */

static kin_status write_to(const char *name, int64_t count, int threads, char path[160])
{
    kin_ctx cx = {0};
    snprintf(path, 160, "%s/%s", folder, name);
    const kin_scenes_cfg cfg = {.out = path, .count = count, .seed = 7, .split = "test", .shard_size = 20};
    omp_set_num_threads(threads);
    const kin_status rc = kin_scenes_write(&cx, &cfg);
    if (rc != KIN_OK) print_message("%s\n", cx.message);
    return rc;
}

static uint8_t *shard(const char *path, int k, int64_t *size)
{
    char file[200];
    uint8_t *bytes = NULL;
    kin_ctx cx = {0};
    snprintf(file, sizeof file, "%s/%06d.tar", path, k);
    assert_int_equal(kin_read_file(&cx, file, 100000000, &bytes, size), KIN_OK);
    return bytes;
}

static void shards_have_the_same_bytes(void **state)
{
    (void)state;
    char a[160], b[160], c[160];
    assert_int_equal(write_to("a", 30, 1, a), KIN_OK);
    assert_int_equal(write_to("b", 30, 3, b), KIN_OK);
    assert_int_equal(write_to("c", 45, 2, c), KIN_OK);
    for (int k = 0; k < 2; k++) {
        int64_t na, nb, nc;
        uint8_t *x = shard(a, k, &na), *y = shard(b, k, &nb), *z = shard(c, k, &nc);
        assert_int_equal(na, nb);
        assert_memory_equal(x, y, (size_t)na);
        if (k == 0) {
            assert_int_equal(na, nc);
            assert_memory_equal(x, z, (size_t)na);
        }
        free(x);
        free(y);
        free(z);
    }
    /* A shorter run in the folder of a longer one would leave its last shard. */
    kin_ctx cx = {0};
    const kin_scenes_cfg again = {.out = c, .count = 30, .seed = 7, .split = "test", .shard_size = 20};
    assert_int_equal(kin_scenes_write(&cx, &again), KIN_ARG);
    assert_non_null(strstr(cx.message, "000002.tar"));
}

static const char *member(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void check_sample(const kin_scene *s, const kin_scene_text *t, json_t *j, const char *txt, size_t n)
{
    assert_int_equal(json_integer_value(json_object_get(j, "version")), 1);
    json_t *objects = json_object_get(j, "objects"), *captions = json_object_get(j, "captions");
    assert_int_equal(json_array_size(objects), s->count);
    for (int i = 0; i < s->count; i++) {
        json_t *o = json_array_get(objects, (size_t)i), *box = json_object_get(o, "box");
        const kin_scene_object *x = &s->object[i];
        assert_string_equal(member(o, "shape"), kin_scene_shapes[x->shape]);
        assert_string_equal(member(o, "color"), kin_scene_colors[x->color]);
        assert_string_equal(member(o, "size"), kin_scene_sizes[x->size]);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(json_integer_value(json_array_get(box, k)), x->box[k]);
    }
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(j, "relations"), i, value) {
        const int a = (int)json_integer_value(json_array_get(value, 0));
        const int b = (int)json_integer_value(json_array_get(value, 2));
        const char *name = json_string_value(json_array_get(value, 1));
        const int is = find(kin_scene_relations, KIN_SCENE_RELATIONS, name);
        assert_true(a >= 0 && a < b && b < s->count && is >= 0);
        assert_true(related(&s->object[a], is, &s->object[b], true));
    }
    assert_true(i >= 1);
    assert_int_equal(json_array_size(captions), t->captions);
    assert_string_equal(json_string_value(json_array_get(captions, 1)), t->caption[1]);
    assert_int_equal(strlen(t->caption[0]), n);
    assert_memory_equal(txt, t->caption[0], n);
    json_t *swap = json_array_get(json_object_get(j, "swaps"), 0);
    assert_string_equal(member(swap, "kind"), "relation");
    assert_string_equal(member(swap, "swapped"), t->swap[0].swapped);
    assert_int_equal(json_array_size(json_object_get(j, "qa")), t->qa);
}

static void shards_hold_picture_caption_and_json(void **state)
{
    (void)state;
    char path[160], name[32];
    kin_ctx cx = {0};
    assert_int_equal(write_to("d", 20, 2, path), KIN_OK);
    int64_t size;
    uint8_t *bytes = shard(path, 0, &size);
    kin_tar_index index;
    assert_int_equal(kin_tar_index_build(&cx, "shard", bytes, size, &index), KIN_OK);
    assert_int_equal(index.count, 60);
    static uint8_t pixels[64 * 64 * 3];
    for (int i = 0; i < 20; i++) {
        const kin_tar_member *m = index.member + (size_t)3 * (size_t)i;
        const char *const ends[] = {"png", "txt", "json"};
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "%09d.%s", i, ends[k]);
            assert_string_equal(m[k].name, name);
        }
        kin_image image = {0};
        kin_status rc = kin_image_decode(&cx, name, bytes + m[0].offset, m[0].size, 1000000, &image);
        assert_int_equal(rc, KIN_OK);
        assert_int_equal(image.width, 64);
        assert_int_equal(image.height, 64);
        kin_scene_draw(&scenes[i], pixels);
        assert_memory_equal(image.pixels, pixels, sizeof pixels);
        kin_image_free(&image);
        json_t *j = kin_json_parse(&cx, name, bytes + m[2].offset, (size_t)m[2].size);
        assert_non_null(j);
        check_sample(&scenes[i], &texts[i], j, (const char *)bytes + m[1].offset, (size_t)m[1].size);
        json_decref(j);
    }
    kin_tar_index_free(&index);
    free(bytes);
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    const kin_scenes_cfg wrong[] = {
        {.out = folder, .count = 10, .split = "dev"},      {.out = folder, .count = 0},
        {.out = folder, .count = 10, .size = 8},           {.out = "", .count = 10},
        {.out = folder, .count = 10, .shard_size = -1},    {.out = folder, .count = 2000000, .shard_size = 1},
    };
    const char *const named[] = {"\"dev\"", "count", "size", "folder", "-1", "2000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        kin_ctx cx = {0};
        assert_int_equal(kin_scenes_write(&cx, &wrong[i]), KIN_ARG);
        assert_non_null(strstr(cx.message, named[i]));
    }
    kin_ctx cx = {0};
    kin_scene s;
    const kin_scene_cfg cfg = {.size = 64, .split = KIN_SCENE_SPLITS};
    assert_int_equal(kin_scene_make(&cx, 1, &cfg, &s, NULL), KIN_ARG);
}

static void makes_thousands_a_second(void **state)
{
    (void)state;
    char path[160];
    double t = kin_now();
    static uint8_t pixels[64 * 64 * 3];
    for (int i = 0; i < N; i++) kin_scene_draw(&scenes[i], pixels);
    print_message("%.0f pictures drawn a second", N / (kin_now() - t));
    t = kin_now();
    assert_int_equal(write_to("e", N, 1, path), KIN_OK);
    print_message(", %.0f written a second by one thread\n", N / (kin_now() - t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captions_are_true_of_one_picture_of_the_block),
        cmocka_unit_test(swaps_are_false_and_have_the_same_words),
        cmocka_unit_test(questions_have_answers),
        cmocka_unit_test(pairs_are_held_out),
        cmocka_unit_test(boxes_hold_their_objects),
        cmocka_unit_test(relations_are_clear_for_every_two_objects),
        cmocka_unit_test(colors_can_be_told_apart),
        cmocka_unit_test(a_key_is_a_picture),
        cmocka_unit_test(shards_have_the_same_bytes),
        cmocka_unit_test(shards_hold_picture_caption_and_json),
        cmocka_unit_test(wrong_arguments_are_named),
        cmocka_unit_test(makes_thousands_a_second),
    };
    return cmocka_run_group_tests(tests, make_block, drop_block);
}
