/* The public interface over a session. */
#include "include/kin.h"

#include <stdlib.h>

#include "train/session.h"

enum { BATCH = 64 };

struct kin {
    kin_ctx cx;
    kin_session session;
    double scale;
};

const char *kin_version(void)
{
    return KIN_VERSION;
}

kin *kin_open(const char *folder, int threads)
{
    kin *k = calloc(1, sizeof *k);
    if (k && kin_session_open(&k->cx, &k->session, folder, threads, BATCH) == KIN_OK)
        k->scale = kin_session_scale(&k->cx, &k->session);
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

/* Is there a model to work with? Forgets the error of the call before. */
static bool ready(kin *k)
{
    if (!k || !k->session.model) return false; /* the error of kin_open stays */
    kin_clear(&k->cx);
    return true;
}

int64_t kin_embedding_width(const kin *k)
{
    return k && k->session.model ? k->session.model->cfg.embed_dim : 0;
}

int64_t kin_image_size(const kin *k)
{
    return k && k->session.model ? k->session.model->cfg.vision.image_size : 0;
}

double kin_scale(const kin *k)
{
    return k ? k->scale : 0.0;
}

int kin_embed_text(kin *k, const char *const *texts, int64_t n, float *out)
{
    return ready(k) ? (int)kin_embed_texts(&k->cx, &k->session.embedder, texts, n, out) : KIN_ARG;
}

int kin_embed_files(kin *k, const char *const *paths, int64_t n, float *out)
{
    if (!ready(k)) return KIN_ARG;
    const int64_t side = kin_image_size(k);
    uint8_t *pixels = kin_alloc(&k->cx, side * side, 3);
    for (int64_t i = 0; pixels && i < n && k->cx.status == KIN_OK; i++) {
        kin_image image;
        if (kin_image_load(&k->cx, paths[i], &image) != KIN_OK) break;
        if (kin_preprocess_image(&k->cx, &k->session.model->preprocess, &image, pixels) == KIN_OK)
            kin_embed_images(&k->cx, &k->session.embedder, pixels, 1, out + i * kin_embedding_width(k));
        kin_image_free(&image);
    }
    free(pixels);
    return (int)k->cx.status;
}

int kin_embed_pixels(kin *k, const uint8_t *rgb, int64_t width, int64_t height, float *out)
{
    if (!ready(k)) return KIN_ARG;
    if (width < 1 || height < 1)
        return (int)kin_fail(&k->cx, KIN_ARG, "a picture of %lld x %lld", (long long)width,
                             (long long)height);
    const int64_t side = kin_image_size(k);
    uint8_t *pixels = kin_alloc(&k->cx, side * side, 3);
    union {
        const uint8_t *in;
        uint8_t *only_read;
    } u = {.in = rgb};
    const kin_image image = {u.only_read, width, height};
    if (pixels && kin_preprocess_image(&k->cx, &k->session.model->preprocess, &image, pixels) == KIN_OK)
        kin_embed_images(&k->cx, &k->session.embedder, pixels, 1, out);
    free(pixels);
    return (int)k->cx.status;
}
