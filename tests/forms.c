#include "tests/forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/tar.h"

#define IN(folder, name) in_folder((char[512]){0}, folder, name)

static char *in_folder(char *room, const char *folder, const char *name)
{
    snprintf(room, 512, "%s/%s", folder, name);
    return room;
}

static void need(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "forms: %s\n", what);
    exit(1);
}

void form_write(const char *folder, const char *name, const char *format, ...)
{
    kin_ctx cx = {0};
    char *path = IN(folder, name), *text;
    char *where = kin_folder_of(&cx, path);
    va_list args;
    va_start(args, format);
    const int n = vasprintf(&text, format, args);
    va_end(args);
    need(kin_make_dirs(&cx, where) == KIN_OK && kin_write_file(&cx, path, text, n) == KIN_OK, cx.message);
    free(where);
    free(text);
}

uint8_t *form_picture(int i, int64_t *size)
{
    static const char *const files[FORM_PICTURES] = {
        "rgb.jpg",  "odd420.jpg", "s444.jpg",  "s422.jpg",  "progressive.jpg", "grey.jpg",
        "cmyk.jpg", "exif2.jpg",  "exif3.jpg", "exif5.jpg", "exif6.jpg",       "exif8.jpg"};
    kin_ctx cx = {0};
    uint8_t *bytes = NULL;
    char path[128];
    snprintf(path, sizeof path, "tests/golden/image/%s", files[i % FORM_PICTURES]);
    need(kin_read_file(&cx, path, 1 << 20, &bytes, size) == KIN_OK, cx.message);
    return bytes;
}

void form_save_picture(const char *folder, const char *name, int i)
{
    kin_ctx cx = {0};
    int64_t size;
    uint8_t *bytes = form_picture(i, &size);
    char *path = IN(folder, name), *where = kin_folder_of(&cx, path);
    need(kin_make_dirs(&cx, where) == KIN_OK && kin_write_file(&cx, path, bytes, size) == KIN_OK, cx.message);
    free(where);
    free(bytes);
}

/* FORMAT takes the picture's number. */
static void save_pictures(const char *folder, const char *format)
{
    for (int i = 0; i < FORM_PICTURES; i++) {
        char name[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(name, sizeof name, format, i);
#pragma GCC diagnostic pop
        form_save_picture(folder, name, i);
    }
}

/* Lines gathered in memory, then a file. */
static FILE *begin(char **text, size_t *size)
{
    FILE *f = open_memstream(text, size);
    need(f != NULL, "no memory");
    return f;
}

static void end(FILE *f, char **text, const char *folder, const char *name)
{
    fclose(f);
    form_write(folder, name, "%s", *text);
    free(*text);
}

static void make_csv(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "pictures/%02d.jpg");
    FILE *f = begin(&text, &size);
    fprintf(f, "\xef\xbb\xbfImage,Caption\r\n");
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < FORM_PICTURES; i++)
            fprintf(f, "pictures/%02d.jpg,\"picture %d, the \"\"%s\"\" caption\"\r\n", i, i,
                    k ? "second" : "first");
    end(f, &text, folder, "pairs.csv");
}

static void make_tsv(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "%02d.jpg");
    FILE *f = begin(&text, &size);
    fprintf(f, "filepath\ttitle\n");
    for (int i = 0; i < FORM_PICTURES; i++)
        fprintf(f, "%s/%02d.jpg\ta \"picture\", number %d\n", folder, i, i);
    end(f, &text, folder, "train.tsv");
}

static void make_semicolon(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "%02d.jpg");
    FILE *f = begin(&text, &size);
    fprintf(f, "id;split;filename;raw\n");
    for (int i = 0; i < FORM_PICTURES; i++)
        fprintf(f, "%d;%s;%02d.jpg;\"[\"\"picture %d\"\", \"\"one more, of %d\"\"]\"\n", i,
                i < 9 ? "train" : "test", i, i, i);
    end(f, &text, folder, "flickr_annotations.csv");
}

static void make_kaggle(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "flickr30k_images/%d.jpg");
    FILE *f = begin(&text, &size);
    fprintf(f, "image_name| comment_number| comment\n");
    for (int i = 0; i < FORM_PICTURES; i++)
        for (int k = 0; k < 5; k++) fprintf(f, "%d.jpg| %d|  Picture %d , said %d .\n", i, k, i, k);
    end(f, &text, folder, "results.csv");
}

static void make_token(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "Flicker8k_Dataset/%d_ab.jpg");
    FILE *f = begin(&text, &size);
    for (int i = 0; i < FORM_PICTURES; i++)
        for (int k = 0; k < 5; k++) fprintf(f, "%d_ab.jpg#%d\tPicture %d , said %d .\n", i, k, i, k);
    end(f, &text, folder, "Flickr8k.token.txt");
}

static void make_folder(const char *folder)
{
    for (int i = 0; i < FORM_PICTURES; i++) {
        char name[64];
        snprintf(name, sizeof name, "part%d/%02d.jpg", i % 2, i);
        form_save_picture(folder, name, i);
        snprintf(name, sizeof name, "part%d/%02d.%s", i % 2, i, i % 3 ? "txt" : "caption");
        form_write(folder, name, "picture %d\n", i);
    }
}

static void make_classes(const char *folder)
{
    for (int i = 0; i < FORM_PICTURES; i++) {
        char name[64];
        snprintf(name, sizeof name, "kind_%c_of_picture/%02d.jpg", 'a' + i, i);
        form_save_picture(folder, name, i);
    }
}

static void make_shard(const char *folder, const char *name, int from, int to, int lines)
{
    kin_ctx cx = {0};
    char *path = IN(folder, name), *where = kin_folder_of(&cx, path), text[256], member[64];
    need(kin_make_dirs(&cx, where) == KIN_OK, cx.message);
    free(where);
    kin_tar_writer *w = kin_tar_create(&cx, path);
    for (int i = from; w && i < to; i++) {
        int64_t size;
        uint8_t *bytes = form_picture(i, &size);
        snprintf(member, sizeof member, "%06d.jpg", i);
        kin_tar_add(&cx, w, member, bytes, size);
        free(bytes);
        snprintf(text, sizeof text, "picture %d", i);
        for (int k = 1; k < lines; k++) {
            const size_t n = strlen(text);
            snprintf(text + n, sizeof text - n, "\npicture %d, line %d", i, k);
        }
        snprintf(member, sizeof member, "%06d.txt", i);
        kin_tar_add(&cx, w, member, text, (int64_t)strlen(text));
    }
    if (w) kin_tar_close(&cx, w);
    need(cx.status == KIN_OK, cx.message);
}

static void make_shards(const char *folder)
{
    make_shard(folder, "00000.tar", 0, 5, 1);
    make_shard(folder, "00001.tar", 5, FORM_PICTURES, 1);
}

static void make_benchmark_shards(const char *folder)
{
    make_shard(folder, "test/0.tar", 0, 6, 5);
    make_shard(folder, "test/1.tar", 6, FORM_PICTURES, 5);
    form_write(folder, "test/nshards.txt", "2\n");
    form_write(folder, "dataset_type.txt", "retrieval\n");
}

/* COCO's layout: annotations/ beside val2014/, names with the split in them; five to seven captions. */
static void make_coco(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "val2014/COCO_val2014_%012d.jpg");
    FILE *f = begin(&text, &size);
    fprintf(f, "{\"info\": {\"year\": 2014}, \"licenses\": [{\"id\": 1}], \"images\": [");
    for (int i = 0; i < FORM_PICTURES; i++)
        fprintf(f,
                "%s{\"license\": 1, \"file_name\": \"COCO_val2014_%012d.jpg\", \"height\": 21, \"id\": %d}",
                i ? ", " : "", i, 100 - i);
    fprintf(f, "], \"annotations\": [");
    for (int k = 0, id = 0; k < 7; k++)
        for (int i = 0; i < FORM_PICTURES; i++)
            if (k < 5 + i % 3)
                fprintf(f, "%s{\"image_id\": %d, \"id\": %d, \"caption\": \"Picture %d, caption %d. \\n\"}",
                        id ? ", " : "", 100 - i, id, i, k),
                    id++;
    fprintf(f, "]}\n");
    end(f, &text, folder, "annotations/captions_val2014.json");
}

static void write_karpathy(const char *folder, const char *name, bool coco, const char *format)
{
    static const char *const splits[] = {"train", "restval", "val", "test"};
    char *text;
    size_t size;
    FILE *f = begin(&text, &size);
    fprintf(f, "{\"images\": [");
    for (int i = 0, id = 0; i < FORM_PICTURES; i++) {
        const char *split = splits[i < 4    ? 0
                                   : i < 8  ? 1
                                   : i < 10 ? 2
                                            : 3],
                   *year = i < 4 ? "train2014" : "val2014";
        char file[64];
        if (coco)
            snprintf(file, sizeof file, "COCO_%s_%012d.jpg", year, i);
        else
            snprintf(file, sizeof file, "%d.jpg", i);
        fprintf(f, "%s{", i ? ", " : "");
        if (coco) fprintf(f, "\"filepath\": \"%s\", \"cocoid\": %d, ", year, i);
        fprintf(f, "\"filename\": \"%s\", \"imgid\": %d, \"split\": \"%s\", \"sentences\": [", file, i,
                !coco && i < 8 ? "train" : split);
        for (int k = 0; k < (coco ? 5 + i % 3 : 5); k++)
            fprintf(f,
                    "%s{\"tokens\": [\"picture\"], \"raw\": \"Caf\\u00e9 \\ud83d\\ude42 %d, %d.\", "
                    "\"sentid\": %d}",
                    k ? ", " : "", i, k, id++);
        fprintf(f, "], \"sentids\": [0]}");
        char place[128];
        snprintf(place, sizeof place, "%s/%s", coco ? year : format, file);
        form_save_picture(folder, place, i);
    }
    fprintf(f, "], \"dataset\": \"%s\"}", coco ? "coco" : "flickr");
    end(f, &text, folder, name);
}

static void make_karpathy_coco(const char *folder)
{
    write_karpathy(folder, "dataset_coco.json", true, "");
}

static void make_karpathy_flickr30k(const char *folder)
{
    write_karpathy(folder, "dataset_flickr30k.json", false, "flickr30k-images");
}

static void make_karpathy_flickr8k(const char *folder)
{
    write_karpathy(folder, "dataset_flickr8k.json", false, "Images");
}

static void make_benchmark_text(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "Images/%d_0ab.jpg");
    FILE *f = begin(&text, &size);
    fprintf(f, "image,caption\n");
    for (int i = 0; i < FORM_PICTURES; i++)
        for (int k = 0; k < 5; k++)
            fprintf(f, "%d_0ab.jpg,\"Picture\" %d, said %d, with commas .\n%s", i, i, k, k ? "" : "\n");
    end(f, &text, folder, "flickr8k_test_karpathy.txt");
}

static void make_pairs(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "img/%d.jpg");
    FILE *f = begin(&text, &size);
    for (int i = 0; i < FORM_PICTURES; i++)
        fprintf(
            f, "%s{\"image\": \"img/%d.jpg\", \"image_id\": %d, \"caption\": [\"picture %d\", \"%d again\"]}",
            i ? ",\n" : "[", i, i, i, i);
    fprintf(f, "]");
    end(f, &text, folder, "train.json");
}

static void make_lines(const char *folder)
{
    char *text;
    size_t size;
    save_pictures(folder, "%d.jpg");
    FILE *f = begin(&text, &size);
    for (int i = 0; i < FORM_PICTURES; i++)
        fprintf(f, "{\"file_name\": \"%d.jpg\", \"text\": \"picture %d\"}\n", i, i);
    end(f, &text, folder, "metadata.jsonl");
}

const form forms[] = {
    {"csv", "pairs.csv", "train", 12, 24, "table, separator ',', Image, Caption", make_csv},
    {"tsv", "train.tsv", "train", 12, 12, "table, separator tab, filepath, title", make_tsv},
    {"semicolon", "flickr_annotations.csv", "train", 9, 18, "table, separator ';'", make_semicolon},
    {"kaggle", "results.csv", "train", 12, 60, "table, separator '|'", make_kaggle},
    {"token", "Flickr8k.token.txt", "train", 12, 60, "no header", make_token},
    {"folder", "", "train", 12, 12, "folder of pictures, a .txt beside each", make_folder},
    {"classes", "", "train", 12, 12, "the names of its sub-folders as captions", make_classes},
    {"shards", "{00000..00001}.tar", "train", 12, 12, "WebDataset, 2 tar shards", make_shards},
    {"benchmark_shards", "", "test", 12, 60, "WebDataset, 2 tar shards", make_benchmark_shards},
    {"coco", "annotations/captions_val2014.json", "val", 12, 72, "COCO captions JSON", make_coco},
    {"karpathy_coco", "dataset_coco.json", "train", 8, 47, "Karpathy's JSON", make_karpathy_coco},
    {"karpathy_flickr30k", "dataset_flickr30k.json", "train", 8, 40, "Karpathy's JSON",
     make_karpathy_flickr30k},
    {"karpathy_flickr8k", "dataset_flickr8k.json", "train", 8, 40, "Karpathy's JSON", make_karpathy_flickr8k},
    {"benchmark", "flickr8k_test_karpathy.txt", "test", 12, 60, "CLIP_benchmark annotations",
     make_benchmark_text},
    {"pairs", "train.json", "train", 12, 24, "JSON pairs", make_pairs},
    {"lines", "metadata.jsonl", "train", 12, 12, "JSON pairs", make_lines},
};
const int form_count = sizeof forms / sizeof *forms;

void forms_make(char folder[64])
{
    strcpy(folder, "/tmp/kin-forms-XXXXXX");
    need(mkdtemp(folder) != NULL, "no folder under /tmp");
    for (int i = 0; i < form_count; i++) {
        char inner[128];
        snprintf(inner, sizeof inner, "%s/%s", folder, forms[i].name);
        forms[i].make(inner);
    }
}

void forms_remove(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    need(system(command) == 0, command);
}
