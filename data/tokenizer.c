#include "data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "data/bpe.h"
#include "data/gzip.h"
#include "data/unicode.h"

enum { FILE_LIMIT = 1 << 28, CLIP_MERGES = 48894 };

struct kin_tokenizer {
    kin_bpe bpe;
};

/* ---- words ---- */

/* What is done with each word of a text; false: no more of them. */
typedef bool (*on_word)(kin_ctx *cx, void *user, const uint8_t *word, int64_t size);

static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

/* Bytes of the word at p, which is no blank: a contraction, letters, one number, or anything else. */
static int64_t word_at(const char *p, const char *end)
{
    for (size_t i = 0; *p == '\'' && i < sizeof contractions / sizeof *contractions; i++) {
        const size_t n = strlen(contractions[i]);
        if ((size_t)(end - p) >= n && memcmp(p, contractions[i], n) == 0) return (int64_t)n;
    }
    int n;
    const kin_char_class kind = kin_char_class_of(kin_char_at(p, end, &n));
    const char *at = p + n;
    if (kind == KIN_CHAR_NUMBER) return n;
    for (; at < end; at += n)
        if (kin_char_class_of(kin_char_at(at, end, &n)) != kind) break;
    return at - p;
}

static kin_status each_word(kin_ctx *cx, const char *text, int64_t size, on_word visit, void *user,
                            bool *more)
{
    int64_t n;
    char *normal = kin_text_normalise(cx, text, size, &n);
    if (!normal) return cx->status;
    for (const char *p = normal, *end = normal + n; *more && p < end;) {
        if (*p == ' ') {
            p++;
            continue;
        }
        const int64_t bytes = word_at(p, end);
        *more = visit(cx, user, (const uint8_t *)p, bytes);
        p += bytes;
    }
    free(normal);
    return cx->status;
}

/* ---- encoding ---- */

static const struct {
    const char *name;
    bool start;
} specials[] = {
    {"<|startoftext|>", true}, {"<|endoftext|>", false}, {"<start_of_text>", true}, {"<end_of_text>", false}};

/* The first special token in a text, NULL: none. */
static const char *find_special(const char *text, size_t *size, bool *start)
{
    const char *first = NULL;
    if (!strchr(text, '<')) return NULL;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        const char *at = strstr(text, specials[i].name);
        if (!at || (first && at >= first)) continue;
        first = at;
        *size = strlen(specials[i].name);
        *start = specials[i].start;
    }
    return first;
}

typedef struct sink {
    const kin_bpe *bpe;
    int32_t *ids;
    int64_t count, room;
} sink;

static bool add_word(kin_ctx *cx, void *user, const uint8_t *word, int64_t size)
{
    sink *s = user;
    const int64_t n = kin_bpe_encode(cx, s->bpe, word, size, s->ids + s->count, s->room - s->count);
    if (n < 0) return false;
    s->count += n;
    return s->count < s->room;
}

int64_t kin_tokenizer_encode(kin_ctx *cx, const kin_tokenizer *t, const char *text, int64_t context,
                             int32_t *ids)
{
    if (context < 2) {
        kin_fail(cx, KIN_ARG, "a context of %lld has no room for a text", (long long)context);
        return -1;
    }
    sink s = {&t->bpe, ids, 1, context};
    ids[0] = t->bpe.start;
    bool more = true;
    while (more) {
        size_t size = 0;
        bool start = false;
        const char *special = find_special(text, &size, &start);
        const int64_t before = special ? special - text : (int64_t)strlen(text);
        if (each_word(cx, text, before, add_word, &s, &more) != KIN_OK) return -1;
        if (!special) break;
        if (more) ids[s.count++] = start ? t->bpe.start : t->bpe.end;
        more = s.count < s.room;
        text = special + size;
    }
    if (s.count == context) s.count--; /* full: the last one gives way */
    ids[s.count++] = t->bpe.end;
    return s.count;
}

char *kin_tokenizer_decode(kin_ctx *cx, const kin_tokenizer *t, const int32_t *ids, int64_t count)
{
    int64_t room = 1;
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= t->bpe.vocab) {
            kin_fail(cx, KIN_ARG, "id %d; the vocabulary has %lld", (int)ids[i], (long long)t->bpe.vocab);
            return NULL;
        }
        room += t->bpe.token[ids[i]].size + 1;
    }
    char *text = kin_alloc(cx, room, 1), *to = text;
    for (int64_t i = 0; text && i < count; i++) {
        const kin_bpe_token *token = &t->bpe.token[ids[i]];
        if (token->size) memcpy(to, token->bytes, (size_t)token->size);
        to += token->size;
        if (token->last && i + 1 < count) *to++ = ' ';
    }
    if (text) {
        while (to > text && to[-1] == ' ') to--;
        *to = '\0';
    }
    return text;
}

bool kin_tokenizer_ends_word(const kin_tokenizer *t, int32_t id)
{
    return id < 0 || id >= t->bpe.vocab || id == t->bpe.start || id == t->bpe.end || t->bpe.token[id].last;
}

/* ---- making ---- */

void kin_tokenizer_free(kin_tokenizer *t)
{
    if (!t) return;
    kin_bpe_free(&t->bpe);
    free(t);
}

int64_t kin_tokenizer_vocab_size(const kin_tokenizer *t)
{
    return t->bpe.vocab;
}

int32_t kin_tokenizer_start(const kin_tokenizer *t)
{
    return t->bpe.start;
}

int32_t kin_tokenizer_end(const kin_tokenizer *t)
{
    return t->bpe.end;
}

/* names NULL: those that the merges imply. */
static kin_tokenizer *build(kin_ctx *cx, const char *what, const json_t *names, const char *merges,
                            int64_t size, int64_t most)
{
    json_t *implied = names ? NULL : kin_bpe_names(cx, what, merges, size, most);
    kin_tokenizer *t = names || implied ? kin_alloc0(cx, 1, sizeof *t) : NULL;
    if (t && kin_bpe_build(cx, &t->bpe, what, names ? names : implied, merges, size, most) != KIN_OK) {
        free(t);
        t = NULL;
    }
    json_decref(implied);
    return t;
}

/* The file, unpacked if it is packed. */
static kin_status read_text(kin_ctx *cx, const char *path, char **text, int64_t *size)
{
    uint8_t *bytes;
    KIN_TRY(kin_read_file(cx, path, FILE_LIMIT, &bytes, size));
    *text = (char *)bytes;
    if (!kin_is_gzip(bytes, *size)) return KIN_OK;
    uint8_t *plain;
    const kin_status rc = kin_gunzip(cx, path, bytes, *size, FILE_LIMIT, &plain, size);
    free(bytes);
    *text = (char *)plain;
    return rc;
}

static kin_tokenizer *load_file(kin_ctx *cx, const char *path)
{
    char *text = NULL;
    int64_t size;
    if (read_text(cx, path, &text, &size) != KIN_OK) return NULL;
    /* OpenAI's file has more merges than CLIP uses. */
    const bool clip = strncmp(text, "\"bpe_simple_vocab_16e6", 22) == 0;
    kin_tokenizer *t = build(cx, path, NULL, text, size, clip ? CLIP_MERGES : INT32_MAX);
    free(text);
    return t;
}

static kin_tokenizer *load_folder(kin_ctx *cx, const char *folder)
{
    char *vocab = kin_sprintf(cx, "%s/vocab.json", folder),
         *merges = kin_sprintf(cx, "%s/merges.txt", folder);
    char *text = NULL;
    int64_t size = 0;
    json_t *names = vocab && merges ? kin_json_load(cx, vocab, FILE_LIMIT) : NULL;
    kin_tokenizer *t = NULL;
    if (names && read_text(cx, merges, &text, &size) == KIN_OK)
        t = build(cx, folder, names, text, size, INT32_MAX);
    json_decref(names);
    free(text);
    free(vocab);
    free(merges);
    return t;
}

kin_tokenizer *kin_tokenizer_load(kin_ctx *cx, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return load_folder(cx, path);
    return load_file(cx, path);
}

static bool count_word(kin_ctx *cx, void *user, const uint8_t *word, int64_t size)
{
    return kin_bpe_trainer_add(cx, user, word, size) == KIN_OK;
}

kin_tokenizer *kin_tokenizer_train(kin_ctx *cx, const char *const *texts, int64_t count, int64_t vocab)
{
    enum { LEAST = KIN_BPE_BYTES + 2 };
    if (vocab < LEAST || vocab > 1 << 24) {
        kin_fail(cx, KIN_ARG, "a vocabulary of %lld; byte-level BPE has %d to 2^24 tokens", (long long)vocab,
                 LEAST);
        return NULL;
    }
    kin_bpe_trainer *trainer = kin_bpe_trainer_new(cx);
    bool more = trainer != NULL;
    for (int64_t i = 0; more && i < count; i++)
        each_word(cx, texts[i], (int64_t)strlen(texts[i]), count_word, trainer, &more);
    char *merges = cx->status == KIN_OK ? kin_bpe_trainer_learn(cx, trainer, vocab) : NULL;
    kin_bpe_trainer_free(trainer);
    kin_tokenizer *t =
        merges ? build(cx, "a vocabulary just learned", NULL, merges, (int64_t)strlen(merges), vocab) : NULL;
    free(merges);
    return t;
}

/* ---- saving ---- */

static void print_name(FILE *f, const kin_bpe *b, int32_t id)
{
    char name[4];
    const kin_bpe_token *t = &b->token[id];
    if (id == b->start || id == b->end) {
        fputs(id == b->start ? "<|startoftext|>" : "<|endoftext|>", f);
        return;
    }
    for (int32_t i = 0; i < t->size; i++) fwrite(name, 1, (size_t)kin_bpe_char(t->bytes[i], name), f);
    if (t->last) fputs("</w>", f);
}

static void print_merges(FILE *f, const kin_bpe *b)
{
    fputs("#version: 0.2\n", f);
    for (int64_t i = 0; i < b->merges; i++) {
        print_name(f, b, b->merge[i].left);
        fputc(' ', f);
        print_name(f, b, b->merge[i].right);
        fputc('\n', f);
    }
}

static void print_vocab(FILE *f, const kin_bpe *b)
{
    json_t *names = json_object();
    for (int32_t id = 0; id < b->vocab; id++) {
        char *name = NULL;
        size_t size;
        FILE *n = open_memstream(&name, &size);
        if (n) print_name(n, b, id);
        if (n && fclose(n) == 0) json_object_set_new(names, name, json_integer(id));
        free(name);
    }
    json_dumpf(names, f, JSON_COMPACT);
    json_decref(names);
}

static kin_status save(kin_ctx *cx, const kin_bpe *b, const char *folder, const char *name,
                       void (*print)(FILE *f, const kin_bpe *b))
{
    char *path = kin_sprintf(cx, "%s/%s", folder, name), *text = NULL;
    size_t size = 0;
    FILE *f = path ? open_memstream(&text, &size) : NULL;
    if (f) print(f, b);
    const bool bad = !f || ferror(f);
    if ((f && fclose(f) != 0) || bad)
        kin_fail(cx, KIN_NOMEM, "%s/%s: out of memory", folder, name);
    else
        kin_write_file(cx, path, text, (int64_t)size);
    free(text);
    free(path);
    return cx->status;
}

kin_status kin_tokenizer_save(kin_ctx *cx, const kin_tokenizer *t, const char *folder)
{
    KIN_TRY(save(cx, &t->bpe, folder, "vocab.json", print_vocab));
    return save(cx, &t->bpe, folder, "merges.txt", print_merges);
}
