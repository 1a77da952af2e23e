#include "data/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/unicode.h"

enum { SHORT = 128 };

/* Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 and on. */
static bool itself(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

int kin_bpe_order(uint8_t byte)
{
    int rank = 0;
    for (int b = 0; b < 256; b++) rank += itself(b) == itself(byte) ? b < byte : itself(b);
    return rank;
}

int kin_bpe_char(uint8_t byte, char to[4])
{
    int c = byte;
    if (!itself(byte)) {
        c = 256;
        for (int b = 0; b < byte; b++) c += !itself(b);
    }
    if (c < 128) {
        to[0] = (char)c;
        return 1;
    }
    to[0] = (char)(0xc0 | c >> 6);
    to[1] = (char)(0x80 | (c & 63));
    return 2;
}

int kin_bpe_byte(int32_t character)
{
    if (character < 256) return character >= 0 && itself(character) ? character : -1;
    int at = 256;
    for (int b = 0; b < 256; b++)
        if (!itself(b) && at++ == character) return b;
    return -1;
}

struct kin_bpe_pair {
    int32_t left, right, rank, id; /* rank -1: empty */
};

static uint64_t hash_of(int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15ull;
    return h ^ h >> 29;
}

static struct kin_bpe_pair *slot_of(const kin_bpe *b, int32_t left, int32_t right)
{
    for (uint64_t i = hash_of(left, right);; i++) {
        struct kin_bpe_pair *p = &b->pair[i & (uint64_t)b->pair_mask];
        if (p->rank < 0 || (p->left == left && p->right == right)) return p;
    }
}

/* ---- encoding: a linked list of symbols, a heap of the merges that are possible ---- */

typedef struct symbol {
    int32_t id, next, before; /* positions; -1: none. id -1: merged away */
} symbol;

typedef struct candidate {
    int32_t rank, at, left, right, id;
} candidate;

typedef struct heap {
    candidate *list;
    int64_t count;
} heap;

static bool less(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(heap *h, candidate c)
{
    int64_t i = h->count++;
    for (; i > 0 && less(&c, &h->list[(i - 1) / 2]); i = (i - 1) / 2) h->list[i] = h->list[(i - 1) / 2];
    h->list[i] = c;
}

static candidate pop(heap *h)
{
    const candidate top = h->list[0], last = h->list[--h->count];
    int64_t i = 0;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= h->count) break;
        if (child + 1 < h->count && less(&h->list[child + 1], &h->list[child])) child++;
        if (!less(&h->list[child], &last)) break;
        h->list[i] = h->list[child];
        i = child;
    }
    h->list[i] = last;
    return top;
}

static void consider(const kin_bpe *b, const symbol *s, heap *h, int32_t at)
{
    if (at < 0 || s[at].next < 0) return;
    const struct kin_bpe_pair *p = slot_of(b, s[at].id, s[s[at].next].id);
    if (p->rank >= 0) push(h, (candidate){p->rank, at, p->left, p->right, p->id});
}

/* Each merge pushes at most two: 3 n candidates are room enough. */
static void merge_all(const kin_bpe *b, symbol *s, heap *h, int32_t n)
{
    for (int32_t i = 0; i < n; i++) consider(b, s, h, i);
    while (h->count > 0) {
        const candidate c = pop(h);
        symbol *left = &s[c.at];
        if (left->id != c.left || left->next < 0 || s[left->next].id != c.right)
            continue; /* no longer there */
        symbol *right = &s[left->next];
        left->id = c.id;
        right->id = -1;
        left->next = right->next;
        if (left->next >= 0) s[left->next].before = c.at;
        consider(b, s, h, left->before);
        consider(b, s, h, c.at);
    }
}

int64_t kin_bpe_encode(kin_ctx *cx, const kin_bpe *b, const uint8_t *word, int64_t n, int32_t *ids,
                       int64_t room)
{
    symbol few[SHORT];
    candidate some[3 * SHORT];
    symbol *s = few;
    heap h = {.list = some};
    if (n > INT32_MAX / 4) {
        kin_fail(cx, KIN_UNSUPPORTED, "a word of %lld bytes", (long long)n);
        return -1;
    }
    if (n > SHORT) {
        s = kin_alloc(cx, n, sizeof *s);
        h.list = kin_alloc(cx, 3 * n, sizeof *h.list);
    }
    int64_t have = -1;
    if (s && h.list) {
        for (int32_t i = 0; i < (int32_t)n; i++)
            s[i] = (symbol){b->byte[i + 1 == n][word[i]], i + 1 == n ? -1 : i + 1, i - 1};
        merge_all(b, s, &h, (int32_t)n);
        have = 0;
        for (int32_t i = 0; i >= 0 && have < room; i = s[i].next) ids[have++] = s[i].id;
    }
    if (n > SHORT) {
        free(s);
        free(h.list);
    }
    return have;
}

/* ---- building ---- */

void kin_bpe_free(kin_bpe *b)
{
    for (int64_t i = 0; b->token && i < b->vocab; i++) free(b->token[i].bytes);
    free(b->token);
    free(b->merge);
    free(b->pair);
    *b = (kin_bpe){0};
}

/* The bytes that a name of a file stands for. */
static kin_status read_name(kin_ctx *cx, const char *name, kin_bpe_token *t)
{
    static const char mark[] = "</w>";
    size_t n = strlen(name);
    t->last = n > 4 && memcmp(name + n - 4, mark, 4) == 0;
    if (t->last) n -= 4;
    t->bytes = kin_alloc(cx, (int64_t)n + 1, 1);
    if (!t->bytes) return cx->status;
    for (const char *p = name; p < name + n;) {
        int length;
        const int byte = kin_bpe_byte(kin_char_at(p, name + n, &length));
        if (byte < 0)
            return kin_fail(cx, KIN_FORMAT, "token \"%s\" has a character that stands for no byte", name);
        t->bytes[t->size++] = (uint8_t)byte;
        p += length;
    }
    return KIN_OK;
}

static bool special(const char *name, bool *start)
{
    *start = strcmp(name, "<|startoftext|>") == 0 || strcmp(name, "<start_of_text>") == 0;
    return *start || strcmp(name, "<|endoftext|>") == 0 || strcmp(name, "<end_of_text>") == 0;
}

static kin_status read_vocab(kin_ctx *cx, kin_bpe *b, const json_t *vocab)
{
    b->vocab = (int64_t)json_object_size(vocab);
    b->token = kin_alloc0(cx, kin_max64(1, b->vocab), sizeof *b->token);
    bool *seen = kin_alloc0(cx, kin_max64(1, b->vocab), sizeof *seen);
    const char *name;
    json_t *value;
    b->start = b->end = -1;
    memset(b->byte, -1, sizeof b->byte);
    json_object_foreach((json_t *)vocab, name, value)
    {
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        bool start;
        if (cx->status != KIN_OK) break;
        if (id < 0 || id >= b->vocab || seen[id]) {
            kin_fail(cx, KIN_FORMAT, "token \"%s\" has id %lld; %lld tokens have ids 0 to %lld, each once",
                     name, (long long)id, (long long)b->vocab, (long long)b->vocab - 1);
            break;
        }
        seen[id] = true;
        if (special(name, &start)) {
            *(start ? &b->start : &b->end) = (int32_t)id;
            continue;
        }
        kin_bpe_token *t = &b->token[id];
        if (read_name(cx, name, t) == KIN_OK && t->size == 1) b->byte[t->last][t->bytes[0]] = (int32_t)id;
    }
    free(seen);
    KIN_TRY(cx->status);
    for (int i = 0; i < KIN_BPE_BYTES; i++)
        if (b->byte[i / 256][i % 256] < 0)
            return kin_fail(cx, KIN_FORMAT, "no token for byte %d%s: not a byte-level vocabulary", i % 256,
                            i < 256 ? "" : " at the end of a word");
    if (b->start < 0 || b->end < 0)
        return kin_fail(cx, KIN_FORMAT, "no <|startoftext|> or no <|endoftext|> among %lld tokens",
                        (long long)b->vocab);
    return KIN_OK;
}

/* The next line of merges: its two names into left and right [MOST_NAME each]. False at the end. */
enum { MOST_NAME = 1024 };
typedef struct reader {
    const char *at, *end;
    int64_t line, left; /* merges that may still be read */
    char name[2][MOST_NAME];
} reader;

static bool next_merge(kin_ctx *cx, reader *r)
{
    while (r->at < r->end && r->left > 0) {
        const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
        const char *line = r->at;
        if (!stop) stop = r->end;
        r->at = stop + 1;
        r->line++;
        while (stop > line && (stop[-1] == '\r' || stop[-1] == ' ')) stop--;
        const bool comment = r->line == 1 && (*line == '#' || *line == '"');
        if (stop == line || comment) continue;
        const char *blank = memchr(line, ' ', (size_t)(stop - line));
        if (!blank || blank == line || blank + 1 == stop ||
            memchr(blank + 1, ' ', (size_t)(stop - blank - 1)) || blank - line >= MOST_NAME ||
            stop - blank > MOST_NAME) {
            kin_fail(cx, KIN_FORMAT, "merges, line %lld: not two tokens with a blank between",
                     (long long)r->line);
            return false;
        }
        snprintf(r->name[0], MOST_NAME, "%.*s", (int)(blank - line), line);
        snprintf(r->name[1], MOST_NAME, "%.*s", (int)(stop - blank - 1), blank + 1);
        r->left--;
        return true;
    }
    return false;
}

static void joined(const reader *r, char out[2 * MOST_NAME])
{
    snprintf(out, 2 * MOST_NAME, "%s%s", r->name[0], r->name[1]);
}

static int32_t id_of(kin_ctx *cx, const json_t *vocab, const char *name, int64_t line)
{
    const json_t *v = json_object_get(vocab, name);
    if (v) return (int32_t)json_integer_value(v);
    kin_fail(cx, KIN_FORMAT, "merges, line %lld: \"%s\" is not in the vocabulary", (long long)line, name);
    return -1;
}

static kin_status read_merges(kin_ctx *cx, kin_bpe *b, const json_t *vocab, reader *r)
{
    int64_t room = 1024;
    while (room < 4 * b->vocab) room *= 2;
    b->pair_mask = room - 1;
    b->pair = kin_alloc(cx, room, sizeof *b->pair);
    b->merge = kin_alloc(cx, kin_max64(1, b->vocab), sizeof *b->merge);
    KIN_TRY(cx->status);
    for (int64_t i = 0; i < room; i++) b->pair[i].rank = -1;
    while (next_merge(cx, r)) {
        char whole[2 * MOST_NAME];
        joined(r, whole);
        const int32_t left = id_of(cx, vocab, r->name[0], r->line),
                      right = id_of(cx, vocab, r->name[1], r->line);
        const int32_t id = id_of(cx, vocab, whole, r->line);
        KIN_TRY(cx->status);
        struct kin_bpe_pair *p = slot_of(b, left, right);
        if (p->rank >= 0 || b->merges >= b->vocab)
            return kin_fail(cx, KIN_FORMAT, "merges, line %lld: \"%s %s\" is there twice", (long long)r->line,
                            r->name[0], r->name[1]);
        *p = (struct kin_bpe_pair){left, right, (int32_t)b->merges, id};
        b->merge[b->merges].left = left;
        b->merge[b->merges++].right = right;
    }
    return cx->status;
}

kin_status kin_bpe_build(kin_ctx *cx, kin_bpe *b, const char *what, const json_t *vocab, const char *merges,
                         int64_t size, int64_t most)
{
    reader r = {.at = merges, .end = merges + size, .left = most};
    *b = (kin_bpe){0};
    if (!json_is_object(vocab) || json_object_size(vocab) > 1 << 24)
        kin_fail(cx, KIN_FORMAT, "the vocabulary is not an object of at most 2^24 tokens");
    else if (read_vocab(cx, b, vocab) == KIN_OK)
        read_merges(cx, b, vocab, &r);
    if (cx->status == KIN_OK) return KIN_OK;
    kin_bpe_free(b);
    return kin_within(cx, "%s", what);
}

json_t *kin_bpe_names(kin_ctx *cx, const char *what, const char *merges, int64_t size, int64_t most)
{
    json_t *names = json_object();
    uint8_t ordered[256];
    for (int b = 0; b < 256; b++) ordered[kin_bpe_order((uint8_t)b)] = (uint8_t)b;
    for (int i = 0; i < KIN_BPE_BYTES; i++) {
        char name[8];
        const int n = kin_bpe_char(ordered[i % 256], name);
        memcpy(name + n, i < 256 ? "" : "</w>", i < 256 ? 1 : 5);
        json_object_set_new(names, name, json_integer(i));
    }
    reader r = {.at = merges, .end = merges + size, .left = most};
    int64_t id = KIN_BPE_BYTES;
    while (next_merge(cx, &r)) {
        char whole[2 * MOST_NAME];
        joined(&r, whole);
        if (json_object_get(names, whole) || json_object_set_new(names, whole, json_integer(id)) != 0) {
            kin_fail(cx, KIN_FORMAT, "merges, line %lld: \"%s\" is made twice, or is not UTF-8",
                     (long long)r.line, whole);
            break;
        }
        id++;
    }
    json_object_set_new(names, "<|startoftext|>", json_integer(id));
    json_object_set_new(names, "<|endoftext|>", json_integer(id + 1));
    if (cx->status == KIN_OK) return names;
    kin_within(cx, "%s", what);
    json_decref(names);
    return NULL;
}
