"""AVIF: depths, alpha, orientations, sequences, brands."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from PIL import Image

from tests.images.pictures import encode
from tests.images.valid import ALPHA, GRAY, RGB, Files, as_rgb, on_white, quantised

TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: np.rot90,
}


def files() -> Files:
    found: Files = {}
    color, clear = Image.fromarray(RGB), Image.fromarray(np.dstack([RGB, ALPHA]))
    seen = on_white(RGB, ALPHA)
    for subsampling, range_ in itertools.product(("4:4:4", "4:2:2", "4:2:0"), ("full", "limited")):
        options = {"quality": 95, "subsampling": subsampling, "range": range_, "speed": 10}
        found[f"{subsampling} {range_}"] = (encode(color, "AVIF", **options), RGB)
        found[f"{subsampling} {range_} alpha"] = (encode(clear, "AVIF", **options), seen)
    found["gray"] = (encode(Image.fromarray(GRAY), "AVIF", quality=95, speed=10), as_rgb(GRAY))
    found["premultiplied"] = (encode(clear, "AVIF", quality=98, speed=10, alpha_premultiplied=True), seen)
    for bits in (8, 10, 12):
        options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 98, cv2.IMWRITE_AVIF_SPEED, 9]
        kind = np.uint8 if bits == 8 else np.uint16
        deep = quantised(RGB, bits)[..., ::-1].astype(kind)
        found[f"{bits} bits"] = (cv2.imencode(".avif", deep, options)[1].tobytes(), RGB)
        deep_clear = np.dstack([deep, quantised(ALPHA, bits).astype(kind)])
        found[f"{bits} bits alpha"] = (cv2.imencode(".avif", deep_clear, options)[1].tobytes(), seen)
        deep_gray = quantised(GRAY, bits).astype(kind)
        found[f"{bits} bits gray"] = (cv2.imencode(".avif", deep_gray, options)[1].tobytes(), as_rgb(GRAY))
    for name, first, shown in (("", color, RGB), (" alpha", clear, seen)):
        second = first.transpose(Image.Transpose.ROTATE_180)
        data = encode(first, "AVIF", quality=95, speed=10, save_all=True, append_images=[second])
        found[f"sequence{name}"] = (data, shown)
    for number, turn in TURNS.items():
        exif = Image.Exif()
        exif[274] = number
        found[f"orientation {number}"] = (encode(color, "AVIF", quality=95, speed=10, exif=exif), turn(RGB))
    data = encode(color, "AVIF", quality=95, speed=10)
    found["without its brand"] = (data[:32].replace(b"avif", b"mif1") + data[32:], RGB)
    return found
