#!/usr/bin/env python3
"""Accuracy, balanced accuracy, AUROC and their bootstrap intervals by an independent evaluator (numpy, f64).

    python3 tests/golden/labels_golden.py            makes tests/golden/labels.json for tests/test_eval_labels.c
    python3 tests/golden/labels_golden.py FILE.json  evaluates {"label", "guess", "score"?, "group"?, "bootstrap"} and
                                                     prints JSON

AUROC is by midranks (Mann-Whitney), not by counting pairs as kin does; every resample really repeats its examples. The
draws are kin's (Philox-4x32-10, key of resample r), so that intervals agree to the last digit.
"""
import json
import os
import sys

import numpy as np

Z = 1.959963984540054
M32 = 0xFFFFFFFF


def philox(key, counter):
    k0, k1 = key & M32, key >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & M32, (a >> 32) ^ c3 ^ k1, a & M32
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return c0, c1, c2, c3


def stream(r):
    o = philox(0x626F6F74 ^ 0x6B696E6B6579, (r & M32, r >> 32, 0, 0))
    key, counter = o[0] | o[1] << 32, 0
    while True:
        yield from philox(key, (counter & M32, counter >> 32, 0, 0))
        counter += 1


def draws(r, n):
    out, reject = [], (1 << 32) % n
    for u in stream(r):
        if len(out) == n:
            return out
        if (u * n & M32) >= reject:
            out.append(u * n >> 32)


def midranks(x):
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    return (first + (counts + 1) / 2)[inverse]


def auroc(score, label):
    p, n = int((label == 1).sum()), int((label == 0).sum())
    if p == 0 or n == 0:
        return 0.5
    score = np.where(np.isnan(score), np.where(label == 1, -np.inf, np.inf), score)
    return float((midranks(score)[label == 1].sum() - p * (p + 1) / 2) / (p * n))


def balanced(guess, label):
    total, classes = 0.0, np.unique(label)
    for k in classes:
        total += float((guess[label == k] == k).sum()) / float((label == k).sum())
    return total / len(classes)


def interval(values):
    values = np.sort(np.array(values))
    cut = int(0.025 * (len(values) - 1))
    return [float(values[cut]), float(values[len(values) - 1 - cut])]


def wilson(hits, n):
    p, z2, m = hits / n, Z * Z, float(n)
    centre, width = p + z2 / (2 * m), Z * np.sqrt(p * (1 - p) / m + z2 / (4 * m * m))
    return [float((centre - width) / (1 + z2 / m)), float((centre + width) / (1 + z2 / m))]


def resampled(case):
    """Index arrays of each resample, groups in the order of their first example."""
    group = np.array(case.get("group") or range(len(case.get("label") or case["a"])))
    names = list(dict.fromkeys(group.tolist()))
    members = [np.flatnonzero(group == g) for g in names]
    for r in range(case["bootstrap"]):
        yield np.concatenate([members[g] for g in draws(r, len(names))])


def evaluate(case):
    label, guess = np.array(case["label"]), np.array(case["guess"])
    score = np.array([np.nan if s is None else s for s in case["score"]]) if "score" in case else None
    hits = int((label == guess).sum())
    out = {
        "majority": float(np.unique(label, return_counts=True)[1].max() / len(label)),
        "accuracy": hits / len(label),
        "accuracy_wilson95": wilson(hits, len(label)),
        "balanced_accuracy": balanced(guess, label),
    }
    if score is not None:
        out["auroc"] = auroc(score, label)
    if case["bootstrap"]:
        at = list(resampled(case))
        out["accuracy_ci95"] = interval([float((label[i] == guess[i]).sum()) / len(i) for i in at])
        out["balanced_accuracy_ci95"] = interval([balanced(guess[i], label[i]) for i in at])
        if score is not None:
            out["auroc_ci95"] = interval([auroc(score[i], label[i]) for i in at])
    return out


def difference(case):
    a, b = np.array(case["a"], float), np.array(case["b"], float)
    values = [float((b[i].sum() - a[i].sum()) / len(i)) for i in resampled(case)]
    return {
        "difference": float((b.sum() - a.sum()) / len(a)),
        "ci95": interval(values),
        "not_above": float(np.mean(np.array(values) <= 0)),
    }


def make(path):
    r = np.random.default_rng(11)
    cases = []
    for n, classes, groups, ties, bootstrap in ((200, 2, 40, 6, 300), (90, 2, 0, 0, 200), (150, 5, 30, 0, 200), (7, 2, 3, 2, 100)):
        label = r.integers(0, classes, n)
        case = {"label": label.tolist(), "bootstrap": bootstrap}
        if classes == 2:
            score = label * 0.8 + r.standard_normal(n)
            if ties:
                score = np.round(score * ties / 4) / ties
            case["score"] = score.tolist()
            case["guess"] = (score >= 0.4).astype(int).tolist()
        else:
            case["guess"] = np.where(r.random(n) < 0.6, label, r.integers(-1, classes, n)).tolist()
        if groups:
            case["group"] = r.integers(100, 100 + groups, n).tolist()
        if n == 90:
            case["score"][3] = case["score"][10] = None  # NaN
        cases.append({"case": case, "want": evaluate(case)})
    pairs = []
    for n, groups in ((300, 60), (50, 0)):
        a = (r.random(n) < 0.4).astype(int)
        case = {"a": a.tolist(), "b": np.where(r.random(n) < 0.15, 1, a).tolist(), "bootstrap": 400}
        if groups:
            case["group"] = r.integers(0, groups, n).tolist()
        pairs.append({"case": case, "want": difference(case)})
    with open(path, "w") as f:
        json.dump({"labels": cases, "pairs": pairs}, f)
        f.write("\n")


if len(sys.argv) == 1:
    make(os.path.join(os.path.dirname(os.path.abspath(__file__)), "labels.json"))
else:
    with open(sys.argv[1]) as f:
        print(json.dumps(evaluate(json.load(f)), indent=2))
