/* config: a run's options. The rows of train/config.def become the members of kin_config, the keys of
 * `key = value` files and the command-line flags; dotted `model.*` keys override members of the model
 * JSON and are kept as text, in order, for train/model to apply.
 *
 * File: one `key = value` a line; '#' at the start of a line or after white space begins a comment; a
 * value may be quoted "..." (then \" \\ \n \r \t are escapes) to hold '#' or outer spaces. A key twice in
 * a file is an error. Errors name file:line, and an unknown key the nearest known one. */
#ifndef KIN_CONFIG_H
#define KIN_CONFIG_H
#include "core/base.h"

typedef struct kin_override {
    char *path;  /* "text.layers", without the "model." */
    char *value; /* as written */
} kin_override;

#define KIN_CONFIG_STRING char *
#define KIN_CONFIG_CHOICE char *
#define KIN_CONFIG_INT int64_t
#define KIN_CONFIG_REAL double
#define KIN_CONFIG_BOOL bool

typedef struct kin_config {
#define KEY(name, key, type, absent, min, max, help) KIN_CONFIG_##type name;
#include "train/config.def"
#undef KEY
    kin_override *overrides;
    int64_t override_count;
    bool *given; /* [number of keys] set by a file or a flag, not by default */
} kin_config;

/* Fills in the defaults. Free with kin_config_free, also after a failure. */
kin_status kin_config_init(kin_ctx *cx, kin_config *c);
void kin_config_free(kin_config *c);

/* Reads a file over what is there (a bare name is one of kin's own, train/shared.h); kin_config_parse the
 * same from text (`what` names it in messages). */
kin_status kin_config_load(kin_ctx *cx, kin_config *c, const char *path);
kin_status kin_config_parse(kin_ctx *cx, kin_config *c, const char *what, const char *text, int64_t size);
/* Sets one key from text, dotted model.* included; replaces what was there. */
kin_status kin_config_set(kin_ctx *cx, kin_config *c, const char *key, const char *value);
/* Reads arguments: `--config FILE` (wherever it stands) is loaded first, then the other flags lie over it:
 * `--key value`, `--key=value`; a BOOL also as bare `--key`. Anything else is KIN_ARG: the caller's usage. */
kin_status kin_config_args(kin_ctx *cx, kin_config *c, int argc, char **argv);

/* Was this key set by a file or flag? `key` as in files ("train-data"). */
bool kin_config_given(const kin_config *c, const char *key);

/* The effective options as text that reads back to the same (caller frees); and as an atomic file, without
 * what belongs to one call rather than to the run: resume, stop-at, dry-run, sanity, budget. */
char *kin_config_text(kin_ctx *cx, const kin_config *c);
kin_status kin_config_save(kin_ctx *cx, const kin_config *c, const char *path);
/* Every key as a flag: "--lr", its argument ("X", "N", "TEXT", "a|b", "" for a BOOL), its help. */
void kin_config_list(void (*each)(void *user, const char *flag, const char *argument, const char *help),
                     void *user);
/* One line a key: "  --lr REAL   peak learning rate (0.001)"; caller frees. */
char *kin_config_help(kin_ctx *cx);

#endif
