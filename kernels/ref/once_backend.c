#include <stdlib.h>
#include <string.h>

#include "core/backend.h"
#include "kernels/ref/ref.h"

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

static void close(kin_backend *b)
{
    free(b);
}

kin_backend *kin_backend_ref(kin_ctx *cx, kin_dtype dtype)
{
    kin_backend *b = kin_alloc(cx, 1, sizeof *b);
    if (!b) return NULL;
    const bool wide = dtype == KIN_F64;
    *b = (kin_backend){.name = wide ? "ref64" : "ref32",
                       .real = wide ? KIN_F64 : KIN_F32,
                       .ops = wide ? kin_ref64_ops : kin_ref32_ops,
                       .fns = wide ? kin_ref64_fns : kin_ref32_fns,
                       .host = true,
                       .alloc = alloc,
                       .release = release,
                       .upload = copy,
                       .download = copy,
                       .swap = kin_pages_swap,
                       .sync = sync,
                       .close = close};
    return b;
}
