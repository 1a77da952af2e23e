/* norm: layernorm or rmsnorm with its weights "name.weight" and "name.bias", fused with the residual
 * addition. */
#ifndef KIN_NORM_H
#define KIN_NORM_H
#include "nn/model_cfg.h"
#include "core/graph.h"

/* A residual stream: its value is x + r; r is the last branch's output, not added yet (KIN_NONE: nothing).
 * Adding is left to the next norm, which does it in the same pass over memory. */
typedef struct kin_stream {
    kin_val x, r;
    int name; /* a scope's output, which the sum will be (kin_leave_stream); 0: none */
} kin_stream;

/* kin_leave of a scope whose output is the stream: named when it is added up. Returns the stream. */
kin_stream kin_leave_stream(kin_graph *g, kin_scope s, kin_stream stream);

/* norm(x + r); the stream becomes {x + r, KIN_NONE}. */
kin_val kin_norm(kin_graph *g, const char *name, const kin_trunk_cfg *c, kin_stream *stream);

/* batchnorm of x [..., C] under the names "name.weight", "name.bias", "name.running_mean", "name.running_var"
 * (PyTorch's): by the statistics of the batch where it learns, which the running ones follow (a tenth a
 * step); by the running ones in evaluation and where its weights are frozen. Chunks of GradCache are batches
 * of their own. */
kin_val kin_batch_norm(kin_graph *g, const char *name, const kin_trunk_cfg *c, kin_val x);

#endif
