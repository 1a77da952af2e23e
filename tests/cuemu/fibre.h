/* fibre: stacks that take turns. */
#ifndef CUEMU_FIBRE_H
#define CUEMU_FIBRE_H
#include <stddef.h>

namespace cuemu
{
struct fibre {
    void *sp;
    char *stack; /* NULL: the host's own */
    size_t size;
    void *tsan, *fake; /* what the sanitizers keep */
};
void fibre_new(fibre *f, void (*body)()); /* body never returns */
void fibre_again(fibre *f, void (*body)());
void fibre_main(fibre *f); /* the stack that calls */
/* Leaves `from` until somebody switches back to it. */
void fibre_switch(fibre *from, fibre *to);
void fibre_entered(fibre *from); /* first thing that a body does; `from`: who switched to it */

/* What CUDA orders, told to ThreadSanitizer. */
void order_release(void *object);
void order_acquire(void *object);
} // namespace cuemu
#endif
