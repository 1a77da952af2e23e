/* Labelled sets: what is right about a picture and a text. Labels are names while a set is read; then its
 * classes are numbered, by itself or as a model wants them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/dataset.h"

static const char blanks[] = " \t\r\n";

int kin_label_truth(const char *name)
{
    static const char *const words[2][6] = {{"false", "no-match", "no_match", "no match", "mismatch", "no"},
                                            {"true", "match", "yes"}};
    for (int truth = 0; truth < 2; truth++)
        for (int i = 0; i < 6 && words[truth][i]; i++)
            if (strcasecmp(name, words[truth][i]) == 0) return truth;
    return -1;
}

static const char *name_of(kin_ctx *cx, kin_dataset *d, const char *name, int64_t size)
{
    while (size > 0 && strchr(blanks, name[size - 1])) size--;
    while (size > 0 && strchr(blanks, *name)) {
        name++;
        size--;
    }
    return kin_dataset_text(cx, d, name, size);
}

kin_status kin_dataset_label(kin_ctx *cx, kin_dataset *d, const char *name, int64_t size)
{
    if (d->label_room < d->caption_room) {
        kin_label *grown = kin_regrow(cx, d->label, d->caption_room, sizeof *grown);
        if (!grown) return cx->status;
        d->label = grown;
        d->label_room = d->caption_room;
    }
    const char *kept = name_of(cx, d, name, size);
    if (!kept) return cx->status;
    d->label[d->captions - 1] = (kin_label){.name = kept, .target = d->softs};
    return KIN_OK;
}

kin_status kin_dataset_soft(kin_ctx *cx, kin_dataset *d, const char *name, int64_t size, double weight)
{
    kin_label *l = &d->label[d->captions - 1];
    kin_target *grown = kin_roomy(cx, d->soft, d->softs, &d->soft_room, sizeof *grown);
    if (!grown) return cx->status;
    d->soft = grown;
    const char *kept = name_of(cx, d, name, size);
    if (!kept) return cx->status;
    d->soft[d->softs++] = (kin_target){.name = kept, .weight = (float)weight};
    l->targets++;
    return KIN_OK;
}

/* ---- classes ---- */

typedef enum order { BY_TRUTH, BY_SIZE, BY_BYTES } order;

static bool number(const char *s, long long *out)
{
    char *end;
    errno = 0;
    *out = strtoll(s, &end, 10);
    return end != s && !*end && errno == 0;
}

static int by_truth(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    const int p = kin_label_truth(x), q = kin_label_truth(y);
    return p != q ? p - q : strcmp(x, y);
}

static int by_size(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    long long p = 0, q = 0;
    number(x, &p);
    number(y, &q);
    return p != q ? (p > q) - (p < q) : strcmp(x, y);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different names among n, sorted by their bytes, close ranks at the front. Returns how many. */
static int64_t unique(const char **name, int64_t n)
{
    int64_t kept = 0;
    if (n) qsort(name, (size_t)n, sizeof *name, by_bytes);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || strcmp(name[i], name[kept - 1]) != 0) name[kept++] = name[i];
    return kept;
}

typedef struct entry {
    const char *name;
    int32_t label;
} entry;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static int32_t look_up(const entry *sorted, int64_t n, const char *name)
{
    const entry key = {name, 0}, *found = bsearch(&key, sorted, (size_t)n, sizeof *sorted, by_name);
    return found ? found->label : -1;
}

/* The heaviest target that has a class. */
static int32_t heaviest(const kin_dataset *d, const kin_label *l)
{
    int32_t best = -1;
    float weight = 0;
    for (int64_t k = l->target; k < l->target + l->targets; k++) {
        if (d->soft[k].label < 0 || d->soft[k].weight <= weight) continue;
        best = d->soft[k].label;
        weight = d->soft[k].weight;
    }
    return best;
}

/* Numbers labels by names [classes], which live as long as the set. */
static int64_t assign(kin_ctx *cx, kin_dataset *d, const char **names, int64_t classes)
{
    int64_t strange = 0;
    entry *sorted = kin_alloc(cx, kin_max64(1, classes), sizeof *sorted);
    if (!sorted) return -1;
    for (int64_t k = 0; k < classes; k++) sorted[k] = (entry){names[k], (int32_t)k};
    if (classes) qsort(sorted, (size_t)classes, sizeof *sorted, by_name);
    for (int64_t k = 0; k < d->softs; k++) d->soft[k].label = look_up(sorted, classes, d->soft[k].name);
    for (int64_t c = 0; c < d->captions; c++) {
        kin_label *l = &d->label[c];
        l->label = l->targets ? heaviest(d, l) : look_up(sorted, classes, l->name);
        strange += l->label < 0;
    }
    free(sorted);
    free(d->class_name);
    d->class_name = names;
    d->classes = classes;
    return strange;
}

int64_t kin_dataset_classes(kin_ctx *cx, kin_dataset *d, const char *const *names, int64_t classes)
{
    if (!d->label) {
        kin_fail(cx, KIN_ARG, "the data has no labels");
        return -1;
    }
    const char **own = kin_alloc(cx, kin_max64(1, classes), sizeof *own);
    for (int64_t k = 0; own && k < classes; k++) {
        own[k] = kin_dataset_text(cx, d, names[k], (int64_t)strlen(names[k]));
        if (!own[k]) {
            free(own);
            return -1;
        }
    }
    const int64_t strange = own ? assign(cx, d, own, classes) : -1;
    if (strange < 0) free(own);
    return strange;
}

/* Captions whose label is false go; their items keep what is left. */
static void leave_true(kin_ctx *cx, kin_dataset *d)
{
    int64_t kept = 0;
    for (int64_t c = 0; c < d->captions; c++) {
        if (kin_label_truth(d->label[c].name) == 0) {
            d->item[d->item_of[c]].captions--;
            continue;
        }
        d->caption[kept] = d->caption[c];
        d->item_of[kept++] = d->item_of[c];
    }
    if (kept < d->captions)
        kin_log(cx, KIN_INFO, "%lld rows labelled false are no pairs and left out; %lld are pairs",
                (long long)(d->captions - kept), (long long)kept);
    d->captions = kept;
    d->ungrouped = true;
}

static void forget(kin_dataset *d)
{
    free(d->label);
    free(d->soft);
    free(d->class_name);
    d->label = NULL;
    d->soft = NULL;
    d->class_name = NULL;
    d->classes = d->softs = d->label_room = d->soft_room = 0;
}

kin_status kin_dataset_labelled(kin_ctx *cx, kin_dataset *d, bool pairs)
{
    int64_t most = 0;
    const char **name = kin_alloc(cx, kin_max64(1, d->captions + d->softs), sizeof *name);
    if (!name) return cx->status;
    for (int64_t c = 0; c < d->captions; c++)
        if (d->label[c].targets == 0) name[most++] = d->label[c].name;
    for (int64_t k = 0; k < d->softs; k++) name[most++] = d->soft[k].name;
    const int64_t classes = unique(name, most);
    order how = BY_TRUTH;
    long long value;
    for (int64_t k = 0; k < classes; k++)
        if (kin_label_truth(name[k]) < 0) how = BY_SIZE;
    for (int64_t k = 0; k < classes && how != BY_TRUTH; k++)
        if (!number(name[k], &value)) how = BY_BYTES;
    if (pairs) {
        free(name);
        if (how == BY_TRUTH) leave_true(cx, d);
        forget(d);
        return cx->status;
    }
    if (classes && how != BY_BYTES)
        qsort(name, (size_t)classes, sizeof *name, how == BY_TRUTH ? by_truth : by_size);
    if (classes > INT32_MAX) {
        free(name);
        return kin_fail(cx, KIN_UNSUPPORTED, "%lld classes", (long long)classes);
    }
    if (assign(cx, d, name, classes) < 0) free(name);
    return cx->status;
}

void kin_dataset_target(const kin_dataset *d, int64_t c, float *out)
{
    const kin_label *l = &d->label[c];
    memset(out, 0, (size_t)d->classes * sizeof *out);
    if (l->targets == 0 && l->label >= 0) out[l->label] = 1;
    for (int64_t k = l->target; k < l->target + l->targets; k++)
        if (d->soft[k].label >= 0) out[d->soft[k].label] = d->soft[k].weight;
}

/* ---- texts that are said more than once ---- */

typedef struct said {
    const char *text;
    int64_t at;
} said;

static int by_text(const void *a, const void *b)
{
    const said *x = a, *y = b;
    const int sign = strcmp(x->text, y->text);
    return sign ? sign : (x->at > y->at) - (x->at < y->at);
}

int64_t kin_dataset_texts(kin_ctx *cx, const kin_dataset *d, int64_t *group)
{
    const int64_t n = d->captions;
    said *s = kin_alloc(cx, kin_max64(1, n), sizeof *s);
    if (!s) return -1;
    for (int64_t c = 0; c < n; c++) s[c] = (said){d->caption[c], c};
    if (n) qsort(s, (size_t)n, sizeof *s, by_text);
    for (int64_t a = 0, b; a < n; a = b) /* for now: the place of the first */
        for (b = a; b < n && strcmp(s[b].text, s[a].text) == 0; b++) group[s[b].at] = s[a].at;
    int64_t groups = 0;
    for (int64_t c = 0; c < n; c++) group[c] = group[c] == c ? groups++ : group[group[c]];
    free(s);
    return groups;
}

static int by_word(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

kin_status kin_dataset_seen(kin_ctx *cx, const kin_dataset *d, const kin_dataset *other, bool *seen)
{
    const size_t n = (size_t)other->captions;
    const char **text = kin_alloc(cx, kin_max64(1, other->captions), sizeof *text);
    if (!text) return cx->status;
    if (n) memcpy(text, other->caption, n * sizeof *text);
    if (n) qsort(text, n, sizeof *text, by_word);
    for (int64_t c = 0; c < d->captions; c++)
        seen[c] = n && bsearch(&d->caption[c], text, n, sizeof *text, by_word);
    free(text);
    return KIN_OK;
}
