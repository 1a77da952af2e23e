/* linear: y = act(x W^T + b) with its weights "name.weight" [out, in] and "name.bias" [out]. */
#ifndef KIN_LINEAR_H
#define KIN_LINEAR_H
#include "core/graph.h"

/* x [..., in] -> [..., out]; act: kin_act_kind. init of the weight; the bias starts uniform in +-1/sqrt(in)
 * as PyTorch's nn.Linear, or at 0 (zero_bias). */
kin_val kin_linear(kin_graph *g, const char *name, kin_val x, int64_t out, int act, kin_init init,
                   bool zero_bias);

/* x [..., in] with a bare parameter `name` [in, out] and no bias: open_clip's "proj", "text_projection". */
kin_val kin_projection(kin_graph *g, const char *name, kin_val x, int64_t out);

/* x in that type: itself, or a cast called `name`. */
kin_val kin_as(kin_graph *g, const char *name, kin_val x, kin_dtype type);

kin_init kin_init_linear(int64_t in); /* uniform +-1/sqrt(in): nn.Linear's and nn.Conv2d's default */
kin_init kin_init_normal(double std);
kin_init kin_init_const(double value);

#endif
