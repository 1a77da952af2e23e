/* "scenes:TASK,count=2000,seed=0,size=64,objects=2" (boxes, contents: size=100) as a labelled set
 * (data/scenes_task.h): pictures are drawn when it is opened and kept in memory as PNG. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/image.h"
#include "data/scenes_draw.h"
#include "data/scenes_task.h"

enum { COUNT = 2000, SIZE = 64 }; /* boxes: KIN_BOX_SIDE */
static const char *const splits[KIN_SCENE_SPLITS] = {"train", "val", "test"};

static int index_of(const char *const *names, int n, const char *word, size_t length)
{
    for (int i = 0; i < n; i++)
        if (strlen(names[i]) == length && strncmp(names[i], word, length) == 0) return i;
    return -1;
}

static kin_status bad_words(kin_ctx *cx, const char *words)
{
    return kin_fail(cx, KIN_ARG,
                    "scenes:%s: expected scenes:TASK,count=N,seed=S,size=P,objects=M with a TASK of swaps, "
                    "attributes, match, "
                    "xor, and, count, questions, masked, boxes, contents",
                    words);
}

static kin_status read_words(kin_ctx *cx, const char *words, kin_scene_task_cfg *out)
{
    size_t n = strcspn(words, ",");
    const int task = index_of(kin_scene_task_names, KIN_SCENE_TASKS, words, n);
    if (task < 0) return bad_words(cx, words);
    out->task = (kin_scene_task)task;
    for (const char *at = words + n; *at;) {
        static const char *const keys[] = {"count", "seed", "size", "objects"};
        const char *key = at + 1, *equal = key + strcspn(key, "=,");
        char *end;
        const int k = index_of(keys, 4, key, (size_t)(equal - key));
        if (k < 0 || *equal != '=' || equal[1] < '0' || equal[1] > '9') return bad_words(cx, words);
        const unsigned long long value = strtoull(equal + 1, &end, 10);
        if (*end && *end != ',') return bad_words(cx, words);
        if (k == 0) out->count = value > INT32_MAX ? INT32_MAX : (int64_t)value;
        if (k == 1) out->seed = value;
        if (k == 2) out->size = value > KIN_SCENE_MAX_SIZE ? KIN_SCENE_MAX_SIZE + 1 : (int)value;
        if (k == 3) out->objects = value > KIN_SCENE_MAX_OBJECTS ? KIN_SCENE_MAX_OBJECTS + 1 : (int)value;
        at = end;
    }
    return KIN_OK;
}

typedef struct file {
    uint8_t *bytes;
    int64_t size;
} file;

static kin_status draw(kin_ctx *cx, const kin_scene_set *set, int64_t i, int size, file *out)
{
    const int64_t width = set->boxes ? 4 * size : size;
    uint8_t *pixels = kin_alloc(cx, width * size, 3);
    if (!pixels) return cx->status;
    if (set->boxes)
        kin_boxes_draw(&set->boxes[i], size, pixels);
    else
        kin_scene_draw(&set->scene[i], pixels);
    const kin_image image = {.pixels = pixels, .width = width, .height = size};
    kin_image_encode_png(cx, &image, &out->bytes, &out->size);
    free(pixels);
    return cx->status;
}

static kin_status draw_all(kin_ctx *cx, const kin_scene_set *set, int size, file *files)
{
    bool failed = false;
#pragma omp parallel for schedule(dynamic, 16)
    for (int64_t i = 0; i < set->scenes; i++) {
        kin_ctx mine = {0};
        if (draw(&mine, set, i, size, &files[i]) == KIN_OK) continue;
#pragma omp atomic write
        failed = true;
    }
    return failed ? kin_fail(cx, KIN_NOMEM, "scenes: out of memory for pictures") : KIN_OK;
}

/* All files end to end as one source of the dataset. */
static int32_t join(kin_ctx *cx, kin_dataset *d, const kin_scene_task_cfg *cfg, const file *files, int64_t n)
{
    int64_t size = 0, at = 0;
    for (int64_t i = 0; i < n; i++) size += files[i].size;
    uint8_t *bytes = kin_alloc(cx, size, 1);
    if (!bytes) return -1;
    for (int64_t i = 0; i < n; at += files[i++].size)
        memcpy(bytes + at, files[i].bytes, (size_t)files[i].size);
    char of[128];
    snprintf(of, sizeof of, "scenes:%s,count=%lld,seed=%llu,size=%d,objects=%d (%s)",
             kin_scene_task_names[cfg->task], (long long)cfg->count, (unsigned long long)cfg->seed, cfg->size,
             cfg->objects, splits[cfg->split]);
    return kin_dataset_made(cx, d, of, bytes, size);
}

static kin_status add(kin_ctx *cx, kin_dataset *d, const kin_scene_task_cfg *cfg, const kin_scene_set *set,
                      const file *files)
{
    char name[64];
    int64_t at = 0;
    int classes;
    const char *const *names = kin_scene_task_classes(cfg->task, &classes);
    const char *twin = cfg->task == KIN_SCENE_TASK_SWAPS ? "relation" : "attribute";
    const int32_t source = join(cx, d, cfg, files, set->scenes);
    if (source < 0) return cx->status;
    for (int64_t i = 0; i < set->scenes; at += files[i++].size) {
        snprintf(name, sizeof name, "%s-%s-%06lld.png", kin_scene_task_names[cfg->task], splits[cfg->split],
                 (long long)i);
        KIN_TRY(kin_dataset_item(cx, d, name, source, at, files[i].size));
        if (cfg->task == KIN_SCENE_TASK_SWAPS || cfg->task == KIN_SCENE_TASK_ATTRIBUTES) /* false twins */
            KIN_TRY(kin_dataset_swap(cx, d, twin, set->example[2 * i].text, set->example[2 * i + 1].text));
    }
    for (int64_t i = 0; i < set->examples; i++) {
        const kin_scene_example *e = &set->example[i];
        KIN_TRY(kin_dataset_caption_of(cx, d, e->picture, e->text, (int64_t)strlen(e->text)));
        KIN_TRY(kin_dataset_label(cx, d, names[e->label], (int64_t)strlen(names[e->label])));
    }
    KIN_TRY(kin_dataset_group(cx, d));
    kin_dataset_classes(cx, d, names, classes);
    return cx->status;
}

kin_status kin_scenes_read(kin_ctx *cx, kin_dataset *d, const char *words, const kin_dataset_cfg *cfg)
{
    kin_scene_task_cfg task = {.count = COUNT, .size = -1};
    KIN_TRY(read_words(cx, words, &task));
    if (task.size < 0) task.size = kin_scene_task_boxes(task.task) ? KIN_BOX_SIDE : SIZE;
    const bool any = !cfg->split || !*cfg->split || strcmp(cfg->split, "all") == 0;
    const int split = any ? 0 : index_of(splits, KIN_SCENE_SPLITS, cfg->split, strlen(cfg->split));
    if (split < 0)
        return kin_fail(cx, KIN_ARG, "scenes:%s: split is \"%s\", it must be train, val or test", words,
                        cfg->split);
    task.split = (kin_scene_split)split;
    kin_scene_set set;
    file *files = NULL;
    if (kin_scene_task_make(cx, &task, &set) == KIN_OK) files = kin_alloc0(cx, set.scenes, sizeof *files);
    if (files && draw_all(cx, &set, task.size, files) == KIN_OK) add(cx, d, &task, &set, files);
    for (int64_t i = 0; files && i < set.scenes; i++) free(files[i].bytes);
    kin_dataset_form(cx, d, "scenes, task %s, split %s, seed %llu, %lld examples",
                     kin_scene_task_names[task.task], splits[split], (unsigned long long)task.seed,
                     (long long)set.examples);
    d->splits = "train, val, test";
    free(files);
    kin_scene_set_free(&set);
    return cx->status;
}
