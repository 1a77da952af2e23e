#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/blas.h"

static kin_sgemm_fn sgemm;
static const char *loaded = "";

/* By what a processor can do, not by its model number, which an old library does not know. */
const char *kin_blas_core(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return __builtin_cpu_is("amd") ? "Zen" : "Haswell";
#endif
    return "";
}

static void load(void)
{
    const char *core = kin_blas_core();
    if (*core) setenv("OPENBLAS_CORETYPE", core, 0); /* a user's choice stays */
    setenv("OPENBLAS_NUM_THREADS", "1", 1);          /* or it starts threads when it is loaded */
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    void *product = library ? dlsym(library, "cblas_sgemm") : NULL;
    void *threads = library ? dlsym(library, "openblas_set_num_threads") : NULL;
    void *name = library ? dlsym(library, "openblas_get_corename") : NULL;
    if (!product || !threads || !name) return;
    char *(*get_name)(void);
    void (*set_threads)(int);
    memcpy(&set_threads, &threads, sizeof set_threads); /* ISO C has no cast from object to function */
    set_threads(1);
    memcpy(&get_name, &name, sizeof get_name);
    loaded = get_name();
    memcpy(&sgemm, &product, sizeof sgemm);
}

kin_sgemm_fn kin_blas_sgemm(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return sgemm;
}

const char *kin_blas_loaded(void)
{
    return loaded;
}

/* First match wins; no match: kin's own. */
static const struct row {
    const char *core;
    bool ta, tb;
    long long m, n, k; /* at most; 0: any */
    bool openblas;
} table[] = {
#define GEMM(core, ta, tb, m, n, k, openblas) {core, ta, tb, m, n, k, openblas},
#include "kernels/cpu/gemm_table.def"
#undef GEMM
    {"", false, false, 0, 0, 0, false},
};
enum { ROWS = sizeof table / sizeof *table };

bool kin_blas_has_rows(void)
{
    for (size_t i = 0; i < ROWS; i++)
        if (table[i].openblas && strcmp(table[i].core, kin_blas_core()) == 0) return true;
    return false;
}

bool kin_blas_is_faster(bool ta, bool tb, long long m, long long n, long long k)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &table[i];
        if (r->ta == ta && r->tb == tb && (!r->m || m <= r->m) && (!r->n || n <= r->n) &&
            (!r->k || k <= r->k) && strcmp(r->core, kin_blas_core()) == 0)
            return r->openblas;
    }
    return false;
}
