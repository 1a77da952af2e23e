#include <string.h>
#include <sys/mman.h>

#include "core/backend.h"

/* Fresh 4 KiB pages cost about five times re-used ones: ask for 2 MiB pages, once. */
enum { HUGE = 2 << 20 };

static size_t rounded(int64_t bytes)
{
    return ((size_t)bytes + HUGE - 1) / HUGE * HUGE;
}

void *kin_pages_alloc(int64_t bytes)
{
    if (bytes < 0 || bytes > INT64_MAX - HUGE) return NULL;
    const size_t n = rounded(bytes ? bytes : 1);
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    madvise(p, n, MADV_HUGEPAGE); /* only a wish: without it all still works */
    return p;
}

void kin_pages_free(void *p, int64_t bytes)
{
    if (p) munmap(p, rounded(bytes ? bytes : 1));
}

void kin_pages_swap(kin_backend *b, void *x, void *y, int64_t bytes)
{
    char buffer[4096], *p = x, *q = y;
    (void)b;
    for (; bytes > 0; bytes -= (int64_t)sizeof buffer, p += sizeof buffer, q += sizeof buffer) {
        const size_t n = (size_t)kin_min64(bytes, sizeof buffer);
        memcpy(buffer, p, n);
        memcpy(p, q, n);
        memcpy(q, buffer, n);
    }
}
