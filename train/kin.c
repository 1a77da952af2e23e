/* The public interface over a session. */
#include "include/kin.h"

#include <stdlib.h>

#include "train/session.h"

enum { BATCH = 64 };

struct kin {
    kin_ctx cx;
    kin_session session;
    kin_scoring scoring;
};

const char *kin_version(void)
{
    return KIN_VERSION;
}

kin *kin_open(const char *folder, int threads)
{
    kin *k = calloc(1, sizeof *k);
    if (k && !folder) kin_fail(&k->cx, KIN_ARG, "no model folder was named");
    if (!k || !folder || kin_session_open(&k->cx, &k->session, folder, threads, BATCH) != KIN_OK) return k;
    k->scoring = kin_session_scoring(&k->cx, &k->session);
    return k;
}

void kin_close(kin *k)
{
    if (!k) return;
    kin_session_close(&k->session);
    free(k);
}

const char *kin_error(const kin *k)
{
    if (!k) return "out of memory";
    return k->cx.status == KIN_OK ? NULL : k->cx.message;
}

static bool opened(const kin *k)
{
    return k && k->session.embedder.model; /* the last thing that opening makes */
}

/* Is there a model to work with, and something to do? Forgets the error of the call before. */
static bool ready(kin *k, bool given, int64_t n)
{
    if (!opened(k)) return false; /* the error of kin_open stays */
    kin_clear(&k->cx);
    if (n < 0 || (n > 0 && !given))
        kin_fail(&k->cx, KIN_ARG, n < 0 ? "a count of %lld" : "a NULL for %lld rows", (long long)n);
    return k->cx.status == KIN_OK;
}

static int result(const kin *k)
{
    return k && k->cx.status != KIN_OK ? (int)k->cx.status : opened(k) ? 0 : (int)KIN_ARG;
}

int64_t kin_embedding_width(const kin *k)
{
    return opened(k) ? k->session.model->cfg.embed_dim : 0;
}

int64_t kin_image_height(const kin *k)
{
    return opened(k) ? k->session.model->cfg.vision.image_height : 0;
}

int64_t kin_image_width(const kin *k)
{
    return opened(k) ? k->session.model->cfg.vision.image_width : 0;
}

int64_t kin_context_length(const kin *k)
{
    return opened(k) ? k->session.model->cfg.text.context : 0;
}

double kin_scale(const kin *k)
{
    return opened(k) ? k->scoring.scale : 0.0;
}

int64_t kin_tokenize(kin *k, const char *text, int32_t *ids)
{
    if (!ready(k, text && ids, 1)) return -1;
    return kin_tokenizer_encode(&k->cx, k->session.model->tokenizer, text, kin_context_length(k), ids);
}

int kin_embed_text(kin *k, const char *const *texts, int64_t n, float *out)
{
    if (ready(k, texts && out, n)) kin_embed_texts(&k->cx, &k->session.embedder, texts, n, out);
    return result(k);
}

/* ---- pictures, wherever they come from ---- */

typedef struct pictures {
    const char *const *path; /* one of these three */
    const void *const *bytes;
    const uint8_t *const *rgb;
    const int64_t *size, *width, *height;
} pictures;

static kin_status of_pixels(kin_ctx *cx, const kin_preprocess *p, const uint8_t *rgb, int64_t width,
                            int64_t height, uint8_t *out)
{
    int64_t bytes;
    if (width < 1 || height < 1 || !kin_mul(width, height, &bytes) || bytes > KIN_MAX_IMAGE_PIXELS)
        return kin_fail(cx, KIN_ARG, "a picture of %lld x %lld", (long long)width, (long long)height);
    const kin_image image = {kin_only_read(rgb), width, height};
    return kin_preprocess_image(cx, p, &image, out);
}

/* Picture i as the model sees it. */
static kin_status see(kin_ctx *cx, const kin_preprocess *p, const pictures *in, int64_t i, uint8_t *out)
{
    char name[48];
    snprintf(name, sizeof name, "picture %lld", (long long)i);
    const void *there = in->path ? (const void *)in->path[i] : in->bytes ? in->bytes[i] : in->rgb[i];
    if (!there) return kin_fail(cx, KIN_ARG, "%s is NULL", name);
    if (in->rgb) return of_pixels(cx, p, in->rgb[i], in->width[i], in->height[i], out);
    if (in->bytes && in->size[i] < 0) return kin_fail(cx, KIN_ARG, "%s has a negative size", name);
    kin_image image;
    KIN_TRY(in->path ? kin_image_load(cx, in->path[i], &image)
                     : kin_image_decode(cx, name, in->bytes[i], in->size[i], KIN_MAX_IMAGE_PIXELS, &image));
    const kin_status rc = kin_preprocess_image(cx, p, &image, out);
    kin_image_free(&image);
    return rc;
}

/* Pictures first .. first + n - 1, on all threads; the error of the first of them. */
static kin_status see_all(kin *k, const pictures *in, int64_t first, int64_t n, uint8_t *pixels)
{
    const int64_t bytes = kin_image_bytes(&k->session.model->cfg.vision);
    int64_t worst = n;
    kin_ctx error = {0};
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i++) {
        kin_ctx mine = {0};
        see(&mine, &k->session.model->preprocess, in, first + i, pixels + i * bytes);
        if (mine.status == KIN_OK) continue;
#pragma omp critical(kin_see_all)
        if (i < worst) {
            worst = i;
            error = mine;
        }
    }
    return error.status == KIN_OK ? KIN_OK : kin_fail(&k->cx, error.status, "%s", error.message);
}

static int embed(kin *k, const pictures *in, int64_t n, float *out)
{
    const int64_t bytes = kin_image_bytes(&k->session.model->cfg.vision);
    uint8_t *pixels = kin_alloc(&k->cx, kin_min64(kin_max64(n, 1), BATCH) * bytes, 1);
    for (int64_t i = 0; pixels && i < n && k->cx.status == KIN_OK; i += BATCH) {
        const int64_t now = kin_min64(BATCH, n - i);
        if (see_all(k, in, i, now, pixels) == KIN_OK)
            kin_embed_images(&k->cx, &k->session.embedder, pixels, now, out + i * kin_embedding_width(k));
    }
    free(pixels);
    return result(k);
}

int kin_embed_files(kin *k, const char *const *paths, int64_t n, float *out)
{
    return ready(k, paths && out, n) ? embed(k, &(pictures){.path = paths}, n, out) : result(k);
}

int kin_embed_encoded(kin *k, const void *const *bytes, const int64_t *size, int64_t n, float *out)
{
    if (!ready(k, bytes && size && out, n)) return result(k);
    return embed(k, &(pictures){.bytes = bytes, .size = size}, n, out);
}

int kin_embed_rgb(kin *k, const uint8_t *const *rgb, const int64_t *width, const int64_t *height, int64_t n,
                  float *out)
{
    if (!ready(k, rgb && width && height && out, n)) return result(k);
    return embed(k, &(pictures){.rgb = rgb, .width = width, .height = height}, n, out);
}

int kin_embed_pixels(kin *k, const uint8_t *rgb, int64_t width, int64_t height, float *out)
{
    return kin_embed_rgb(k, &rgb, &width, &height, 1, out);
}

/* ---- scores ---- */

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

int kin_cosines(kin *k, const float *queries, int64_t n, const float *candidates, int64_t m, float *out)
{
    const int64_t width = kin_embedding_width(k);
    if (!ready(k, candidates, m) || !ready(k, queries && out, n)) return result(k);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++)
            out[i * m + j] = (float)dot(queries + i * width, candidates + j * width, width);
    return 0;
}

int kin_probabilities(kin *k, const float *queries, int64_t n, const float *candidates, int64_t m, float *out)
{
    const int rc = kin_cosines(k, queries, n, candidates, m, out);
    for (int64_t i = 0; rc == 0 && i < n; i++) kin_score(&k->scoring, out + i * m, m, out + i * m);
    return rc;
}
