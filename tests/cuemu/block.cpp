/* The threads of one block. A thread is a fibre; one that never waits needs no stack of its own: it runs on
 * that of the thread before it, so a kernel without barriers costs one call a thread. Threads that are ready
 * wait in a queue, first in first out, each at most once; every batch that becomes ready at one time is
 * permuted. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "tests/cuemu/emulator.h"
#include "tests/cuemu/fibre.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace cuemu
{
enum { MOST_THREADS = 1024, LANES = 32, SLOT = 64, SHARED_ROOM = 256 << 10, GAP = 128 };
enum state { FRESH, READY, AT_BARRIER, AT_MEETING, DONE };

struct thread_state {
    triple index;
    int id, lane, warp;
    state is;
    place at;
    unsigned mask;
    unsigned meetings, turns; /* made so far; of each lane's count at the last meeting, the lowest bit */
    fibre *on;
};

/* Lanes of a warp may have met a different number of times (in part of the warp), so each publishes in one of
 * two slots by its own count, and learns the others' counts when they meet. */
struct warp_state {
    unsigned live, waiting;
    alignas(16) char slot[2][LANES][SLOT];
    long long order[2][LANES];
};

static thread_state threads[MOST_THREADS], *me;
static warp_state warps[MOST_THREADS / LANES];
static grid_state state_of_grid;
static const char *kernel = "";
static const std::function<void()> *body;
static int count, live;

const triple &thread()
{
    return me->index;
}

const grid_state &grid()
{
    return state_of_grid;
}

int lane()
{
    return me->lane;
}

void fault(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "cuemu: kernel %s, block (%u,%u,%u): %s\n", kernel, state_of_grid.block.x,
            state_of_grid.block.y, state_of_grid.block.z, text);
    for (int i = 0, next; i < count; i = next) { /* one line for each run that waits at one place */
        const thread_state &a = threads[i];
        for (next = i + 1; next < count && threads[next].is == a.is && threads[next].at.line == a.at.line;)
            next++;
        if (a.is == AT_BARRIER || a.is == AT_MEETING)
            fprintf(stderr, "cuemu:   threads %d to %d wait at %s:%d (%s)\n", i, next - 1, a.at.file,
                    a.at.line, a.is == AT_BARRIER ? "a barrier" : "a warp operation");
    }
    abort();
}

/* ---- the queue ---- */

static int queue[MOST_THREADS], batch[MOST_THREADS];
static unsigned head, tail;
static fibre host, *current;
static fibre pool[MOST_THREADS];
static int made; /* of pool */
#ifndef CUEMU_TSAN
static int idle, idle_list[MOST_THREADS]; /* those that nobody is on */
#endif
static void run_threads();

static void push(int n)
{
    permute(batch, n);
    for (int i = 0; i < n; i++) queue[tail++ % MOST_THREADS] = batch[i];
}

static void switch_to(fibre *to)
{
    fibre *from = current;
    current = to;
    fibre_switch(from, to);
}

static fibre *fibre_of(int id)
{
#ifdef CUEMU_TSAN /* a shared fibre would order two threads that CUDA does not */
    const int at = id;
#else
    const int at = idle > 0 ? idle_list[--idle] : made;
    (void)id;
#endif
    while (made <= at) fibre_new(&pool[made++], run_threads);
    return &pool[at];
}

static void resume(int id)
{
    me = &threads[id];
    if (me->is == FRESH) me->on = fibre_of(id);
    switch_to(me->on);
}

/* The thread waits, or was just made ready: others go first. */
static void yield(thread_state *t)
{
    if (head == tail) fault("deadlock: every live thread waits (a barrier or a mask that not all reach)");
    if (queue[head % MOST_THREADS] == t->id && t->is == READY)
        head++;
    else
        resume(queue[head++ % MOST_THREADS]);
    me = t;
}

/* ---- barriers ---- */

static int arrived, epoch;
static place barrier_at;
static long long barrier_order[2];

static void open_barrier()
{
    int n = 0;
    epoch++;
    arrived = 0;
    for (int i = 0; i < count; i++)
        if (threads[i].is == AT_BARRIER) {
            threads[i].is = READY;
            batch[n++] = i;
        }
    push(n);
}

void barrier(place at)
{
    thread_state *t = me;
    void *order = &barrier_order[epoch & 1];
    t->at = at;
    t->is = AT_BARRIER;
    if (arrived++ == 0)
        barrier_at = at;
    else if (at.line != barrier_at.line || strcmp(at.file, barrier_at.file) != 0)
        fault("divergent barrier: threads meet at different __syncthreads");
    order_release(order);
    if (arrived == live) open_barrier();
    yield(t);
    order_acquire(order);
}

/* ---- warp operations ---- */

/* Not memcpy: ThreadSanitizer would see it. */
static void copy_unseen(char *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
}

/* Only __syncwarp orders memory; what exchanges values (shuffles, votes, products) orders nothing but
 * these. */
static void complete(thread_state *t, warp_state *w, unsigned lanes, bool orders)
{
    const int first = t->warp * LANES, lowest = __builtin_ctz(lanes);
    unsigned turns = 0;
    int n = 0;
    for (int i = 0; i < LANES; i++)
        if (lanes >> i & 1) turns |= (threads[first + i].meetings & 1) << i;
    for (int i = 0; i < LANES; i++) {
        if (!(lanes >> i & 1)) continue;
        thread_state &o = threads[first + i];
        if (o.at.line != t->at.line || strcmp(o.at.file, t->at.file) != 0)
            fault("lanes of one mask meet at different warp operations");
        if (orders) order_acquire(&w->slot[turns >> i & 1][i]);
        o.turns = turns;
        o.is = READY;
        batch[n++] = first + i;
    }
    w->waiting &= ~lanes;
    if (orders) order_release(&w->order[turns >> lowest & 1][lowest]);
    push(n);
}

unsigned meet(unsigned mask, const void *in, size_t bytes, place at)
{
    thread_state *t = me;
    warp_state *w = &warps[t->warp];
    const int first = t->warp * LANES, there = count - first;
    const bool orders = bytes == 0;
    const unsigned lanes = there < LANES ? mask & ((1u << there) - 1) : mask;
    t->at = at;
    t->mask = mask;
    if (!(mask >> t->lane & 1)) fault("%s:%d: a lane is not in its own mask", at.file, at.line);
    if (lanes & ~w->live) fault("%s:%d: mask %08x names a lane that has ended", at.file, at.line, mask);
    if (bytes > SLOT) fault("%s:%d: more than %d bytes are exchanged", at.file, at.line, (int)SLOT);
    char *slot = w->slot[t->meetings & 1][t->lane];
    if (in) copy_unseen(slot, in, bytes);
    if (orders) order_release(slot);
    t->is = AT_MEETING;
    w->waiting |= 1u << t->lane;
    bool all = (w->waiting & lanes) == lanes;
    for (int i = 0; i < LANES && all; i++)
        if (lanes >> i & 1) all = threads[first + i].mask == mask;
    if (all) complete(t, w, lanes, orders);
    yield(t);
    t->meetings++;
    const int lowest = __builtin_ctz(lanes);
    if (orders) order_acquire(&w->order[t->turns >> lowest & 1][lowest]);
    return lanes;
}

const void *published(int lane)
{
    return warps[me->warp].slot[me->turns >> lane & 1][lane];
}

/* ---- shared memory: pieces in the order in which a block first asks for them ---- */

struct piece {
    const void *where;
    size_t at;
};
static std::vector<piece> pieces;
alignas(128) static char shared_room[SHARED_ROOM];
static size_t shared_used, static_used, dynamic_bytes;

static size_t rounded(size_t n)
{
    return (n + GAP - 1) / GAP * GAP;
}

static void *take_shared(size_t bytes)
{
    const size_t at = shared_used;
    if (at + rounded(bytes) + GAP > SHARED_ROOM) fault("more shared memory than there is");
    shared_used += rounded(bytes) + GAP;
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(shared_room + at, bytes);
#endif
    return shared_room + at;
}

static void clear_shared()
{
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(shared_room, SHARED_ROOM);
#endif
    memset(shared_room, 0xff, shared_used); /* NaN, whatever it is read as */
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(shared_room, SHARED_ROOM);
#endif
    pieces.clear();
    shared_used = static_used = 0;
    take_shared(dynamic_bytes);
}

void *shared(const void *where, size_t bytes)
{
    for (const piece &p : pieces)
        if (p.where == where) return shared_room + p.at;
    static_used += bytes;
    if (static_used > 48 << 10) fault("%zu bytes of static shared memory: 48 KiB are the most", static_used);
    if (static_used + dynamic_bytes > 227 << 10) fault("static and dynamic shared memory exceed 227 KiB");
    char *p = (char *)take_shared(bytes);
    pieces.push_back({where, (size_t)(p - shared_room)});
    return p;
}

void *dynamic_shared()
{
    return shared_room;
}

/* ---- blocks and grids ---- */

static long long start_order, end_order;

static void leave(thread_state *t)
{
    warp_state &w = warps[t->warp];
    if (copies_left(t->id)) fault("a thread ends with copies that it has not waited for");
    order_release(&end_order);
    order_release(&barrier_order[epoch & 1]);
    t->is = DONE;
    live--;
    w.live &= ~(1u << t->lane);
    for (int i = 0; i < LANES; i++)
        if ((w.waiting >> i & 1) && (threads[t->warp * LANES + i].mask >> t->lane & 1))
            fault("lane %d ends while lane %d waits for it in a warp operation", t->lane, i);
    if (arrived && arrived == live) open_barrier(); /* those that have ended do not count */
}

static void run_threads()
{
    fibre_entered(&host);
    for (;;) {
        thread_state *t = me;
        t->is = READY;
        order_acquire(&start_order);
        (*body)();
        leave(t);
        if (head == tail) {
            if (live) fault("deadlock: every live thread waits (a barrier or a mask that not all reach)");
            switch_to(&host);
            continue; /* with TSan: again, for the same thread of the next block */
        }
        const int next = queue[head++ % MOST_THREADS];
#ifndef CUEMU_TSAN
        if (threads[next].is == FRESH) {
            me = &threads[next];
            me->on = current;
            continue;
        }
#endif
        resume(next);
    }
}

static void run_block()
{
    const triple d = state_of_grid.threads;
    clear_shared();
    for (int i = 0; i < count; i++) {
        const unsigned u = (unsigned)i;
        threads[i] = thread_state();
        threads[i].index = {u % d.x, u / d.x % d.y, u / d.x / d.y};
        threads[i].id = batch[i] = i;
        threads[i].lane = i % LANES;
        threads[i].warp = i / LANES;
    }
    for (int w = 0; w * LANES < count; w++) {
        const int there = count - w * LANES;
        warps[w].live = there < LANES ? (1u << there) - 1 : ~0u;
        warps[w].waiting = 0;
    }
    head = tail = 0;
    live = count;
    arrived = 0;
    push(count);
    order_release(&start_order);
    resume(queue[head++ % MOST_THREADS]);
    order_acquire(&end_order);
#ifndef CUEMU_TSAN
    for (idle = 0; idle < made; idle++) {
        fibre_again(&pool[idle], run_threads);
        idle_list[idle] = idle;
    }
#endif
}

void run_grid(const launch_shape &l, const std::function<void()> &what)
{
    const int64_t blocks = (int64_t)l.blocks.x * l.blocks.y * l.blocks.z;
    std::vector<int> order((size_t)blocks);
    fibre_main(&host);
    current = &host;
    kernel = l.name;
    body = &what;
    count = (int)(l.threads.x * l.threads.y * l.threads.z);
    dynamic_bytes = l.shared;
    state_of_grid.blocks = l.blocks;
    state_of_grid.threads = l.threads;
    for (int64_t i = 0; i < blocks; i++) order[(size_t)i] = (int)i;
    permute(order.data(), (int)blocks);
    const opened device;
    for (int i : order) {
        const unsigned u = (unsigned)i;
        state_of_grid.block = {u % l.blocks.x, u / l.blocks.x % l.blocks.y, u / l.blocks.x / l.blocks.y};
        run_block();
    }
    kernel = "none";
    count = 0;
}
} // namespace cuemu
