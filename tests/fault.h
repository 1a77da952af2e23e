/* fault: every allocation of some work fails once. Included by one file of a program that is linked with
 * --wrap=malloc,calloc,realloc,free (tests/test_fault_*.c). What was allocated through these is remembered,
 * so that what is left behind is seen without a sanitizer. One thread. */
#ifndef KIN_TEST_FAULT_H
#define KIN_TEST_FAULT_H
#include <stdlib.h>
#include <string.h>

#include "core/base.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *p);

enum { FAULT_SLOTS = 1 << 16 };
static void *fault_live[FAULT_SLOTS]; /* open addressing; FAULT_GONE where one was freed */
static char fault_gone;
static int64_t fault_until; /* the call that fails, counted down; 0: none */
static int64_t fault_count; /* live */

static bool fault_now(void)
{
    return fault_until > 0 && --fault_until == 0;
}

static void **fault_slot(const void *p, bool fresh)
{
    size_t at = (size_t)((uintptr_t)p >> 4) * 0x9e3779b1u % FAULT_SLOTS;
    for (size_t n = 0; n < FAULT_SLOTS; n++, at = (at + 1) % FAULT_SLOTS) {
        void *have = fault_live[at];
        if (fresh ? !have || have == &fault_gone : have == p) return &fault_live[at];
        if (!fresh && !have) break;
    }
    return NULL;
}

static void *fault_note(void *p)
{
    void **slot = p ? fault_slot(p, true) : NULL;
    if (slot) {
        *slot = p;
        fault_count++;
    }
    return p;
}

static void fault_forget(const void *p)
{
    void **slot = p ? fault_slot(p, false) : NULL;
    if (!slot) return;
    *slot = &fault_gone;
    fault_count--;
}

void *__wrap_malloc(size_t size)
{
    return fault_now() ? NULL : fault_note(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fault_now() ? NULL : fault_note(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fault_now()) return NULL;
    fault_forget(old);
    return fault_note(__real_realloc(old, size));
}

void __wrap_free(void *p)
{
    fault_forget(p);
    __real_free(p);
}

/* Runs `work` with its first, second, ... allocation failing until it needs no more; returns how many there
 * are. Each failure must be an error with a sentence, and leave nothing behind; so must the run that works.
 */
static int64_t all_fail(const char *name, kin_status (*work)(kin_ctx *cx, const void *what), const void *what)
{
    for (int64_t k = 1;; k++) {
        kin_ctx cx = {0};
        memset(fault_live, 0, sizeof fault_live);
        fault_count = 0;
        fault_until = k;
        const kin_status rc = work(&cx, what);
        const bool failed = fault_until == 0;
        fault_until = 0;
        if (fault_count != 0)
            fail_msg("%s: %lld blocks were left when allocation %lld failed", name, (long long)fault_count,
                     (long long)k);
        if (!failed) {
            if (rc != KIN_OK) fail_msg("%s: %s", name, cx.message);
            return k - 1;
        }
        if (rc == KIN_OK) fail_msg("%s: allocation %lld failed, and nobody noticed", name, (long long)k);
        assert_int_equal(cx.status, rc);
        assert_string_not_equal(cx.message, "");
    }
}

#endif
