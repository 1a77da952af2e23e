/* op_loss: the shape rule and costs that the contrastive losses share. For core/op_*.c only. */
#ifndef KIN_OP_LOSS_H
#define KIN_OP_LOSS_H
#include "core/op_shape.h"

/* a [N, E], b [M, E], M >= N unless `groups`, and the scalar that comes third (NULL: none). */
kin_status kin_check_pairs(kin_ctx *cx, const kin_shape *a, const kin_shape *b, const kin_shape *scalar,
                           bool groups);
void kin_pairs_cost(const kin_call *c, bool backward, kin_cost *cost);
int64_t kin_pairs_scratch(const kin_call *c, bool backward);
/* Unit rows a [n, e], b [m, e] and scalars from input 2 on, as sample inputs. */
void kin_pairs_case(kin_sample *s, int64_t n, int64_t m, int64_t e);

#endif
