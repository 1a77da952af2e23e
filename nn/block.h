/* block: one pre-norm transformer block, x + attn(norm(x)), then x + mlp(norm(x)), over ragged or fixed
 * sequences. Weights under "ln_1", "attn", "ln_2", "mlp" (and "ls_1", "ls_2") as in open_clip. */
#ifndef KIN_BLOCK_H
#define KIN_BLOCK_H
#include "nn/norm.h"

/* Where the sequences lie: offsets [B+1], or KIN_NONE and a fixed length t. */
typedef struct kin_sequences {
    kin_val off;
    int64_t t, longest; /* longest: a bound for planning when off is given */
} kin_sequences;

/* What a tower makes of its input. rows [sum T, C] after the last norm: only where the model's fusion reads
 * them, else KIN_NONE (then the last block computes only what is pooled). embedding [B, E], not normalised.
 */
typedef struct kin_tower {
    kin_val rows, embedding;
} kin_tower;

typedef enum kin_read_rows {
    KIN_ROWS_ALL = -1,
    KIN_ROWS_FIRST = KIN_POOL_FIRST,
    KIN_ROWS_LAST = KIN_POOL_LAST
} kin_read_rows;

/* Block `index` of c->layers. rows: which row of each sequence the model reads afterwards. In the last block
 * of a pooled tower queries, projection and MLP are computed for those rows only, and the stream that comes
 * back has one row per sequence: the same output, nothing dead computed. */
kin_stream kin_block(kin_graph *g, const kin_trunk_cfg *c, int64_t index, kin_stream x,
                     const kin_sequences *seq, kin_read_rows rows);

/* All blocks, then the rows: a stream of [B, C] (rows not ALL) or [sum T, C]. Names "resblocks.N". */
kin_stream kin_blocks(kin_graph *g, const kin_trunk_cfg *c, kin_stream x, const kin_sequences *seq,
                      kin_read_rows rows);

/* The parts of a block, for those that are built otherwise. Attention of every row to its whole sequence,
 * under "attn"; the two linears under "mlp"; and what a branch goes through before it joins the stream
 * (LayerScale, dropout, stochastic depth; k: 1 or 2, names its weights). */
kin_val kin_self_attention(kin_graph *g, const kin_trunk_cfg *c, kin_val x, const kin_sequences *seq);
kin_val kin_mlp(kin_graph *g, const kin_trunk_cfg *c, kin_val x);
kin_val kin_branch(kin_graph *g, const kin_trunk_cfg *c, int k, int64_t index, kin_val h,
                   const kin_sequences *seq);

/* A learned query per sequence attends over it (Set Transformer's PMA; open_clip's attentional pooler with
 * one query). x [sum T, C] -> [B, C]. Weights "query", "ln_q", "ln_k", "attn". */
kin_val kin_attention_pool(kin_graph *g, const char *name, const kin_trunk_cfg *c, kin_val x,
                           kin_val per_sample, int64_t rows_per_sample, const kin_sequences *seq);

#endif
