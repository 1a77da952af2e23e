/* A table of pairs (CSV, TSV, Flickr's .token files): which separator, which columns, which rows. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/json.h"
#include "data/csv.h"
#include "data/places.h"

enum { LOOKED_AT = 64 };

static const char separators[] = "\t,;|";
static const char *const image_names[] = {"filepath",  "image",      "image_path", "img",      "img_path",
                                          "path",      "file",       "file_name",  "filename", "image_name",
                                          "imagepath", "image_file", "image_id",   "photo",    "picture",
                                          "file_path", NULL};
static const char *const caption_names[] = {"title", "caption",     "captions", "text",   "txt", "sentence",
                                            "raw",   "description", "comment",  "prompt", NULL};
static const char *const label_names[] = {"label", "labels",     "target", "answer", "answers",
                                          "class", "gold_label", "truth",  "match",  NULL};
static const char *const split_values[] = {"train", "val", "test", "restval", "dev", "unused", NULL};

typedef struct table {
    char separator;
    bool header;
    int64_t image, caption, split, label; /* columns; -1: none */
    int64_t columns;
    char names[512]; /* "a, b" */
} table;

static int64_t index_in(const char *const *list, const char *word)
{
    while (*word == ' ') word++;
    size_t n = strlen(word);
    while (n > 0 && word[n - 1] == ' ') n--;
    for (int64_t i = 0; list[i]; i++)
        if (strncasecmp(list[i], word, n) == 0 && !list[i][n]) return i;
    return -1;
}

/* The column whose name stands first in the list. */
static int64_t column_of(const kin_csv *c, const char *const *list)
{
    int64_t best = -1, rank = INT64_MAX;
    for (int64_t i = 0; i < c->fields; i++) {
        const int64_t k = index_in(list, kin_csv_field(c, i));
        if (k < 0 || k >= rank) continue;
        best = i;
        rank = k;
    }
    return best;
}

/* Length of a picture's name without the "#3" of Flickr's token files; 0: not a picture's name. */
static int64_t picture_length(const char *s)
{
    const char *mark = strrchr(s, '#');
    int64_t n = (int64_t)strlen(s);
    if (mark && mark[1] && strspn(mark + 1, "0123456789") == strlen(mark + 1)) n = mark - s;
    char name[1024];
    if (n < 5 || n >= (int64_t)sizeof name) return 0;
    memcpy(name, s, (size_t)n);
    name[n] = '\0';
    return kin_picture_name(name) ? n : 0;
}

/* A table without a header: the column of pictures' names, of splits, of true and false, and of the longest
 * text. */
static bool guess_columns(kin_ctx *cx, table *t, const kin_map *text)
{
    kin_csv c;
    enum { COLUMNS = 32 };
    int64_t pictures[COLUMNS] = {0}, splits[COLUMNS] = {0}, truths[COLUMNS] = {0}, letters[COLUMNS] = {0},
            rows = 0;
    kin_csv_open(&c, (const char *)text->bytes, text->size, t->separator);
    for (; rows < LOOKED_AT && kin_csv_next(cx, &c); rows++) {
        for (int64_t i = 0; i < kin_min64(c.fields, COLUMNS); i++) {
            const char *s = kin_csv_field(&c, i);
            pictures[i] += picture_length(s) > 0;
            splits[i] += index_in(split_values, s) >= 0 && *s;
            truths[i] += kin_label_truth(s) >= 0;
            letters[i] += (int64_t)strlen(s);
        }
    }
    kin_csv_close(&c);
    t->image = t->caption = t->split = t->label = -1;
    for (int64_t i = 0; i < kin_min64(t->columns, COLUMNS); i++) {
        if (t->image < 0 && pictures[i] > rows / 2)
            t->image = i;
        else if (t->split < 0 && splits[i] == rows && rows > 0)
            t->split = i;
        else if (t->label < 0 && truths[i] == rows && rows > 0)
            t->label = i;
        else if (t->caption < 0 || letters[i] > letters[t->caption])
            t->caption = i;
    }
    return t->image >= 0 && t->caption >= 0;
}

/* How well a separator fits: 3 a header with known columns, 2 names of pictures, 1 several columns, 0 none.
 */
static int try_separator(kin_ctx *cx, const kin_map *text, table *t)
{
    kin_csv c;
    static const char *const name_split[] = {"split", NULL};
    bool pictures = false;
    int fit = 0;
    kin_csv_open(&c, (const char *)text->bytes, text->size, t->separator);
    if (kin_csv_next(cx, &c)) {
        t->columns = c.fields;
        t->image = column_of(&c, image_names);
        t->caption = column_of(&c, caption_names);
        t->split = column_of(&c, name_split);
        t->label = column_of(&c, label_names);
        if (t->label == t->image || t->label == t->caption) t->label = -1;
        for (int64_t i = 0; i < c.fields; i++) {
            const size_t n = strlen(t->names);
            pictures |= picture_length(kin_csv_field(&c, i)) > 0;
            snprintf(t->names + n, sizeof t->names - n, "%s%.60s", i ? ", " : "", kin_csv_field(&c, i));
        }
        fit = t->image >= 0 && t->caption >= 0 ? 3 : c.fields > 1 ? 1 : 0;
    }
    kin_csv_close(&c);
    t->header = !pictures;
    if (fit == 1 && pictures && cx->status == KIN_OK) fit = guess_columns(cx, t, text) ? 2 : 0;
    return fit;
}

static char wanted_separator(kin_ctx *cx, const char *word)
{
    if (!word || !*word) return '\0';
    if (strcmp(word, "\\t") == 0 || strcasecmp(word, "tab") == 0) return '\t';
    if (strlen(word) == 1 && !strchr("\"\r\n", *word)) return *word;
    kin_fail(cx, KIN_ARG, "--csv-separator '%s': one character, or tab", word);
    return '\0';
}

static const char *shown(char separator)
{
    static const char *const names[] = {"tab", "','", "';'", "'|'"};
    const char *at = strchr(separators, separator);
    return at && *at ? names[at - separators] : "as given";
}

/* A column that the user named. */
static kin_status take_key(kin_ctx *cx, const char *path, const kin_csv *c, const table *t, const char *key,
                           const char *flag, int64_t *column)
{
    if (!key || !*key) return KIN_OK;
    const char *const list[] = {key, NULL};
    *column = column_of(c, list);
    if (*column >= 0) return KIN_OK;
    return kin_fail(cx, KIN_ARG, "%s: no column '%s'. Columns: %s (separator %s); set %s to one of them",
                    path, key, t->names, shown(t->separator), flag);
}

static kin_status choose_columns(kin_ctx *cx, const char *path, const kin_csv *c, table *t,
                                 const kin_dataset_cfg *cfg)
{
    KIN_TRY(take_key(cx, path, c, t, cfg->image_key, "--csv-img-key", &t->image));
    KIN_TRY(take_key(cx, path, c, t, cfg->caption_key, "--csv-caption-key", &t->caption));
    KIN_TRY(take_key(cx, path, c, t, cfg->label_key, "--csv-label-key", &t->label));
    if (t->label == t->image || t->label == t->caption) t->label = -1;
    const bool given = cfg->image_key && *cfg->image_key;
    static const char *const what[] = {"pictures", "captions"}, *const flag[] = {"img", "caption"};
    for (int k = 0; k < 2; k++)
        if ((k ? t->caption : t->image) < 0 || t->columns < 2)
            return kin_fail(
                cx, KIN_ARG,
                "%s: no column of %s was recognised. Columns: %s (separator %s); set --csv-%s-key to one "
                "of them",
                path, what[k], t->names, shown(t->separator), flag[k]);
    if (t->image == t->caption)
        return kin_fail(cx, KIN_ARG, "%s: column '%s' cannot be both the picture and its caption", path,
                        kin_csv_field(c, t->image));
    const char *image = kin_csv_field(c, t->image), *caption = kin_csv_field(c, t->caption);
    if (!given && strcasecmp(image, "filepath") != 0)
        kin_log(cx, KIN_INFO,
                "%s: no column 'filepath'. Columns: %s (separator %s). Using image\xe2\x86\x92'%s', "
                "text\xe2\x86\x92'%s'; set --csv-img-key to change.",
                path, t->names, shown(t->separator), image, caption);
    return cx->status;
}

static kin_status find_columns(kin_ctx *cx, const char *path, const kin_map *text, const kin_dataset_cfg *cfg,
                               table *best)
{
    const char given = wanted_separator(cx, cfg->separator);
    const char list[2] = {given, '\0'}, *tries = given ? list : separators;
    int fit = -1;
    KIN_TRY(cx->status);
    for (; *tries; tries++) {
        table t = {.separator = *tries};
        const int f = try_separator(cx, text, &t);
        if (f <= fit) continue;
        fit = f;
        *best = t;
    }
    return cx->status == KIN_OK ? KIN_OK : kin_within(cx, "%s", path);
}

/* ["a", "b"] in one field are several captions, as in some tables of Flickr30k. */
static kin_status add_captions(kin_ctx *cx, kin_dataset *d, int64_t item, const char *text, int64_t size)
{
    kin_ctx quiet = {0};
    json_t *list = size > 3 && text[0] == '[' && text[1] == '"' && text[size - 1] == ']'
                       ? kin_json_parse(&quiet, "list", text, (size_t)size)
                       : NULL;
    size_t i;
    const json_t *v;
    if (quiet.status == KIN_NOMEM) return kin_fail(cx, KIN_NOMEM, "%s", quiet.message);
    if (!list) return kin_dataset_caption_of(cx, d, item, text, size);
    json_array_foreach(list, i, v)
    {
        const char *s = json_string_value(v);
        if (s) kin_dataset_caption_of(cx, d, item, s, (int64_t)strlen(s));
    }
    json_decref(list);
    return cx->status;
}

/* {"a": 0.7, "b": 0.3}: each a name with a weight above 0 and up to 1. */
static bool is_weights(const json_t *o)
{
    const char *name;
    json_t *v;
    if (json_object_size(o) == 0) return false;
    json_object_foreach(
        (json_t *)kin_only_read(o), name,
        v) if (!(json_number_value(v) > 0.0 && json_number_value(v) <= 1.0 && *name)) return false;
    return true;
}

/* Is this a label? Soft ones are parsed into *soft (NULL: it is a name). */
static bool read_label(const char *text, json_t **soft)
{
    kin_ctx quiet = {0};
    *soft = NULL;
    text += strspn(text, " \t");
    if (*text != '{') return *text != '\0';
    *soft = kin_json_parse(&quiet, "label", text, strlen(text));
    return is_weights(*soft);
}

static kin_status add_label(kin_ctx *cx, kin_dataset *d, const char *text, const json_t *soft)
{
    const char *name;
    json_t *v;
    KIN_TRY(kin_dataset_label(cx, d, text, (int64_t)strlen(text)));
    json_object_foreach((json_t *)kin_only_read(soft), name, v)
        KIN_TRY(kin_dataset_soft(cx, d, name, (int64_t)strlen(name), json_number_value(v)));
    return KIN_OK;
}

static kin_status read_row(kin_ctx *cx, kin_dataset *d, kin_places *p, const char *path, const kin_csv *c,
                           const table *t, const kin_dataset_cfg *cfg)
{
    char name[1100];
    json_t *soft = NULL;
    const int64_t n = c->fields > t->image ? picture_length(kin_csv_field(c, t->image)) : 0;
    const char *field = c->fields > t->image ? kin_csv_field(c, t->image) : "";
    if (c->fields <= kin_max64(t->image, t->caption) || !*field) {
        snprintf(name, sizeof name, "%.1000s line %lld", path, (long long)c->line);
        return kin_dataset_skip(cx, d, name, *field ? KIN_LACK_CAPTION : KIN_LACK_PICTURE);
    }
    if (strncasecmp(field, "http://", 7) == 0 || strncasecmp(field, "https://", 8) == 0)
        return kin_fail(
            cx, KIN_UNSUPPORTED,
            "the picture is an address (%.80s); kin reads files: download them first, for example with "
            "img2dataset",
            field);
    snprintf(name, sizeof name, "%.*s", n > 0 ? (int)n : 1000, field);
    const int64_t item = kin_places_item(cx, p, NULL, name);
    if (item < 0) return cx->status;
    const char *text = kin_csv_field(c, t->caption);
    int64_t size = (int64_t)strlen(text);
    /* More fields than columns: separators in a caption that nobody quoted. */
    if (t->caption == t->columns - 1 && c->fields > t->columns) {
        text = kin_csv_rest(c, t->caption, &size);
        size = (int64_t)strnlen(text, (size_t)size);
    }
    if (t->label < 0) return add_captions(cx, d, item, text, size);
    const int64_t before = d->captions;
    const char *label = c->fields > t->label ? kin_csv_field(c, t->label) : "";
    const bool readable = read_label(label, &soft);
    snprintf(name, sizeof name, "%.1000s line %lld", path, (long long)c->line);
    /* A row without a label may be a pair all the same. */
    if (!readable && cfg->labels != KIN_LABELS_PAIRS)
        kin_dataset_skip(cx, d, name, KIN_LACK_LABEL);
    else if (kin_dataset_caption_of(cx, d, item, text, size) == KIN_OK && d->captions == before)
        kin_dataset_skip(cx, d, name, KIN_LACK_CAPTION);
    else if (cx->status == KIN_OK)
        add_label(cx, d, readable ? label : "true", readable ? soft : NULL);
    json_decref(soft);
    return cx->status;
}

static kin_status read_rows(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text, table *t,
                            const kin_dataset_cfg *cfg)
{
    kin_csv c;
    char splits[200] = "";
    int64_t rows = 0, wanted = 0;
    kin_places *p = kin_places_open(cx, d, path, true);
    kin_csv_open(&c, (const char *)text->bytes, text->size, t->separator);
    if (p && t->header && kin_csv_next(cx, &c)) choose_columns(cx, path, &c, t, cfg);
    while (p && cx->status == KIN_OK && kin_csv_next(cx, &c)) {
        const char *split = t->split >= 0 && t->split < c.fields ? kin_csv_field(&c, t->split) : NULL;
        rows++;
        if (split) kin_split_note(splits, sizeof splits, split);
        if (!kin_split_wanted(cfg, split)) continue;
        wanted++;
        if (read_row(cx, d, p, path, &c, t, cfg) != KIN_OK)
            kin_within(cx, "%s: line %lld", path, (long long)c.line);
    }
    kin_csv_close(&c);
    kin_places_close(p);
    KIN_TRY(cx->status);
    if (rows > 0 && wanted == 0)
        return kin_fail(cx, KIN_ARG, "%s: no row is in split '%s'; there are: %s", path, cfg->split, splits);
    kin_dataset_form(cx, d, "table, separator %s, %s", shown(t->separator),
                     t->header ? t->names : "no header: columns known by what is in them");
    if (*splits) d->splits = kin_dataset_text(cx, d, splits, (int64_t)strlen(splits));
    return cx->status == KIN_OK ? kin_dataset_group(cx, d) : cx->status;
}

kin_status kin_table_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text,
                          const kin_dataset_cfg *cfg)
{
    const uint8_t *b = text->bytes;
    if (text->size >= 2 && ((b[0] == 0xff && b[1] == 0xfe) || (b[0] == 0xfe && b[1] == 0xff)))
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: it is UTF-16; save it as UTF-8", path);
    if (text->size >= 4 && memcmp(b, "PK\3\4", 4) == 0)
        return kin_fail(cx, KIN_UNSUPPORTED, "%s: a zip or Excel file; save the table as CSV", path);
    if (memchr(b, 0, (size_t)kin_min64(text->size, 4096)))
        return kin_fail(cx, KIN_FORMAT, "%s: not a text file", path);
    table t = {0};
    KIN_TRY(find_columns(cx, path, text, cfg, &t));
    if (!t.header && (t.image < 0 || t.caption < 0))
        return kin_fail(cx, KIN_FORMAT,
                        "%s: neither a header nor a column of pictures' names with one of captions", path);
    return read_rows(cx, d, path, text, &t, cfg);
}
