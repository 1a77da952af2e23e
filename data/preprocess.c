#include "data/preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const modes[] = {"shortest", "longest", "squash"};
static const char *const filters[] = {"bicubic", "bilinear"};

kin_preprocess kin_preprocess_default(void)
{
    return (kin_preprocess){.height = 224,
                            .width = 224,
                            .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                            .std = {0.26862954f, 0.26130258f, 0.27577711f},
                            .interpolation = KIN_BICUBIC,
                            .mode = KIN_RESIZE_SHORTEST};
}

static kin_status read_three(kin_ctx *cx, const json_t *object, const char *key, double above, float out[3])
{
    const json_t *a = json_object_get(object, key);
    if (!a) return KIN_OK;
    for (size_t i = 0; i < 3; i++) {
        const json_t *v = json_array_get(a, i);
        if (json_array_size(a) != 3 || !json_is_number(v) || !(json_number_value(v) > above))
            return kin_fail(cx, KIN_FORMAT, "preprocess_cfg: \"%s\" must be three numbers above %g", key,
                            above);
        out[i] = (float)json_number_value(v);
    }
    return KIN_OK;
}

static kin_status read_word(kin_ctx *cx, const json_t *object, const char *key, const char *const *words,
                            int count, int *out)
{
    const char *word = kin_json_string(cx, object, key, words[*out]);
    for (int i = 0; i < count; i++) {
        if (strcmp(word, words[i]) != 0) continue;
        *out = i;
        return cx->status;
    }
    return kin_fail(cx, KIN_FORMAT, "preprocess_cfg: \"%s\" is \"%s\"; kin has %s, %s%s%s", key, word,
                    words[0], words[1], count > 2 ? ", " : "", count > 2 ? words[2] : "");
}

kin_status kin_preprocess_from_json(kin_ctx *cx, const json_t *object, kin_preprocess *p)
{
    int mode = (int)p->mode, filter = (int)p->interpolation;
    KIN_TRY(read_three(cx, object, "mean", -1e6, p->mean));
    KIN_TRY(read_three(cx, object, "std", 0.0, p->std));
    KIN_TRY(read_word(cx, object, "resize_mode", modes, 3, &mode));
    KIN_TRY(read_word(cx, object, "interpolation", filters, 2, &filter));
    p->mode = (kin_resize_mode)mode;
    p->interpolation = (kin_filter)filter;
    p->fill = (uint8_t)kin_json_int(cx, object, "fill_color", 0, 0, 255);
    return cx->status;
}

static json_t *three(const float v[3])
{
    json_t *a = json_array();
    for (int i = 0; i < 3; i++) {
        /* The shortest decimal that is this float, not its seventeen digits as a double. */
        char text[32];
        for (int digits = 6; digits < 10; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, (double)v[i]);
            if (strtof(text, NULL) == v[i]) break;
        }
        json_array_append_new(a, json_real(strtod(text, NULL)));
    }
    return a;
}

json_t *kin_preprocess_to_json(const kin_preprocess *p)
{
    return json_pack("{s:o, s:o, s:s, s:s, s:i}", "mean", three(p->mean), "std", three(p->std),
                     "interpolation", filters[p->interpolation], "resize_mode", modes[p->mode], "fill_color",
                     (int)p->fill);
}

json_t *kin_preprocess_to_hf(const kin_preprocess *p)
{
    const int h = (int)p->height, w = (int)p->width;
    const bool longest = p->mode == KIN_RESIZE_LONGEST;
    json_t *size = p->mode == KIN_RESIZE_SQUASH
                       ? json_pack("{s:i, s:i}", "height", h, "width", w)
                       : json_pack("{s:i}", longest ? "longest_edge" : "shortest_edge",
                                   longest ? (h > w ? h : w) : (h < w ? h : w));
    return json_pack("{s:s, s:b, s:o, s:i, s:b, s:{s:i, s:i}, s:b, s:f, s:b, s:o, s:o, s:b}",
                     "image_processor_type", "CLIPImageProcessor", "do_resize", 1, "size", size, "resample",
                     p->interpolation == KIN_BICUBIC ? 3 : 2, "do_center_crop", p->mode != KIN_RESIZE_SQUASH,
                     "crop_size", "height", h, "width", w, "do_rescale", 1, "rescale_factor", 1.0 / 255.0,
                     "do_normalize", 1, "image_mean", three(p->mean), "image_std", three(p->std),
                     "do_convert_rgb", 1);
}

/* Where the crop of s in n begins: torchvision's int(round((n - s) / 2)), half to even. */
static int64_t centre(int64_t n, int64_t size)
{
    return (int64_t)nearbyint((double)(n - size) / 2.0);
}

/* One axis of the middle of n pixels, which may be fewer or more than the s wanted: from pixel *from on, so
 * many of them, to *to. */
static int64_t middle(int64_t n, int64_t s, int64_t *from, int64_t *to)
{
    *from = n >= s ? centre(n, s) : 0;
    *to = n < s ? (s - n) / 2 : 0;
    return kin_min64(n, s);
}

/* What the whole picture is resized to: open_clip's Resize for squares, ResizeKeepRatio for the rest, and
 * both sides alone for squash. */
static void resized(const kin_preprocess *p, const kin_image *in, int64_t *tw, int64_t *th)
{
    const int64_t w = in->width, h = in->height;
    *tw = p->width;
    *th = p->height;
    if (p->mode == KIN_RESIZE_SQUASH) return;
    if (p->mode == KIN_RESIZE_SHORTEST && p->width == p->height) {
        if (w <= h)
            *th = p->width * h / w;
        else
            *tw = p->height * w / h;
        return;
    }
    const double across = (double)w / (double)p->width, down = (double)h / (double)p->height;
    const double ratio = p->mode == KIN_RESIZE_LONGEST ? fmax(across, down) : fmin(across, down);
    *tw = kin_max64(1, (int64_t)nearbyint((double)w / ratio));
    *th = kin_max64(1, (int64_t)nearbyint((double)h / ratio));
}

int64_t kin_preprocess_bytes(const kin_preprocess *p)
{
    return p->height * p->width * 3;
}

kin_status kin_preprocess_image(kin_ctx *cx, const kin_preprocess *p, const kin_image *in, uint8_t *out)
{
    const kin_rect all = {0, 0, in->width, in->height};
    int64_t tw, th, pixels;
    resized(p, in, &tw, &th);
    if (!kin_mul(tw, th, &pixels) || pixels > KIN_MAX_IMAGE_PIXELS)
        return kin_fail(
            cx, KIN_UNSUPPORTED, "a picture of %lld x %lld is too narrow to be cropped to %lld x %lld",
            (long long)in->width, (long long)in->height, (long long)p->width, (long long)p->height);
    int64_t x, y, left, top;
    const int64_t n = middle(tw, p->width, &x, &left), rows = middle(th, p->height, &y, &top);
    const kin_rect part = {x, y, x + n, y + rows};
    if (n == p->width && rows == p->height)
        return kin_resize_part(cx, in, all, tw, th, part, p->interpolation, out);
    uint8_t *small = kin_alloc(cx, n * rows, 3);
    if (!small) return cx->status;
    if (kin_resize_part(cx, in, all, tw, th, part, p->interpolation, small) == KIN_OK) {
        memset(out, p->fill, (size_t)kin_preprocess_bytes(p));
        for (int64_t i = 0; i < rows; i++)
            memcpy(out + ((i + top) * p->width + left) * 3, small + i * n * 3, (size_t)(n * 3));
    }
    free(small);
    return cx->status;
}
