#!/usr/bin/env python3
"""What Pillow makes of small pictures, for tests/test_image.c. From the project's root, with Pillow:
python3 tests/golden/image_golden.py          writes tests/golden/image/* and tests/golden/image.txt:
  decode FILE WIDTH HEIGHT DIGEST             convert("RGB") of a file
  small FILE SHRINK WIDTH HEIGHT DIGEST       the same after draft() to 1 / SHRINK
  upright FILE WIDTH HEIGHT DIGEST            ImageOps.exif_transpose, then convert("RGB")
  resize W H W2 H2 FILTER DIGEST              of the picture of this formula
  crop W H X0 Y0 X1 Y1 W2 H2 FILTER DIGEST    the same after crop()
  clip W H S DIGEST                           torchvision's Resize(S, bicubic) and CenterCrop(S), as open_clip evaluates
  fit MODE W H TALL WIDE DIGEST               the same to what is not square: open_clip's ResizeKeepRatio, then CenterCrop
                                              (shortest) or CenterCropOrPad (longest); squash: Resize((TALL, WIDE))
Digests are FNV-1a over the RGB bytes. With KIN_DATA set also  real FILE DIGEST  for some of flickr8k_1k's photos,
which are not committed.
"""
import glob
import os

from PIL import Image, ImageOps

HERE = "tests/golden/image/"


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 % 2**64
    return f"{h:016x}"


def picture(w, h):
    """The C test has the same formula."""
    data = bytearray()
    for y in range(h):
        for x in range(w):
            for c in range(3):
                data.append((x * 7 + y * 13 + c * 29 + (x * y) % 17 * 5 + (x // 8 + y // 8) % 2 * 90) % 256)
    return Image.frombytes("RGB", (w, h), bytes(data))


lines = []
small = picture(29, 21)
palette = small.quantize(16)
see_through = palette.copy()
files = {
    "rgb.jpg": (small, dict(quality=90)),
    "odd420.jpg": (picture(23, 37), dict(quality=75, subsampling=2)),
    "s444.jpg": (small, dict(quality=95, subsampling=0)),
    "s422.jpg": (small, dict(quality=80, subsampling=1)),
    "progressive.jpg": (small, dict(quality=80, progressive=True)),
    "grey.jpg": (small.convert("L"), dict(quality=85)),
    "cmyk.jpg": (small.convert("CMYK"), dict(quality=85)),
    "rgb.png": (small, {}),
    "rgba.png": (small.convert("RGBA").point(lambda v: 255 - v), {}),
    "grey.png": (small.convert("L"), {}),
    "grey_alpha.png": (small.convert("LA"), {}),
    "palette.png": (palette, {}),
    "palette_trns.png": (palette, dict(transparency=3)),
    "bit.png": (small.convert("1"), {}),
    "lossless.webp": (small, dict(lossless=True)),
    "lossy.webp": (small, dict(quality=60)),
}
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    files[f"exif{orientation}.jpg"] = (small, dict(quality=90, exif=exif))
for name, (image, options) in files.items():
    image.save(HERE + name, **options)
for name in sorted(files):
    image = Image.open(HERE + name).convert("RGB")
    lines.append(f"decode {name} {image.width} {image.height} {fnv(image.tobytes())}")
    for shrink in (2, 4, 8) if name.endswith(".jpg") and not name.startswith("exif") else ():
        draft = Image.open(HERE + name)
        draft.draft(draft.mode, (draft.width // shrink, draft.height // shrink))
        draft = draft.convert("RGB")
        lines.append(f"small {name} {shrink} {draft.width} {draft.height} {fnv(draft.tobytes())}")
for name in sorted(files):
    if name.startswith("exif"):
        image = ImageOps.exif_transpose(Image.open(HERE + name)).convert("RGB")
        lines.append(f"upright {name} {image.width} {image.height} {fnv(image.tobytes())}")

filters = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}
for w, h, w2, h2 in [(64, 48, 32, 32), (33, 57, 64, 64), (100, 10, 7, 90), (5, 5, 5, 9), (9, 4, 3, 4), (1, 1, 6, 5),
                     (300, 200, 224, 224), (40, 300, 40, 11), (57, 57, 56, 56)]:
    for name, f in filters.items():
        lines.append(f"resize {w} {h} {w2} {h2} {name} {fnv(picture(w, h).resize((w2, h2), f).tobytes())}")
for w, h, box, w2, h2 in [(64, 48, (3, 5, 50, 40), 32, 32), (64, 48, (10, 2, 52, 48), 20, 20)]:
    for name, f in filters.items():
        out = picture(w, h).crop(box).resize((w2, h2), f)
        lines.append(f"crop {w} {h} {' '.join(map(str, box))} {w2} {h2} {name} {fnv(out.tobytes())}")


FITS = [("shortest", 400, 100, 48, 192), ("shortest", 100, 333, 48, 192), ("shortest", 61, 47, 24, 8), ("shortest", 30, 20, 64, 32),
        ("longest", 400, 100, 48, 192), ("longest", 100, 333, 48, 192), ("longest", 61, 47, 24, 8), ("longest", 30, 20, 64, 32),
        ("squash", 400, 100, 48, 192), ("squash", 61, 47, 24, 8)]


def fit(image, mode, tall, wide):
    w, h = image.size
    w2, h2 = wide, tall
    if mode != "squash":
        ratio = (max if mode == "longest" else min)(h / tall, w / wide)
        h2, w2 = (round(x / ratio) for x in (h, w))
    if (w2, h2) != (w, h):
        image = image.resize((w2, h2), Image.BICUBIC)
    out = Image.new("RGB", (wide, tall))  # what a picture is smaller by is black
    left, top = ((to - n) // 2 if n < to else -int(round((n - to) / 2.0)) for n, to in ((w2, wide), (h2, tall)))
    out.paste(image, (left, top))
    return out


def clip(image, s):
    w, h = image.size
    w2, h2 = (s, int(s * h / w)) if w <= h else (int(s * w / h), s)
    if (w2, h2) != (w, h):
        image = image.resize((w2, h2), Image.BICUBIC)
    left, top = int(round((w2 - s) / 2.0)), int(round((h2 - s) / 2.0))
    return image.crop((left, top, left + s, top + s))


for w, h, s in [(64, 48, 32), (48, 67, 32), (31, 31, 32), (33, 100, 20), (32, 43, 32), (200, 131, 64)]:
    lines.append(f"clip {w} {h} {s} {fnv(clip(picture(w, h), s).tobytes())}")
for mode, w, h, tall, wide in FITS:
    lines.append(f"fit {mode} {w} {h} {tall} {wide} {fnv(fit(picture(w, h), mode, tall, wide).tobytes())}")
if "KIN_DATA" in os.environ:
    root = os.environ["KIN_DATA"] + "/flickr8k_1k/images/"
    for path in sorted(glob.glob(root + "*.jpg"))[::50]:
        image = Image.open(path).convert("RGB")
        lines.append(f"real {os.path.basename(path)} {fnv(image.tobytes())} {fnv(clip(image, 112).tobytes())}")
with open("tests/golden/image.txt", "w") as out:
    out.write("\n".join(lines) + "\n")
