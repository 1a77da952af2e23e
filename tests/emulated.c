#include "tests/emulated.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void set_fn(int order, uint64_t seed, int lazy, int64_t memory);
typedef int64_t launches_fn(const char *name);
static set_fn *set;
static launches_fn *launches;

/* ISO C has no cast from an object's address to a function's. */
static void *symbol(void *library, const char *name, void *to)
{
    void *p = dlsym(library, name);
    memcpy(to, &p, sizeof p);
    return p;
}

static bool find(kin_ctx *cx)
{
    char folder[4200], path[4300];
    const ssize_t n = readlink("/proc/self/exe", folder, 4096);
    folder[n > 0 ? n : 0] = 0;
    char *slash = strrchr(folder, '/');
    strcpy(slash ? slash : folder, "/../cuemu");
    snprintf(path, sizeof path, "%s/libkin_cuda.so", folder);
    setenv("KIN_PLUGINS", folder, 1);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library && symbol(library, "cuemu_set", &set) && symbol(library, "cuemu_launches", &launches))
        return true;
    kin_fail(cx, KIN_IO, "the emulated plug-in: %s", dlerror());
    return false;
}

kin_backend *emulated_open(kin_ctx *cx)
{
    return set || find(cx) ? kin_plugin_open(cx, "cuda") : NULL;
}

const char *emulated_order(int i)
{
    static const char *const name[EMULATED_ORDERS] = {"ascending", "descending", "random 1", "random 2"};
    static const int lazy[EMULATED_ORDERS] = {0, 1, 2, 1};
    set(i < 2 ? i : 2, (uint64_t)i, lazy[i], 0);
    return name[i];
}

void emulated_memory(int64_t bytes)
{
    set(0, 0, 1, bytes);
}

size_t emulated_some(size_t n, size_t few)
{
    return getenv("KIN_LONG") || n < few ? n : few;
}

int64_t emulated_launches(const char *kernel)
{
    return launches(kernel);
}
