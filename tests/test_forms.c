/* Every form of data through the one interface: what is read, in which order; and each mistake that users
 * make with the sentence that it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/check.h"
#include "data/csv.h"
#include "data/image.h"
#include "tests/forms.h"

static char folder[64];

typedef struct told {
    int lines;
    char text[4096]; /* all lines */
} told;

static void keep(void *user, kin_level level, const char *message)
{
    told *t = user;
    const size_t n = strlen(t->text);
    (void)level;
    t->lines++;
    snprintf(t->text + n, sizeof t->text - n, "%s\n", message);
}

/* The text with the folder's name in the place of "@". */
static const char *at(const char *text)
{
    static char out[8][2048];
    static int next;
    char *o = out[next++ % 8];
    size_t n = 0;
    for (; *text && n < sizeof out[0] - 64; text++) {
        if (*text == '@')
            n += (size_t)snprintf(o + n, 64, "%s", folder);
        else
            o[n++] = *text;
    }
    o[n] = '\0';
    return o;
}

static const char *path_of(const form *f)
{
    char path[256];
    snprintf(path, sizeof path, "@/%s%s%s", f->name, *f->path ? "/" : "", f->path);
    return at(path);
}

static void test_all_forms(void **state)
{
    (void)state;
    for (int i = 0; i < form_count; i++) {
        kin_ctx cx = {0};
        const form *f = &forms[i];
        kin_dataset *d = kin_dataset_open(&cx, path_of(f), f->split, false);
        if (!d) fail_msg("%s: %s", f->name, cx.message);
        if (d->items != f->pictures || d->captions != f->captions || !strstr(d->form, f->says))
            fail_msg("%s: %d pictures, %d captions, %s", f->name, (int)d->items, (int)d->captions, d->form);
        assert_int_equal(d->skipped, 0);
        for (int64_t k = 0; k < d->items; k++) {
            const kin_item *it = &d->item[k];
            const uint8_t *bytes;
            uint8_t *own;
            int64_t size;
            kin_image image;
            assert_int_equal(kin_dataset_bytes(&cx, d, k, &bytes, &size, &own), KIN_OK);
            assert_int_equal(kin_image_decode(&cx, it->name, bytes, size, 10000, &image), KIN_OK);
            kin_image_free(&image);
            free(own);
            assert_true(it->captions > 0);
            for (int64_t c = it->caption; c < it->caption + it->captions; c++) {
                assert_int_equal(d->item_of[c], k);
                /* Every caption has its picture's number in it; classes a letter. */
                char number[16];
                snprintf(number, sizeof number, "%d", (int)k);
                if (strcmp(f->name, "classes") == 0)
                    snprintf(number, sizeof number, "kind %c of", 'a' + (int)k);
                if (strcmp(f->name, "folder") != 0 && !strstr(d->caption[c], number))
                    fail_msg("%s: caption '%s' of picture %d (%s)", f->name, d->caption[c], (int)k, it->name);
            }
        }
        kin_dataset_close(d);
        d = kin_pictures_open(&cx, path_of(f));
        if (!d || d->items != FORM_PICTURES) fail_msg("%s: not all pictures: %s", f->name, cx.message);
        kin_dataset_close(d);
    }
}

static kin_dataset *opened(const char *path, const kin_dataset_cfg *cfg)
{
    kin_ctx cx = {0};
    kin_dataset *d = kin_dataset_open_as(&cx, at(path), cfg);
    if (!d) fail_msg("%s", cx.message);
    return d;
}

/* Captions to the letter. */
static void test_exact(void **state)
{
    (void)state;
    kin_dataset *d = opened("@/csv/pairs.csv", &(kin_dataset_cfg){0});
    assert_string_equal(d->caption[2], "picture 1, the \"first\" caption");
    assert_string_equal(d->caption[3], "picture 1, the \"second\" caption");
    kin_dataset_close(d);
    d = opened("@/tsv/train.tsv", &(kin_dataset_cfg){0});
    assert_string_equal(d->caption[1], "a \"picture\", number 1");
    kin_dataset_close(d);
    d = opened("@/semicolon/flickr_annotations.csv", &(kin_dataset_cfg){.split = "test"});
    assert_int_equal(d->items, 3);
    assert_string_equal(d->caption[0], "picture 9");
    assert_string_equal(d->caption[1], "one more, of 9");
    assert_string_equal(d->splits, "train, test");
    kin_dataset_close(d);
    d = opened("@/coco/annotations/captions_val2014.json", &(kin_dataset_cfg){0});
    assert_string_equal(d->caption[0], "Picture 0, caption 0."); /* without blank and line end */
    assert_string_equal(d->caption[4], "Picture 0, caption 4.");
    assert_int_equal(d->item[2].captions, 7);
    assert_non_null(strstr(d->item[3].name, "val2014/COCO_val2014_000000000003.jpg"));
    kin_dataset_close(d);
    d = opened("@/benchmark/flickr8k_test_karpathy.txt", &(kin_dataset_cfg){0});
    assert_string_equal(d->caption[5], "\"Picture\" 1, said 0, with commas .");
    kin_dataset_close(d);
    d = opened("@/kaggle/results.csv", &(kin_dataset_cfg){0});
    assert_string_equal(d->caption[0], "Picture 0 , said 0 .");
    kin_dataset_close(d);
    d = opened("@/benchmark_shards", &(kin_dataset_cfg){.split = "test"});
    assert_string_equal(d->caption[1], "picture 0, line 1");
    kin_dataset_close(d);
    /* restval is training data unless asked otherwise. */
    d = opened("@/karpathy_coco/dataset_coco.json", &(kin_dataset_cfg){.split = "train", .no_restval = true});
    assert_int_equal(d->items, 4);
    assert_string_equal(d->caption[0], "Caf\xc3\xa9 \xf0\x9f\x99\x82 0, 0.");
    assert_string_equal(d->splits, "train, restval, val, test");
    kin_dataset_close(d);
    d = opened("@/karpathy_coco/dataset_coco.json", &(kin_dataset_cfg){.split = "test"});
    assert_int_equal(d->items, 2);
    kin_dataset_close(d);
}

/* Rows as RFC 4180 has them, and as people write them. */
static void test_csv_rows(void **state)
{
    (void)state;
    static const char text[] = "a,\"b\"\"c\",\"d\ne\"\r\n\r\n\"open,f\n\"x\"y,g,\n,\"\"";
    static const char *const want[][4] = {
        {"a", "b\"c", "d\ne", NULL}, {"\"open", "f", NULL}, {"\"x\"y", "g", "", NULL}, {"", "", NULL}};
    static const int lines[] = {1, 4, 5, 6};
    kin_ctx cx = {0};
    kin_csv c;
    kin_csv_open(&c, text, sizeof text - 1, ',');
    for (int r = 0; r < 4; r++) {
        assert_true(kin_csv_next(&cx, &c));
        assert_int_equal(c.line, lines[r]);
        int64_t n = 0;
        for (; want[r][n]; n++) assert_string_equal(kin_csv_field(&c, n), want[r][n]);
        assert_int_equal(c.fields, n);
    }
    assert_false(kin_csv_next(&cx, &c));
    assert_int_equal(cx.status, KIN_OK);
    kin_csv_close(&c);
}

typedef struct mistake {
    const char *file, *content; /* written first; NULL: as it is */
    const char *open;
    kin_dataset_cfg cfg;
    const char *error; /* the whole message; NULL: none */
    const char *note;  /* the whole of what is told; NULL: none */
} mistake;

static const mistake mistakes[] = {
    {"csv/1.csv",
     "image,caption\npictures/00.jpg,a\npictures/01.jpg,b\n",
     "@/csv/1.csv",
     {0},
     NULL,
     "@/csv/1.csv: no column 'filepath'. Columns: image, caption (separator ','). Using "
     "image\xe2\x86\x92'image', text\xe2\x86\x92'caption'; set --csv-img-key to change.\n"},
    {NULL,
     NULL,
     "@/csv/1.csv",
     {.image_key = "filepath"},
     "@/csv/1.csv: no column 'filepath'. Columns: image, caption (separator ','); set --csv-img-key to one "
     "of them",
     NULL},
    {NULL,
     NULL,
     "@/csv/1.csv",
     {.image_key = "image", .caption_key = "words"},
     "@/csv/1.csv: no column 'words'. Columns: image, caption (separator ','); set --csv-caption-key to one "
     "of them",
     NULL},
    {NULL,
     NULL,
     "@/csv/1.csv",
     {.separator = "tab"},
     "@/csv/1.csv: no column of pictures was recognised. Columns: image,caption (separator tab); set "
     "--csv-img-key "
     "to one of them",
     NULL},
    {NULL, NULL, "@/csv/1.csv", {.separator = "ab"}, "--csv-separator 'ab': one character, or tab", NULL},
    {"csv/2.csv",
     "foo,bar\npictures/00.jpg,a\n",
     "@/csv/2.csv",
     {0},
     "@/csv/2.csv: no column of pictures was recognised. Columns: foo, bar (separator ','); set "
     "--csv-img-key to one "
     "of them",
     NULL},
    {NULL, NULL, "@/csv/2.csv", {.image_key = "foo", .caption_key = "bar"}, NULL, NULL},
    {"csv/3.csv",
     "url,caption\nhttps://x.org/a.jpg,a\n",
     "@/csv/3.csv",
     {.image_key = "url"},
     "@/csv/3.csv: line 2: the picture is an address (https://x.org/a.jpg); kin reads files: download them "
     "first, for "
     "example with img2dataset",
     NULL},
    {"csv/4.csv",
     "filepath,title\na.jpg,x\nb.jpg,y\n",
     "@/csv/4.csv",
     {0},
     "@/csv/4.csv: not one of its 2 pictures is there; a.jpg was looked for beside it and in the folders "
     "there",
     NULL},
    {"csv/5.csv",
     "filepath,title\npictures/00.jpg,x\nb.jpg,y\npictures/02.jpg,\n",
     "@/csv/5.csv",
     {0},
     NULL,
     "@/csv/5.csv: 1 picture left out, not there (first b.jpg)\n"
     "@/csv/5.csv: 1 picture left out, without a caption (first @/csv/pictures/02.jpg)\n"},
    {"csv/6.csv",
     "PK\3\4xxxxxxxx",
     "@/csv/6.csv",
     {0},
     "@/csv/6.csv: a zip or Excel file; save the table as CSV",
     NULL},
    {"csv/7.csv",
     "\xff\xfe"
     "f",
     "@/csv/7.csv",
     {0},
     "@/csv/7.csv: it is UTF-16; save it as UTF-8",
     NULL},
    {"csv/9.csv",
     "pictures/00.jpg\npictures/01.jpg\n",
     "@/csv/9.csv",
     {0},
     "@/csv/9.csv: neither a header nor a column of pictures' names with one of captions",
     NULL},
    {"csv/8.csv", "", "@/csv/8.csv", {0}, "@/csv/8.csv: it is empty", NULL},
    {NULL,
     NULL,
     "@/semicolon/flickr_annotations.csv",
     {.split = "dev"},
     "@/semicolon/flickr_annotations.csv: no row is in split 'dev'; there are: train, test",
     NULL},
    {NULL, NULL, "@/nowhere.csv", {0}, "@/nowhere.csv: No such file or directory", NULL},
    /* shards */
    {NULL,
     NULL,
     "@/shards/{00000..00012}.tar",
     {0},
     NULL,
     "shard list '@/shards/{00000..00012}.tar' matched 2 of 13 files (first missing 00002.tar)\n"},
    {NULL,
     NULL,
     "@/shards/{00002..00012}.tar",
     {0},
     "shard list '@/shards/{00002..00012}.tar' matched none of 11 files (first missing 00002.tar)",
     NULL},
    {NULL,
     NULL,
     "@/shards/{00012..00002}.tar",
     {0},
     "@/shards/{00012..00002}.tar: {00012..00002} is not a range like {000..012}",
     NULL},
    {NULL,
     NULL,
     "@/shards/{00000..00002.tar",
     {0},
     "@/shards/{00000..00002.tar: '{' without '}'; in a shell, put the list in quotes",
     NULL},
    {NULL, NULL, "@/shards/train.tar", {0}, "@/shards/train.tar: there is no such file", NULL},
    {"cut/0.tar", "not a tar", "@/cut/0.tar", {0}, NULL, NULL},
    /* folders */
    {NULL,
     NULL,
     "@/classes",
     {0},
     NULL,
     "@/classes: no picture has a .txt beside it: the names of the sub-folders are the captions\n"},
    {NULL,
     NULL,
     "@/csv/pictures",
     {0},
     "@/csv/pictures: 12 pictures, but not one has a caption; a photo.jpg wants a photo.txt beside it or a "
     "row in a "
     "table; did you mean @/csv/pictures/../1.csv?",
     NULL},
    {"heic/IMG_1.HEIC",
     "x",
     "@/heic",
     {0},
     "@/heic: 1 pictures, all of a kind that kin does not read; convert them to JPEG, PNG or WebP; the first "
     "is "
     "@/heic/IMG_1.HEIC",
     NULL},
    {"none/readme.md", "x", "@/none", {0}, "@/none: no picture with a caption in it", NULL},
    /* annotations */
    {NULL,
     NULL,
     "@/karpathy_coco/dataset_coco.json",
     {.split = "validation"},
     "@/karpathy_coco/dataset_coco.json: no picture is in split 'validation'; there are: train, restval, "
     "val, test",
     NULL},
    {"coco/annotations/instances_val2014.json",
     "{\"images\": [{\"id\": 1, \"file_name\": \"COCO_val2014_000000000001.jpg\"}],\n"
     "\"annotations\": [{\"image_id\": 1, \"segmentation\": []}]}",
     "@/coco/annotations/instances_val2014.json",
     {0},
     "@/coco/annotations/instances_val2014.json: annotations[0]: an annotation has no \"caption\": COCO's "
     "captions "
     "are in captions_*.json, not in instances_*.json or person_keypoints_*.json",
     NULL},
    {"coco/bad.json",
     "{\"images\": [\n{\"id\": 1, \"file_name\": \"a.jpg\"},\n{\"id\": 2,, }]}",
     "@/coco/bad.json",
     {0},
     "@/coco/bad.json: line 3: string or '}' expected near ','",
     NULL},
    {"coco/cut.json",
     "{\"images\": [\n{\"id\": 1, \"file_name\": \"a.jpg\"}",
     "@/coco/cut.json",
     {0},
     "@/coco/cut.json: line 2: ',' or ']' expected where the file ends",
     NULL},
    {"coco/other.json",
     "{\"a\": [1]}",
     "@/coco/other.json",
     {0},
     "@/coco/other.json: neither Karpathy's JSON (\"images\" with \"sentences\") nor COCO's captions "
     "(\"images\" and "
     "\"annotations\") nor pairs ([{\"image\", \"caption\"}])",
     NULL},
    {"coco/orphan.json",
     "{\"annotations\": [{\"image_id\": 3, \"caption\": \"x\"}, {\"image_id\": 1, \"caption\": \"y\"}],\n"
     "\"images\": [{\"id\": 1, \"file_name\": \"COCO_val2014_000000000001.jpg\"}]}",
     "@/coco/orphan.json",
     {0},
     NULL,
     "1 captions belong to no picture of the file and were left out\n"},
    {"benchmark/x_karpathy.txt",
     "image,caption\n0_0ab.jpg;a\n",
     "@/benchmark/x_karpathy.txt",
     {0},
     "@/benchmark/x_karpathy.txt: line 2: NAME.jpg,CAPTION expected",
     NULL},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const mistake *m = &mistakes[i];
        told t = {0};
        kin_ctx cx = {.log = keep, .log_user = &t};
        if (m->file) form_write(folder, m->file, "%s", m->content);
        kin_dataset *d = kin_dataset_open_as(&cx, at(m->open), &m->cfg);
        if (strcmp(m->open, "@/cut/0.tar") == 0) {
            assert_null(d);
            assert_non_null(strstr(cx.message, "0.tar"));
            continue;
        }
        if (m->error ? d != NULL || strcmp(cx.message, at(m->error)) != 0 : d == NULL)
            fail_msg("%s: said '%s', wanted '%s'", m->open, cx.message,
                     m->error ? at(m->error) : "(no error)");
        if (m->note ? strcmp(t.text, at(m->note)) != 0 : !m->error && strstr(t.text, "left out"))
            fail_msg("%s: told '%s', wanted '%s'", m->open, t.text, m->note ? at(m->note) : "(nothing)");
        kin_dataset_close(d);
    }
}

static void test_misnamed(void **state)
{
    (void)state;
    told t = {0};
    kin_ctx cx = {.log = keep, .log_user = &t};
    uint8_t *bytes;
    int64_t size;
    kin_image image;
    assert_int_equal(kin_read_file(&cx, "tests/golden/image/rgb.png", 1 << 20, &bytes, &size), KIN_OK);
    assert_int_equal(kin_write_file(&cx, at("@/photo.jpg"), bytes, size), KIN_OK);
    free(bytes);
    assert_int_equal(kin_image_load(&cx, at("@/photo.jpg"), &image), KIN_OK);
    kin_image_free(&image);
    assert_string_equal(t.text, at("@/photo.jpg is a PNG file (content sniffed) - read as PNG.\n"));
    assert_null(kin_image_misnamed("x.JPEG", (const uint8_t *)"\xff\xd8\xff", 3));
    assert_null(kin_image_misnamed("x", (const uint8_t *)"\xff\xd8\xff", 3));
}

static int64_t number(const json_t *r, const char *key)
{
    const json_t *v = json_object_get(r, key);
    if (!json_is_integer(v)) fail_msg("the report has no number %s", key);
    return json_integer_value(v);
}

static void test_check(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    for (int i = 0; i < 20; i++) {
        char name[64];
        snprintf(name, sizeof name, "check/%02d.jpg", i);
        form_save_picture(folder, name, i); /* 12 to 19 are copies of 0 to 7 */
        if (i == 3) form_write(folder, name, "\xff\xd8\xff broken");
        snprintf(name, sizeof name, "check/%02d.txt", i);
        if (i != 5)
            form_write(folder, name, "%s", i < 10 ? "the same words" : i == 19 ? "not \xff utf-8" : "other");
    }
    form_write(folder, "check/99.gif", "GIF89a");
    uint8_t *bytes;
    int64_t size;
    kin_read_file(&cx, "tests/golden/image/lossy.webp", 1 << 20, &bytes, &size);
    kin_write_file(&cx, at("@/check/50.png"), bytes, size);
    free(bytes);
    form_write(folder, "check/50.txt", "one two  three four");
    kin_dataset *d = opened("@/check", &(kin_dataset_cfg){0});
    uint8_t split[20] = {0};
    const kin_check_cfg cfg = {.preview = 2, .held = 0.2, .seed = 1};
    json_t *r = kin_dataset_check(&cx, d, &cfg, split);
    if (!r) fail_msg("%s", cx.message);
    assert_int_equal(number(r, "images"), 20);
    assert_int_equal(number(r, "captions"), 20);
    assert_int_equal(number(json_object_get(r, "skipped"), "no_caption"), 1);
    assert_int_equal(number(json_object_get(r, "skipped"), "other_format"), 1);
#ifdef KIN_HAVE_WEBP
    assert_int_equal(number(r, "readable"), 19);
    assert_int_equal(number(r, "broken"), 1);
    assert_int_equal(number(r, "misnamed"), 1);
    assert_int_equal(number(json_object_get(r, "kinds"), "WebP"), 1);
#endif
    assert_int_equal(number(r, "rotated"), 6);
    assert_int_equal(number(r, "duplicate_images"), 6); /* without 3's and 5's */
    assert_int_equal(number(r, "duplicate_captions"), 18);
    assert_int_equal(number(r, "not_utf8"), 1);
    assert_int_equal(number(json_object_get(r, "lengths"), "max"), 4);
    assert_true(json_is_true(json_object_get(r, "usable")));
    assert_int_equal(json_array_size(json_object_get(r, "preview")), 2);
    const char *error =
        json_string_value(json_object_get(json_array_get(json_object_get(r, "broken_first"), 0), "error"));
    assert_non_null(strstr(error, "03.jpg: a damaged JPEG"));
    /* Written and read back: every picture in the part it was given. */
    assert_int_equal(kin_split_save(&cx, d, split, at("@/check/dataset_x.json")), KIN_FORMAT);
    assert_non_null(strstr(cx.message, "a caption is not UTF-8"));
    kin_clear(&cx);
    form_write(folder, "check/19.txt", "now it is");
    kin_dataset_close(d);
    d = opened("@/check", &(kin_dataset_cfg){0});
    assert_int_equal(kin_split_save(&cx, d, split, at("@/check/dataset_x.json")), KIN_OK);
    int64_t total = 0;
    for (int k = 0; k < 3; k++) {
        static const char *const names[] = {"train", "val", "test"};
        int64_t want = 0;
        for (int i = 0; i < 20; i++) want += split[i] == k;
        kin_ctx quiet = {0};
        kin_dataset *part = kin_dataset_open(&quiet, at("@/check/dataset_x.json"), names[k], false);
        assert_int_equal(part ? part->items : 0, want);
        total += want;
        kin_dataset_close(part);
    }
    assert_int_equal(total, 20);
    json_decref(r);
    kin_dataset_close(d);
}

static int make(void **state)
{
    (void)state;
    forms_make(folder);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    forms_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_forms), cmocka_unit_test(test_exact),    cmocka_unit_test(test_csv_rows),
        cmocka_unit_test(test_mistakes),  cmocka_unit_test(test_misnamed), cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests_name("forms", tests, make, clear);
}
