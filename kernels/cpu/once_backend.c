#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/backend.h"
#include "kernels/cpu/cpu.h"

#if defined(__x86_64__)
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd");
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
#endif

static bool has_any(void)
{
    return true;
}

/* Best first. */
static const struct isa {
    const char *isa, *name;
    bool (*supported)(void);
    const kin_kernel *ops;
    const kin_fn_kernel *fns;
} table[] = {
#if defined(__x86_64__)
    {"avx512", "cpu-avx512", has_avx512, kin_cpu_avx512_ops, kin_cpu_avx512_fns},
    {"avx2", "cpu-avx2", has_avx2, kin_cpu_avx2_ops, kin_cpu_avx2_fns},
#endif
    {"plain", "cpu-plain", has_any, kin_cpu_plain_ops, kin_cpu_plain_fns},
};

static const struct isa *choose(kin_ctx *cx, const char *isa)
{
    const bool any = !isa || strcmp(isa, "auto") == 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (any ? table[i].supported() : strcmp(isa, table[i].isa) == 0) {
            if (table[i].supported()) return &table[i];
            kin_fail(cx, KIN_UNSUPPORTED, "kernels for %s: this processor does not have it", isa);
            return NULL;
        }
    }
    kin_fail(cx, KIN_UNSUPPORTED, "there are no kernels for '%s' in this build (avx512, avx2, plain)", isa);
    return NULL;
}

static void *alloc(kin_backend *b, int64_t bytes)
{
    (void)b;
    return kin_pages_alloc(bytes);
}

static void release(kin_backend *b, void *p, int64_t bytes)
{
    (void)b;
    kin_pages_free(p, bytes);
}

static void copy(kin_backend *b, void *to, const void *from, int64_t bytes)
{
    (void)b;
    if (bytes > 0) memcpy(to, from, (size_t)bytes);
}

static void sync(kin_backend *b)
{
    (void)b;
}

static int64_t room_bytes(const kin_cpu_dev *d)
{
    return d->threads * (int64_t)(KIN_CPU_ROOM + KIN_CPU_PACK);
}

static void close(kin_backend *b)
{
    kin_cpu_dev *d = b->dev;
    if (d) kin_pages_free(d->room, room_bytes(d));
    free(d);
    free(b);
}

kin_backend *kin_backend_cpu(kin_ctx *cx, int threads, const char *isa)
{
    enum { MOST = 4096 };
    const struct isa *row = choose(cx, isa);
    if (!row) return NULL;
    if (threads < 0 || threads > MOST) {
        kin_fail(cx, KIN_ARG, "%d threads; 1 to %d are possible, 0 takes all cores", threads, MOST);
        return NULL;
    }
    kin_backend *b = kin_alloc0(cx, 1, sizeof *b);
    kin_cpu_dev *d = kin_alloc0(cx, 1, sizeof *d);
    if (b && d) {
        d->threads = threads ? threads : kin_cores();
        d->room = kin_pages_alloc(room_bytes(d));
        *b = (kin_backend){.name = row->name,
                           .real = KIN_F32,
                           .ops = row->ops,
                           .fns = row->fns,
                           .dev = d,
                           .host = true,
                           .alloc = alloc,
                           .release = release,
                           .upload = copy,
                           .download = copy,
                           .swap = kin_pages_swap,
                           .sync = sync,
                           .close = close};
        d->sgemm = kin_blas_has_rows() ? kin_blas_sgemm() : NULL;
        if (d->room) return b;
        kin_fail(cx, KIN_NOMEM, "out of memory for %d threads", d->threads);
    }
    free(b);
    free(d);
    return NULL;
}

kin_status kin_backend_cpu_blas(kin_ctx *cx, kin_backend *b, const char *blas)
{
    const bool openblas = strcmp(blas, "openblas") == 0, automatic = strcmp(blas, "auto") == 0;
    if (!openblas && !automatic && strcmp(blas, "own") != 0)
        return kin_fail(cx, KIN_ARG, "matrix products by '%s': auto, own and openblas are known", blas);
    if (b->close != close) /* of another place than the processor */
        return automatic ? KIN_OK
                         : kin_fail(cx, KIN_ARG, "blas = %s is for kernels of the processor, not for %s",
                                    blas, b->name);
    kin_cpu_dev *d = b->dev;
    const bool wanted = openblas || (automatic && kin_blas_has_rows());
    d->sgemm = wanted ? kin_blas_sgemm() : NULL;
    d->always = openblas;
    if (openblas && !d->sgemm)
        return kin_fail(cx, KIN_UNSUPPORTED,
                        "OpenBLAS (libopenblas.so.0) is not installed: apt-get install libopenblas0-pthread, "
                        "or blas = own");
    return KIN_OK;
}
