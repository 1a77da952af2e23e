/* Learning merges (Sennrich et al. 2016): count words; join the most frequent pair of neighbours; again.
 * Pairs know the words that they occur in, so a merge touches those words alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/bpe.h"

typedef struct word {
    uint8_t *bytes; /* until learning begins */
    int32_t *id;    /* its symbols now */
    int64_t size, symbols, count;
} word;

typedef struct piece {
    uint8_t *bytes; /* as in kin_bpe_token */
    int64_t size;
    bool last;
} piece;

typedef struct pair {
    int32_t left, right;
    int64_t count;
    int32_t *words; /* where it occurs, or did */
    int64_t list, room;
} pair;

struct kin_bpe_trainer {
    word *word;
    int64_t words, word_room;
    int64_t *word_slot; /* hash table: index + 1 */
    int64_t word_mask;
    piece *piece;
    int64_t pieces;
    pair *pair;
    int64_t pairs, pair_room;
    int64_t *pair_slot;
    int64_t pair_mask;
};

kin_bpe_trainer *kin_bpe_trainer_new(kin_ctx *cx)
{
    return kin_alloc0(cx, 1, sizeof(kin_bpe_trainer));
}

void kin_bpe_trainer_free(kin_bpe_trainer *t)
{
    if (!t) return;
    for (int64_t i = 0; i < t->words; i++) {
        free(t->word[i].bytes);
        free(t->word[i].id);
    }
    for (int64_t i = 0; i < t->pieces; i++) free(t->piece[i].bytes);
    for (int64_t i = 0; i < t->pairs; i++) free(t->pair[i].words);
    free(t->word);
    free(t->word_slot);
    free(t->piece);
    free(t->pair);
    free(t->pair_slot);
    free(t);
}

/* ---- words ---- */

static uint64_t word_hash(const uint8_t *bytes, int64_t n)
{
    return kin_fnv(KIN_FNV, bytes, (size_t)n);
}

static int64_t *word_place(const kin_bpe_trainer *t, const uint8_t *bytes, int64_t n)
{
    for (uint64_t h = word_hash(bytes, n);; h++) {
        int64_t *slot = &t->word_slot[h & (uint64_t)t->word_mask];
        if (*slot == 0) return slot;
        const word *w = &t->word[*slot - 1];
        if (w->size == n && memcmp(w->bytes, bytes, (size_t)n) == 0) return slot;
    }
}

static kin_status more_words(kin_ctx *cx, kin_bpe_trainer *t)
{
    const int64_t room = t->word_room ? 2 * t->word_room : 1024;
    word *grown = kin_regrow(cx, t->word, room, sizeof *grown);
    if (!grown) return cx->status;
    t->word = grown;
    t->word_room = room;
    int64_t *slots = kin_alloc0(cx, 4 * room, sizeof *slots);
    if (!slots) return cx->status;
    free(t->word_slot);
    t->word_slot = slots;
    t->word_mask = 4 * room - 1;
    for (int64_t i = 0; i < t->words; i++) *word_place(t, t->word[i].bytes, t->word[i].size) = i + 1;
    return KIN_OK;
}

kin_status kin_bpe_trainer_add(kin_ctx *cx, kin_bpe_trainer *t, const uint8_t *bytes, int64_t n)
{
    if (t->words == t->word_room) KIN_TRY(more_words(cx, t));
    int64_t *slot = word_place(t, bytes, n);
    if (*slot == 0) {
        word *w = &t->word[t->words];
        *w = (word){.bytes = kin_alloc(cx, n, 1), .size = n};
        if (!w->bytes) return cx->status;
        memcpy(w->bytes, bytes, (size_t)n);
        *slot = ++t->words;
    }
    t->word[*slot - 1].count++;
    return KIN_OK;
}

/* ---- pairs ---- */

static uint64_t pair_hash(int32_t left, int32_t right)
{
    const uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15ull;
    return h ^ h >> 29;
}

static int64_t *pair_place(const kin_bpe_trainer *t, int32_t left, int32_t right)
{
    for (uint64_t h = pair_hash(left, right);; h++) {
        int64_t *slot = &t->pair_slot[h & (uint64_t)t->pair_mask];
        if (*slot == 0) return slot;
        const pair *p = &t->pair[*slot - 1];
        if (p->left == left && p->right == right) return slot;
    }
}

static kin_status more_pairs(kin_ctx *cx, kin_bpe_trainer *t)
{
    const int64_t room = t->pair_room ? 2 * t->pair_room : 4096;
    pair *grown = kin_regrow(cx, t->pair, room, sizeof *grown);
    if (!grown) return cx->status;
    t->pair = grown;
    t->pair_room = room;
    int64_t *slots = kin_alloc0(cx, 4 * room, sizeof *slots);
    if (!slots) return cx->status;
    free(t->pair_slot);
    t->pair_slot = slots;
    t->pair_mask = 4 * room - 1;
    for (int64_t i = 0; i < t->pairs; i++) *pair_place(t, t->pair[i].left, t->pair[i].right) = i + 1;
    return KIN_OK;
}

/* Adds to the count of a pair, and the word to its list. */
static kin_status count_pair(kin_ctx *cx, kin_bpe_trainer *t, int32_t left, int32_t right, int64_t count,
                             int32_t in_word)
{
    if (t->pairs == t->pair_room) KIN_TRY(more_pairs(cx, t));
    int64_t *slot = pair_place(t, left, right);
    if (*slot == 0) {
        t->pair[t->pairs] = (pair){.left = left, .right = right};
        *slot = ++t->pairs;
    }
    pair *p = &t->pair[*slot - 1];
    p->count += count;
    if (count < 0 || (p->list > 0 && p->words[p->list - 1] == in_word)) return KIN_OK;
    if (p->list == p->room) {
        const int64_t room = p->room ? 2 * p->room : 4;
        int32_t *grown = kin_regrow(cx, p->words, room, sizeof *grown);
        if (!grown) return cx->status;
        p->words = grown;
        p->room = room;
    }
    p->words[p->list++] = in_word;
    return KIN_OK;
}

static int compare(const piece *a, const piece *b)
{
    const int64_t n = a->size < b->size ? a->size : b->size;
    const int by_bytes = memcmp(a->bytes, b->bytes, (size_t)n);
    if (by_bytes) return by_bytes;
    if (a->size != b->size) return a->size < b->size ? -1 : 1;
    return (int)a->last - (int)b->last;
}

/* The most frequent pair, of equal ones the first in byte order; NULL when none occurs twice. */
static const pair *best_pair(const kin_bpe_trainer *t)
{
    const pair *best = NULL;
    for (const pair *p = t->pair; p < t->pair + t->pairs; p++) {
        if (p->count < 2 || (best && p->count < best->count)) continue;
        if (best && p->count == best->count) {
            const int left = compare(&t->piece[p->left], &t->piece[best->left]);
            if (left > 0 || (left == 0 && compare(&t->piece[p->right], &t->piece[best->right]) > 0)) continue;
        }
        best = p;
    }
    return best;
}

/* ---- learning ---- */

static kin_status start(kin_ctx *cx, kin_bpe_trainer *t, int64_t most)
{
    t->piece = kin_alloc0(cx, most, sizeof *t->piece);
    for (int i = 0; t->piece && i < KIN_BPE_BYTES; i++) {
        uint8_t *byte = kin_alloc(cx, 1, 1);
        if (!byte) return cx->status;
        *byte = (uint8_t)(i % 256);
        t->piece[t->pieces++] = (piece){byte, 1, i >= 256};
    }
    KIN_TRY(cx->status);
    for (int64_t i = 0; i < t->words; i++) {
        word *w = &t->word[i];
        w->id = kin_alloc(cx, w->size, sizeof *w->id);
        if (!w->id) return cx->status;
        w->symbols = w->size;
        for (int64_t k = 0; k < w->size; k++) w->id[k] = w->bytes[k] + (k + 1 == w->size ? 256 : 0);
        for (int64_t k = 0; k + 1 < w->size; k++)
            KIN_TRY(count_pair(cx, t, w->id[k], w->id[k + 1], w->count, (int32_t)i));
    }
    return KIN_OK;
}

static kin_status add_piece(kin_ctx *cx, kin_bpe_trainer *t, const piece *a, const piece *b)
{
    uint8_t *bytes = kin_alloc(cx, a->size + b->size, 1);
    if (!bytes) return cx->status;
    memcpy(bytes, a->bytes, (size_t)a->size);
    memcpy(bytes + a->size, b->bytes, (size_t)b->size);
    t->piece[t->pieces++] = (piece){bytes, a->size + b->size, b->last};
    return KIN_OK;
}

static kin_status count_word(kin_ctx *cx, kin_bpe_trainer *t, int32_t w, int64_t sign)
{
    for (int64_t k = 0; k + 1 < t->word[w].symbols; k++)
        KIN_TRY(count_pair(cx, t, t->word[w].id[k], t->word[w].id[k + 1], sign * t->word[w].count, w));
    return KIN_OK;
}

/* Joins the pair in one word: its pairs are counted out, then those of what it became counted in. */
static kin_status join(kin_ctx *cx, kin_bpe_trainer *t, int32_t w, int32_t left, int32_t right, int32_t id)
{
    word *it = &t->word[w];
    bool there = false;
    for (int64_t k = 0; k + 1 < it->symbols; k++) there |= it->id[k] == left && it->id[k + 1] == right;
    if (!there) return KIN_OK;
    KIN_TRY(count_word(cx, t, w, -1));
    int64_t to = 0;
    for (int64_t k = 0; k < it->symbols; k++) {
        const bool both = k + 1 < it->symbols && it->id[k] == left && it->id[k + 1] == right;
        it->id[to++] = both ? id : it->id[k];
        k += both;
    }
    it->symbols = to;
    return count_word(cx, t, w, 1);
}

static void print_piece(FILE *f, const piece *p)
{
    char name[4];
    for (int64_t i = 0; i < p->size; i++) fwrite(name, 1, (size_t)kin_bpe_char(p->bytes[i], name), f);
    if (p->last) fputs("</w>", f);
}

static kin_status learn(kin_ctx *cx, kin_bpe_trainer *t, int64_t merges, FILE *f)
{
    KIN_TRY(start(cx, t, KIN_BPE_BYTES + merges));
    for (int64_t m = 0; m < merges; m++) {
        const pair *best = best_pair(t);
        if (!best) break;
        const int32_t left = best->left, right = best->right, id = (int32_t)t->pieces;
        print_piece(f, &t->piece[left]);
        fputc(' ', f);
        print_piece(f, &t->piece[right]);
        fputc('\n', f);
        KIN_TRY(add_piece(cx, t, &t->piece[left], &t->piece[right]));
        const int64_t at = best - t->pair, list = best->list;
        /* The list may move while it is read: words are joined, new pairs are counted. */
        for (int64_t k = 0; k < list; k++) KIN_TRY(join(cx, t, t->pair[at].words[k], left, right, id));
    }
    return KIN_OK;
}

char *kin_bpe_trainer_learn(kin_ctx *cx, kin_bpe_trainer *t, int64_t vocab)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) {
        kin_fail(cx, KIN_NOMEM, "out of memory for merges");
        return NULL;
    }
    learn(cx, t, kin_max64(0, vocab - KIN_BPE_BYTES - 2), f);
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) kin_fail(cx, KIN_NOMEM, "out of memory for merges");
    if (cx->status == KIN_OK) return text;
    free(text);
    return NULL;
}
