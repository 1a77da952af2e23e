/* JSON that says what is on which picture, told apart by its first elements and read one element at a time:
 *   Karpathy (Karpathy & Fei-Fei 2015)  "images": [{"filename", "filepath"?, "split", "sentences":
 * [{"raw"}]}] COCO captions                       "images": [{"id", "file_name"}], "annotations":
 * [{"image_id", "caption"}] pairs (ALBEF)                       [{"image", "caption": text or list}], or an
 * object a line */
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "data/places.h"

typedef enum form { UNKNOWN, KARPATHY, COCO, PAIRS } form;

typedef struct pair_of {
    int64_t id, to;   /* of a picture; its item, or the caption's place in order */
    const char *text; /* a caption */
} pair_of;

typedef struct pairs_of {
    pair_of *list;
    int64_t count, room;
} pairs_of;

typedef struct reader {
    kin_dataset *d;
    kin_places *places;
    const kin_dataset_cfg *cfg;
    form form;
    int64_t looked, wanted; /* pictures; those of the split */
    char splits[200];       /* that there are */
    pairs_of images, annotations;
} reader;

/* The first of these members that is there. */
static const json_t *either(const json_t *v, const char *const *keys)
{
    const json_t *found = NULL;
    for (; *keys && !found; keys++) found = json_object_get(v, *keys);
    return found;
}

static const char *const picture_keys[] = {"image",      "file_name", "filename", "filepath",
                                           "image_path", "path",      NULL};
static const char *const caption_keys[] = {"caption", "captions", "text", "title", "sentence", NULL};

static bool sniff(kin_ctx *cx, void *user, const char *list, int64_t index, const json_t *v)
{
    form *f = user;
    (void)cx;
    (void)index;
    if (!*list)
        *f = either(v, picture_keys) && either(v, caption_keys) ? PAIRS : UNKNOWN;
    else if (strcmp(list, "images") == 0)
        *f = json_object_get(v, "sentences") || json_object_get(v, "filename") ? KARPATHY
             : json_object_get(v, "file_name")                                 ? COCO
                                                                               : UNKNOWN;
    else if (strcmp(list, "annotations") == 0)
        *f = COCO;
    else
        return true; /* "licenses" and the like */
    return false;
}

/* The string of a member; NULL (and an error) when it is none. A NUL inside ends it. */
static const char *text_of(kin_ctx *cx, const json_t *v, const char *key)
{
    const json_t *s = json_object_get(v, key);
    if (!json_is_string(s)) kin_fail(cx, KIN_FORMAT, "\"%s\" is missing or not a string", key);
    return json_string_value(s);
}

static kin_status add_texts(kin_ctx *cx, kin_dataset *d, int64_t item, const json_t *v, const char *key)
{
    size_t i;
    const json_t *one;
    if (json_is_array(v)) {
        json_array_foreach(v, i, one) KIN_TRY(add_texts(cx, d, item, one, key));
        return KIN_OK;
    }
    if (json_is_object(v)) v = json_object_get(v, key);
    if (!json_is_string(v)) return kin_fail(cx, KIN_FORMAT, "a caption (\"%s\") is not a string", key);
    const char *text = json_string_value(v);
    return kin_dataset_caption_of(cx, d, item, text, (int64_t)strlen(text));
}

static bool of_split(reader *r, const json_t *v)
{
    const char *s = json_string_value(json_object_get(v, "split"));
    r->looked++;
    const bool wanted = kin_split_wanted(r->cfg, s);
    r->wanted += wanted;
    if (s) kin_split_note(r->splits, sizeof r->splits, s);
    return wanted;
}

static kin_status read_karpathy(kin_ctx *cx, reader *r, const json_t *v)
{
    const char *name = text_of(cx, v, "filename");
    if (!name || !of_split(r, v)) return cx->status;
    const int64_t item = kin_places_item(cx, r->places, kin_json_string(cx, v, "filepath", NULL), name);
    const json_t *sentences = json_object_get(v, "sentences");
    if (item < 0 || !sentences) return cx->status;
    return add_texts(cx, r->d, item, sentences, "raw");
}

static kin_status read_pair(kin_ctx *cx, reader *r, const json_t *v)
{
    const json_t *name = either(v, picture_keys), *text = either(v, caption_keys);
    if (!json_is_string(name)) return kin_fail(cx, KIN_FORMAT, "\"image\" is missing or not a string");
    if (!of_split(r, v)) return KIN_OK;
    const int64_t item = kin_places_item(cx, r->places, NULL, json_string_value(name));
    if (item < 0 || !text || json_is_null(text)) return cx->status;
    return add_texts(cx, r->d, item, text, "caption");
}

static kin_status keep(kin_ctx *cx, pairs_of *p, pair_of one)
{
    if (p->count == p->room) {
        const int64_t room = p->room ? 2 * p->room : 1024;
        pair_of *grown = kin_regrow(cx, p->list, room, sizeof *grown);
        if (!grown) return cx->status;
        p->list = grown;
        p->room = room;
    }
    p->list[p->count++] = one;
    return KIN_OK;
}

static kin_status read_coco(kin_ctx *cx, reader *r, const char *list, const json_t *v)
{
    const bool image = strcmp(list, "images") == 0;
    if (!image && strcmp(list, "annotations") != 0) return KIN_OK;
    const json_t *id = json_object_get(v, image ? "id" : "image_id");
    if (!json_is_integer(id))
        return kin_fail(cx, KIN_FORMAT, "\"%s\" is missing or not a whole number", image ? "id" : "image_id");
    if (!image && !json_object_get(v, "caption"))
        return kin_fail(cx, KIN_FORMAT,
                        "an annotation has no \"caption\": COCO's captions are in captions_*.json, not in "
                        "instances_*.json or person_keypoints_*.json");
    const char *text = text_of(cx, v, image ? "file_name" : "caption");
    if (!text) return cx->status;
    pair_of one = {.id = json_integer_value(id)};
    if (image) {
        one.to = kin_places_item(cx, r->places, NULL, text);
        KIN_TRY(cx->status);
        return keep(cx, &r->images, one);
    }
    one.to = r->annotations.count;
    one.text = kin_dataset_text(cx, r->d, text, (int64_t)strlen(text));
    return one.text ? keep(cx, &r->annotations, one) : cx->status;
}

static bool read_element(kin_ctx *cx, void *user, const char *list, int64_t index, const json_t *v)
{
    reader *r = user;
    if (r->form == COCO) {
        read_coco(cx, r, list, v);
    } else if (r->form == KARPATHY && strcmp(list, "images") == 0) {
        read_karpathy(cx, r, v);
    } else if (r->form == PAIRS && !*list) {
        read_pair(cx, r, v);
    }
    if (cx->status == KIN_OK) return true;
    if (cx->status == KIN_FORMAT) kin_within(cx, "%s[%lld]", *list ? list : "pairs", (long long)index);
    return false;
}

static int by_id(const void *a, const void *b)
{
    const pair_of *p = a, *q = b;
    if (p->id != q->id) return p->id < q->id ? -1 : 1;
    return p->to < q->to ? -1 : p->to > q->to;
}

/* The captions of COCO's pictures, whichever list came first. */
static kin_status join(kin_ctx *cx, reader *r)
{
    pairs_of *im = &r->images, *an = &r->annotations;
    if (im->count) qsort(im->list, (size_t)im->count, sizeof *im->list, by_id);
    if (an->count) qsort(an->list, (size_t)an->count, sizeof *an->list, by_id);
    int64_t orphans = 0;
    for (int64_t a = 0, i = 0; a < an->count; a++) {
        while (i < im->count && im->list[i].id < an->list[a].id) i++;
        if (i == im->count || im->list[i].id != an->list[a].id) {
            orphans++;
        } else if (im->list[i].to >= 0) {
            const char *text = an->list[a].text;
            KIN_TRY(kin_dataset_caption_of(cx, r->d, im->list[i].to, text, (int64_t)strlen(text)));
        }
    }
    if (orphans)
        kin_log(cx, KIN_WARN, "%lld captions belong to no picture of the file and were left out",
                (long long)orphans);
    return KIN_OK;
}

static kin_status read_all(kin_ctx *cx, reader *r, const char *path, const kin_map *text)
{
    static const char *const names[] = {"", "Karpathy's JSON (images with sentences and splits)",
                                        "COCO captions JSON (images and annotations)",
                                        "JSON pairs (a picture and its captions in each element)"};
    KIN_TRY(kin_json_walk(cx, path, text->bytes, text->size, sniff, &r->form));
    if (r->form == UNKNOWN)
        return kin_fail(
            cx, KIN_FORMAT,
            "%s: neither Karpathy's JSON (\"images\" with \"sentences\") nor COCO's captions (\"images\" "
            "and \"annotations\") nor pairs ([{\"image\", \"caption\"}])",
            path);
    kin_dataset_form(cx, r->d, "%s", names[r->form]);
    r->places = kin_places_open(cx, r->d, path, false);
    if (!r->places) return cx->status;
    if (kin_json_walk(cx, path, text->bytes, text->size, read_element, r) != KIN_OK)
        return strncmp(cx->message, path, strlen(path)) == 0 ? cx->status : kin_within(cx, "%s", path);
    if (r->form == COCO) KIN_TRY(join(cx, r));
    if (r->looked > 0 && r->wanted == 0)
        return kin_fail(cx, KIN_ARG, "%s: no picture is in split '%s'; there are: %s", path, r->cfg->split,
                        r->splits);
    if (*r->splits) r->d->splits = kin_dataset_text(cx, r->d, r->splits, (int64_t)strlen(r->splits));
    return cx->status == KIN_OK ? kin_dataset_group(cx, r->d) : cx->status;
}

kin_status kin_annotations_read(kin_ctx *cx, kin_dataset *d, const char *path, const kin_map *text,
                                const kin_dataset_cfg *cfg)
{
    reader r = {.d = d, .cfg = cfg};
    read_all(cx, &r, path, text);
    kin_places_close(r.places);
    free(r.images.list);
    free(r.annotations.list);
    return cx->status;
}
