/* Are the labels of a set balanced, and could one modality alone know them? */
#include <stdlib.h>
#include <string.h>

#include "data/check.h"

typedef struct example {
    int64_t group;
    int32_t label;
} example;

static int by_group(const void *a, const void *b)
{
    const example *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return (x->label > y->label) - (x->label < y->label);
}

/* What groups of examples tell of their labels. Sorts e. */
static json_t *tell_groups(example *e, int64_t n)
{
    int64_t repeated = 0, one_label = 0, hits = 0, of = 0;
    if (n) qsort(e, (size_t)n, sizeof *e, by_group);
    for (int64_t a = 0, b; a < n; a = b) {
        int64_t most = 0;
        for (b = a; b < n && e[b].group == e[a].group;) {
            const int64_t from = b;
            while (b < n && e[b].group == e[a].group && e[b].label == e[from].label) b++;
            most = kin_max64(most, b - from);
        }
        if (b - a < 2) continue;
        repeated++;
        one_label += most == b - a;
        hits += most;
        of += b - a;
    }
    return json_pack("{s:I, s:I, s:f}", "repeated", (json_int_t)repeated, "one_label", (json_int_t)one_label,
                     "best", of ? (double)hits / (double)of : 0.0);
}

json_t *kin_labels_check(kin_ctx *cx, const kin_dataset *d)
{
    const int64_t n = d->captions;
    int64_t *times = kin_alloc0(cx, kin_max64(1, d->classes), sizeof *times), most = 0, soft = 0, counted = 0;
    int64_t *group = kin_alloc(cx, kin_max64(1, n), sizeof *group);
    example *e = kin_alloc(cx, kin_max64(1, n), sizeof *e);
    json_t *out = json_object(), *classes = json_array();
    if (times && group && e && kin_dataset_texts(cx, d, group) >= 0) {
        for (int64_t c = 0; c < n; c++) {
            soft += d->label[c].targets > 0;
            e[c] = (example){group[c], d->label[c].label};
            if (d->label[c].label < 0) continue;
            most = kin_max64(most, ++times[d->label[c].label]);
            counted++;
        }
        for (int64_t k = 0; k < d->classes; k++)
            json_array_append_new(
                classes, json_pack("{s:s, s:I}", "name", d->class_name[k], "n", (json_int_t)times[k]));
        json_object_set_new(out, "examples", json_integer(counted));
        json_object_set(out, "classes", classes);
        json_object_set_new(out, "majority", json_real((double)most / (double)kin_max64(1, counted)));
        json_object_set_new(out, "soft", json_integer(soft));
        json_object_set_new(out, "texts", tell_groups(e, n));
        for (int64_t c = 0; c < n; c++) e[c] = (example){d->item_of[c], d->label[c].label};
        json_object_set_new(out, "pictures", tell_groups(e, n));
    }
    json_decref(classes);
    free(times);
    free(group);
    free(e);
    if (cx->status == KIN_OK) return out;
    json_decref(out);
    return NULL;
}
