/* JPEG by libjpeg-turbo with its defaults (ISLOW, fancy upsampling), bit-exact with Pillow. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "data/image_codec.h"

/* libjpeg's errors do not return: they jump back here, with their text. */
typedef struct trap {
    struct jpeg_error_mgr manager; /* first: libjpeg knows only this */
    jmp_buf back;
    bool damaged;
    char text[JMSG_LENGTH_MAX];
} trap;

static void on_error(j_common_ptr jpeg)
{
    trap *t = (trap *)jpeg->err;
    t->manager.format_message(jpeg, t->text);
    longjmp(t->back, 1);
}

/* Warnings after which part of the picture is made up. */
static void on_message(j_common_ptr jpeg, int level)
{
    trap *t = (trap *)jpeg->err;
    const int code = t->manager.msg_code;
    if (level >= 0 || t->damaged) return;
    if (code != JWRN_JPEG_EOF && code != JWRN_HIT_MARKER && code != JWRN_HUFF_BAD_CODE) return;
    t->damaged = true;
    t->manager.format_message(jpeg, t->text);
}

static void no_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

/* Pillow's conversions: Adobe's CMYK is stored inverted; ink on black is what remains of the light. */
static void cmyk_row(const uint8_t *in, int64_t n, bool inverted, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++, in += 4, out += 3) {
        const unsigned flip = inverted ? 255u : 0u, light = 255u - (in[3] ^ flip);
        for (int c = 0; c < 3; c++) {
            const unsigned product = (in[c] ^ flip) * light + 128u;
            out[c] = (uint8_t)(light - ((product + (product >> 8)) >> 8));
        }
    }
}

/* Reads the rows of a started decompression; `row` has room for one, four channels. */
static void read_rows(struct jpeg_decompress_struct *jpeg, uint8_t *row, kin_image *out)
{
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to = out->pixels + (int64_t)jpeg->output_scanline * out->width * 3;
        JSAMPROW line = jpeg->output_components == 3 ? to : row;
        jpeg_read_scanlines(jpeg, &line, 1);
        if (jpeg->output_components == 1)
            for (int64_t i = 0; i < out->width; i++) memset(to + i * 3, row[i], 3);
        if (jpeg->output_components == 4) cmyk_row(row, out->width, jpeg->saw_Adobe_marker, to);
    }
}

/* Memory for the rows of what is read; the limit is of the stored picture. */
static kin_status room(kin_ctx *cx, struct jpeg_decompress_struct *jpeg, int64_t max_pixels, int shrink,
                       kin_image *out)
{
    const int64_t w = jpeg->image_width, h = jpeg->image_height;
    if (shrink == 1 || w * h > max_pixels) return kin_image_room(cx, w, h, max_pixels, out);
    jpeg->scale_num = 1;
    jpeg->scale_denom = (unsigned)shrink;
    jpeg_calc_output_dimensions(jpeg);
    return kin_image_room(cx, jpeg->output_width, jpeg->output_height, max_pixels, out);
}

kin_status kin_decode_jpeg(kin_ctx *cx, const uint8_t *bytes, int64_t size, int64_t max_pixels, int shrink,
                           kin_image *out)
{
    struct jpeg_decompress_struct jpeg;
    trap t = {.damaged = false};
    uint8_t *volatile row = NULL; /* changed after setjmp */
    jpeg.err = jpeg_std_error(&t.manager);
    t.manager.error_exit = on_error;
    t.manager.emit_message = on_message;
    t.manager.output_message = no_output;
    if (setjmp(t.back)) {
        jpeg_destroy_decompress(&jpeg);
        free(row);
        return kin_fail(cx, KIN_FORMAT, "a damaged JPEG: %s", t.text);
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, (unsigned long)size);
    jpeg_read_header(&jpeg, TRUE);
    if (jpeg.jpeg_color_space == JCS_GRAYSCALE)
        jpeg.out_color_space = JCS_GRAYSCALE;
    else if (jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK)
        jpeg.out_color_space = JCS_CMYK;
    else
        jpeg.out_color_space = JCS_RGB;
    kin_status rc = room(cx, &jpeg, max_pixels, shrink, out);
    if (rc == KIN_OK) row = kin_alloc(cx, jpeg.image_width, 4);
    if (row) {
        jpeg_start_decompress(&jpeg);
        read_rows(&jpeg, row, out);
        jpeg_finish_decompress(&jpeg);
    }
    jpeg_destroy_decompress(&jpeg);
    free(row);
    if (cx->status == KIN_OK && t.damaged) kin_fail(cx, KIN_FORMAT, "a damaged JPEG: %s", t.text);
    return cx->status;
}
