#!/usr/bin/env python3
"""The peer of bench/step: the same training step in PyTorch, written as open_clip writes it (nn.MultiheadAttention,
which goes to scaled_dot_product_attention; pre-norm blocks; fused AdamW; clipping), on the same synthetic pairs.

    python3 bench/step_torch.py [MODEL [BATCH [STEPS [THREADS [TOKENS [DEVICE]]]]]]

On DEVICE cuda: bf16 autocast and torch.compile. MODEL is ViT-Ti-16-112, ViT-B-32, ViT-B-16 or ViT-L-14. TOKENS: 0 pads captions to the longest of the batch (the best that can be done
without leaving dead tokens out; open_clip's own default is 77); 77 gives every caption 77 ids, as bench/step does
with the same argument. Prints one line: pairs/s of the median and of the best step, peak memory of the process.
Runs on Debian's PyTorch 1.13 too, whose MultiheadAttention knows no is_causal: the mask alone says it there."""
import contextlib
import os
import resource
import sys
import time

args = sys.argv[1:] + [None] * 6
model_name, batch = args[0] or "ViT-Ti-16-112", int(args[1] or 64)
steps, threads, tokens = int(args[2] or 5), int(args[3] or 0) or os.cpu_count(), int(args[4] or 0)
device = args[5] or "cpu"
os.environ.setdefault("OMP_NUM_THREADS", str(threads))
import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(threads)
torch.manual_seed(0)
NEW = int(torch.__version__.split(".")[0]) >= 2
CAUSAL = dict(is_causal=True) if NEW else {}
CONFIGS = {
    "ViT-Ti-16-112": dict(embed=256, image=112, patch=16, width=192, layers=12, heads=3, twidth=256, theads=4, tlayers=4),
    "ViT-B-32": dict(embed=512, image=224, patch=32, width=768, layers=12, heads=12, twidth=512, theads=8, tlayers=12),
    "ViT-B-16": dict(embed=512, image=224, patch=16, width=768, layers=12, heads=12, twidth=512, theads=8, tlayers=12),
    "ViT-L-14": dict(embed=768, image=224, patch=14, width=1024, layers=24, heads=16, twidth=768, theads=12, tlayers=12),
}
c = CONFIGS[model_name]


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, mask):
        h = self.ln_1(x)
        x = x + self.attn(h, h, h, need_weights=False, attn_mask=mask, **(CAUSAL if mask is not None else {}))[0]
        return x + self.mlp(self.ln_2(x))


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        w, t, e = c["width"], c["twidth"], c["embed"]
        n = (c["image"] // c["patch"]) ** 2 + 1
        self.conv1 = nn.Conv2d(3, w, c["patch"], c["patch"], bias=False)
        self.cls = nn.Parameter(torch.randn(w) * w**-0.5)
        self.pos = nn.Parameter(torch.randn(n, w) * w**-0.5)
        self.ln_pre, self.ln_post = nn.LayerNorm(w), nn.LayerNorm(w)
        self.visual = nn.ModuleList(Block(w, c["heads"]) for _ in range(c["layers"]))
        self.proj = nn.Parameter(torch.randn(w, e) * w**-0.5)
        self.words, self.tpos = nn.Embedding(49408, t), nn.Parameter(torch.randn(77, t) * 0.01)
        self.text = nn.ModuleList(Block(t, c["theads"]) for _ in range(c["tlayers"]))
        self.ln_final, self.tproj = nn.LayerNorm(t), nn.Parameter(torch.randn(t, e) * t**-0.5)
        self.scale = nn.Parameter(torch.tensor(2.6593))
        self.register_buffer("mask", torch.full((77, 77), float("-inf")).triu(1))

    def forward(self, images, ids, last):
        x = self.conv1(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos
        x = self.ln_pre(x)
        for b in self.visual:
            x = b(x, None)
        a = F.normalize(self.ln_post(x[:, 0]) @ self.proj, dim=-1)
        n = ids.shape[1]
        y = self.words(ids) + self.tpos[:n]
        for b in self.text:
            y = b(y, self.mask[:n, :n])
        t = F.normalize(self.ln_final(y)[torch.arange(len(y), device=y.device), last] @ self.tproj, dim=-1)
        z = self.scale.exp() * a @ t.T
        labels = torch.arange(len(z), device=z.device)
        return (F.cross_entropy(z, labels) + F.cross_entropy(z.T, labels)) / 2


# The pairs of bench/step.c.
lengths = [tokens if tokens else 8 + (i * 7) % 12 for i in range(batch)]
ids = torch.zeros(batch, max(lengths), dtype=torch.long)
for i, n in enumerate(lengths):
    for k in range(n):
        ids[i, k] = (i * 131 + k * 17) % 49407
ids, last = ids.to(device), torch.tensor(lengths, device=device) - 1
images = torch.randn(batch, 3, c["image"], c["image"]).to(device)
model = Clip().to(device)
forward = torch.compile(model) if device == "cuda" else model
decay = [p for p in model.parameters() if p.ndim > 1]
plain = [p for p in model.parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW([dict(params=decay, weight_decay=0.2), dict(params=plain, weight_decay=0.0)],
                              lr=1e-4, betas=(0.9, 0.98), eps=1e-6, **(dict(fused=True) if NEW else dict(foreach=True)))
spent = []
UNTIMED = 5 if device == "cuda" else 1
for step in range(steps + UNTIMED):
    began = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cuda", dtype=torch.bfloat16) if device == "cuda" else contextlib.nullcontext():
        loss = forward(images, ids, last)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if device == "cuda":
        torch.cuda.synchronize()
    spent.append(time.perf_counter() - began)
spent = sorted(spent[UNTIMED:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"pytorch {torch.__version__} on {device} {model_name} batch {batch} threads {threads} tokens {max(lengths)}: "
      f"{batch / spent[len(spent) // 2]:.2f} pairs/s median, {batch / spent[0]:.2f} best, {peak:.0f} MiB")
