/* doctor: what this machine is and can do, what kin makes of it, what is missing and the line that adds it.
 */
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/backend.h"
#include "core/graph.h"
#include "core/machine.h"
#include "data/image.h"
#include "tools/base64.h"
#include "tools/cli.h"
#include "tools/doctor_photo.h"

enum { SIDE = 1024, ROUNDS = 5 };

/* The value of "name : value" in a file of /proc, trimmed; "" when it is not there. */
static void value_of(const char *path, const char *name, char *out, size_t room)
{
    char line[512];
    *out = 0;
    FILE *f = fopen(path, "re");
    while (f && !*out && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, name, strlen(name)) != 0 || !colon) continue;
        char *value = colon + 1 + strspn(colon + 1, " \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(out, room, "%s", value);
    }
    if (f) fclose(f);
}

static double memory(const char *name)
{
    char text[64];
    value_of("/proc/meminfo", name, text, sizeof text);
    return atof(text) * 1024.0;
}

/* y = x W^T with 1024 along every side, as training computes it; operations per second, the best round. */
static double matrix_product(kin_backend *b)
{
    const int64_t bytes = (int64_t)SIDE * SIDE * 4;
    float *p = b->alloc(b, 3 * bytes);
    if (!p) return 0.0;
    for (int64_t i = 0; i < 2 * (int64_t)SIDE * SIDE; i++) p[i] = (float)(i % 7) - 3.0f;
    kin_tensor in[KIN_MAX_IN], out[KIN_MAX_OUT];
    for (int i = 0; i < KIN_MAX_IN; i++) in[i].rank = -1;
    for (int i = 0; i < KIN_MAX_OUT; i++) out[i].rank = -1;
    in[0] = (kin_tensor){.ptr = p, .dtype = KIN_F32, .rank = 2, .dim = {SIDE, SIDE}};
    in[1] = out[0] = in[0];
    in[1].ptr = p + (int64_t)SIDE * SIDE;
    out[0].ptr = p + 2 * (int64_t)SIDE * SIDE;
    const kin_linear_attr attr = {0};
    kin_call call = {.in = in, .out = out, .attr = &attr, .dev = b->dev};
    double best = 0.0;
    for (int i = 0; i < ROUNDS; i++) {
        const double began = kin_now();
        b->ops[KIN_OP_linear].fwd(&call);
        b->sync(b);
        const double rate = 2.0 * SIDE * SIDE * SIDE / (kin_now() - began);
        if (rate > best) best = rate;
    }
    b->release(b, p, 3 * bytes);
    return best;
}

typedef void (*sgemm_fn)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                         const float *b, int ldb, float beta, float *c, int ldc);

/* OpenBLAS, if the system has it: its name for this processor, and the same product. */
static double openblas(char *core, size_t room)
{
    *core = 0;
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!lib) return 0.0;
    union {
        void *data;
        sgemm_fn product;
        char *(*name)(void);
    } sgemm = {dlsym(lib, "cblas_sgemm")}, name = {dlsym(lib, "openblas_get_corename")};
    snprintf(core, room, "%s", name.data ? name.name() : "unknown core");
    float *p = sgemm.data ? kin_pages_alloc(3ll * SIDE * SIDE * 4) : NULL;
    double best = 0.0;
    for (int i = 0; p && i < ROUNDS; i++) {
        const double began = kin_now();
        sgemm.product(101, 111, 112, SIDE, SIDE, SIDE, 1.0f, p, SIDE, p + SIDE * SIDE, SIDE, 0.0f,
                      p + 2 * SIDE * SIDE, SIDE); /* row-major, a b^T */
        const double rate = 2.0 * SIDE * SIDE * SIDE / (kin_now() - began);
        if (rate > best) best = rate;
    }
    if (p) kin_pages_free(p, 3ll * SIDE * SIDE * 4);
    return best; /* never unloaded: its threads live on */
}

/* Pictures of 320 x 240 decoded per second on all threads. */
static double jpegs(kin_ctx *cx, int threads)
{
    enum { EACH = 200 };
    int64_t size;
    uint8_t *bytes = base64_decode(cx, doctor_photo, &size);
    int failed = 0;
    if (!bytes) return 0.0;
    const double began = kin_now();
#pragma omp parallel for num_threads(threads) reduction(+ : failed)
    for (int i = 0; i < EACH * threads; i++) {
        kin_ctx mine = {0};
        kin_image image = {0};
        failed += kin_image_decode(&mine, "photo", bytes, size, KIN_MAX_IMAGE_PIXELS, &image) != KIN_OK;
        kin_image_free(&image);
    }
    const double rate = EACH * threads / (kin_now() - began);
    free(bytes);
    if (failed) kin_fail(cx, KIN_INTERNAL, "a JPEG that kin carries could not be decoded");
    return rate;
}

/* Names of NVIDIA's GPUs that the driver shows. */
static json_t *gpus(void)
{
    json_t *list = json_array();
    glob_t found = {0};
    if (glob("/proc/driver/nvidia/gpus/*/information", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            char name[128];
            value_of(found.gl_pathv[i], "Model", name, sizeof name);
            json_array_append_new(list, json_string(*name ? name : "NVIDIA GPU"));
        }
    globfree(&found);
    return list;
}

static json_t *missing(const char *core)
{
    json_t *list = json_array();
    const struct {
        bool there;
        const char *package;
    } optional[] = {
#ifdef KIN_HAVE_SPNG
        {true, "libspng-dev"},
#else
        {false, "libspng-dev"},
#endif
#ifdef KIN_HAVE_WEBP
        {true, "libwebp-dev"},
#else
        {false, "libwebp-dev"},
#endif
        {*core != 0, "libopenblas0-pthread"},
    };
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (!optional[i].there) json_array_append_new(list, json_string(optional[i].package));
    return list;
}

static json_t *examine(kin_ctx *cx)
{
    kin_backend *b = kin_backend_cpu(cx, 0, NULL);
    if (!b) return NULL;
    char name[128], core[64];
    const int threads = kin_cores();
    value_of("/proc/cpuinfo", "model name", name, sizeof name);
    const double fma = machine_flops(threads), product = matrix_product(b), read = machine_bandwidth(threads);
    const double jpeg = jpegs(cx, threads), blas = openblas(core, sizeof core);
    json_t *o = json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:f, s:o, s:o}", "processor",
                          *name ? name : "unknown", "kernels", b->name, "threads", threads, "memory_bytes",
                          memory("MemTotal"), "memory_available_bytes", memory("MemAvailable"), "fma_gflops",
                          fma / 1e9, "matmul_gflops", product / 1e9, "read_gb_per_s", read / 1e9,
                          "jpeg_per_s", jpeg, "openblas_core", core, "openblas_gflops", blas / 1e9, "gpus",
                          gpus(), "missing", missing(core));
    kin_backend_close(b);
    if (o && cx->status == KIN_OK) return o;
    json_decref(o);
    if (cx->status == KIN_OK) kin_fail(cx, KIN_NOMEM, "out of memory for the results");
    return NULL;
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void print(const json_t *o)
{
    char total[32], available[32];
    size_t i;
    const json_t *v;
    const double fma = number(o, "fma_gflops"), product = number(o, "matmul_gflops");
    printf("processor  %s, %.0f threads; kernels %s\n", json_string_value(json_object_get(o, "processor")),
           number(o, "threads"), json_string_value(json_object_get(o, "kernels")));
    printf("memory     %s, %s available; read at %.1f GB/s\n",
           kin_amount_text(KIN_BYTES, number(o, "memory_bytes"), total),
           kin_amount_text(KIN_BYTES, number(o, "memory_available_bytes"), available),
           number(o, "read_gb_per_s"));
    printf("compute    %.1f GFLOP/s of multiply-adds; matrix product %.1f GFLOP/s (%.0f %%)\n", fma, product,
           100.0 * product / fma);
    if (number(o, "openblas_gflops") > 0.0)
        printf("OpenBLAS   found, core %s, the same product %.1f GFLOP/s\n",
               json_string_value(json_object_get(o, "openblas_core")), number(o, "openblas_gflops"));
    else
        printf("OpenBLAS   not found: kin's own matrix product is used\n");
    printf("pictures   %.0f JPEG/s of 320 x 240, %.1f MP/s\n", number(o, "jpeg_per_s"),
           number(o, "jpeg_per_s") * 0.0768);
    const json_t *gpu = json_object_get(o, "gpus"), *absent = json_object_get(o, "missing");
    printf("GPUs       ");
    json_array_foreach(gpu, i, v) printf("%s%s", i ? ", " : "", json_string_value(v));
    printf(json_array_size(gpu) ? "; this build has no CUDA plug-in, so kin computes on the processor\n"
                                : "none visible: kin computes on the processor\n");
    if (json_array_size(absent) == 0) {
        printf("missing    nothing\n");
        return;
    }
    printf("missing    to add it: apt-get install");
    json_array_foreach(absent, i, v) printf(" %s", json_string_value(v));
    printf(" && make\n");
}

int cmd_doctor(kin_ctx *cx, int argc, char **argv)
{
    bool helped, json = false;
    const cli_flag flags[] = {{"--json", CLI_SWITCH, NULL, NULL, &json, "print JSON"}, CLI_END};
    if (!cli_parse(cx, argc, argv, "doctor [--json]", flags, NULL, 0, &helped))
        return helped ? CLI_DONE : CLI_USAGE;
    json_t *o = examine(cx);
    if (o && json && json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) == 0) printf("\n");
    if (o && !json) print(o);
    json_decref(o);
    return cli_exit(cx);
}
