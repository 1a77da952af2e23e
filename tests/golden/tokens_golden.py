#!/usr/bin/env python3
"""Token ids by two other implementations, for tests/test_tokenizer.c. From the project's root, with regex and tokenizers
(pip), and KIN_DATA:
python3 tests/golden/tokens_golden.py   writes tests/golden/tokens.txt:
  piece HEX, range LO HI    what strings are made of
  ids HEX ID ...            a text and its ids, without start and end
  block DIGEST              of 100 strings, made by the same rule as in the C test: FNV-1a over all their ids
Each of the 20,000 strings goes through Hugging Face's own `tokenizers` (the pipeline of CLIPTokenizerFast: NFC, white
space, lower case), and, after the same clean-up, through the original's algorithm (OpenAI's simple_tokenizer.py, written
anew here): the two must agree before anything is written. The table of texts adds those that OpenAI's gives.
"""
import gzip
import os
import re as plain
import sys
import unicodedata

import regex
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

STRINGS, BLOCK = 20000, 100
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
SPECIAL = ["<|startoftext|>", "<|endoftext|>"]

# ---- the vocabulary ----
itself = [*range(33, 127), *range(161, 173), *range(174, 256)]
rest = [b for b in range(256) if b not in itself]
CHAR = {**{b: chr(b) for b in itself}, **{b: chr(256 + n) for n, b in enumerate(rest)}}
with gzip.open(os.environ["KIN_DATA"] + "/tokenizers/bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8") as f:
    merges = [tuple(line.split()) for line in f.read().split("\n")[1 : 49152 - 256 - 2 + 1]]
names = [CHAR[b] for b in itself + rest]
names += [n + "</w>" for n in names] + [a + b for a, b in merges] + SPECIAL
ID = {n: i for i, n in enumerate(names)}
RANK = {m: i for i, m in enumerate(merges)}
assert len(ID) == 49408


# ---- the original ----
def bpe(word, cache={}):
    if word in cache:
        return cache[word]
    s = [CHAR[b] for b in word.encode()]
    s[-1] += "</w>"
    while len(s) > 1:
        a, b = min(zip(s, s[1:]), key=lambda p: RANK.get(p, 1 << 30))
        if (a, b) not in RANK:
            break
        joined, i = [], 0
        while i < len(s):
            if s[i : i + 2] == [a, b]:
                joined.append(a + b)
                i += 2
            else:
                joined.append(s[i])
                i += 1
        s = joined
    cache[word] = [ID[t] for t in s]
    return cache[word]


def original(text):
    """Special tokens are taken out first, as the fast tokenizer does: the original reads one that follows a punctuation
    mark, as in "(<|endoftext|>", as more punctuation."""
    parts = plain.split("(" + "|".join(map(plain.escape, SPECIAL)) + ")", text)
    return [i for p in parts for i in ([ID[p]] if p in SPECIAL else
                                       [t for w in regex.findall(PATTERN, cleaned(p), regex.IGNORECASE) for t in bpe(w)])]


def cleaned(text):
    """As the fast tokenizer: code points to lower case one by one (so Greek's final sigma is not special)."""
    return "".join(c.lower() for c in plain.sub(r"\s+", " ", unicodedata.normalize("NFC", text)))


# ---- Hugging Face's ----
fast = Tokenizer(models.BPE(vocab=ID, merges=merges, end_of_word_suffix="</w>", continuing_subword_prefix=""))
fast.normalizer = normalizers.Sequence(
    [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
fast.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
    pre_tokenizers.ByteLevel(add_prefix_space=False)])
fast.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])

# ---- strings (without U+0345, which regex.IGNORECASE takes for a letter) ----
pieces = (
    """a photo of the Cat dog's don't DON'T can't You're we've I'm they'll he'd isn't rock'n'roll 'tis 's 't 're 've 'm 'll
    'd ' '' 'S' o'clock it's2 A B Zebra STOP hello world! antidisestablishmentarianism supercalifragilistic naïve café Über
    Straße ÅNGSTRÖM İstanbul ſ Σίσυφος ΟΔΥΣΣΕΥΣ Привет мир日本語 東京タワー 한국어 조합 مرحبا שלום नमस्ते ไทย ქართული 0 1 23 2024 3.14 $100,000.50
    -5 1e-10 ½ ² Ⅷ ٣ ५ 🙂 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ ©® ™ … — – “quoted” ‘it’s’ don’t « » ¿ ¡ &amp; &amp;amp; R&amp;B &lt;br&gt; &#39; &quot; <b> </w> </w>
    <|endoftext|> <|startoftext|> <|END|> <| |> @user #tag http://example.org/a?b=c&d=e user@example.org :-) ;) ... !!! ?!
    snake_case CamelCase x=y+z; {"k":[1,2]} C++ C# 50% \\n \\ / | ~ ^ `code` * ** _ __ a_b ǅ ﬁ ﬀ K Å Ω ａｂｃ １２ ㍿ ① ª º µ ß ẞ ǆ"""
).split()
pieces += ["e\u0301", "a\u030a", "o\u0308\u0323", "n\u0303\u0301", "\u1100\u1161\u11a8", "\u0301", "\u20d0", "q\u0307\u0323",
           "\u200d", "\u200b", "\u00ad", "\ufeff", "\ufe0f", "\ufffd", "\U000e0041", "\ue000", "\t", "\n", "\r\n", "  ",
           "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085", "\u0001", "\u007f", "\u202e", "x" * 50, "ab" * 70, "é" * 60]
ranges = [(0x20, 0x7E), (0xA1, 0x24F), (0x250, 0x2AF), (0x300, 0x344), (0x391, 0x3A1), (0x3B1, 0x3C9), (0x400, 0x4FF),
          (0x5D0, 0x5EA), (0x621, 0x64A), (0x660, 0x669), (0x904, 0x939), (0xE01, 0xE30), (0x10D0, 0x10F0), (0x1E00, 0x1EFF),
          (0x2010, 0x2027), (0x2070, 0x2071), (0x20A0, 0x20B5), (0x2150, 0x2188), (0x2190, 0x21FF), (0x2460, 0x24FF),
          (0x2600, 0x26FF), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xF900, 0xFA2D),
          (0xFF01, 0xFF5E), (0x10400, 0x1044F), (0x1D400, 0x1D454), (0x1F300, 0x1F320), (0x1F600, 0x1F640),
          (0x20000, 0x20100)]


def made(i):
    """The C test has the same rule."""
    state = i

    def draw(n):
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return (z ^ z >> 31) % n

    out = ""
    for _ in range(1 + draw(16)):
        kind = draw(8)
        if kind < 5:
            part = pieces[draw(len(pieces))]
        else:
            part = ""
            for _ in range(1 + draw(6)):
                lo, hi = ranges[draw(len(ranges))]
                part += chr(lo + draw(hi - lo + 1))
        out += part * (1 + draw(30) if draw(40) == 0 else 1)
        out += " " * (draw(3) == 0)
    return out


def fnv(h, data):
    for b in data:
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


published = {  # by OpenAI's simple_tokenizer
    "a photo of a cat": [320, 1125, 539, 320, 2368], "a photo of a fox": [320, 1125, 539, 320, 3240],
    "hello world!": [3306, 1002, 256],
    "It's 2024, isn't it?": [585, 568, 273, 271, 273, 275, 267, 2923, 713, 585, 286],
    "naïve café": [1097, 35689, 563, 15304], "über-cool": [6522, 1516, 268, 2077], "日本語": [39121, 44353, 34002, 508],
    "🙂": [14860], "& R&B": [261, 337, 261, 321], "$100,000.50": [259, 272, 271, 271, 267, 271, 271, 271, 269, 276, 271],
    "don't DON'T": [847, 713, 847, 713], "<|endoftext|>": [49407], "": []}
lines = [f"piece {p.encode().hex()}" for p in pieces] + [f"range {lo:x} {hi:x}" for lo, hi in ranges]
for text, ids in published.items():
    assert fast.encode(text).ids == original(text) == ids, text
    lines.append(f"ids {text.encode().hex() or '-'} {' '.join(map(str, ids))}".rstrip())
differ = total = 0
for block in range(STRINGS // BLOCK):
    h = 0xCBF29CE484222325
    for i in range(block * BLOCK, (block + 1) * BLOCK):
        text = made(i)
        ids, other = fast.encode(text).ids, original(text)
        if ids != other:
            differ += 1
            print("the two differ:", i, ascii(text), ids, other, file=sys.stderr)
        total += len(ids)
        h = fnv(h, b"".join(t.to_bytes(4, "little") for t in ids))
    lines.append(f"block {h:016x}")
if differ:
    sys.exit(f"{differ} strings differ between the two: nothing written")
with open("tests/golden/tokens.txt", "w") as out:
    out.write("\n".join(lines) + "\n")
print(f"tests/golden/tokens.txt: {STRINGS} strings, {total} ids")
