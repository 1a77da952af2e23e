/* augment: the processor's kernel for those who see none: data/loader.h applies with it what was drawn. Where
 * the device changes pixels itself: kin_programs_augment. */
#ifndef KIN_TRAIN_AUGMENT_H
#define KIN_TRAIN_AUGMENT_H
#include "core/backend.h"
#include "data/augment.h"

/* A backend that works on host memory, of one thread where several threads ask at once: its kernel takes no
 * room of a thread. Borrowed. */
kin_augmenter kin_augmenter_of(kin_backend *b);

/* n pictures [n, height, width, 3] on the backend, by n rows of what was drawn, there too. */
void kin_augment_pictures(kin_backend *b, void *pictures, const void *drawn, int64_t n, int64_t height,
                          int64_t width);

#endif
