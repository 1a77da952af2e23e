/* tune: kin's own matrix products beside OpenBLAS's on the shapes of CLIP models, and the rows of
 * kernels/cpu/gemm_table.def for this processor. tune [ROUNDS]. One thread, since both work on the same tiles
 * at any number; processor time, and own and OpenBLAS in turns, so that other work on the machine counts
 * little; medians. A class of shapes (transposition and depth) goes to OpenBLAS where that is 15 % faster
 * over the class: less is not worth loading a library for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/backend.h"
#include "kernels/cpu/blas.h"

/* A layer of a tower: x [rows, in] -> [rows, out]. */
static const struct layer {
    const char *what;
    int64_t rows, in, out;
} layers[] = {
    {"Ti/16@112 b64 qkv", 3200, 192, 576}, {"Ti/16@112 b64 out", 3200, 192, 192},
    {"Ti/16@112 b64 fc1", 3200, 192, 768}, {"Ti/16@112 b64 fc2", 3200, 768, 192},
    {"text 256 b64 fc1", 864, 256, 1024},  {"text 256 b64 fc2", 864, 1024, 256},
    {"B/32 b16 qkv", 800, 768, 2304},      {"B/32 b16 out", 800, 768, 768},
    {"B/32 b16 fc1", 800, 768, 3072},      {"B/32 b16 fc2", 800, 3072, 768},
    {"text 512 b16 fc1", 216, 512, 2048},  {"text 512 b16 fc2", 216, 2048, 512},
    {"B/32 b1 fc1", 50, 768, 3072},        {"projection b64", 64, 768, 512},
};
enum { LAYERS = sizeof layers / sizeof *layers, WAYS = 3, MOST = 99 };
static const struct way {
    const char *name;
    bool ta, tb;
} ways[WAYS] = {{"y = x W^T", false, true}, {"dx = dy W", false, false}, {"dW = dy^T x", true, false}};

/* Depth classes of the table. */
static const int64_t depths[] = {256, 1024, 0};
enum { DEPTHS = 3 };

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double processor_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one product of a linear layer. */
static double once(kin_backend *b, const struct layer *l, int way, kin_tensor *t, void *scratch)
{
    const kin_linear_attr attr = {.act = KIN_ACT_none};
    kin_tensor in[KIN_MAX_IN] = {t[0], t[1], {.rank = -1}, {.rank = -1}, {.rank = -1}},
               out[KIN_MAX_OUT] = {t[2], {.rank = -1}, {.rank = -1}, {.rank = -1}},
               din[KIN_MAX_IN] = {t[3], t[4]};
    if (way != 1) din[0].ptr = NULL;
    if (way != 2) din[1].ptr = NULL;
    din[2] = din[3] = din[4] = (kin_tensor){.rank = -1};
    const kin_call c = {
        .in = in, .out = out, .dout = out, .din = din, .attr = &attr, .scratch = scratch, .dev = b->dev};
    const int64_t repeats = kin_max64(1, (int64_t)2e8 / (l->rows * l->in * l->out));
    const double began = processor_time();
    for (int64_t i = 0; i < repeats; i++) (way ? b->ops[KIN_OP_linear].bwd : b->ops[KIN_OP_linear].fwd)(&c);
    return (processor_time() - began) / (double)repeats;
}

static kin_tensor matrix(kin_backend *b, int64_t rows, int64_t columns)
{
    kin_tensor t = {.dtype = KIN_F32, .rank = 2, .dim = {rows, columns}};
    float *v = b->alloc(b, rows * columns * 4);
    for (int64_t i = 0; v && i < rows * columns; i++) v[i] = (float)((i * 37) % 101 - 50) / 64.0f;
    t.ptr = v;
    return t;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 9;
    kin_ctx cx = {0};
    kin_backend *own = kin_backend_cpu(&cx, 1, NULL), *blas = kin_backend_cpu(&cx, 1, NULL);
    if (rounds < 1 || rounds > MOST || !own || !blas || kin_backend_cpu_blas(&cx, own, "own") != KIN_OK ||
        kin_backend_cpu_blas(&cx, blas, "openblas") != KIN_OK) {
        fprintf(stderr, "bench tune: %s\n", cx.status ? cx.message : "1 to 99 rounds");
        return cx.status == KIN_UNSUPPORTED ? 0 : 1; /* without OpenBLAS there is nothing to choose */
    }
    if (strcmp(kin_blas_core(), kin_blas_loaded()) != 0)
        printf("not for the table: OPENBLAS_CORETYPE makes this %s, kin would take %s\n", kin_blas_loaded(),
               kin_blas_core());
    double spent[2][WAYS][DEPTHS] = {{{0}}};
    printf("%s, OpenBLAS as %s; GFLOP/s\n%-20s %-12s %10s %10s %8s\n", own->name, kin_blas_loaded(), "layer",
           "product", "own", "OpenBLAS", "ratio");
    for (int i = 0; i < LAYERS; i++) {
        const struct layer *l = &layers[i];
        kin_tensor t[5] = {matrix(own, l->rows, l->in), matrix(own, l->out, l->in),
                           matrix(own, l->rows, l->out), matrix(own, l->rows, l->in),
                           matrix(own, l->out, l->in)};
        void *scratch = own->alloc(own, 64 * 4 * (l->out + 64));
        for (int w = 0; w < WAYS; w++) {
            double took[2][MOST];
            for (int r = -1; r < rounds; r++) {
                const double a = once(own, l, w, t, scratch), b = once(blas, l, w, t, scratch);
                if (r < 0) continue; /* the first touches memory */
                took[0][r] = a;
                took[1][r] = b;
            }
            for (int k = 0; k < 2; k++) qsort(took[k], (size_t)rounds, sizeof **took, by_value);
            const double flops = 2.0 * (double)(l->rows * l->in * l->out);
            const double a = took[0][rounds / 2], b = took[1][rounds / 2];
            printf("%-20s %-12s %10.1f %10.1f %8.2f\n", l->what, ways[w].name, flops / a / 1e9,
                   flops / b / 1e9, a / b);
            const int64_t k = w == 0 ? l->in : w == 1 ? l->out : l->rows;
            int d = 0;
            while (depths[d] && k > depths[d]) d++;
            spent[0][w][d] += a / flops; /* each layer counts the same */
            spent[1][w][d] += b / flops;
        }
    }
    printf("\n/* own %s: time of OpenBLAS / own, by class */\n", own->name);
    for (int w = 0; w < WAYS; w++)
        for (int d = 0; d < DEPTHS; d++) {
            const double ratio = spent[1][w][d] / spent[0][w][d];
            if (spent[0][w][d] > 0.0)
                printf("GEMM(\"%s\", %s, %s, 0, 0, %lld, %s) /* %s: %.2f */\n", kin_blas_core(),
                       ways[w].ta ? "true" : "false", ways[w].tb ? "true" : "false", (long long)depths[d],
                       ratio < 0.85 ? "true" : "false", ways[w].name, ratio);
        }
    kin_backend_close(own);
    kin_backend_close(blas);
    return 0;
}
