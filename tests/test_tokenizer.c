/* The tokenizer against two others over CLIP's own vocabulary (KIN_DATA): published ids, and 20,000 strings
 * of contractions, numbers, entities, emoji, combining marks, many scripts, long runs. What strings are made
 * of and digests of their ids are in tests/golden/tokens.txt (by tests/golden/tokens_golden.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "data/tokenizer.h"

enum { BLOCK = 100, MOST_PIECES = 512, MOST_RANGES = 64, ROOM = 1 << 16 };

static kin_tokenizer *tokenizer;
static char *pieces[MOST_PIECES];
static unsigned range[MOST_RANGES][2];
static uint64_t piece_count, range_count;
static int32_t ids[ROOM];

/* The text of hexadecimal digits up to a blank or line end; the caller frees it. */
static char *unhex(const char *hex)
{
    const size_t n = strspn(hex, "0123456789abcdef") / 2;
    char *text = calloc(1, n + 1);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        text[i] = (char)byte;
    }
    return text;
}

/* ids of a text without start and end; how many. */
static int64_t encode(const char *text)
{
    kin_ctx cx = {0};
    const int64_t n = kin_tokenizer_encode(&cx, tokenizer, text, ROOM, ids);
    assert_true(n >= 2);
    assert_int_equal(ids[0], 49406);
    assert_int_equal(ids[n - 1], 49407);
    memmove(ids, ids + 1, (size_t)(n - 2) * sizeof *ids);
    return n - 2;
}

static uint64_t draw(uint64_t *state, uint64_t n)
{
    *state += 0x9E3779B97F4A7C15ull;
    uint64_t z = (*state ^ *state >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return (z ^ z >> 31) % n;
}

static void put(char **to, unsigned c)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i >= 0; i--, c >>= 6)
        (*to)[i] = (char)(i > 0 ? 0x80 | (c & 63) : n == 1 ? c : lead[n] | c);
    *to += n;
}

/* The i-th string, by the rule of tokens_golden.py. */
static const char *made(uint64_t i)
{
    static char out[1 << 20];
    char *to = out;
    uint64_t state = i;
    for (uint64_t parts = 1 + draw(&state, 16); parts > 0; parts--) {
        char *from = to;
        if (draw(&state, 8) < 5) {
            to = stpcpy(to, pieces[draw(&state, piece_count)]);
        } else {
            for (uint64_t n = 1 + draw(&state, 6); n > 0; n--) {
                const unsigned *r = range[draw(&state, range_count)];
                put(&to, r[0] + (unsigned)draw(&state, r[1] - r[0] + 1));
            }
        }
        const size_t size = (size_t)(to - from);
        for (uint64_t n = draw(&state, 40) == 0 ? draw(&state, 30) : 0; n > 0; n--) {
            memcpy(to, from, size);
            to += size;
        }
        if (draw(&state, 3) == 0) *to++ = ' ';
    }
    *to = '\0';
    return out;
}

static void check_ids(char *rest)
{
    char *text = unhex(rest), *at = strchr(rest, ' ');
    const int64_t n = encode(text);
    for (int64_t i = 0; i < n; i++)
        if (!at || strtol(at, &at, 10) != ids[i]) fail_msg("'%s': id %d of it is %d", text, (int)i, ids[i]);
    assert_true(!at || strspn(at, " \n") == strlen(at));
    free(text);
}

static bool check_block(uint64_t block, const char *rest)
{
    uint64_t h = KIN_FNV;
    for (uint64_t i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
        const int64_t n = encode(made(i));
        for (int64_t k = 0; k < n; k++) {
            const uint32_t id = (uint32_t)ids[k];
            for (int shift = 0; shift < 32; shift += 8) h = kin_fnv(h, &(uint8_t){(uint8_t)(id >> shift)}, 1);
        }
    }
    return h == strtoull(rest, NULL, 16);
}

static void test_against_others(void **state)
{
    (void)state;
    if (!getenv("KIN_DATA")) {
        print_message("skipped: KIN_DATA is not set\n");
        skip();
    }
    FILE *f = fopen("tests/golden/tokens.txt", "r");
    assert_non_null(f);
    char line[2048];
    uint64_t blocks = 0, bad = 0;
    int published = 0;
    while (fgets(line, sizeof line, f)) {
        char *rest = strchr(line, ' ') + 1;
        if (strncmp(line, "piece ", 6) == 0) {
            assert_true(piece_count < MOST_PIECES);
            pieces[piece_count++] = unhex(rest);
        } else if (strncmp(line, "range ", 6) == 0) {
            assert_true(range_count < MOST_RANGES);
            assert_int_equal(sscanf(rest, "%x %x", &range[range_count][0], &range[range_count][1]), 2);
            range_count++;
        } else if (strncmp(line, "ids ", 4) == 0) {
            check_ids(rest);
            published++;
        } else if (!check_block(blocks++, rest)) {
            print_error("strings %d to %d: other ids\n", (int)(blocks - 1) * BLOCK, (int)blocks * BLOCK - 1);
            bad++;
        }
    }
    fclose(f);
    for (uint64_t i = 0; i < piece_count; i++) free(pieces[i]);
    assert_int_equal(published, 13);
    assert_int_equal(blocks, 200);
    assert_int_equal(bad, 0);
}

/* What does not fit is cut, and the last id is the end. */
static void test_cut(void **state)
{
    (void)state;
    if (!getenv("KIN_DATA")) skip();
    kin_ctx cx = {0};
    int32_t few[4];
    assert_int_equal(kin_tokenizer_encode(&cx, tokenizer, "a photo of a cat", 4, few), 4);
    const int32_t want[4] = {49406, 320, 1125, 49407};
    assert_memory_equal(few, want, sizeof want);
    assert_int_equal(kin_tokenizer_encode(&cx, tokenizer, "a photo", 4, few), 4);
    assert_memory_equal(few, want, sizeof want);
    assert_int_equal(kin_tokenizer_encode(&cx, tokenizer, "a", 1, few), -1);
}

static int load(void **state)
{
    (void)state;
    const char *data = getenv("KIN_DATA");
    if (!data) return 0;
    char path[512];
    kin_ctx cx = {0};
    snprintf(path, sizeof path, "%s/tokenizers/bpe_simple_vocab_16e6.txt.gz", data);
    tokenizer = kin_tokenizer_load(&cx, path);
    if (!tokenizer) print_error("%s\n", cx.message);
    return tokenizer ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    kin_tokenizer_free(tokenizer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_others), cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests_name("tokenizer", tests, load, unload);
}
