/* growth: how cost grows with the work. growth [THREADS]
 * InfoNCE with its exact gradient at batches up to 32,768 (embeddings of 512, nothing else in the process):
 * memory must grow with the batch, not with its square. Training steps over batches and over captions of a
 * picture: time per pair and per caption must not grow. Each line's last figure is its cost per unit of work
 * relative to the first line's. */
#include <stdio.h>

#include "bench/step.h"

enum { WIDTH = 512, TURNS = 5 };

static void fill(float *x, int64_t n)
{
    kin_rng r = kin_rng_new(7);
    for (int64_t i = 0; i < n; i++) x[i] = 0.15f * (kin_rng_unit(&r) - 0.5f);
}

/* Seconds of one forward and backward of the loss over n pairs; 0: cx says why. */
static double run_loss(kin_ctx *cx, kin_programs *s, int64_t n, double *mib)
{
    const int64_t count = n * WIDTH;
    float loss = 0.0f, one = 1.0f, *room = malloc((size_t)(4 * count) * sizeof *room);
    kin_program *p = kin_programs_get(cx, s, KIN_TASK_LOSS, true, n, n, 0);
    if (!p || !room) return 0.0;
    fill(room, 2 * count);
    kin_program_bind(cx, p, "images", room);
    kin_program_bind(cx, p, "texts", room + count);
    kin_program_bind(cx, p, "grad images", room + 2 * count);
    kin_program_bind(cx, p, "grad texts", room + 3 * count);
    kin_program_bind(cx, p, "loss", &loss);
    kin_program_bind(cx, p, "d loss", &one);
    kin_run run = {.key = 1};
    kin_run_rows(p, &run, "images", n);
    kin_run_rows(p, &run, "texts", n);
    const double began = kin_now();
    const kin_status rc = kin_program_run(cx, p, &run);
    const double took = kin_now() - began;
    free(room);
    *mib = (double)(4 * count * 4 + s->act_bytes + s->scratch_bytes) / 1048576.0;
    return rc == KIN_OK ? took : 0.0;
}

static bool losses(kin_ctx *cx, kin_backend *backend)
{
    double first = 0.0;
    printf("InfoNCE, forward and exact gradient, embeddings of %d\n", WIDTH);
    for (int64_t n = 4096; n <= 32768; n *= 2) {
        kin_model_cfg cfg = {.embed_dim = WIDTH, .logit_scale = 2.0};
        kin_params *params = kin_params_new(cx);
        kin_programs s = {.cfg = cfg, .loss = kin_loss_find("infonce"), .params = params, .backend = backend};
        kin_graph *g = kin_graph_new(cx, params);
        kin_dual_loss(g, &cfg, s.loss, &s.loss_cfg, 2, 2); /* registers the logit scale */
        kin_graph_free(g);
        double mib = 0.0, took = 0.0;
        if (kin_params_alloc(cx, params, backend, true, false) == KIN_OK &&
            kin_params_init(cx, params, 1) == KIN_OK) {
            kin_params_begin(params);
            took = run_loss(cx, &s, n, &mib);
        }
        kin_programs_close(&s);
        kin_params_free(params);
        if (took == 0.0) return false;
        const double per = took / (double)n / (double)n;
        if (first == 0.0) first = per;
        printf("  batch %6lld: %8.2f s, embeddings, gradients and arenas %6.1f MiB, peak of the process "
               "%6.1f MiB, "
               "seconds per cell %.2f\n",
               (long long)n, took, mib, bench_peak_mib(), per / first);
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of a step; 0: told why. */
static double step_time(int64_t batch, int captions, int threads)
{
    bench b;
    double took[TURNS];
    bool ok = open_bench(&b, "ViT-Ti-16-112", batch, captions, (bench_where){"cpu", threads, NULL, KIN_F32});
    if (ok) make_batch(&b, 0);
    for (int i = -1; ok && i < TURNS; i++) {
        const double began = kin_now();
        ok = bench_step(&b, (uint64_t)(i + 1));
        if (i >= 0) took[i] = kin_now() - began; /* the first compiles and maps */
    }
    if (!ok) fprintf(stderr, "bench growth: %s\n", b.cx.message);
    close_bench(&b);
    qsort(took, TURNS, sizeof *took, by_value);
    return ok ? took[TURNS / 2] : 0.0;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 0;
    kin_ctx cx = {0};
    kin_backend *backend = kin_backend_cpu(&cx, threads, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!backend || !losses(&cx, backend)) {
        fprintf(stderr, "bench growth: %s\n", cx.message);
        return 1;
    }
    kin_backend_close(backend);
    printf("training step, ViT-Ti-16-112, captions of 13.5 ids on average\n");
    double first = 0.0;
    for (int64_t batch = 16; batch <= 256; batch *= 2) {
        const double t = step_time(batch, 1, threads);
        if (t == 0.0) return 1;
        if (first == 0.0) first = t / (double)batch;
        printf("  batch %4lld: %8.1f ms, per pair %.2f\n", (long long)batch, 1e3 * t,
               t / (double)batch / first);
    }
    double base = 0.0, two = 0.0;
    for (int captions = 1; captions <= 16; captions *= 2) {
        const double t = step_time(32, captions, threads);
        if (t == 0.0) return 1;
        if (captions == 1) base = t;
        if (captions == 2) two = t - base;
        printf("  batch   32, %2d captions a picture: %8.1f ms", captions, 1e3 * t);
        if (captions > 1) printf(", per further caption %.2f", (t - base) / (captions - 1) / two);
        printf("\n");
    }
    return 0;
}
