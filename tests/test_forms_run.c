/* Every form of data end to end, as a user does it, with the program: check, train 50 steps, evaluate, embed,
 * search; and what it prints of bad data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "core/json.h"
#include "data/npy.h"
#include "tests/forms.h"

static char folder[64], program[512];

static const char model_json[] = "{\"embed_dim\": 16,"
                                 " \"vision_cfg\": {\"image_size\": 16, \"layers\": 1, \"width\": 32, "
                                 "\"head_width\": 16, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 24, \"vocab_size\": 540, \"width\": "
                                 "32, \"heads\": 2, \"layers\": 1}}";

/* Runs `kin ARGUMENTS` with "@" as the folder's name; its exit code, what it wrote to out and err. */
static char out[1 << 16], err[1 << 16];

static void slurp(const char *name, char *to, size_t room)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    to[fread(to, 1, room - 1, f)] = '\0';
    fclose(f);
}

static int kin(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int kin(const char *format, ...)
{
    char arguments[1024], command[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(arguments, sizeof arguments, format, args);
    va_end(args);
    size_t n = (size_t)snprintf(command, sizeof command, "%s ", program);
    for (const char *p = arguments; *p && n < sizeof command - 200; p++) {
        if (*p == '@')
            n += (size_t)snprintf(command + n, 100, "%s", folder);
        else
            command[n++] = *p;
    }
    snprintf(command + n, sizeof command - n, " >%s/out 2>%s/err </dev/null", folder, folder);
    const int status = system(command);
    slurp("out", out, sizeof out);
    slurp("err", err, sizeof err);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void good(const char *what, int code)
{
    if (code != 0) fail_msg("%s: exit %d: %s%s", what, code, out, err);
}

static void test_end_to_end(void **state)
{
    (void)state;
    for (int i = 0; i < form_count; i++) {
        const form *f = &forms[i];
        char data[256];
        kin_ctx cx = {0};
        snprintf(data, sizeof data, "'@/%s%s%s'", f->name, *f->path ? "/" : "", f->path);
        good(data, kin("data check %s --json --split %s", data, f->split));
        json_t *r = kin_json_parse(&cx, "report", out, strlen(out));
        if (!r) fail_msg("%s: %s", f->name, cx.message);
        assert_int_equal(json_integer_value(json_object_get(r, "images")), f->pictures);
        assert_int_equal(json_integer_value(json_object_get(r, "readable")), f->pictures);
        assert_int_equal(json_integer_value(json_object_get(r, "captions")), f->captions);
        assert_true(json_is_true(json_object_get(r, "usable")));
        json_decref(r);
        good(data, kin("data check %s", data));
        assert_non_null(strstr(out, f->says));

        good(data,
             kin("train --model @/model.json --train-data %s --train-split %s --val-data %s --val-split %s "
                 "--steps 50 --batch 8 --log-every 50 --lr 2e-3 --out @/run",
                 data, f->split, data, f->split));
        assert_non_null(strstr(out, "step 50 of 50, best mean_recall"));
        good(data, kin("eval retrieval --model @/run/best --data %s --split %s --out @/results.json", data,
                       f->split));
        char path[128];
        snprintf(path, sizeof path, "%s/results.json", folder);
        json_t *results = kin_json_load(&cx, path, 1 << 20);
        const json_t *metrics = json_object_get(results, "metrics");
        const double recall = json_number_value(json_object_get(metrics, "text_retrieval_recall@5"));
        if (!(recall > 0.0 && recall <= 1.0)) fail_msg("%s: recall %g", f->name, recall);
        json_decref(results);

        good(data, kin("embed --model @/run/best --images %s --out @/e.npy", data));
        snprintf(path, sizeof path, "%s/e.npy", folder);
        kin_npy e;
        assert_int_equal(kin_npy_load(&cx, path, &e), KIN_OK);
        assert_int_equal(e.dim[0], FORM_PICTURES);
        assert_int_equal(e.dim[1], 16);
        kin_npy_free(&e);
        good(data, kin("search --model @/run/best --in %s --json -k 3 'picture 1'", data));
        json_t *found = kin_json_parse(&cx, "found", out, strlen(out));
        assert_int_equal(json_array_size(found), 3);
        json_decref(found);
        /* The embeddings just written answer as the pictures do. */
        char *first = strdup(out);
        good(data, kin("search --model @/run/best --in @/e.npy --json -k 3 'picture 1'"));
        assert_string_equal(out, first);
        free(first);
    }
}

static void test_bad_data(void **state)
{
    (void)state;
    /* One broken file: named and counted; training goes on with full batches. */
    form_write(folder, "folder/part0/04.jpg", "\xff\xd8\xff broken");
    good("check", kin("data check @/folder"));
    assert_non_null(strstr(out, "11 can be read"));
    assert_non_null(strstr(out, "part0/04.jpg: a damaged JPEG"));
    good("train", kin("train --model @/model.json --train-data @/folder --steps 6 --batch 8 --out @/run"));
    assert_non_null(strstr(err, "note: a picture is left out: "));
    assert_non_null(strstr(err, "another one stands in for it"));
    good("eval", kin("eval retrieval --model @/run/last --data @/folder"));
    assert_non_null(
        strstr(err, "note: 1 of 12 pictures cannot be read and are left out with their captions: "));
    assert_non_null(strstr(err, "part0/04.jpg: a damaged JPEG"));
    assert_non_null(strstr(out, "11 images, 11 captions"));
    good("embed", kin("embed --model @/run/last --images @/folder --out @/e.npy"));
    assert_non_null(strstr(out, "11 embeddings of 16 numbers"));
    /* Nothing of use: exit 1 and one sentence. */
    assert_int_equal(kin("data check @/nowhere"), 1);
    char want[256];
    snprintf(want, sizeof want, "kin data: %s/nowhere: there is no such file\n", folder);
    assert_string_equal(err, want);
    form_write(folder, "same/a.csv", "filepath,title\n../csv/pictures/01.jpg,x\n../csv/pictures/02.jpg,x\n");
    assert_int_equal(kin("data check @/same/a.csv"), 1);
    assert_non_null(strstr(out, "not usable: all captions are the same\n"));
    assert_int_equal(kin("data check"), 2);
    /* Columns by name, all the way. */
    form_write(folder, "csv/odd.csv", "where,what\npictures/01.jpg,one\npictures/02.jpg,two\n");
    good("keys", kin("data check @/csv/odd.csv --csv-img-key where --csv-caption-key what"));
    good("keys",
         kin("train --model @/model.json --train-data @/csv/odd.csv --csv-img-key where --csv-caption-key "
             "what --steps 2 --batch 2 --out @/run"));
    good("keys", kin("eval retrieval --model @/run/last --data @/csv/odd.csv --csv-img-key where "
                     "--csv-caption-key what"));
    assert_int_equal(
        kin("train --model @/model.json --train-data @/csv/odd.csv --steps 2 --batch 2 --out @/run"), 1);
    assert_non_null(strstr(err,
                           "odd.csv: no column of pictures was recognised. Columns: where, what (separator "
                           "','); set --csv-img-key to one of them\n"));
    /* Captions longer than the context, with the model's own tokenizer. */
    form_write(folder, "csv/long.csv",
               "filepath,title\npictures/01.jpg,a b c d e f g h\npictures/02.jpg,two\n");
    good("long", kin("data check @/csv/long.csv --tokenizer @/run/last --context 5"));
    assert_non_null(strstr(out, "caption 1 has 10 tokens, cut to 5 (50 % of captions)\n"));
    /* restval */
    good("restval",
         kin("train --model @/model.json --train-data @/karpathy_coco/dataset_coco.json --restval false "
             "--steps 1 --batch 4 --out @/run"));
    assert_non_null(strstr(err, "data    4 pictures"));
    /* EXIF is followed when asked for. */
    form_save_picture(folder, "turned/6.jpg", 10);
    good("exif", kin("embed --model @/run/last --images @/turned --out @/plain.npy"));
    good("exif", kin("embed --model @/run/last --images @/turned --out @/turned.npy --exif"));
    kin_ctx cx = {0};
    char path[128];
    kin_npy a, b;
    snprintf(path, sizeof path, "%s/plain.npy", folder);
    assert_int_equal(kin_npy_load(&cx, path, &a), KIN_OK);
    snprintf(path, sizeof path, "%s/turned.npy", folder);
    assert_int_equal(kin_npy_load(&cx, path, &b), KIN_OK);
    assert_memory_not_equal(a.data, b.data, 16 * sizeof(float));
    kin_npy_free(&a);
    kin_npy_free(&b);
}

static int make(void **state)
{
    (void)state;
    forms_make(folder);
    form_write(folder, "model.json", "%s", model_json);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    forms_remove(folder);
    return 0;
}

int main(int argc, char **argv)
{
    /* BUILD/tests/test_forms_run: the program is BUILD/kin. */
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    snprintf(program, sizeof program, "%.*s/../kin", slash ? (int)(slash - argv[0]) : 1,
             slash ? argv[0] : ".");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_to_end),
        cmocka_unit_test(test_bad_data),
    };
    return cmocka_run_group_tests_name("forms, end to end", tests, make, clear);
}
