/* labels: tables with a column of labels, what is left out of them, and where their pictures may lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/json.h"
#include "data/check.h"
#include "data/dataset.h"
#include "data/tar.h"
#include "tests/forms.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    char name[20];
    snprintf(folder, sizeof folder, "/tmp/kin_labels_XXXXXX");
    if (!mkdtemp(folder)) return 1;
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%d.jpg", i);
        form_save_picture(folder, name, i);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    forms_remove(folder);
    return 0;
}

static kin_dataset *open_as(kin_ctx *cx, const char *name, kin_labels labels, const char *split)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const kin_dataset_cfg cfg = {.split = split, .labels = labels};
    return kin_dataset_open_as(cx, path, &cfg);
}

static void assert_classes(const kin_dataset *d, const char *names)
{
    char all[200] = "";
    for (int64_t k = 0; k < d->classes; k++) {
        strcat(all, k ? " " : "");
        strcat(all, d->class_name[k]);
    }
    assert_string_equal(all, names);
}

/* "PICTURE.jpg/TEXT/CLASS" of example c. */
static void assert_example(const kin_dataset *d, int64_t c, const char *want)
{
    char all[300];
    const char *name = strrchr(d->item[d->item_of[c]].name, '/');
    snprintf(all, sizeof all, "%s/%s/%s", name ? name + 1 : d->item[d->item_of[c]].name, d->caption[c],
             d->label[c].label < 0 ? "?" : d->class_name[d->label[c].label]);
    assert_string_equal(all, want);
}

static void test_true_and_false(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    form_write(folder, "a.csv",
               "label,image,caption\nmatch,1.jpg,one\nno-match,0.jpg,naught\nno-match,1.jpg,two\n"
               "match,0.jpg,nil\n");
    kin_dataset *d = open_as(&cx, "a.csv", KIN_LABELS_MUST, NULL);
    assert_non_null(d);
    assert_classes(d, "no-match match");
    assert_int_equal(d->captions, 4); /* by picture, in the order of their first row */
    assert_example(d, 0, "1.jpg/one/match");
    assert_example(d, 1, "1.jpg/two/no-match");
    assert_example(d, 2, "0.jpg/naught/no-match");
    assert_example(d, 3, "0.jpg/nil/match");
    /* A picture goes, and its examples with it. */
    assert_int_equal(kin_dataset_drop(&cx, d, (const bool[]){true, false}), KIN_OK);
    assert_int_equal(d->captions, 2);
    assert_example(d, 0, "0.jpg/naught/no-match");
    assert_example(d, 1, "0.jpg/nil/match");
    kin_dataset_close(d);
    /* As pairs: what is true, and a row without a label. */
    form_write(folder, "b.csv", "image,caption,label\n1.jpg,one,match\n0.jpg,naught,no-match\n2.jpg,two,\n");
    d = open_as(&cx, "b.csv", KIN_LABELS_PAIRS, NULL);
    assert_non_null(d);
    assert_null(d->label);
    assert_int_equal(d->captions, 2);
    assert_string_equal(d->caption[0], "one");
    assert_string_equal(d->caption[1], "two");
    kin_dataset_close(d);
}

static void test_orders_of_classes(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    form_write(folder, "n.tsv", "image\tcaption\ttarget\n1.jpg\ta\t10\n2.jpg\tb\t9\n3.jpg\tc\t-1\n");
    kin_dataset *d = open_as(&cx, "n.tsv", KIN_LABELS_IF, NULL);
    assert_non_null(d);
    assert_classes(d, "-1 9 10");
    kin_dataset_close(d);
    form_write(folder, "w.tsv", "image\tcaption\tanswer\n1.jpg\ta\t red \n2.jpg\tb\tblue\n3.jpg\tc\tyes\n");
    d = open_as(&cx, "w.tsv", KIN_LABELS_IF, NULL);
    assert_non_null(d);
    assert_classes(d, "blue red yes");
    /* As a model has them: another order, one missing. */
    const char *const own[] = {"yes", "green", "red"};
    float target[3];
    assert_int_equal(kin_dataset_classes(&cx, d, own, 3), 1);
    assert_example(d, 0, "1.jpg/a/red");
    assert_example(d, 1, "2.jpg/b/?");
    assert_int_equal(d->label[2].label, 0);
    kin_dataset_target(d, 1, target);
    assert_true(target[0] == 0 && target[1] == 0 && target[2] == 0);
    kin_dataset_target(d, 0, target);
    assert_true(target[0] == 0 && target[1] == 0 && target[2] == 1);
    kin_dataset_close(d);
    /* Their own column, by name; as pairs nothing is left out that is not false. */
    kin_dataset_cfg cfg = {.labels = KIN_LABELS_MUST, .label_key = "mood"};
    char path[128];
    snprintf(path, sizeof path, "%s/m.csv", folder);
    form_write(folder, "m.csv", "image,caption,mood\n1.jpg,a,glad\n2.jpg,b,sad\n");
    d = kin_dataset_open_as(&cx, path, &cfg);
    assert_non_null(d);
    assert_classes(d, "glad sad");
    kin_dataset_close(d);
    d = open_as(&cx, "w.tsv", KIN_LABELS_PAIRS, NULL);
    assert_non_null(d);
    assert_int_equal(d->captions, 3);
    kin_dataset_close(d);
}

static void test_soft(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    form_write(folder, "s.tsv",
               "image\tcaption\tlabel\n1.jpg\tq\t{\"no\": 0.25, \"maybe\": 0.75}\n2.jpg\tr\tyes\n"
               "3.jpg\ts\t{\"yes\": 0.5, \"no\": 0.5}\n");
    kin_dataset *d = open_as(&cx, "s.tsv", KIN_LABELS_MUST, NULL);
    assert_non_null(d);
    assert_classes(d, "maybe no yes");
    static const float want[3][3] = {{0.75f, 0.25f, 0}, {0, 0, 1}, {0, 0.5f, 0.5f}};
    static const int32_t label[3] = {0, 2, 2}; /* of equal weights the one that is said first */
    for (int64_t c = 0; c < 3; c++) {
        float target[3];
        kin_dataset_target(d, c, target);
        assert_memory_equal(target, want[c], sizeof target);
        assert_int_equal(d->label[c].label, label[c]);
    }
    kin_dataset_close(d);
}

static void test_bad_rows(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    form_write(folder, "bad.tsv",
               "image\tcaption\tlabel\n1.jpg\ta\ttrue\n1.jpg\tb\n1.jpg\tc\t\n1.jpg\td\t{\"x\": "
               "1.5}\n1.jpg\te\t{\"x\"\n"
               "1.jpg\tf\t{}\ngone.jpg\tg\ttrue\n2.jpg\t \ttrue\n2.jpg\th\tfalse\n");
    kin_dataset *d = open_as(&cx, "bad.tsv", KIN_LABELS_MUST, NULL);
    assert_non_null(d);
    assert_int_equal(d->captions, 2);
    assert_int_equal(d->lacking[KIN_LACK_LABEL], 5);
    assert_int_equal(d->lacking[KIN_LACK_PICTURE], 1);
    assert_int_equal(d->lacking[KIN_LACK_CAPTION], 1);
    assert_int_equal(d->skipped, 7);
    assert_true(kin_ends(d->skip[0].name, "bad.tsv line 3"));
    assert_true(kin_ends(d->skip[3].name, "bad.tsv line 6"));
    kin_dataset_close(d);
    form_write(folder, "none.csv", "image,caption\n1.jpg,a\n");
    assert_null(open_as(&cx, "none.csv", KIN_LABELS_MUST, NULL));
    assert_non_null(strstr(cx.message, "none.csv: it has no labels; a table needs a column 'label'"));
}

/* Flickr8k's itm_test.tsv: no header, pictures in tars one folder up. NLVR: packed tars beside the table. */
static void test_where_pictures_are(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    char path[128], command[400];
    snprintf(path, sizeof path, "%s/up.tar", folder);
    kin_tar_writer *w = kin_tar_create(&cx, path);
    int64_t size;
    uint8_t *bytes = form_picture(5, &size);
    assert_int_equal(kin_tar_add(&cx, w, "far.jpg", bytes, size), KIN_OK);
    assert_int_equal(kin_tar_close(&cx, w), KIN_OK);
    free(bytes);
    form_write(folder, "itm/t.tsv", "far.jpg\ta long thing to say\tmatch\nfar.jpg\tother\tno-match\n");
    kin_dataset *d = open_as(&cx, "itm/t.tsv", KIN_LABELS_MUST, NULL);
    assert_non_null(d);
    assert_classes(d, "no-match match");
    assert_example(d, 0, "far.jpg/a long thing to say/match");
    assert_int_equal(d->items, 1);
    kin_dataset_close(d);
    snprintf(command, sizeof command, "mkdir %s/pack && mv %s/up.tar %s/pack/p.tar && gzip %s/pack/p.tar",
             folder, folder, folder, folder);
    assert_int_equal(system(command), 0);
    form_write(
        folder, "pack/nlvr.tsv",
        "image\tsplit\tlabel\tidentifier\tsentence\nfar.jpg\tdev\ttrue\t1\ta\nfar.jpg\thidden\tfalse\t1\tb\n"
        "far.jpg\ttest\tfalse\t2\tA\n");
    d = open_as(&cx, "pack/nlvr.tsv", KIN_LABELS_MUST, "dev,hidden");
    assert_non_null(d);
    assert_int_equal(d->captions, 2);
    const uint8_t *in;
    uint8_t *own;
    assert_int_equal(kin_dataset_bytes(&cx, d, 0, &in, &size, &own), KIN_OK);
    assert_null(own);
    assert_int_equal(in[0], 0xff);
    kin_dataset *test = open_as(&cx, "pack/nlvr.tsv", KIN_LABELS_MUST, "test");
    bool seen[1];
    assert_non_null(test);
    assert_int_equal(kin_dataset_seen(&cx, test, d, seen), KIN_OK);
    assert_true(seen[0]); /* "A" is "a" */
    kin_dataset_close(test);
    kin_dataset_close(d);
}

static void note(void *user, kin_level level, const char *message)
{
    char *all = user;
    if (level == KIN_WARN) snprintf(all + strlen(all), 4000 - strlen(all), "%s\n", message);
}

/* Two missing pictures and archives that have nothing to do with the table: a damaged one and one that is no
 * tar beside it, and a text called .tar one folder up. Each is told of once, and the rest is read. */
static void test_strange_archives(void **state)
{
    (void)state;
    char said[4000] = "", command[400];
    kin_ctx cx = {.log = note, .log_user = said};
    form_save_picture(folder, "strange/in/0.jpg", 0);
    form_write(folder, "strange/up.tar", "no tar");
    form_write(folder, "strange/in/damaged.tar.gz", "\x1f\x8b and no more");
    form_write(folder, "strange/in/up", "no tar either");
    form_write(folder, "strange/in/t.tsv",
               "image\tcaption\tlabel\nfar.jpg\ta\ttrue\n0.jpg\tb\tfalse\n1.jpg\tc\tfalse\n");
    snprintf(command, sizeof command, "cd %s/strange/in && gzip <up >backup.tgz", folder);
    assert_int_equal(system(command), 0);
    kin_dataset *d = open_as(&cx, "strange/in/t.tsv", KIN_LABELS_MUST, NULL);
    if (!d) fail_msg("%s", cx.message);
    assert_int_equal(d->captions, 1);
    assert_int_equal(d->lacking[KIN_LACK_PICTURE], 2);
    kin_dataset_close(d);
    static const char *const names[] = {"damaged.tar.gz: ", "backup.tgz: ", "up.tar: "};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *at = strstr(said, names[i]);
        if (!at || strstr(at + 1, names[i])) fail_msg("%s is not told of once: %s", names[i], said);
    }
}

static void test_check(void **state)
{
    (void)state;
    kin_ctx cx = {0};
    form_write(folder, "c.tsv",
               "image\tcaption\tlabel\n0.jpg\tx\ttrue\n1.jpg\tx\ttrue\n2.jpg\tx\tfalse\n3.jpg\ty\tfalse\n"
               "0.jpg\ty\tfalse\n1.jpg\tz\tfalse\n");
    kin_dataset *d = open_as(&cx, "c.tsv", KIN_LABELS_IF, NULL);
    assert_non_null(d);
    int64_t group[6];
    assert_int_equal(kin_dataset_texts(&cx, d, group), 3);
    json_t *r = kin_labels_check(&cx, d);
    static const char text[] =
        "{\"examples\": 6, \"classes\": [{\"name\": \"false\", \"n\": 4}, {\"name\": \"true\", \"n\": 2}], "
        "\"majority\": 0.66666666666666663, \"soft\": 0, "
        "\"texts\": {\"repeated\": 2, \"one_label\": 1, \"best\": 0.80000000000000004}, "
        "\"pictures\": {\"repeated\": 2, \"one_label\": 0, \"best\": 0.5}}";
    json_t *want = kin_json_parse(&cx, "want", text, strlen(text));
    assert_true(json_equal(r, want));
    json_decref(r);
    json_decref(want);
    kin_dataset_close(d);
}

static void test_real_sets(void **state)
{
    (void)state;
    const char *data = getenv("KIN_DATA");
    char path[400];
    kin_ctx cx = {0};
    snprintf(path, sizeof path, "%s/nlvr/nlvr.tsv", data ? data : "");
    if (access(path, R_OK) != 0) skip();
    kin_dataset_cfg cfg = {.split = "dev,hidden", .labels = KIN_LABELS_MUST};
    kin_dataset *train = kin_dataset_open_as(&cx, path, &cfg);
    cfg.split = "test";
    kin_dataset *test = kin_dataset_open_as(&cx, path, &cfg);
    assert_true(train && test);
    assert_int_equal(train->captions, 5922);
    assert_int_equal(test->captions, 990);
    assert_int_equal(test->skipped + train->skipped, 0);
    assert_classes(test, "false true");
    int64_t right = 0, *group = malloc(990 * sizeof *group), known = 0;
    bool *seen = malloc(990), *counted = calloc(990, 1);
    for (int64_t c = 0; c < 990; c++) right += test->label[c].label;
    assert_int_equal(right, 556);
    const int64_t sentences = kin_dataset_texts(&cx, test, group);
    assert_int_equal(kin_dataset_seen(&cx, test, train, seen), KIN_OK);
    for (int64_t c = 0; c < 990; c++) {
        known += seen[c] && !counted[group[c]];
        counted[group[c]] = true;
    }
    print_message("NLVR test: %lld sentences, %lld of them also in dev or hidden\n", (long long)sentences,
                  (long long)known);
    assert_in_range(known, 1, sentences / 2);
    free(group);
    free(seen);
    free(counted);
    kin_dataset_close(train);
    kin_dataset_close(test);
    snprintf(path, sizeof path, "%s/flickr8k/itm/itm_test.tsv", data);
    cfg.split = NULL;
    test = kin_dataset_open_as(&cx, path, &cfg);
    assert_non_null(test);
    assert_int_equal(test->captions, 2608);
    assert_classes(test, "no-match match");
    kin_dataset_close(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true_and_false),
        cmocka_unit_test(test_orders_of_classes),
        cmocka_unit_test(test_soft),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_where_pictures_are),
        cmocka_unit_test(test_strange_archives),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_real_sets),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
