#include "train/tfevents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/crc32c.h"

enum { TAG_MOST = 200, HEAD = 12, FOOT = 4 };

struct kin_tfevents {
    FILE *file;
    char *path;
};

/* A protocol buffer being written: wire types 0 varint, 1 64 bits, 2 length-delimited, 5 32 bits. */
typedef struct message {
    char *at;
} message;

static void put_fixed(message *m, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) *m->at++ = (char)(v >> (8 * i) & 255);
}

static void put_varint(message *m, uint64_t v)
{
    for (; v > 127; v >>= 7) *m->at++ = (char)((v & 127) | 128);
    *m->at++ = (char)v;
}

static void put_bytes(message *m, int field, const char *bytes, size_t size)
{
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, size);
    memcpy(m->at, bytes, size);
    m->at += size;
}

static void begin_event(message *m, double wall_time, int64_t step)
{
    uint64_t bits;
    memcpy(&bits, &wall_time, sizeof bits);
    put_varint(m, 1 << 3 | 1);
    put_fixed(m, bits, 8);
    if (step > 0) {
        put_varint(m, 2 << 3);
        put_varint(m, (uint64_t)step);
    }
}

/* Puts length and checksums around the data that stands at out + HEAD. */
static int64_t seal(char *out, const message *end)
{
    const int64_t size = end->at - (out + HEAD);
    message head = {out}, foot = *end;
    put_fixed(&head, (uint64_t)size, 8);
    put_fixed(&head, kin_crc32c_masked(kin_crc32c(0, out, 8)), 4);
    put_fixed(&foot, kin_crc32c_masked(kin_crc32c(0, out + HEAD, (size_t)size)), 4);
    return HEAD + size + FOOT;
}

int64_t kin_tfevents_record(char *out, double wall_time, int64_t step, const char *tag, float value)
{
    static const char version[] = "brain.Event:2";
    message m = {out + HEAD};
    begin_event(&m, wall_time, step);
    if (!tag) {
        put_bytes(&m, 3, version, sizeof version - 1);
        return seal(out, &m);
    }
    char inner[TAG_MOST + 16], outer[TAG_MOST + 32];
    message v = {inner}, s = {outer};
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_bytes(&v, 1, tag, strnlen(tag, TAG_MOST));
    put_varint(&v, 2 << 3 | 5);
    put_fixed(&v, bits, 4);
    put_bytes(&s, 1, inner, (size_t)(v.at - inner));
    put_bytes(&m, 5, outer, (size_t)(s.at - outer));
    return seal(out, &m);
}

static double wall_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static kin_status put(kin_ctx *cx, kin_tfevents *t, const char *record, int64_t size)
{
    if (fwrite(record, 1, (size_t)size, t->file) == (size_t)size) return KIN_OK;
    return kin_fail(cx, KIN_IO, "%s: cannot be written: %s", t->path, strerror(errno));
}

static kin_status begin(kin_ctx *cx, kin_tfevents *t, int64_t step)
{
    static const char start[] = {1 << 3, 1}; /* SessionLog: status START */
    char record[KIN_TFEVENT_MOST];
    KIN_TRY(put(cx, t, record, kin_tfevents_record(record, wall_clock(), 0, NULL, 0.0f)));
    if (step == 0) return KIN_OK;
    message m = {record + HEAD};
    begin_event(&m, wall_clock(), step + 1); /* what is of this step or later is dropped */
    put_bytes(&m, 7, start, sizeof start);
    return put(cx, t, record, seal(record, &m));
}

kin_tfevents *kin_tfevents_open(kin_ctx *cx, const char *folder, int64_t step)
{
    kin_tfevents *t = kin_alloc0(cx, 1, sizeof *t);
    if (!t) return NULL;
    char host[64] = "localhost";
    gethostname(host, sizeof host - 1);
    for (int i = 0; !t->file && cx->status == KIN_OK; i++) { /* the last number makes the name a new one */
        free(t->path);
        t->path = kin_sprintf(cx, "%s/events.out.tfevents.%lld.%s.%d.%d", folder, (long long)wall_clock(),
                              host, (int)getpid(), i);
        t->file = t->path ? fopen(t->path, "wxe") : NULL;
        if (!t->file && errno != EEXIST && cx->status == KIN_OK)
            kin_fail(cx, KIN_IO, "%s: %s", t->path, strerror(errno));
    }
    if (cx->status == KIN_OK && begin(cx, t, step) == KIN_OK) return t;
    kin_tfevents_close(t);
    return NULL;
}

kin_status kin_tfevents_write(kin_ctx *cx, kin_tfevents *t, const char *prefix, int64_t step,
                              const json_t *numbers)
{
    const double now = wall_clock();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)numbers, key, v)
    {
        char tag[TAG_MOST], record[KIN_TFEVENT_MOST];
        if (!json_is_number(v) || strcmp(key, "step") == 0) continue;
        snprintf(tag, sizeof tag, "%s/%s", prefix, key);
        const float value = (float)json_number_value(v);
        KIN_TRY(put(cx, t, record, kin_tfevents_record(record, now, step, tag, value)));
    }
    if (fflush(t->file) == 0) return KIN_OK;
    return kin_fail(cx, KIN_IO, "%s: cannot be written: %s", t->path, strerror(errno));
}

void kin_tfevents_close(kin_tfevents *t)
{
    if (!t) return;
    if (t->file) fclose(t->file);
    free(t->path);
    free(t);
}
