#include "train/shared.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 4 };

/* Place i, with a / at its end; the caller frees. */
static char *place(kin_ctx *cx, int i, const char *folder)
{
    static const char *const under[PLACES] = {"configs", "../configs", "../../configs", "../share/kin"};
    char exe[4096];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    char *slash = strrchr(exe, '/');
    if (slash) *slash = 0;
    return kin_sprintf(cx, "%s%s%s%s%s/", i ? exe : "", i ? "/" : "", under[i], *folder ? "/" : "", folder);
}

typedef struct names {
    const char *wanted;
    char list[600], nearest[64];
    int least;
} names;

static void note(names *k, const char *name)
{
    const int d = kin_edit_distance(k->wanted, name);
    if (strlen(k->list) + strlen(name) + 3 < sizeof k->list) {
        if (*k->list) strcat(k->list, ", ");
        strcat(k->list, name);
    }
    if (d >= k->least) return;
    k->least = d;
    snprintf(k->nearest, sizeof k->nearest, "%.63s", name);
}

static void list(names *k, const char *folder, const char *ext)
{
    struct dirent **entry;
    const int n = scandir(folder, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *dot = strrchr(entry[i]->d_name, '.');
        if (dot && dot > entry[i]->d_name && strcmp(dot, ext) == 0) {
            *dot = 0;
            note(k, entry[i]->d_name);
        }
        free(entry[i]);
    }
    if (n >= 0) free(entry);
}

char *kin_shared_find(kin_ctx *cx, const char *kind, const char *folder, const char *name, const char *ext)
{
    names k = {.wanted = name, .least = (int)strlen(name) / 3 + 2};
    for (int i = 0; i < PLACES; i++) {
        char *where = place(cx, i, folder),
             *path = where ? kin_sprintf(cx, "%s%s%s", where, name, ext) : NULL;
        const bool there = path && access(path, R_OK) == 0;
        if (where && !there && !*k.list) list(&k, where, ext);
        free(where);
        if (there) return path;
        free(path);
        if (cx->status != KIN_OK) return NULL;
    }
    kin_fail(cx, KIN_ARG, "%s '%s': no such file, and no such name%s%s%s names are: %s", kind, name,
             *k.nearest ? "; did you mean '" : ";", k.nearest, *k.nearest ? "'?" : "",
             *k.list ? k.list : "none");
    return NULL;
}
