#!/usr/bin/env python3
"""What Pillow makes of real photos, for tests/test_photos.c. From the project's root, with Pillow:
python3 tests/golden/photos_golden.py         of KIN_DATA/flickr8k_1k's 1,000 JPEGs (which are not committed):
                                              writes tests/golden/photos.txt
python3 tests/golden/photos_golden.py DIR     the same photos as PNG and WebP of every kind of pixel that Pillow writes,
                                              into DIR, and DIR/photos.txt (`make parity`)
A line: FILE WIDTH HEIGHT DECODED CLIP SQUASHED: the first 32 bits of FNV-1a over the RGB bytes of convert("RGB"), of
torchvision's Resize(224, bicubic) and CenterCrop(224) of it, and of its bilinear resize to 96 x 64.
"""
import glob
import os
import sys

from PIL import Image


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{h >> 32:08x}"


def clip(image, s):
    w, h = image.size
    w2, h2 = (s, int(s * h / w)) if w <= h else (int(s * w / h), s)
    if (w2, h2) != (w, h):
        image = image.resize((w2, h2), Image.BICUBIC)
    left, top = int(round((w2 - s) / 2.0)), int(round((h2 - s) / 2.0))
    return image.crop((left, top, left + s, top + s))


def line(path):
    image = Image.open(path).convert("RGB")
    digests = [fnv(i.tobytes()) for i in (image, clip(image, 224), image.resize((96, 64), Image.BILINEAR))]
    return f"{os.path.basename(path)} {image.width} {image.height} {' '.join(digests)}"


def kinds(image):
    grey = image.convert("L")
    palette = image.quantize(64)
    yield "rgb.png", image, {}
    yield "rgba.png", Image.merge("RGBA", (*image.split(), grey)), {}
    yield "grey.png", grey, {}
    yield "grey_alpha.png", Image.merge("LA", (grey, image.getchannel(0))), {}
    yield "palette.png", palette, {}
    yield "palette_trns.png", palette, dict(transparency=3)
    yield "palette4.png", image.quantize(13), {}
    yield "bit.png", image.convert("1"), {}
    yield "lossless.webp", image, dict(lossless=True, method=0)
    yield "lossy.webp", image, dict(quality=80, method=0)


photos = sorted(glob.glob(os.environ["KIN_DATA"] + "/flickr8k_1k/images/*.jpg"))
assert len(photos) == 1000
if len(sys.argv) > 1:
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    made = []
    for i, photo in enumerate(photos):
        image = Image.open(photo).convert("RGB")
        for k, (name, other, options) in enumerate(kinds(image)):
            # RGB of each photo, the other kinds in turn: all of each kind would take an hour.
            if k == 0 or k == 1 + i % 9:
                made.append(f"{folder}/{i}_{name}")
                other.save(made[-1], **options)
    photos, where = made, folder + "/photos.txt"
else:
    where = "tests/golden/photos.txt"
with open(where, "w") as out:
    for photo in photos:
        out.write(line(photo) + "\n")
print(f"{where}: {len(photos)} pictures by Pillow {Image.__version__}")
