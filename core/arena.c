#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/backend.h"

/* Fresh 4 KiB pages cost about five times re-used ones: ask for 2 MiB pages, once. */
enum { HUGE = 2 << 20, LARGE = 256 << 20 };

static size_t rounded(int64_t bytes)
{
    return ((size_t)bytes + HUGE - 1) / HUGE * HUGE;
}

int64_t kin_pages_mapped(int64_t bytes)
{
    return (int64_t)rounded(bytes ? bytes : 1);
}

int64_t kin_pages_resident(const void *p, int64_t bytes)
{
    unsigned char there[4096];
    const int64_t page = sysconf(_SC_PAGESIZE), most = (int64_t)sizeof there * page;
    int64_t count = 0;
    for (int64_t left = p ? kin_pages_mapped(bytes) : 0, at = 0; left > 0; left -= most, at += most) {
        const int64_t now = kin_min64(left, most);
        union {
            const void *in;
            char *out;
        } u = {.in = p}; /* mincore looks, and changes nothing */
        if (mincore(u.out + at, (size_t)now, there) != 0) return 0;
        for (int64_t i = 0; i < now / page; i++) count += there[i] & 1;
    }
    return count * page;
}

/* The number in the first line of DIR/FILE that begins with key ("" for a file that is a number); -1: there
 * is none
 * ("max"). */
static int64_t number_in(const char *dir, const char *file, const char *key)
{
    char path[512], line[128];
    long long n = -1;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "re");
    while (f && n < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%lld", &n) != 1) n = -1;
    if (f) fclose(f);
    return (int64_t)n;
}

int64_t kin_memory_of_group(const char *dir)
{
    const int64_t most = number_in(dir, "memory.max", "");
    if (most < 0) return INT64_MAX;
    const int64_t used = kin_max64(0, number_in(dir, "memory.current", "")),
                  files = kin_max64(0, number_in(dir, "memory.stat", "inactive_file ")) +
                          kin_max64(0, number_in(dir, "memory.stat", "active_file "));
    return kin_max64(1, most - kin_max64(0, used - files));
}

int64_t kin_memory_available(void)
{
    char line[128];
    long long kib, sum = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lld", &kib) == 1 || sscanf(line, "SwapFree: %lld", &kib) == 1)
            sum += kib;
    if (f) fclose(f);
    return kin_min64((int64_t)sum * 1024, kin_memory_of_group("/sys/fs/cgroup"));
}

void *kin_pages_alloc(int64_t bytes)
{
    if (bytes < 0 || bytes > INT64_MAX - HUGE) return NULL;
    const int64_t most = bytes >= LARGE ? kin_memory_available() : 0;
    if (most > 0 && bytes > most) return NULL;
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
