/* T5 of docs/DESIGN.md: an op that does two things at once equals the two ops after each other, forward and
 * backward, on every backend; and the forms of one op equal each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/op_case.h"

enum { MOST = 5 };
static kin_backend *backends[MOST];
static int count;

static int setup(void **state)
{
    (void)state;
    static const char *const isa[] = {"plain", "avx2", "avx512"};
    kin_ctx cx = {0};
    backends[count++] = kin_backend_ref(&cx, KIN_F64);
    backends[count++] = kin_backend_ref(&cx, KIN_F32);
    for (int i = 0; i < 3; i++) {
        kin_backend *b = kin_backend_cpu(&cx, 2, isa[i]);
        if (b) backends[count++] = b;
    }
    return count > 2 ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) kin_backend_close(backends[i]);
    return 0;
}

static double tolerance(const kin_backend *b)
{
    return b->real == KIN_F64 ? 1e-12 : 1e-5;
}

static void agree(const op_case *c, bool out, int i, const kin_tensor *got, const kin_tensor *want)
{
    op_require(op_agree(c, out, i, got, want, tolerance(c->b)));
}

/* A case of these inputs (absent: rank -1), filled with normal numbers; integers are 0. */
static op_case make(kin_backend *b, kin_op op, const char *label, const void *attr,
                    const kin_shape in[KIN_MAX_IN])
{
    kin_sample s = {.label = label};
    op_case c;
    if (attr) memcpy(s.attr.bytes, attr, kin_op_get(op)->attr_size);
    for (int i = 0; i < KIN_MAX_IN; i++) s.in[i] = i < kin_op_get(op)->nin ? in[i] : KIN_ABSENT;
    op_case_make(&c, b, op, &s);
    for (int i = 0; i < KIN_MAX_IN; i++)
        for (int64_t k = 0; c.in[i].ptr && kin_dtype_is_real(c.in[i].dtype) && k < kin_count(&c.in[i]); k++)
            op_set(&c.in[i], k, op_normal((uint64_t)(31 + i), k));
    return c;
}

static void forward_and_backward(op_case *c)
{
    op_case_both(c, op_case_carries(c));
}

#define SHAPES(...) ((const kin_shape[KIN_MAX_IN]){__VA_ARGS__})
#define F32(...) kin_fixed(KIN_F32, __VA_ARGS__)
#define N(x) ((int64_t)(x))

/* ---- linear ------------------------------------------------------------------------------------------- */

static void linear_with_activation(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++)
        for (int kind = 1; kind < KIN_ACT_COUNT; kind++) {
            const kin_linear_attr fused_attr = {.act = kind}, plain_attr = {.act = KIN_ACT_none};
            const kin_act_attr act_attr = {.kind = kind};
            const kin_shape *in =
                SHAPES(F32(2, N(70), N(13)), F32(2, N(21), N(13)), F32(1, N(21)), KIN_ABSENT, KIN_ABSENT);
            op_case fused = make(backends[i], KIN_OP_linear, "fused", &fused_attr, in);
            op_case plain = make(backends[i], KIN_OP_linear, "plain", &plain_attr, in);
            op_case act = make(backends[i], KIN_OP_act, "act", &act_attr,
                               SHAPES(F32(2, N(70), N(21)), KIN_ABSENT, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
            forward_and_backward(&fused);
            op_case_forward(&plain);
            op_copy(&act.in[0], &plain.out[0]);
            op_copy(&act.dout[0], &fused.dout[0]);
            forward_and_backward(&act);
            op_copy(&plain.dout[0], &act.din[0]);
            forward_and_backward(&plain);
            agree(&fused, true, 0, &fused.out[0], &act.out[0]);
            agree(&fused, true, 1, &fused.out[1], &plain.out[0]);
            for (int k = 0; k < 3; k++) agree(&fused, false, k, &fused.din[k], &plain.din[k]);
            op_case_close(&fused);
            op_case_close(&plain);
            op_case_close(&act);
        }
}

static void transpose(const kin_tensor *to, const kin_tensor *from)
{
    const int64_t rows = from->dim[0], columns = from->dim[1];
    for (int64_t m = 0; m < rows; m++)
        for (int64_t n = 0; n < columns; n++) op_set(to, n * rows + m, op_value(from, m * columns + n));
}

static void linear_of_either_layout(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        const kin_linear_attr nk_attr = {.act = KIN_ACT_gelu}, kn_attr = {.act = KIN_ACT_gelu, .w_kn = 1};
        const kin_shape x = F32(2, N(33), N(18)), b = F32(1, N(35));
        op_case nk = make(backends[i], KIN_OP_linear, "w [N, K]", &nk_attr,
                          SHAPES(x, F32(2, N(35), N(18)), b, KIN_ABSENT, KIN_ABSENT));
        op_case kn = make(backends[i], KIN_OP_linear, "w [K, N]", &kn_attr,
                          SHAPES(x, F32(2, N(18), N(35)), b, KIN_ABSENT, KIN_ABSENT));
        transpose(&kn.in[1], &nk.in[1]);
        forward_and_backward(&nk);
        forward_and_backward(&kn);
        agree(&kn, true, 0, &kn.out[0], &nk.out[0]);
        agree(&kn, false, 0, &kn.din[0], &nk.din[0]);
        transpose(&nk.in[1], &kn.din[1]); /* free now */
        agree(&kn, false, 1, &nk.in[1], &nk.din[1]);
        op_case_close(&nk);
        op_case_close(&kn);
    }
}

/* ---- norms with a residual ------------------------------------------------------------------------------
 */

static void norm_with_residual(kin_backend *b, kin_op op)
{
    const kin_norm_attr attr = {1e-5f};
    const bool beta = op == KIN_OP_layernorm;
    const kin_shape x = F32(2, N(67), N(23)), gamma = F32(1, N(23)), bias = beta ? gamma : KIN_ABSENT;
    op_case fused = make(b, op, "fused", &attr, SHAPES(x, x, gamma, bias, KIN_ABSENT));
    op_case add = make(b, KIN_OP_add, "add", NULL, SHAPES(x, x, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
    op_case norm = make(b, op, "norm", &attr, SHAPES(x, KIN_ABSENT, gamma, bias, KIN_ABSENT));
    forward_and_backward(&fused);
    op_case_forward(&add);
    op_copy(&norm.in[0], &add.out[0]);
    forward_and_backward(&norm);
    for (int64_t k = 0; k < kin_count(&norm.din[0]); k++) /* of the sum: through the norm, and directly */
        op_set(&add.dout[0], k, op_value(&norm.din[0], k) + op_value(&fused.dout[1], k));
    forward_and_backward(&add);
    agree(&fused, true, 0, &fused.out[0], &norm.out[0]);
    agree(&fused, true, 1, &fused.out[1], &add.out[0]);
    for (int k = 0; k < 2; k++) agree(&fused, false, k, &fused.din[k], &add.din[k]);
    agree(&fused, false, 2, &fused.din[2], &norm.din[2]);
    if (beta) agree(&fused, false, 3, &fused.din[3], &norm.din[3]);
    op_case_close(&fused);
    op_case_close(&add);
    op_case_close(&norm);
}

static void norms_with_residual(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        norm_with_residual(backends[i], KIN_OP_layernorm);
        norm_with_residual(backends[i], KIN_OP_rmsnorm);
    }
}

/* ---- attention: its forms --------------------------------------------------------------------------------
 */

/* Part `part` of `parts` of every row: packed [rows, parts, ...] to or from separate [rows, ...]. */
static void part_of(const kin_tensor *packed, int64_t parts, int64_t part, const kin_tensor *separate,
                    bool pack)
{
    const int64_t rows = separate->dim[0], width = kin_count(separate) / rows;
    for (int64_t m = 0; m < rows; m++)
        for (int64_t k = 0; k < width; k++) {
            const int64_t at = (m * parts + part) * width + k;
            if (pack)
                op_set(packed, at, op_value(separate, m * width + k));
            else
                op_set(separate, m * width + k, op_value(packed, at));
        }
}

static void attention_forms(kin_backend *b, int causal)
{
    const kin_attention_attr attr = {.scale = 0.3f, .causal = causal, .tq = 9, .tk = 9, .max_tk = 9};
    const kin_shape one = F32(3, N(36), N(2), N(16));
    op_case apart =
        make(b, KIN_OP_attention, "separate", &attr, SHAPES(one, one, one, KIN_ABSENT, KIN_ABSENT));
    op_case qkv =
        make(b, KIN_OP_attention, "qkv", &attr,
             SHAPES(F32(4, N(36), N(3), N(2), N(16)), KIN_ABSENT, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
    op_case kv = make(b, KIN_OP_attention, "kv", &attr,
                      SHAPES(one, F32(4, N(36), N(2), N(2), N(16)), KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
    for (int k = 0; k < 3; k++) part_of(&qkv.in[0], 3, k, &apart.in[k], true);
    for (int k = 0; k < 2; k++) part_of(&kv.in[1], 2, k, &apart.in[k + 1], true);
    op_copy(&kv.in[0], &apart.in[0]);
    forward_and_backward(&apart);
    forward_and_backward(&qkv);
    forward_and_backward(&kv);
    for (int o = 0; o < 2; o++) {
        agree(&qkv, true, o, &qkv.out[o], &apart.out[o]);
        agree(&kv, true, o, &kv.out[o], &apart.out[o]);
    }
    agree(&kv, false, 0, &kv.din[0], &apart.din[0]);
    for (int k = 0; k < 3; k++) {
        const kin_tensor spare = apart.in[k]; /* the inputs have served */
        part_of(&qkv.din[0], 3, k, &spare, false);
        agree(&qkv, false, 0, &spare, &apart.din[k]);
        if (k == 0) continue;
        part_of(&kv.din[1], 2, k - 1, &spare, false);
        agree(&kv, false, 1, &spare, &apart.din[k]);
    }
    op_case_close(&apart);
    op_case_close(&qkv);
    op_case_close(&kv);
}

/* Fixed lengths are offsets at equal distances; shared key heads are equal key heads. */
static void attention_lengths_and_groups(kin_backend *b)
{
    const kin_attention_attr fixed_attr = {.scale = 0.4f, .causal = 1, .tq = 4, .tk = 6, .max_tk = 6};
    const kin_attention_attr ragged_attr = {.scale = 0.4f, .causal = 1, .max_tk = 6};
    const kin_shape q = F32(3, N(12), N(4), N(8)), k = F32(3, N(18), N(2), N(8)),
                    all = F32(3, N(18), N(4), N(8));
    const kin_shape off = kin_fixed(KIN_I32, 1, N(4));
    op_case fixed = make(b, KIN_OP_attention, "fixed", &fixed_attr, SHAPES(q, k, k, KIN_ABSENT, KIN_ABSENT));
    op_case ragged = make(b, KIN_OP_attention, "ragged", &ragged_attr, SHAPES(q, k, k, off, off));
    op_case full =
        make(b, KIN_OP_attention, "all heads", &fixed_attr, SHAPES(q, all, all, KIN_ABSENT, KIN_ABSENT));
    for (int s = 0; s < 4; s++) {
        ((int32_t *)ragged.in[3].ptr)[s] = 4 * s;
        ((int32_t *)ragged.in[4].ptr)[s] = 6 * s;
    }
    for (int i = 1; i < 3; i++)
        for (int64_t n = 0; n < kin_count(&full.in[i]); n++) /* [row, head, d] */
            op_set(&full.in[i], n, op_value(&fixed.in[i], n / 32 * 16 + n % 32 / 16 * 8 + n % 8));
    forward_and_backward(&fixed);
    forward_and_backward(&ragged);
    forward_and_backward(&full);
    for (int o = 0; o < 2; o++) {
        agree(&ragged, true, o, &ragged.out[o], &fixed.out[o]);
        agree(&full, true, o, &full.out[o], &fixed.out[o]);
    }
    agree(&full, false, 0, &full.din[0], &fixed.din[0]);
    for (int i = 0; i < 3; i++) agree(&ragged, false, i, &ragged.din[i], &fixed.din[i]);
    for (int i = 1; i < 3; i++) { /* a shared head gets the sum */
        for (int64_t n = 0; n < kin_count(&fixed.in[i]); n++) {
            const int64_t at = n / 16 * 32 + n % 16 / 8 * 16 + n % 8;
            op_set(&fixed.in[i], n, op_value(&full.din[i], at) + op_value(&full.din[i], at + 8));
        }
        agree(&full, false, i, &fixed.in[i], &fixed.din[i]);
    }
    op_case_close(&fixed);
    op_case_close(&ragged);
    op_case_close(&full);
}

static void attention_in_every_form(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        attention_forms(backends[i], 0);
        attention_forms(backends[i], 1);
        attention_lengths_and_groups(backends[i]);
    }
}

/* ---- a convolution without overlap is a linear on patches
 * -------------------------------------------------- */

/* w [Co, y, x, c] of the convolution, [Co, c, y, x] of the linear: 4 x 4, 3 channels. */
static int64_t filter_place(int64_t k)
{
    const int64_t in = k % 48, c = in / 16, y = in % 16 / 4, x = in % 4;
    return k / 48 * 48 + (y * 4 + x) * 3 + c;
}

static void convolution_of_patches(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        const kin_conv2d_attr conv_attr = {.stride = 4, .pad = 0, .groups = 1};
        const kin_patchify_attr patch_attr = {.p = 4};
        const kin_linear_attr linear_attr = {.act = KIN_ACT_none};
        const kin_shape img = F32(4, N(2), N(8), N(12), N(3)), bias = F32(1, N(9));
        op_case conv = make(backends[i], KIN_OP_conv2d, "conv2d", &conv_attr,
                            SHAPES(img, F32(4, N(9), N(4), N(4), N(3)), bias, KIN_ABSENT, KIN_ABSENT));
        op_case cut = make(backends[i], KIN_OP_patchify, "patchify", &patch_attr,
                           SHAPES(img, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_case linear =
            make(backends[i], KIN_OP_linear, "linear", &linear_attr,
                 SHAPES(F32(2, N(12), N(48)), F32(2, N(9), N(48)), bias, KIN_ABSENT, KIN_ABSENT));
        for (int64_t k = 0; k < kin_count(&linear.in[1]); k++)
            op_set(&linear.in[1], k, op_value(&conv.in[1], filter_place(k)));
        op_case_forward(&cut);
        op_copy(&linear.in[0], &cut.out[0]);
        op_copy(&linear.dout[0], &conv.dout[0]);
        forward_and_backward(&conv);
        forward_and_backward(&linear);
        op_copy(&cut.dout[0], &linear.din[0]);
        forward_and_backward(&cut);
        kin_tensor y = conv.out[0]; /* [B, 2, 3, 9] is [B*6, 9] */
        agree(&conv, true, 0, &y, &linear.out[0]);
        agree(&conv, false, 0, &conv.din[0], &cut.din[0]);
        for (int64_t k = 0; k < kin_count(&linear.in[1]); k++)
            op_set(&linear.in[1], k, op_value(&conv.din[1], filter_place(k)));
        agree(&conv, false, 1, &linear.in[1], &linear.din[1]);
        agree(&conv, false, 2, &conv.din[2], &linear.din[2]);
        op_case_close(&conv);
        op_case_close(&cut);
        op_case_close(&linear);
    }
}

/* ---- infonce is two cross-entropies of one matrix
 * ------------------------------------------------------------ */

static void infonce_is_two_cross_entropies(void **state)
{
    (void)state;
    enum { PAIRS = 37, WIDTH = 11 };
    for (int i = 0; i < count; i++) {
        const kin_infonce_attr attr = {.smoothing = 0.1f};
        const kin_xent_attr xent_attr = {.smoothing = 0.1f};
        const kin_linear_attr linear_attr = {.act = KIN_ACT_none};
        const kin_shape e = F32(2, N(PAIRS), N(WIDTH)), z = F32(2, N(PAIRS), N(PAIRS)),
                        labels = kin_fixed(KIN_I32, 1, N(PAIRS));
        op_case loss =
            make(backends[i], KIN_OP_infonce, "infonce", &attr, SHAPES(e, e, F32(0), KIN_ABSENT, KIN_ABSENT));
        op_case product = make(backends[i], KIN_OP_linear, "product", &linear_attr,
                               SHAPES(e, e, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_case rows = make(backends[i], KIN_OP_xent, "rows", &xent_attr,
                            SHAPES(z, labels, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_case columns = make(backends[i], KIN_OP_xent, "columns", &xent_attr,
                               SHAPES(z, labels, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_set(&loss.in[2], 0, 0.5);
        const double s = exp(op_value(&loss.in[2], 0)), d = op_value(&loss.dout[0], 0);
        op_copy(&product.in[0], &loss.in[0]);
        op_copy(&product.in[1], &loss.in[1]);
        op_case_forward(&product);
        for (int64_t k = 0; k < kin_count(&rows.in[0]); k++)
            op_set(&rows.in[0], k, s * op_value(&product.out[0], k));
        transpose(&columns.in[0], &rows.in[0]);
        for (int32_t k = 0; k < PAIRS; k++)
            ((int32_t *)rows.in[1].ptr)[k] = ((int32_t *)columns.in[1].ptr)[k] = k;
        op_set(&rows.dout[0], 0, 0.5 * d);
        op_set(&columns.dout[0], 0, 0.5 * d);
        forward_and_backward(&rows);
        forward_and_backward(&columns);
        forward_and_backward(&loss);
        double slope = 0.0;
        for (int64_t k = 0; k < kin_count(&rows.in[0]); k++) {
            const int64_t t = k % PAIRS * PAIRS + k / PAIRS;
            const double dz = op_value(&rows.din[0], k) + op_value(&columns.din[0], t);
            slope += dz * op_value(&rows.in[0], k);
            op_set(&product.dout[0], k, s * dz);
        }
        forward_and_backward(&product);
        op_set(&rows.out[0], 0, 0.5 * (op_value(&rows.out[0], 0) + op_value(&columns.out[0], 0)));
        op_set(&columns.out[0], 0, slope);
        agree(&loss, true, 0, &loss.out[0], &rows.out[0]);
        agree(&loss, true, 1, &loss.out[1], &rows.out[1]);
        agree(&loss, true, 2, &loss.out[2], &columns.out[1]);
        agree(&loss, false, 0, &loss.din[0], &product.din[0]);
        agree(&loss, false, 1, &loss.din[1], &product.din[1]);
        agree(&loss, false, 2, &loss.din[2], &columns.out[0]);
        op_case_close(&loss);
        op_case_close(&product);
        op_case_close(&rows);
        op_case_close(&columns);
    }
}

/* ---- distill is two cross-entropies against the softmax of the teacher's matrix ---- */

/* q[row] = softmax of z[row]; both [n, m]. */
static void softmax_rows(const kin_tensor *q, const kin_tensor *z)
{
    const int64_t n = z->dim[0], m = z->dim[1];
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0, most = -INFINITY;
        for (int64_t j = 0; j < m; j++) most = fmax(most, op_value(z, i * m + j));
        for (int64_t j = 0; j < m; j++) sum += exp(op_value(z, i * m + j) - most);
        for (int64_t j = 0; j < m; j++) op_set(q, i * m + j, exp(op_value(z, i * m + j) - most) / sum);
    }
}

/* z [PAIRS, PAIRS] = e^scale a b^T, by a linear op that is left open in *product. */
static void logits_of(op_case *product, const kin_tensor *a, const kin_tensor *b, double scale,
                      const kin_tensor *z)
{
    op_copy(&product->in[0], a);
    op_copy(&product->in[1], b);
    op_case_forward(product);
    for (int64_t k = 0; k < kin_count(z); k++) op_set(z, k, exp(scale) * op_value(&product->out[0], k));
}

static void distill_is_two_cross_entropies(void **state)
{
    (void)state;
    enum { PAIRS = 37, WIDTH = 11 };
    for (int i = 0; i < count; i++) {
        const kin_distill_attr attr = {0};
        const kin_target_attr ce = {.kind = KIN_TARGET_CE};
        const kin_linear_attr linear_attr = {.act = KIN_ACT_none};
        const kin_shape e = F32(2, N(PAIRS), N(WIDTH)), z = F32(2, N(PAIRS), N(PAIRS));
        op_case loss =
            make(backends[i], KIN_OP_distill, "distill", &attr, SHAPES(e, e, F32(0), e, e, F32(0)));
        op_case product = make(backends[i], KIN_OP_linear, "product", &linear_attr, SHAPES(e, e, KIN_ABSENT));
        op_case rows = make(backends[i], KIN_OP_target, "rows", &ce, SHAPES(z, z, KIN_ABSENT));
        op_case columns = make(backends[i], KIN_OP_target, "columns", &ce, SHAPES(z, z, KIN_ABSENT));
        op_set(&loss.in[2], 0, 0.5);
        op_set(&loss.in[5], 0, -0.5);
        const double s = exp(0.5), d = op_value(&loss.dout[0], 0);
        logits_of(&product, &loss.in[3], &loss.in[4], -0.5, &rows.in[0]);
        transpose(&columns.in[0], &rows.in[0]);
        softmax_rows(&rows.in[1], &rows.in[0]);
        softmax_rows(&columns.in[1], &columns.in[0]);
        logits_of(&product, &loss.in[0], &loss.in[1], 0.5, &rows.in[0]);
        transpose(&columns.in[0], &rows.in[0]);
        op_set(&rows.dout[0], 0, 0.5 * d);
        op_set(&columns.dout[0], 0, 0.5 * d);
        forward_and_backward(&rows);
        forward_and_backward(&columns);
        forward_and_backward(&loss);
        for (int64_t k = 0; k < kin_count(&rows.in[0]); k++) {
            const int64_t t = k % PAIRS * PAIRS + k / PAIRS;
            op_set(&product.dout[0], k, s * (op_value(&rows.din[0], k) + op_value(&columns.din[0], t)));
        }
        forward_and_backward(&product);
        op_set(&rows.out[0], 0, 0.5 * (op_value(&rows.out[0], 0) + op_value(&columns.out[0], 0)));
        agree(&loss, true, 0, &loss.out[0], &rows.out[0]);
        agree(&loss, false, 0, &loss.din[0], &product.din[0]);
        agree(&loss, false, 1, &loss.din[1], &product.din[1]);
        op_case_close(&loss);
        op_case_close(&product);
        op_case_close(&rows);
        op_case_close(&columns);
    }
}

/* ---- embedding is two takes and an add
 * ------------------------------------------------------------------------ */

static void embedding_is_two_takes(void **state)
{
    (void)state;
    enum { ROWS = 12, LENGTH = 4 };
    for (int i = 0; i < count; i++) {
        const kin_embedding_attr attr = {.t = LENGTH};
        const kin_shape ids = kin_fixed(KIN_I32, 1, N(ROWS)), words = F32(2, N(7), N(10)),
                        places = F32(2, N(LENGTH), N(10)), y = F32(2, N(ROWS), N(10));
        op_case embed = make(backends[i], KIN_OP_embedding, "embedding", &attr,
                             SHAPES(ids, words, places, KIN_ABSENT, KIN_ABSENT));
        op_case word = make(backends[i], KIN_OP_take, "words", NULL,
                            SHAPES(words, ids, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_case place = make(backends[i], KIN_OP_take, "positions", NULL,
                             SHAPES(places, ids, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_case add =
            make(backends[i], KIN_OP_add, "add", NULL, SHAPES(y, y, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_copy(&word.in[0], &embed.in[1]);
        op_copy(&place.in[0], &embed.in[2]);
        for (int32_t k = 0; k < ROWS; k++) {
            ((int32_t *)embed.in[0].ptr)[k] = ((int32_t *)word.in[1].ptr)[k] = k * 5 % 7;
            ((int32_t *)place.in[1].ptr)[k] = k % LENGTH;
        }
        op_copy(&word.dout[0], &embed.dout[0]);
        op_copy(&place.dout[0], &embed.dout[0]);
        forward_and_backward(&word);
        forward_and_backward(&place);
        forward_and_backward(&embed);
        op_copy(&add.in[0], &word.out[0]);
        op_copy(&add.in[1], &place.out[0]);
        op_case_forward(&add);
        agree(&embed, true, 0, &embed.out[0], &add.out[0]);
        agree(&embed, false, 1, &embed.din[1], &word.din[0]);
        agree(&embed, false, 2, &embed.din[2], &place.din[0]);
        op_case_close(&embed);
        op_case_close(&word);
        op_case_close(&place);
        op_case_close(&add);
    }
}

/* ---- randomness has the right odds
 * ------------------------------------------------------------------------------ */

static void dropout_keeps_its_share(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++)
        for (int whole = 0; whole < 2; whole++) {
            const kin_dropout_attr attr = {.p = 0.3f, .per_sample = whole, .t = 2};
            op_case c = make(backends[i], KIN_OP_dropout, "odds", &attr,
                             SHAPES(F32(2, N(4000), N(6)), KIN_ABSENT, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
            for (int64_t k = 0; k < kin_count(&c.in[0]); k++) op_set(&c.in[0], k, 1.0);
            op_case_forward(&c);
            double sum = 0.0;
            for (int64_t k = 0; k < kin_count(&c.out[0]); k++) {
                const double y = op_value(&c.out[0], k);
                if (y != 0.0 && !(fabs(y - 1.0 / 0.7) < 1e-6)) fail_msg("a kept element is %.9g", y);
                if (whole && y != op_value(&c.out[0], k - k % 12)) fail_msg("a sample is kept in part");
                sum += y;
            }
            const double draws = (double)kin_count(&c.in[0]) / (whole ? 12.0 : 1.0);
            const double deviation = sqrt(0.3 / 0.7 / draws); /* of the mean, which is 1 */
            assert_true(fabs(sum / (double)kin_count(&c.out[0]) - 1.0) < 4.0 * deviation);
            op_case_close(&c);
        }
}

static void patches_are_kept_evenly(void **state)
{
    (void)state;
    enum { IMAGES = 2000, PATCHES = 9, KEEP = 4 };
    for (int i = 0; i < count; i++) {
        const kin_patch_drop_attr attr = {.patches = PATCHES, .keep = KEEP};
        op_case c =
            make(backends[i], KIN_OP_patch_drop, "odds", &attr,
                 SHAPES(F32(2, N(IMAGES * PATCHES), N(1)), KIN_ABSENT, KIN_ABSENT, KIN_ABSENT, KIN_ABSENT));
        op_case_forward(&c);
        const int32_t *idx = c.out[1].ptr;
        int kept[PATCHES] = {0};
        for (int k = 0; k < IMAGES * KEEP; k++) {
            if (k % KEEP) assert_true(idx[k] > idx[k - 1]);
            assert_in_range(idx[k], 0, PATCHES - 1);
            kept[idx[k]]++;
        }
        const double share = (double)KEEP / PATCHES, deviation = sqrt(IMAGES * share * (1.0 - share));
        for (int p = 0; p < PATCHES; p++) assert_true(fabs(kept[p] - IMAGES * share) < 4.0 * deviation);
        op_case_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_with_activation),
        cmocka_unit_test(linear_of_either_layout),
        cmocka_unit_test(norms_with_residual),
        cmocka_unit_test(attention_in_every_form),
        cmocka_unit_test(convolution_of_patches),
        cmocka_unit_test(infonce_is_two_cross_entropies),
        cmocka_unit_test(distill_is_two_cross_entropies),
        cmocka_unit_test(embedding_is_two_takes),
        cmocka_unit_test(dropout_keeps_its_share),
        cmocka_unit_test(patches_are_kept_evenly),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
