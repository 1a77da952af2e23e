/* op: the contract between graph and kernels. What an operation is (kin_op_def, one per row of
 * core/ops.def), what a kernel receives (kin_call), and the attributes with formula and shapes.
 *
 * Letters: B batch, T tokens, C channels, H heads, D head dim, E embedding, V vocabulary, N pairs.
 * "real" is f32 in a run, f64 in the reference's second build. A "?" input or output may be absent
 * (rank -1). "sum T" is the total of a ragged batch: sequence b is rows off[b] .. off[b+1]-1. */
#ifndef KIN_OP_H
#define KIN_OP_H
#include <string.h>

#include "core/augment.h"
#include "core/tensor.h"

enum { KIN_MAX_IN = 6, KIN_MAX_OUT = 4, KIN_MAX_ATTR = 96 };

typedef enum kin_op {
#define KIN_OP(name, nin, nout, attr, reads, diff) KIN_OP_##name,
#include "core/ops.def"
#undef KIN_OP
    KIN_OP_COUNT
} kin_op;

typedef enum kin_fn {
#define KIN_FN(name, tensors, attr) KIN_FN_##name,
#include "core/fns.def"
#undef KIN_FN
    KIN_FN_COUNT
} kin_fn;

#define IN(i) (1u << (i))
#define OUT(i) (1u << (8 + (i)))

/* ---- attributes: formula, shapes ------------------------------------------------------------- */

/* Activations. gelu: x Phi(x) (erf). gelu_tanh: 0.5x(1+tanh(sqrt(2/pi)(x+0.044715x^3))) (Hendrycks &
 * Gimpel 2016). quick_gelu: x sigmoid(1.702x) (OpenAI CLIP). silu: x sigmoid(x). sigmoid: 1/(1+e^-x). */
#define KIN_ACT_MAP(X) X(none) X(gelu) X(gelu_tanh) X(quick_gelu) X(silu) X(relu) X(sigmoid) X(tanh)
typedef enum kin_act_kind {
#define X(name) KIN_ACT_##name,
    KIN_ACT_MAP(X)
#undef X
        KIN_ACT_COUNT
} kin_act_kind;

typedef struct kin_no_attr {
    char unused;
} kin_no_attr;

/* linear: y = act(z), z = x W^T + b.
 *   x [..., K] real, w [N, K] (or [K, N] with w_kn: z = x W + b), b? [N] -> y [..., N], z? [..., N]
 * z is kept for backward only when act needs it (every act but none: then z is absent). */
typedef struct kin_linear_attr {
    int act;
    int w_kn;
} kin_linear_attr;

/* attention: softmax(q k^T * scale + mask) v per sequence and head; the [T,T] matrix is never stored.
 *   q, k, v separate:  q [sum Tq, H, D]; k, v [sum Tk, G, D], H % G == 0 (query head h reads kv head h/(H/G))
 *   q, packed kv:      q [sum Tq, H, D]; k = kv [sum Tk, 2, G, D]; v absent
 *   packed qkv:        q = qkv [sum T, 3, H, D]; k, v absent (and k_off absent: the same sequences)
 *   q_off?, k_off? [B+1] i32; absent: sequences of fixed length tq / tk
 *   -> o [sum Tq, H, D], lse [sum Tq, H] (natural log of the row's sum of exp; -inf for no keys)
 * causal: query i of Tq sees keys 0 .. i + Tk - Tq (aligned at the end). An empty key range gives zeros.
 * tq, tk: fixed lengths (0 with offsets). max_tk: longest key sequence, a bound for planning only. */
typedef struct kin_attention_attr {
    float scale;
    int causal;
    int64_t tq, tk, max_tk;
} kin_attention_attr;

/* layernorm: y = (s - mean)/sqrt(var + eps) * gamma + beta over the last dimension, s = x + r (r given).
 *   x [..., C], r? [..., C], gamma [C], beta? [C] -> y [..., C], s? [..., C] (only with r), mean [rows],
 *   rstd [rows]
 *   Both y and s may carry a gradient (either may be missing in backward): d x = d r = d s + norm'(d y).
 * rmsnorm: y = s / sqrt(mean(s^2) + eps) * gamma; x, r?, gamma -> y, s?, rstd [rows].
 * batchnorm (Ioffe & Szegedy 2015): y = (x - mean)/sqrt(var + eps) * gamma + beta for each channel, the last
 *   dimension.  x [..., C], gamma [C], beta [C], mean? [C], var? [C] -> y [..., C], m? [C], v? [C]
 *   Without mean and var they are those of x over all its rows (var over the number of rows, not one less),
 * given out as m and v; with them (evaluation) they are constants, and m and v are absent. l2norm: y = x /
 * max(|x|, eps) over the last dimension; x [..., C] -> y, inv [rows] = 1/max(|x|, eps); a row with |x| <= eps
 * is treated as divided by the constant eps in backward (inv == 1/eps). */
typedef struct kin_norm_attr {
    float eps;
} kin_norm_attr;

/* embedding: y[t] = table[ids[t]] + pos[t - off[b]] for the rows t of sequence b.
 *   ids [sum T] i32, table [V, C], pos? [P, C], off? [B+1] i32 (absent: fixed length t) -> y [sum T, C]
 *   An id outside [0, V) reads a zero row and receives no gradient; so does a position >= P. */
typedef struct kin_embedding_attr {
    int64_t t;
} kin_embedding_attr;

/* tokens: the sequence of an image tower: class tokens before patches, position embedding added.
 *   x [B*K, C] patches, K = k per image, cls? [n, C], pos? [n + P, C], keep? [B*K] i32 (patch index of each
 *   kept patch; absent: K == P, in order) -> y [B*(n + K), C]: rows cls + pos[0..n), then x + pos[n +
 *   keep]. */
typedef struct kin_tokens_attr {
    int64_t k;
} kin_tokens_attr;

/* repeat: the same n rows for each sample. x [n, C], like [B*per, ...] (only its rows count) -> y [B*n, C] */
typedef struct kin_repeat_attr {
    int64_t per;
} kin_repeat_attr;

/* patchify: non-overlapping p x p patches, each flattened as (channel, y, x) like a [C, 3, p, p] filter, so
 * that the patch embedding is a linear with open_clip's conv1 weight as it lies in the file.
 *   img [B, Hi, Wi, Cc] u8 or real -> [B*P, Cc*p*p] real, P = (Hi/p)*(Wi/p); normalise: (v/255 - mean)/std
 *   for
 *   u8, (v - mean)/std for real. Only a real image has a gradient. p = 1 is plain normalisation. */
typedef struct kin_patchify_attr {
    int64_t p;
    int normalise;
    float mean[4], std[4];
} kin_patchify_attr;

/* patch_drop (FLIP, Li et al. 2022): keep `keep` random patches of P, ascending, per image.
 *   x [B*P, D] -> y [B*keep, D], idx [B*keep] i32. The patches with the `keep` smallest (draw, index), where
 *   draw of patch i of sample b = word i%4 of Philox(rng_key; sample0 + b, i/4, 0, 0). */
typedef struct kin_patch_drop_attr {
    int64_t patches, keep;
} kin_patch_drop_attr;

/* conv2d, channels last: x [B, Hi, Wi, Ci], w [Co, kh, kw, Ci/groups], b? [Co] -> y [B, Ho, Wo, Co],
 * Ho = (Hi + 2 pad - kh)/stride + 1; zero padding; cross-correlation as in PyTorch. groups == Ci:
 *   depthwise. */
typedef struct kin_conv2d_attr {
    int64_t stride, pad, groups;
} kin_conv2d_attr;

/* act: y = act(x), any shape. */
typedef struct kin_act_attr {
    int kind;
} kin_act_attr;

/* add: y = a + b, mul: y = a b, equal shapes. scale: y[..., c] = x[..., c] * g[c]; x [..., C], g [C]. */

/* dropout: y = x * keep / (1 - p). element: each element drawn; sample (stochastic depth, Huang et al. 2016):
 * one draw per sequence.  x [sum T, C], off? [B+1] i32 (absent: fixed length t).
 *   token j of sample b, channel c: word c%4 of Philox(rng_key; sample0 + b, j, c/4, 0); sample mode: word
 *   0 of
 *   (sample0 + b, 0, 0, 1). kept when kin_unit(word) >= p. */
typedef struct kin_dropout_attr {
    float p;
    int per_sample;
    int64_t t;
} kin_dropout_attr;

/* cast: y = x in another dtype (f32, bf16, f16; f64 in the f64 reference counts as f32 does). */
typedef struct kin_cast_attr {
    int dtype;
} kin_cast_attr;

/* pool: one row per sequence. x [sum T, C], off? [B+1] (absent: fixed length t) -> y [B, C].
 * first: row 0 (CLS). last: the last row (EOT). mean: average. An empty sequence gives zeros. */
typedef enum kin_pool_mode { KIN_POOL_FIRST, KIN_POOL_LAST, KIN_POOL_MEAN } kin_pool_mode;
typedef struct kin_pool_attr {
    int mode;
    int64_t t;
} kin_pool_attr;

/* concat: a then b along axis (0 or the last). slice: count entries from start along axis (0 or the last).
 * take: y[m] = x[idx[m]]; x [R, C], idx [M] i32 -> y [M, C]; an index outside [0, R) gives zeros. */
typedef struct kin_axis_attr {
    int axis;
    int64_t start, count;
} kin_axis_attr;

/* infonce: symmetric cross-entropy of s * a b^T, s = exp(logit_scale) (CLIP, Radford et al. 2021).
 *   a [N, E], b [M, E] (L2-normalised by the caller), logit_scale scalar (a logarithm),
 *   ga? [N], gb? [M] i32 groups -> loss scalar, lse_a [N], lse_b [M]
 * Without groups the positives of row i are column i and the `more` columns from N + i more on; later ones
 * are negatives of all (M >= N (1 + more)). With groups (more = 0) every (i, j) of equal group is positive;
 * gb < 0 to nothing. Rows: target q_ij = (1-eps) [positive]/P_i + eps/M; loss_i = lse_i - sum_j q_ij z_ij.
 * Columns likewise with eps/N, over columns that have a positive.
 * loss = (mean over rows that have a positive + mean over such columns) / 2. Tiled: [N, M] is never
 * stored. */
typedef struct kin_infonce_attr {
    float smoothing;
    int more; /* positives of a row beyond the first: captions of a picture (SupCon, Khosla et al. 2020) */
} kin_infonce_attr;
/* Without groups: the row that column j is a positive of; n or more: of none. */
KIN_ANYWHERE int64_t kin_infonce_row(int64_t j, int64_t n, int more)
{
    return j < n || more < 1 ? j : (j - n) / more;
}

/* distill: the cross-entropy of s a b^T to what a teacher makes of the same pairs (soft targets; the momentum
 * distillation of ALBEF, Li et al. 2021), s = exp(logit_scale), r = exp(teacher_scale).
 *   a [N, E], b [M, E], logit_scale scalar, teacher's ta [N, F], tb [M, F], teacher_scale scalar
 *   -> loss scalar, lse_a [N, 2], lse_b [M, 2]: of the student's logits, of the teacher's
 * z = s a b^T, t = r ta tb^T. Rows: loss_i = lse(z_i) - sum_j softmax(t_i)_j z_ij; columns likewise. loss =
 * (mean over rows + mean over the first N (1 + more) columns) / 2: later columns are texts of no picture, and
 * only others of a row. The teacher's inputs are constants: they get no gradient. Tiled: neither z nor t is
 * stored. */
typedef struct kin_distill_attr {
    int more; /* as in infonce */
} kin_distill_attr;

/* siglip (Zhai et al. 2023): loss = -1/N sum_ij log sigmoid(y_ij (s a_i.b_j + bias)), s = exp(logit_scale),
 * y = 1 on the diagonal, else -1.  a [N, E], b [M, E] (M >= N), logit_scale, bias scalars -> loss. Tiled. */

/* triplet (VSE++, Faghri et al. 2018), diagonal positives, N x N: hinge_ij = max(0, margin + a_i.b_j -
 *   a_i.b_i).
 * loss = 1/N sum_i (max_{j!=i} hinge over columns of row i + max over rows of column i). Ties: lowest index.
 *   a, b [N, E] -> loss, hard_a [N] i32 (the column that row i is pushed from, -1: hinge is 0), hard_b [N].
 *   */
typedef struct kin_triplet_attr {
    float margin;
} kin_triplet_attr;

/* xent: mean over rows with label >= 0 of lse - sum_v q_v z_v, q = (1-eps) onehot + eps/V (PyTorch's
 *   smoothing).
 *   z [N, V], labels [N] i32 (negative: ignored) -> loss scalar (0 when all are ignored), lse [N] */
typedef struct kin_xent_attr {
    float smoothing;
} kin_xent_attr;

/* target: the loss of rows against given targets, mean over the rows that count.
 *   z [N, V], q [N, V] real, which? [N] i32 (no gradients) -> loss scalar (0 when no row counts), lse? [N]
 *   (ce only)
 * ce: lse - sum_v q_v z_v (rows of q sum to 1). bce: sum_v log(1 + e^z_v) - q_v z_v. mse: sum_v (z_v - q_v)^2
 * / V. A row with which < 0 does not count; of ce and bce neither does one with q_0 < 0. */
typedef enum kin_target_kind { KIN_TARGET_CE, KIN_TARGET_BCE, KIN_TARGET_MSE } kin_target_kind;
typedef struct kin_target_attr {
    int kind;
} kin_target_attr;

/* adamw (Loshchilov & Hutter 2019), decoupled decay, over flat arrays p, g, m, v [n] real, copy? [n] bf16:
 *   g' = g * grad_scale; m = b1 m + (1-b1) g'; v = b2 v + (1-b2) g'^2;
 *   p = p - lr * wd * p - lr * (m / bias1) / (sqrt(v / bias2) + eps)   with bias_k = 1 - b_k^step;
 *   copy = p, rounded */
typedef struct kin_adamw_attr {
    float lr, beta1, beta2, eps, wd, bias1, bias2, grad_scale;
} kin_adamw_attr;
/* ema: e = decay e + (1 - decay) p; tensors e, p [n]. */
typedef struct kin_ema_attr {
    float decay;
} kin_ema_attr;
/* sumsq: out[0] (f64) = sum x^2 in double over fixed chunks, the same bits at any thread count. x [n], out
 *   [1] f64. */
/* attention_weights: what attention multiplies v with, made anew from its inputs and its row statistics.
 *   w_ihj = exp(scale q_i . k_j - lse_ih) where query i sees key j, else exactly 0; j counts from the first
 * key of the query's own sequence.  q, k?, q_off?, k_off? as attention's, lse [sum Tq, H], w [sum Tq, H, K]
 * real A row sums to 1, or is 0 where no key is seen. K: at least the longest key sequence. */
/* augment: pictures [n, S, S, 3] u8 (4-byte aligned), changed in place, each by its row of what was drawn [n,
 *   KIN_AUGMENT_WORDS] i32 (core/augment.h). The same bytes from every backend. */

/* ---- what a kernel receives ---------------------------------------------------------------- */

typedef struct kin_draw {
    uint64_t key;
    int64_t sample0;
} kin_draw;

/* Everything a kernel may touch: no globals, no allocation. Forward reads in, writes out. Backward reads
 * dout and whatever of in and out the table says (the rest may have NULL pointers), writes din. */
typedef struct kin_call {
    const kin_tensor *in, *out;
    const kin_tensor *dout; /* backward; ptr == NULL: that output got no gradient (counts as zeros) */
    kin_tensor *din;        /* backward; ptr == NULL: not wanted */
    uint32_t acc;           /* bit i: din[i] += , else din[i] = */
    const void *attr;
    void *scratch;        /* kin_op_def.scratch bytes, 64-byte aligned, contents undefined */
    void *dev;            /* the backend's own context */
    uint64_t rng_key;     /* of (seed, step, node) */
    int64_t sample0;      /* index in the global batch of this call's sample 0 */
    const kin_draw *draw; /* both again in the device's memory, for calls that are replayed (core/replay.c);
                             else NULL */
} kin_call;

typedef struct kin_fn_call {
    kin_tensor *t;
    const void *attr;
    void *dev;
} kin_fn_call;

/* A call of attention_weights as one of attention without v: what its kernels have in common with it. in [5],
 * out [2] are the call's. */
static inline kin_call kin_as_attention(const kin_fn_call *f, kin_tensor *in, kin_tensor *out)
{
    kin_call c;
    memset(&c, 0, sizeof c);
    in[0] = f->t[0];
    in[1] = in[2] = f->t[1];
    if (f->t[1].rank == 4) in[2].rank = -1; /* packed: no tensor of its own */
    in[3] = f->t[2];
    in[4] = f->t[3];
    out[0] = out[1] = f->t[4];
    out[0].rank = 3;
    out[0].dim[2] = kin_cols(&f->t[0]);
    c.in = in;
    c.out = out;
    c.attr = f->attr;
    c.dev = f->dev;
    return c;
}

typedef struct kin_kernel {
    void (*fwd)(const kin_call *c);
    void (*bwd)(const kin_call *c);
} kin_kernel;
typedef void (*kin_fn_kernel)(const kin_fn_call *c);

/* ---- what the graph knows of an op ----------------------------------------------------------- */

typedef struct kin_cost {
    double flops; /* multiply and add count as two; matrix products and attention only */
    double bytes; /* least traffic: every operand once */
} kin_cost;

/* A case for the generated tests and benches. Filled tensors are pure functions of the sample. */
typedef enum kin_fill {
    KIN_FILL_NORMAL,  /* normal(0, 1) * arg (0 counts as 1) */
    KIN_FILL_IDS,     /* i32 in [0, arg), a few repeats */
    KIN_FILL_OFFSETS, /* lengths kin_sample_length(b, arg) */
    KIN_FILL_U8,
    KIN_FILL_CONST,  /* arg */
    KIN_FILL_GROUPS, /* i32 i/2: pairs share a group */
    KIN_FILL_UNIT    /* normal rows, L2-normalised */
} kin_fill;

typedef struct kin_sample {
    const char *label;
    kin_shape in[KIN_MAX_IN];
    kin_fill fill[KIN_MAX_IN];
    double arg[KIN_MAX_IN];
    union {
        max_align_t align;
        char bytes[KIN_MAX_ATTR];
    } attr;
    int64_t sample0;
    bool batched; /* samples of the batch do not see each other: T8 applies to out[0] */
} kin_sample;

typedef struct kin_op_def {
    const char *name;
    /* Fills out[] from in[] (absent ones have rank -1); an error names the shapes. */
    kin_status (*shape)(kin_ctx *cx, const kin_shape *in, const void *attr, kin_shape *out);
    void (*cost)(const kin_call *c, bool backward, kin_cost *cost);
    /* Scratch bytes; NULL: none. May look at shapes and attr only. */
    int64_t (*scratch)(const kin_call *c, bool backward);
    /* Narrower set of what backward reads for this attribute; NULL: the table's. */
    uint32_t (*reads)(const kin_shape *in, const void *attr);
    /* Test case i for a batch of that many samples; false past the last. */
    bool (*sample)(int i, int64_t batch, kin_sample *s);
    /* Outputs that may carry a gradient; 0: OUT(0) only. */
    uint32_t dout;
} kin_op_def;

#define KIN_OP(name, nin, nout, attr, reads, diff) extern const kin_op_def kin_op_##name;
#include "core/ops.def"
#undef KIN_OP

/* The rows of the table by number. */
typedef struct kin_op_row {
    const kin_op_def *def;
    int nin, nout;
    size_t attr_size;
    uint32_t reads, diff;
} kin_op_row;
const kin_op_row *kin_op_get(kin_op op);
/* Inputs of an op that hold activations, or weights as matrices: all of one type, f32 or the run's precision,
 * which is also that of the outputs that hold activations. Every other real input is f32. */
uint32_t kin_op_stored(kin_op op);
bool kin_op_draws(kin_op op);                                         /* reads rng_key and sample0 */
kin_status kin_op_types(kin_ctx *cx, kin_op op, const kin_shape *in); /* are they so? */
const char *kin_fn_name(kin_fn fn);
uint64_t kin_ops_hash(void); /* of the tables and structs: plug-ins built against others are refused */

/* Number of fixed chunks that a sum over rows is cut into: of the shape alone, never of the threads, so the
 * bits of a sum do not depend on how many threads computed it. Chunk c is rows c*rows/n .. (c+1)*rows/n. */
static inline int64_t kin_chunks(int64_t rows)
{
    return kin_max64(1, kin_min64(64, rows / 64));
}

/* Length of sequence b in FILL_OFFSETS with longest length max: cycles through max, 1, 0 (when max > 2),
 *   ... */
int64_t kin_sample_length(int64_t b, int64_t max);
int64_t kin_sample_total(int64_t batch, int64_t max);

#endif
