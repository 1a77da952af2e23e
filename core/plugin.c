#include "core/plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the library may be, in order; the caller frees; NULL past the last. */
static char *candidate(kin_ctx *cx, const char *name, int i)
{
    const char *folder = getenv("KIN_PLUGINS");
    char exe[4096];
    if (folder && *folder) return i == 0 ? kin_sprintf(cx, "%s/libkin_%s.so", folder, name) : NULL;
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    char *slash = strrchr(exe, '/');
    if (slash) *slash = 0;
    switch (i) {
    case 0: return kin_sprintf(cx, "%s/libkin_%s.so", exe, name);
    case 1: return kin_sprintf(cx, "%s/../lib/libkin_%s.so", exe, name);
    case 2: return kin_sprintf(cx, "libkin_%s.so", name);
    default: return NULL;
    }
}

static void *load(kin_ctx *cx, const char *name)
{
    char *path, why[400] = "";
    for (int i = 0; (path = candidate(cx, name, i)); i++) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        const bool there = !library && access(path, R_OK) == 0;
        const char *error = library ? NULL : dlerror();
        if (there) kin_fail(cx, KIN_UNSUPPORTED, "device = %s: %s", name, error ? error : path);
        if (i == 0) strncat(why, path, sizeof why - 1);
        free(path);
        if (library || there) return library;
    }
    kin_fail(
        cx, KIN_UNSUPPORTED,
        "device = %s: libkin_%s.so was not found (looked for %s first); 'make' builds it where the compiler "
        "for it is installed",
        name, name, why);
    return NULL;
}

kin_backend *kin_plugin_open(kin_ctx *cx, const char *name)
{
    void *library = load(cx, name);
    if (!library) return NULL;
    const kin_plugin *p = dlsym(library, "kin_plugin_v1");
    if (!p)
        kin_fail(cx, KIN_UNSUPPORTED, "libkin_%s.so is no plug-in of kin: it has no kin_plugin_v1", name);
    else if (p->abi != KIN_PLUGIN_ABI || p->ops_hash != kin_ops_hash())
        kin_fail(
            cx, KIN_UNSUPPORTED,
            "libkin_%s.so (plug-in '%s') was made for another kin (its hash is %016llx, this one's %016llx): "
            "build both from the same sources",
            name, p->abi == KIN_PLUGIN_ABI ? p->name : "?", (unsigned long long)p->ops_hash,
            (unsigned long long)kin_ops_hash());
    kin_backend *b = p && cx->status == KIN_OK ? p->init(cx) : NULL;
    if (!b) dlclose(library); /* a library in use stays until the program ends */
    return b;
}

kin_backend *kin_backend_open(kin_ctx *cx, const char *device, int threads, const char *isa)
{
    if (strcmp(device, "cpu") == 0) return kin_backend_cpu(cx, threads, isa);
    return kin_plugin_open(cx, device);
}
