/* shared: files that come with kin, found by bare name: models (configs/models/NAME.json) and runs
 * (configs/NAME.cfg, configs/techniques/NAME.cfg): in the working folder, beside the program, or where `make
 * install` puts them (share/kin). */
#ifndef KIN_SHARED_H
#define KIN_SHARED_H
#include "core/base.h"

/* The path of name + ext; the caller frees. folder: "", "models", "techniques". NULL: KIN_ARG, "KIND 'NAME':
 * no such file, and no such name; did you mean 'X'? names are: ..."; `kind` says what was looked for. */
char *kin_shared_find(kin_ctx *cx, const char *kind, const char *folder, const char *name, const char *ext);

#endif
