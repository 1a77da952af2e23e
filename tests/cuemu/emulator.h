/* emulator: what the headers in include/ and the emulator's sources know of each other. One host thread. */
#ifndef CUEMU_EMULATOR_H
#define CUEMU_EMULATOR_H
#include <stddef.h>
#include <stdint.h>

#include <functional>

namespace cuemu
{
struct triple {
    unsigned x, y, z;
};
struct place {
    const char *file;
    int line;
};
struct grid_state {
    triple blocks, threads, block;
};
struct stream;
struct event;
struct graph;

/* ---- block.cpp: inside a kernel ---- */
const triple &thread();
const grid_state &grid();
int lane();
void *shared(const void *where, size_t bytes);
void *dynamic_shared();
void barrier(place at);
/* Publishes up to 64 bytes and meets the lanes of the mask; returns those of them that exist. */
unsigned meet(unsigned mask, const void *in, size_t bytes, place at);
const void *published(int lane); /* until the next meeting */
[[noreturn]] void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

bool copies_left(int thread); /* copies.cpp */

/* ---- block.cpp: for stream.cpp ---- */
struct launch_shape {
    const char *name;
    const void *kernel;
    triple blocks, threads;
    size_t shared;
};
void run_grid(const launch_shape &l, const std::function<void()> &body);

/* ---- stream.cpp ---- */
void enqueue(stream *s, std::function<void()> work);
void launch(const launch_shape &l, stream *s, std::function<void()> body);
void allow_shared(const void *kernel, size_t bytes);
size_t allowed_shared(const void *kernel); /* dynamic; static and dynamic together: at most 227 KiB */
enum order_kind { ASCENDING, DESCENDING, SHUFFLED };
void permute(int *v, int n); /* in the order that is set */
void drain_all();
bool is_lazy();
bool recording(const stream *s); /* work is written down for a graph, and done when that is launched */

/* ---- memory.cpp ---- */
/* While one lives, device memory can be touched. */
struct opened {
    opened();
    ~opened();
};
bool on_device(const void *p, size_t bytes); /* all of it in one allocation */
bool pinned(const void *p);
/* Words of an argument that look like addresses must be device addresses. */
void check_argument(const char *kernel, int index, const void *argument, size_t bytes);
void check_edges(); /* nobody wrote around an allocation */
extern size_t capacity;

/* ---- templates ---- */
static inline unsigned mask_or_all(unsigned mask = 0xffffffffu)
{
    return mask;
}

template <class T> static inline T shuffle(unsigned mask, T v, int from, place at)
{
    static_assert(sizeof(T) <= 16, "a shuffle of a large type");
    T r;
    const unsigned lanes = meet(mask, &v, sizeof v, at);
    if (from < 0 || from > 31 || !(lanes >> from & 1))
        fault("%s:%d: a shuffle reads lane %d, which is not in mask %08x or not in the block", at.file,
              at.line, from, mask);
    __builtin_memcpy(&r, published(from), sizeof r);
    return r;
}

static inline unsigned ballot(unsigned mask, bool vote, place at)
{
    const int mine = vote;
    const unsigned lanes = meet(mask, &mine, sizeof mine, at);
    unsigned votes = 0;
    for (int i = 0; i < 32; i++)
        if (lanes >> i & 1) votes |= *(const int *)published(i) ? 1u << i : 0u;
    return votes;
}
} // namespace cuemu

/* What an emulated plug-in exports to tests. */
extern "C" {
#pragma GCC visibility push(default)
/* order: 0 ascending, 1 descending, 2 shuffled by seed; lazy: work runs when something waits for it (2: of
 * the first stream alone; others' runs at once, as far as it need not wait); memory: bytes that the device
 * has, 0: 4 GiB. */
void cuemu_set(int order, uint64_t seed, int lazy, int64_t memory);
/* Launches of the kernels (all instances of a template) of that name so far. */
int64_t cuemu_launches(const char *name);
#pragma GCC visibility pop
}
#endif
