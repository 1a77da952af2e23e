/* bpe: byte-level byte-pair encoding as CLIP has it: a word is its bytes, the last one marked "</w>"; merges
 * join neighbours, the one of lowest rank first. */
#ifndef KIN_BPE_H
#define KIN_BPE_H
#include "core/json.h"

enum { KIN_BPE_BYTES = 512 }; /* ids of single bytes: inside a word, then at its end */

typedef struct kin_bpe_token {
    uint8_t *bytes; /* owned; NULL: a special token */
    int32_t size;
    bool last; /* ends a word */
} kin_bpe_token;

typedef struct kin_bpe {
    kin_bpe_token *token; /* [vocab] */
    int64_t vocab;
    int32_t byte[2][256]; /* id of a byte inside a word, at its end */
    int32_t start, end;   /* special tokens */
    struct {
        int32_t left, right;
    } * merge; /* [merges], in order of rank */
    int64_t merges;
    struct kin_bpe_pair *pair; /* hash table of merges */
    int64_t pair_mask;
} kin_bpe;

/* The characters that stand for bytes in files (GPT-2's table): UTF-8 into to[4], returns its length. */
int kin_bpe_char(uint8_t byte, char to[4]);
/* The byte that a character of a file stands for; -1: none. */
int kin_bpe_byte(int32_t character);
/* Rank 0 .. 255 of a byte in CLIP's order of ids, and back. */
int kin_bpe_order(uint8_t byte);

/* From names to ids (vocab.json: {"a": 0, ...}, dense) and merges ("a b" a line; a line that begins with
 * "#version" or a quotation mark is none; at most `most`). what: names the files in messages. */
kin_status kin_bpe_build(kin_ctx *cx, kin_bpe *b, const char *what, const json_t *vocab, const char *merges,
                         int64_t size, int64_t most);
/* The names that merges alone imply: bytes, bytes with </w>, merges in order, start, end. NULL on failure. */
json_t *kin_bpe_names(kin_ctx *cx, const char *what, const char *merges, int64_t size, int64_t most);
void kin_bpe_free(kin_bpe *b);

/* ids of a word of n > 0 bytes, at most `room` of them. Returns how many; -1 with KIN_NOMEM. */
int64_t kin_bpe_encode(kin_ctx *cx, const kin_bpe *b, const uint8_t *word, int64_t n, int32_t *ids,
                       int64_t room);

/* Words with their counts, one after another as they come: learns merges until there are `vocab` names. */
typedef struct kin_bpe_trainer kin_bpe_trainer;
kin_bpe_trainer *kin_bpe_trainer_new(kin_ctx *cx);
kin_status kin_bpe_trainer_add(kin_ctx *cx, kin_bpe_trainer *t, const uint8_t *word, int64_t n);
/* merges.txt without its first line; owned by the caller. */
char *kin_bpe_trainer_learn(kin_ctx *cx, kin_bpe_trainer *t, int64_t vocab);
void kin_bpe_trainer_free(kin_bpe_trainer *t);

#endif
