/* pictures: from JPEG bytes in memory to what a tower is fed, on one thread: pictures per second of
 * its processor time, and where that goes. pictures FOLDER [SIDE [exact|scaled [SECONDS]]]
 * Every *.jpg of FOLDER: decoded, shortest side to SIDE (224), bicubic, centre crop, and then to normalised
 * f32 [3, SIDE, SIDE], as bench/pictures_pillow.py (kin's own towers take u8 and normalise as they read).
 * bench/pictures.sh runs the two in turns. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/augment.h"

enum { MOST = 1000 };

typedef struct photo {
    uint8_t *bytes;
    int64_t size;
} photo;

/* The processor's time of this thread: neighbours do not count, as long as they leave the caches alone. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int read_all(kin_ctx *cx, const char *folder, photo *p)
{
    char pattern[1024];
    glob_t found = {0};
    int n = 0;
    snprintf(pattern, sizeof pattern, "%s/*.jpg", folder);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (; n < MOST && n < (int)found.gl_pathc; n++)
            if (kin_read_file(cx, found.gl_pathv[n], 1 << 28, &p[n].bytes, &p[n].size) != KIN_OK) break;
    globfree(&found);
    if (n == 0 && cx->status == KIN_OK) kin_fail(cx, KIN_ARG, "%s: no *.jpg in it", folder);
    return n;
}

/* [H, W, 3] bytes to [3, H, W] normalised, by a table of the 256 values. */
static void to_planes(const kin_preprocess *p, const uint8_t *in, float *out)
{
    const int64_t n = p->height * p->width;
    for (int c = 0; c < 3; c++) {
        float value[256];
        for (int v = 0; v < 256; v++) value[v] = ((float)v / 255.0f - p->mean[c]) / p->std[c];
        for (int64_t i = 0; i < n; i++) out[c * n + i] = value[in[i * 3 + c]];
    }
}

int main(int argc, char **argv)
{
    static photo photos[MOST];
    kin_ctx cx = {0};
    if (argc < 2) {
        printf("pictures: not run: it needs a folder of JPEGs: pictures FOLDER [SIDE [exact|scaled "
               "[SECONDS]]]\n");
        return 0;
    }
    kin_preprocess p = kin_preprocess_default();
    if (argc > 2) p.height = p.width = atol(argv[2]);
    const bool scaled = argc > 3 && strcmp(argv[3], "scaled") == 0;
    const kin_augment none = {.crop_min = 1.0};
    const double seconds = argc > 4 ? atof(argv[4]) : 2.0;
    const int count = read_all(&cx, argv[1], photos);
    uint8_t *pixels = kin_alloc(&cx, kin_preprocess_bytes(&p), 1);
    float *planes = kin_alloc(&cx, kin_preprocess_bytes(&p), sizeof *planes);
    double took[3] = {0}, passed = 0.0;
    int64_t done = 0;
    for (; cx.status == KIN_OK && passed < seconds; done++) {
        const photo *one = &photos[done % count];
        kin_image image = {0};
        const double began = now();
        int64_t w, h;
        int shrink = 1;
        if (scaled && kin_image_measure(one->bytes, one->size, &w, &h))
            shrink = kin_augment_shrink(&p, &none, 0, w, h);
        kin_image_decode_small(&cx, "a photo", one->bytes, one->size, KIN_MAX_IMAGE_PIXELS, shrink, &image);
        const double decoded = now();
        if (cx.status == KIN_OK) kin_preprocess_image(&cx, &p, &image, pixels);
        const double resized = now();
        kin_image_free(&image);
        to_planes(&p, pixels, planes);
        const double made = now();
        took[0] += decoded - began;
        took[1] += resized - decoded;
        took[2] += made - resized;
        passed += made - began;
    }
    if (cx.status == KIN_OK)
        printf("%.1f pictures/s: decode %.3f ms, resize %.3f ms, planes %.3f ms\n", (double)done / passed,
               1e3 * took[0] / (double)done, 1e3 * took[1] / (double)done, 1e3 * took[2] / (double)done);
    else
        fprintf(stderr, "pictures: %s\n", cx.message);
    for (int i = 0; i < count; i++) free(photos[i].bytes);
    free(pixels);
    free(planes);
    return cx.status != KIN_OK;
}
