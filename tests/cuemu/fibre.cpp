/* Compiled without -fsanitize=thread: only what CUDA orders may be ordered. */
#include "tests/cuemu/fibre.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CUEMU_TSAN
extern "C" {
void *__tsan_create_fiber(unsigned);
void *__tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void *, unsigned flags); /* flag 1: the switch itself orders nothing */
void __tsan_acquire(void *);
void __tsan_release(void *);
}
#endif

namespace cuemu
{
#ifdef __SANITIZE_ADDRESS__
static const size_t STACK = 256 << 10;
#else
static const size_t STACK = 64 << 10;
#endif

#if defined(__x86_64__)
extern "C" void cuemu_switch(void **save, void *to);
__asm__(".text\n.globl cuemu_switch\n.hidden cuemu_switch\n.type cuemu_switch,@function\ncuemu_switch:\n"
        " pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
        " movq %rsp,(%rdi)\n movq %rsi,%rsp\n"
        " popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n"
        ".size cuemu_switch,.-cuemu_switch\n");

static void prepare(fibre *f, void (*body)())
{
    void **sp = (void **)(void *)(f->stack + f->size - 64);
    *--sp = nullptr;
    *--sp = (void *)body; /* where the first switch returns to */
    for (int i = 0; i < 6; i++) *--sp = nullptr;
    f->sp = sp;
}

static void change(fibre *from, fibre *to)
{
    cuemu_switch(&from->sp, to->sp);
}
#else
} // namespace cuemu
#include <ucontext.h>
namespace cuemu
{
static void prepare(fibre *f, void (*body)())
{
    if (!f->sp) f->sp = new ucontext_t;
    ucontext_t *u = (ucontext_t *)f->sp;
    getcontext(u);
    u->uc_stack.ss_sp = f->stack;
    u->uc_stack.ss_size = f->size;
    makecontext(u, body, 0);
}

static void change(fibre *from, fibre *to)
{
    if (!from->sp) from->sp = new ucontext_t;
    swapcontext((ucontext_t *)from->sp, (ucontext_t *)to->sp);
}
#endif

void fibre_new(fibre *f, void (*body)())
{
    *f = fibre();
    f->size = STACK;
    void *p =
        mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        perror("cuemu: a fibre's stack");
        abort();
    }
    f->stack = (char *)p;
#ifdef CUEMU_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    prepare(f, body);
}

void fibre_again(fibre *f, void (*body)())
{
    f->fake = nullptr;
    prepare(f, body);
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(f->stack, f->size); /* frames that never returned */
#endif
}

void fibre_main(fibre *f)
{
#ifdef CUEMU_TSAN
    f->tsan = __tsan_get_current_fiber();
#else
    (void)f;
#endif
}

void fibre_switch(fibre *from, fibre *to)
{
#ifdef CUEMU_TSAN
    __tsan_switch_to_fiber(to->tsan, 1);
#endif
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->size);
#endif
    change(from, to);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#endif
}

void fibre_entered(fibre *from)
{
#ifdef __SANITIZE_ADDRESS__
    const void *stack;
    size_t size;
    __sanitizer_finish_switch_fiber(nullptr, &stack, &size);
    if (!from->stack || from->size != STACK) { /* the host's */
        from->stack = (char *)stack;
        from->size = size;
    }
#else
    (void)from;
#endif
}

void order_release(void *object)
{
#ifdef CUEMU_TSAN
    __tsan_release(object);
#else
    (void)object;
#endif
}

void order_acquire(void *object)
{
#ifdef CUEMU_TSAN
    __tsan_acquire(object);
#else
    (void)object;
#endif
}
} // namespace cuemu
