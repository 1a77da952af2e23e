/* cold: from a query's text to its answer, with nothing in memory: `kin search` over 10,000 embeddings with a
 * ViT-B/32 whose weights are drawn at random (the time does not depend on them). cold FOLDER [RUNS]
 * Makes FOLDER once (610 MB). Before each cold run the kernel is asked to drop its pages of the files
 * (POSIX_FADV_DONTNEED); how many bytes then had to come from the disk is printed, so that a run that was not
 * cold is seen. CLIP's vocabulary is taken from KIN_DATA/tokenizers. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"
#include "core/rng.h"
#include "train/index.h"
#include "train/model.h"

enum { ROWS = 10000, WIDTH = 512, MOST = 100 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static kin_status make_model(kin_ctx *cx, const char *folder)
{
    char path[1024];
    const char *data = getenv("KIN_DATA");
    if (!data) return kin_fail(cx, KIN_ARG, "KIN_DATA is not set: CLIP's vocabulary is needed");
    snprintf(path, sizeof path, "%s/tokenizers/bpe_simple_vocab_16e6.txt.gz", data);
    kin_tokenizer *t = kin_tokenizer_load(cx, path);
    json_t *json = t ? kin_model_json(cx, "ViT-B-32") : NULL;
    if (!json) return cx->status;
    const kin_preprocess pre = kin_preprocess_default();
    kin_model *m = kin_model_new(cx, json, t, &pre, kin_loss_find("infonce"));
    kin_backend *b = kin_backend_cpu(cx, 0, NULL);
    if (m && b && kin_params_alloc(cx, m->params, b, false, false) == KIN_OK &&
        kin_params_init(cx, m->params, 1) == KIN_OK)
        kin_model_save(cx, m, folder, false);
    kin_model_free(m);
    kin_backend_close(b);
    return cx->status;
}

static kin_status make_index(kin_ctx *cx, const char *path)
{
    float *rows = kin_alloc(cx, ROWS * WIDTH, sizeof *rows);
    static char text[ROWS][16];
    static const char *name[ROWS];
    kin_rng r = kin_rng_new(7);
    for (int i = 0; rows && i < ROWS; i++) {
        snprintf(text[i], sizeof text[i], "%05d.jpg", i);
        name[i] = text[i];
        for (int k = 0; k < WIDTH; k++) rows[i * WIDTH + k] = (float)(kin_rng_normal(&r) / 22.627);
    }
    if (rows) kin_index_save(cx, path, rows, name, ROWS, WIDTH);
    free(rows);
    return cx->status;
}

static void drop(const char *folder)
{
    static const char *const files[] = {"model.safetensors", "vocab.json",    "merges.txt",
                                        "index.npy",         "index.npy.txt", NULL};
    for (int i = 0; files[i]; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        const int fd = open(path, O_RDONLY);
        if (fd < 0) continue;
        fdatasync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

typedef struct timing {
    double seconds;
    long from_disk, peak; /* kB */
} timing;

static timing run_once(char *const *arguments)
{
    fflush(stdout); /* or the child writes it once more */
    const double start = now();
    const pid_t child = fork();
    if (child == 0) {
        freopen("/dev/null", "w", stdout);
        execv(arguments[0], arguments);
        _exit(127);
    }
    int status;
    struct rusage use;
    wait4(child, &status, 0, &use);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fprintf(stderr, "cold: %s failed\n", arguments[1]);
    return (timing){now() - start, use.ru_inblock / 2, use.ru_maxrss};
}

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const timing *)a)->seconds, y = ((const timing *)b)->seconds;
    return (x > y) - (x < y);
}

static void measure(const char *what, const char *folder, char *const *arguments, int runs, bool cold)
{
    timing t[MOST];
    for (int i = 0; i < runs; i++) {
        if (cold) drop(folder);
        t[i] = run_once(arguments);
    }
    qsort(t, (size_t)runs, sizeof *t, by_seconds);
    printf("%-22s median %6.1f ms  least %6.1f  most %6.1f  from disk %6.1f MB  peak memory %6.1f MB\n", what,
           1e3 * t[runs / 2].seconds, 1e3 * t[0].seconds, 1e3 * t[runs - 1].seconds,
           (double)t[runs / 2].from_disk / 1e3, (double)t[runs / 2].peak / 1e3);
}

int main(int argc, char **argv)
{
    kin_ctx cx = {0};
    if (argc < 2) {
        printf("cold: not run: it needs a folder for 610 MB: cold FOLDER [RUNS]\n");
        return 0;
    }
    const int runs = argc > 2 ? (int)kin_min64(MOST, kin_max64(1, atol(argv[2]))) : 7;
    char program[1024], index[1024], weights[1024], self[1000];
    snprintf(self, sizeof self, "%s", argv[0]); /* BUILD/bench/cold */
    for (int i = 0; i < 2; i++)
        if (strrchr(self, '/')) *strrchr(self, '/') = '\0';
    snprintf(program, sizeof program, "%s/kin", self);
    snprintf(index, sizeof index, "%s/index.npy", argv[1]);
    snprintf(weights, sizeof weights, "%s/model.safetensors", argv[1]);
    if (access(weights, R_OK) != 0 &&
        (kin_make_dirs(&cx, argv[1]) != KIN_OK || make_model(&cx, argv[1]) != KIN_OK ||
         make_index(&cx, index) != KIN_OK)) {
        fprintf(stderr, "cold: %s\n", cx.message);
        return 1;
    }
    char *search[] = {program, "search", "--model", argv[1], "--in", index, "a dog that runs on the beach",
                      NULL};
    char *help[] = {program, "--help", NULL};
    measure("search, cold", argv[1], search, runs, true);
    measure("search, warm", argv[1], search, runs, false);
    measure("kin --help", argv[1], help, runs, false);
    return 0;
}
