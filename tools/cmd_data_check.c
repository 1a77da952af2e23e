#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/check.h"
#include "tools/cli.h"

static long long number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static double real(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void print_pictures(const json_t *r)
{
    const json_t *kinds = json_object_get(r, "kinds"), *w = json_object_get(r, "width"),
                 *h = json_object_get(r, "height"), *v;
    size_t i;
    printf("pictures   %lld can be read (JPEG %lld, PNG %lld, WebP %lld), %lld cannot\n",
           number(r, "readable"), number(kinds, "JPEG"), number(kinds, "PNG"), number(kinds, "WebP"),
           number(r, "broken"));
    json_array_foreach(json_object_get(r, "broken_first"), i, v)
        printf("           broken: %s\n", text(v, "error"));
    json_array_foreach(json_object_get(r, "misnamed_first"), i, v)
        printf("           %s is a %s file (content sniffed) - read as %s.\n", text(v, "picture"),
               text(v, "kind"), text(v, "kind"));
    if (number(r, "readable") > 0)
        printf("           width %lld to %lld (median %lld), height %lld to %lld (median %lld)\n",
               number(w, "min"), number(w, "max"), number(w, "median"), number(h, "min"), number(h, "max"),
               number(h, "median"));
    if (number(r, "rotated") > 0)
        printf(
            "           %lld are stored turned (EXIF): trained and evaluated on as stored, like open_clip\n",
            number(r, "rotated"));
    printf("           %lld are copies of another one\n", number(r, "duplicate_images"));
    json_array_foreach(json_object_get(r, "duplicate_images_first"), i, v)
        printf("           equal: %s, %s\n", json_string_value(json_array_get(v, 0)),
               json_string_value(json_array_get(v, 1)));
}

static void print_skipped(const json_t *r)
{
    const json_t *s = json_object_get(r, "skipped"), *v;
    size_t i;
    printf("left out   %lld not there, %lld without a caption, %lld of a kind that kin does not read",
           number(s, "no_picture"), number(s, "no_caption"), number(s, "other_format"));
    if (number(s, "no_label") > 0) printf(", %lld without a label that can be read", number(s, "no_label"));
    printf("\n");
    json_array_foreach(json_object_get(s, "first"), i, v)
        printf("           %s: %s\n", text(v, "name"),
               strcmp(text(v, "why"), "no_picture") == 0   ? "not there"
               : strcmp(text(v, "why"), "no_caption") == 0 ? "no caption"
               : strcmp(text(v, "why"), "no_label") == 0   ? "no label, or not one"
                                                           : "not JPEG, PNG or WebP");
}

static void print_captions(const json_t *r)
{
    const json_t *n = json_object_get(r, "lengths"), *v;
    const char *unit = text(n, "unit");
    size_t i;
    printf("captions   %lld belong to more than one picture, %lld are said twice of one\n",
           number(r, "duplicate_captions"), number(r, "repeated_captions"));
    json_array_foreach(json_object_get(r, "duplicate_captions_first"), i, v) if (i < 3)
        printf("           %lld pictures: %s\n", number(v, "images"), text(v, "caption"));
    if (number(r, "not_utf8") > 0) printf("           %lld are not UTF-8\n", number(r, "not_utf8"));
    printf("           %lld to %lld %s, mean %.1f, median %lld, 95 %% up to %lld\n", number(n, "min"),
           number(n, "max"), unit, real(n, "mean"), number(n, "median"), number(n, "p95"));
    const double all = (double)number(r, "captions");
    json_array_foreach(json_object_get(n, "histogram"), i, v)
        printf("           to %4lld  %7lld  %.*s\n", number(v, "to"), number(v, "n"),
               (int)(40.0 * (double)number(v, "n") / (all > 0.0 ? all : 1.0) + 0.5),
               "########################################");
    if (number(n, "over") > 0)
        printf("           caption %lld has %lld tokens, cut to %lld (%.2g %% of captions)\n",
               number(n, "longest"), number(n, "max"), number(n, "context"),
               100.0 * (double)number(n, "over") / all);
}

static void print_labels(const json_t *l)
{
    static const char *const of[] = {"text", "picture"};
    const json_t *classes = json_object_get(l, "classes"), *v;
    size_t i;
    printf("labels     %zu classes of %lld examples; the most frequent is %.1f %% of them\n",
           json_array_size(classes), number(l, "examples"), 100.0 * real(l, "majority"));
    json_array_foreach(classes, i, v)
    {
        if (i == 12) break;
        printf("           %-20s %8lld  %5.1f %%\n", text(v, "name"), number(v, "n"),
               100.0 * (double)number(v, "n") / (double)kin_max64(1, number(l, "examples")));
    }
    if (json_array_size(classes) > i) printf("           and %zu more\n", json_array_size(classes) - i);
    if (number(l, "soft") > 0) printf("           %lld have several, with weights\n", number(l, "soft"));
    for (int k = 0; k < 2; k++) {
        v = json_object_get(l, k ? "pictures" : "texts");
        if (number(v, "repeated") == 0) continue;
        printf("           %lld %ss have more than one example, %lld of them always the same label: knowing "
               "the %s "
               "alone gives %.1f %%\n",
               number(v, "repeated"), of[k], number(v, "one_label"), of[k], 100.0 * real(v, "best"));
    }
}

static void print_report(const char *path, const json_t *r)
{
    const json_t *per = json_object_get(r, "captions_per_image"), *v, *c;
    size_t i, k;
    printf("%s\nform       %s\n", path, text(r, "form"));
    printf("pairs      %lld pictures, %lld captions; %lld to %lld a picture (mean %.2f)\n",
           number(r, "images"), number(r, "captions"), number(per, "min"), number(per, "max"),
           real(per, "mean"));
    print_skipped(r);
    print_pictures(r);
    print_captions(r);
    if (json_object_get(r, "labels")) print_labels(json_object_get(r, "labels"));
    json_array_foreach(json_object_get(r, "preview"), i, v)
    {
        printf("%s%s\n", i ? "           " : "preview    ", text(v, "picture"));
        json_array_foreach(json_object_get(v, "captions"), k, c)
            printf("             %s\n", json_string_value(c));
    }
    const json_t *split = json_object_get(r, "proposed_split");
    if (split)
        printf(
            "split      none in the data; proposed: train %lld, val %lld, test %lld, copies kept together\n"
            "           (--split-out FILE.json writes it, for --train-data and --val-data)\n",
            number(split, "train"), number(split, "val"), number(split, "test"));
    else
        printf("split      %s\n", text(r, "splits"));
    printf("%s\n", text(r, "verdict"));
}

static int report(kin_ctx *cx, const char *path, const kin_dataset *d, const kin_check_cfg *cfg, bool json,
                  const char *split_out)
{
    uint8_t *split = kin_alloc0(cx, d->items, 1);
    json_t *r = split ? kin_dataset_check(cx, d, cfg, split) : NULL;
    const bool usable = json_is_true(json_object_get(r, "usable"));
    if (r && split_out) kin_split_save(cx, d, split, split_out);
    if (r && json && json_dumpf(r, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) == 0) printf("\n");
    if (r && !json) print_report(path, r);
    json_decref(r);
    free(split);
    return usable && cx->status == KIN_OK ? CLI_DONE : CLI_FAILED;
}

int cmd_data_check(kin_ctx *cx, int argc, char **argv)
{
    const char *path = NULL, *vocabulary = NULL, *split_out = NULL;
    int64_t context = 77, preview = 3, seed = 0;
    bool json = false;
    kin_dataset_cfg open = {.split = "all", .labels = KIN_LABELS_IF};
    const cli_flag flags[] = {
        {"--split", CLI_TEXT, &open.split, NULL, NULL, "NAME look at this split alone (all)"},
        {"--tokenizer", CLI_TEXT, &vocabulary, NULL, NULL, "P vocabulary or model folder: lengths in tokens"},
        {"--context", CLI_NUMBER, NULL, &context, NULL, "N tokens that a model reads (77)"},
        {"--preview", CLI_NUMBER, NULL, &preview, NULL, "N pictures shown with their captions (3)"},
        {"--split-out", CLI_TEXT, &split_out, NULL, NULL, "FILE.json the proposed split, as Karpathy's JSON"},
        {"--seed", CLI_NUMBER, NULL, &seed, NULL, "S of the proposed split (0)"},
        {"--csv-separator", CLI_TEXT, &open.separator, NULL, NULL, "C of a table: a character, or tab"},
        {"--csv-img-key", CLI_TEXT, &open.image_key, NULL, NULL, "NAME its column of pictures"},
        {"--csv-caption-key", CLI_TEXT, &open.caption_key, NULL, NULL, "NAME its column of captions"},
        {"--csv-label-key", CLI_TEXT, &open.label_key, NULL, NULL, "NAME its column of labels"},
        {"--json", CLI_SWITCH, NULL, NULL, &json, "print JSON"},
        CLI_END,
    };
    bool helped;
    if (!cli_parse(cx, argc, argv, "data check PATH [flags]", flags, &path, 1, &helped))
        return helped ? CLI_DONE : CLI_USAGE;
    if (!cli_need(cx, path, "a path")) return CLI_USAGE;
    kin_tokenizer *t = vocabulary ? kin_tokenizer_load(cx, vocabulary) : NULL;
    if (vocabulary && !t) return CLI_FAILED;
    const kin_check_cfg cfg = {
        .tokenizer = t, .context = context, .preview = preview, .held = 0.05, .seed = (uint64_t)seed};
    kin_dataset *d = kin_dataset_open_as(cx, path, &open);
    const int code = d ? report(cx, path, d, &cfg, json, split_out) : CLI_FAILED;
    kin_dataset_close(d);
    kin_tokenizer_free(t);
    return code;
}
