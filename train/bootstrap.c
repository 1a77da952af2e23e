#include "train/bootstrap.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

kin_status kin_check_resamples(kin_ctx *cx, const char *what, int64_t resamples)
{
    if (resamples == 0 || (resamples >= 40 && resamples <= KIN_MOST_RESAMPLES)) return KIN_OK;
    return kin_fail(cx, KIN_ARG,
                    "%s: bootstrap is %lld, it must be 0, or 40 to %d: fewer resamples have no 2.5 %% tail",
                    what, (long long)resamples, KIN_MOST_RESAMPLES);
}

void kin_resample(int64_t r, int64_t clusters, uint32_t *times)
{
    kin_rng rng = kin_rng_new(kin_key(0x626f6f74ull, (uint64_t)r, 0)); /* "boot" */
    memset(times, 0, (size_t)clusters * sizeof *times);
    for (int64_t draw = 0; draw < clusters; draw++) times[kin_rng_below(&rng, (uint32_t)clusters)]++;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void kin_percentiles(double *value, int64_t n, double *low, double *high)
{
    const int64_t cut = (int64_t)(0.025 * (double)(n - 1));
    qsort(value, (size_t)n, sizeof *value, ascending);
    *low = value[cut];
    *high = value[n - 1 - cut];
}

typedef struct place {
    int64_t of, at;
} place;

static int by_group(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->of != y->of) return x->of < y->of ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

int64_t kin_groups(kin_ctx *cx, const int64_t *of, int64_t n, int64_t *group)
{
    if (!of) {
        for (int64_t i = 0; i < n; i++) group[i] = i;
        return n;
    }
    place *p = kin_alloc(cx, kin_max64(1, n), sizeof *p);
    if (!p) return -1;
    for (int64_t i = 0; i < n; i++) p[i] = (place){of[i], i};
    if (n) qsort(p, (size_t)n, sizeof *p, by_group);
    for (int64_t a = 0, b; a < n; a = b) /* for now: the place of the first */
        for (b = a; b < n && p[b].of == p[a].of; b++) group[p[b].at] = p[a].at;
    free(p);
    int64_t groups = 0;
    for (int64_t i = 0; i < n; i++) group[i] = group[i] == i ? groups++ : group[group[i]];
    return groups;
}

typedef struct sums {
    double a, b;
    int64_t n;
} sums;

kin_status kin_paired_bootstrap(kin_ctx *cx, const double *a, const double *b, const int64_t *group,
                                int64_t n, int64_t resamples, kin_difference *out)
{
    KIN_TRY(kin_check_resamples(cx, "a paired comparison", resamples));
    if (n < 1) return kin_fail(cx, KIN_ARG, "a paired comparison of %lld queries", (long long)n);
    int64_t *of = kin_alloc(cx, n, sizeof *of);
    const int64_t groups = of ? kin_groups(cx, group, n, of) : -1;
    sums *s = groups < 0 ? NULL : kin_alloc0(cx, groups, sizeof *s), all = {0};
    uint32_t *times = s ? kin_alloc(cx, groups, sizeof *times) : NULL;
    double *value = times ? kin_alloc(cx, kin_max64(1, resamples), sizeof *value) : NULL;
    int64_t not_above = 0;
    for (int64_t i = 0; value && i < n; i++) {
        s[of[i]].a += a[i];
        s[of[i]].b += b[i];
        s[of[i]].n++;
    }
    for (int64_t g = 0; value && g < groups; g++) {
        all.a += s[g].a;
        all.b += s[g].b;
    }
    for (int64_t r = 0; value && r < resamples; r++) {
        sums drawn = {0};
        kin_resample(r, groups, times);
        for (int64_t g = 0; g < groups; g++) {
            drawn.a += times[g] * s[g].a;
            drawn.b += times[g] * s[g].b;
            drawn.n += times[g] * s[g].n;
        }
        value[r] = (drawn.b - drawn.a) / (double)drawn.n;
        not_above += value[r] <= 0;
    }
    if (value) {
        *out = (kin_difference){.a = all.a / (double)n,
                                .b = all.b / (double)n,
                                .difference = (all.b - all.a) / (double)n,
                                .not_above = (double)not_above / (double)kin_max64(1, resamples),
                                .n = n,
                                .groups = groups,
                                .resamples = resamples};
        out->low = out->high = out->difference;
        if (resamples) kin_percentiles(value, resamples, &out->low, &out->high);
    }
    free(of);
    free(s);
    free(times);
    free(value);
    return cx->status;
}
