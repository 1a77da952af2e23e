#!/usr/bin/env python3
"""Image-text retrieval by an independent evaluator: the whole score matrix, numpy's sort, f64.

    python3 tests/golden/eval_golden.py            makes the fixtures of tests/test_eval.c in tests/golden/eval
    python3 tests/golden/eval_golden.py DIR        evaluates DIR/{images,texts,image_of}.npy, as written by
                                                   kin eval retrieval ... --dump DIR, and prints JSON

Hits are counted as CLIP_benchmark's zeroshot_retrieval does: the top K of each row by torch.topk (where torch
is installed), a caption's own image among them; of an image, any of its captions. The pessimistic and the
optimistic value put every wrong answer of an equal score before, or after, the best right one.
"""
import json
import os
import sys

import numpy as np

KS = (1, 5, 10)


def ranks(score, right):
    """score, right [queries, gallery]: wrong answers not below, and above, the best right one."""
    best = np.where(right, score, -np.inf).max(axis=1, keepdims=True)
    return (~right & (score >= best)).sum(axis=1), (~right & (score > best)).sum(axis=1)


def topk(score, right, k):
    import torch

    k = min(k, score.shape[1])
    index = torch.topk(torch.from_numpy(score.astype(np.float32)), k, dim=1).indices.numpy()
    return np.take_along_axis(right, index, axis=1).any(axis=1).mean()


def evaluate(image, text, image_of):
    score = text.astype(np.float64) @ image.astype(np.float64).T
    own = image_of[:, None] == np.arange(len(image))[None, :]
    out = {"images": len(image), "texts": len(text)}
    has = own.any(axis=0)
    for way, s, r in (("image", score, own), ("text", score.T[has], own.T[has])):
        low, high = ranks(s, r)
        for k in KS:
            depth = min(k, s.shape[1])
            out[f"{way}_retrieval_recall@{k}"] = float((low < depth).sum() / len(low))
            out[f"{way}_retrieval_optimistic@{k}"] = float((high < depth).sum() / len(high))
            try:
                out[f"{way}_retrieval_clip_benchmark@{k}"] = float(topk(s, r, k))
            except ImportError:
                pass
        out[f"{way}_retrieval_mean_rank"] = float(low.sum() / len(low) + 1)
        out[f"{way}_retrieval_median_rank"] = float(np.floor(np.median(low)) + 1)
    return out


def first(image_of, most):
    seen, keep = {}, []
    for t, i in enumerate(image_of.tolist()):
        seen[i] = seen.get(i, 0) + 1
        keep.append(seen[i] <= most)
    return np.array(keep)


def make(folder):
    """60 pictures with 5 to 7 captions each in mixed order; once plain, once rounded so that scores tie."""
    r = np.random.default_rng(7)
    image_of = np.repeat(np.arange(60), [5 + (i % 10 == 3) + 2 * (i % 20 == 7) for i in range(60)])
    r.shuffle(image_of)
    image = r.standard_normal((60, 12))
    text = image[image_of] + 1.6 * r.standard_normal((len(image_of), 12))
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    want = {}
    for name, steps in (("plain", 0), ("ties", 2)):
        a, b = (np.round(x * steps) / steps if steps else x for x in (image, text))
        a, b = a.astype("<f4"), b.astype("<f4")
        path = os.path.join(folder, name)
        os.makedirs(path, exist_ok=True)
        for file, rows in (("images", a), ("texts", b), ("image_of", image_of.astype("<i8"))):
            np.save(os.path.join(path, file + ".npy"), rows)
        keep = first(image_of, 5)
        want[name] = evaluate(a, b, image_of)
        want[name + "_first5"] = evaluate(a, b[keep], image_of[keep])
    with open(os.path.join(folder, "want.json"), "w") as f:
        json.dump(want, f, indent=2)
        f.write("\n")


if len(sys.argv) == 1:
    make(os.path.join(os.path.dirname(os.path.abspath(__file__)), "eval"))
else:
    files = [np.load(os.path.join(sys.argv[1], n + ".npy")) for n in ("images", "texts", "image_of")]
    print(json.dumps(evaluate(*files), indent=2))
