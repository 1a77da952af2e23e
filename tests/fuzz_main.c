/* Drives a fuzz target (libFuzzer's LLVMFuzzerTestOneInput) without clang: replays the files of a folder,
 * then mutates them at random for some seconds.
 *
 *   fuzz_x [--seconds S] [--seed N] [FILE|FOLDER]...
 *
 * The input on trial is kept in KIN_FUZZ_LAST (default: fuzz-NAME.last beside the program), so that after a
 * crash it is at hand: run the program on that file. An input that takes more than a second of the processor
 * is a failure. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base.h"
#include "core/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, SEEDS_MAX = 512 };

static struct {
    uint8_t *data;
    int64_t size;
} seeds[SEEDS_MAX];
static uint32_t seed_count;
static uint8_t *last; /* shared mapping of the file: the size, then the bytes */

static void add_seed(const char *path)
{
    kin_ctx cx = {0};
    struct stat st;
    if (stat(path, &st) != 0) return;
    if (S_ISDIR(st.st_mode)) {
        struct dirent **names;
        const int n = scandir(path, &names, NULL, alphasort);
        for (int i = 0; i < n; i++) {
            char *inner =
                names[i]->d_name[0] == '.' ? NULL : kin_sprintf(&cx, "%s/%s", path, names[i]->d_name);
            if (inner) add_seed(inner);
            free(inner);
            free(names[i]);
        }
        if (n >= 0) free(names);
        return;
    }
    if (seed_count == SEEDS_MAX) return;
    if (kin_read_file(&cx, path, INPUT_MAX, &seeds[seed_count].data, &seeds[seed_count].size) == KIN_OK)
        seed_count++;
    else
        fprintf(stderr, "%s\n", cx.message);
}

/* Copies into a block of exactly that size, so that AddressSanitizer sees a read past the end. */
static void try_input(const uint8_t *data, int64_t size)
{
    memcpy(last, &size, sizeof size);
    memcpy(last + sizeof size, data, (size_t)size);
    uint8_t *copy = malloc((size_t)size + (size == 0));
    if (!copy) exit(1);
    memcpy(copy, data, (size_t)size);
    const clock_t start = clock();
    LLVMFuzzerTestOneInput(copy, (size_t)size);
    const double took = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (took > 1.0) {
        fprintf(stderr, "an input of %lld bytes took %.1f s\n", (long long)size, took);
        exit(1);
    }
    free(copy);
}

/* One random change; the size stays within INPUT_MAX. */
static int64_t mutate(kin_rng *r, uint8_t *p, int64_t size)
{
    static const uint64_t edges[] = {0,          1,          127,        255,        256,  65535,
                                     1ull << 31, 1ull << 32, 1ull << 62, 1ull << 63, ~0ull};
    static const char *const words[] = {
        "0",   "-1", "[", "]",    "{",       "}", "\"", "4294967296", "9223372036854775807",
        "1e9", ",",  ":", "null", "\\u0000", "'", "("};
    const uint32_t at = size > 0 ? kin_rng_below(r, (uint32_t)size) : 0;
    const int64_t rest = size - at;
    switch (kin_rng_below(r, 8)) {
    case 0: /* a bit */
        if (size > 0) p[at] ^= (uint8_t)(1u << kin_rng_below(r, 8));
        return size;
    case 1: /* a byte */
        if (size > 0) p[at] = (uint8_t)kin_rng_u32(r);
        return size;
    case 2: { /* a number at the edge of a type */
        const uint64_t edge = edges[kin_rng_below(r, sizeof edges / sizeof *edges)];
        const int64_t width = 1 << kin_rng_below(r, 4);
        if (rest >= width) memcpy(p + at, &edge, (size_t)width);
        return size;
    }
    case 3: /* cut */ return at;
    case 4: { /* remove a piece */
        const int64_t n = rest > 0 ? kin_rng_below(r, (uint32_t)kin_min64(rest, 64)) : 0;
        memmove(p + at, p + at + n, (size_t)(rest - n));
        return size - n;
    }
    case 5: { /* repeat a piece */
        const int64_t n = kin_min64(kin_min64(rest, 256), INPUT_MAX - size);
        memmove(p + at + n, p + at, (size_t)rest);
        return size + n;
    }
    case 6: { /* insert a word */
        const char *word = words[kin_rng_below(r, sizeof words / sizeof *words)];
        const int64_t n = (int64_t)strlen(word);
        if (size + n > INPUT_MAX) return size;
        memmove(p + at + n, p + at, (size_t)rest);
        memcpy(p + at, word, (size_t)n);
        return size + n;
    }
    default: { /* a piece of another seed */
        const uint32_t other = kin_rng_below(r, seed_count);
        if (seeds[other].size == 0) return size;
        const uint32_t from = kin_rng_below(r, (uint32_t)seeds[other].size);
        const int64_t n = kin_min64(kin_min64(rest, 64), seeds[other].size - from);
        memcpy(p + at, seeds[other].data + from, (size_t)n);
        return size;
    }
    }
}

static bool open_last(const char *program)
{
    kin_ctx cx = {0};
    const char *wanted = getenv("KIN_FUZZ_LAST");
    char *path = wanted ? kin_strdup(&cx, wanted) : kin_sprintf(&cx, "%s.last", program);
    FILE *f = path ? fopen(path, "w+b") : NULL;
    const size_t bytes = INPUT_MAX + 8;
    if (f && fseek(f, (long)bytes - 1, SEEK_SET) == 0 && fputc(0, f) == 0 && fflush(f) == 0) {
        last = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
        if (last == MAP_FAILED) last = NULL;
    }
    if (f) fclose(f);
    free(path);
    return last != NULL;
}

int main(int argc, char **argv)
{
    double seconds = 0;
    uint64_t seed = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else
            add_seed(argv[i]);
    }
    if (!open_last(argv[0])) {
        perror("fuzz: the file of the last input");
        return 1;
    }
    for (uint32_t i = 0; i < seed_count; i++) try_input(seeds[i].data, seeds[i].size);
    const uint32_t given = seed_count;
    if (!given) {
        seeds[0].data = calloc(1, 1);
        seed_count = 1;
    }
    static uint8_t input[INPUT_MAX];
    kin_rng r = kin_rng_new(seed);
    const double start = kin_now();
    int64_t runs = 0;
    for (; seconds > 0 && kin_now() - start < seconds; runs++) {
        const uint32_t from = kin_rng_below(&r, seed_count);
        int64_t size = seeds[from].size;
        memcpy(input, seeds[from].data, (size_t)size);
        for (uint32_t n = 1 + kin_rng_below(&r, 4); n > 0; n--) size = mutate(&r, input, size);
        try_input(input, size);
    }
    printf("%s: %u seeds, %lld mutations, no finding\n", argv[0], given, (long long)runs);
    for (uint32_t i = 0; i < seed_count; i++) free(seeds[i].data);
    return 0;
}
