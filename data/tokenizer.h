/* tokenizer: text to ids. One kind so far: CLIP's byte-level BPE (Sennrich et al. 2016 over UTF-8 bytes), as
 * the fast Hugging Face CLIPTokenizer does it: NFC, runs of white space to one space, lower case; split into
 * words by
 *   special tokens | 's|'t|'re|'ve|'m|'ll|'d | [\p{L}]+ | [\p{N}] | [^\s\p{L}\p{N}]+
 * then merges, the pair of lowest rank first, the last symbol of a word carrying "</w>".
 *
 * Ids: 256 byte symbols, the same with </w>, one per merge, start-of-text, end-of-text (49408 in CLIP's own).
 * A tokenizer never changes once made: any number of threads may encode with it. */
#ifndef KIN_TOKENIZER_H
#define KIN_TOKENIZER_H
#include "core/base.h"

typedef struct kin_tokenizer kin_tokenizer;

/* From a model folder (vocab.json and merges.txt), a merges file, or CLIP's bpe_simple_vocab_16e6.txt[.gz]
 * (known by content, not by name). NULL on failure: the message names the file and what is wrong in which
 * line. */
kin_tokenizer *kin_tokenizer_load(kin_ctx *cx, const char *path);
/* Learns merges from `count` texts until there are `vocab` ids (at least 514; fewer when no pair occurs
 * twice). Deterministic: the most frequent pair, of equal ones the first in byte order. */
kin_tokenizer *kin_tokenizer_train(kin_ctx *cx, const char *const *texts, int64_t count, int64_t vocab);
/* Writes vocab.json and merges.txt (Hugging Face's form) into an existing folder. */
kin_status kin_tokenizer_save(kin_ctx *cx, const kin_tokenizer *t, const char *folder);
void kin_tokenizer_free(kin_tokenizer *t);

int64_t kin_tokenizer_vocab_size(const kin_tokenizer *t);
int32_t kin_tokenizer_start(const kin_tokenizer *t);
int32_t kin_tokenizer_end(const kin_tokenizer *t);

/* ids [context]: start-of-text, the text, end-of-text; what does not fit is cut and the last id is
 * end-of-text (open_clip's rule). Bytes that are not UTF-8 count as U+FFFD. Returns how many were written, at
 * least 2, or -1 with an error in cx (context < 2, no memory). */
int64_t kin_tokenizer_encode(kin_ctx *cx, const kin_tokenizer *t, const char *text, int64_t context,
                             int32_t *ids);
/* The text of ids, special tokens left out, "</w>" as a space; the caller frees it. NULL on failure (an id
 * out of range). */
char *kin_tokenizer_decode(kin_ctx *cx, const kin_tokenizer *t, const int32_t *ids, int64_t count);

/* Is that id the last of its word ("</w>")? A special token is a word of its own. */
bool kin_tokenizer_ends_word(const kin_tokenizer *t, int32_t id);

#endif
