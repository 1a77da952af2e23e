/* step: training steps of a model on synthetic pairs: pairs per second, share of the machine's peak, and
 * where the time goes, op by op.
 *   step [MODEL [BATCH [STEPS [THREADS [ISA [TOKENS [DEVICE [PRECISION [recompute]]]]]]]]]
 * Captions are as long as COCO's, 8 to 19 ids and 13.5 on average, or all of TOKENS ids (77: nothing is
 * dead). bench/step_torch.py is the same step in PyTorch. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device.h"
#include "bench/step.h"
#include "core/machine.h"

enum { MOST = 1000 };

typedef struct line {
    const char *op;
    bool backward;
    double seconds, flops, bytes;
    int64_t calls;
} line;

static int by_time(const void *a, const void *b)
{
    const double x = ((const line *)a)->seconds, y = ((const line *)b)->seconds;
    return (x < y) - (x > y);
}

/* One step more with a clock around every op. */
static void profile(bench *b, const kin_pairs *p, double peak, double bandwidth)
{
    kin_program *prog =
        kin_programs_get(&b->cx, &b->programs, KIN_TASK_STEP, true, b->batch, b->batch, b->off[b->batch]);
    double *seconds = calloc((size_t)prog->steps, sizeof *seconds);
    kin_run run = {.key = 1, .seconds = seconds};
    kin_run_rows(prog, &run, "images", p->n);
    kin_run_rows(prog, &run, "texts", p->texts);
    kin_run_rows(prog, &run, "tokens", p->off[p->texts]);
    kin_params_begin(b->params);
    kin_program_run(&b->cx, prog, &run);
    kin_params_finish(&b->cx, b->params);
    line lines[2 * KIN_OP_COUNT] = {0};
    double total = 0.0;
    for (int s = 0; s < prog->steps; s++) {
        const kin_op op = prog->graph->node[prog->step[s].node].op;
        line *l = &lines[2 * (int)op + prog->step[s].backward];
        const kin_cost cost = kin_program_step_cost(prog, s);
        l->op = kin_op_get(op)->def->name;
        l->backward = prog->step[s].backward;
        l->seconds += seconds[s];
        l->flops += cost.flops;
        l->bytes += cost.bytes;
        l->calls++;
        total += seconds[s];
    }
    qsort(lines, 2 * KIN_OP_COUNT, sizeof *lines, by_time);
    printf("%-22s %6s %9s %7s %10s %6s %9s %6s\n", "op", "calls", "ms", "share", "GFLOP/s", "peak", "GB/s",
           "read");
    for (int i = 0; i < 2 * KIN_OP_COUNT && lines[i].calls; i++) {
        const line *l = &lines[i];
        if (l->seconds < 0.002 * total) continue;
        printf("%-13s %-8s %6lld %9.2f %6.1f%% %10.1f %5.1f%% %9.2f %5.1f%%\n", l->op,
               l->backward ? "backward" : "forward", (long long)l->calls, 1e3 * l->seconds,
               100.0 * l->seconds / total, l->flops / l->seconds / 1e9, 100.0 * l->flops / l->seconds / peak,
               l->bytes / l->seconds / 1e9, 100.0 * l->bytes / l->seconds / bandwidth);
    }
    free(seconds);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const char *model = argc > 1 ? argv[1] : "ViT-Ti-16-112";
    const int64_t batch = argc > 2 ? atoll(argv[2]) : 64;
    const int steps = argc > 3 ? atoi(argv[3]) : 5, threads = argc > 4 ? atoi(argv[4]) : 0;
    bench b;
    const int32_t tokens = argc > 6 ? (int32_t)atoi(argv[6]) : 0;
    if (tokens < 0 || tokens > 77 || batch < 1 || steps < 1 || steps > MOST) {
        fprintf(stderr, "bench step: 1 to %d steps of captions of 1 to 77 ids\n", MOST);
        return 2;
    }
    const bench_where where = {argc > 7 ? argv[7] : "cpu", threads,
                               argc > 5 && strcmp(argv[5], "auto") != 0 ? argv[5] : NULL,
                               argc > 8 && strcmp(argv[8], "bf16") == 0 ? KIN_BF16 : KIN_F32};
    if (!open_bench(&b, model, batch, 1, where)) {
        fprintf(stderr, "bench step: %s\n", b.cx.message);
        return 1;
    }
    b.programs.recompute = argc > 9 && strcmp(argv[9], "recompute") == 0;
    make_batch(&b, tokens);
    const kin_pairs p = {.n = batch, .texts = batch, .images = b.images, .ids = b.ids, .off = b.off};
    const int used = threads ? threads : omp_get_num_procs();
    double took[MOST];
    for (int i = -1; i < steps && b.cx.status == KIN_OK; i++) {
        const double began = kin_now();
        bench_step(&b, (uint64_t)(i + 1));
        const double spent = kin_now() - began;
        if (i >= 0) took[i] = spent; /* the first compiles and maps */
    }
    if (b.cx.status != KIN_OK) {
        fprintf(stderr, "bench step: %s\n", b.cx.message);
        return 1;
    }
    const double memory = bench_peak_mib(); /* before the machine is measured, which takes room */
    const bool host = b.backend->host;
    const double peak = host ? machine_flops(used) : device_flops(b.backend, where.precision),
                 bandwidth = host ? machine_bandwidth(used) : device_bandwidth(b.backend);
    qsort(took, (size_t)steps, sizeof *took, by_value);
    const double middle = took[steps / 2], n = (double)batch;
    const double flops = b.stepper.flops;
    printf("%s, batch %lld, %d threads, %s, %s: peak %.0f GFLOP/s, memory %.1f GB/s\n", model,
           (long long)batch, used, b.backend->name, kin_dtype_name(where.precision), peak / 1e9,
           bandwidth / 1e9);
    printf("median %.2f pairs/s, best %.2f, %.0f MiB; %.2f GFLOP a pair, %.0f GFLOP/s, %.1f %% of peak\n",
           n / middle, n / took[0], memory, flops / 1e9 / n, flops / middle / 1e9,
           100.0 * flops / middle / peak);
    profile(&b, &p, peak, bandwidth);
    close_bench(&b);
    return 0;
}
