#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/tokenizer.h"
#include "tools/cli.h"

enum { MOST_IDS = 4096 };

static kin_status train(kin_ctx *cx, const char *data, const char *split, int64_t vocab, const char *out)
{
    kin_dataset *d = kin_dataset_open(cx, data, split, false);
    kin_tokenizer *t = d ? kin_tokenizer_train(cx, d->caption, d->captions, vocab) : NULL;
    if (t && kin_make_dirs(cx, out) == KIN_OK && kin_tokenizer_save(cx, t, out) == KIN_OK)
        printf("%s: %lld ids from %lld captions\n", out, (long long)kin_tokenizer_vocab_size(t),
               (long long)d->captions);
    kin_tokenizer_free(t);
    kin_dataset_close(d);
    return cx->status;
}

static kin_status show(kin_ctx *cx, const char *vocabulary, const char *text)
{
    kin_tokenizer *t = kin_tokenizer_load(cx, vocabulary);
    if (!t) return cx->status;
    int32_t ids[MOST_IDS];
    const int64_t n = kin_tokenizer_encode(cx, t, text, MOST_IDS, ids);
    for (int64_t i = 0; i < n; i++) {
        char *piece = kin_tokenizer_decode(cx, t, &ids[i], 1);
        printf("%6d  %s\n", (int)ids[i],
               ids[i] == kin_tokenizer_start(t) ? "<|startoftext|>"
               : ids[i] == kin_tokenizer_end(t) ? "<|endoftext|>"
               : piece                          ? piece
                                                : "");
        free(piece);
    }
    kin_tokenizer_free(t);
    return cx->status;
}

int cmd_tokenizer(kin_ctx *cx, int argc, char **argv)
{
    const char *word[2] = {NULL, NULL}, *data = NULL, *split = "train", *out = NULL, *vocabulary = NULL;
    int64_t vocab = 4096;
    const cli_flag flags[] = {
        {"--data", CLI_TEXT, &data, NULL, NULL, "P train: pairs whose captions are read, as kin train's"},
        {"--split", CLI_TEXT, &split, NULL, NULL, "NAME train: of the data (train)"},
        {"--vocab", CLI_NUMBER, NULL, &vocab, NULL, "N train: how many ids (4096)"},
        {"--out", CLI_TEXT, &out, NULL, NULL, "DIR train: folder for vocab.json and merges.txt"},
        {"--tokenizer", CLI_TEXT, &vocabulary, NULL, NULL, "P encode: vocabulary file or model folder"},
        CLI_END,
    };
    bool helped;
    const char *usage =
        "tokenizer train --data P --out DIR [--vocab N] | tokenizer encode --tokenizer P TEXT";
    if (!cli_parse(cx, argc, argv, usage, flags, word, 2, &helped)) return helped ? CLI_DONE : CLI_USAGE;
    if (word[0] && strcmp(word[0], "train") == 0 && !word[1]) {
        if (!cli_need(cx, data, "--data") || !cli_need(cx, out, "--out")) return CLI_USAGE;
        train(cx, data, split, vocab, out);
        return cli_exit(cx);
    }
    if (word[0] && strcmp(word[0], "encode") == 0 && word[1]) {
        if (!cli_need(cx, vocabulary, "--tokenizer")) return CLI_USAGE;
        show(cx, vocabulary, word[1]);
        return cli_exit(cx);
    }
    kin_fail(cx, KIN_ARG, "usage: kin %s", usage);
    return CLI_USAGE;
}
