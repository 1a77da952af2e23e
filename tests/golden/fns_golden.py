#!/usr/bin/env python3
"""Three steps of PyTorch's AdamW in f64 over numbers that every type holds exactly, for tests/test_fns.c.

From the project's root: python3 tests/golden/fns_golden.py   writes tests/golden/fns.bin: f64 p[3][64].
"""
import struct

import torch

N, STEPS = 64, 3


def value(k):
    return ((37 * k + 11) % 101 - 50) / 32


p = torch.tensor([value(k) for k in range(N)], dtype=torch.float64, requires_grad=True)
optimiser = torch.optim.AdamW([p], lr=0.125, betas=(0.875, 0.96875), eps=2.0**-10, weight_decay=0.25)
with open("tests/golden/fns.bin", "wb") as out:
    for step in range(1, STEPS + 1):
        p.grad = 0.5 * torch.tensor([value(k + 1000 * step) for k in range(N)], dtype=torch.float64)
        optimiser.step()
        out.write(struct.pack(f"<{N}d", *p.tolist()))
