#!/usr/bin/env python3
"""One whole training step of a small two-tower model in PyTorch, f64, written out as open_clip has it: texts padded to
the context length, causal mask, the embedding read at the largest id. For tests/test_step.c.

From the project's root: python3 tests/golden/step_golden.py   writes tests/golden/step.bin:
f64 loss, image embeddings [4, 24], text embeddings [4, 24], then per parameter, by name: u64 FNV-1a of the name,
f64 sum g[i] cos(i), sum |g[i]|, the first 8 of g, sum p[i] cos(i) after one step of AdamW, the first 8 of p.
"""
import math
import struct

import torch
import torch.nn.functional as F

B, S, P, W, H, L, E, V, T = 4, 16, 8, 32, 2, 2, 24, 20, 10
LENGTHS = [3, 7, 10, 4]
GAINS = ("ln_1.weight", "ln_2.weight", "ln_pre.weight", "ln_post.weight", "ln_final.weight", "ln_cross.weight",
         "mlm.ln.weight")
torch.set_default_dtype(torch.float64)


def fnv(name):
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = (h ^ c) * 0x100000001B3 % 2**64
    return h


def weight(name, *shape):
    """Numbers that every type holds exactly; gains lie about 1."""
    h, n = fnv(name) % 101, math.prod(shape)
    base = 1.0 if name.endswith(GAINS) else 0.0
    return torch.tensor([base + ((h + 37 * i) % 101 - 50) / 256 for i in range(n)]).reshape(shape).requires_grad_()


shapes = {"visual.class_embedding": (W,), "visual.positional_embedding": (5, W), "visual.conv1.weight": (W, 3, P, P),
          "visual.proj": (W, E), "positional_embedding": (T, W), "token_embedding.weight": (V, W),
          "text_projection": (W, E), "ln_final.weight": (W,), "ln_final.bias": (W,)}
for ln in ("ln_pre", "ln_post"):
    shapes[f"visual.{ln}.weight"] = shapes[f"visual.{ln}.bias"] = (W,)
for tower in ("visual.transformer", "transformer"):
    for i in range(L):
        b = f"{tower}.resblocks.{i}."
        shapes.update({b + "attn.in_proj_weight": (3 * W, W), b + "attn.in_proj_bias": (3 * W,),
                       b + "attn.out_proj.weight": (W, W), b + "attn.out_proj.bias": (W,),
                       b + "mlp.c_fc.weight": (4 * W, W), b + "mlp.c_fc.bias": (4 * W,),
                       b + "mlp.c_proj.weight": (W, 4 * W), b + "mlp.c_proj.bias": (W,),
                       b + "ln_1.weight": (W,), b + "ln_1.bias": (W,), b + "ln_2.weight": (W,), b + "ln_2.bias": (W,)})
EPS = float(torch.tensor(1e-5, dtype=torch.float32))


def norm(p, x, name):
    return F.layer_norm(x, (W,), p[name + ".weight"], p[name + ".bias"], EPS)


def heads_of(x):
    n, t, _ = x.shape
    return x.reshape(n, t, H, W // H).transpose(1, 2)


def attend(q, k, v, mask):
    a = (heads_of(q) @ heads_of(k).transpose(-1, -2) / math.sqrt(W // H) + mask).softmax(-1) @ heads_of(v)
    return a.transpose(1, 2).reshape(q.shape)


def linear(p, x, name):
    return F.linear(x, p[name + ".weight"], p[name + ".bias"])


def self_attention(p, x, name, mask):
    h = F.linear(x, p[name + "in_proj_weight"], p[name + "in_proj_bias"])
    return linear(p, attend(*h.split(W, dim=-1), mask), name + "out_proj")


def mlp(p, x, name):
    return linear(p, F.gelu(linear(p, x, name + "c_fc")), name + "c_proj")


def block(p, x, name, mask):
    x = x + self_attention(p, norm(p, x, name + "ln_1"), name + "attn.", mask)
    return x + mlp(p, norm(p, x, name + "ln_2"), name + "mlp.")


def image_rows(p, pixels):
    """Pixels [N, H, W, 3] of 0..255 -> rows of the image tower [N, 1 + patches, W], the class token's first."""
    x = ((pixels / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    x = F.conv2d(x, p["visual.conv1.weight"], stride=P).flatten(2).transpose(1, 2)
    x = torch.cat([p["visual.class_embedding"].expand(len(x), 1, W), x], 1) + p["visual.positional_embedding"]
    x = norm(p, x, "visual.ln_pre")
    for i in range(L):
        x = block(p, x, f"visual.transformer.resblocks.{i}.", 0.0)
    return norm(p, x, "visual.ln_post")


def text_rows(p, texts):
    """Lists of ids (-1: hidden) -> rows of the text tower [N, T, W], padded at the end, where nobody looks."""
    ids = torch.tensor([t + [0] * (T - len(t)) for t in texts])
    x = p["token_embedding.weight"][ids.clamp(min=0)] * (ids >= 0)[..., None] + p["positional_embedding"]
    mask = torch.full((T, T), -math.inf).triu(1)
    for i in range(L):
        x = block(p, x, f"transformer.resblocks.{i}.", mask)
    return norm(p, x, "ln_final")


def embeddings(p, rows, texts, of_texts):
    """Of length 1: rows of pictures; texts and their rows, read at the last id."""
    last = torch.tensor([len(t) - 1 for t in texts])
    return (F.normalize(rows[:, 0] @ p["visual.proj"], dim=-1),
            F.normalize(of_texts[torch.arange(len(texts)), last] @ p["text_projection"], dim=-1))


def batch_pixels(height=S, width=S):
    n = B * height * width * 3
    return torch.tensor([float((7 * i + i // 5) % 256) for i in range(n)]).reshape(B, height, width, 3)


def write_parameters(out, p):
    """Of each, by name: what the head of this file says. One step of AdamW is taken on the way."""
    plain = [v for v in p.values() if v.ndim < 2]
    decay = [v for v in p.values() if v.ndim >= 2]
    torch.optim.AdamW([{"params": plain, "weight_decay": 0.0}, {"params": decay, "weight_decay": 0.25}], lr=2.0**-7,
                      betas=(0.875, 0.96875), eps=2.0**-10).step()
    for name in sorted(p):
        g, v = p[name].grad.flatten(), p[name].detach().flatten()
        c = torch.cos(torch.arange(len(g), dtype=torch.float64))
        first = lambda z: (z.tolist() + [0.0] * 8)[:8]
        numbers = [(g * c).sum().item(), g.abs().sum().item()] + first(g) + [(v * c).sum().item()] + first(v)
        out.write(struct.pack(f"<Q{len(numbers)}d", fnv(name), *numbers))


def main():
    p = {name: weight(name, *shape) for name, shape in shapes.items()}
    p["logit_scale"] = torch.tensor(2.0, requires_grad=True)
    captions = [[18] + [1 + (5 * j + 3 * b) % 17 for j in range(1, n - 1)] + [19] for b, n in enumerate(LENGTHS)]
    images, texts = embeddings(p, image_rows(p, batch_pixels()), captions, text_rows(p, captions))
    logits = p["logit_scale"].exp() * images @ texts.T
    labels = torch.arange(B)
    loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    loss.backward()
    with open("tests/golden/step.bin", "wb") as out:
        numbers = [loss.item()] + images.flatten().tolist() + texts.flatten().tolist()
        out.write(struct.pack(f"<{len(numbers)}d", *numbers))
        write_parameters(out, p)


if __name__ == "__main__":
    main()
