"""Photos for the checks. They are drawn, so no files are needed, and seconds of training suffice to classify them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST, ImageData
from zoo.data.dataset import load_recorded
from zoo.image_spec import ImageSpec

#: Hue in degrees by class.
LABELS: Mapping[str, int] = {"leaf": 110, "rose": 350, "sky": 210, "sun": 55}

#: Number of photos per class.
OF_EACH = 8

_SIDE_PX = 160


def draw_photos(folder: Path, spec: ImageSpec) -> ImageData:
    """Draws photos of the four classes into ``folder``, and reads them with ``spec``. The photos are always the same.

    All of them are in the split ``test``. Decoded images are stored in the current cache.
    """
    rows = list(_draw(folder))
    return load_recorded(rows, folder.name, folder, spec, tuple(LABELS))


def _draw(folder: Path) -> Iterator[dict[str, str]]:
    for label, hue in LABELS.items():
        for number in range(OF_EACH):
            path = f"{label}_{number}.png"
            content = cv2.imencode(".png", _picture(hue, number))[1].tobytes()
            (folder / path).write_bytes(content)
            yield {"path": path, "label": label, "split": TEST, "sha256": hashlib.sha256(content).hexdigest()}


def _picture(hue: int, number: int) -> NDArray[np.uint8]:
    """A shaded background of one hue, with gray discs and noise."""
    random = np.random.default_rng([hue, number])
    darkest, lightest = random.uniform(90, 240, 2).tolist()
    shade = np.linspace(darkest, lightest, _SIDE_PX)[:, None].repeat(_SIDE_PX, 1)
    if random.random() < 0.5:
        shade = shade.T
    colour = np.full_like(shade, (hue + random.uniform(-8, 8)) % 360 / 2)
    saturation = np.full_like(shade, random.uniform(170, 240))
    picture = cv2.cvtColor(np.stack([colour, saturation, shade], -1).astype(np.uint8), cv2.COLOR_HSV2BGR)
    for _ in range(random.integers(2, 6)):
        centre = random.integers(0, _SIDE_PX, 2).tolist()
        cv2.circle(picture, centre, int(random.integers(5, 24)), [int(random.integers(0, 256))] * 3, -1)
    grained: NDArray[np.uint8] = np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
    return grained
