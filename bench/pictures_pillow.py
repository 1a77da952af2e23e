#!/usr/bin/env python3
"""Pictures as bench/pictures.c makes them, by Pillow and numpy: JPEG bytes in memory to normalised float32 [3, S, S]
(shortest side to S, bicubic, centre crop). bench/pictures.sh runs both in turns.

  pictures_pillow.py run DIR SIDE exact|scaled SECONDS    pictures per second of processor time; scaled: Image.draft
  pictures_pillow.py make DIR                             DIR/flickr (500 x 375 and 375 x 500, about 56 KB) and DIR/coco
      (640 x 480, about 158 KB) out of 100 photos of KIN_DATA/flickr8k_1k, which are smaller: enlarged, and given grain
      until a file has as many bytes as the data set's own have, because bytes are what decoding pays for
"""
import glob
import io
import os
import sys
import time

import numpy as np
from PIL import Image


def crop(image, s, draft):
    if draft:
        # Draft keeps both sides at least this large: the shortest must stay at least S.
        w, h = image.size
        image.draft("RGB", (s, int(s * h / w)) if w <= h else (int(s * w / h), s))
    image = image.convert("RGB")
    w, h = image.size
    size = (s, int(s * h / w)) if w <= h else (int(s * w / h), s)
    left, top = int(round((size[0] - s) / 2.0)), int(round((size[1] - s) / 2.0))
    return image.resize(size, Image.BICUBIC).crop((left, top, left + s, top + s))


def run(folder, s, mode, seconds):
    files = [open(f, "rb").read() for f in sorted(glob.glob(folder + "/*.jpg"))]
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)[:, None, None]
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)[:, None, None]
    scale, shift = np.float32(1) / (np.float32(255) * std), -mean / std
    out = np.empty((3, s, s), np.float32)
    done = 0
    began = time.process_time()
    while time.process_time() - began < seconds:
        for data in files[done % len(files):][:10]:
            image = crop(Image.open(io.BytesIO(data)), s, mode == "scaled")
            np.multiply(np.asarray(image).transpose(2, 0, 1), scale, out=out)
            np.add(out, shift, out=out)
            done += 1
    print(f"{done / (time.process_time() - began):.1f} pictures/s")


def grained(image, size, bytes_wanted, quality, rng):
    big = np.asarray(image.resize(size, Image.LANCZOS), np.float32)
    low, high = 0.0, 40.0
    for _ in range(7):
        sigma = (low + high) / 2
        grain = rng.normal(0, sigma, (size[1], size[0], 1))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(big + grain, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
        low, high = (sigma, high) if buffer.tell() < bytes_wanted else (low, sigma)
    return buffer.getvalue()


def make(folder):
    rng = np.random.default_rng(1)
    photos = sorted(glob.glob(os.environ["KIN_DATA"] + "/flickr8k_1k/images/*.jpg"))[::10]
    for name, size, bytes_wanted, quality in (("flickr", (500, 375), 56000, 87), ("coco", (640, 480), 158000, 95)):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        total = 0
        for i, photo in enumerate(photos):
            image = Image.open(photo).convert("RGB")
            upright = name == "flickr" and image.height > image.width
            data = grained(image, size[::-1] if upright else size, bytes_wanted, quality, rng)
            total += len(data)
            with open(f"{folder}/{name}/{i:03d}.jpg", "wb") as f:
                f.write(data)
        print(f"{folder}/{name}: {len(photos)} pictures, {total / len(photos) / 1000:.0f} KB each")


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    run(sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
