"""The same from Python, through ctypes: python3 example.py run/best "a red ring,a blue star" photo1.jpg photo2.png"""
import ctypes
import os
import sys

lib = ctypes.CDLL(os.environ.get("LIBKIN", "libkin.so.0"))
p, n, f = ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_float)
for name, result, arguments in [
    ("kin_open", p, [ctypes.c_char_p, ctypes.c_int]), ("kin_close", None, [p]), ("kin_error", ctypes.c_char_p, [p]),
    ("kin_embedding_width", n, [p]), ("kin_embed_text", ctypes.c_int, [p, p, n, f]),
    ("kin_embed_files", ctypes.c_int, [p, p, n, f]), ("kin_probabilities", ctypes.c_int, [p, f, n, f, n, f]),
]:
    getattr(lib, name).restype, getattr(lib, name).argtypes = result, arguments

model, words, paths = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
k = lib.kin_open(model.encode(), 0)


def check(failed):
    if failed:
        sys.exit("example: " + lib.kin_error(k).decode())


def strings(values):
    return (ctypes.c_char_p * len(values))(*[v.encode() for v in values])


check(lib.kin_error(k))
width = lib.kin_embedding_width(k)
text, image = (ctypes.c_float * (len(words) * width))(), (ctypes.c_float * (len(paths) * width))()
fit = (ctypes.c_float * (len(paths) * len(words)))()
check(lib.kin_embed_text(k, strings(words), len(words), text))
check(lib.kin_embed_files(k, strings(paths), len(paths), image))
check(lib.kin_probabilities(k, image, len(paths), text, len(words), fit))
for i, path in enumerate(paths):
    for j, word in enumerate(words):
        print(f"{path}\t{word}\t{fit[i * len(words) + j]:.4f}")
lib.kin_close(k)
