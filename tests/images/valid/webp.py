"""WebP: lossy and lossless, alpha, animation, orientation, sizes."""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image

from tests.images.pictures import encode
from tests.images.valid import ALPHA, GRAY, RGB, Files, as_rgb, on_white


def files() -> Files:
    found: Files = {}
    color, clear = Image.fromarray(RGB), Image.fromarray(np.dstack([RGB, ALPHA]))
    second = Image.fromarray(255 - RGB)
    seen = on_white(RGB, ALPHA)
    for lossless, method in itertools.product((False, True), (0, 4, 6)):
        name = f"{'lossless' if lossless else 'lossy'}, method {method}"
        options = {"lossless": lossless, "method": method, "quality": 98, "exact": True}
        found[name] = (encode(color, "WEBP", **options), RGB)
        found[f"{name}, alpha"] = (encode(clear, "WEBP", **options), seen)
        found[f"{name}, animated"] = (encode(color, "WEBP", save_all=True, append_images=[second], **options), RGB)
        found[f"{name}, animated, alpha"] = (
            encode(clear, "WEBP", save_all=True, append_images=[second], **options),
            seen,
        )
    found["lossy alpha, lossless colour apart"] = (encode(clear, "WEBP", quality=98, alpha_quality=100), seen)
    found["gray"] = (encode(Image.fromarray(GRAY), "WEBP", lossless=True), as_rgb(GRAY))
    few = color.quantize(4)
    found["palette of 4"] = (encode(few, "WEBP", lossless=True), np.asarray(few.convert("RGB")))
    found["profile and XMP"] = (encode(color, "WEBP", lossless=True, icc_profile=bytes(200), xmp=b"<x/>"), RGB)
    exif = Image.Exif()
    exif[274] = 6
    found["orientation 6"] = (encode(color, "WEBP", lossless=True, exif=exif), np.rot90(RGB, -1))
    found["orientation 6, alpha"] = (encode(clear, "WEBP", lossless=True, exact=True, exif=exif), np.rot90(seen, -1))
    background = encode(
        clear, "WEBP", save_all=True, append_images=[second], lossless=True, exact=True, background=(9, 99, 9, 255)
    )
    found["animated, alpha, background"] = (background, seen)
    for height, width in ((1, 1), (1, 9), (9, 1)):
        cut = RGB[:height, :width]
        found[f"{width} x {height}"] = (encode(Image.fromarray(cut), "WEBP", lossless=True), cut)
    return found
