/* The program as a user meets it: help, completion, slips of the pen, doctor, report, and the published
 * protocol from files in the true layout to the numbers (docs/REPRODUCE.md). */
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
#include "data/scenes.h"
#include "tests/scratch.h"

static const char model_json[] = "{\"embed_dim\": 32,"
                                 " \"vision_cfg\": {\"image_size\": 32, \"layers\": 1, \"width\": 64, "
                                 "\"head_width\": 32, \"patch_size\": 8},"
                                 " \"text_cfg\": {\"context_length\": 32, \"vocab_size\": 600, \"width\": "
                                 "64, \"heads\": 2, \"layers\": 1}}";

static void has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' is not in:\n%.3000s", part, text);
}

static void works(const char *arguments, char **out)
{
    char *mine, *err;
    if (run_kin(arguments, &mine, &err) != 0) fail_msg("kin %s: %s", arguments, err);
    free(err);
    if (out)
        *out = mine;
    else
        free(mine);
}

static void help_comes_from_the_tables(void **state)
{
    (void)state;
    static const char *const commands[] = {"data",    "train",     "eval",       "embed",  "search",
                                           "explain", "tokenizer", "plan",       "hash",   "report",
                                           "demo",    "doctor",    "completion", "version"};
    char *out, *all, line[100];
    works("--help", &all);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        snprintf(line, sizeof line, "%s --help", commands[i]);
        works(line, &out);
        snprintf(line, sizeof line, "usage: kin %s", commands[i]);
        has(out, line);
        snprintf(line, sizeof line, "\n  kin %s ", commands[i]);
        has(all, line);
        free(out);
    }
    free(all);
    works("plan --help", &out);
    has(out, "  --warmup X ");
    has(out, "warm-up: a fraction of the run, or, above 1, steps (0.05)");
    has(out, "  --loss infonce|siglip|triplet ");
    free(out);
}

/* What makes a start slow is libraries that help has no use for. How long it took is printed; what it loaded
 * decides. */
static void help_is_quick(void **state)
{
    (void)state;
    double best = 1.0;
    char command[600];
    snprintf(command, sizeof command, "%s --help >/dev/null", built_kin);
    for (int i = 0; i < 20; i++) {
        const double began = kin_now();
        assert_int_equal(system(command), 0);
        best = fmin(best, kin_now() - began);
    }
    print_message("kin --help, with the shell that starts it: %.1f ms\n", 1e3 * best);
    snprintf(command, sizeof command, "LD_DEBUG=files %s --help 2>&1 >/dev/null | grep -q libc.so",
             built_kin);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command,
             "LD_DEBUG=files %s --help 2>&1 >/dev/null | grep -Eq 'openblas|cuda|cublas'", built_kin);
    assert_int_not_equal(system(command), 0);
}

static void slips_are_corrected(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *says;
        int code;
    } slips[] = {
        {"trian", "kin: there is no command 'trian'; did you mean 'train'? kin help lists them\n", 2},
        {"train --epoch 3", "kin train: no option is called 'epoch'; did you mean 'epochs'?\n", 2},
        {"train --lerning-rate=1", "kin train: no option is called 'lerning-rate'\n", 2},
        {"train --batch-size 3",
         "no option is called 'batch-size'; what open_clip calls so is 'batch' here\n", 2},
        {"train --lr", "kin train: --lr needs a value\n", 2},
        {"train --loss clip", "kin train: loss: 'clip' is none of infonce|siglip|triplet\n", 2},
        {"eval retrieval --modle x", "kin eval: there is no flag '--modle'; did you mean '--model'?\n", 2},
        {"eval",
         "kin eval: evaluate what? There is: kin eval retrieval (--model DIR --data P | --embeddings DIR) "
         "[flags]; kin eval itm|classify|rerank|noise --help\n",
         2},
        {"eval itm", "kin eval: itm: a model's folder is needed: kin eval itm MODEL --data P\n", 2},
        {"eval classify m", "kin eval: --data is needed\n", 2},
        {"eval rerank m --data d", "kin eval: --judge is needed\n", 2},
        {"eval noise m --data scenes:fog", "kin eval: scenes:fog: expected scenes:TASK,count=N,", 1},
        {"eval retrieval --embeddings nowhere", "kin eval: nowhere/images.npy: ", 1},
        {"report", "kin report: the folder of a run is needed\n", 2},
        {"report nowhere",
         "kin report: nowhere: no run is in this folder (no config.cfg); give the folder that --out "
         "named\n",
         1},
        {"completion tcsh", "kin completion: for which shell? There is: kin completion bash|zsh|fish\n", 2},
        {"doctor --jsno", "kin doctor: there is no flag '--jsno'; did you mean '--json'?\n", 2},
    };
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
        char *err;
        const int rc = run_kin(slips[i].arguments, NULL, &err);
        if (rc != slips[i].code || !strstr(err, slips[i].says))
            fail_msg("kin %s: exit %d: %s", slips[i].arguments, rc, err);
        free(err);
    }
}

static int shell(const char *command)
{
    char line[2000];
    snprintf(line, sizeof line, "cd %s && %s", scratch, command);
    return WEXITSTATUS(system(line));
}

static void completion_completes(void **state)
{
    (void)state;
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (int i = 0; i < 3; i++) {
        char line[100], *out;
        snprintf(line, sizeof line, "completion %s", shells[i]);
        works(line, &out);
        has(out, "kin completion ");
        has(out, "report");
        has(out, i == 2 ? "-l train-data" : "--train-data");
        snprintf(line, sizeof line, "complete.%s", shells[i]);
        kin_ctx cx = {0};
        assert_int_equal(kin_write_file(&cx, in_scratch(line), out, (int64_t)strlen(out)), KIN_OK);
        free(out);
    }
    static const struct {
        const char *words, *want;
    } cases[] = {{"kin tr", "train"},
                 {"kin train --sch", "--schedule"},
                 {"kin train --loss si", "siglip"},
                 {"kin eval --boot", "--bootstrap"},
                 {"kin doctor --", "--json"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[600];
        snprintf(
            line, sizeof line,
            "bash -c 'source ./complete.bash; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _kin; "
            "test \"${COMPREPLY[*]}\" = \"%s\"'",
            cases[i].words, cases[i].want);
        if (shell(line) != 0)
            fail_msg("bash completes '%s' to something else than '%s'", cases[i].words, cases[i].want);
    }
    if (shell("command -v zsh >/dev/null") == 0) assert_int_equal(shell("zsh -n complete.zsh"), 0);
    if (shell("command -v fish >/dev/null") == 0)
        assert_int_equal(shell("fish --no-execute complete.fish"), 0);
}

static void doctor_measures(void **state)
{
    (void)state;
    static const char *const positive[] = {"threads",       "memory_bytes",  "fma_gflops",
                                           "matmul_gflops", "read_gb_per_s", "jpeg_per_s"};
    kin_ctx cx = {0};
    char *out;
    works("doctor --json", &out);
    json_t *o = kin_json_parse(&cx, "doctor", out, strlen(out));
    if (!o) fail_msg("%s", cx.message);
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
        if (!(json_number_value(json_object_get(o, positive[i])) > 0.0)) fail_msg("%s: %s", positive[i], out);
    assert_true(json_is_array(json_object_get(o, "gpus")) && json_is_array(json_object_get(o, "missing")));
    json_decref(o);
    free(out);
    works("doctor", &out);
    has(out, "processor  ");
    has(out, "kernels cpu-");
    has(out, " GFLOP/s of multiply-adds; matrix product ");
    has(out, "\nOpenBLAS   ");
    has(out, " JPEG/s of 320 x 240");
    has(out, "kin computes on the processor\n");
    has(out, "\nmissing    ");
    free(out);
}

static void save_rows(const char *name, kin_npy_type type, int rank, int64_t n, int64_t width)
{
    static const double zeros[64];
    kin_ctx cx = {0};
    const int64_t dim[2] = {n, width};
    assert_int_equal(kin_npy_save(&cx, in_scratch(name), type, rank, dim, zeros), KIN_OK);
}

/* Rows from elsewhere that do not fit together are named. */
static void rows_are_checked(void **state)
{
    (void)state;
    static const struct {
        kin_npy_type image, of;
        int64_t images, texts, width, entries;
        const char *says;
    } cases[] = {
        {KIN_NPY_F32, KIN_NPY_I64, 2, 4, 3, 4, ""},
        {KIN_NPY_F64, KIN_NPY_I64, 2, 4, 3, 4, "rows/images.npy: expected an array of 2 dimensions of f32\n"},
        {KIN_NPY_F32, KIN_NPY_I32, 2, 4, 3, 4,
         "rows/image_of.npy: expected an array of 1 dimensions of i64\n"},
        {KIN_NPY_F32, KIN_NPY_I64, 2, 4, 3, 5,
         "rows: images [2, 3], texts [4, 3] and image_of [5] do not belong together\n"},
        {KIN_NPY_F32, KIN_NPY_I64, 2, 4, 2, 4,
         "rows: images [2, 3], texts [4, 2] and image_of [4] do not belong together\n"},
        {KIN_NPY_F32, KIN_NPY_I64, 0, 4, 3, 4, "retrieval: 4 texts and 0 images of 3 elements\n"},
    };
    kin_ctx cx = {0};
    assert_int_equal(kin_make_dirs(&cx, in_scratch("rows")), KIN_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *err;
        save_rows("rows/images.npy", cases[i].image, 2, cases[i].images, 3);
        save_rows("rows/texts.npy", KIN_NPY_F32, 2, cases[i].texts, cases[i].width);
        save_rows("rows/image_of.npy", cases[i].of, 1, cases[i].entries, 0);
        const int rc = run_kin("eval retrieval --embeddings rows", NULL, &err);
        if (rc != (*cases[i].says ? 1 : 0) || !strstr(err, cases[i].says)) fail_msg("%d: %s", (int)i, err);
        free(err);
    }
}

/* A page that is whole in itself: no address but data: in it, tags closed, what was promised. */
static void report_is_one_page(void **state)
{
    (void)state;
    works("train --model model.json --train-data train --val-data val --batch 16 --steps 24 --eval-every 8 "
          "--log-every 1 "
          "--out run",
          NULL);
    works("report run --queries 2 --bootstrap 100", NULL);
    char *html = read_text(in_scratch("run/report.html"));
    static const char *const parts[] = {"<!doctype html>",
                                        "<meta name=\"viewport\" content=\"width=device-width",
                                        "prefers-color-scheme:dark",
                                        "<h1>Run run</h1>",
                                        "<h3>Loss</h3>",
                                        "Recall while training, text to image",
                                        "<h3>Similarity matrix</h3>",
                                        "Cosines of true and false pairs",
                                        "Captions: best and worst",
                                        "Pictures: best and worst",
                                        "<img src=\"data:image/png;base64,iVBORw0KGgo",
                                        "found at place ",
                                        "kin train --config run/config.cfg",
                                        "seed      0",
                                        "model     ",
                                        "options   ",
                                        "batch = 16",
                                        "; any of an image's captions is a hit; ties count as misses",
                                        "[",
                                        "</html>\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) has(html, parts[i]);
    static const char *const never[] = {"http:",   "https:",  "//",      "url(", "<script", "<link",
                                        "<iframe", "src=\"/", "@import", "nan",  "inf\""};
    for (char *image; (image = strstr(html, "base64,"));) { /* pictures may hold anything */
        char *end = strchr(image, '"');
        memset(image, ' ', (size_t)(end - image));
    }
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(html, never[i])) fail_msg("'%s' in the report: %.200s", never[i], strstr(html, never[i]));
    static const char *const tags[] = {"div",   "figure", "svg", "p",  "ul", "li",
                                       "table", "tr",     "td",  "h2", "h3", "pre"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        char open[16], open_with[16], close[16];
        int balance = 0;
        snprintf(open, sizeof open, "<%s>", tags[i]);
        snprintf(open_with, sizeof open_with, "<%s ", tags[i]);
        snprintf(close, sizeof close, "</%s>", tags[i]);
        for (const char *p = html; (p = strchr(p, '<')); p++)
            balance += !strncmp(p, open, strlen(open)) + !strncmp(p, open_with, strlen(open_with)) -
                       !strncmp(p, close, strlen(close));
        if (balance != 0) fail_msg("<%s>: %d more opened than closed", tags[i], balance);
    }
    free(html);
    works("train --model model.json --train-data train --batch 16 --steps 2 --out bare", NULL);
    kin_ctx cx = {0};
    assert_int_equal(kin_write_file(&cx, in_scratch("bare/metrics.jsonl"), "{\"step\":1,\"lo", 14), KIN_OK);
    char *err;
    assert_int_equal(run_kin("report bare", NULL, &err), 0);
    has(err, "note: the run has no val-data: no retrieval in the report; --data adds it\n");
    free(err);
    html = read_text(in_scratch("bare/report.html")); /* its metrics were cut off in the first line */
    has(html, "<span>loss</span><b>–</b>");
    assert_null(strstr(html, "nan"));
    free(html);
}

/* A made data set in a published one's layout: the JSON, folders, file names, splits and caption counts. */
typedef struct layout {
    const char *set, *config;
    const char *filepath[4], *name[4]; /* by split; NULL: no "filepath" in the JSON */
    int count[4];                      /* train, restval, val, test */
    bool more;                         /* six and seven captions now and then */
} layout;

static const char *const splits[] = {"train", "restval", "val", "test"};

static const layout layouts[] = {
    {"coco",
     "coco.cfg",
     {"train2014", "val2014", "val2014", "val2014"},
     {"COCO_train2014_%012d.jpg", "COCO_val2014_%012d.jpg", "COCO_val2014_%012d.jpg",
      "COCO_val2014_%012d.jpg"},
     {40, 20, 12, 21},
     true},
    {"flickr30k", "flickr30k.cfg", {0}, {"%d.jpg", "", "%d.jpg", "%d.jpg"}, {48, 0, 12, 20}, false},
    {"flickr8k",
     "flickr8k.cfg",
     {0},
     {"%d_a0b1c2d3e4.jpg", "", "%d_a0b1c2d3e4.jpg", "%d_a0b1c2d3e4.jpg"},
     {48, 0, 12, 20},
     false},
};

static const uint32_t colors[] = {0xd03030, 0x30a040, 0x3050d0, 0xe0c020,
                                  0x9040b0, 0x20b0b0, 0xf08020, 0x101010};
static const char *const color_names[] = {"red",    "green", "blue",   "yellow",
                                          "purple", "cyan",  "orange", "black"};

/* A square of one colour on another, under a .jpg name (what it is is told by its content). */
static void make_picture(const char *path, int i)
{
    kin_ctx cx = {0};
    kin_image canvas;
    assert_int_equal(kin_canvas(&cx, 48, 40, colors[i % 8], &canvas), KIN_OK);
    kin_draw_fill(&canvas, 12 + i % 5 * 2, 10, 16, 16, colors[(i / 8 + i) % 8]);
    assert_int_equal(kin_image_save_png(&cx, path, &canvas), KIN_OK);
    kin_image_free(&canvas);
}

static int make_set(const layout *l, const char *where)
{
    kin_ctx cx = {0};
    json_t *images = json_array();
    int number = 0, captions = 0;
    for (int s = 0; s < 4; s++) {
        for (int i = 0; i < l->count[s]; i++, number++) {
            char name[80], path[300], dir[200];
            static const char *const forms[] = {"a %s square on %s ground, number %d",
                                                "the ground is %2$s and the square %1$s, number %3$d",
                                                "%s on %s, picture %d",
                                                "a picture of a %s square on %s, %d",
                                                "number %3$d: %1$s square, %2$s ground",
                                                "one %s square before %s, %d",
                                                "there is a %s square on a %s ground in %d"};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(name, sizeof name, l->name[s], number + 1);
            snprintf(dir, sizeof dir, "%s/%s/%s", scratch, where, l->filepath[s] ? l->filepath[s] : "images");
            assert_int_equal(kin_make_dirs(&cx, dir), KIN_OK);
            snprintf(path, sizeof path, "%s/%s", dir, name);
            make_picture(path, number);
            const int most = 5 + (l->more && i % 9 == 4) + 2 * (l->more && i % 10 == 7);
            json_t *sentences = json_array();
            for (int k = 0; k < most; k++) {
                char raw[200];
                snprintf(raw, sizeof raw, forms[k], color_names[(number / 8 + number) % 8],
                         color_names[number % 8], number);
                json_array_append_new(sentences, json_pack("{s:s, s:i}", "raw", raw, "sentid", captions + k));
            }
#pragma GCC diagnostic pop
            if (s == 3) captions += most;
            json_t *image = json_pack("{s:s, s:s, s:i, s:o}", "filename", name, "split", splits[s], "imgid",
                                      number, "sentences", sentences);
            if (l->filepath[s]) json_object_set_new(image, "filepath", json_string(l->filepath[s]));
            json_array_append_new(images, image);
        }
    }
    char path[300];
    snprintf(path, sizeof path, "%s/%s/dataset_%s.json", scratch, where, l->set);
    json_t *all = json_pack("{s:o, s:s}", "images", images, "dataset", l->set);
    assert_int_equal(kin_json_save(&cx, path, all), KIN_OK);
    json_decref(all);
    return captions;
}

/* docs/REPRODUCE.md, command by command, with a small model and few steps. */
static void published_protocol_end_to_end(void **state)
{
    (void)state;
    char cwd[400], line[1500];
    assert_non_null(getcwd(cwd, sizeof cwd));
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const layout *l = &layouts[i];
        char where[64], *out;
        snprintf(where, sizeof where, "data/%s", l->set);
        const int captions = make_set(l, where);
        snprintf(line, sizeof line,
                 "train --config %s/configs/%s --model model.json --vocab 600 --epochs 0 --steps 12 --batch "
                 "16 --chunk 0 "
                 "--eval-every 6",
                 cwd, l->config);
        works(line, NULL);
        snprintf(line, sizeof line,
                 "eval retrieval --model run/%s/best --data data/%s/dataset_%s.json --bootstrap 200 --out "
                 "%s.json --dump "
                 "%s_rows",
                 l->set, l->set, l->set, l->set, l->set);
        works(line, &out);
        snprintf(line, sizeof line,
                 "%d images, %d captions (5%s an image); any of an image's captions is a hit; ties ",
                 l->count[3], captions, l->more ? " to 7" : "");
        has(out, line);
        free(out);

        /* CLIP_benchmark's file: its members and metric names. */
        kin_ctx cx = {0};
        snprintf(line, sizeof line, "%s.json", l->set);
        json_t *j = kin_json_load(&cx, in_scratch(line), 1 << 20);
        const json_t *m = json_object_get(j, "metrics");
        static const char *const members[] = {"dataset", "model",   "pretrained",
                                              "task",    "metrics", "language"};
        for (size_t k = 0; k < sizeof members / sizeof *members; k++)
            assert_non_null(json_object_get(j, members[k]));
        assert_string_equal(json_string_value(json_object_get(j, "task")), "zeroshot_retrieval");
        const double recall = json_number_value(json_object_get(m, "image_retrieval_recall@5"));
        assert_true(recall >= 0.0 && json_is_number(json_object_get(m, "text_retrieval_recall@5")));
        const double hits = recall * captions; /* the denominator is every caption */
        assert_true(fabs(hits - round(hits)) < 1e-6);

        /* The five first captions: VSE++'s denominator; the same from the written embeddings. */
        snprintf(line, sizeof line, "eval retrieval --embeddings %s_rows --captions 5 --json", l->set);
        works(line, &out);
        json_t *five = kin_json_parse(&cx, "five", out, strlen(out));
        assert_int_equal(json_integer_value(json_object_get(five, "texts")), 5 * l->count[3]);
        json_decref(five);
        free(out);
        snprintf(line, sizeof line, "eval retrieval --embeddings %s_rows --json", l->set);
        works(line, &out);
        json_t *same = kin_json_parse(&cx, "same", out, strlen(out));
        assert_true(json_number_value(json_object_get(same, "image_retrieval_recall@5")) == recall);

        /* And the independent evaluator, where numpy is. */
        snprintf(line, sizeof line, "python3 %s/tests/golden/eval_golden.py %s_rows >numpy.json 2>/dev/null",
                 cwd, l->set);
        if (shell("python3 -c 'import numpy' 2>/dev/null") == 0) {
            assert_int_equal(shell(line), 0);
            json_t *other = kin_json_load(&cx, in_scratch("numpy.json"), 1 << 20);
            const char *key;
            json_t *v;
            json_object_foreach(other, key, v) if (strstr(key, "_recall@"))
                assert_true(json_number_value(v) == json_number_value(json_object_get(same, key)));
            json_decref(other);
        } else
            print_message("no numpy: the other evaluator is skipped\n");
        json_decref(same);
        free(out);
        json_decref(j);
    }
    /* restval is trained on: 40 + 20 pictures. */
    char *err;
    snprintf(line, sizeof line,
             "train --config %s/configs/coco.cfg --model model.json --vocab 600 --batch 16 --chunk 0 "
             "--dry-run",
             cwd);
    assert_int_equal(run_kin(line, NULL, &err), 0);
    has(err, "data    60 pictures, ");
    has(err, "; 12, ");
    free(err);
}

/* The losses of a run's steps. */
static void losses(const char *run, double loss[3])
{
    char name[64];
    snprintf(name, sizeof name, "%s/metrics.jsonl", run);
    char *text = read_text(in_scratch(name)), *at = text;
    for (int i = 0; i < 3; i++) {
        at = strstr(at, "\"loss\"");
        assert_non_null(at);
        loss[i] = strtod(strchr(at, ':') + 1, &at);
    }
    free(text);
}

static void pictures_are_kept(void **state)
{
    (void)state;
    static const char run[] =
        "--model model.json --train-data train --vocab 600 --batch 8 --steps 3 --log-every 1 --cache";
    static const char *const forms[] = {"kept", "kept", "memory"};
    char line[300], *out, *err;
    double want[3], loss[3];
    /* A plan counts it and makes nothing. */
    snprintf(line, sizeof line, "plan %s kept", run);
    works(line, &out);
    has(out, "\n  cache of pictures: ");
    has(out, "; not made yet: the step was timed without it\n");
    free(out);
    assert_int_not_equal(access(in_scratch("kept"), F_OK), 0);
    snprintf(line, sizeof line, "train %s '' --out without", run);
    works(line, NULL);
    losses("without", want);
    /* Without random crops the same run, bit for bit. */
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "train %s %s --decode scaled --out with%d", run, forms[i], i);
        assert_int_equal(run_kin(line, NULL, &err), 0);
        has(err,
            i == 1 ? ", made before" : "cache: 60 pictures decoded once, 32 x 32, as the model sees them: ");
        free(err);
        snprintf(line, sizeof line, "with%d", i);
        losses(line, loss);
        assert_memory_equal(loss, want, sizeof want);
    }
    snprintf(line, sizeof line, "plan %s kept", run);
    works(line, &out);
    assert_null(strstr(out, "not made yet"));
    free(out);
}

static int make_data(void **state)
{
    (void)state;
    if (!open_scratch("cli")) return -1;
    kin_ctx cx = {0};
    kin_scenes_cfg c = {.out = in_scratch("train"), .count = 60, .seed = 1, .size = 32};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    c = (kin_scenes_cfg){.out = in_scratch("val"), .count = 30, .seed = 2, .size = 32, .split = "val"};
    if (kin_scenes_write(&cx, &c) != KIN_OK) return -1;
    const kin_status rc =
        kin_write_file(&cx, in_scratch("model.json"), model_json, (int64_t)strlen(model_json));
    return rc == KIN_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_comes_from_the_tables),
        cmocka_unit_test(help_is_quick),
        cmocka_unit_test(slips_are_corrected),
        cmocka_unit_test(completion_completes),
        cmocka_unit_test(doctor_measures),
        cmocka_unit_test(report_is_one_page),
        cmocka_unit_test(rows_are_checked),
        cmocka_unit_test(published_protocol_end_to_end),
        cmocka_unit_test(pictures_are_kept),
    };
    return cmocka_run_group_tests_name("cli", tests, make_data, remove_scratch);
}
