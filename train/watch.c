#include "train/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"

enum { LOOKED_AT = 20000, LONGEST = 4096 };

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Members of groups of equal values, the first of each not counted. */
static int64_t repeats(uint64_t *v, int64_t n)
{
    int64_t count = 0;
    qsort(v, (size_t)n, sizeof *v, by_value);
    for (int64_t i = 1; i < n; i++) count += v[i] == v[i - 1];
    return count;
}

void kin_count_duplicates(const kin_pairs *p, int64_t image_bytes, uint64_t *digest, int64_t *captions,
                          int64_t *pictures)
{
    for (int64_t i = 0; i < p->n; i++)
        digest[i] =
            kin_fnv(KIN_FNV, p->ids + p->off[i], (size_t)(p->off[i + 1] - p->off[i]) * sizeof *p->ids);
    *captions = repeats(digest, p->n);
    for (int64_t i = 0; i < p->n; i++) digest[i] = (uint64_t)i; /* where no pictures are read */
    for (int64_t i = 0; p->images && i < p->n; i++) {
        const uint8_t *image = p->images + i * image_bytes;
        const uint32_t half = kin_crc32c(0, image, (size_t)image_bytes / 2);
        digest[i] = (uint64_t)half << 32 |
                    kin_crc32c(half, image + image_bytes / 2, (size_t)(image_bytes - image_bytes / 2));
        if (p->drawn) digest[i] = kin_fnv(digest[i], &p->drawn[i], sizeof *p->drawn);
    }
    *pictures = repeats(digest, p->n);
}

kin_status kin_watch_captions(kin_ctx *cx, const kin_trainer *t)
{
    const kin_dataset *d = t->train;
    const int64_t context = t->model->cfg.text.context, n = kin_min64(d->captions, LOOKED_AT);
    int32_t *ids = kin_alloc(cx, LONGEST, sizeof *ids);
    int64_t cut = 0, worst = 0, tokens = 0;
    for (int64_t k = 0; ids && k < n; k++) {
        const int64_t i = k * d->captions / n;
        const int64_t length = kin_tokenizer_encode(cx, t->model->tokenizer, d->caption[i], LONGEST, ids);
        if (length < 0) break;
        cut += length > context;
        if (length > tokens) {
            tokens = length;
            worst = i;
        }
    }
    free(ids);
    if (cx->status == KIN_OK && cut > 0)
        kin_log(cx, KIN_WARN,
                "caption %lld has %lld tokens, cut to %lld (%.3g %% of captions; --context %lld %s)",
                (long long)worst + 1, (long long)tokens, (long long)context, 100.0 * (double)cut / (double)n,
                (long long)tokens,
                kin_model_is_folder(t->cfg->model) ? "stretches positions" : "keeps them whole");
    return cx->status;
}

/* True the first time. */
static bool once(kin_watch *w, kin_note note, bool now)
{
    if (!now || w->told[note]) return false;
    w->told[note] = true;
    return true;
}

static void start(kin_ctx *cx, kin_watch *w, const kin_trainer *t, const kin_progress *p)
{
    if (!once(w, KIN_NOTE_START, true) || p->step != 1 || *t->cfg->resume) return;
    if (p->loss > 1.25 * p->chance + 0.1)
        kin_log(
            cx, KIN_WARN,
            "loss at the start %.3f is far above chance (%.3f): an untrained model should be near it; the "
            "logit scale %.3g is too sharp for these towers: try --scale-init 5",
            p->loss, p->chance, p->scale);
    else if (p->loss < 0.75 * p->chance - 0.1)
        kin_log(cx, KIN_WARN,
                "loss at the start %.3f is far below chance (%.3f): the weights are trained already, or the "
                "captions give the pictures away",
                p->loss, p->chance);
    else
        kin_log(cx, KIN_INFO, "sanity  loss at the start %.3f, chance %.3f: ok", p->loss, p->chance);
}

static void batch(kin_ctx *cx, kin_watch *w, const kin_progress *p)
{
    const double n = (double)p->pairs;
    if (once(w, KIN_NOTE_CAPTIONS, p->same_captions > 0 && (double)p->same_captions >= 0.01 * n))
        kin_log(
            cx, KIN_WARN,
            "%lld of %lld captions in a batch stand there twice, word for word: the loss pushes each away "
            "from a picture that it is true of; a smaller --batch or --smoothing 0.1 softens that",
            (long long)p->same_captions, (long long)p->pairs);
    if (once(w, KIN_NOTE_PICTURES, p->same_pictures > 0))
        kin_log(cx, KIN_WARN,
                "%lld of %lld pictures in a batch stand there twice under different names: each caption is "
                "pushed away from its own picture; remove the copies from the data",
                (long long)p->same_pictures, (long long)p->pairs);
}

static void course(kin_ctx *cx, kin_watch *w, const kin_trainer *t, const kin_progress *p)
{
    const bool settled = p->step >= 50 && (double)p->step >= 0.1 * (double)p->steps;
    const double image = p->spread.image, text = p->spread.text;
    if (settled && once(w, KIN_NOTE_COLLAPSE, fmax(image, text) > 0.95))
        kin_log(
            cx, KIN_WARN,
            "collapse: different %s have nearly the same embedding (mean cosine %.3f at step %lld); a lower "
            "--lr, a longer --warmup or --clip 1 usually helps, --sanity checks data and options",
            image > text ? "pictures" : "captions", fmax(image, text), (long long)p->step);
    const bool late = p->step >= 100 && (double)p->step >= 0.25 * (double)p->steps;
    if (late && once(w, KIN_NOTE_CHANCE, p->loss > 0.98 * p->chance))
        kin_log(cx, KIN_WARN,
                "the loss %.3f at step %lld is still that of chance (%.3f): nothing is learned; see whether "
                "--sanity can overfit a few pairs, then whether captions belong to their pictures (kin data "
                "check), then --lr",
                p->loss, (long long)p->step, p->chance);
    const kin_fused_stepper *fused = t->stepper.fused;
    const bool similar = !fused || fused->cfg.weight[KIN_ITC] > 0.0;
    if (!similar || strcmp(t->loss->name, "triplet") == 0) return; /* no logit scale is learned */
    if (once(w, KIN_NOTE_CLAMP, p->scale >= 0.999 * t->cfg->scale_max))
        kin_log(cx, KIN_WARN,
                "the logit scale is at its clamp %g since step %lld: pairs are told apart as sharply as it "
                "allows; on small data that is overfitting: more data, --crop-min 0.5 or --wd",
                t->cfg->scale_max, (long long)p->step);
    if (once(w, KIN_NOTE_FLOOR, p->scale <= 1.001))
        kin_log(
            cx, KIN_WARN,
            "the logit scale fell to its floor 1 at step %lld: similarities say nothing about pairs; a lower "
            "--lr, or look whether captions belong to their pictures (kin data check)",
            (long long)p->step);
}

void kin_watch_progress(kin_ctx *cx, kin_watch *w, const kin_trainer *t, const kin_progress *p,
                        double seconds)
{
    start(cx, w, t, p);
    batch(cx, w, p);
    course(cx, w, t, p);
    if (p->step > 1) { /* the first step compiles and maps */
        w->waited += p->data_share * seconds;
        w->worked += (1.0 - p->data_share) * seconds;
    }
    const double share = w->waited / fmax(1e-9, w->waited + w->worked);
    if (once(w, KIN_NOTE_DATA, p->step >= 20 && share > 0.3))
        kin_log(
            cx, KIN_WARN,
            "the step waits for data %.0f %% of the time: this run is bound by reading and decoding "
            "pictures; %smore --loader-threads (or cores), or pictures stored no larger than they are used",
            100.0 * share, *t->cfg->cache ? "" : "--cache keeps them decoded, or ");
    const int64_t span =
        kin_min64(KIN_WATCH_HISTORY - 1, p->step * KIN_WATCH_HISTORY / kin_max64(1, p->steps));
    w->loss[span] += p->loss;
    w->losses[span]++;
    w->last = *p;
}

void kin_watch_evaluated(kin_watch *w, double kept)
{
    w->evaluations++;
    w->last_kept = kept;
}

/* Mean loss of the spans from .. to - 1; NaN where nothing was measured. */
static double mean_loss(const kin_watch *w, int from, int to)
{
    double sum = 0.0;
    int64_t n = 0;
    for (int i = from; i < to; i++) {
        sum += w->loss[i];
        n += w->losses[i];
    }
    return n > 0 ? sum / (double)n : (double)NAN;
}

void kin_watch_end(kin_ctx *cx, const kin_watch *w, const kin_trainer *t)
{
    const double total = w->waited + w->worked;
    if (total <= 0.0) return;
    const double share = w->waited / total;
    kin_log(cx, KIN_INFO, "bound   by %s: the step waited for data %.0f %% of the time",
            share > 0.3 ? "data" : "compute", 100.0 * share);
    if (t->state.step < t->lr.steps) return;
    const double before = mean_loss(w, KIN_WATCH_HISTORY / 2, KIN_WATCH_HISTORY * 3 / 4);
    const double end = mean_loss(w, KIN_WATCH_HISTORY * 3 / 4, KIN_WATCH_HISTORY);
    const bool falling = end < 0.97 * before;
    if (w->evaluations >= 3 && t->state.best > 0.0 && w->last_kept < 0.97 * t->state.best && falling)
        kin_log(
            cx, KIN_INFO,
            "next    %s was best at step %lld and fell since while the training loss fell: overfitting; try "
            "--crop-min 0.5 --flip 0.5, a higher --wd, fewer --steps or more data (best/ holds the best)",
            kin_trainer_keep(t), (long long)t->state.best_step);
    else if (end > 0.98 * w->last.chance)
        kin_log(cx, KIN_INFO, "next    the loss ended at chance: try --sanity, then another --lr");
    else if (falling)
        kin_log(cx, KIN_INFO,
                "next    the loss still fell in the last quarter (%.3f -> %.3f): more --steps will help",
                before, end);
    else if (end < 0.2 * w->last.chance)
        kin_log(
            cx, KIN_INFO,
            "next    the training pairs are told apart (loss %.3f of chance %.3f): more data, --crop-min 0.5 "
            "or a larger --batch will help more than more steps",
            end, w->last.chance);
    else if (end == end && before == before) /* neither NaN */
        kin_log(
            cx, KIN_INFO,
            "next    the loss levelled off (%.3f -> %.3f): a larger model, a larger --batch or another --lr",
            before, end);
}
