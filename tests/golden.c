#include "tests/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t hash_of(const op_case *c)
{
    uint64_t h = kin_fnv(KIN_FNV, c->s.label, strlen(c->s.label));
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (c->in[i].ptr)
            h = kin_fnv(h, c->in[i].ptr, (size_t)kin_count(&c->in[i]) * kin_dtype_size(c->in[i].dtype));
    return h;
}

static void print_tensor(FILE *f, const char *name, const kin_tensor *t)
{
    if (!t->ptr) {
        fprintf(f, ", \"%s\": null", name);
        return;
    }
    fprintf(f, ", \"%s\": {\"dtype\": \"%s\", \"shape\": [", name, kin_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) fprintf(f, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    fprintf(f, "], \"data\": [");
    for (int64_t k = 0; k < kin_count(t); k++) fprintf(f, "%s%.17g", k ? ", " : "", op_value(t, k));
    fprintf(f, "]}");
}

static void print_case(FILE *f, const op_case *c)
{
    fprintf(f, "{\"op\": \"%s\", \"label\": \"%s\", \"hash\": \"%016llx\", \"sample0\": %lld, \"attr\": \"",
            c->row->def->name, c->s.label, (unsigned long long)hash_of(c), (long long)c->s.sample0);
    for (size_t k = 0; k < c->row->attr_size; k++) fprintf(f, "%02x", (unsigned char)c->s.attr.bytes[k]);
    fprintf(f, "\"");
    char name[16];
    for (int i = 0; i < KIN_MAX_IN; i++) {
        snprintf(name, sizeof name, "in%d", i);
        print_tensor(f, name, &c->in[i]);
    }
    const uint32_t carries = op_case_carries(c);
    for (int i = 0; i < KIN_MAX_OUT; i++) {
        kin_tensor none = {.ptr = NULL};
        snprintf(name, sizeof name, "dout%d", i);
        print_tensor(f, name, carries & OUT(i) ? &c->dout[i] : &none);
    }
    fprintf(f, ", \"diff\": %u}\n", op_case_diff(c));
}

int golden_dump(kin_backend *ref64, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    for (int op = 0; op < KIN_OP_COUNT; op++) {
        op_case c;
        for (int s = 0; op_case_open(&c, ref64, (kin_op)op, s, op_case_batch((kin_op)op, s)); s++) {
            print_case(f, &c);
            op_case_close(&c);
        }
    }
    return fclose(f) == 0 ? 0 : 1;
}

static const uint8_t *load(int64_t *size)
{
    static uint8_t *bytes;
    static int64_t length;
    kin_ctx cx = {0};
    if (!bytes && kin_read_file(&cx, "tests/golden/table.bin", 1 << 28, &bytes, &length) != KIN_OK)
        fail_msg("%s", cx.message);
    *size = length;
    return bytes;
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The record of these inputs, or NULL. */
static const uint8_t *find(uint64_t hash)
{
    int64_t size;
    const uint8_t *p = load(&size), *end = p + size;
    while (p < end) {
        uint64_t h;
        memcpy(&h, p, sizeof h);
        if (h == hash) return p;
        uint32_t arrays = u32_at(p + 8);
        for (p += 12; arrays > 0; arrays--) p += 12 + 8 * kin_min64(GOLDEN_MOST, u32_at(p));
    }
    return NULL;
}

static double f64_at(const uint8_t *p)
{
    double v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Compares the array at *p and steps over it. */
static bool check(const op_case *c, const uint8_t **p, const kin_tensor *t, bool out, int index)
{
    const int64_t n = u32_at(*p), kept = kin_min64(n, GOLDEN_MOST);
    const uint8_t *values = *p + 4;
    const char *what = out ? "out" : "d in";
    *p = values + 8 * (kept + 1);
    if (n != kin_count(t))
        return op_disagree(c, "%s[%d] has %lld elements, golden %lld", what, index, (long long)kin_count(t),
                           (long long)n);
    double sum = 0.0, square = 0.0;
    for (int64_t k = 0; k < n; k++) {
        sum += op_value(t, k) * cos((double)k);
        square += op_value(t, k) * op_value(t, k);
    }
    const double scale = 1e-3 + sqrt(square / (double)kin_max64(1, n));
    for (int64_t k = 0; k < kept; k++)
        if (!(fabs(f64_at(values + 8 * k) - op_value(t, k)) < 1e-9 * (scale + fabs(op_value(t, k)))))
            return op_disagree(c, "%s[%d][%lld] is %.15g, golden %.15g", what, index, (long long)k,
                               op_value(t, k), f64_at(values + 8 * k));
    if (!(fabs(f64_at(values + 8 * kept) - sum) < 1e-9 * (1e-3 + sqrt(square))))
        return op_disagree(c, "%s[%d] past element %d: the sum of v[k] cos(k) is %.15g, golden %.15g", what,
                           index, GOLDEN_MOST, sum, f64_at(values + 8 * kept));
    return true;
}

bool golden_agrees(const op_case *c)
{
    const uint8_t *p = find(hash_of(c));
    if (!p) return op_disagree(c, "it is not in tests/golden/table.bin: run tests/golden/table_golden.py");
    p += 12;
    bool ok = true;
    for (int o = 0; o < KIN_MAX_OUT; o++)
        if (op_case_carries(c) & OUT(o)) ok = ok && check(c, &p, &c->out[o], true, o);
    for (int i = 0; i < KIN_MAX_IN; i++)
        if (c->din[i].ptr) ok = ok && check(c, &p, &c->din[i], false, i);
    return ok;
}
