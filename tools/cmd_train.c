#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"
#include "train/plan.h"
#include "train/sanity.h"

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
    signal(number, SIG_DFL); /* the second one ends the program at once */
}

static const char *clock_of(double seconds, char text[32])
{
    const long long s = isfinite(seconds) && seconds > 0.0 ? (long long)seconds : 0;
    if (s >= 3600)
        snprintf(text, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%lld:%02lld", s / 60, s % 60);
    return text;
}

/* One line that is written over on a terminal; a line each elsewhere. */
static void progress(void *user, const kin_progress *p)
{
    const bool terminal = *(const bool *)user;
    char left[32];
    const int bar = p->steps > 0 ? (int)(10 * p->step / p->steps) : 0;
    fprintf(
        stderr,
        "%sstep %lld/%lld [%.*s%.*s] loss %.3f (chance %.3f)  scale %.1f  |g| %.2f  lr %.1e  %.0f pairs/s  "
        "data %.0f %%  ETA %s%s",
        terminal ? "\r\033[K" : "", (long long)p->step, (long long)p->steps, bar, "##########", 10 - bar,
        "----------", p->loss, p->chance, p->scale, p->norm, p->lr, p->pairs_per_s, 100.0 * p->data_share,
        clock_of(p->seconds_left, left), terminal && p->step < p->steps ? "" : "\n");
}

static double percent(const json_t *m, const char *key)
{
    return 100.0 * json_number_value(json_object_get(m, key));
}

static void evaluated(void *user, int64_t step, const json_t *m, bool best)
{
    if (json_object_get(m, "accuracy")) {
        fprintf(stderr, "%seval at step %lld: %.1f %% of %lld examples are right%s\n",
                *(const bool *)user ? "\r\033[K" : "", (long long)step, percent(m, "accuracy"),
                (long long)json_integer_value(json_object_get(m, "examples")), best ? "  *best" : "");
        return;
    }
    fprintf(stderr,
            "%seval at step %lld: text->image R@1/5/10 %.1f/%.1f/%.1f, image->text %.1f/%.1f/%.1f (chance "
            "R@1 %.1f)",
            *(const bool *)user ? "\r\033[K" : "", (long long)step, percent(m, "image_retrieval_recall@1"),
            percent(m, "image_retrieval_recall@5"), percent(m, "image_retrieval_recall@10"),
            percent(m, "text_retrieval_recall@1"), percent(m, "text_retrieval_recall@5"),
            percent(m, "text_retrieval_recall@10"), percent(m, "image_retrieval_chance@1"));
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)m, key, v)
    {
        const char *end = strstr(key, "_accuracy");
        if (strncmp(key, "swap_", 5) == 0 && end)
            fprintf(stderr, ", %.*s %.1f", (int)(end - key - 5), key + 5, 100.0 * json_number_value(v));
    }
    fprintf(stderr, "%s\n", best ? "  *best" : "");
}

static void describe(const kin_trainer *t)
{
    char weights[32];
    int64_t learned = 0, all = 0;
    const kin_params *p = t->model->params;
    for (int i = 0; i < p->count; i++) {
        all += p->param[i].count;
        if (!p->param[i].frozen) learned += p->param[i].count;
    }
    fprintf(stderr, "data    %lld pictures, %lld captions for training; %lld, %lld to evaluate on\n",
            (long long)t->train->items, (long long)t->train->captions,
            (long long)(t->val ? t->val->items : 0), (long long)(t->val ? t->val->captions : 0));
    if (t->train->skipped > 0)
        fprintf(stderr, "note: %lld samples without a picture or a caption were left out\n",
                (long long)t->train->skipped);
    fprintf(stderr,
            "model   %.2f M parameters (%.2f M learn), weights and optimiser %s, vocabulary %lld; %s\n",
            (double)all / 1e6, (double)learned / 1e6, kin_amount_text(KIN_BYTES, (double)p->bytes, weights),
            (long long)kin_tokenizer_vocab_size(t->model->tokenizer), t->backend->name);
    const int64_t chunk = t->stepper.chunk < t->stepper.batch ? t->stepper.chunk : t->stepper.batch;
    fprintf(
        stderr,
        "plan    %lld steps of %lld pairs (%.2f epochs)%s, in chunks of %lld; lr %g, warm-up %.0f steps\n",
        (long long)t->lr.steps, (long long)t->cfg->batch,
        (double)t->lr.steps * (double)t->cfg->batch / (double)t->train->captions,
        chunk < t->stepper.batch ? " by GradCache" : "", (long long)chunk, t->lr.base,
        t->lr.warmup * (double)t->lr.steps);
}

/* --resume alone takes the run's own options; flags lie over them. */
static kin_status own_options(kin_ctx *cx, int argc, char **argv, kin_config *c)
{
    const char *resume = NULL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--config", 8) == 0 && (!argv[i][8] || argv[i][8] == '=')) return KIN_OK;
        if (strcmp(argv[i], "--resume") == 0 && i + 1 < argc) resume = argv[i + 1];
        if (strncmp(argv[i], "--resume=", 9) == 0) resume = argv[i] + 9;
    }
    if (!resume) return KIN_OK;
    char *path = kin_sprintf(cx, "%s/config.cfg", resume);
    if (!path) return cx->status;
    const kin_status rc =
        access(path, R_OK) == 0
            ? kin_config_load(cx, c, path)
            : kin_fail(cx, KIN_IO,
                       "--resume %s: no run is in this folder (no config.cfg); give the folder that --out "
                       "named",
                       resume);
    free(path);
    KIN_TRY(rc);
    KIN_TRY(kin_config_set(cx, c, "out", resume));
    return kin_config_args(cx, c, argc, argv);
}

static kin_status sanity(kin_ctx *cx, const kin_config *c)
{
    kin_sanity s;
    if (kin_sanity_check(cx, c, KIN_SANITY_SECONDS, &s) != KIN_OK) return kin_within(cx, "sanity");
    printf("sanity  loss at the start %.3f (chance %.3f), overfit %lld pairs: %.3f -> %.3f in %lld steps, "
           "%.1f s: "
           "ok\n",
           s.first, s.chance, (long long)s.pairs, s.first, s.last, (long long)s.steps, s.seconds);
    if (s.same_captions + s.same_pictures > 0)
        printf("        %lld captions and %lld pictures of them stand there twice\n",
               (long long)s.same_captions, (long long)s.same_pictures);
    return KIN_OK;
}

/* Plans the run before it is made, where a budget is given. */
static kin_status within_budget(kin_ctx *cx, const kin_config *c)
{
    kin_plan p = {0};
    char memory[32], time[32];
    if (!*c->budget) return KIN_OK;
    KIN_TRY(kin_plan_budget(cx, c, &p));
    fprintf(stderr, "budget  %s: %s of memory and about %s are planned\n", c->budget,
            kin_amount_text(KIN_BYTES, p.needs.of[KIN_BYTES], memory),
            kin_amount_text(KIN_SECONDS, p.needs.of[KIN_SECONDS], time));
    return KIN_OK;
}

static kin_status train(kin_ctx *cx, const kin_config *c)
{
    kin_trainer t;
    bool terminal = isatty(STDERR_FILENO) == 1;
    const kin_observer o = {.user = &terminal, .progress = progress, .evaluated = evaluated, .stop = &stop};
    if (kin_trainer_open(cx, &t, c) == KIN_OK) {
        describe(&t);
        if (!c->dry_run && kin_trainer_run(cx, &t, &o) == KIN_OK) {
            if (stop)
                fprintf(stderr, "stopped at step %lld: --resume %s goes on\n", (long long)t.state.step,
                        t.out);
            printf("%s: step %lld of %lld", t.out, (long long)t.state.step, (long long)t.lr.steps);
            if (t.state.best >= 0.0)
                printf(", best %s %.4f at step %lld", kin_trainer_keep(&t), t.state.best,
                       (long long)t.state.best_step);
            printf("\n");
        }
    }
    kin_trainer_close(&t);
    return cx->status;
}

int cmd_train(kin_ctx *cx, int argc, char **argv)
{
    kin_config c;
    bool helped;
    int code = CLI_USAGE;
    if (cli_config(cx, argc, argv, "train --config FILE [flags]", &c, &helped) &&
        own_options(cx, argc, argv, &c) == KIN_OK) {
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        if (within_budget(cx, &c) == KIN_OK) {
            if (c.sanity)
                sanity(cx, &c);
            else
                train(cx, &c);
        }
        code = cli_exit(cx);
    }
    kin_config_free(&c);
    return helped ? CLI_DONE : code;
}
