"""Photos to check with: drawn, so that they need neither licence nor room; easy, so that seconds of training tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from zoo.data import TEST, TRAIN, ImageData
from zoo.data.dataset import load_recorded
from zoo.image_spec import ImageSpec

#: Class to its hue in degrees.
LABELS: Mapping[str, int] = {"amber": 40, "lime": 100, "plum": 300, "sky": 200}

#: Photos of each class: those that are trained on, and those that exported files are asked about.
TRAINING, TESTING = 8, 10

_SIDE_PX = 160


def draw_photos(folder: Path, spec: ImageSpec) -> ImageData:
    """Fills ``folder`` with photos of the four classes, the same every time, and reads them as ``spec`` says.

    Training images are in split ``train``, the others in ``test``. Decoded images go into the cache in use.
    """
    rows = list(_draw(folder))
    return load_recorded(rows, folder.name, folder, spec, tuple(LABELS))


def _draw(folder: Path) -> Iterator[dict[str, str]]:
    for split, count in ((TRAIN, TRAINING), (TEST, TESTING)):
        for label, hue in LABELS.items():
            for number in range(count):
                path = f"{split}_{label}_{number:02d}.png"
                seed = [hue, number, split == TEST]
                (folder / path).write_bytes(cv2.imencode(".png", _picture(hue, seed))[1].tobytes())
                yield {"path": path, "label": label, "split": split}


def _picture(hue: int, seed: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A shaded ground of one hue, discs of any colour on it, and grain."""
    random = np.random.default_rng(seed)
    shade = np.linspace(*random.uniform(90, 240, 2), _SIDE_PX)[:, None].repeat(_SIDE_PX, 1)
    if random.random() < 0.5:
        shade = shade.T
    colour = np.full_like(shade, (hue + random.uniform(-12, 12)) % 360 / 2)
    saturation = np.full_like(shade, random.uniform(120, 230))
    picture = cv2.cvtColor(np.stack([colour, saturation, shade], -1).astype(np.uint8), cv2.COLOR_HSV2BGR)
    for _ in range(random.integers(2, 6)):
        centre = random.integers(0, _SIDE_PX, 2).tolist()
        cv2.circle(picture, centre, int(random.integers(5, 24)), random.integers(0, 256, 3).tolist(), -1)
    grain = random.normal(0, 6, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)
