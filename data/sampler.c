#include "data/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

static void shuffle(kin_sampler *s)
{
    kin_rng r = kin_rng_new(kin_key(s->seed, 0x65706f6368, (uint64_t)s->epoch));
    kin_rng_permutation(&r, s->order, (uint32_t)s->pairs);
}

kin_status kin_sampler_open(kin_ctx *cx, kin_sampler *s, const int64_t *item_of, int64_t pairs, int64_t items,
                            uint64_t seed)
{
    *s = (kin_sampler){.item_of = item_of, .pairs = pairs, .items = items, .seed = seed};
    if (pairs >= UINT32_MAX)
        return kin_fail(cx, KIN_UNSUPPORTED, "%lld pairs; kin numbers at most 2^32 - 2", (long long)pairs);
    s->order = kin_alloc(cx, pairs, sizeof *s->order);
    s->last = kin_alloc0(cx, items, sizeof *s->last);
    if (cx->status == KIN_OK) shuffle(s);
    return cx->status;
}

void kin_sampler_close(kin_sampler *s)
{
    free(s->order);
    free(s->waiting);
    free(s->last);
    *s = (kin_sampler){0};
}

static kin_status put_off(kin_ctx *cx, kin_sampler *s, uint32_t pair)
{
    if (s->waits == s->room) {
        const int64_t room = s->room ? 2 * s->room : 64;
        uint32_t *grown = kin_regrow(cx, s->waiting, room, sizeof *grown);
        if (!grown) return cx->status;
        s->waiting = grown;
        s->room = room;
    }
    s->waiting[s->waits++] = pair;
    return KIN_OK;
}

static bool take(kin_sampler *s, uint32_t pair)
{
    int64_t *last = &s->last[s->item_of[pair]];
    if (*last == s->batches) return false;
    *last = s->batches;
    return true;
}

static uint32_t next_pair(kin_sampler *s)
{
    if (s->position == s->pairs) {
        s->epoch++;
        s->position = 0;
        shuffle(s);
    }
    return s->order[s->position++];
}

kin_status kin_sampler_draw(kin_ctx *cx, kin_sampler *s, int64_t n, uint32_t *pairs)
{
    if (n > s->items)
        return kin_fail(cx, KIN_ARG, "a batch of %lld needs as many different pictures; there are %lld",
                        (long long)n, (long long)s->items);
    s->batches++;
    int64_t have = 0, kept = 0;
    for (int64_t i = 0; i < s->waits; i++) {
        if (have < n && take(s, s->waiting[i]))
            pairs[have++] = s->waiting[i];
        else
            s->waiting[kept++] = s->waiting[i];
    }
    s->waits = kept;
    while (have < n) {
        const uint32_t pair = next_pair(s);
        if (take(s, pair))
            pairs[have++] = pair;
        else
            KIN_TRY(put_off(cx, s, pair));
    }
    return KIN_OK;
}

json_t *kin_sampler_state(int64_t pairs, uint64_t seed, int64_t batches, int64_t epoch, int64_t position,
                          const uint32_t *waiting, int64_t waits)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < waits; i++) json_array_append_new(list, json_integer(waiting[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "pairs", (json_int_t)pairs, "seed", (json_int_t)seed,
                     "batches", (json_int_t)batches, "epoch", (json_int_t)epoch, "position",
                     (json_int_t)position, "waiting", list);
}

kin_status kin_sampler_resume(kin_ctx *cx, kin_sampler *s, const json_t *state)
{
    const json_t *list = json_object_get(state, "waiting");
    const int64_t pairs = kin_json_int(cx, state, "pairs", -1, 0, INT64_MAX);
    const int64_t seed = kin_json_int(cx, state, "seed", 0, INT64_MIN, INT64_MAX);
    const int64_t batches = kin_json_int(cx, state, "batches", -1, 0, INT64_MAX / 2);
    const int64_t epoch = kin_json_int(cx, state, "epoch", -1, 0, INT64_MAX / 2);
    const int64_t position = kin_json_int(cx, state, "position", -1, 0, s->pairs);
    KIN_TRY(cx->status);
    if (pairs != s->pairs)
        return kin_fail(
            cx, KIN_ARG,
            "the training data has %lld pairs, the checkpoint was made with %lld: to go on, give the "
            "same data",
            (long long)s->pairs, (long long)pairs);
    if ((uint64_t)seed != s->seed)
        return kin_fail(cx, KIN_ARG, "the seed is %lld, the checkpoint was made with %lld",
                        (long long)s->seed, (long long)seed);
    if (!json_is_array(list) || batches < 0 || epoch < 0 || position < 0)
        return kin_fail(cx, KIN_FORMAT, "the loader's state in the checkpoint is malformed");
    s->waits = 0;
    size_t i;
    const json_t *v;
    json_array_foreach(list, i, v)
    {
        const json_int_t pair = json_is_integer(v) ? json_integer_value(v) : -1;
        if (pair < 0 || pair >= s->pairs)
            return kin_fail(cx, KIN_FORMAT, "the loader's state in the checkpoint has pair %lld of %lld",
                            (long long)pair, (long long)s->pairs);
        KIN_TRY(put_off(cx, s, (uint32_t)pair));
    }
    s->batches = batches;
    s->epoch = epoch;
    s->position = position;
    memset(s->last, 0, (size_t)s->items * sizeof *s->last);
    shuffle(s);
    return KIN_OK;
}
