#include <string.h>

#include "tools/demo.h"

const demo_row demo_rows[] = {
    {"contrastive", NULL, true, false, "two towers, a dot product"},
    {"late", "contrastive", true, false, "their embeddings, a hidden layer"},
    {"cross-attention", "contrastive", true, false, "the text's rows look at the picture's (ALBEF)"},
    {"joint", "contrastive", true, false, "one transformer over both from the first layer (ViLT)"},
    {"mmt", "contrastive", true, false, "towers and a transformer over both (FLAVA)"},
    {"contrastive-deep", NULL, true, true, "two towers with as many parameters as cross-attention"},
    {"bag-of-words", NULL, true, true, "contrastive, blind to the order of words"},
    {"linear", "contrastive", true, true, "one linear layer over both embeddings"},
    {"gated", "contrastive", false, false, "cross-attention behind gates (Flamingo)"},
    {"experts", NULL, false, false, "shared attention, an MLP for each kind of row (VLMo)"},
    {NULL, NULL, false, false, NULL},
};

const demo_stage demo_stages[] = {
    {"towers", NULL, false, 1},          {"trunk", "towers", false, 1},
    {"swaps", "trunk", true, 1},         {"and", "trunk", true, 1 / 3.0},
    {"dropout", "trunk", true, 1 / 3.0}, {"xor", "and", true, 2 / 3.0},
    {"count", "trunk", true, 1 / 2.0},   {"questions", "trunk", true, 1},
    {"masked", "trunk", true, 1 / 2.0},  {NULL, NULL, false, 0},
};

const demo_measure demo_measures[] = {
    {"search", "trunk", DEMO_SEARCH, NULL, NULL, -1, DEMO_PAIRING, "R@1"},
    {"pairs", "trunk", DEMO_PAIRS, NULL, NULL, -1, DEMO_PAIRING, "R@1 by pairs"},
    {"match", "trunk", DEMO_MATCH, "scenes:match,seed=3,size=32", "test", 0.5, DEMO_PAIRING, "match"},
    {"swaps", "swaps", DEMO_TWINS, "scenes:swaps,seed=2,size=32", "val", 0.5, DEMO_PAIRING, "swaps"},
    {"hard_swaps", "swaps", DEMO_TWINS, "scenes:swaps,seed=3,size=32", "test", 0.5, DEMO_PAIRING,
     "hard swaps"},
    {"and", "and", DEMO_LABELS, "scenes:and,seed=3,size=32", "test", 0.5, DEMO_FACTS, "AND"},
    {"xor", "xor", DEMO_LABELS, "scenes:xor,seed=3,size=32", "test", 0.5, DEMO_FACTS, "XOR"},
    {"count", "count", DEMO_LABELS, "scenes:count,seed=3,size=32", "test", 1.0 / 3, DEMO_FACTS, "counting"},
    {"questions", "questions", DEMO_LABELS, "scenes:questions,seed=3,size=32", "test", 1.0 / 30, DEMO_FACTS,
     "questions"},
    {"masked", "masked", DEMO_LABELS, "scenes:masked,seed=3,size=32", "test", 1.0 / 16, DEMO_FACTS,
     "masked word"},
    {"no_picture", "and", DEMO_NO_IMAGE, "scenes:and,seed=3,size=32", "test", 0.5, DEMO_MISSING,
     "half missing"},
    {"dropout", "dropout", DEMO_LABELS, "scenes:and,seed=3,size=32", "test", 0.5, DEMO_MISSING,
     "none missing, dropout"},
    {"dropout_no_picture", "dropout", DEMO_NO_IMAGE, "scenes:and,seed=3,size=32", "test", 0.5, DEMO_MISSING,
     "half missing, dropout"},
    {NULL, NULL, DEMO_SEARCH, NULL, NULL, 0, DEMO_PAIRING, NULL},
};

const demo_scale demo_scales[] = {
    {"small", 8000, 8000, 600, 100, 4, "meant for 15 minutes on two cores"},
    {"full", 40000, 30000, 2000, 100, 8, "hours"},
    {"tiny", 80, 48, 40, 16, 1, "seconds: whether everything runs"},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

const demo_row *demo_find_row(const char *name)
{
    for (const demo_row *r = demo_rows; r->name; r++)
        if (strcmp(r->name, name) == 0) return r;
    return NULL;
}
