/* What a newcomer does wrong, and what is said: by the program, as a user meets it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/json.h"
#include "data/draw.h"
#include "data/npy.h"
#include "tests/scratch.h"
#include "tests/tiny_model.h"

/* The whole of what is said. */
static void slips_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *says;
        int code;
    } slips[] = {
        {"--foo", "kin: there is no command '--foo'; kin help lists them\n", 2},
        {"serach", "kin: there is no command 'serach'; did you mean 'search'? kin help lists them\n", 2},
        {"train --config flickr8",
         "kin train: config 'flickr8': no such file, and no such name; did you mean 'flickr8k'? names are: "
         "boxes, coco, contents, "
         "demo, flickr30k, flickr8k-quick, flickr8k, nlvr\n",
         2},
        {"train --config photos",
         "kin train: config 'photos': no such file, and no such name; names are: boxes, coco, contents, "
         "demo, "
         "flickr30k, "
         "flickr8k-quick, flickr8k, nlvr\n",
         2},
        {"train --config photos.cfg", "kin train: photos.cfg: No such file or directory\n", 2},
        {"train --model scenes-33 --train-data pairs --steps 1",
         "kin train: model 'scenes-33': no such file, and no such name; did you mean 'scenes-32'? names are: "
         "ViT-B-16, ViT-B-32, ViT-L-14, ViT-Ti-16-112, boxes, hybrid-96, resnet-96, scenes-32, scenes-64, "
         "scenes-tiny\n",
         1},
        {"train --resume nowhere",
         "kin train: --resume nowhere: no run is in this folder (no config.cfg); give the folder that --out "
         "named\n",
         2},
        {"train --model tiny --train-data pairs --batch 2 --steps 1 --out ''",
         "kin train: cannot make a folder without a name\n", 1},
        {"train --train-data pairs --model tiny --batch 64 --steps 1",
         "kin train: a batch of 64 needs as many different pictures; the training data has 4\n", 1},
        {"train --train-data pairs --model tiny --batch 2 --steps 1 --loss.itc 0.5",
         "kin train: loss.itc, drop-image and drop-text are of runs with loss.itm, loss.mlm, loss.mim or "
         "loss.cls, "
         "and none of these is above 0\n",
         1},
        {"train --train-data pairs --model tiny --batch 2 --steps 1 --drop-image 0.5",
         "kin train: loss.itc, drop-image and drop-text are of runs with loss.itm, loss.mlm, loss.mim or "
         "loss.cls, "
         "and none of these is above 0\n",
         1},
        {"train --train-data scenes:match,count=64,seed=1,size=32 --val-data pairs --model scenes-32 --batch "
         "2 "
         "--steps 1 --model.fusion.kind joint --loss.itc 0 --loss.itm 1 --out joint",
         "kin train: the evaluation data has no labels, and fusion joint makes no embeddings to search by: "
         "labelled val-data, or none\n",
         1},
        {"train --train-data scenes:match,count=64,seed=1,size=32 --model scenes-32 --batch 2 --steps 1 "
         "--model.fusion.kind joint --loss.itm 1 --out joint",
         "kin train: loss.itc compares embeddings, and fusion joint makes none: loss.itc = 0\n", 1},
        {"train --train-data scenes:match,count=64,seed=1,size=32 --model scenes-32 --batch 2 --steps 1 "
         "--model.fusion.kind joint --loss.itc 0 --loss.itm 1 --sanity",
         "kin train: sanity: --sanity looks at embeddings, and fusion joint makes none\n", 1},
        {"train --train-data pairs --model tiny --batch 2 --steps 1 --captions 2 --loss siglip",
         "kin train: captions = 2, but loss siglip takes one caption a picture; use loss = infonce\n", 1},
        {"train --train-data pairs --model tiny --batch 2 --steps 1 --distill 0.4",
         "kin train: distill = 0.4 takes its targets from the averaged weights, and ema = 0 keeps none; "
         "ema = 0.995, say\n",
         1},
        {"train --train-data pairs --model tiny --batch 2 --steps 1 --distill 0.4 --ema 0.9 --loss siglip",
         "kin train: distill = 0.4, but loss siglip has no soft targets; use loss = infonce\n", 1},
        {"train --train-data scenes:match,count=64,seed=1,size=32 --model scenes-32 --batch 2 --steps 1 "
         "--model.fusion.kind late --loss.itm 1 --loss.itc 0 --distill 0.4 --ema 0.9",
         "kin train: distill = 0.4 softens the targets of loss.itc, and loss.itc = 0\n", 1},
        {"embed --model tiny --texts binary --out x.npy",
         "kin embed: binary: not a text file (it has NUL bytes; UTF-8 is read)\n", 1},
        {"embed --model tiny --texts empty --out x.npy",
         "kin embed: empty: no text in it; one a line is read\n", 1},
        {"embed --model tiny --texts words --out nowhere/x.npy",
         "kin embed: nowhere/x.npy cannot be written: nowhere/x.npy.tmp: No such file or directory\n", 1},
        {"embed --model tiny --texts words --out pairs",
         "kin embed: pairs: it is a folder; a file is to be written\n", 1},
        {"embed --model tiny --texts words --out x.npy --batch 0",
         "kin embed: --batch: 0 is not from 1 to 1000000\n", 2},
        {"embed --model tiny --texts words --out x.npy --threads 4294967297",
         "kin embed: --threads: 4294967297 is not from 0 to 4096\n", 2},
        {"embed --model tiny --texts words --out x.npy --batch 99999999999999999999",
         "kin embed: --batch: '99999999999999999999' is not a whole number\n", 2},
        {"embed --model pairs --texts words --out x.npy",
         "kin embed: pairs: not a model folder (it has no open_clip_config.json); a training run's are "
         "RUN/best "
         "and RUN/last\n",
         1},
        {"embed --model tiny --images broken.jpg --out x.npy",
         "kin embed: not one of 1 pictures can be read; the first: broken.jpg: a damaged JPEG: Unsupported "
         "marker type 0x20\n",
         1},
        {"search --model tiny --in pairs dog -k 0",
         "kin search: -k: 0 is not from 1 to 9223372036854775807\n", 2},
        {"search --model tiny --in pairs --image pairs",
         "kin search: --image pairs: 4 pictures; one is looked for at a time\n", 1},
        {"search --model tiny --in alone.npy dog",
         "kin search: alone.npy: the names of its rows, one a line, should be in alone.npy.txt, which is not "
         "there; kin embed writes both\n",
         1},
        {"explain --model tiny --image pairs --out x.png",
         "kin explain: --image pairs: 4 pictures; one is explained at a time\n", 1},
        {"explain --model tiny --image pairs --out x.gif",
         "kin explain: --out x.gif: its name must end in .png (a sheet) or .json (numbers)\n", 2},
        {"explain --model tiny --image pairs --out nowhere/x.png",
         "kin explain: nowhere/x.png cannot be written: nowhere/x.png.tmp: No such file or directory\n", 1},
        {"eval retrieval --model tiny --data pairs --bootstrap 1",
         "kin eval: retrieval: bootstrap is 1, it must be 0, or 40 to 1000000: fewer resamples have no 2.5 % "
         "tail\n",
         1},
        {"eval retrieval --model tiny --data pairs --out nowhere/x.json",
         "kin eval: nowhere/x.json cannot be written: nowhere/x.json.tmp: No such file or directory\n", 1},
        {"eval retrieval --model tiny --data pairs --folds 3",
         "kin eval: 3 folds of 4 images are not all of one size\n", 1},
        {"eval retrieval --model tiny --data pairs --folds 2 --bootstrap 100",
         "kin eval: folds are averaged without intervals: --folds or --bootstrap\n", 1},
        {"eval noise", "kin eval: noise: a model's folder is needed: kin eval noise MODEL --data P\n", 2},
        {"eval itm a b nosuch --data pairs",
         "kin eval: 'b' is one argument too many; usage: kin eval itm MODEL --data P [flags]\n", 2},
        {"eval itm none --data pairs --threads 5000000000",
         "kin eval: --threads: 5000000000 is not from 0 to 4096\n", 2},
        {"eval itm none --data pairs --batch 99999999999999",
         "kin eval: --batch: 99999999999999 is not from 1 to 1000000\n", 2},
        {"eval rerank none --judge none --data pairs --depth 0",
         "kin eval: --depth: 0 is not from 1 to 2147483647\n", 2},
        {"eval noise none --data pairs --steps 101", "kin eval: --steps: 101 is not from 1 to 100\n", 2},
        {"eval itm none --data pairs --bootstrap 39",
         "kin eval: itm: bootstrap is 39, it must be 0, or 40 to 1000000: fewer resamples have no 2.5 % "
         "tail\n",
         2},
        {"eval itm none --data pairs --out nowhere/x.json",
         "kin eval: nowhere/x.json cannot be written: nowhere/x.json.tmp: No such file or directory\n", 1},
        {"eval noise none --data pairs --picture nowhere/x.png",
         "kin eval: nowhere/x.png cannot be written: nowhere/x.png.tmp: No such file or directory\n", 1},
        {"data scenes --out x --size 100000", "kin data: --size: 100000 is not from 32 to 1024\n", 2},
        {"data scenes --out x --max-objects 9", "kin data: --max-objects: 9 is not from 2 to 5\n", 2},
    };
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
        char *out, *err;
        const int rc = run_kin(slips[i].arguments, &out, &err);
        const char *said = strstr(err, "kin ");
        if (strncmp(err, "kin: ", 5) == 0) said = err;
        if (rc != slips[i].code || !said || strcmp(said, slips[i].says) != 0)
            fail_msg("kin %s: exit %d: %s", slips[i].arguments, rc, err);
        if (*out) fail_msg("kin %s failed, and printed %s", slips[i].arguments, out);
        free(out);
        free(err);
    }
}

static void help_of_a_command(void **state)
{
    (void)state;
    char *one, *two, *err;
    assert_int_equal(run_kin("help search", &one, &err), 0);
    free(err);
    assert_int_equal(run_kin("search --help", &two, &err), 0);
    free(err);
    assert_string_equal(one, two);
    free(one);
    free(two);
}

static void evals_name_each_other(void **state)
{
    (void)state;
    static const char last[] = "\nother tasks: kin eval itm|classify|rerank|noise --help\n";
    char *out, *err;
    assert_int_equal(run_kin("eval --help", &out, &err), 0);
    assert_true(strlen(out) > strlen(last) && strcmp(out + strlen(out) - strlen(last), last) == 0);
    free(out);
    free(err);
}

/* A head of two numbers is tuned as a dual encoder is; one of more classes decides by itself. */
static void two_numbers_are_tuned(void **state)
{
    (void)state;
    static const char said[] = "note: three/last: the model decides by itself; --tune-split is not used\n";
    static const char *const lines[] = {
        "eval itm three/last --data scenes:count,count=33,size=32 --split val --tune-split val --bootstrap 0",
        "eval itm fused/last --data scenes:xor,count=32,size=32 --split val --tune-split val --bootstrap 0",
        "eval noise tiny fused/last --data scenes:xor,count=32,size=32 --split val --tune-split val "
        "--bootstrap 0 --steps 1 --noise blur --out noise.json",
        "eval noise tiny --data scenes:xor,count=32,size=32 --split val --bootstrap 0 --steps 1 --noise blur "
        "--out one.json"};
    char *out, *err;
    if (run_kin("train --model scenes-tiny --model.fusion.kind late --train-data scenes:xor,count=32,size=32 "
                "--batch 16 --steps 1 --loss.itc 0 --loss.cls 1 --out fused",
                &out, &err) != 0)
        fail_msg("%s", err);
    free(out);
    free(err);
    if (run_kin(
            "train --model scenes-tiny --model.fusion.kind late --train-data scenes:count,count=96,size=32 "
            "--batch 16 --steps 1 --loss.itc 0 --loss.cls 1 --out three",
            &out, &err) != 0)
        fail_msg("%s", err);
    free(out);
    free(err);
    for (int i = 0; i < 4; i++) {
        if (run_kin(lines[i], &out, &err) != 0) fail_msg("%s", err);
        assert_int_equal(strstr(err, said) != NULL, i == 0);
        assert_int_equal(strstr(out, "tuned on other data") != NULL, i == 1);
        free(out);
        free(err);
    }
    kin_ctx cx = {0};
    json_t *two = kin_json_load(&cx, in_scratch("noise.json"), 1 << 20),
           *one = kin_json_load(&cx, in_scratch("one.json"), 1 << 20);
    assert_null(json_object_get(two, "model")); /* metrics.models has the names */
    assert_int_equal(json_array_size(json_object_get(json_object_get(two, "metrics"), "models")), 2);
    assert_string_equal(json_string_value(json_object_get(one, "model")), "tiny");
    json_decref(two);
    json_decref(one);
}

/* A model with both heads: each task asks the one that it is about, and three classes are none of itm's. */
static void tasks_ask_their_own_head(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int code;
    } lines[] = {
        {"train --model scenes-tiny --model.fusion.kind late --train-data scenes:count,count=96,size=32 "
         "--batch 4 --steps 1 --loss.itc 1 --loss.itm 1 --loss.cls 1 --out both",
         0},
        {"eval classify both/last --data scenes:count,count=32,size=32 --split val --bootstrap 0", 0},
        {"eval itm both/last --data scenes:count,count=32,size=32 --split val --bootstrap 0", 1},
        {"eval itm both/last --data scenes:xor,count=32,size=32 --split val --bootstrap 0", 0},
        {"eval rerank both/last --judge both/last --data scenes:match,count=32,size=32 --split val "
         "--bootstrap 0 --depth 4",
         0}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *out, *err;
        if (run_kin(lines[i].arguments, &out, &err) != lines[i].code)
            fail_msg("%s: %s", lines[i].arguments, err);
        assert_null(strstr(out, "interval of the gain"));
        free(out);
        free(err);
    }
}

/* A run that comes with kin, by its name. */
static void configs_have_names(void **state)
{
    (void)state;
    char *out, *err;
    assert_int_equal(run_kin("train --config scenes-of-mine --train-data pairs", &out, &err), 2);
    free(out);
    free(err);
    kin_ctx cx = {0};
    const char mine[] = "model = tiny\nbatch = 2\nsteps = 1\n";
    assert_int_equal(kin_make_dirs(&cx, in_scratch("configs")), KIN_OK);
    assert_int_equal(kin_write_file(&cx, in_scratch("configs/scenes-of-mine.cfg"), mine, sizeof mine - 1),
                     KIN_OK);
    if (run_kin("train --config scenes-of-mine --train-data pairs --dry-run", &out, &err) != 0)
        fail_msg("%s", err);
    assert_non_null(strstr(err, "plan    1 steps of 2 pairs"));
    free(out);
    free(err);
    if (run_kin("train --config flickr8k --model tiny --train-data pairs --val-data '' --batch 2 --chunk 0 "
                "--dry-run",
                &out, &err) != 0)
        fail_msg("%s", err);
    assert_non_null(strstr(err, "; lr 0.001, warm-up "));
    free(out);
    free(err);
    char command[200];
    snprintf(command, sizeof command, "rm -r %s/configs", scratch);
    assert_int_equal(system(command), 0);
}

/* p of each hit, against the formula of the loss that the model was trained with. */
static void probabilities_are_the_models(void **state)
{
    (void)state;
    static const char *const models[] = {"tiny", "sigmoid"};
    const double scale = 1.0 / 0.07;
    for (int m = 0; m < 2; m++) {
        char line[200], *out, *err;
        snprintf(line, sizeof line, "search --model %s --in pairs 'a red ring' --json", models[m]);
        if (run_kin(line, &out, &err) != 0) fail_msg("%s", err);
        kin_ctx cx = {0};
        json_t *hits = kin_json_parse(&cx, "hits", out, strlen(out)), *hit;
        size_t i;
        double sum = 0.0;
        assert_int_equal(json_array_size(hits), 4);
        json_array_foreach(hits, i, hit) sum += exp(scale * json_number_value(json_object_get(hit, "cos")));
        json_array_foreach(hits, i, hit)
        {
            const double cosine = json_number_value(json_object_get(hit, "cos"));
            const double p = json_number_value(json_object_get(hit, "p"));
            const double want = m ? 1.0 / (1.0 + exp(10.0 - scale * cosine)) : exp(scale * cosine) / sum;
            if (fabs(p - want) > 1e-4 * want) fail_msg("%s: p is %g, not %g", models[m], p, want);
        }
        json_decref(hits);
        free(out);
        free(err);
    }
}

/* A PNG called .jpg is read as what it is, and that is told once. */
static void misnamed_pictures_are_told(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "embed --model tiny --images mixed --out m.npy", "search --model tiny --in mixed ring",
        "search --model tiny --in pairs --image mixed/b.jpg", "eval retrieval --model tiny --data mixed"};
    static const char said[] = "mixed/b.jpg is a PNG file (content sniffed) - read as PNG.\n";
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *out, *err;
        if (run_kin(lines[i], &out, &err) != 0) fail_msg("%s", err);
        const char *at = strstr(err, said);
        if (!at || strstr(at + strlen(said), "is a PNG file")) fail_msg("%s: %s", lines[i], err);
        free(out);
        free(err);
    }
}

static bool make_pairs(const char *where, int wrong)
{
    kin_ctx cx = {0};
    char path[300];
    static const char *const words[] = {"a red ring", "a blue star", "a green cross", "a red star"};
    kin_make_dirs(&cx, in_scratch(where));
    for (int i = 0; i < 4; i++) {
        kin_image canvas;
        kin_canvas(&cx, 40, 40, 0x102030u * (unsigned)(i + 1), &canvas);
        kin_draw_fill(&canvas, 8, 4 + 5 * i, 16, 12, 0xd0a030u >> i);
        snprintf(path, sizeof path, "%s/%s/%c.%s", scratch, where, 'a' + i,
                 i && i < 1 + wrong ? "jpg" : "png");
        kin_image_save_png(&cx, path, &canvas);
        kin_image_free(&canvas);
        snprintf(path, sizeof path, "%s/%s/%c.txt", scratch, where, 'a' + i);
        kin_write_file(&cx, path, words[i], (int64_t)strlen(words[i]));
    }
    return cx.status == KIN_OK;
}

static int make_data(void **state)
{
    (void)state;
    if (!open_scratch("newcomer")) return -1;
    kin_ctx cx = {0};
    const float rows[32] = {1.0f};
    const int64_t dim[] = {2, 16};
    kin_make_dirs(&cx, in_scratch("tiny"));
    kin_make_dirs(&cx, in_scratch("sigmoid"));
    if (!make_tiny_model(in_scratch("tiny"), "infonce") || !make_tiny_model(in_scratch("sigmoid"), "siglip"))
        return -1;
    kin_write_file(&cx, in_scratch("binary"), "a\0b\n", 4);
    kin_write_file(&cx, in_scratch("empty"), "", 0);
    kin_write_file(&cx, in_scratch("words"), "a dog\n", 6);
    kin_write_file(&cx, in_scratch("broken.jpg"), "\xff\xd8\xff broken", 10);
    kin_npy_save(&cx, in_scratch("alone.npy"), KIN_NPY_F32, 2, dim, rows);
    return make_pairs("pairs", 0) && make_pairs("mixed", 2) && cx.status == KIN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_explained),        cmocka_unit_test(help_of_a_command),
        cmocka_unit_test(configs_have_names),         cmocka_unit_test(probabilities_are_the_models),
        cmocka_unit_test(misnamed_pictures_are_told), cmocka_unit_test(evals_name_each_other),
        cmocka_unit_test(two_numbers_are_tuned),      cmocka_unit_test(tasks_ask_their_own_head),
    };
    return cmocka_run_group_tests_name("newcomer", tests, make_data, remove_scratch);
}
