#!/usr/bin/env python3
"""One whole training step over pairs in PyTorch, f64: the two towers of step_golden.py over pictures of 16 x 24 pixels,
cross-attention (ALBEF) over two layers, and the losses itc (with soft targets of other weights: momentum distillation),
itm and mlm. Who meets whom and which words are hidden is read from what the test drew. For tests/test_fused_step.c.

From the project's root, after `make build/tests/test_fused_step`:
    build/tests/test_fused_step --dump /tmp/wiring.json && python3 tests/golden/fused_golden.py /tmp/wiring.json
writes tests/golden/fused.bin: u64 FNV-1a of that file, f64 the losses itc, itm, mlm, their weighted sum, logits of itm
[pairs, 2], then parameters as in step.bin.
"""
import json
import struct
import sys

import torch
import torch.nn.functional as F

from step_golden import (B, W, V, attend, batch_pixels, embeddings, fnv, image_rows, linear, mlp, norm, self_attention,
                         shapes, text_rows, weight, write_parameters)

LAYERS, ALPHA, WEIGHTS = 2, 0.375, (1.0, 1.0, 0.5)
more = {"fusion.ln_post.weight": (W,), "fusion.ln_post.bias": (W,), "heads.itm.weight": (2, W), "heads.itm.bias": (2,),
        "heads.mlm.dense.weight": (W, W), "heads.mlm.dense.bias": (W,), "heads.mlm.ln.weight": (W,),
        "heads.mlm.ln.bias": (W,), "heads.mlm.bias": (V,)}
for i in range(LAYERS):
    b = f"fusion.resblocks.{i}."
    more.update({b + "attn.in_proj_weight": (3 * W, W), b + "attn.in_proj_bias": (3 * W,),
                 b + "cross.kv.weight": (2 * W, W), b + "cross.kv.bias": (2 * W,),
                 b + "mlp.c_fc.weight": (4 * W, W), b + "mlp.c_fc.bias": (4 * W,),
                 b + "mlp.c_proj.weight": (W, 4 * W), b + "mlp.c_proj.bias": (W,)})
    for square in ("attn.out_proj", "cross.q", "cross.out_proj"):
        more.update({b + square + ".weight": (W, W), b + square + ".bias": (W,)})
    for gain in ("ln_1", "ln_cross", "ln_2"):
        more.update({b + gain + ".weight": (W,), b + gain + ".bias": (W,)})


def taught(v, name):
    """The average: each weight moved a little, its own way."""
    k = torch.arange(v.numel()).reshape(v.shape)
    return v.detach() * (1 + 0.25 * ((k + fnv(name) % 101) % 5 - 2))


def one_way(z, soft, counted):
    """Targets (1 - alpha) hard + alpha soft, over the lines that have a positive."""
    hard = torch.eye(*z.shape)
    return -(((1 - ALPHA) * hard + ALPHA * soft) * F.log_softmax(z, 1)).sum(1)[:counted].mean()


def fuse(p, words, pictures, lengths):
    """words [P, T, W], pictures [P, 7, W] -> [P, T, W]. Padding is no key."""
    t = torch.arange(words.shape[1])
    mask = torch.zeros(len(words), 1, 1, len(t)).masked_fill((t[None] >= lengths[:, None])[:, None, None], -torch.inf)
    x = words
    for i in range(LAYERS):
        b = f"fusion.resblocks.{i}."
        x = x + self_attention(p, norm(p, x, b + "ln_1"), b + "attn.", mask)
        q = linear(p, norm(p, x, b + "ln_cross"), b + "cross.q")
        k, v = linear(p, pictures, b + "cross.kv").split(W, dim=-1)
        x = x + linear(p, attend(q, k, v, 0.0), b + "cross.out_proj")
        x = x + mlp(p, norm(p, x, b + "ln_2"), b + "mlp.")
    return norm(p, x, "fusion.ln_post")


def main():
    with open(sys.argv[1], "rb") as f:
        said = f.read()
    w = json.loads(said)
    p = {name: weight(name, *shape) for name, shape in {**shapes, **more, "visual.positional_embedding": (1 + 2 * 3, W)}.items()}
    p["logit_scale"] = torch.tensor(2.0, requires_grad=True)
    average = {name: taught(v, name) for name, v in p.items()}
    pixels, seen = batch_pixels(16, 24), w["texts"][:w["itc"]]

    rows, of_texts = image_rows(p, pixels), text_rows(p, w["texts"])
    image, text = embeddings(p, rows, seen, of_texts)
    teacher = embeddings(average, image_rows(average, pixels), seen, text_rows(average, seen))
    scale = p["logit_scale"].exp()
    z, t = scale * image @ text.T, (scale * teacher[0] @ teacher[1].T).detach()
    itc = (one_way(z, t.softmax(1), B) + one_way(z.T, t.T.softmax(1), B)) / 2

    pairs = torch.tensor(w["pairs"])  # picture, text, label
    lengths = torch.tensor([len(x) for x in w["texts"]])[pairs[:, 1]]
    y = fuse(p, of_texts[pairs[:, 1]], rows[pairs[:, 0]], lengths)
    logits = linear(p, y[torch.arange(len(y)), lengths - 1], "heads.itm")
    itm = F.cross_entropy(logits, pairs[:, 2], ignore_index=-1)
    words = torch.tensor(w["words"])  # pair, place, id
    h = norm(p, F.gelu(linear(p, y[words[:, 0], words[:, 1]], "heads.mlm.dense")), "heads.mlm.ln")
    mlm = F.cross_entropy(F.linear(h, p["token_embedding.weight"], p["heads.mlm.bias"]), words[:, 2])

    loss = WEIGHTS[0] * itc + WEIGHTS[1] * itm + WEIGHTS[2] * mlm
    loss.backward()
    with open("tests/golden/fused.bin", "wb") as out:
        numbers = [itc.item(), itm.item(), mlm.item(), loss.item()] + logits.flatten().tolist()
        out.write(struct.pack(f"<Q{len(numbers)}d", fnv(said.decode()), *numbers))
        write_parameters(out, p)


main()
