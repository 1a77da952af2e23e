/* start: what a model takes from a folder of another technique. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scratch.h"
#include "tests/tiny_model.h"
#include "train/model.h"
#include "train/session.h"

#define PATCHES "vision.class_token", "false", "vision.pool_type", "avg"

static int setup(void **state)
{
    (void)state;
    return open_scratch("start") ? 0 : 1;
}

static void make(const char *name, const char *const *keys)
{
    kin_ctx cx = {0};
    if (kin_make_dirs(&cx, in_scratch(name)) != KIN_OK) fail_msg("%s", cx.message);
    if (!make_tiny_model_with(in_scratch(name), "infonce", keys)) fail_msg("%s was not made", name);
}

static kin_model *open_model(const char *name, kin_backend *b)
{
    kin_ctx cx = {0};
    kin_model *m = kin_model_load(&cx, in_scratch(name), b);
    if (!m) fail_msg("%s", cx.message);
    return m;
}

/* How many of the parameters whose names begin with `mine` have in `other` the values of those that begin
 * with `theirs`; *count: how many begin so. */
static int equal(const kin_model *m, const char *mine, const kin_model *other, const char *theirs, int *count)
{
    kin_ctx cx = {0};
    int same = 0;
    *count = 0;
    for (int i = 0; i < m->params->count; i++) {
        const kin_param *q = &m->params->param[i];
        char name[200];
        if (strncmp(q->name, mine, strlen(mine)) != 0) continue;
        ++*count;
        snprintf(name, sizeof name, "%s%s", theirs, q->name + strlen(mine));
        const int k = kin_params_find(other->params, name);
        if (k < 0 || other->params->param[k].count != q->count) continue;
        float *a = malloc((size_t)q->count * sizeof *a), *b = malloc((size_t)q->count * sizeof *b);
        assert_int_equal(kin_param_get(&cx, m->params, i, false, a), KIN_OK);
        assert_int_equal(kin_param_get(&cx, other->params, k, false, b), KIN_OK);
        same += memcmp(a, b, (size_t)q->count * sizeof *a) == 0;
        free(a);
        free(b);
    }
    return same;
}

/* The blocks of one transformer over both are those of the image tower, as far as that goes; more blocks, and
 * those of other techniques, begin at random. */
static void joint_begins_as_the_image_tower(void **state)
{
    static const char *const kinds[] = {"joint", "mmt"};
    kin_ctx cx = {0};
    kin_backend *b = kin_backend_cpu(&cx, 1, NULL);
    int count;
    (void)state;
    make("towers", (const char *const[]){PATCHES, "vision.layers", "2", NULL});
    kin_model *towers = open_model("towers", b);
    for (int k = 0; k < 2; k++) {
        make(kinds[k], (const char *const[]){PATCHES, "vision.layers", "2", "fusion.kind", kinds[k],
                                             "fusion.layers", "3", "heads.itm", "true", NULL});
        json_t *json = kin_model_json(&cx, in_scratch(kinds[k]));
        kin_tokenizer *t = kin_tokenizer_load(&cx, in_scratch("towers"));
        const kin_preprocess p = kin_preprocess_default();
        kin_model *m = kin_model_new(&cx, json, t, &p, kin_loss_find("infonce"));
        if (!m) fail_msg("%s", cx.message);
        assert_int_equal(kin_params_alloc(&cx, m->params, b, false, false), KIN_OK);
        assert_int_equal(kin_params_init(&cx, m->params, 7), KIN_OK);
        if (kin_model_start(&cx, m, in_scratch("towers")) != KIN_OK) fail_msg("%s", cx.message);
        for (int layer = 0; layer < 3; layer++) {
            char mine[60], theirs[60];
            snprintf(mine, sizeof mine, "fusion.resblocks.%d.", layer);
            snprintf(theirs, sizeof theirs, "visual.transformer.resblocks.%d.", layer);
            const int same = equal(m, mine, towers, theirs, &count);
            assert_int_equal(count, 12);
            assert_true(k == 0 && layer < 2 ? same == count : same < count);
        }
        const int patches = equal(m, "visual.conv1", towers, "visual.conv1", &count);
        assert_true(count > 0 && patches == count);
        kin_model_free(m);
    }
    kin_model_free(towers);
    kin_backend_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(joint_begins_as_the_image_tower)};
    return cmocka_run_group_tests(tests, setup, remove_scratch);
}
